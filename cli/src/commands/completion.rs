//! `skep completion`: what a shell needs to complete command lines.

use anyhow::Result;
use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::Outcome;
use crate::args::Cli;
use crate::output::print;

/// `skep completion`
#[derive(Debug, Args)]
pub(crate) struct CompletionArgs {
    /// Shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Carries it out.
pub(super) fn run(args: &CompletionArgs) -> Result<Outcome> {
    let mut script = Vec::new();
    generate(args.shell, &mut Cli::command(), "skep", &mut script);
    print(&String::from_utf8(script)?)?;
    Ok(Outcome::Done)
}
