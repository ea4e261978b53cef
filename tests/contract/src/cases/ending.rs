//! How tasks end, what is said of it, and when they are made again.

use std::time::Duration;

use skep_planner::swarm::{Nanos, RestartPolicy, ServiceSpec, Task, TaskState};

use super::cases;
use crate::arena::Act;
use crate::trial::{Trial, between, container};

cases!(
    a_task_that_fails_says_how_it_ended,
    a_task_that_ends_well_is_complete,
    nothing_is_made_again_that_shall_not_be,
    what_ended_well_is_not_made_again_on_failure,
    what_ended_well_is_made_again_always,
    so_many_attempts_and_no_more,
    a_delay_holds_the_next_attempt_back,
    five_tasks_of_a_slot_are_remembered,
    an_image_that_no_node_has_is_refused_by_the_node,
    a_program_that_is_not_there_does_not_start,
    an_unhealthy_task_that_stops_well_is_complete_and_its_health_is_told,
    an_unhealthy_task_that_is_killed_has_failed,
    a_task_that_stumbles_is_made_again,
);

fn told(task: &Task) -> String {
    let status = &task.status;
    let exit = status.container_status.as_ref().map(|container| container.exit_code);
    format!(
        "{:?} wanted {:?}: {:?} {:?}, exit {exit:?}",
        status.state, task.desired_state, status.message, status.err
    )
}

fn policy(mut spec: ServiceSpec, condition: &str, attempts: u64) -> ServiceSpec {
    spec.task_template.restart_policy = Some(RestartPolicy {
        condition: Some(condition.into()),
        delay: Some(Nanos::from_millis(200)),
        max_attempts: Some(attempts),
        ..RestartPolicy::default()
    });
    spec
}

/// Waits until no task of a service is wanted any more, and notes what became of them.
async fn note_the_end(trial: &Trial<'_>, spec: &ServiceSpec) -> Vec<Task> {
    let id = trial.create(spec).await;
    let tasks = trial
        .until("the end", || async {
            let tasks = trial.tasks(&id).await;
            let is_over = |task: &Task| {
                task.desired_state == Some(TaskState::Shutdown)
                    && task.status.state.as_ref().is_some_and(TaskState::is_terminal)
            };
            (!tasks.is_empty() && tasks.iter().all(is_over)).then_some(tasks)
        })
        .await;
    trial.arena().rest(Duration::from_secs(1)).await;
    assert_eq!(trial.tasks(&id).await.len(), tasks.len(), "it is the end");
    for task in &tasks {
        trial.note(told(task));
    }
    tasks
}

async fn a_task_that_fails_says_how_it_ended(trial: &Trial<'_>) {
    note_the_end(trial, &trial.once("web", Act::Exits)).await;
}

async fn a_task_that_ends_well_is_complete(trial: &Trial<'_>) {
    note_the_end(trial, &trial.once("web", Act::Ends)).await;
}

async fn nothing_is_made_again_that_shall_not_be(trial: &Trial<'_>) {
    let tasks = note_the_end(trial, &policy(trial.service("web", Act::Stumbles, 2), "none", 0)).await;
    assert_eq!(tasks.len(), 2);
}

async fn what_ended_well_is_not_made_again_on_failure(trial: &Trial<'_>) {
    let tasks = note_the_end(trial, &policy(trial.service("web", Act::Ends, 1), "on-failure", 0)).await;
    assert_eq!(tasks.len(), 1);
}

async fn what_ended_well_is_made_again_always(trial: &Trial<'_>) {
    let id = trial.create(&policy(trial.service("web", Act::Ends, 1), "any", 0)).await;
    trial.until("three runs", || async { (trial.tasks(&id).await.len() >= 3).then_some(()) }).await;
    let ended = trial.task_in(&id, TaskState::Complete).await;
    trial.note(format!("{:?} {:?}", ended.status.message, ended.status.err));
}

async fn so_many_attempts_and_no_more(trial: &Trial<'_>) {
    let tasks = note_the_end(trial, &policy(trial.service("web", Act::Exits, 1), "any", 2)).await;
    assert_eq!(tasks.len(), 3, "one, and two more");
}

