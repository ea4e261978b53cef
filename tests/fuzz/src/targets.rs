//! The targets that need nothing but the input, each with what is asked of it.

use std::path::Path;

use serde_json::Value as Json;
use skep_planner::diff::{set_at, value_at, value_changes};
use skep_planner::render::{Route, RouteTls, route_labels};
use skep_planner::settings::{AnchorImage, EdgeSettings};
use skep_schemas::diagnostic::Style;
use skep_schemas::manifest::{ReadOptions, SourcedManifest, read_json, read_str};
use skep_schemas::selector::Selector;
use skep_schemas::{Diagnostics, FieldPointer, Host, Labels, Port};
use skep_store::Cursor;

use crate::campaign::files;
use crate::meter::within_budget;
use crate::random::Random;
use crate::scalars::{self, moves_the_cursor, sentence, sentences};
use crate::{Campaign, manifests, writing};

/// What is fed, and what is asked of it.
#[derive(Debug)]
pub struct Target {
    /// How it is fed.
    pub campaign: Campaign,
    /// What is asked of an input.
    pub check: fn(&[u8]) -> Result<(), String>,
}

impl Target {
    /// Runs it and says how many inputs were tried.
    pub fn run(&self) -> anyhow::Result<u64> {
        let cases = self.campaign.run(&self.check)?;
        eprintln!("campaign| - {}: {cases} inputs", self.campaign.target);
        Ok(cases)
    }
}

/// The name of the source in reports.
const SOURCE: &str = "input";
/// What manifests are made of.
const WORDS: &[&str] = &[
    "---\n",
    "...\n",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "|\n  ",
    ">-\n  ",
    "? ",
    "%YAML 1.2\n",
    "kind: Secret\n",
    "spec:",
    "items: [",
    "metadata: {org: acme, name: x}\n",
    "value: ",
    "apiVersion: skep.dev/v1\n",
    "skep.dev/",
    "annotations: {",
    "\"",
    "[",
    "{",
    "]",
    "}",
    ": ",
    "- ",
    "# ",
    "~",
    "0x1F",
    "1e999",
    "null",
    "processes:\n  web:\n    ",
    "resources: {cpu: 1, memory: 64Mi}",
];

/// The examples, as text and as JSON.
fn examples() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let directories = ["examples/hello", "examples/shop", "schemas/tests/golden"];
    let read = directories.iter().flat_map(|path| files(&root.join(path)).unwrap_or_default());
    read.map(|(_, text)| text).collect()
}

fn examples_as_json() -> Vec<Vec<u8>> {
    let options = ReadOptions { default_org: "acme".parse().ok() };
    let texts = examples();
    let read =
        texts.iter().filter_map(|text| read_str(SOURCE, std::str::from_utf8(text).ok()?, &options).ok());
    let manifests = read.flatten().filter_map(|sourced| sourced.manifest.to_json_with_secret_values().ok());
    manifests.map(|json| json.to_string().into_bytes()).collect()
}

/// Manifests as YAML: accepted and accepted again, or refused with a place and a next step.
pub fn manifest_yaml() -> Target {
    fn generate(random: &mut Random) -> Vec<u8> {
        let documents: Vec<String> =
            (0..=random.below(2)).map(|_| writing::yaml(&manifests::manifest(random), random)).collect();
        documents.join("---\n").into_bytes()
    }
    let campaign = Campaign {
        target: "manifest-yaml",
        seeds: examples(),
        dictionary: WORDS,
        generate: Some(generate),
        cases: 2500,
    };
    Target {
        campaign,
        check: |input| judge_reading(input, true, |text| read_str(SOURCE, text, &ReadOptions::default())),
    }
}

/// Manifests as JSON.
pub fn manifest_json() -> Target {
    let campaign = Campaign {
        target: "manifest-json",
        seeds: examples_as_json(),
        dictionary: WORDS,
        generate: Some(manifests::text),
        cases: 2500,
    };
    Target {
        campaign,
        check: |input| judge_reading(input, false, |text| read_json(SOURCE, text, &ReadOptions::default())),
    }
}

