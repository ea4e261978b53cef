//! Where the workspace is, and how its cargo is run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// The workspace's root directory.
pub(crate) fn root() -> Result<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().map(Path::to_owned).context("xtask lies in the workspace")
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> Result<PathBuf> {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) => Ok(PathBuf::from(target)),
        None => Ok(root()?.join("target")),
    }
}

/// A cargo command at the workspace's root, free of what would make builds differ from one shell to the next.
pub(crate) fn cargo<const N: usize>(arguments: [&str; N]) -> Result<Command> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(arguments).current_dir(root()?).stdin(Stdio::null());
    // Queries are checked against .sqlx, never against whatever database the caller's shell happens to name.
    cargo.env_remove("DATABASE_URL").env("SQLX_OFFLINE", "true");
    Ok(cargo)
}

/// Runs a command with its output on ours, announced by `step`.
pub(crate) fn run(step: &str, mut command: Command) -> Result<()> {
    eprintln!("==> {step}");
    let status =
        command.status().with_context(|| format!("{step}: cannot start {:?}", command.get_program()))?;
    ensure!(status.success(), "{step} failed");
    Ok(())
}
