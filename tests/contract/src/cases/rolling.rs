//! Roll-outs: their order, their pace, their ends.

use std::time::Duration;

use skep_planner::swarm::{
    Nanos, Placement, Ratio, RestartPolicy, Service, ServiceId, ServiceSpec, Task, TaskState, UpdateConfig,
    UpdateState,
};

use super::cases;
use crate::arena::Act;
use crate::trial::{Trial, between, container};

cases!(
    labels_replace_no_task,
    settings_of_roll_outs_replace_no_task,
    another_order_of_variables_replaces_tasks,
    an_empty_object_replaces_tasks,
    a_placement_that_the_node_meets_replaces_no_task,
    a_placement_that_the_node_does_not_meet_waits_for_ever,
    start_first_never_has_fewer,
    stop_first_has_an_empty_slot_in_between,
    two_at_a_time_are_two_at_a_time,
    a_delay_lies_between_two_slots,
    a_roll_out_is_done_when_it_was_watched,
    a_failure_pauses,
    a_paused_roll_out_goes_on_with_the_next_spec,
    a_failure_goes_back,
    a_failure_after_the_start_goes_back,
    a_failure_is_passed_over,
    some_failures_are_tolerated,
    a_rollback_that_fails_pauses,
    a_rollback_that_fails_and_would_go_back_calls_itself_complete,
    an_unhealthy_version_goes_back_and_the_old_one_runs_on,
    a_missing_image_goes_back,
);

pub(super) fn config(order: &str, action: &str) -> UpdateConfig {
    UpdateConfig {
        parallelism: Some(1),
        monitor: Nanos::from_secs(2),
        failure_action: Some(action.into()),
        order: Some(order.into()),
        ..UpdateConfig::default()
    }
}

/// The same where a task is expected to fail: watched for so long that a busy machine is not too late to tell of its end.
fn watchful(order: &str, action: &str) -> UpdateConfig {
    UpdateConfig { monitor: Nanos::from_secs(30), ..config(order, action) }
}

pub(super) fn rolled(mut spec: ServiceSpec, config: UpdateConfig) -> ServiceSpec {
    spec.rollback_config = Some(UpdateConfig { monitor: Nanos::from_secs(1), ..UpdateConfig::default() });
    spec.update_config = Some(config);
    spec
}

pub(super) fn running_act(mut spec: ServiceSpec, act: Act) -> ServiceSpec {
    act.image().clone_into(&mut container(&mut spec).image);
    spec
}

fn ids(tasks: &[Task]) -> Vec<String> {
    let mut ids: Vec<String> = tasks.iter().map(|task| task.id.to_string()).collect();
    ids.sort();
    ids
}

/// What Swarm says of a roll-out.
pub(super) async fn status(trial: &Trial<'_>, id: &ServiceId) -> String {
    let service = trial.inspect(id).await;
    match service.update_status {
        None => "no roll-out".to_owned(),
        Some(status) => {
            format!("{:?} {:?}, ended {}", status.state, status.message, !status.completed_at.is_empty())
        }
    }
}

/// When Swarm says that a roll-out ended.
fn completed_at(service: &Service) -> String {
    service.update_status.as_ref().map(|status| status.completed_at.clone()).unwrap_or_default()
}

fn image(task: &Task) -> String {
    task.spec.container_spec.as_ref().map(|container| container.image.clone()).unwrap_or_default()
}

/// What runs, by image.
pub(super) async fn images(trial: &Trial<'_>, id: &ServiceId) -> Vec<String> {
    let running = trial.tasks_in(id, TaskState::Running).await;
    let wanted = running.into_iter().filter(|task| task.desired_state == Some(TaskState::Running));
    let mut images: Vec<String> = wanted.map(|task| image(&task)).collect();
    images.sort();
    images
}

/// A change that replaces nothing: the same tasks run, and nothing is said.
async fn replaces_nothing(trial: &Trial<'_>, change: impl FnOnce(&mut ServiceSpec)) {
    let mut spec = trial.service("web", Act::Runs, 2);
    let id = trial.create(&spec).await;
    let before = ids(&trial.running(&id, 2).await);
    change(&mut spec);
    trial.update(&id, &spec).await;
    trial.arena().rest(Duration::from_secs(2)).await;
    assert_eq!(ids(&trial.running(&id, 2).await), before);
    trial.note(status(trial, &id).await);
}