/// The same manifests as JSON and as YAML in some style: both are accepted as the same, or refused for the same reasons.
pub fn manifest_forms() -> Target {
    let campaign = Campaign {
        target: "manifest-forms",
        seeds: examples_as_json(),
        dictionary: &[],
        generate: Some(manifests::text),
        cases: 2500,
    };
    Target {
        campaign,
        check: |input| {
            let Ok(json) = serde_json::from_slice::<Json>(input) else { return Ok(()) };
            // A document of YAML without content is no manifest, and not a wrong one.
            if json.is_null() || writing::has_long_name(&json) {
                return Ok(());
            }
            // Style and content vary together, so that the input alone decides.
            let mut random =
                Random::new(input.iter().fold(7, |hash: u64, byte| hash.wrapping_mul(31) ^ u64::from(*byte)));
            let yaml = writing::yaml(&json, &mut random);
            let options = ReadOptions::default();
            // The two forms write a number beyond all integers with other digits, and other digits are other mistakes.
            let codes =
                |found: Diagnostics| if writing::has_fraction(&json) { Vec::new() } else { codes(&found) };
            let one = read_json(SOURCE, &json.to_string(), &options).map(plain).map_err(codes);
            let other = read_str(SOURCE, &yaml, &options).map(plain).map_err(codes);
            if one == other { Ok(()) } else { Err(format!("{json}\nis {one:?}\n{yaml}\nis {other:?}")) }
        },
    }
}

/// Every scalar type.
pub fn scalars() -> Target {
    fn generate(random: &mut Random) -> Vec<u8> {
        let names: Vec<&str> = scalars::oracles().keys().copied().collect();
        let name = *random.pick(&names);
        scalars::any(name, random).into_bytes()
    }
    let campaign = Campaign {
        target: "scalars",
        seeds: Vec::new(),
        dictionary: &["Mi", "Gi", "m", "ms", "h", "s", ".", "/", ":", "@sha256:", "a", "0", "9", "-", "*"],
        generate: Some(generate),
        cases: 8000,
    };
    Target {
        campaign,
        check: |input| {
            let text = String::from_utf8_lossy(input);
            scalars::oracles().values().try_for_each(|judge| judge(&text))
        },
    }
}

/// Label selectors.
pub fn selector() -> Target {
    let campaign = Campaign {
        target: "selector",
        seeds: vec![
            b"app=shop,tier!=cache,canary,!legacy".to_vec(),
            b"a==b".to_vec(),
            b"example.com/x=1".to_vec(),
        ],
        dictionary: &["=", "!=", "==", "!", ",", " ", "skep.dev/", "a", "."],
        generate: None,
        cases: 10_000,
    };
    Target {
        campaign,
        check: |input| {
            let text = String::from_utf8_lossy(input);
            let selector: Selector = match text.parse() {
                Ok(selector) => selector,
                Err(error) => return sentences(&error),
            };
            selector.matches(&Labels::new());
            let shown = selector.to_string();
            let again: Selector =
                shown.parse().map_err(|error| format!("{text:?} is shown as {shown:?}: {error}"))?;
            if again == selector {
                Ok(())
            } else {
                Err(format!("{text:?} is shown as {shown:?}, which reads as {again:?}"))
            }
        },
    }
}

/// Hosts, and the rules that are made of them: nothing that is accepted can end the quoted text of a rule.
pub fn host_rule() -> Target {
    fn generate(random: &mut Random) -> Vec<u8> {
        scalars::any("host", random).into_bytes()
    }
    let campaign = Campaign {
        target: "host-rule",
        seeds: vec![b"a.b`) || HostRegexp(`.*".to_vec()],
        dictionary: &["`", ")", "||", ".", "*.", "-", "xn--", "{{", "\n", "é"],
        generate: Some(generate),
        cases: 10_000,
    };
    Target {
        campaign,
        check: |input| {
            let text = String::from_utf8_lossy(input);
            let Ok(host) = text.parse::<Host>() else { return Ok(()) };
            let port = Port::new(80).ok_or("a port")?;
            let tls = RouteTls::Resolver("public".to_owned());
            let route = Route { name: "acme-x".to_owned(), host, port, tls };
            let expected = format!("Host(`{}`)", text.to_ascii_lowercase());
            let labels = route_labels(&edge(), "acme", std::slice::from_ref(&route));
            let rules = labels.iter().filter(|(key, _)| key.ends_with(".rule")).count();
            let harmless =
                |text: &str| text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'));
            if route.rule() != expected || rules != 2 || !harmless(&text) {
                return Err(format!("{text:?} makes the rule {} and {rules} rules", route.rule()));
            }
            Ok(())
        },
    }
}

