//! The matrix: a workflow, a fault, and what has to come of it all the same.
//!
//! The oracle is the same workflow without a fault. Whatever went wrong, the run has to come to the same picture: the same objects,
//! each created, changed and removed as often, the same rows, the same numbers of releases, nothing open in the journal and nothing
//! left over. And then there has to be silence: a look at everything makes no call that changes something and writes no row.

use anyhow::{Context, Result};

use crate::fault::{At, Fault, Kind};
use crate::names::Names;
use crate::picture::Picture;
use crate::workflow::{EMPTY, Workflow};
use crate::world::World;

/// A run of a workflow.
#[derive(Debug, Clone)]
pub struct Run {
    /// What it came to.
    pub picture: Picture,
    /// What was not silent afterwards.
    pub noise: Vec<String>,
    /// How many mutating calls it made.
    pub calls: usize,
    /// How many events there were.
    pub events: usize,
    /// How many statements, if they were counted.
    pub statements: usize,
    /// Did it come to what was to go wrong?
    pub fired: bool,
    /// What happened.
    pub trace: Vec<String>,
}

/// A run that is not as it has to be.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The workflow.
    pub workflow: &'static str,
    /// What went wrong.
    pub fault: Fault,
    /// What drew the order of passes.
    pub seed: u64,
    /// In what it differs.
    pub differences: Vec<String>,
    /// What happened.
    pub trace: Vec<String>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}, {}, seed {}", self.workflow, self.fault, self.seed)?;
        for line in &self.differences {
            writeln!(f, "  {line}")?;
        }
        for line in &self.trace {
            writeln!(f, "  | {line}")?;
        }
        Ok(())
    }
}

/// A world in which runs are made one after another.
pub struct Bench {
    world: World,
}

impl Bench {
    /// A bench over an empty database.
    pub async fn new(url: &str) -> Result<Self> {
        let mut world = World::new(url).await?;
        world.keep(EMPTY).await?;
        Ok(Self { world })
    }

    /// Runs a workflow. Statements are counted if that is asked for, which takes longer.
    pub async fn run(
        &mut self,
        workflow: &Workflow,
        seed: u64,
        fault: Option<Fault>,
        count_statements: bool,
    ) -> Result<Run> {
        let run = self.try_run(workflow, seed, fault, count_statements).await;
        run.with_context(|| {
            let fault = fault.map_or_else(|| "no fault".to_owned(), |fault| fault.to_string());
            format!("{}, {fault}, seed {seed}:\n  | {}", workflow.name, self.world.trace().join("\n  | "))
        })
    }

    async fn try_run(
        &mut self,
        workflow: &Workflow,
        seed: u64,
        fault: Option<Fault>,
        count_statements: bool,
    ) -> Result<Run> {
        let world = &mut self.world;
        world.begin_from(workflow.base).await?;
        world.order(seed, fault, count_statements).await?;
        let mut names = Names::default();
        names.learn(world).await?;
        world.carry_out(workflow).await?;
        names.learn(world).await?;
        let (calls, events, statements) = (world.made().len(), world.events(), world.statements());
        let picture = Picture::of(world, &names).await?.with_effects(&world.made(), &names);
        let picture = if workflow.is_a_race() { picture.of_the_end()? } else { picture };
        let noise = if world.was_silent() { Vec::new() } else { silence(world).await? };
        let run = Run {
            picture,
            noise,
            calls,
            events: usize::try_from(events)?,
            statements,
            fired: world.fired(),
            trace: world.trace().iter().map(|line| names.plain(line)).collect(),
        };
        world.stop_all().await?;
        Ok(run)
    }

    /// Runs a workflow with a fault and compares. `None` when all is as it has to be.
    pub async fn judge(
        &mut self,
        workflow: &Workflow,
        reference: &Run,
        seed: u64,
        fault: Fault,
    ) -> Result<(Run, Option<Failure>)> {
        let count = fault.kind.at() == At::Statement;
        let run = self.run(workflow, seed, Some(fault), count).await?;
        let mut differences = reference.picture.differences(&run.picture);
        // Where a fault changes what is done on the way, its point may not be come to.
        if !run.fired && !workflow.is_a_race() {
            differences.push("it did not come to what was to go wrong".to_owned());
        }
        differences.extend(run.noise.iter().map(|line| format!("not silent: {line}")));
        let failure = (!differences.is_empty()).then(|| Failure {
            workflow: workflow.name,
            fault,
            seed,
            differences,
            trace: run.trace.clone(),
        });
        Ok((run, failure))
    }
}

impl Run {
    /// Every fault of these kinds that a run can have.
    pub fn faults(&self, kinds: &[Kind]) -> Vec<Fault> {
        let points = |kind: Kind| match kind.at() {
            At::Call => self.calls,
            At::Event => self.events,
            At::Statement => self.statements,
        };
        kinds.iter().flat_map(|kind| (0..points(*kind)).map(|point| Fault::new(*kind, point))).collect()
    }
}

/// Looks at everything once more. What was not silent.
async fn silence(world: &mut World) -> Result<Vec<String>> {
    let calls = world.made().len();
    let before = world.database().written().await?;
    world.look_at_everything().await?;
    let after = world.database().written().await?;
    let made = world.made().into_iter().skip(calls);
    let mut noise: Vec<String> = made.map(|made| format!("{} {}", made.verb.as_str(), made.object)).collect();
    noise.extend(
        after
            .iter()
            .filter(|(table, rows)| before.get(*table) != Some(rows))
            .map(|(table, _)| format!("wrote {table}")),
    );
    Ok(noise)
}
