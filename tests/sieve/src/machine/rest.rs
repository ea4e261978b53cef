//! What holds when faults have stopped: a fixed point, and then silence (I10).

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use skep_store::Actor;
use skep_swarm::{LabelFilter, TaskFilter};

use crate::world::World;

/// Longer than any deadline, pause or window of the product that a story can come into.
const LONG: Duration = Duration::from_secs(1200);
/// How long it takes for what was begun to be done: tasks start in seconds.
const SETTLED: Duration = Duration::from_secs(15);
/// For how long there has to be silence: longer than whoever waits takes to look again.
const QUIET: Duration = Duration::from_secs(6);
/// Reasons that pass by themselves. At rest nothing says so.
const PASSING: [&str; 5] = ["Pending", "Applying", "RollingOut", "UpdateInProgress", "EngineUnavailable"];

/// Where it is written that a task failed again.
const TOLD_OF_A_FAILURE: [&str; 3] = ["resource_status", "change_log", "cluster_rev"];

/// What a condition says of each resource, and whether it is being deleted.
const SAID: &str = "SELECT concat_ws('/', nullif(r.org, ''), r.kind, r.name) AS key, r.kind, r.spec, r.deletion_requested_at IS NOT NULL AS deleting,
            s.status, r.generation, s.observed_generation,
            EXISTS (SELECT FROM drift d WHERE d.ended_at IS NULL AND (d.org, d.kind, d.name) = (r.org, r.kind, r.name)) AS drifted
     FROM resource r LEFT JOIN resource_status s USING (uid)";

/// Confirms whatever waits for a word.
pub(super) async fn confirm(world: &mut World) -> Result<()> {
    for hold in world.store().holds().await? {
        world.store().confirm_hold(hold.id, &Actor::new("sieve")).await?;
    }
    Ok(())
}

/// Lets everything come to rest. What waits for a person is looked at again and again, so the end is a time and not that nothing is
/// due.
pub(super) async fn come(world: &mut World) -> Result<()> {
    look_around(world, SETTLED).await?;
    // Deadlines, pauses after failures, windows of fights and graces of orphans are over after that.
    world.advance_by(LONG).await?;
    look_around(world, SETTLED).await?;
    look_around(world, SETTLED).await
}

/// The periodic looks, and what follows from them.
async fn look_around(world: &mut World, time: Duration) -> Result<()> {
    world.for_a_while(time).await?;
    world.keep_house().await?;
    world.wake_all().await?;
    world.for_a_while(time).await
}

/// Is everything as it is wanted, or said why not? And is there silence?
pub(super) async fn check(world: &mut World) -> Result<()> {
    let holds = !world.store().holds().await?.is_empty();
    for row in world.database().rows(SAID).await? {
        let key = row["key"].as_str().unwrap_or_default().to_owned();
        resource(world, &row, holds).with_context(|| format!("{key}: {}", row["status"]))?;
    }
    let open = world
        .database()
        .rows("SELECT plan, index FROM plan_step WHERE state IN ('planned', 'started')")
        .await?;
    ensure!(open.is_empty(), "the journal has open steps: {open:?}");
    silence(world).await
}

fn resource(world: &World, row: &Value, holds: bool) -> Result<()> {
    let conditions = row["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready");
    let reason = ready.and_then(|ready| ready["reason"].as_str()).unwrap_or("nothing");
    ensure!(row["observed_generation"] == row["generation"], "the status speaks of an older generation");
    ensure!(!PASSING.contains(&reason), "{reason} does not pass");
    let waits = holds || ["WaitingForDependents", "ForeignObject", "Contested"].contains(&reason);
    ensure!(row["deleting"] == false || waits, "it is being deleted and stays");
    let converged = ready.is_some_and(|ready| ready["status"] == "True") && row["drifted"] == false;
    if row["kind"] == "Environment" && row["deleting"] == false && converged {
        as_wanted(world, row)?;
    }
    Ok(())
}

