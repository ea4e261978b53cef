//! What is printed, and how: data on standard output, everything else on standard error.
//!
//! Colours and redrawn lines are for terminals alone, and `NO_COLOR` (set and not empty) turns colours off. Text from a server
//! passes through [`text::harmless`], so that nobody's error message moves the cursor of whoever reads it.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use serde::Serialize;
use skep_schemas::diagnostic::Style;

pub(crate) mod describe;
pub(crate) mod drift;
pub(crate) mod events;
pub(crate) mod phase;
pub(crate) mod plans;
pub(crate) mod resources;
pub(crate) mod table;
pub(crate) mod text;

/// How resources are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// Columns that fit a terminal.
    #[default]
    Table,
    /// More columns.
    Wide,
    /// The API's form.
    Json,
    /// The same as YAML.
    Yaml,
    /// One address in each line, as other commands take it.
    Name,
}

/// How a plan is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum PlanFormat {
    /// For people.
    #[default]
    Text,
    /// The API's form.
    Json,
    /// The same as YAML.
    Yaml,
}

impl PlanFormat {
    /// A value in this form; for people it is the text.
    pub(crate) fn of<T: Serialize>(self, value: &T, text: impl FnOnce() -> String) -> anyhow::Result<String> {
        match self {
            Self::Text => Ok(text()),
            Self::Json => json(value),
            Self::Yaml => yaml(value),
        }
    }
}

/// Is the stream a terminal that wants colours?
fn style_of(terminal: bool) -> Style {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if terminal && !unwanted && !dumb { Style::Ansi } else { Style::Plain }
}

/// The style of standard output.
pub(crate) fn stdout_style() -> Style {
    style_of(io::stdout().is_terminal())
}

/// The style of standard error.
pub(crate) fn stderr_style() -> Style {
    style_of(io::stderr().is_terminal())
}

/// Writes text to standard output. Fails when nobody reads it any longer.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// A value as indented JSON with a line end.
pub(crate) fn json<T: Serialize>(value: &T) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

/// A value as YAML with a line end.
pub(crate) fn yaml<T: Serialize>(value: &T) -> anyhow::Result<String> {
    // By way of JSON, so that both have the same fields in the same order.
    let value = serde_json::to_value(value)?;
    let text = serde_saphyr::to_string(&value)?;
    Ok(if text.ends_with('\n') { text } else { text + "\n" })
}
