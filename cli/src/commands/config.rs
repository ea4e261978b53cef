//! `skep config`: the variables of an environment ([`super::variables`]), and the configuration file: shows it without its tokens, and chooses
//! its context.
//!
//! Both are under one word because each is looked for there, by who knows Heroku and by who knows kubectl; no verb of the one means anything
//! for the other.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};

use super::variables::{self, ExportArgs, GetArgs, ImportArgs, SetArgs, UnsetArgs};
use super::{Outcome, Session, variable};
use crate::args::Global;
use crate::config::{ConfigFile, path};
use crate::output::{print, yaml};

/// `skep config`
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    action: Action,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Action {
    /// Show the variables of an environment, and since which release they are so.
    Get(GetArgs),
    /// Set variables of an environment.
    Set(SetArgs),
    /// Remove variables of an environment.
    Unset(UnsetArgs),
    /// Set variables of an environment from a file (`.env`).
    Import(ImportArgs),
    /// Write the variables of an environment as such a file, without secrets.
    Export(ExportArgs),
    /// Show the configuration file of this program, without tokens.
    View,
    /// Make a context of that file the one that is used when none is named.
    UseContext {
        /// Context.
        name: String,
    },
}

/// Carries it out.
pub(super) async fn run(global: Global, args: ConfigArgs) -> Result<Outcome> {
    match args.action {
        Action::Get(args) => variables::get(&Session::open(global)?, args).await,
        Action::Set(args) => variables::set(&Session::open(global)?, args).await,
        Action::Unset(args) => variables::unset(&Session::open(global)?, args).await,
        Action::Import(args) => variables::import(&Session::open(global)?, args).await,
        Action::Export(args) => variables::export(&Session::open(global)?, args).await,
        Action::View => view(),
        Action::UseContext { name } => use_context(name),
    }
}

fn open() -> Result<(PathBuf, ConfigFile)> {
    let path = path(variable).context("there is no home directory, and SKEP_CONFIG is not set")?;
    let config = ConfigFile::load(&path)?;
    Ok((path, config))
}

fn view() -> Result<Outcome> {
    let (path, config) = open()?;
    eprintln!("# {}", path.display());
    print(&yaml(&config.redacted())?)?;
    Ok(Outcome::Done)
}

fn use_context(name: String) -> Result<Outcome> {
    let (path, mut config) = open()?;
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
    Ok(Outcome::Done)
}
