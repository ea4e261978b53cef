//! `skep migrate`: brings the database to the form that this version works with.

use anyhow::Result;
use clap::Args;

use super::serve::ServeArgs;
use super::{Outcome, variable};

/// `skep migrate`
#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    #[command(flatten)]
    server: ServeArgs,
}

/// Carries it out. The key is needed as well: a database that was sealed with another one is refused before it is touched.
pub(super) async fn run(args: MigrateArgs) -> Result<Outcome> {
    let config = args.server.into_config(variable)?;
    skep_controller::serve::migrate(&config).await?;
    Ok(Outcome::Done)
}
