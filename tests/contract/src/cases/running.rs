//! How tasks come to run, and how many there are.

use std::collections::BTreeSet;
use std::time::Duration;

use skep_planner::swarm::{Healthcheck, Limits, Nanos, Resources, ServiceMode, Task, TaskState};
use skep_planner::usage::Reading;
use skep_swarm::SwarmError;

use super::cases;
use crate::arena::Act;
use crate::trial::{Trial, between, container};

cases!(
    tasks_run_in_slots_from_one_on,
    a_service_of_no_tasks_has_none,
    scaling_up_keeps_the_tasks_that_run,
    scaling_down_takes_the_surplus_away,
    scaling_to_none_and_back_begins_anew,
    a_global_service_has_a_task_without_a_slot,
    a_removed_service_takes_its_tasks_along,
    a_task_with_a_health_check_runs_when_it_is_healthy,
    a_check_of_the_service_takes_the_place_of_the_images,
    a_task_that_does_not_listen_is_ended_by_force,
    a_container_is_read_while_it_runs_and_against_the_limit_of_its_service,
    an_image_in_use_is_not_removed_and_one_that_is_not_there_is_told,
);

fn told(task: &Task) -> String {
    let status = &task.status;
    format!(
        "slot {} {:?} wanted {:?}: {:?} {:?}, node {}, exit {:?}",
        task.slot,
        status.state,
        task.desired_state,
        status.message,
        status.err,
        task.node_id.is_some(),
        status.container_status.as_ref().map(|container| container.exit_code)
    )
}

async fn tasks_run_in_slots_from_one_on(trial: &Trial<'_>) {
    let id = trial.create(&trial.service("web", Act::Runs, 3)).await;
    trial.running(&id, 3).await;
    for task in trial.tasks(&id).await {
        trial.note(told(&task));
    }
    assert_eq!(trial.inspect(&id).await.update_status, None);
}

async fn a_service_of_no_tasks_has_none(trial: &Trial<'_>) {
    let id = trial.create(&trial.service("web", Act::Runs, 0)).await;
    trial.arena().rest(Duration::from_secs(1)).await;
    assert_eq!(trial.tasks(&id).await, []);
}

fn ids(tasks: &[Task]) -> BTreeSet<String> {
    tasks.iter().map(|task| task.id.to_string()).collect()
}

async fn scaling_up_keeps_the_tasks_that_run(trial: &Trial<'_>) {
    let mut spec = trial.service("web", Act::Runs, 1);
    let id = trial.create(&spec).await;
    let before = ids(&trial.running(&id, 1).await);
    spec.mode = Some(ServiceMode::replicated(3));
    trial.update(&id, &spec).await;
    let after = trial.running(&id, 3).await;
    assert!(ids(&after).is_superset(&before));
    trial.note(format!("slots {:?}", after.iter().map(|task| task.slot).collect::<Vec<_>>()));
}

async fn scaling_down_takes_the_surplus_away(trial: &Trial<'_>) {
    let mut spec = trial.service("web", Act::Runs, 3);
    let id = trial.create(&spec).await;
    let before = ids(&trial.running(&id, 3).await);
    spec.mode = Some(ServiceMode::replicated(1));
    trial.update(&id, &spec).await;
    let left = trial
        .until("one task in all", || async {
            let tasks = trial.tasks(&id).await;
            (tasks.len() == 1).then_some(tasks)
        })
        .await;
    assert!(before.is_superset(&ids(&left)));
    assert_eq!(left[0].status.state, Some(TaskState::Running));
}

async fn scaling_to_none_and_back_begins_anew(trial: &Trial<'_>) {
    let mut spec = trial.service("web", Act::Runs, 2);
    let id = trial.create(&spec).await;
    let before = ids(&trial.running(&id, 2).await);
    spec.mode = Some(ServiceMode::replicated(0));
    trial.update(&id, &spec).await;
    trial.until("no task", || async { trial.tasks(&id).await.is_empty().then_some(()) }).await;
    spec.mode = Some(ServiceMode::replicated(2));
    trial.update(&id, &spec).await;
    let after = trial.running(&id, 2).await;
    assert!(ids(&after).is_disjoint(&before));
    trial.note(format!("slots {:?}", after.iter().map(|task| task.slot).collect::<Vec<_>>()));
}

async fn a_global_service_has_a_task_without_a_slot(trial: &Trial<'_>) {
    let mut spec = trial.service("web", Act::Runs, 1);
    spec.mode = Some(ServiceMode::global());
    let id = trial.create(&spec).await;
    let task = trial.running(&id, 1).await.remove(0);
    trial.note(told(&task));
    let filter = skep_swarm::LabelFilter::any().with("com.docker.swarm.task.id", task.id.to_string());
    let found = trial.swarm().list_containers(&filter).await.expect("containers");
    let name = found[0].names.first().expect("a name");
    let node = task.node_id.expect("a node").to_string();
    trial.note(name.replace(&node, "<node>").replace(&task.id.to_string(), "<task>"));
}

