//! `skep explain`: documentation of kinds, fields and error codes, without a server.

use anyhow::{Result, anyhow};
use clap::Args;

use super::Outcome;
use crate::output::print;

/// `skep explain`
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Kind, field such as `environment.spec.processes`, error code such as `SK0104`, or `codes`; all kinds when absent.
    #[arg(value_name = "WHAT", default_value = "")]
    what: String,
}

/// Carries it out.
pub(super) fn run(args: &ExplainArgs) -> Result<Outcome> {
    let text = skep_schemas::explain::explain(&args.what)
        .map_err(|error| anyhow!("{error}\nhelp: {}", error.help))?;
    print(&text)?;
    if !text.ends_with('\n') {
        print("\n")?;
    }
    Ok(Outcome::Done)
}
