//! `skep secrets`: which values a secret had, where they are used, and another value in their place while everything runs.

use std::io::{IsTerminal, Read};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use skep_api::wire::{
    ResourceView, RestoreSecret, SecretOrigin, SecretReleaseView, SecretRotated, SecretUseView,
    SecretVersionList, SecretVersionView, SecretWhere,
};
use skep_schemas::ResourceName;
use skep_schemas::kind::{SECRET_VALUE_MAX, SecretValue};

use super::secret_rollout::until_retired;
use super::{Outcome, Session};
use crate::args::span;
use crate::output::table::{Cell, render};
use crate::output::{PlanFormat, print, stdout_style};

/// `skep secrets`
#[derive(Debug, Args)]
pub(crate) struct SecretsArgs {
    #[command(subcommand)]
    command: SecretsCommand,
}

#[derive(Debug, Subcommand)]
enum SecretsCommand {
    /// List the values that a secret had, without them: who made each, when, and which releases have it.
    Versions {
        /// The secret.
        name: ResourceName,
        /// Output format.
        #[arg(long, short, value_enum, default_value_t)]
        output: PlanFormat,
    },
    /// Show which environments, processes and releases use which version.
    Where {
        /// The secret.
        name: ResourceName,
        /// Output format.
        #[arg(long, short, value_enum, default_value_t)]
        output: PlanFormat,
    },
    /// Give a secret another value: another random one if it is made at random, else the one on standard input.
    #[command(
        after_help = "The value is taken byte for byte: `printf %s \"$value\" | skep secrets rotate NAME`."
    )]
    Rotate {
        /// The secret.
        name: ResourceName,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Make a former value the current one again, as a new version.
    Restore {
        /// The secret.
        name: ResourceName,
        /// The version that has the value.
        version: u32,
        #[command(flatten)]
        wait: WaitArgs,
    },
}

#[derive(Debug, Args)]
struct WaitArgs {
    /// Wait until every environment that names it runs with the new value and the former one is gone from the Swarm.
    #[arg(long)]
    wait: bool,
    /// How long to wait at most.
    #[arg(long, value_name = "SPAN", default_value = "15m", value_parser = span)]
    timeout: Duration,
}

/// Carries it out.
pub(super) async fn run(session: &Session, args: SecretsArgs) -> Result<Outcome> {
    match args.command {
        SecretsCommand::Versions { name, output } => versions(session, &name, output).await,
        SecretsCommand::Where { name, output } => used(session, &name, output).await,
        SecretsCommand::Rotate { name, wait } => rotate(session, &name, &wait).await,
        SecretsCommand::Restore { name, version, wait } => restore(session, &name, version, &wait).await,
    }
}

/// Where the server has a secret.
fn path(session: &Session, name: &ResourceName) -> Result<String> {
    let org = session.org.as_ref().context("whose secret?\nhelp: name an organisation with --org")?;
    Ok(format!("/v1/orgs/{org}/secrets/{name}"))
}

async fn versions(session: &Session, name: &ResourceName, output: PlanFormat) -> Result<Outcome> {
    let path = path(session, name)?;
    let versions: SecretVersionList = session.client.get(&format!("{path}/versions")).await?;
    print(&output.of(&versions, || version_table(&versions))?)?;
    Ok(Outcome::Done)
}

fn version_table(versions: &SecretVersionList) -> String {
    let row = |version: &SecretVersionView| -> Vec<Cell> {
        let current = if version.current { " (current)" } else { "" };
        let origin = match (version.origin, version.restored_from) {
            (SecretOrigin::Written, _) => "written".to_owned(),
            (SecretOrigin::Generated, _) => "made at random".to_owned(),
            (SecretOrigin::Restored, None) => "a former one".to_owned(),
            (SecretOrigin::Restored, Some(from)) => format!("that of version {from}"),
        };
        let release = |release: &SecretReleaseView| format!("{} v{}", release.environment, release.release);
        let releases: Vec<String> = version.releases.iter().map(release).collect();
        vec![
            format!("{}{current}", version.version).into(),
            origin.into(),
            version.created_at.to_string().into(),
            version.made_by.clone().unwrap_or_else(|| "-".to_owned()).into(),
            if releases.is_empty() { "-".to_owned() } else { releases.join(", ") }.into(),
        ]
    };
    let rows: Vec<Vec<Cell>> = versions.items.iter().map(row).collect();
    render(&["VERSION", "VALUE", "SINCE", "BY", "RELEASES"], &rows, stdout_style())
}

async fn used(session: &Session, name: &ResourceName, output: PlanFormat) -> Result<Outcome> {
    let path = path(session, name)?;
    let used: SecretWhere = session.client.get(&format!("{path}/where")).await?;
    print(&output.of(&used, || use_table(&used))?)?;
    Ok(Outcome::Done)
}

