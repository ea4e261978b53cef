//! The programs under test: `skep`, its forwarder, and what tries to get out of a tenant's container.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};
use skep_testbed::built;

/// Where it is. Built first, so that a test never runs against an old one; without changes that takes a moment.
///
/// Whoever runs everything has built it already ([`built`]).
pub fn skep() -> Result<PathBuf> {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    if let Some(named) = built::skep() {
        return Ok(named);
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

/// The probe of `tests/probe`, linked statically: it runs where there is no libc. Built anew, which takes a second.
pub fn probe() -> Result<PathBuf> {
    let directory = target().join("probe");
    fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
    // Tests of other processes may do the same now: whoever is last replaces the whole file by an equal one.
    let fresh = tempfile::Builder::new().tempdir_in(&directory)?;
    let built = fresh.path().join("probe");
    let status = Command::new("rustc")
        .args([
            "--edition",
            "2024",
            "-C",
            "opt-level=s",
            "-C",
            "strip=symbols",
            "-C",
            "target-feature=+crt-static",
            "-o",
        ])
        .arg(&built)
        .arg("tests/probe/src/main.rs")
        .current_dir(workspace())
        .status()
        .context("run rustc")?;
    ensure!(status.success(), "rustc could not build the probe");
    let probe = directory.join("probe");
    fs::rename(&built, &probe).context("cannot put the probe in its place")?;
    Ok(probe)
}

/// The forwarder of links, linked statically: the image of the tests holds nothing that it could load.
pub fn forward() -> Result<PathBuf> {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    if let Some(built) = BUILT.get() {
        return Ok(built.clone());
    }
    let status = Command::new(env!("CARGO"))
        .args(["rustc", "--quiet", "--package", "skep-forward", "--bin", "skep-forward", "--"])
        .args(["-C", "target-feature=+crt-static", "-C", "strip=symbols"])
        .current_dir(workspace())
        .status()
        .context("run cargo")?;
    ensure!(status.success(), "cargo could not build skep-forward");
    Ok(BUILT.get_or_init(|| target().join("debug/skep-forward")).clone())
}

/// The root of the repository.
pub fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}
