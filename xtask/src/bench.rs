//! `cargo xtask bench`: Skep against the floor, built for release.

use std::process::Command;

use anyhow::Result;

use crate::workspace;

/// Builds the server and the benchmarks, and runs them with these arguments.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let build = workspace::cargo(["build", "--release", "--package", "skep", "--package", "skep-bench"])?;
    workspace::run("build for release", build)?;
    // Not by `cargo run`, which would build everything once more with what this one package asks of its dependencies.
    let root = workspace::root()?;
    let mut bench = Command::new(root.join("target/release/skep-bench"));
    // What measures a whole installation takes the same server.
    bench.env(skep_testbed::built::VARIABLE, root.join("target/release/skep"));
    bench.args(arguments).current_dir(root);
    workspace::run("measure", bench)
}
