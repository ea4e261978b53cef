//! Nodes that are drained and relabelled. These cases change the node under all others, and run alone.

use std::time::Duration;

use skep_planner::swarm::{Placement, ServiceMode, TaskState};

use super::cases;
use crate::arena::{Act, MANAGER};
use crate::trial::Trial;

cases!(
    a_drained_node_gives_its_tasks_away,
    a_drained_node_has_no_task_of_a_global_service,
    a_paused_node_keeps_its_tasks_and_takes_none,
    a_label_that_appears_lets_a_task_run,
    a_label_that_goes_takes_the_task_along,
    a_label_that_keeps_a_node_for_others_is_left,
);

async fn a_drained_node_gives_its_tasks_away(trial: &Trial<'_>) {
    let id = trial.create(&trial.service("web", Act::Runs, 1)).await;
    let old = trial.running(&id, 1).await.remove(0);
    trial.arena().set_availability(MANAGER, "drain").await;
    let waiting = trial.waiting(&id).await;
    trial.note(&waiting.status.err);
    let ended = trial.task_in(&id, TaskState::Shutdown).await;
    assert_eq!(ended.id, old.id);
    trial.arena().set_availability(MANAGER, "active").await;
    let again = trial.running(&id, 1).await.remove(0);
    assert_eq!(again.id, waiting.id);
    trial.swarm().remove_service(&id).await.expect("removed");
}

async fn a_drained_node_has_no_task_of_a_global_service(trial: &Trial<'_>) {
    let mut spec = trial.service("web", Act::Runs, 1);
    spec.mode = Some(ServiceMode::global());
    let id = trial.create(&spec).await;
    let old = trial.running(&id, 1).await.remove(0);
    trial.arena().set_availability(MANAGER, "drain").await;
    trial.task_in(&id, TaskState::Shutdown).await;
    trial.arena().rest(Duration::from_secs(1)).await;
    let tasks = trial.tasks(&id).await;
    trial.note(format!("{:?}", tasks.iter().map(|task| &task.status.state).collect::<Vec<_>>()));
    trial.arena().set_availability(MANAGER, "active").await;
    let again = trial.running(&id, 1).await.remove(0);
    assert_ne!(again.id, old.id);
    trial.swarm().remove_service(&id).await.expect("removed");
}

async fn a_paused_node_keeps_its_tasks_and_takes_none(trial: &Trial<'_>) {
    let mut spec = trial.service("web", Act::Runs, 1);
    let id = trial.create(&spec).await;
    trial.running(&id, 1).await;
    trial.arena().set_availability(MANAGER, "pause").await;
    spec.mode = Some(ServiceMode::replicated(2));
    trial.update(&id, &spec).await;
    let waiting = trial.waiting(&id).await;
    trial.note(waiting.status.err);
    trial.running(&id, 1).await;
    trial.arena().set_availability(MANAGER, "active").await;
    trial.running(&id, 2).await;
    trial.swarm().remove_service(&id).await.expect("removed");
}

fn zoned(trial: &Trial<'_>) -> skep_planner::swarm::ServiceSpec {
    let mut spec = trial.service("web", Act::Runs, 1);
    let constraints = vec!["node.labels.zone == mars".to_owned()];
    spec.task_template.placement = Some(Placement { constraints, ..Placement::default() });
    spec
}

async fn a_label_that_appears_lets_a_task_run(trial: &Trial<'_>) {
    let id = trial.create(&zoned(trial)).await;
    trial.task_in(&id, TaskState::Pending).await;
    trial.arena().label_node(MANAGER, "zone", Some("Mars")).await;
    let task = trial.running(&id, 1).await.remove(0);
    trial.note(format!("{:?} {:?}", task.status.message, task.status.err));
    trial.swarm().remove_service(&id).await.expect("removed");
    trial.arena().label_node(MANAGER, "zone", None).await;
}

async fn a_label_that_goes_takes_the_task_along(trial: &Trial<'_>) {
    trial.arena().label_node(MANAGER, "zone", Some("mars")).await;
    let id = trial.create(&zoned(trial)).await;
    let old = trial.running(&id, 1).await.remove(0);
    trial.arena().label_node(MANAGER, "zone", None).await;
    let rejected = trial
        .until("the end of the task", || async {
            let tasks = trial.tasks(&id).await.into_iter();
            let mut ended =
                tasks.filter(|task| task.id == old.id && task.desired_state == Some(TaskState::Shutdown));
            ended.find(|task| task.status.state.as_ref().is_some_and(TaskState::is_terminal))
        })
        .await;
    trial
        .note(format!("{:?} {:?} {:?}", rejected.status.state, rejected.status.message, rejected.status.err));
    let waiting = trial.waiting(&id).await;
    trial.note(waiting.status.err);
    trial.swarm().remove_service(&id).await.expect("removed");
}

async fn a_label_that_keeps_a_node_for_others_is_left(trial: &Trial<'_>) {
    let mut spec = trial.service("web", Act::Runs, 1);
    let constraints = vec!["node.labels.skep.isolation!=dedicated".to_owned()];
    spec.task_template.placement = Some(Placement { constraints, ..Placement::default() });
    let id = trial.create(&spec).await;
    let old = trial.running(&id, 1).await.remove(0);
    // No word to the service: it is the node that changes. Case does not matter.
    trial.arena().label_node(MANAGER, "skep.isolation", Some("Dedicated")).await;
    let ended = trial.ended(&id, &old).await;
    trial.note(format!("{:?} {:?}", ended.status.message, ended.status.err));
    let waiting = trial.waiting(&id).await;
    trial.note(waiting.status.err);
    trial.arena().label_node(MANAGER, "skep.isolation", None).await;
    trial.running(&id, 1).await;
    trial.swarm().remove_service(&id).await.expect("removed");
}
