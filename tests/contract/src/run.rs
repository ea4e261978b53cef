//! Runs cases, and lays accounts side by side.

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use futures::stream::{StreamExt as _, iter};
use skep_simulator::Behaviour;

use crate::arena::Arena;
use crate::cases::Case;
use crate::engine::EngineArena;
use crate::simulated::SimArena;
use crate::trial::Trial;

/// How many cases run on one engine at a time: most of them wait most of the time.
const AT_ONCE: usize = 6;

/// Set to a part of a name, it lets only such cases run on an engine.
const ONLY: &str = "SKEP_CONTRACT_CASE";

/// How cases run on one engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// Each by itself.
    None,
    /// Several at a time.
    Some,
    /// All at once, and what one of them does to a node it does when the others want to do the same.
    InStep,
}

/// How a case went.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What it noted.
    Passed(Vec<String>),
    /// Why it failed.
    Failed(String),
}

async fn run(case: &Case, number: u8, arena: &dyn Arena) -> Outcome {
    let trial = Trial::new(arena, number);
    match AssertUnwindSafe((case.run)(&trial)).catch_unwind().await {
        Ok(()) => Outcome::Passed(trial.account()),
        Err(panic) => {
            let words = panic.downcast_ref::<String>().cloned();
            let words = words.or_else(|| panic.downcast_ref::<&str>().map(|words| (*words).to_owned()));
            let noted = trial.account().join("\n    ");
            Outcome::Failed(format!("{}\n    {noted}", words.unwrap_or_default()))
        }
    }
}

/// Runs a case on a fresh simulated Swarm.
pub async fn on_simulator(case: &Case, number: u8, behaviour: Behaviour) -> Outcome {
    run(case, number, &SimArena::new(behaviour, case.nodes)).await
}

/// Runs cases on engines, and says of each how it differs from the simulator.
pub async fn on_engine(cases: &[Case], first: u8, arena: &EngineArena, company: Company) -> Vec<String> {
    let only = std::env::var(ONLY).unwrap_or_default();
    let only = only.as_str();
    let numbered = cases.iter().zip(first..).filter(|(case, _)| case.name.contains(only));
    let numbered: Vec<(&Case, u8)> = numbered.collect();
    let (at_once, meeting) = match company {
        Company::None => (1, 1),
        Company::Some => (AT_ONCE, 1),
        Company::InStep => (numbered.len().max(1), numbered.len()),
    };
    arena.meeting().expect(meeting);
    let differences = iter(numbered)
        .map(|(case, number)| async move {
            let real = run(case, number, arena).await;
            if company == Company::InStep {
                arena.meeting().leave();
            }
            let simulated = on_simulator(case, number, arena.behaviour()).await;
            let difference = difference(case, &real, &simulated);
            // Told at once: who waits for a real engine wants to see how far it is.
            eprintln!("{}: {}", case.name, difference.as_deref().unwrap_or("the same"));
            if let (Outcome::Passed(account), false) = (&real, only.is_empty()) {
                eprintln!("    {}", account.join("\n    "));
            }
            difference
        })
        .buffer_unordered(at_once)
        .filter_map(std::future::ready);
    differences.collect().await
}

fn difference(case: &Case, real: &Outcome, simulated: &Outcome) -> Option<String> {
    match (real, simulated) {
        (Outcome::Passed(real), Outcome::Passed(simulated)) if real == simulated => None,
        (Outcome::Passed(real), Outcome::Passed(simulated)) => {
            let longest = real.len().max(simulated.len());
            let line = |account: &[String], at: usize| account.get(at).cloned().unwrap_or_default();
            let differing = (0..longest).filter(|&at| line(real, at) != line(simulated, at));
            let lines: Vec<String> = differing
                .map(|at| format!("  engine    {}\n  simulator {}", line(real, at), line(simulated, at)))
                .collect();
            Some(format!("{}:\n{}", case.name, lines.join("\n")))
        }
        (Outcome::Failed(why), _) => Some(format!("{} failed on the engine: {why}", case.name)),
        (_, Outcome::Failed(why)) => Some(format!("{} failed on the simulator: {why}", case.name)),
    }
}