/// A change that replaces every task.
async fn replaces_all(trial: &Trial<'_>, first: ServiceSpec, then: ServiceSpec) {
    let id = trial.create(&first).await;
    let before = ids(&trial.running(&id, 1).await);
    trial.update(&id, &then).await;
    trial.update_state(&id, UpdateState::Completed).await;
    assert_ne!(ids(&trial.running(&id, 1).await), before);
    trial.note(status(trial, &id).await);
}

async fn labels_replace_no_task(trial: &Trial<'_>) {
    replaces_nothing(trial, |spec| {
        spec.labels.insert("a".to_owned(), "1".to_owned());
    })
    .await;
}

async fn settings_of_roll_outs_replace_no_task(trial: &Trial<'_>) {
    replaces_nothing(trial, |spec| {
        spec.update_config = Some(config("start-first", "rollback"));
        spec.rollback_config = Some(config("stop-first", "pause"));
    })
    .await;
}

async fn another_order_of_variables_replaces_tasks(trial: &Trial<'_>) {
    let mut first = rolled(trial.service("web", Act::Runs, 1), config("stop-first", "pause"));
    let mut then = first.clone();
    container(&mut first).env = vec!["A=1".to_owned(), "B=2".to_owned()];
    container(&mut then).env = vec!["B=2".to_owned(), "A=1".to_owned()];
    replaces_all(trial, first, then).await;
}

async fn an_empty_object_replaces_tasks(trial: &Trial<'_>) {
    let first = rolled(trial.service("web", Act::Runs, 1), config("stop-first", "pause"));
    let mut then = first.clone();
    then.task_template.resources = Some(skep_planner::swarm::Resources::default());
    replaces_all(trial, first, then).await;
}

pub(super) fn constrained(constraint: &str) -> Option<Placement> {
    Some(Placement { constraints: vec![constraint.to_owned()], ..Placement::default() })
}

async fn a_placement_that_the_node_meets_replaces_no_task(trial: &Trial<'_>) {
    replaces_nothing(trial, |spec| spec.task_template.placement = constrained("node.role==manager")).await;
}

async fn a_placement_that_the_node_does_not_meet_waits_for_ever(trial: &Trial<'_>) {
    let mut spec = rolled(trial.service("web", Act::Runs, 2), config("start-first", "rollback"));
    let id = trial.create(&spec).await;
    trial.running(&id, 2).await;
    spec.task_template.placement = constrained("node.labels.zone==moon");
    trial.update(&id, &spec).await;
    trial.arena().rest(Duration::from_secs(7)).await;
    trial.note(status(trial, &id).await);
    trial.note(format!("{} run", trial.running(&id, 2).await.len()));
    // Which of the slots it tries first is nobody's promise.
    let mut tasks: Vec<String> = trial
        .tasks(&id)
        .await
        .into_iter()
        .map(|task| format!("{:?} {:?} {:?}", task.status.state, task.desired_state, task.status.err))
        .collect();
    tasks.sort();
    trial.note(format!("{tasks:?}"));
}

async fn start_first_never_has_fewer(trial: &Trial<'_>) {
    let spec = rolled(trial.service("web", Act::Runs, 2), config("start-first", "pause"));
    let id = trial.create(&spec).await;
    trial.running(&id, 2).await;
    trial.update(&id, &running_act(spec, Act::RunsToo)).await;
    trial
        .until("the end", || async {
            let running = trial.tasks_in(&id, TaskState::Running).await.len();
            assert!(running >= 2, "only {running} run");
            let state = trial.inspect(&id).await.update_status.and_then(|status| status.state);
            (state == Some(UpdateState::Completed)).then_some(())
        })
        .await;
    trial.note(format!("{:?}", images(trial, &id).await));
}

async fn stop_first_has_an_empty_slot_in_between(trial: &Trial<'_>) {
    let spec = rolled(trial.service("web", Act::Runs, 2), config("stop-first", "pause"));
    let id = trial.create(&spec).await;
    trial.running(&id, 2).await;
    trial.update(&id, &running_act(spec, Act::RunsToo)).await;
    let mut fewest = 2;
    loop {
        let running = trial.tasks_in(&id, TaskState::Running).await.len();
        fewest = fewest.min(running);
        let state = trial.inspect(&id).await.update_status.and_then(|status| status.state);
        if state == Some(UpdateState::Completed) {
            break;
        }
        trial.arena().tick().await;
    }
    trial.note(format!("fewest {fewest}, {:?}", images(trial, &id).await));
}

