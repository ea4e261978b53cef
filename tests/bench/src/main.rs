//! Benchmarks: what Skep costs over what the Swarm itself costs.
//!
//! Every part measures its lines and the things they are compared with in one run, one after the other and again, and keeps what it
//! found in `target/bench/<part>.json`; `docs/benchmarks.md` is written from all of these. Times on a shared machine move, ratios of one run
//! do much less, and counts (calls, statements, bytes) hardly at all: the page shows all three.

mod api;
mod client;
mod converge;
mod crowd;
mod floor;
mod ground;
mod noop;
mod planner;
mod reaction;
mod report;
mod rollout;
mod scale;
mod server;
mod simulated;
mod stack;
mod statements;
mod tap;
mod usage;

use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

use crate::report::Part;

const USAGE: &str = "\
usage: cargo xtask bench [part …] [--n 10,100,500,1000] [--rounds 3] [--others 10,100,1000,10000]

  converge   new environments, over a bare loop of the same calls and over docker stack deploy
  noop       a look at 500 converged environments, an idle minute
  reaction   from commit to call, from edit to correction, from failure to status, from commit to watchers
  api        reads and writes of 50 clients
  scale      one change among many others, and memory: on an engine, and on a simulated Swarm
  rollout    requests that are lost while instances are replaced, added and taken away
  planner    plans per second and core, nanoseconds for each field compared
  page       nothing is measured; docs/benchmarks.md is written again from what was

Without a part all of them run.";

/// What to measure.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// How many environments.
    pub(crate) sizes: Vec<usize>,
    /// How often each is measured.
    pub(crate) rounds: usize,
    /// Among how many others a change is made.
    pub(crate) scales: Vec<usize>,
}

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
    let mut options =
        Options { sizes: vec![10, 100, 500, 1000], rounds: 3, scales: vec![10, 100, 1000, 10_000] };
    let mut parts = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} needs a value\n{USAGE}"));
        match argument.as_str() {
            "--n" => {
                options.sizes =
                    value()?.split(',').map(str::parse).collect::<Result<_, _>>().context(USAGE)?;
            }
            "--others" => {
                options.scales =
                    value()?.split(',').map(str::parse).collect::<Result<_, _>>().context(USAGE)?;
            }
            "--rounds" => options.rounds = value()?.parse().context(USAGE)?,
            "page" => return report::write_page(),
            simulated::WORD => return simulated::serve(),
            name => parts.push(Part::from_word(name).with_context(|| format!("{name}?\n{USAGE}"))?),
        }
    }
    if options.rounds == 0 || options.sizes.is_empty() {
        bail!("{USAGE}");
    }
    if parts.is_empty() {
        parts = Part::ALL.to_vec();
    }
    let mut failed = 0_u32;
    for part in parts {
        eprintln!("==> {}", part.word());
        let found = match part {
            Part::Converge => converge::measure(&options),
            Part::Noop => noop::measure(&options),
            Part::Scale => scale::measure(&options),
            Part::Reaction => reaction::measure(),
            Part::Api => api::measure(),
            Part::Planner => planner::measure(),
            Part::Rollout => rollout::measure(),
        };
        match found {
            Ok(found) => report::keep(part, &found)?,
            Err(error) => {
                eprintln!("error: {}: {error:#}", part.word());
                failed += 1;
            }
        }
    }
    report::write_page()?;
    ensure!(failed == 0, "{failed} parts could not be measured");
    Ok(())
}