fn use_table(used: &SecretWhere) -> String {
    let row = |one: &SecretUseView| -> Vec<Cell> {
        let names = |names: &[skep_schemas::ProcessName]| match names {
            [] => "-".to_owned(),
            some => some.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        vec![
            one.environment.to_string().into(),
            format!("v{}", one.release).into(),
            one.version.to_string().into(),
            format!("/run/secrets/{}", one.file).into(),
            names(&one.processes).into(),
            names(&one.running).into(),
        ]
    };
    let rows: Vec<Vec<Cell>> = used.uses.iter().map(row).collect();
    let mut text =
        render(&["ENVIRONMENT", "RELEASE", "VERSION", "FILE", "PROCESSES", "RUNNING"], &rows, stdout_style());
    let unused: Vec<String> = used
        .environments
        .iter()
        .filter(|environment| !used.uses.iter().any(|one| one.environment == **environment))
        .map(ToString::to_string)
        .collect();
    if !unused.is_empty() {
        text.push_str(&format!("named by {}, without a release that has it\n", unused.join(", ")));
    }
    text
}

async fn rotate(session: &Session, name: &ResourceName, wait: &WaitArgs) -> Result<Outcome> {
    let path = path(session, name)?;
    let secret: ResourceView = session.client.get(&path).await?;
    let body = if secret.spec.get("generate").is_some() {
        json!({})
    } else {
        // It is written into this one request, and nowhere else.
        json!({ "value": from_stdin()?.expose_secret() })
    };
    changed(session, &path, "rotate", &body, wait).await
}

async fn restore(session: &Session, name: &ResourceName, version: u32, wait: &WaitArgs) -> Result<Outcome> {
    let body = serde_json::to_value(RestoreSecret { version })?;
    changed(session, &path(session, name)?, "restore", &body, wait).await
}

async fn changed(
    session: &Session,
    path: &str,
    verb: &str,
    body: &Value,
    wait: &WaitArgs,
) -> Result<Outcome> {
    let changed: SecretRotated = session.client.post(&format!("{path}/{verb}"), body).await?;
    let name = &changed.resource.metadata.name;
    print(&format!("secret {name} has a new value, version {}\n", changed.version))?;
    if !wait.wait {
        return Ok(Outcome::Done);
    }
    let outcome = until_retired(&session.client, path, &changed, wait.timeout).await?;
    if matches!(outcome, Outcome::Done) {
        print(&format!("version {} is in use everywhere, and the former one is gone\n", changed.version))?;
    }
    Ok(outcome)
}

fn from_stdin() -> Result<SecretValue> {
    let mut input = std::io::stdin();
    if input.is_terminal() {
        bail!(
            "its value is not made at random, and none is given\nhelp: send the new value to standard input"
        );
    }
    let most = u64::try_from(SECRET_VALUE_MAX)?.saturating_add(1);
    let mut value = String::new();
    input
        .by_ref()
        .take(most)
        .read_to_string(&mut value)
        .context("the value on standard input is not UTF-8 text")?;
    let value = SecretValue::new(value);
    ensure!(!value.expose_secret().is_empty(), "standard input is empty\nhelp: send the new value to it");
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn versions_are_told_with_where_they_came_from_and_who_has_them() {
        let versions: SecretVersionList = serde_json::from_value(json!({"items": [
            {"version": 2, "current": true, "origin": "restored", "restoredFrom": 1, "createdAt": "2026-03-01T12:00:00Z",
             "madeBy": "ann", "releases": [{"environment": "prod", "release": 3, "verdict": "pending"}]},
            {"version": 1, "current": false, "origin": "generated", "createdAt": "2026-03-01T11:00:00Z"},
        ]}))
        .unwrap();
        assert_eq!(
            lines(&version_table(&versions)),
            [
                "VERSION      VALUE              SINCE                 BY   RELEASES",
                "2 (current)  that of version 1  2026-03-01T12:00:00Z  ann  prod v3",
                "1            made at random     2026-03-01T11:00:00Z  -    -",
            ]
        );
    }

    #[test]
    fn uses_are_told_by_release_and_an_environment_without_one_is_named() {
        let used: SecretWhere = serde_json::from_value(json!({
            "current": 2, "environments": ["prod", "staging"], "objects": [],
            "uses": [{"environment": "prod", "release": 3, "verdict": "succeeded", "version": 2, "object": "o", "file": "db",
                      "processes": ["web", "worker"], "running": ["web"], "needed": true}],
        }))
        .unwrap();
        assert_eq!(
            lines(&use_table(&used)),
            [
                "ENVIRONMENT  RELEASE  VERSION  FILE             PROCESSES    RUNNING",
                "prod         v3       2        /run/secrets/db  web, worker  web",
                "named by staging, without a release that has it",
            ]
        );
    }
}
