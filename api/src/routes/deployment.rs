//! What is told of a release as an attempt: where it stands, and what took how long.

use skep_planner::deployment::{self, Stage};
use skep_store::RecordedRelease;

use crate::wire::{DeploymentState, RolledView, StageName, StageView, WaitView};

/// Where the attempt at a release stands, and its parts.
pub(super) fn told(recorded: &RecordedRelease) -> (DeploymentState, Vec<StageView>) {
    let deployment = recorded.deployment();
    let stages = deployment.stages.iter().map(|stage| told_of(recorded, stage)).collect();
    (state(deployment.state), stages)
}

fn told_of(recorded: &RecordedRelease, stage: &Stage) -> StageView {
    let mut view = StageView {
        stage: name(stage.name),
        began_at: stage.began,
        ended_at: stage.ended,
        waits: Vec::new(),
        run: None,
        processes: Vec::new(),
    };
    let noted = recorded.release.timeline.as_ref();
    match stage.name {
        deployment::StageName::Queued => {
            let waits = noted.into_iter().flat_map(|noted| &noted.waits);
            view.waits = waits.map(|wait| WaitView { why: wait.why.clone(), since: wait.since }).collect();
        }
        deployment::StageName::Releasing => view.run = recorded.phase.map(|phase| phase.run.get()),
        deployment::StageName::Rolling => {
            let processes = noted.into_iter().flat_map(|noted| &noted.processes);
            let rolled = processes.map(|(name, rolled)| RolledView {
                process: name.clone(),
                sent_at: rolled.sent,
                up_at: rolled.up,
            });
            view.processes = rolled.collect();
            view.processes.sort_by_key(|rolled| rolled.sent_at);
        }
        deployment::StageName::Verifying => {}
    }
    view
}

const fn name(name: deployment::StageName) -> StageName {
    match name {
        deployment::StageName::Queued => StageName::Queued,
        deployment::StageName::Releasing => StageName::Releasing,
        deployment::StageName::Rolling => StageName::Rolling,
        deployment::StageName::Verifying => StageName::Verifying,
    }
}

const fn state(state: deployment::DeploymentState) -> DeploymentState {
    match state {
        deployment::DeploymentState::Queued => DeploymentState::Queued,
        deployment::DeploymentState::Releasing => DeploymentState::Releasing,
        deployment::DeploymentState::Rolling => DeploymentState::Rolling,
        deployment::DeploymentState::Verifying => DeploymentState::Verifying,
        deployment::DeploymentState::Done => DeploymentState::Done,
        deployment::DeploymentState::RolledBack => DeploymentState::RolledBack,
        deployment::DeploymentState::Failed => DeploymentState::Failed,
        deployment::DeploymentState::Cancelled => DeploymentState::Cancelled,
        deployment::DeploymentState::Superseded => DeploymentState::Superseded,
    }
}
