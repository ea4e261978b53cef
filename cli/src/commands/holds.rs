//! `skep holds`: what is not done before someone confirms it.

use anyhow::Result;
use clap::Args;
use skep_api::wire::{HoldList, HoldQuery, HoldView};

use super::{Outcome, Session};
use crate::client::with_query;
use crate::output::text::harmless;
use crate::output::{PlanFormat, print};

/// `skep holds`
#[derive(Debug, Args)]
pub(crate) struct HoldsArgs {
    /// Also those that have ended.
    #[arg(long)]
    all: bool,
    /// Output format.
    #[arg(long, short, value_enum, default_value_t)]
    output: PlanFormat,
}

/// Carries it out.
pub(super) async fn run(session: &Session, args: &HoldsArgs) -> Result<Outcome> {
    let holds = list(session, args.all).await?;
    print(&args.output.of(&holds, || holds.items.iter().map(shown).collect::<Vec<_>>().join("\n"))?)?;
    if holds.items.is_empty() && args.output == PlanFormat::Text {
        eprintln!("nothing is on hold");
    }
    Ok(Outcome::Done)
}

/// The holds that are in force, or all.
pub(super) async fn list(session: &Session, all: bool) -> Result<HoldList> {
    Ok(session.client.get(&with_query("/v1/holds", &HoldQuery { all })?).await?)
}

/// A hold at length.
pub(super) fn shown(hold: &HoldView) -> String {
    let mut text = format!("hold {} on {}: {}\n  since {}\n", hold.id, hold.scope, hold.reason, hold.since);
    text.push_str(&format!("  {}\n", harmless(&hold.why)));
    for piece in &hold.evidence {
        text.push_str(&format!("    {}\n", harmless(piece)));
    }
    match (&hold.confirmed_by, hold.confirmed_at, hold.settled_at) {
        (Some(by), Some(at), _) => text.push_str(&format!("  confirmed by {} at {at}\n", harmless(by))),
        (_, _, Some(at)) => text.push_str(&format!("  ended at {at}\n")),
        _ => text.push_str(&format!("  to go on: skep confirm {} ({})\n", hold.id, hold.on_confirm)),
    }
    text
}
