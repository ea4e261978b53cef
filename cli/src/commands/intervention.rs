//! `skep pause`, `skep resume` and `skep retry`: what people ask of the loop about one resource.

use anyhow::Result;
use clap::Args;
use skep_api::wire::{PauseRequest, ResourceView};

use super::{Outcome, Session};
use crate::address::resource_path;
use crate::args::OneResource;
use crate::output::print;
use crate::output::text::harmless;

/// `skep pause`
#[derive(Debug, Args)]
pub(crate) struct PauseArgs {
    #[command(flatten)]
    what: OneResource,
    /// Why; everyone who looks at the resource sees it.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// When it ends by itself, such as `2h` or `14d`; until it is resumed when absent.
    #[arg(long = "for", value_name = "SPAN")]
    length: Option<String>,
}

/// `skep resume`
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    what: OneResource,
}

/// `skep retry`
#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    #[command(flatten)]
    what: OneResource,
}

/// Carries out `skep pause`.
pub(super) async fn pause(session: &Session, args: PauseArgs) -> Result<Outcome> {
    let key = args.what.address()?.key(session.org.as_ref())?;
    let request = PauseRequest { reason: args.reason, length: args.length };
    let view: ResourceView = session.client.post(&format!("{}/pause", resource_path(&key)), &request).await?;
    let until = view.metadata.pause.and_then(|pause| pause.until);
    let until = until.map_or_else(|| "it is resumed".to_owned(), |until| until.to_string());
    print(&format!("{key} paused until {}\n", harmless(&until)))?;
    Ok(Outcome::Done)
}

/// Carries out `skep resume`.
pub(super) async fn resume(session: &Session, args: ResumeArgs) -> Result<Outcome> {
    ask(session, args.what, "resume", "resumed").await
}

/// Carries out `skep retry`.
pub(super) async fn retry(session: &Session, args: RetryArgs) -> Result<Outcome> {
    ask(session, args.what, "retry", "will be tried again").await
}

async fn ask(session: &Session, what: OneResource, verb: &str, done: &str) -> Result<Outcome> {
    let key = what.address()?.key(session.org.as_ref())?;
    let _: ResourceView = session.client.post(&format!("{}/{verb}", resource_path(&key)), &()).await?;
    print(&format!("{key} {done}\n"))?;
    Ok(Outcome::Done)
}
