//! A node whose network is cut: what is said of it and of its tasks, who takes their place, and what becomes of them when it is back.

use std::time::Duration;

use skep_planner::swarm::{Nanos, NodeState, ServiceId, ServiceMode, Task, UpdateConfig, UpdateState};
use skep_swarm::{HintKind, TaskFilter};

use super::cases;
use super::cluster::{bring_back, global, ids, lose, note_tasks, on, pinned, spread, told};
use super::rolling::{config, images, rolled, running_act, status};
use crate::arena::{Act, CLUSTER};
use crate::trial::Trial;

cases!(CLUSTER =>
    what_a_lost_node_had_runs_elsewhere_and_stays_there,
    a_lost_node_has_its_task_of_a_global_service_again_when_it_is_back,
    a_task_that_may_be_nowhere_else_waits_for_the_lost_node,
    what_nobody_makes_again_is_lost_with_its_node,
    a_roll_out_passes_a_lost_node_by,
    a_roll_out_that_gave_a_lost_node_a_task_waits_and_fails_when_it_is_back,
    a_start_first_roll_out_that_gave_a_lost_node_a_task_leaves_one_too_many,
    a_removed_service_leaves_a_task_behind_until_its_node_is_back,
    a_node_that_goes_and_comes_is_told_of,
);

/// The node that is lost.
const LOST: &str = "node-3";

/// A task that ends within this time after it was given up has failed: long, so that a busy machine is not too late to notice.
const WATCHED: Nanos = Nanos::from_secs(20);

/// Nothing more comes after so long.
const QUIET: Duration = Duration::from_secs(3);

async fn what_a_lost_node_had_runs_elsewhere_and_stays_there(trial: &Trial<'_>) {
    let (id, old) = spread(trial, &trial.service("web", Act::Runs, 3), LOST).await;
    let node = lose(trial, LOST).await;
    trial.note(format!("{:?} {:?}", node.spec.availability, node.status.message));
    let replaced = trial.running_off(&id, LOST, 3).await;
    note_tasks(trial, &id, LOST).await;
    let node = bring_back(trial, LOST).await;
    trial.note(format!("{:?} {:?}", node.spec.availability, node.status.message));
    trial.ended(&id, &old).await;
    trial.arena().rest(QUIET).await;
    assert_eq!(ids(&trial.running_off(&id, LOST, 3).await), ids(&replaced));
    note_tasks(trial, &id, LOST).await;
    trial.remove(&id).await;
}

async fn a_lost_node_has_its_task_of_a_global_service_again_when_it_is_back(trial: &Trial<'_>) {
    let (id, old) = spread(trial, &global(trial), LOST).await;
    lose(trial, LOST).await;
    trial.running_off(&id, LOST, 2).await;
    trial.arena().rest(QUIET).await;
    note_tasks(trial, &id, LOST).await;
    bring_back(trial, LOST).await;
    trial.ended(&id, &old).await;
    let tasks = trial.running(&id, 3).await;
    assert_ne!(on(trial, tasks, LOST).await.remove(0).id, old.id);
    note_tasks(trial, &id, LOST).await;
    trial.remove(&id).await;
}

async fn a_task_that_may_be_nowhere_else_waits_for_the_lost_node(trial: &Trial<'_>) {
    let id = trial.create(&pinned(trial, LOST)).await;
    let old = trial.running(&id, 1).await.remove(0);
    lose(trial, LOST).await;
    let waiting = trial.waiting(&id).await;
    trial.note(format!("{:?} {:?}", waiting.status.message, waiting.status.err));
    bring_back(trial, LOST).await;
    let again = trial.running(&id, 1).await.remove(0);
    assert_eq!(again.id, waiting.id);
    trial.ended(&id, &old).await;
    note_tasks(trial, &id, LOST).await;
    trial.remove(&id).await;
}

async fn what_nobody_makes_again_is_lost_with_its_node(trial: &Trial<'_>) {
    let mut spec = trial.once("web", Act::Runs);
    spec.mode = Some(ServiceMode::replicated(3));
    let (id, old) = spread(trial, &spec, LOST).await;
    lose(trial, LOST).await;
    trial.running_off(&id, LOST, 2).await;
    trial.arena().rest(QUIET).await;
    note_tasks(trial, &id, LOST).await;
    bring_back(trial, LOST).await;
    trial.ended(&id, &old).await;
    trial.arena().rest(QUIET).await;
    note_tasks(trial, &id, LOST).await;
    trial.remove(&id).await;
}

async fn a_roll_out_passes_a_lost_node_by(trial: &Trial<'_>) {
    let spec = rolled(trial.service("web", Act::Runs, 3), config("stop-first", "pause"));
    let (id, old) = spread(trial, &spec, LOST).await;
    lose(trial, LOST).await;
    trial.running_off(&id, LOST, 3).await;
    trial.update(&id, &running_act(spec, Act::RunsToo)).await;
    trial.update_state(&id, UpdateState::Completed).await;
    trial.note(status(trial, &id).await);
    trial.note(images(trial, &id).await.join(" "));
    note_tasks(trial, &id, LOST).await;
    bring_back(trial, LOST).await;
    trial.ended(&id, &old).await;
    trial.arena().rest(QUIET).await;
    note_tasks(trial, &id, LOST).await;
    trial.remove(&id).await;
}