async fn a_removed_service_takes_its_tasks_along(trial: &Trial<'_>) {
    let id = trial.create(&trial.service("web", Act::Runs, 2)).await;
    let own = ids(&trial.running(&id, 2).await);
    trial.swarm().remove_service(&id).await.expect("removed");
    trial
        .until("its tasks to be gone", || async {
            let all = trial.swarm().list_tasks(&skep_swarm::TaskFilter::default()).await.expect("tasks");
            ids(&all).is_disjoint(&own).then_some(())
        })
        .await;
}

async fn a_task_with_a_health_check_runs_when_it_is_healthy(trial: &Trial<'_>) {
    let id = trial.create(&trial.service("web", Act::HealthyLate, 1)).await;
    let task = trial.task_in(&id, TaskState::Starting).await;
    trial.note(format!("{:?} {:?}", task.status.message, task.status.err));
    let running = trial.running(&id, 1).await.remove(0);
    assert_eq!(running.id, task.id);
    let waited = between(&task.status.timestamp, &running.status.timestamp);
    assert!(waited > Duration::from_millis(1500), "it ran after {waited:?}");
}

async fn a_check_of_the_service_takes_the_place_of_the_images(trial: &Trial<'_>) {
    let mut spec = trial.service("web", Act::Unhealthy, 1);
    container(&mut spec).healthcheck =
        Some(Healthcheck { test: vec!["NONE".to_owned()], ..Healthcheck::default() });
    let id = trial.create(&spec).await;
    trial.running(&id, 1).await;
    trial.arena().rest(Duration::from_secs(4)).await;
    assert_eq!(trial.tasks(&id).await.len(), 1, "nobody asks how it is");
}

async fn a_task_that_does_not_listen_is_ended_by_force(trial: &Trial<'_>) {
    let mut spec = trial.service("web", Act::Stubborn, 1);
    container(&mut spec).stop_grace_period = Some(Nanos::from_secs(3));
    let id = trial.create(&spec).await;
    let old = trial.running(&id, 1).await.remove(0);
    let since = trial.arena().clock();
    spec.task_template.force_update = 1;
    trial.update(&id, &spec).await;
    let ended = trial.task_in(&id, TaskState::Shutdown).await;
    let waited = trial.arena().clock() - since;
    assert_eq!(ended.id, old.id);
    assert!(waited >= Duration::from_millis(2500), "it ended after {waited:?}");
    trial.note(format!("{:?} {:?}", ended.status.message, ended.status.err));
}

async fn a_container_is_read_while_it_runs_and_against_the_limit_of_its_service(trial: &Trial<'_>) {
    let mut spec = trial.once("web", Act::Runs);
    let limits = Limits { nano_cpus: 500_000_000, memory_bytes: 64 << 20, ..Limits::default() };
    spec.task_template.resources = Some(Resources { limits: Some(limits), ..Resources::default() });
    let id = trial.create(&spec).await;
    let task = trial.running(&id, 1).await.remove(0);
    let container = task.status.container_status.expect("a container").container_id;
    let read = || async { trial.swarm().container_stats(&container).await.expect("an answer") };
    let first = read().await.expect("the container");
    let before = Reading::of(&first).expect("it runs");
    let usage = trial
        .until("two readings that lie apart", || async {
            let now = Reading::of(&read().await?)?;
            Some(now.since(Some(&before))).filter(|usage| usage.cpu_micros.is_some())
        })
        .await;
    assert!(usage.cpu_micros.is_some_and(|micros| micros <= 500_000), "{usage:?}");
    let memory = usage.memory;
    assert!(memory.used > 0 && memory.working_set <= memory.used && memory.used < memory.limit, "{usage:?}");
    trial.note(format!("limit {}, interfaces {:?}", memory.limit, first.networks.keys().collect::<Vec<_>>()));
    assert!(usage.network.is_some() && usage.each_second.is_some(), "{usage:?}");

    trial.swarm().remove_service(&id).await.expect("removed");
    // An engine may refuse to read what it is just taking away.
    let gone = || async { matches!(trial.swarm().container_stats(&container).await, Ok(None)).then_some(()) };
    trial.until("the container to be gone", gone).await;
    let ended = trial.create(&trial.once("ends", Act::Exits)).await;
    let task = trial.task_in(&ended, TaskState::Failed).await;
    let container = task.status.container_status.expect("a container").container_id;
    let stats = trial.swarm().container_stats(&container).await.expect("an answer").expect("it is kept");
    trial.note(format!("of one that ended: {:?}, {:?}", stats.read, Reading::of(&stats)));
}

async fn an_image_in_use_is_not_removed_and_one_that_is_not_there_is_told(trial: &Trial<'_>) {
    let id = trial.create(&trial.service("web", Act::Runs, 1)).await;
    trial.running(&id, 1).await;
    let in_use = trial.swarm().remove_image(Act::Runs.image()).await.expect_err("a container runs it");
    assert!(matches!(in_use, SwarmError::InUse { .. }), "{in_use:?}");
    let digest = "sha256:".to_owned() + &"0".repeat(64);
    let absent = format!("127.0.0.1:5999/act@{digest}");
    let absent = trial.swarm().remove_image(&absent).await.expect_err("nobody has it");
    assert!(matches!(absent, SwarmError::NotFound { .. }), "{absent:?}");
    trial.note(absent.to_string());
}
