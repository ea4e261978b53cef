//! Wrong manifests and how their errors look: `golden/<name>.yaml` is read, and `golden/<name>.golden` is what is shown.
//!
//! `SKEP_BLESS=1 cargo nextest run -p skep-schemas` writes the `.golden` files anew; read the difference before committing it.
//! A file whose name ends in `.batch.yaml` is several sources, each after a line `#### <name>`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use skep_schemas::diagnostic::Style;
use skep_schemas::manifest::{Batch, ReadOptions, read_json, read_str};
use skep_schemas::{Code, Diagnostics};

/// Stands for every secret value in the files of this test.
const CANARY: &str = "canary";

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn cases() -> Vec<(String, String)> {
    let paths = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect();
    cases.sort();
    cases
}

fn read(name: &str, text: &str) -> Diagnostics {
    let mut batch = Batch::new(ReadOptions::default());
    if name.ends_with(".batch.yaml") {
        for source in text.split("#### ").skip(1) {
            let (name, text) = source.split_once('\n').unwrap();
            batch.add_yaml(name, text);
        }
    } else {
        batch.add_yaml(name, text);
    }
    batch.finish().expect_err(name)
}

fn compare(name: &str, shown: &str) {
    let path = directory().join(Path::new(name).with_extension("golden"));
    if std::env::var_os("SKEP_BLESS").is_some() {
        fs::write(&path, shown).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert!(golden == shown, "{name} is shown as\n{shown}\ninstead of\n{golden}");
}

#[test]
fn every_wrong_manifest_is_shown_as_its_golden_file_says() {
    let cases = cases();
    assert!(cases.len() >= 16, "{}", cases.len());
    for (name, text) in cases {
        compare(&name, &read(&name, &text).render(Style::Plain));
    }
}

#[test]
fn a_manifest_that_is_too_large_is_refused_with_its_limit() {
    let filler = "x".repeat(2 << 20);
    let text = format!(
        "apiVersion: skep.dev/v1\nkind: App\nmetadata: {{org: acme, name: shop}}\nspec:\n  description: {filler}\n"
    );
    compare("too-large.yaml", &read("too-large.yaml", &text).render(Style::Plain));
}

#[test]
fn no_report_contains_the_value_of_a_secret() {
    let secrets: Vec<_> = cases().into_iter().filter(|(_, text)| text.contains(CANARY)).collect();
    assert!(secrets.len() >= 2);
    for (name, text) in secrets {
        let diagnostics = read(&name, &text);
        assert!(!diagnostics.render(Style::Ansi).contains(CANARY), "{name}");
        assert!(!serde_json::to_string(diagnostics.as_slice()).unwrap().contains(CANARY), "{name}");
        assert!(!format!("{diagnostics:?}").contains(CANARY), "{name}");
    }
}

#[test]
fn the_colours_change_nothing_but_the_colours() {
    for (name, text) in cases() {
        let diagnostics = read(&name, &text);
        let mut plain = String::new();
        let mut escape = false;
        for c in diagnostics.render(Style::Ansi).chars() {
            match (escape, c) {
                (false, '\u{1b}') => escape = true,
                (true, 'm') => escape = false,
                (true, _) => {}
                (false, c) => plain.push(c),
            }
        }
        assert_eq!(plain, diagnostics.render(Style::Plain), "{name}");
    }
}

/// The fenced YAML after a heading of an explanation.
fn example<'a>(explanation: &'a str, heading: &str) -> Option<&'a str> {
    let after = explanation.split_once(&format!("\n{heading}:\n\n```yaml\n"))?.1;
    after.split_once("\n```").map(|(text, _)| text)
}

#[test]
fn the_examples_of_every_explanation_are_wrong_and_right_as_they_say() {
    let mut shown = 0;
    for code in Code::ALL {
        let explanation = code.explanation();
        let (Some(wrong), Some(right)) = (example(explanation, "Wrong"), example(explanation, "Right"))
        else {
            continue;
        };
        shown += 1;
        let diagnostics = read_str("wrong", wrong, &ReadOptions::default()).expect_err(code.as_str());
        assert!(diagnostics.as_slice().iter().any(|d| d.code == *code), "{code}: {diagnostics}");
        if let Err(diagnostics) = read_str("right", right, &ReadOptions::default()) {
            panic!("{code}: {diagnostics}");
        }
    }
    assert!(shown >= 20, "{shown}");
}

#[test]
fn a_json_body_is_reported_by_pointer_and_without_lines() {
    let body = r#"[{"apiVersion": "skep.dev/v1", "kind": "Plan", "metadata": {"name": "small"},
        "spec": {"instance": {"cpu": "much", "memory": "64Mi", "memory": "1Gi"}}}]"#;
    let diagnostics = read_json("body", body, &ReadOptions::default()).unwrap_err();
    let found: Vec<_> =
        diagnostics.as_slice().iter().map(|d| (d.code, d.pointer.as_deref().unwrap(), d.line)).collect();
    let expected = [
        (Code::InvalidQuantity, "/0/spec/instance/cpu", None),
        (Code::DuplicateField, "/0/spec/instance/memory", None),
    ];
    assert_eq!(found, expected);
}

#[test]
fn values_of_secrets_are_written_only_by_the_function_that_says_so() {
    let text = format!(
        "apiVersion: skep.dev/v1\nkind: Secret\nmetadata: {{org: acme, name: key}}\nspec: {{value: {CANARY}}}\n"
    );
    let manifest = read_str("secret", &text, &ReadOptions::default()).unwrap().remove(0).manifest;
    assert!(!manifest.to_json().unwrap().to_string().contains(CANARY));
    assert!(!format!("{manifest:?}").contains(CANARY));
    let body = manifest.to_json_with_secret_values().unwrap().to_string();
    let again = read_json("body", &body, &ReadOptions::default()).unwrap().remove(0).manifest;
    assert_eq!(again, manifest);
}

#[test]
fn the_default_organisation_is_for_manifests_that_name_none() {
    let options = ReadOptions { default_org: Some("acme".parse().unwrap()) };
    let text = "apiVersion: skep.dev/v1\nkind: App\nmetadata: {name: a}\n---\napiVersion: skep.dev/v1\nkind: App\nmetadata: {org: other, name: b}\n---\napiVersion: skep.dev/v1\nkind: Organization\nmetadata: {name: acme}\n";
    let keys: Vec<String> =
        read_str("t", text, &options).unwrap().iter().map(|m| m.manifest.key.to_string()).collect();
    assert_eq!(keys, ["acme/App/a", "other/App/b", "Organization/acme"]);
}