fn edge() -> EdgeSettings {
    EdgeSettings {
        http_entrypoint: "web".to_owned(),
        https_entrypoint: "websecure".to_owned(),
        certificate_resolver: None,
        public_http_port: 80,
        public_https_port: 443,
        drain: None,
        anchor: AnchorImage { image: "pause:1".to_owned(), args: Vec::new() },
    }
}

/// Pointers: a line with a pointer, a line with a value, and the JSON that it is set in.
pub fn pointer() -> Target {
    let spec = r#"{"TaskTemplate":{"ContainerSpec":{"Env":["A=1","B="],"Args":["x"],"Labels":{"a/b":"c","~":1}}},"Mode":null}"#;
    let seeds = [
        "/TaskTemplate/ContainerSpec/Env/A",
        "/TaskTemplate/ContainerSpec/Args/0",
        "/Mode/Replicated/Replicas",
        "/TaskTemplate/ContainerSpec/Labels/a~1b",
    ];
    let seeds = seeds.iter().map(|pointer| format!("{pointer}\n\"2\"\n{spec}").into_bytes()).collect();
    let campaign = Campaign {
        target: "pointer",
        seeds,
        dictionary: &[
            "/", "~0", "~1", "~", "/Env/", "/0", "/1", "/-", "*", "\"A=1\"", "null", "{}", "[]", "\n",
        ],
        generate: None,
        cases: 10_000,
    };
    Target { campaign, check: judge_pointer }
}

fn judge_pointer(input: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.splitn(3, '\n');
    let (pointer, value) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    if let Ok(covering) = pointer.parse::<FieldPointer>()
        && !covering.covers(pointer)
    {
        return Err(format!("{pointer:?} does not cover itself"));
    }
    let (Ok(value), Ok(root)) =
        (serde_json::from_str::<Json>(value), serde_json::from_str::<Json>(lines.next().unwrap_or_default()))
    else {
        return Ok(());
    };
    let mut changed = root.clone();
    let there_before = value_at(&root, pointer);
    if set_at(&mut changed, pointer, Some(value.clone())) {
        // A variable is text: what is no text becomes it, or is refused.
        let there = value_at(&changed, pointer);
        if there.is_none() {
            return Err(format!("{value} is set at {pointer:?} and is not there: {changed}"));
        }
        for change in value_changes(&root, &changed) {
            if value_at(&root, &change.pointer) == value_at(&changed, &change.pointer) {
                return Err(format!("{} is reported and does not differ", change.pointer));
            }
        }
        if root != changed && value_changes(&root, &changed).is_empty() {
            return Err(format!("{changed} differs from {root}, and nothing is reported"));
        }
    } else if changed != root {
        return Err(format!("nothing can be set at {pointer:?}, and all the same {changed}"));
    }
    let mut without = root.clone();
    if !pointer.is_empty() && there_before.is_some() && set_at(&mut without, pointer, None) {
        let left = value_at(&without, pointer);
        // What follows in a list moves up.
        let in_a_list = pointer.rsplit('/').next().is_some_and(|last| last.parse::<usize>().is_ok());
        if left.is_some() && !in_a_list {
            return Err(format!("{pointer:?} was removed and is still there: {without}"));
        }
    }
    Ok(())
}

