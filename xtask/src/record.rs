//! `cargo xtask record-fixtures`: what real engines make of every value of every field that the planner knows.
//!
//! The cases come from the planner's tables, and the engine test of the Swarm client tries them; told to, it writes down what it
//! finds instead of comparing. One program asks both times, so a recording cannot differ from what is tested.

use anyhow::Result;
use skep_testbed::install;

use crate::workspace;

/// Writes the recordings anew, from an engine of each release.
pub(crate) fn run() -> Result<()> {
    eprintln!("==> what the engines need");
    install::all()?;
    let mut record = workspace::cargo([
        "test",
        "--locked",
        "--package=skep-swarm",
        "--test=engine_normalize",
        "--",
        // One engine at a time: what is recorded must not depend on how busy the machine is.
        "--test-threads=1",
        "every_value_of_every_field_is_kept_as_recorded",
    ])?;
    record.env("SKEP_BLESS", "1");
    workspace::run("recording", record)?;
    println!("record-fixtures: see controller/planner/src/swarm/fixtures/*/normalize");
    Ok(())
}