/// A roll-out of all slots at once begins when a node is gone and nobody misses it yet: the node is given a task, too, and with it
/// goes on what is told here. Which slot's task that is, is chance. Says what the node has, and what it was given.
async fn meet_a_lost_node(trial: &Trial<'_>, order: &str) -> (ServiceId, Task, Task) {
    let all_at_once = UpdateConfig { parallelism: Some(0), monitor: WATCHED, ..config(order, "pause") };
    let spec = rolled(trial.service("web", Act::Runs, 3), all_at_once);
    let (id, old) = spread(trial, &spec, LOST).await;
    trial.arena().cut_off_node(LOST).await;
    trial.update(&id, &running_act(spec, Act::RunsToo)).await;
    let given = trial
        .until("a task for the lost node", || async {
            let tasks = on(trial, trial.tasks(&id).await, LOST).await;
            tasks.into_iter().find(|task| task.id != old.id)
        })
        .await;
    trial.node_is(LOST, NodeState::Down).await;
    (id, old, given)
}

/// Waits until a roll-out goes on no more.
async fn rolls_no_more(trial: &Trial<'_>, id: &ServiceId) {
    trial
        .until("the end of the roll-out", || async {
            let state = trial.inspect(id).await.update_status.and_then(|status| status.state);
            (state != Some(UpdateState::Updating)).then_some(())
        })
        .await;
    trial.note(status(trial, id).await);
}

async fn a_roll_out_that_gave_a_lost_node_a_task_waits_and_fails_when_it_is_back(trial: &Trial<'_>) {
    let (id, old, given) = meet_a_lost_node(trial, "stop-first").await;
    trial.running_off(&id, LOST, 3).await;
    trial.arena().rest(QUIET).await;
    note_tasks(trial, &id, LOST).await;
    trial.note(images(trial, &id).await.join(" "));
    trial.note(status(trial, &id).await);
    bring_back(trial, LOST).await;
    trial.ended(&id, &given).await;
    trial.ended(&id, &old).await;
    rolls_no_more(trial, &id).await;
    trial.arena().rest(QUIET).await;
    note_tasks(trial, &id, LOST).await;
    trial.note(images(trial, &id).await.join(" "));
    trial.remove(&id).await;
}

async fn a_start_first_roll_out_that_gave_a_lost_node_a_task_leaves_one_too_many(trial: &Trial<'_>) {
    let (id, _, given) = meet_a_lost_node(trial, "start-first").await;
    trial.running_off(&id, LOST, 4).await;
    trial.arena().rest(QUIET).await;
    trial.running_off(&id, LOST, 4).await;
    trial.note(status(trial, &id).await);
    bring_back(trial, LOST).await;
    trial.note(told(&trial.ended(&id, &given).await));
    rolls_no_more(trial, &id).await;
    trial.arena().rest(QUIET).await;
    trial.running_off(&id, LOST, 4).await;
    trial.remove(&id).await;
}

async fn a_removed_service_leaves_a_task_behind_until_its_node_is_back(trial: &Trial<'_>) {
    let (id, old) = spread(trial, &trial.service("web", Act::Runs, 3), LOST).await;
    lose(trial, LOST).await;
    let replaced = trial.running_off(&id, LOST, 3).await;
    trial.remove(&id).await;
    let all = || async { trial.swarm().list_tasks(&TaskFilter::default()).await.expect("tasks") };
    trial
        .until("the other tasks to be gone", || async {
            ids(&all().await).is_disjoint(&ids(&replaced)).then_some(())
        })
        .await;
    trial.arena().rest(QUIET).await;
    let left = all().await.into_iter().find(|task| task.id == old.id).expect("the task on the lost node");
    trial.note(told(&left));
    bring_back(trial, LOST).await;
    trial
        .until("the last task to be gone", || async {
            all().await.iter().all(|task| task.id != old.id).then_some(())
        })
        .await;
}

async fn a_node_that_goes_and_comes_is_told_of(trial: &Trial<'_>) {
    let mut stream = trial.swarm().events().await.expect("events");
    lose(trial, LOST).await;
    bring_back(trial, LOST).await;
    let mut heard = Vec::new();
    while heard.len() < 2 {
        let hint = trial
            .until("the node to be told of", || {
                let hint = futures::FutureExt::now_or_never(futures::StreamExt::next(&mut stream)).flatten();
                async move { hint.map(|hint| hint.expect("a hint")) }
            })
            .await;
        // That its description is another one is told as well.
        if hint.kind == HintKind::Node && hint.attributes.contains_key("state.new") {
            heard.push(format!("{} {:?} {:?}", hint.action, hint.name, hint.attributes));
        }
    }
    heard.iter().for_each(|line| trial.note(line));
}