async fn two_at_a_time_are_two_at_a_time(trial: &Trial<'_>) {
    let two = UpdateConfig { parallelism: Some(2), ..config("stop-first", "pause") };
    let spec = rolled(trial.service("web", Act::Runs, 4), two);
    let id = trial.create(&spec).await;
    let old = ids(&trial.running(&id, 4).await);
    trial.update(&id, &running_act(spec, Act::RunsToo)).await;
    let mut most = 0;
    loop {
        let tasks = trial.tasks(&id).await;
        let coming = tasks.iter().filter(|task| {
            !old.contains(&task.id.to_string()) && task.status.state < Some(TaskState::Running)
        });
        most = most.max(coming.count());
        let state = trial.inspect(&id).await.update_status.and_then(|status| status.state);
        if state == Some(UpdateState::Completed) {
            break;
        }
        trial.arena().tick().await;
    }
    trial.note(format!("at most {most} at a time, {:?}", images(trial, &id).await));
}

async fn a_delay_lies_between_two_slots(trial: &Trial<'_>) {
    let slow = UpdateConfig { delay: Nanos::from_secs(3), ..config("stop-first", "pause") };
    let spec = rolled(trial.service("web", Act::Runs, 2), slow);
    let id = trial.create(&spec).await;
    trial.running(&id, 2).await;
    trial.update(&id, &running_act(spec, Act::RunsToo)).await;
    let new = trial
        .until("the second", || async {
            let mut new = trial.tasks(&id).await;
            new.retain(|task| image(task) == Act::RunsToo.image());
            new.sort_by_key(|task| task.created_at.clone());
            (new.len() == 2).then_some(new)
        })
        .await;
    let waited = between(&new[0].created_at, &new[1].created_at);
    assert!(waited >= Duration::from_secs(3), "it waited {waited:?}");
    let service = trial.update_state(&id, UpdateState::Completed).await;
    let waited = between(&new[0].created_at, &completed_at(&service));
    assert!(waited >= Duration::from_secs(8), "a delay is watched for longer: {waited:?}");
}

async fn a_roll_out_is_done_when_it_was_watched(trial: &Trial<'_>) {
    let spec = rolled(trial.service("web", Act::Runs, 1), config("start-first", "pause"));
    let id = trial.create(&spec).await;
    trial.running(&id, 1).await;
    trial.update(&id, &running_act(spec, Act::RunsToo)).await;
    trial.update_state(&id, UpdateState::Updating).await;
    trial.note(status(trial, &id).await);
    let service = trial.update_state(&id, UpdateState::Completed).await;
    let new = trial.running(&id, 1).await.remove(0);
    assert_eq!(image(&new), Act::RunsToo.image());
    let watched = between(&new.status.timestamp, &completed_at(&service));
    assert!(watched >= Duration::from_secs(2), "it was watched for {watched:?}");
    trial.note(status(trial, &id).await);
}

/// A roll-out of something that fails, to its end.
async fn failing(trial: &Trial<'_>, config: UpdateConfig, act: Act, end: UpdateState) -> ServiceId {
    let spec = rolled(trial.service("web", Act::Runs, 2), config);
    let id = trial.create(&spec).await;
    trial.running(&id, 2).await;
    trial.update(&id, &running_act(spec, act)).await;
    let service = trial.update_state(&id, end).await;
    trial.note(status(trial, &id).await);
    let image =
        |spec: &ServiceSpec| spec.task_template.container_spec.clone().map(|container| container.image);
    trial.note(format!("spec {:?}", image(&service.spec)));
    trial.note(format!("before {:?}", service.previous_spec.map(|spec| image(&spec))));
    id
}

async fn a_failure_pauses(trial: &Trial<'_>) {
    let id = failing(trial, watchful("start-first", "pause"), Act::Exits, UpdateState::Paused).await;
    trial.swarm().remove_service(&id).await.expect("removed");
}

async fn a_paused_roll_out_goes_on_with_the_next_spec(trial: &Trial<'_>) {
    let id = failing(trial, watchful("stop-first", "pause"), Act::Exits, UpdateState::Paused).await;
    let spec = rolled(trial.service("web", Act::RunsToo, 2), config("stop-first", "pause"));
    trial.update(&id, &spec).await;
    trial.update_state(&id, UpdateState::Completed).await;
    trial.running(&id, 2).await;
    trial.note(format!("{:?}", images(trial, &id).await));
}

