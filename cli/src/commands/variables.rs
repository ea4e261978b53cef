//! `skep config get`, `set`, `unset`, `import` and `export`: the variables of an environment.
//!
//! A change is one request: the server makes it in the manifest over the revision that it read, so what others change meanwhile is neither
//! lost nor undone.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use skep_api::wire::{ConfigChange, ConfigItem, ConfigSecret, ConfigView};
use skep_schemas::{EnvName, ResourceKey};

use super::{Outcome, Session};
use crate::address::{Address, resource_path};
use crate::args::environment;
use crate::dotenv;
use crate::output::table::{Cell, render};
use crate::output::text::harmless;
use crate::output::{PlanFormat, print, stdout_style};

/// The largest file of variables: what an environment may have is less.
const FILE_MAX: u64 = 1024 * 1024;

/// Parts of names of what is rather a secret.
const SECRETIVE: [&str; 6] = ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "PRIVATE_KEY", "API_KEY"];

/// `skep config get`
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// Environment: NAME, env/NAME or ORG/Environment/NAME.
    #[arg(value_name = "ENVIRONMENT", value_parser = environment)]
    environment: Address,
    /// Only the value of this one.
    #[arg(value_name = "NAME")]
    name: Option<EnvName>,
    /// Output format.
    #[arg(long, short, value_enum, default_value_t, conflicts_with = "name")]
    output: PlanFormat,
}

/// `skep config set`
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// Environment: NAME, env/NAME or ORG/Environment/NAME.
    #[arg(value_name = "ENVIRONMENT", value_parser = environment)]
    environment: Address,
    /// Variables, all in one release.
    #[arg(value_name = "NAME=VALUE", required = true, value_parser = pair)]
    variables: Vec<(EnvName, String)>,
}

/// `skep config unset`
#[derive(Debug, Args)]
pub(crate) struct UnsetArgs {
    /// Environment: NAME, env/NAME or ORG/Environment/NAME.
    #[arg(value_name = "ENVIRONMENT", value_parser = environment)]
    environment: Address,
    /// Variables, all in one release.
    #[arg(value_name = "NAME", required = true)]
    names: Vec<EnvName>,
}

/// `skep config import`
#[derive(Debug, Args)]
#[command(
    after_help = "Variables that the file does not name stay. Nothing is put in the place of `$NAME` in values."
)]
pub(crate) struct ImportArgs {
    /// Environment: NAME, env/NAME or ORG/Environment/NAME.
    #[arg(value_name = "ENVIRONMENT", value_parser = environment)]
    environment: Address,
    /// File of lines NAME=VALUE, or `-` for standard input.
    #[arg(value_name = "FILE|-")]
    file: PathBuf,
}

/// `skep config export`
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Environment: NAME, env/NAME or ORG/Environment/NAME.
    #[arg(value_name = "ENVIRONMENT", value_parser = environment)]
    environment: Address,
}

fn pair(text: &str) -> Result<(EnvName, String), String> {
    // The text may be a value that somebody forgot to name: it is not shown again.
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    let name = name.parse().map_err(|e: skep_schemas::ScalarError| format!("{e}; {}", e.help))?;
    Ok((name, value.to_owned()))
}

/// Carries `get` out.
pub(super) async fn get(session: &Session, args: GetArgs) -> Result<Outcome> {
    let config = read(session, &args.environment.key(session.org.as_ref())?).await?;
    let Some(name) = args.name else {
        print(&args.output.of(&config, || table(&config))?)?;
        return Ok(Outcome::Done);
    };
    if let Some(item) = config.items.iter().find(|item| item.name == name) {
        if let Some(resolved) = &item.resolved {
            eprintln!("note: its processes get {}", harmless(resolved));
        }
        let is_shown = std::io::stdout().is_terminal();
        print(&format!("{}\n", if is_shown { harmless(&item.value) } else { item.value.clone() }))?;
        return Ok(Outcome::Done);
    }
    if let Some(secret) = config.secrets.iter().find(|secret| secret.env.as_ref() == Some(&name)) {
        bail!("{name} has the value of Secret {}, which is told by nobody", secret.secret);
    }
    bail!("there is no variable {name}\nhelp: see those that there are with `skep config get`");
}

