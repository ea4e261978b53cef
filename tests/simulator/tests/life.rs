//! Services from creation to removal, and what becomes of them when they fail.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use skep_planner::swarm::{
    ContainerSpec, FailureAction, ServiceMode, ServiceSpec, TaskSpec, TaskState, UpdateConfig, UpdateOrder,
    UpdateState,
};
use skep_simulator::{Behaviour, GRACE, Program, Swarm};
use skep_swarm::By;

fn service(name: &str, image: &str, replicas: u64) -> ServiceSpec {
    let container = ContainerSpec { image: image.to_owned(), ..ContainerSpec::default() };
    ServiceSpec {
        name: name.to_owned(),
        task_template: TaskSpec { container_spec: Some(container), ..TaskSpec::default() },
        mode: Some(ServiceMode::replicated(replicas)),
        update_config: Some(UpdateConfig {
            parallelism: Some(1),
            failure_action: Some(FailureAction::Rollback),
            order: Some(UpdateOrder::StartFirst),
            ..UpdateConfig::default()
        }),
        ..ServiceSpec::default()
    }
}

fn set_image(swarm: &mut Swarm, name: &str, image: &str) {
    let edit = |spec: &mut ServiceSpec| {
        let container = spec.task_template.container_spec.as_mut().expect("a container");
        container.image = image.to_owned();
    };
    swarm.edit_service(name, edit).expect("edited");
}

fn images(swarm: &Swarm, name: &str) -> Vec<String> {
    let running = swarm.running_tasks(name);
    let tasks = swarm.tasks_of(name).into_iter().filter(|task| running.contains(&task.id));
    tasks.filter_map(|task| Some(task.spec.container_spec?.image)).collect()
}

#[test]
fn nothing_runs_before_time_has_passed_and_then_all_of_it() {
    let mut swarm = Swarm::new(Behaviour::V26_1);
    swarm.create_service(&service("web", "web:1", 3)).expect("made");
    assert!(swarm.tasks_of("web").is_empty());
    assert!(swarm.settle());
    assert_eq!(swarm.running_tasks("web").len(), 3);
    assert_eq!(swarm.update_state("web"), None);
}

#[test]
fn an_update_replaces_every_task_and_says_when_it_is_done() {
    let mut swarm = Swarm::new(Behaviour::V26_1);
    swarm.create_service(&service("web", "web:1", 3)).expect("made");
    swarm.settle();
    set_image(&mut swarm, "web", "web:2");
    assert!(swarm.advance_until(Duration::from_secs(60), |swarm| {
        assert!(swarm.running_tasks("web").len() >= 3, "start-first never has fewer");
        swarm.update_state("web") == Some(UpdateState::Completed)
    }));
    swarm.settle();
    assert_eq!(images(&swarm, "web"), ["web:2"; 3]);
}

#[test]
fn a_failed_update_goes_back_and_forgets_the_spec_before() {
    let mut swarm = Swarm::new(Behaviour::V26_1);
    swarm.set_program("web:2", Program::exits(3));
    swarm.create_service(&service("web", "web:1", 2)).expect("made");
    swarm.settle();
    set_image(&mut swarm, "web", "web:2");
    swarm.settle();
    let found = swarm.inspect_service(By::Name("web")).expect("the service");
    let status = found.update_status.expect("a status");
    assert_eq!(status.state, Some(UpdateState::RollbackCompleted), "{status:?}");
    assert_eq!(found.previous_spec, None);
    assert_eq!(images(&swarm, "web"), ["web:1"; 2]);
    let failed =
        swarm.tasks_of("web").into_iter().filter(|task| task.status.state == Some(TaskState::Failed));
    let words: Vec<String> = failed.map(|task| task.status.err).collect();
    assert!(!words.is_empty() && words.iter().all(|words| words == "task: non-zero exit (3)"), "{words:?}");
}

#[test]
fn a_removed_service_leaves_no_task_behind() {
    let mut swarm = Swarm::new(Behaviour::V20_10);
    let id = swarm.create_service(&service("web", "web:1", 2)).expect("made");
    swarm.settle();
    swarm.remove_service(&id).expect("removed");
    assert_eq!(swarm.tasks_of("web").len(), 2);
    assert!(swarm.settle());
    assert!(swarm.tasks_of("web").is_empty());
}

#[test]
fn tasks_of_a_node_that_stays_away_are_given_up_after_a_day_and_keep_their_words() {
    let mut swarm = Swarm::new(Behaviour::V26_1);
    swarm.set_node("node-2", |_| {});
    swarm.create_service(&service("web", "web:1", 2)).expect("made");
    swarm.settle();
    swarm.lose_node("node-2");
    let minute = Duration::from_secs(60);
    let lost = |swarm: &Swarm| {
        let tasks = swarm.tasks_of("web").into_iter();
        let mut lost =
            tasks.filter(|task| task.node_id.as_ref().is_some_and(|node| node.as_str() == "node-2"));
        let task = lost.next().expect("the task on the lost node");
        (task.status.state, task.desired_state, task.status.message)
    };
    swarm.advance(GRACE * swarm.pace().heartbeat + minute);
    let wanted = Some(TaskState::Shutdown);
    assert_eq!(lost(&swarm), (Some(TaskState::Running), wanted.clone(), "started".to_owned()));
    swarm.advance(24 * 60 * minute);
    assert_eq!(lost(&swarm), (Some(TaskState::Orphaned), wanted, "started".to_owned()));
    assert_eq!(swarm.running_tasks("web").len(), 2);
}
