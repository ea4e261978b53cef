//! `cargo xtask bench`: Skep against the floor, built for release.

use anyhow::Result;

use crate::workspace;

/// Builds the server and the benchmarks, and runs them with these arguments.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let build = workspace::cargo(["build", "--release", "--package", "skep", "--package", "skep-bench"])?;
    workspace::run("build for release", build)?;
    let mut bench = workspace::cargo(["run", "--quiet", "--release", "--package", "skep-bench", "--"])?;
    bench.args(arguments);
    workspace::run("measure", bench)
}
