//! Campaigns: many runs of the matrix, on all processors, and what came of them.
//!
//! Each worker has a world over a database of its own and takes one run after another. References come first: they tell how many
//! calls, events and statements a workflow has, and what every run of it has to come to.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Result, anyhow};
use serde::Serialize;
use skep_testbed::Postgres;

use crate::fault::{At, Fault, Kind};
use crate::matrix::{Bench, Failure, Run};
use crate::workflow::Workflow;
use crate::workflows;

/// Failures that are told in full. More of them say the same.
const TOLD_MAX: usize = 50;

/// Which runs are made.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Of which workflows.
    pub workflows: Vec<&'static Workflow>,
    /// With which faults.
    pub kinds: Vec<Kind>,
    /// At this point only, if one is named.
    pub point: Option<usize>,
    /// With which order of passes.
    pub seeds: Vec<u64>,
    /// Each kind is tried at every so many-th of a workflow's calls. Kinds begin at different calls, so each call meets some.
    pub every_call: usize,
    /// Of a workflow's events, so many are tried per seed, spread evenly; all when there is no limit.
    pub events: Option<usize>,
    /// Of a workflow's statements, so many are tried per kind and seed, in the same way.
    pub statements: Option<usize>,
    /// How many runs are made at once.
    pub workers: usize,
}

impl Plan {
    /// A third of the faults at every call of every workflow, and some at some events and statements: as much as fits into a run of
    /// the tests.
    pub fn reduced() -> Self {
        Self { seeds: vec![0], every_call: 3, events: Some(3), statements: Some(2), ..Self::full() }
    }

    /// Every fault at every call and event of every workflow, in several orders of passes, and at many statements.
    pub fn full() -> Self {
        Self {
            workflows: workflows::ALL.iter().collect(),
            kinds: Kind::ALL.to_vec(),
            point: None,
            seeds: vec![0, 1, 2],
            every_call: 1,
            events: None,
            statements: Some(60),
            workers: 2,
        }
    }
}

/// How many runs of a sort there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// How many were made.
    pub run: usize,
    /// How many of these were as they have to be.
    pub passed: usize,
}

/// What came of a campaign.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Outcome {
    /// Runs by workflow and kind.
    pub table: BTreeMap<&'static str, BTreeMap<&'static str, Count>>,
    /// Points of each workflow: calls, events and statements of a run in which nothing goes wrong.
    pub points: BTreeMap<&'static str, [usize; 3]>,
    /// How long it took.
    pub seconds: f64,
    /// What failed, in words: the first of them.
    pub failures: Vec<String>,
}

impl Outcome {
    /// All runs together.
    pub fn total(&self) -> Count {
        let counts = self.table.values().flat_map(BTreeMap::values);
        counts.fold(Count::default(), |sum, one| Count {
            run: sum.run + one.run,
            passed: sum.passed + one.passed,
        })
    }
}

/// The counts, as a table in Markdown.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Count { run, passed } = self.total();
        writeln!(f, "{passed} of {run} runs passed, in {:.0} s.\n", self.seconds)?;
        write!(f, "| workflow | calls, events, statements |")?;
        for kind in Kind::ALL {
            write!(f, " {kind} |")?;
        }
        write!(f, "\n|---|---|{}", "---|".repeat(Kind::ALL.len()))?;
        for (workflow, counts) in &self.table {
            let [calls, events, statements] = self.points.get(workflow).copied().unwrap_or_default();
            write!(f, "\n| {workflow} | {calls}, {events}, {statements} |")?;
            for kind in Kind::ALL {
                let Count { run, passed } = counts.get(kind.as_str()).copied().unwrap_or_default();
                if run == passed {
                    write!(f, " {run} |")?;
                } else {
                    write!(f, " {passed} of {run} |")?;
                }
            }
        }
        writeln!(f)
    }
}

