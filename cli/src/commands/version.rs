//! `skep version`: of this program, and of the server if one answers.

use anyhow::Result;
use clap::Args;
use serde_json::json;
use skep_api::wire::VersionView;

use super::{Outcome, Session};
use crate::args::Global;
use crate::output::{PlanFormat, json, print, yaml};

/// `skep version`
#[derive(Debug, Args)]
pub(crate) struct VersionArgs {
    /// Only of this program, without asking a server.
    #[arg(long)]
    client: bool,
    /// Output format.
    #[arg(long, short, value_enum, default_value_t)]
    output: PlanFormat,
}

/// Carries it out. A server that does not answer is told, and is not an error: this program's version is known all the same.
pub(super) async fn run(global: Global, args: &VersionArgs) -> Result<Outcome> {
    let own = VersionView {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        api_version: skep_schemas::API_VERSION.to_owned(),
    };
    let server = if args.client { None } else { Some(ask(global).await) };
    let (answer, holds, why) = match server {
        None => (None, None, None),
        Some(Ok((view, holds))) => (Some(view), holds, None),
        Some(Err(error)) => (None, None, Some(error)),
    };
    print(&match args.output {
        PlanFormat::Text => {
            let line =
                |who: &str, view: &VersionView| format!("{who} {} ({})\n", view.version, view.api_version);
            line("client", &own) + &answer.map(|view| line("server", &view)).unwrap_or_default()
        }
        PlanFormat::Json => json(&json!({ "client": own, "server": answer }))?,
        PlanFormat::Yaml => yaml(&json!({ "client": own, "server": answer }))?,
    })?;
    if let Some(holds) = holds {
        eprintln!("ON HOLD: {holds}; see `skep holds`");
    }
    if let Some(error) = why {
        eprintln!("note: the server's version is not known: {error}");
    }
    Ok(Outcome::Done)
}

async fn ask(global: Global) -> Result<(VersionView, Option<String>)> {
    let session = Session::open(global)?;
    let view = session.client.get("/v1/version").await?;
    Ok((view, session.client.on_hold()))
}
