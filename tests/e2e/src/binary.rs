//! The `skep` binary under test.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};

/// Where it is. Built first, so that a test never runs against an old one; without changes that takes a moment.
///
/// `SKEP_E2E_BINARY` names another one.
pub fn skep() -> Result<PathBuf> {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    if let Some(named) = std::env::var_os("SKEP_E2E_BINARY") {
        return Ok(PathBuf::from(named));
    }
    if let Some(built) = BUILT.get() {
        return Ok(built.clone());
    }
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "skep"])
        .current_dir(workspace())
        .status()
        .context("run cargo")?;
    ensure!(status.success(), "cargo could not build skep");
    Ok(BUILT.get_or_init(|| target().join("debug/skep")).clone())
}

/// The root of the repository.
pub fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}
