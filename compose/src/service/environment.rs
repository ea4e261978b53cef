//! Variables: of the service, of its files, and the names of other services in them.

use std::path::{Path, PathBuf};

use skep_schemas::EnvName;

use super::Surroundings;
use super::draft::Draft;
use crate::keys::{Keys, Taken};
use crate::{ComposeError, Report, value};

/// Parts of names whose values are secret as a rule.
const SECRET_WORDS: [&str; 6] = ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "APIKEY", "KEY"];
/// Parts of names whose values are names of something else as a rule, though a service is called so, too.
const NAME_WORDS: [&str; 5] = ["USER", "USERNAME", "DB", "DATABASE", "NAME"];
/// Values that are switches, and no secrets.
const SWITCHES: [&str; 7] = ["", "0", "1", "true", "false", "yes", "no"];
/// Parts of names whose values are hosts as a rule.
const HOST_WORDS: [&str; 9] =
    ["HOST", "HOSTS", "HOSTNAME", "SERVER", "SERVERS", "ADDR", "ADDRESS", "ENDPOINT", "BROKER"];

pub(super) fn take(
    draft: &mut Draft,
    keys: &mut Keys,
    around: &Surroundings<'_>,
    report: &mut Report,
) -> Result<(), ComposeError> {
    for file in keys.take("env_file").iter().flat_map(Taken::each) {
        of_file(draft, &file, around, report)?;
    }
    let Some(taken) = keys.take("environment") else { return Ok(()) };
    for (name, taken) in Keys::of(taken, report).into_each() {
        let known = around.options.variables.get(&name).cloned();
        match taken.text().or(known) {
            Some(text) => set(draft, &name, &text, &taken.pointer, around, report),
            None if taken.value.is_null() => report.decide(
                taken.pointer,
                format!("{name} is that of whoever starts Compose, and is not set here; write its value, or give it with --env-file"),
            ),
            None => report.refuse(taken.pointer, "it is no text"),
        }
    }
    Ok(())
}

/// A file's variables are those of the service, where the service does not say another value.
fn of_file(
    draft: &mut Draft,
    file: &Taken,
    around: &Surroundings<'_>,
    report: &mut Report,
) -> Result<(), ComposeError> {
    let (path, is_required) = match &file.value {
        serde_json::Value::Object(long) => {
            for key in long.keys().filter(|key| !["path", "required", "format"].contains(&key.as_str())) {
                report.refuse(format!("{}.{key}", file.pointer), "Compose has no such key");
            }
            let path = long.get("path").and_then(value::text);
            (path, long.get("required") != Some(&serde_json::Value::Bool(false)))
        }
        _ => (file.text(), true),
    };
    let Some(path) = path.map(PathBuf::from) else {
        report.refuse(&file.pointer, "it names no file");
        return Ok(());
    };
    let text = match (around.read)(&path) {
        Ok(text) => text,
        Err(_) if !is_required => {
            report.done(&file.pointer, format!("{} is not there, and need not be", path.display()));
            return Ok(());
        }
        Err(source) => return Err(ComposeError::Unreadable { path, source }),
    };
    for (name, value) in lines(&text, &path, &file.pointer)? {
        let pointer = format!("{} {name}", file.pointer);
        set(draft, &name, &value, &pointer, around, report);
    }
    report.done(&file.pointer, draft.in_environment("env"));
    Ok(())
}

/// `NAME=value` lines as Compose reads them: comments, `export`, and quotes around a value.
fn lines(text: &str, path: &Path, pointer: &str) -> Result<Vec<(String, String)>, ComposeError> {
    let mut found = Vec::new();
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=') else {
            return Err(ComposeError::Form {
                path: path.to_owned(),
                pointer: format!("{pointer} line {}", number + 1),
                problem: "it is not `NAME=value`".to_owned(),
            });
        };
        let value = value.trim();
        let quoted = |quote: char| {
            let inside = value.strip_prefix(quote)?;
            inside.get(..inside.rfind(quote)?)
        };
        let value = match quoted('\'').or_else(|| quoted('"')) {
            Some(inside) => inside,
            None => value.split_once(" #").map_or(value, |(value, _)| value).trim_end(),
        };
        found.push((name.trim().to_owned(), value.to_owned()));
    }
    Ok(found)
}

fn set(
    draft: &mut Draft,
    name: &str,
    text: &str,
    pointer: &str,
    around: &Surroundings<'_>,
    report: &mut Report,
) {
    let variable: EnvName = match name.parse() {
        Ok(variable) => variable,
        Err(error) => {
            let error: skep_schemas::ScalarError = error;
            return report.refuse(pointer, format!("{}; {}", error.problem, error.help));
        }
    };
    let to = draft.in_environment(&format!("env.{name}"));
    let has_word = |words: &[&str]| name.to_ascii_uppercase().split('_').any(|part| words.contains(&part));
    let whole = around.address(text).filter(|_| has_word(&HOST_WORDS));
    let readdressed = whole.unwrap_or_else(|| self::readdressed(text, around));
    if readdressed != text {
        report.done(pointer, format!("{to}, with the names by which the other services are reached here"));
    } else if around.environments.contains_key(text) && text != draft.service && !has_word(&NAME_WORDS) {
        let address = around.address(text).unwrap_or_default();
        report.decide(pointer, format!("{to}; if it is the service `{text}`, write {address}"));
    } else if has_word(&SECRET_WORDS)
        && !SWITCHES.contains(&text)
        && !name.to_ascii_uppercase().ends_with("_FILE")
    {
        report.decide(
            pointer,
            format!("{to}; everyone who may read the Environment sees it: keep it in a Secret, which `secrets` gives to processes as a file or a variable"),
        );
    } else {
        report.done(pointer, to);
    }
    draft.env.insert(variable, readdressed.replace("${", "$${"));
}

/// A text in which other services are reached by the names that they have here: where one stands for a host, behind `//` or `@`, or before a port.
pub(super) fn readdressed(text: &str, around: &Surroundings<'_>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let of_host = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    loop {
        let Some(begin) = rest.find(of_host) else {
            out.push_str(rest);
            return out;
        };
        let (before, word) = rest.split_at(begin);
        let end = word.find(|c: char| !of_host(c)).unwrap_or(word.len());
        let (word, after) = word.split_at(end);
        out.push_str(before);
        let has_port =
            after.strip_prefix(':').is_some_and(|port| port.starts_with(|c: char| c.is_ascii_digit()));
        let is_host = out.ends_with("//") || out.ends_with('@') || has_port;
        match around.address(word).filter(|_| is_host) {
            Some(address) => out.push_str(&address),
            None => out.push_str(word),
        }
        rest = after;
    }
}
