//! Roll-outs that are written to before they are over, and changes that do two things at once.

use std::time::Duration;

use skep_planner::swarm::{Nanos, ServiceMode, ServiceSpec, TaskState, UpdateConfig, UpdateState};

use super::cases;
use super::rolling::{config, constrained, images, rolled, running_act, status};
use crate::arena::Act;
use crate::trial::{Trial, container};

cases!(
    another_template_in_the_middle_begins_anew,
    a_label_in_the_middle_takes_the_old_task_away_and_is_called_complete,
    scaling_in_the_middle_takes_the_old_task_away_and_is_called_complete,
    a_placement_that_is_met_in_the_middle_takes_the_old_task_away_and_is_called_complete,
    fewer_tasks_with_another_template_all_run_it,
    fewer_tasks_that_are_not_made_again_with_another_template_all_run_it,
);

/// A write while something that will fail is being rolled out, and what stands at the end.
async fn middle(trial: &Trial<'_>, change: impl FnOnce(&mut ServiceSpec)) {
    let slow = UpdateConfig { monitor: Nanos::from_secs(6), ..config("start-first", "rollback") };
    let spec = rolled(trial.service("web", Act::Runs, 1), slow);
    let id = trial.create(&spec).await;
    trial.running(&id, 1).await;
    let mut then = running_act(spec, Act::HealthyNever);
    trial.update(&id, &then).await;
    trial
        .until("the new one to start", || async {
            let starting = trial.tasks_in(&id, TaskState::Starting).await;
            (!starting.is_empty()).then_some(())
        })
        .await;
    change(&mut then);
    trial.update(&id, &then).await;
    trial.arena().rest(Duration::from_secs(2)).await;
    trial.note(status(trial, &id).await);
    let service = trial.inspect(&id).await;
    let image =
        |spec: &ServiceSpec| spec.task_template.container_spec.clone().map(|container| container.image);
    trial.note(format!(
        "spec {:?} {:?} {:?}",
        image(&service.spec),
        service.spec.labels.get("mid"),
        service.spec.mode
    ));
    let before = service.previous_spec.expect("a spec before");
    trial.note(format!("before {:?} {:?} {:?}", image(&before), before.labels.get("mid"), before.mode));
    trial.note(format!("running and wanted {:?}", images(trial, &id).await));
    trial.arena().rest(Duration::from_secs(8)).await;
    trial.note(status(trial, &id).await);
    trial.swarm().remove_service(&id).await.expect("removed");
}

async fn another_template_in_the_middle_begins_anew(trial: &Trial<'_>) {
    middle(trial, |spec| container(spec).env = vec!["MID=1".to_owned()]).await;
}

async fn a_label_in_the_middle_takes_the_old_task_away_and_is_called_complete(trial: &Trial<'_>) {
    middle(trial, |spec| {
        spec.labels.insert("mid".to_owned(), "1".to_owned());
    })
    .await;
}

async fn scaling_in_the_middle_takes_the_old_task_away_and_is_called_complete(trial: &Trial<'_>) {
    middle(trial, |spec| spec.mode = Some(ServiceMode::replicated(2))).await;
}

async fn a_placement_that_is_met_in_the_middle_takes_the_old_task_away_and_is_called_complete(
    trial: &Trial<'_>,
) {
    middle(trial, |spec| spec.task_template.placement = constrained("node.role==manager")).await;
}

/// Another template and fewer tasks in one write: what stays is replaced, one after the other.
async fn fewer(trial: &Trial<'_>, condition: &str) {
    let slow = UpdateConfig { delay: Nanos::from_secs(1), ..config("stop-first", "rollback") };
    let mut spec = rolled(trial.service("web", Act::Runs, 3), slow);
    spec.task_template.restart_policy.get_or_insert_default().condition = Some(condition.into());
    let id = trial.create(&spec).await;
    trial.running(&id, 3).await;
    spec.mode = Some(ServiceMode::replicated(2));
    trial.update(&id, &running_act(spec, Act::RunsToo)).await;
    trial.update_state(&id, UpdateState::Completed).await;
    trial.note(format!("{:?}", images(trial, &id).await));
}

async fn fewer_tasks_with_another_template_all_run_it(trial: &Trial<'_>) {
    fewer(trial, "any").await;
}

async fn fewer_tasks_that_are_not_made_again_with_another_template_all_run_it(trial: &Trial<'_>) {
    fewer(trial, "none").await;
}