/// Carries `set` out.
pub(super) async fn set(session: &Session, args: SetArgs) -> Result<Outcome> {
    let mut env = BTreeMap::new();
    for (name, value) in args.variables {
        ensure!(env.insert(name.clone(), Some(value)).is_none(), "{name} is given twice");
    }
    change(session, &args.environment.key(session.org.as_ref())?, env).await
}

/// Carries `unset` out.
pub(super) async fn unset(session: &Session, args: UnsetArgs) -> Result<Outcome> {
    let env = args.names.into_iter().map(|name| (name, None)).collect();
    change(session, &args.environment.key(session.org.as_ref())?, env).await
}

/// Carries `import` out.
pub(super) async fn import(session: &Session, args: ImportArgs) -> Result<Outcome> {
    let text = text(&args.file)?;
    let found = dotenv::parse(&text).with_context(|| args.file.display().to_string())?;
    ensure!(!found.is_empty(), "{} has no variables", args.file.display());
    let env = found.into_iter().map(|(name, value)| (name, Some(value))).collect();
    change(session, &args.environment.key(session.org.as_ref())?, env).await
}

/// Carries `export` out.
pub(super) async fn export(session: &Session, args: ExportArgs) -> Result<Outcome> {
    let config = read(session, &args.environment.key(session.org.as_ref())?).await?;
    print(&exported(&config))?;
    Ok(Outcome::Done)
}

fn text(file: &Path) -> Result<String> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(FILE_MAX + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|opened| opened.take(FILE_MAX + 1).read_to_string(&mut text))
    };
    let length = read.with_context(|| format!("{} cannot be read", file.display()))?;
    ensure!(u64::try_from(length)? <= FILE_MAX, "{} is larger than {FILE_MAX} bytes", file.display());
    Ok(text)
}

fn path(key: &ResourceKey) -> String {
    format!("{}/config", resource_path(key))
}

async fn read(session: &Session, key: &ResourceKey) -> Result<ConfigView> {
    Ok(session.client.get(&path(key)).await?)
}

async fn change(
    session: &Session,
    key: &ResourceKey,
    env: BTreeMap<EnvName, Option<String>>,
) -> Result<Outcome> {
    let change = ConfigChange { env };
    let config: ConfigView = session.client.patch(&path(key), &change).await?;
    for name in change.env.iter().filter(|(_, value)| value.is_some()).map(|(name, _)| name) {
        if SECRETIVE.iter().any(|part| name.as_str().to_ascii_uppercase().contains(part)) {
            eprintln!(
                "note: whoever may read {key} sees {name}; a Secret is for what nobody shall see (docs/guides/secrets.md)"
            );
        }
    }
    print(&said(key, &change, &config))?;
    Ok(Outcome::Done)
}

/// What is said of a change that was made.
fn said(key: &ResourceKey, change: &ConfigChange, config: &ConfigView) -> String {
    let named = |set: bool| -> Vec<&str> {
        let names = change.env.iter().filter(|(_, value)| value.is_some() == set);
        names.map(|(name, _)| name.as_str()).collect()
    };
    let parts: Vec<String> = [("set", named(true)), ("removed", named(false))]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{what} {}", names.join(", ")))
        .collect();
    let mut text = format!("{key}: {}\n", parts.join("; "));
    for item in config.items.iter().filter(|item| change.env.contains_key(&item.name)) {
        for process in &item.overridden_by {
            text.push_str(&format!("{process} says another {} itself, which wins there\n", item.name));
        }
    }
    text
}

