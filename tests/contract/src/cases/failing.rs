//! A node that loses its power: what ran there has ended, which nobody hears of before it is back.

use std::time::Duration;

use skep_planner::swarm::{NodeState, ServiceId, Task, TaskState};

use super::cases;
use super::cluster::{bring_back, global, ids, note_tasks, on, pinned, spread};
use crate::arena::{Act, CLUSTER};
use crate::trial::Trial;

cases!(CLUSTER =>
    what_ran_without_power_has_failed_when_its_node_is_back,
    a_global_service_is_made_again_where_the_power_is_back,
    a_task_that_waits_for_power_runs_when_it_is_back,
);

/// The node that loses its power.
const OFF: &str = "node-2";

/// Nothing more comes after so long.
const QUIET: Duration = Duration::from_secs(3);

async fn switch_off(trial: &Trial<'_>) {
    trial.arena().switch_off_node(OFF).await;
    trial.node_is(OFF, NodeState::Down).await;
}

/// Waits for the end of a task whose container ended with the power. The engine finds that out by itself, but it may be told first that
/// the task is not wanted any more: which of the two it is, is chance.
async fn has_ended(trial: &Trial<'_>, id: &ServiceId, old: &Task) {
    let status = trial.ended(id, old).await.status;
    match status.state {
        Some(TaskState::Failed) => assert_eq!(status.err, "task: non-zero exit (255)"),
        state => assert_eq!(state, Some(TaskState::Shutdown)),
    }
}

async fn what_ran_without_power_has_failed_when_its_node_is_back(trial: &Trial<'_>) {
    let (id, old) = spread(trial, &trial.service("web", Act::Runs, 3), OFF).await;
    switch_off(trial).await;
    let replaced = trial.running_off(&id, OFF, 3).await;
    note_tasks(trial, &id, OFF).await;
    bring_back(trial, OFF).await;
    has_ended(trial, &id, &old).await;
    trial.arena().rest(QUIET).await;
    assert_eq!(ids(&trial.running_off(&id, OFF, 3).await), ids(&replaced));
    assert_eq!(trial.tasks(&id).await.len(), 4);
    trial.remove(&id).await;
}

async fn a_global_service_is_made_again_where_the_power_is_back(trial: &Trial<'_>) {
    let (id, old) = spread(trial, &global(trial), OFF).await;
    switch_off(trial).await;
    trial.running_off(&id, OFF, 2).await;
    note_tasks(trial, &id, OFF).await;
    bring_back(trial, OFF).await;
    has_ended(trial, &id, &old).await;
    let tasks = trial.running(&id, 3).await;
    assert_ne!(on(trial, tasks, OFF).await.remove(0).id, old.id);
    trial.remove(&id).await;
}

async fn a_task_that_waits_for_power_runs_when_it_is_back(trial: &Trial<'_>) {
    let id = trial.create(&pinned(trial, OFF)).await;
    let old = trial.running(&id, 1).await.remove(0);
    switch_off(trial).await;
    let waiting = trial.waiting(&id).await;
    trial.note(waiting.status.err);
    bring_back(trial, OFF).await;
    assert_eq!(trial.running(&id, 1).await.remove(0).id, waiting.id);
    has_ended(trial, &id, &old).await;
    trial.remove(&id).await;
}
