//! One node of several that is paused: it keeps what it has, and gets nothing new.

use std::time::Duration;

use skep_planner::swarm::{ServiceMode, UpdateState};

use super::cases;
use super::cluster::{global, ids, note_tasks, on, spread};
use super::rolling::{config, images, rolled, running_act, status};
use crate::arena::{Act, CLUSTER};
use crate::trial::Trial;

cases!(CLUSTER =>
    a_paused_node_keeps_its_task_and_the_others_get_the_new_ones,
    a_roll_out_leaves_a_paused_node,
    a_global_service_rolls_out_on_a_paused_node_when_it_is_active,
    a_new_global_service_comes_to_a_paused_node_when_it_is_active,
);

/// The node that is paused.
const PAUSED: &str = "node-3";

/// Nothing more comes after so long.
const QUIET: Duration = Duration::from_secs(2);

async fn pause(trial: &Trial<'_>) {
    trial.arena().set_availability(PAUSED, "pause").await;
}

async fn activate(trial: &Trial<'_>) {
    trial.arena().set_availability(PAUSED, "active").await;
}

async fn a_paused_node_keeps_its_task_and_the_others_get_the_new_ones(trial: &Trial<'_>) {
    let mut spec = trial.service("web", Act::Runs, 3);
    let (id, old) = spread(trial, &spec, PAUSED).await;
    pause(trial).await;
    spec.mode = Some(ServiceMode::replicated(5));
    trial.update(&id, &spec).await;
    let tasks = trial.running(&id, 5).await;
    assert_eq!(ids(&on(trial, tasks, PAUSED).await), ids(&[old]));
    activate(trial).await;
    trial.arena().rest(QUIET).await;
    note_tasks(trial, &id, PAUSED).await;
    trial.remove(&id).await;
}

async fn a_roll_out_leaves_a_paused_node(trial: &Trial<'_>) {
    let spec = rolled(trial.service("web", Act::Runs, 3), config("stop-first", "pause"));
    let (id, old) = spread(trial, &spec, PAUSED).await;
    pause(trial).await;
    trial.update(&id, &running_act(spec, Act::RunsToo)).await;
    trial.update_state(&id, UpdateState::Completed).await;
    trial.running_off(&id, PAUSED, 3).await;
    trial.ended(&id, &old).await;
    note_tasks(trial, &id, PAUSED).await;
    activate(trial).await;
    trial.arena().rest(QUIET).await;
    trial.running_off(&id, PAUSED, 3).await;
    trial.remove(&id).await;
}

async fn a_global_service_rolls_out_on_a_paused_node_when_it_is_active(trial: &Trial<'_>) {
    let spec = rolled(global(trial), config("stop-first", "pause"));
    let (id, old) = spread(trial, &spec, PAUSED).await;
    pause(trial).await;
    trial.update(&id, &running_act(spec, Act::RunsToo)).await;
    trial.update_state(&id, UpdateState::Completed).await;
    let tasks = trial.running(&id, 3).await;
    assert_eq!(ids(&on(trial, tasks, PAUSED).await), ids(std::slice::from_ref(&old)));
    note_tasks(trial, &id, PAUSED).await;
    trial.note(images(trial, &id).await.join(" "));
    activate(trial).await;
    trial.ended(&id, &old).await;
    trial.running(&id, 3).await;
    note_tasks(trial, &id, PAUSED).await;
    trial.note(images(trial, &id).await.join(" "));
    trial.note(status(trial, &id).await);
    trial.remove(&id).await;
}

async fn a_new_global_service_comes_to_a_paused_node_when_it_is_active(trial: &Trial<'_>) {
    pause(trial).await;
    let id = trial.create(&global(trial)).await;
    trial.running_off(&id, PAUSED, 2).await;
    trial.arena().rest(QUIET).await;
    note_tasks(trial, &id, PAUSED).await;
    activate(trial).await;
    trial.running(&id, 3).await;
    note_tasks(trial, &id, PAUSED).await;
    trial.remove(&id).await;
}
