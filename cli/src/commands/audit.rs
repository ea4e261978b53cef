//! `skep audit`: who did what, and whether it is still told as it was.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use skep_api::wire::{AuditChainQuery, AuditChainView, AuditList, AuditOutcome, AuditSearch, AuditView};

use super::{Outcome, Session};
use crate::audit_chain::{Check, Found, Remembered};
use crate::client::with_query;
use crate::output::table::{Cell, render};
use crate::output::{PlanFormat, json, print, stdout_style};

/// Entries that are listed when no number is asked for.
const LISTED: u32 = 50;

/// `skep audit`
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// List entries, the newest first.
    List(ListArgs),
    /// Check that no entry was changed, removed or added since it was made.
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Of everything, instead of the organisation.
    #[arg(long)]
    platform: bool,
    /// By this actor only.
    #[arg(long)]
    actor: Option<String>,
    /// With this verb or permission only, such as `delete`.
    #[arg(long)]
    verb: Option<String>,
    /// About this kind only.
    #[arg(long)]
    kind: Option<String>,
    /// About this name only.
    #[arg(long)]
    name: Option<String>,
    /// What was denied only.
    #[arg(long)]
    denied: bool,
    /// Not before this time, such as 2026-11-20T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// At most so many.
    #[arg(long, default_value_t = LISTED)]
    limit: u32,
    /// Output format.
    #[arg(long, short, value_enum, default_value_t)]
    output: PlanFormat,
}

#[derive(Debug, Args)]
struct VerifyArgs {
    /// Keep what was verified in this file, and begin with what is in it: that also shows whether the end was cut off or everything was
    /// written anew. Keep it where whoever can write the database cannot.
    #[arg(long, value_name = "FILE")]
    remember: Option<PathBuf>,
    /// Output format.
    #[arg(long, short, value_enum, default_value_t)]
    output: PlanFormat,
}

/// Carries it out.
pub(super) async fn run(session: &Session, args: AuditArgs) -> Result<Outcome> {
    match args.command {
        AuditCommand::List(args) => list(session, args).await,
        AuditCommand::Verify(args) => verify(session, &args).await,
    }
}

async fn list(session: &Session, args: ListArgs) -> Result<Outcome> {
    let path = match (&session.org, args.platform) {
        (_, true) => "/v1/audit".to_owned(),
        (Some(org), false) => format!("/v1/orgs/{org}/audit"),
        (None, false) => bail!("whose audit?\nhelp: name an organisation with --org, or say --platform"),
    };
    let search = AuditSearch {
        actor: args.actor,
        verb: args.verb,
        kind: args.kind,
        name: args.name,
        outcome: args.denied.then_some(AuditOutcome::Denied),
        since: args.since,
        before: None,
        limit: Some(args.limit),
    };
    let found: AuditList = session.client.get(&with_query(&path, &search)?).await?;
    print(&args.output.of(&found, || table(&found))?)?;
    Ok(Outcome::Done)
}

fn table(found: &AuditList) -> String {
    let row = |entry: &AuditView| -> Vec<Cell> {
        let about = match (&entry.org, entry.kind.as_str()) {
            (Some(org), "") => org.clone(),
            (None, "") => "-".to_owned(),
            (Some(org), kind) => format!("{org}/{kind}/{}", entry.name),
            (None, kind) => format!("{kind}/{}", entry.name),
        };
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        vec![
            entry.at.to_string().into(),
            entry.outcome.as_str().into(),
            entry.actor.clone().into(),
            or_dash(&entry.acting_as).into(),
            entry.verb.clone().into(),
            about.into(),
            or_dash(&entry.peer).into(),
        ]
    };
    let rows: Vec<Vec<Cell>> = found.items.iter().map(row).collect();
    render(&["AT", "OUTCOME", "ACTOR", "AS", "VERB", "ABOUT", "FROM"], &rows, stdout_style())
}

async fn verify(session: &Session, args: &VerifyArgs) -> Result<Outcome> {
    let remembered = args.remember.as_deref().map(remembered).transpose()?.flatten();
    let mut check = Check::new(remembered);
    loop {
        let query = AuditChainQuery { after: check.position(), limit: None };
        let page: AuditChainView = session.client.get(&with_query("/v1/audit/chain", &query)?).await?;
        let is_last = page.items.is_empty();
        check.page(&page);
        if is_last || check.is_broken() {
            break;
        }
    }
    let found = check.end();
    if let (Some(path), Some(remember)) = (&args.remember, &found.remember) {
        let text = json(remember)?;
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    print(&args.output.of(&found, || told(&found))?)?;
    Ok(if found.findings.is_empty() { Outcome::Done } else { Outcome::Negative })
}

fn told(found: &Found) -> String {
    let Found { entries, position, link, seals, findings, .. } = found;
    if findings.is_empty() {
        return format!(
            "{entries} entries and {seals} seals are as they were made; the last is number {position}, {link}\n"
        );
    }
    let mut text = "the audit is not as it was made:\n".to_owned();
    for finding in findings {
        text.push_str(&format!("  {finding}\n"));
    }
    text
}

fn remembered(path: &Path) -> Result<Option<Remembered>> {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let read = serde_json::from_str(&text);
            read.map(Some)
                .with_context(|| format!("{} is not what `skep audit verify` writes", path.display()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}
