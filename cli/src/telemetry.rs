//! The log: on standard error, as text or as JSON, filtered by `SKEP_LOG` (for example `info,skep_store=debug`).

use std::io::IsTerminal;

use anyhow::{Context, Result, anyhow};
use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object in each line.
    Json,
}

/// Starts the log. `default` is the filter when none is set.
pub(crate) fn start(format: LogFormat, default: &str) -> Result<()> {
    let filter = match std::env::var("SKEP_LOG") {
        Ok(text) if !text.is_empty() => {
            EnvFilter::try_new(&text).with_context(|| format!("SKEP_LOG `{text}`"))?
        }
        _ => EnvFilter::try_new(default)?,
    };
    let colours = crate::output::stderr_style() == skep_schemas::diagnostic::Style::Ansi;
    let base = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Json => base.json().flatten_event(true).try_init(),
        LogFormat::Text => base.with_ansi(colours && std::io::stderr().is_terminal()).try_init(),
    };
    started.map_err(|error| anyhow!(error))
}