/// Places in a watch's stream: what a client sends back reads as what it was given.
pub fn cursor() -> Target {
    let campaign = Campaign {
        target: "cursor",
        seeds: vec![
            b"0197b0a1f0c07000800000000000000a.17".to_vec(),
            b"0197b0a1-f0c0-7000-8000-00000000000a.17.3".to_vec(),
        ],
        dictionary: &[
            ".",
            "-",
            "+",
            "9223372036854775807",
            "9223372036854775808",
            "0",
            "{",
            "}",
            "urn:uuid:",
        ],
        generate: None,
        cases: 10_000,
    };
    Target {
        campaign,
        check: |input| {
            let text = String::from_utf8_lossy(input);
            let Ok(cursor) = text.parse::<Cursor>() else { return Ok(()) };
            let shown = cursor.to_string();
            match shown.parse::<Cursor>() {
                Ok(again) if again == cursor && again.to_string() == shown => Ok(()),
                other => Err(format!("{text:?} is shown as {shown:?}, which reads as {other:?}")),
            }
        },
    }
}

fn plain(read: Vec<SourcedManifest>) -> Vec<Json> {
    read.iter().filter_map(|sourced| sourced.manifest.to_json_with_secret_values().ok()).collect()
}

fn codes(found: &Diagnostics) -> Vec<&'static str> {
    let mut codes: Vec<_> = found.as_slice().iter().map(|problem| problem.code.as_str()).collect();
    codes.sort_unstable();
    codes
}

fn judge_reading(
    input: &[u8],
    has_lines: bool,
    read: impl Fn(&str) -> Result<Vec<SourcedManifest>, Diagnostics>,
) -> Result<(), String> {
    let text = String::from_utf8_lossy(input);
    match within_budget(text.len(), || read(&text))? {
        Ok(manifests) => accepted(&manifests),
        Err(found) => refused(&text, &found, has_lines),
    }
}

/// What was accepted is accepted again as it is printed, and is the same.
fn accepted(manifests: &[SourcedManifest]) -> Result<(), String> {
    for sourced in manifests {
        let manifest = &sourced.manifest;
        let json = manifest.to_json_with_secret_values().map_err(|error| error.to_string())?;
        let text = json.to_string();
        let mut forms = vec![("JSON", read_json(SOURCE, &text, &ReadOptions::default()))];
        // The parser of YAML wants these escaped, which JSON does not.
        if !text.contains(['\u{7f}', '\u{feff}'])
            && !text.contains(|c| matches!(c, '\u{80}'..='\u{9f}' | '\u{fffe}'..='\u{ffff}'))
        {
            forms.push(("YAML", read_str(SOURCE, &format!("{json:#}"), &ReadOptions::default())));
        }
        for (form, again) in forms {
            let again = again.map_err(|found| format!("{json} is not read as {form} again:\n{found}"))?;
            if again.len() != 1 || again.first().is_none_or(|again| again.manifest != *manifest) {
                return Err(format!("{json} is read as {form} as {again:?}"));
            }
        }
    }
    Ok(())
}

/// A refusal names code, place and next step for each problem, and can be shown on a terminal.
pub fn refused(text: &str, found: &Diagnostics, has_lines: bool) -> Result<(), String> {
    if found.is_empty() {
        return Err("it is refused without a problem".to_owned());
    }
    let lines = text.lines().count() + 1;
    for problem in found.as_slice() {
        sentence(&problem.message)?;
        sentence(problem.help.as_deref().ok_or_else(|| format!("no next step: {problem:?}"))?)?;
        let line = problem.line.map(|line| usize::try_from(line).unwrap_or(usize::MAX));
        let placed = match line {
            Some(line) => line >= 1 && line <= lines && problem.column.is_some_and(|column| column >= 1),
            // A text that is too long as a whole, or a resource that is written twice.
            None => !has_lines || text.len() > skep_schemas::manifest::TEXT_MAX,
        };
        if !placed {
            return Err(format!("no place within {lines} lines: {problem:?}"));
        }
    }
    let shown = found.render(Style::Plain);
    found.render(Style::Ansi);
    match shown.chars().find(|c| moves_the_cursor(*c) && *c != '\n') {
        Some(bad) => Err(format!("the report holds {bad:?}:\n{shown:?}")),
        None => Ok(()),
    }
}
