//! Asking before something is done that cannot be taken back.

use std::io::{BufRead, IsTerminal};

use anyhow::{Context, Result, bail};

/// Asks on a terminal. Where there is none, nobody can have read what was shown: `instead` says how to see it before `--yes`.
pub(crate) fn agreed(what: &str, instead: &str) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("there is no terminal to ask on\nhelp: {instead}, then add --yes");
    }
    eprint!("{what}? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("cannot read the answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