/// What the workers share.
struct Shared {
    references: BTreeMap<(&'static str, u64), Arc<Run>>,
    to_refer: VecDeque<(&'static Workflow, u64)>,
    jobs: VecDeque<(&'static Workflow, u64, Fault)>,
    outcome: Outcome,
    broken: Option<anyhow::Error>,
}

/// Runs a campaign on a server. Failures are told as they come.
pub fn run(server: &Postgres, plan: &Plan, tell: &(dyn Fn(&str) + Sync)) -> Result<Outcome> {
    let began = Instant::now();
    let pairs = plan.workflows.iter().flat_map(|one| plan.seeds.iter().map(move |seed| (*one, *seed)));
    let shared = Mutex::new(Shared {
        references: BTreeMap::new(),
        to_refer: pairs.collect(),
        jobs: VecDeque::new(),
        outcome: Outcome::default(),
        broken: None,
    });
    // A run of each workflow without a fault before any with one: each tells what runs there are.
    let mut benches = each(plan.workers, |_| Worker::new(server))?;
    let work = |worker: &mut Worker| worker.refer(&shared);
    with_each(&mut benches, work)?;
    plan_jobs(&mut lock(&shared), plan);
    let work = |worker: &mut Worker| worker.judge(&shared, tell);
    with_each(&mut benches, work)?;
    let mut shared = lock(&shared);
    if let Some(error) = shared.broken.take() {
        return Err(error);
    }
    let mut outcome = std::mem::take(&mut shared.outcome);
    outcome.seconds = began.elapsed().as_secs_f64();
    Ok(outcome)
}

fn plan_jobs(shared: &mut Shared, plan: &Plan) {
    for workflow in &plan.workflows {
        for seed in &plan.seeds {
            let Some(reference) = shared.references.get(&(workflow.name, *seed)).cloned() else { continue };
            let points = [reference.calls, reference.events, reference.statements];
            shared.outcome.points.insert(workflow.name, points);
            for fault in faults(&reference, plan) {
                shared.jobs.push_back((workflow, *seed, fault));
            }
        }
    }
}

fn faults(reference: &Run, plan: &Plan) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (number, kind) in plan.kinds.iter().enumerate() {
        let spread =
            |points: usize, most: Option<usize>| points.div_ceil(most.unwrap_or(points).max(1)).max(1);
        let (points, stride) = match kind.at() {
            At::Call => (reference.calls, plan.every_call.max(1)),
            At::Event => (reference.events, spread(reference.events, plan.events)),
            At::Statement => (reference.statements, spread(reference.statements, plan.statements)),
        };
        // Another start for each kind, so that they do not all try the same.
        let all = (number % stride..points).step_by(stride);
        faults.extend(
            all.filter(|point| plan.point.is_none_or(|only| only == *point))
                .map(|point| Fault::new(*kind, point)),
        );
        if let Some(point) = plan.point
            && !faults.contains(&Fault::new(*kind, point))
        {
            faults.push(Fault::new(*kind, point));
        }
    }
    faults
}

/// One of those who run.
struct Worker {
    runtime: tokio::runtime::Runtime,
    bench: Bench,
}

impl Worker {
    fn new(server: &Postgres) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let bench = runtime.block_on(Bench::new(&server.create_database("sieve")?))?;
        Ok(Self { runtime, bench })
    }

    fn refer(&mut self, shared: &Mutex<Shared>) {
        loop {
            let Some((workflow, seed)) = lock(shared).to_refer.pop_front() else { return };
            let run = self.runtime.block_on(self.bench.run(workflow, seed, None, true));
            let mut shared = lock(shared);
            match run {
                Ok(run) if run.noise.is_empty() => {
                    drop(shared.references.insert((workflow.name, seed), Arc::new(run)));
                }
                Ok(run) => {
                    let what = format!(
                        "{}, no fault, seed {seed}: {:#?}\n{}",
                        workflow.name,
                        run.noise,
                        run.trace.join("\n")
                    );
                    shared.outcome.failures.push(what);
                }
                Err(error) => shared.broken = Some(error),
            }
        }
    }

    fn judge(&mut self, shared: &Mutex<Shared>, tell: &(dyn Fn(&str) + Sync)) {
        loop {
            let (workflow, seed, fault, reference) = {
                let mut shared = lock(shared);
                let Some((workflow, seed, fault)) = shared.jobs.pop_front() else { return };
                let Some(reference) = shared.references.get(&(workflow.name, seed)).cloned() else {
                    continue;
                };
                (workflow, seed, fault, reference)
            };
            let judged = self.runtime.block_on(self.bench.judge(workflow, &reference, seed, fault));
            let failure = match judged {
                Ok((_, failure)) => failure.map(|failure: Failure| failure.to_string()),
                Err(error) => Some(format!("{error:?}")),
            };
            failure.iter().for_each(|failure| tell(failure));
            let mut shared = lock(shared);
            let row = shared.outcome.table.entry(workflow.name).or_default();
            let count = row.entry(fault.kind.as_str()).or_default();
            count.run += 1;
            count.passed += usize::from(failure.is_none());
            if shared.outcome.failures.len() < TOLD_MAX {
                shared.outcome.failures.extend(failure);
            }
        }
    }
}

fn lock<'a>(shared: &'a Mutex<Shared>) -> MutexGuard<'a, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn each<T>(count: usize, make: impl Fn(usize) -> Result<T>) -> Result<Vec<T>> {
    (0..count.max(1)).map(make).collect()
}

/// All of them at once, each in a thread.
fn with_each<T: Send>(all: &mut [T], work: impl Fn(&mut T) + Sync) -> Result<()> {
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = all.iter_mut().map(|one| scope.spawn(move || work(one))).collect();
        for thread in threads {
            thread.join().map_err(|_| anyhow!("a worker panicked"))?;
        }
        Ok(())
    })
}