/// The services of an environment that says it is ready.
fn as_wanted(world: &World, row: &Value) -> Result<()> {
    let name = row["key"].as_str().and_then(|key| key.rsplit('/').next()).unwrap_or_default();
    let services = world.swarm().with(|swarm| swarm.list_services(&LabelFilter::any()));
    let wanted = row["spec"]["processes"].as_object().context("an environment has processes")?;
    for (process, spec) in wanted {
        let name = format!("acme_{name}_{process}");
        let service = services.iter().find(|service| service.spec.name == name);
        let service = service.with_context(|| format!("{name} is not there"))?;
        let live = serde_json::to_value(&service.spec)?;
        let replicas = &live["Mode"]["Replicated"]["Replicas"];
        ensure!(*replicas == spec["instances"], "{name} has {replicas} instances");
        let variable = format!("V={}", row["spec"]["env"]["V"].as_str().unwrap_or_default());
        let env = live["TaskTemplate"]["ContainerSpec"]["Env"].as_array().cloned().unwrap_or_default();
        ensure!(env.iter().any(|line| *line == variable), "{name} has {env:?}");
        ensure!(!env.iter().any(|line| *line == "MEDDLED=1"), "{name} is as somebody else made it");
    }
    Ok(())
}

async fn silence(world: &mut World) -> Result<()> {
    let (made, before, stands) =
        (world.made().len(), world.database().written().await?, standing(world).await?);
    let (said, tasks) = (statuses(world).await?, tasks(world));
    look_around(world, QUIET).await?;
    let (after, still_stands) = (world.database().written().await?, standing(world).await?);
    let noise =
        world.made().into_iter().skip(made).map(|made| format!("{} {}", made.verb.as_str(), made.object));
    let noise: Vec<_> = noise.collect();
    ensure!(noise.is_empty(), "not silent: {noise:?}");
    let differs = |(table, rows): &(&String, &String)| *table != "drift" && before.get(*table) != Some(rows);
    let wrote: Vec<_> = after.iter().filter(differs).map(|(table, _)| table).collect();
    if !wrote.is_empty() {
        // Where a task failed again in the meantime that is what is said, and no noise: it may say nothing else.
        let still_said = statuses(world).await?;
        let fails_on = self::tasks(world) != tasks && without_times(&said) == without_times(&still_said);
        let may_write = |table: &&String| TOLD_OF_A_FAILURE.contains(&table.as_str());
        let news: Vec<_> = still_said.iter().filter(|status| !said.contains(status)).collect();
        ensure!(
            fails_on && wrote.iter().all(may_write),
            "not silent: it wrote {wrote:?}; of the statuses {said:?} these were others: {news:?}"
        );
    }
    ensure!(stands == still_stands, "not silent: drift goes on: {stands:?}, then {still_stands:?}");
    Ok(())
}

/// What is said of each resource.
async fn statuses(world: &mut World) -> Result<Vec<Value>> {
    let query =
        "SELECT r.uid, r.name, s.status FROM resource_status s JOIN resource r USING (uid) ORDER BY r.uid";
    world.database().rows(query).await
}

/// The same without when tasks failed last, which passes said so, and from which revision.
fn without_times(statuses: &[Value]) -> Vec<Value> {
    let mut statuses = statuses.to_vec();
    for row in &mut statuses {
        let Some(status) = row["status"].as_object_mut() else { continue };
        status.retain(|field, _| !["reconcileId", "observedRevision"].contains(&field.as_str()));
        let processes = status.get_mut("processes").and_then(Value::as_object_mut);
        for process in processes.into_iter().flat_map(|processes| processes.values_mut()) {
            if let Some(error) = process.get_mut("lastError").and_then(Value::as_object_mut) {
                error.remove("at");
            }
        }
    }
    statuses
}

/// The tasks that there are: those that fail are replaced.
fn tasks(world: &World) -> BTreeSet<String> {
    let tasks = world.swarm().with(|swarm| swarm.list_tasks(&TaskFilter::default()));
    tasks.iter().map(|task| task.id.to_string()).collect()
}

/// The drift that is noted. That it still stands is noted from time to time, which is no noise.
async fn standing(world: &mut World) -> Result<Vec<Value>> {
    let query = "SELECT id, response, ended_at IS NULL AS open FROM drift ORDER BY id";
    world.database().rows(query).await
}
