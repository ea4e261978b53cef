//! One node of several that is drained and taken in again.

use std::time::Duration;

use super::cases;
use super::cluster::{global, ids, note_tasks, on, pinned, spread};
use crate::arena::{Act, CLUSTER};
use crate::trial::Trial;

cases!(CLUSTER =>
    what_a_drained_node_had_runs_elsewhere_and_stays_there,
    a_drained_node_has_its_task_of_a_global_service_again_when_it_is_active,
    a_task_that_may_be_nowhere_else_waits_for_the_drained_node,
);

/// The node that is drained.
const DRAINED: &str = "node-2";

/// Nothing more comes after so long.
const QUIET: Duration = Duration::from_secs(2);

async fn what_a_drained_node_had_runs_elsewhere_and_stays_there(trial: &Trial<'_>) {
    let (id, old) = spread(trial, &trial.service("web", Act::Runs, 3), DRAINED).await;
    trial.arena().set_availability(DRAINED, "drain").await;
    let moved = trial.running_off(&id, DRAINED, 3).await;
    trial.ended(&id, &old).await;
    note_tasks(trial, &id, DRAINED).await;
    trial.arena().set_availability(DRAINED, "active").await;
    trial.arena().rest(QUIET).await;
    assert_eq!(ids(&trial.running_off(&id, DRAINED, 3).await), ids(&moved));
    note_tasks(trial, &id, DRAINED).await;
    trial.remove(&id).await;
}

async fn a_drained_node_has_its_task_of_a_global_service_again_when_it_is_active(trial: &Trial<'_>) {
    let (id, old) = spread(trial, &global(trial), DRAINED).await;
    trial.arena().set_availability(DRAINED, "drain").await;
    trial.running_off(&id, DRAINED, 2).await;
    trial.ended(&id, &old).await;
    note_tasks(trial, &id, DRAINED).await;
    trial.arena().set_availability(DRAINED, "active").await;
    let tasks = trial.running(&id, 3).await;
    assert_ne!(on(trial, tasks, DRAINED).await.remove(0).id, old.id);
    note_tasks(trial, &id, DRAINED).await;
    trial.remove(&id).await;
}

async fn a_task_that_may_be_nowhere_else_waits_for_the_drained_node(trial: &Trial<'_>) {
    let id = trial.create(&pinned(trial, DRAINED)).await;
    let old = trial.running(&id, 1).await.remove(0);
    trial.arena().set_availability(DRAINED, "drain").await;
    let waiting = trial.waiting(&id).await;
    trial.note(format!("{:?} {:?}", waiting.status.message, waiting.status.err));
    trial.ended(&id, &old).await;
    trial.arena().set_availability(DRAINED, "active").await;
    assert_eq!(trial.running(&id, 1).await.remove(0).id, waiting.id);
    trial.remove(&id).await;
}
