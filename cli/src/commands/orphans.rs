//! `skep orphans`: objects in the Swarm that Skep made and nothing refers to, until they are collected.

use anyhow::Result;
use clap::Args;
use skep_api::wire::OrphanList;

use super::{Outcome, Session};
use crate::output::table::{Cell, render};
use crate::output::{PlanFormat, print, stdout_style};

/// `skep orphans`
#[derive(Debug, Args)]
pub(crate) struct OrphansArgs {
    /// Output format.
    #[arg(long, short, value_enum, default_value_t)]
    output: PlanFormat,
}

/// Carries it out.
pub(super) async fn run(session: &Session, args: &OrphansArgs) -> Result<Outcome> {
    let orphans: OrphanList = session.client.get("/v1/orphans").await?;
    print(
        &args
            .output
            .of(&orphans, || if orphans.items.is_empty() { String::new() } else { table(&orphans) })?,
    )?;
    if orphans.items.is_empty() && args.output == PlanFormat::Text {
        eprintln!("there are no orphans");
    }
    Ok(Outcome::Done)
}

fn table(orphans: &OrphanList) -> String {
    let row = |orphan: &skep_api::wire::OrphanView| -> Vec<Cell> {
        vec![
            orphan.kind.clone().into(),
            orphan.name.clone().into(),
            orphan.owner.clone().unwrap_or_else(|| "-".to_owned()).into(),
            orphan.first_seen_at.to_string().into(),
            orphan.collected_after.to_string().into(),
        ]
    };
    let rows: Vec<Vec<Cell>> = orphans.items.iter().map(row).collect();
    render(&["KIND", "NAME", "MADE FOR", "FIRST SEEN", "COLLECTED AFTER"], &rows, stdout_style())
}
