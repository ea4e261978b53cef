//! Jobs: tasks that run to completion.

use skep_planner::swarm::{ReplicatedJobMode, ServiceMode, ServiceSpec, TaskState, UpdateConfig};

use super::cases;
use crate::arena::Act;
use crate::trial::Trial;

cases!(
    a_job_runs_so_often_and_is_done,
    a_job_takes_no_settings_of_roll_outs,
    a_label_runs_a_job_again,
    a_job_that_fails_is_tried_again,
);

fn job(trial: &Trial<'_>, act: Act, at_once: u64, in_all: u64) -> ServiceSpec {
    let mut spec = trial.service("job", act, 0);
    spec.mode = Some(ServiceMode::ReplicatedJob(ReplicatedJobMode {
        max_concurrent: Some(at_once),
        total_completions: Some(in_all),
        ..ReplicatedJobMode::default()
    }));
    spec.task_template.restart_policy = trial.once("job", act).task_template.restart_policy;
    spec
}

async fn a_job_runs_so_often_and_is_done(trial: &Trial<'_>) {
    let id = trial.create(&job(trial, Act::Ends, 1, 3)).await;
    let tasks = trial
        .until("three completions", || async {
            let complete = trial.tasks_in(&id, TaskState::Complete).await;
            (complete.len() == 3).then_some(complete)
        })
        .await;
    for task in &tasks {
        trial.note(format!(
            "slot {} wanted {:?}, run {:?}",
            task.slot, task.desired_state, task.job_iteration
        ));
    }
    let found = trial.inspect(&id).await;
    trial.note(format!("{:?}", found.job_status.map(|job| job.job_iteration)));
    trial.note_json("mode", &serde_json::to_value(&found.spec.mode).expect("json"));
}

async fn a_job_takes_no_settings_of_roll_outs(trial: &Trial<'_>) {
    let mut spec = job(trial, Act::Ends, 1, 1);
    spec.update_config = Some(UpdateConfig::default());
    trial.note_refusal("settings", trial.swarm().create_service(&spec, None).await);
}

async fn a_label_runs_a_job_again(trial: &Trial<'_>) {
    let mut spec = job(trial, Act::Ends, 1, 1);
    let id = trial.create(&spec).await;
    let first = trial.task_in(&id, TaskState::Complete).await;
    spec.labels.insert("a".to_owned(), "1".to_owned());
    trial.update(&id, &spec).await;
    trial
        .until("another run", || async {
            let complete = trial.tasks_in(&id, TaskState::Complete).await;
            complete.into_iter().find(|task| task.id != first.id)
        })
        .await;
    trial.note(format!("{:?}", trial.inspect(&id).await.job_status.map(|job| job.job_iteration)));
}

async fn a_job_that_fails_is_tried_again(trial: &Trial<'_>) {
    let mut spec = job(trial, Act::Exits, 1, 1);
    spec.task_template.restart_policy = trial.service("job", Act::Exits, 1).task_template.restart_policy;
    let id = trial.create(&spec).await;
    trial
        .until("two failures", || async {
            (trial.tasks_in(&id, TaskState::Failed).await.len() >= 2).then_some(())
        })
        .await;
    let failed = trial.task_in(&id, TaskState::Failed).await;
    trial.note(format!("slot {} {:?} {:?}", failed.slot, failed.desired_state, failed.status.err));
    trial.swarm().remove_service(&id).await.expect("removed");
}
