//! `skep-testbed engine|database`: a real part to try things on by hand, there until the program ends.
//!
//! The same types as in tests, so it is private, cleaned up, and swept if this program is killed.

use std::io::{Read, stdin};

use anyhow::{Result, bail};
use skep_testbed::{Engine, EngineOptions, EngineVersion, Postgres, install};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["engine"] | ["engine", "26.1"] => hold_engine(EngineVersion::V26_1),
        ["engine", "20.10"] => hold_engine(EngineVersion::V20_10),
        ["database"] => {
            let server = Postgres::start()?;
            println!("SKEP_DATABASE_URL={}", server.create_database("skep")?);
            wait_for_end_of_input()
        }
        ["install"] => install::all(),
        ["sweep"] => skep_testbed::sweep(),
        _ => bail!("usage: skep-testbed engine [20.10|26.1] | database | install | sweep"),
    }
}

fn hold_engine(version: EngineVersion) -> Result<()> {
    let engine = Engine::start(version, EngineOptions::default())?;
    println!("DOCKER_HOST={} ADDRESS={}", engine.docker_host(), engine.address());
    wait_for_end_of_input()
}

/// Holds what was started until the input ends, so that a terminal's Ctrl-D leaves it in order.
fn wait_for_end_of_input() -> Result<()> {
    eprintln!("ends with the end of its input (Ctrl-D)");
    stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
