//! `skep master-key`: which master key is in force, and putting another in its place.

use anyhow::Result;
use clap::{Args, Subcommand};
use skep_api::wire::{ClosedOrganization, MasterKeyRotation, MasterKeyView, RotateMasterKey};

use super::{Outcome, Session};
use crate::output::table::{Cell, render};
use crate::output::text::harmless;
use crate::output::{PlanFormat, print, stdout_style};

/// `skep master-key`
#[derive(Debug, Args)]
#[command(after_help = "To change the master key while everything runs:\n\
    1. Make a new key and give it to every server with --further-key-file, one server after the other.\n\
    2. Make it every server's own: the new one with --key-file, the former one with --further-key-file.\n\
    3. Run `skep master-key rotate`; when it was cut off, run it again.\n\
    4. When nothing is left that the former key wrapped, take it away. Backups from before need it still.")]
pub(crate) struct MasterKeyArgs {
    #[command(subcommand)]
    command: MasterKeyCommand,
}

#[derive(Debug, Subcommand)]
enum MasterKeyCommand {
    /// Show which key is in force, and what others are still needed for.
    Status {
        /// Output format.
        #[arg(long, short, value_enum, default_value_t)]
        output: PlanFormat,
    },
    /// Put the server's own key in force, and wrap with it what others wrapped.
    Rotate {
        /// Another key that the server has, by the name that `status` shows.
        #[arg(long, value_name = "ID")]
        to: Option<String>,
        /// Output format.
        #[arg(long, short, value_enum, default_value_t)]
        output: PlanFormat,
    },
}

/// Carries it out.
pub(super) async fn run(session: &Session, args: MasterKeyArgs) -> Result<Outcome> {
    match args.command {
        MasterKeyCommand::Status { output } => status(session, output).await,
        MasterKeyCommand::Rotate { to, output } => rotate(session, to, output).await,
    }
}

async fn status(session: &Session, output: PlanFormat) -> Result<Outcome> {
    let standing: MasterKeyView = session.client.get("/v1/master-key").await?;
    print(&output.of(&standing, || shown(&standing))?)?;
    Ok(if standing.closed.is_empty() { Outcome::Done } else { Outcome::Negative })
}

fn shown(standing: &MasterKeyView) -> String {
    let row = |key: &skep_api::wire::MasterKeyUse| -> Vec<Cell> {
        let mut is = Vec::new();
        if key.id == standing.in_force {
            is.push(format!("in force since {}", standing.since));
        }
        if key.id == standing.own {
            is.push("the server's own".to_owned());
        }
        if !key.held {
            is.push("not given to the server".to_owned());
        }
        vec![key.id.clone().into(), key.organizations.to_string().into(), is.join(", ").into()]
    };
    let rows: Vec<Vec<Cell>> = standing.keys.iter().map(row).collect();
    let mut text = render(&["KEY", "ORGANISATIONS", "IS"], &rows, stdout_style());
    text.push_str(&closed(&standing.closed));
    text
}

fn closed(organizations: &[ClosedOrganization]) -> String {
    let line = |closed: &ClosedOrganization| {
        let (org, key) = (harmless(&closed.organization), harmless(&closed.master_key));
        format!("the secrets of {org} cannot be opened: its data key was wrapped by master key {key}\n")
    };
    organizations.iter().map(line).collect()
}

async fn rotate(session: &Session, to: Option<String>, output: PlanFormat) -> Result<Outcome> {
    let path = "/v1/master-key/rotate";
    let mut so_far: MasterKeyRotation =
        session.client.post(path, &RotateMasterKey { to, after: None }).await?;
    while let Some(after) = so_far.next {
        if output == PlanFormat::Text {
            eprintln!("{} data keys wrapped anew, {} left", so_far.rewrapped, so_far.left);
        }
        // By name: another server may answer, whose own key is another one.
        let request = RotateMasterKey { to: Some(so_far.in_force.clone()), after: Some(after) };
        let batch: MasterKeyRotation = session.client.post(path, &request).await?;
        so_far.rewrapped += batch.rewrapped;
        so_far.closed.extend(batch.closed);
        so_far = MasterKeyRotation { left: batch.left, next: batch.next, ..so_far };
    }
    print(&output.of(&so_far, || came_to(&so_far))?)?;
    Ok(if so_far.left == 0 { Outcome::Done } else { Outcome::Negative })
}

fn came_to(rotation: &MasterKeyRotation) -> String {
    let MasterKeyRotation { in_force, began, rewrapped, left, .. } = rotation;
    let since = if *began { "is now in force" } else { "was in force" };
    let end = match left {
        0 => "no other key is needed any more".to_owned(),
        left => format!("{left} are left that other keys wrapped: do not take those away"),
    };
    format!(
        "master key {in_force} {since}; {rewrapped} data keys wrapped anew; {end}\n{}",
        closed(&rotation.closed)
    )
}
