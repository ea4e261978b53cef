//! `skep confirm`: shows what is on hold and what confirming it does, asks, and confirms.

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use skep_api::wire::HoldView;

use super::holds::{list, shown};
use super::{Outcome, Session};
use crate::ask::agreed;
use crate::output::print;

/// `skep confirm`
#[derive(Debug, Args)]
pub(crate) struct ConfirmArgs {
    /// Number of the hold.
    #[arg(value_name = "ID")]
    id: i64,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

/// Carries it out.
pub(super) async fn run(session: &Session, args: &ConfirmArgs) -> Result<Outcome> {
    let holds = list(session, false).await?;
    let hold = holds.items.iter().find(|hold| hold.id == args.id).with_context(|| {
        format!("no hold {} is in force\nhelp: `skep holds` lists those that are", args.id)
    })?;
    eprint!("{}", shown(hold));
    eprintln!("confirming it: {}", hold.on_confirm);
    if !args.yes && !agreed("confirm", "look at `skep holds`")? {
        eprintln!("not confirmed");
        return Ok(Outcome::Negative);
    }
    let path = format!("/v1/holds/{}/confirm", hold.id);
    let confirmed: HoldView = session.client.post(&path, &json!({})).await?;
    print(&format!("hold {} confirmed\n", confirmed.id))?;
    Ok(Outcome::Done)
}