async fn a_delay_holds_the_next_attempt_back(trial: &Trial<'_>) {
    let mut spec = trial.service("web", Act::Exits, 1);
    spec.task_template.restart_policy =
        Some(RestartPolicy { delay: Some(Nanos::from_secs(4)), ..RestartPolicy::default() });
    let id = trial.create(&spec).await;
    let failed = trial.task_in(&id, TaskState::Failed).await;
    let ready = trial.task_in(&id, TaskState::Ready).await;
    trial.note(format!("{:?} wanted {:?}", ready.status.message, ready.desired_state));
    let next = trial
        .until("the next attempt", || async {
            let task = trial.tasks(&id).await.into_iter().find(|task| task.id == ready.id)?;
            (task.status.state > Some(TaskState::Ready)).then_some(task)
        })
        .await;
    let waited = between(&failed.status.timestamp, &next.status.timestamp);
    assert!(waited >= Duration::from_secs(4), "it waited {waited:?}");
}

async fn five_tasks_of_a_slot_are_remembered(trial: &Trial<'_>) {
    let mut spec = trial.service("web", Act::Exits, 1);
    spec.task_template.restart_policy =
        Some(RestartPolicy { delay: Some(Nanos(0)), ..RestartPolicy::default() });
    let id = trial.create(&spec).await;
    let first = trial.until("a task", || async { trial.tasks(&id).await.into_iter().next() }).await;
    trial
        .until("the first to be forgotten", || async {
            trial.tasks(&id).await.iter().all(|task| task.id != first.id).then_some(())
        })
        .await;
    let kept = trial.tasks(&id).await.len();
    assert!((4..=7).contains(&kept), "{kept} are remembered");
    trial.swarm().remove_service(&id).await.expect("removed");
}

async fn an_image_that_no_node_has_is_refused_by_the_node(trial: &Trial<'_>) {
    note_the_end(trial, &trial.once("web", Act::Missing)).await;
}

async fn a_program_that_is_not_there_does_not_start(trial: &Trial<'_>) {
    let id = trial.create(&trial.once("web", Act::CannotStart)).await;
    let task = trial.task_in(&id, TaskState::Failed).await;
    let words = &task.status.err;
    assert!(words.starts_with("starting container failed: "), "{words}");
    assert!(words.contains("nonesuch") && words.contains("no such file or directory"), "{words}");
    trial.note(format!("{:?}", task.status.message));
}

async fn an_unhealthy_task_that_stops_well_is_complete_and_its_health_is_told(trial: &Trial<'_>) {
    unhealthy(trial, Act::Unhealthy).await;
}

async fn an_unhealthy_task_that_is_killed_has_failed(trial: &Trial<'_>) {
    unhealthy(trial, Act::UnhealthyAndStubborn).await;
}

async fn unhealthy(trial: &Trial<'_>, act: Act) {
    let id = trial.create(&trial.once("web", act)).await;
    let task = trial
        .until("the end of the task", || async {
            let tasks = trial.tasks(&id).await.into_iter();
            let mut ended = tasks.filter(|task| task.desired_state == Some(TaskState::Shutdown));
            ended.find(|task| task.status.state.as_ref().is_some_and(TaskState::is_terminal))
        })
        .await;
    trial.note(told(&task));
    let container_id = task.status.container_status.expect("a container").container_id;
    let container =
        trial.swarm().inspect_container(&container_id).await.expect("an answer").expect("the container");
    let health = container.state.health.expect("health");
    // A check may run just when the container is killed; then it dies with it and is the last, without a word of its own.
    let last = health.log.iter().rev().find(|check| !check.output.is_empty()).expect("a check that spoke");
    trial.note(format!("{} {} {:?}", health.status, last.exit_code, last.output));
    trial.note(format!(
        "{:?} {} {}",
        container.state.status, container.state.exit_code, container.state.oom_killed
    ));
}

async fn a_task_that_stumbles_is_made_again(trial: &Trial<'_>) {
    let mut spec = trial.service("web", Act::Stumbles, 1);
    container(&mut spec).env = vec!["A=1".to_owned()];
    let id = trial.create(&spec).await;
    let first = trial.task_in(&id, TaskState::Failed).await;
    trial.note(format!("{:?} {:?}", first.status.message, first.status.err));
    let again = trial.running(&id, 1).await.remove(0);
    assert_ne!(again.id, first.id);
    assert_eq!(again.slot, first.slot);
    assert_eq!(trial.inspect(&id).await.update_status, None);
}