async fn a_failure_goes_back(trial: &Trial<'_>) {
    let rollback = watchful("start-first", "rollback");
    let id = failing(trial, rollback, Act::Exits, UpdateState::RollbackCompleted).await;
    trial.running(&id, 2).await;
    trial.note(format!("{:?}", images(trial, &id).await));
}

async fn a_failure_after_the_start_goes_back(trial: &Trial<'_>) {
    let rollback = watchful("stop-first", "rollback");
    let id = failing(trial, rollback, Act::Stumbles, UpdateState::RollbackCompleted).await;
    trial.running(&id, 2).await;
    trial.note(format!("{:?}", images(trial, &id).await));
}

async fn a_failure_is_passed_over(trial: &Trial<'_>) {
    let id = failing(trial, config("stop-first", "continue"), Act::Exits, UpdateState::Completed).await;
    trial.swarm().remove_service(&id).await.expect("removed");
}

async fn some_failures_are_tolerated(trial: &Trial<'_>) {
    let all = UpdateConfig { max_failure_ratio: Ratio::new(1.0), ..config("stop-first", "pause") };
    let spec = rolled(trial.service("web", Act::Runs, 2), all);
    let id = trial.create(&spec).await;
    trial.running(&id, 2).await;
    let mut then = running_act(spec, Act::Exits);
    then.task_template.restart_policy = trial.once("x", Act::Exits).task_template.restart_policy;
    trial.update(&id, &then).await;
    trial.update_state(&id, UpdateState::Completed).await;
    trial.note(status(trial, &id).await);
}

/// Both specs fail, and what failed is not made again for an hour: what is rolled back fails too, and is watched while it does.
async fn both_failing(trial: &Trial<'_>, action: &str) {
    // The delay keeps the failure unheard until the next attempt is made: which of the two comes first is chance otherwise.
    let late = UpdateConfig { delay: Nanos::from_secs(3), ..watchful("stop-first", "rollback") };
    // It runs for a moment before it fails, the second time as well: a busy engine tells of what ends at once before it watches.
    let mut spec = rolled(trial.service("web", Act::Stumbles, 1), late);
    spec.task_template.restart_policy =
        Some(RestartPolicy { delay: Some(Nanos::from_secs(3600)), ..RestartPolicy::default() });
    spec.rollback_config = Some(watchful("stop-first", action));
    let id = trial.create(&spec).await;
    trial.task_in(&id, TaskState::Ready).await;
    let mut then = spec;
    container(&mut then).env.push("VERSION=2".to_owned());
    trial.update(&id, &then).await;
    trial
        .until("an end", || async {
            let state = trial.inspect(&id).await.update_status.and_then(|status| status.state);
            state.filter(|state| *state != UpdateState::Updating && *state != UpdateState::RollbackStarted)
        })
        .await;
    trial.arena().rest(Duration::from_secs(7)).await;
    trial.note(status(trial, &id).await);
    trial.swarm().remove_service(&id).await.expect("removed");
}

async fn a_rollback_that_fails_pauses(trial: &Trial<'_>) {
    both_failing(trial, "pause").await;
}

async fn a_rollback_that_fails_and_would_go_back_calls_itself_complete(trial: &Trial<'_>) {
    both_failing(trial, "rollback").await;
}

async fn an_unhealthy_version_goes_back_and_the_old_one_runs_on(trial: &Trial<'_>) {
    let spec = rolled(trial.service("web", Act::Runs, 2), watchful("start-first", "rollback"));
    let id = trial.create(&spec).await;
    trial.running(&id, 2).await;
    let before = images(trial, &id).await;
    let mut then = running_act(spec, Act::Unhealthy);
    then.task_template.restart_policy = trial.once("x", Act::Unhealthy).task_template.restart_policy;
    trial.update(&id, &then).await;
    trial.update_state(&id, UpdateState::RollbackCompleted).await;
    trial.running(&id, 2).await;
    // The version, not the tasks: an engine of 20.10 that was busy had put another task of the old version in the place of one.
    assert_eq!(images(trial, &id).await, before);
    trial.note(status(trial, &id).await);
}

async fn a_missing_image_goes_back(trial: &Trial<'_>) {
    let rollback = watchful("start-first", "rollback");
    let id = failing(trial, rollback, Act::Missing, UpdateState::RollbackCompleted).await;
    let rejected = trial.task_in(&id, TaskState::Rejected).await;
    trial.note(rejected.status.err);
}