fn table(config: &ConfigView) -> String {
    let variable = |item: &ConfigItem| {
        let since = item.since.as_ref();
        let release = since.map_or_else(
            || "not released yet".to_owned(),
            |since| format!("v{}{}", since.release, if since.or_earlier { " or earlier" } else { "" }),
        );
        let by = since.and_then(|since| since.by.clone()).unwrap_or_default();
        [item.name.to_string(), value(item), release, by].map(Cell::from).to_vec()
    };
    let secret = |secret: &ConfigSecret| {
        let name = secret.env.as_ref().map_or_else(|| file(secret), ToString::to_string);
        [name, format!("***** (Secret {})", secret.secret), String::new(), String::new()]
            .map(Cell::from)
            .to_vec()
    };
    let rows: Vec<Vec<Cell>> =
        config.items.iter().map(variable).chain(config.secrets.iter().map(secret)).collect();
    render(&["NAME", "VALUE", "SINCE", "BY"], &rows, stdout_style())
}

/// The value, and what its references stand for.
fn value(item: &ConfigItem) -> String {
    match &item.resolved {
        Some(resolved) => format!("{} -> {resolved}", item.value),
        None => item.value.clone(),
    }
}

fn file(secret: &ConfigSecret) -> String {
    let name = secret.file.as_ref().map_or_else(|| secret.secret.to_string(), ToString::to_string);
    format!("/run/secrets/{name}")
}

fn exported(config: &ConfigView) -> String {
    let variables = config.items.iter().map(|item| dotenv::line(&item.name, &item.value));
    let secrets = config.secrets.iter().filter_map(|secret| {
        Some(format!(
            "# {} has the value of Secret {}, which is told by nobody\n",
            secret.env.as_ref()?,
            secret.secret
        ))
    });
    variables.chain(secrets).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ConfigView {
        serde_json::from_value(serde_json::json!({
            "revision": 7,
            "items": [
                {"name": "GREETING", "value": "two words\u{1b}[2J", "overriddenBy": ["worker"]},
                {"name": "STAGE", "value": "live",
                 "since": {"release": 3, "by": "ann", "at": "2026-01-02T03:04:05Z", "orEarlier": true}},
                {"name": "URL", "value": "${domain.www.url}/x", "resolved": "https://www.acme.example/x"},
            ],
            "secrets": [{"secret": "db", "env": "DATABASE_URL"}, {"secret": "tls", "file": "key.pem"}],
        }))
        .unwrap()
    }

    #[test]
    fn variables_are_shown_with_where_they_come_from_and_secrets_without_a_value() {
        let table = table(&config());
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[1].starts_with("GREETING") && lines[1].ends_with("not released yet"), "{table}");
        assert!(!table.contains('\u{1b}'), "{table}");
        assert!(lines[2].contains("live") && lines[2].ends_with("v3 or earlier     ann"), "{table}");
        assert!(lines[3].contains("${domain.www.url}/x -> https://www.acme.example/x"), "{table}");
        assert!(lines[4].starts_with("DATABASE_URL") && lines[4].contains("***** (Secret db)"), "{table}");
        assert!(lines[5].starts_with("/run/secrets/key.pem"), "{table}");
    }

    #[test]
    fn what_is_exported_can_be_imported_and_names_no_secrets_value() {
        let text = exported(&config());
        assert!(text.contains("# DATABASE_URL has the value of Secret db"), "{text}");
        let read = dotenv::parse(&text).unwrap();
        assert_eq!(
            read.into_values().collect::<Vec<_>>(),
            ["two words\u{1b}[2J", "live", "${domain.www.url}/x"]
        );
    }

    #[test]
    fn a_change_says_what_it_did_and_which_process_goes_its_own_way() {
        let key = "acme/Environment/live".parse::<Address>().unwrap().key(None).unwrap();
        let env = BTreeMap::from([
            ("GREETING".parse().unwrap(), Some("x".to_owned())),
            ("OLD".parse().unwrap(), None),
        ]);
        let said = said(&key, &ConfigChange { env }, &config());
        assert_eq!(
            said,
            "acme/Environment/live: set GREETING; removed OLD\nworker says another GREETING itself, which wins there\n"
        );
        assert!(pair("canary").is_err_and(|error| !error.contains("canary")));
        assert_eq!(pair("A=b=c"), Ok(("A".parse().unwrap(), "b=c".to_owned())));
    }
}
