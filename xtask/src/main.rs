//! `cargo xtask …`: what a developer and CI run on this repository.
//!
//! Each command is a module. They share [`workspace`] for finding things and running cargo.

mod bench;
mod campaign;
mod deps;
mod down;
mod queries;
mod record;
mod test;
mod totals;
mod up;
mod workspace;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::test::Scope;

const USAGE: &str = "\
usage: cargo xtask <command>

  up              install, build and start everything on this machine, and serve the example through Traefik
  down            end what up started, and remove every trace of it
  bench           measure against the floor and write docs/benchmarks.md; `bench --n 100` and so on, see there
  check-deps      prove the direction of dependencies between the crates
  test            format, lints, dependencies, queries and every test; ends with a line of totals
  test --fast     the same without the tests that start Docker engines
  campaign [part] everything that the harnesses have, and the seeded defects; writes docs/proof.md
  sqlx-prepare    write .sqlx, the types of the store's queries, from the migrations
  record-fixtures write down what real engines make of every field of services, networks and secrets
  sqlx-check      fail if .sqlx is not what sqlx-prepare would write";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["up"] => up::run(),
        ["down"] => down::run(),
        // What up leaves in the background; not for people.
        ["supervise", program] => up::supervise::run(Path::new(program)),
        ["bench", arguments @ ..] => bench::run(arguments),
        ["check-deps"] => deps::check(),
        ["test"] => test::run(Scope::Everything),
        ["test", "--fast"] => test::run(Scope::WithoutEngines),
        ["campaign", parts @ ..] => campaign::run(parts),
        ["sqlx-prepare"] => queries::prepare(),
        ["record-fixtures"] => record::run(),
        ["sqlx-check"] => queries::check(),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        _ => bail!("{USAGE}"),
    }
}
