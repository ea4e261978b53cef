//! The matrix as a program: all of it, a part that fits into a test run, or one run that failed.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use skep_sieve::campaign::{self, Plan};
use skep_sieve::{Kind, Workflow, workflows};
use skep_testbed::Postgres;

/// Runs workflows with faults, and compares each with the run without.
#[derive(Parser)]
struct Args {
    /// Make few enough runs for a test run.
    #[arg(long)]
    reduced: bool,
    /// Only these workflows.
    #[arg(long)]
    workflow: Vec<String>,
    /// Only these kinds of faults.
    #[arg(long)]
    kind: Vec<String>,
    /// Only at this point.
    #[arg(long)]
    point: Option<usize>,
    /// With these seeds instead of the usual ones.
    #[arg(long)]
    seed: Vec<u64>,
    /// So many runs at once.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Write the outcome as JSON to standard output.
    #[arg(long)]
    json: bool,
}

impl Args {
    fn plan(&self) -> Result<Plan> {
        let mut workflows: Vec<&'static Workflow> = Vec::new();
        for name in &self.workflow {
            workflows
                .push(workflows::by_name(name).with_context(|| format!("no workflow is called {name}"))?);
        }
        if workflows.is_empty() {
            workflows.extend(workflows::ALL);
        }
        let mut kinds: Vec<Kind> = Vec::new();
        for name in &self.kind {
            let kind = Kind::ALL.iter().find(|kind| kind.as_str() == name);
            kinds.push(*kind.with_context(|| format!("no fault is called {name}"))?);
        }
        if kinds.is_empty() {
            kinds.extend(Kind::ALL);
        }
        let whole = if self.reduced { Plan::reduced() } else { Plan::full() };
        let seeds = if self.seed.is_empty() { whole.seeds.clone() } else { self.seed.clone() };
        Ok(Plan { workflows, kinds, point: self.point, seeds, workers: self.workers, ..whole })
    }
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let plan = args.plan()?;
    let server = Postgres::shared()?;
    let outcome = campaign::run(&server, &plan, &|failure| eprintln!("{failure}"))?;
    let total = outcome.total();
    if args.json {
        println!("{}", serde_json::to_string(&outcome)?);
    } else {
        println!("{outcome}");
    }
    let passed = total.passed == total.run && outcome.failures.is_empty();
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
