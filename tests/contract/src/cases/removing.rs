//! A lost node that is removed for good: nobody waits for it any more. These cases are the last ones of their Swarm.

use std::time::Duration;

use skep_swarm::TaskFilter;

use super::cases;
use super::cluster::{global, lose, note_tasks, pinned, spread};
use crate::arena::{Act, CLUSTER};
use crate::trial::Trial;

cases!(CLUSTER =>
    what_a_removed_node_had_is_orphaned,
    a_removed_node_takes_its_task_of_a_global_service_along,
    a_task_that_may_be_nowhere_else_waits_for_another_node,
    what_a_removed_service_left_on_a_lost_node_goes_with_the_node,
);

/// The node that is removed.
const REMOVED: &str = "node-3";

/// Nothing more comes after so long.
const QUIET: Duration = Duration::from_secs(2);

async fn what_a_removed_node_had_is_orphaned(trial: &Trial<'_>) {
    let (id, old) = spread(trial, &trial.service("web", Act::Runs, 3), REMOVED).await;
    lose(trial, REMOVED).await;
    trial.running_off(&id, REMOVED, 3).await;
    trial.arena().remove_node(REMOVED).await;
    trial.ended(&id, &old).await;
    trial.arena().rest(QUIET).await;
    note_tasks(trial, &id, REMOVED).await;
}

async fn a_removed_node_takes_its_task_of_a_global_service_along(trial: &Trial<'_>) {
    let (id, _) = spread(trial, &global(trial), REMOVED).await;
    lose(trial, REMOVED).await;
    trial.running_off(&id, REMOVED, 2).await;
    trial.arena().remove_node(REMOVED).await;
    trial.arena().rest(QUIET).await;
    note_tasks(trial, &id, REMOVED).await;
}

async fn a_task_that_may_be_nowhere_else_waits_for_another_node(trial: &Trial<'_>) {
    let id = trial.create(&pinned(trial, REMOVED)).await;
    let old = trial.running(&id, 1).await.remove(0);
    lose(trial, REMOVED).await;
    let waiting = trial.waiting(&id).await;
    trial.arena().remove_node(REMOVED).await;
    trial.ended(&id, &old).await;
    let said = trial
        .until("another reason", || async {
            let said = trial.waiting(&id).await;
            (said.status.err != waiting.status.err).then_some(said)
        })
        .await;
    assert_eq!(said.id, waiting.id);
    trial.note(format!("{:?} {:?}", said.status.message, said.status.err));
}

async fn what_a_removed_service_left_on_a_lost_node_goes_with_the_node(trial: &Trial<'_>) {
    let (id, old) = spread(trial, &trial.service("web", Act::Runs, 3), REMOVED).await;
    lose(trial, REMOVED).await;
    trial.remove(&id).await;
    let is_there = || async {
        let all = trial.swarm().list_tasks(&TaskFilter::default()).await.expect("tasks");
        all.iter().any(|task| task.id == old.id)
    };
    trial.arena().rest(QUIET).await;
    assert!(is_there().await, "its node has to say that it has ended");
    trial.arena().remove_node(REMOVED).await;
    trial.until("the last task to be gone", || async { (!is_there().await).then_some(()) }).await;
}
