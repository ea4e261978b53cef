//! `skep dev`: a server for one machine that brings what `skep serve` is given.
//!
//! Without a database it runs a private Postgres in its data directory; without a key it makes one there. The database outlives
//! the server by design: it is started first and stopped last, whatever ends the server.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use secrecy::SecretString;

use super::serve::{ServerArgs, serve};
use super::{Outcome, variable};
use crate::args::secret;
use crate::dev::DataDir;
use crate::dev::key;
use crate::dev::postgres::PrivatePostgres;
use crate::telemetry::LogFormat;

/// `skep dev`
#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// Directory for the database and the key [default: /var/lib/skep for root, else skep in the user's data directory].
    #[arg(long, env = "SKEP_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Postgres database, in place of a private one.
    #[arg(long, env = "SKEP_DATABASE_URL", hide_env_values = true, value_name = "URL", value_parser = secret)]
    database_url: Option<SecretString>,
    #[command(flatten)]
    server: ServerArgs,
}

impl DevArgs {
    /// The log's form.
    pub(crate) const fn log_format(&self) -> LogFormat {
        self.server.log_format()
    }
}

/// Carries it out.
pub(super) async fn run(args: DevArgs) -> Result<Outcome> {
    let path = args.data_dir.or_else(default_data_dir);
    let path = path.context("there is no home directory\nhelp: name a directory with --data-dir")?;
    let dir = DataDir::take(&path)?;
    let key = key::read_or_make(&dir.path().join("key"))?;
    if let Some(url) = args.database_url {
        serve(args.server.into_config(url, key.into())?).await?;
        return Ok(Outcome::Done);
    }
    let at = dir.path().to_owned();
    let postgres = tokio::task::spawn_blocking(move || PrivatePostgres::start(&at)).await??;
    tracing::info!(data_dir = %dir.path().display(), "the private Postgres is ready");
    let served = match args.server.into_config(SecretString::from(postgres.url()), key.into()) {
        Ok(config) => serve(config).await,
        Err(error) => Err(error),
    };
    tokio::task::spawn_blocking(move || postgres.stop()).await??;
    served.map(|()| Outcome::Done)
}

fn default_data_dir() -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Some(PathBuf::from("/var/lib/skep"));
    }
    let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_DATA_HOME").or_else(|| set("HOME").map(|home| home.join(".local/share")));
    base.map(|base| base.join("skep"))
}
