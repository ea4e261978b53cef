//! `skep plan`: what an apply would change and what that costs, from the planner that the server itself uses.

use anyhow::Result;
use clap::Args;
use skep_api::wire::PreviewView;

use super::{Outcome, Session, apply};
use crate::args::Sources;
use crate::output::{PlanFormat, json, print, yaml};

/// `skep plan`
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    sources: Sources,
    /// Output format.
    #[arg(long, short, value_enum, default_value_t)]
    output: PlanFormat,
}

/// Carries it out.
pub(super) async fn run(session: &Session, args: PlanArgs) -> Result<Outcome> {
    let preview = preview(session, &args.sources).await?;
    print(&shown(&preview, args.output)?)?;
    Ok(Outcome::Done)
}

/// Asks the server. The values of secrets go with it: whether they changed is part of the plan.
pub(super) async fn preview(session: &Session, sources: &Sources) -> Result<PreviewView> {
    let manifests = session.read(sources)?;
    apply::send(session, "/v1/plan", &manifests).await
}

/// The preview in a format.
pub(super) fn shown(preview: &PreviewView, format: PlanFormat) -> Result<String> {
    match format {
        PlanFormat::Text => Ok(preview.render()),
        PlanFormat::Json => json(preview),
        PlanFormat::Yaml => yaml(preview),
    }
}
