//! `skep config`: shows the configuration file without its tokens, and chooses its context.

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};

use super::{Outcome, variable};
use crate::config::{ConfigFile, path};
use crate::output::{print, yaml};

/// `skep config`
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    action: Action,
}

/// What to do with the file.
#[derive(Debug, Subcommand)]
enum Action {
    /// Show the file, without tokens.
    View,
    /// Make a context the one that is used when none is named.
    UseContext {
        /// Context.
        name: String,
    },
}

/// Carries it out.
pub(super) fn run(args: ConfigArgs) -> Result<Outcome> {
    let path = path(variable).context("there is no home directory, and SKEP_CONFIG is not set")?;
    let mut config = ConfigFile::load(&path)?;
    match args.action {
        Action::View => {
            eprintln!("# {}", path.display());
            print(&yaml(&config.redacted())?)?;
        }
        Action::UseContext { name } => {
            let known: Vec<&str> = config.contexts.keys().map(String::as_str).collect();
            ensure!(
                config.contexts.contains_key(&name),
                "{} has no context `{name}`\nhelp: it has these: {}",
                path.display(),
                known.join(", ")
            );
            config.current_context = Some(name.clone());
            config.save(&path)?;
            print(&format!("the context is now {name}\n"))?;
        }
    }
    Ok(Outcome::Done)
}
