//! `skep diff`: what an apply would change, as an exit code.

use anyhow::Result;
use clap::Args;

use super::{Outcome, Session, plan};
use crate::args::{Sources, TakeOver};
use crate::output::{PlanFormat, print};

/// `skep diff`
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    take_over: TakeOver,
    /// Output format.
    #[arg(long, short, value_enum, default_value_t)]
    output: PlanFormat,
}

/// Carries it out.
pub(super) async fn run(session: &Session, args: DiffArgs) -> Result<Outcome> {
    let preview = plan::preview(session, &session.read(&args.sources)?, args.take_over).await?;
    print(&plan::shown(&preview, args.output)?)?;
    Ok(if preview.is_quiet() { Outcome::Done } else { Outcome::Negative })
}
