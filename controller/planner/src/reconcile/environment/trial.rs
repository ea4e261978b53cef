//! May a service be written to while its roll-out is under way?
//!
//! A write that begins the roll-out anew may be sent at any time: each task is compared with the new template. Any other write ends the
//! trial. Swarm looks at every slot again, finds a task of the right template that is only just starting, takes it for done and stops
//! the one that runs; and what it would return to is then the release under trial. So such a change waits for the end of the
//! roll-out, and a release that waits for one that never ends is judged at its deadline.

use super::services::{nodes, tasks};
use super::target::Target;
use super::verdict::{failed, signed, watched_for};
use super::{EnvironmentInput, naming, phase};
use crate::constraint::Constraints;
use crate::plan::{Plan, VerdictChange};
use crate::reconcile::Mode;
use crate::step::FieldChange;
use crate::swarm::{Service, Task, TaskState};
use crate::{diff, health};

/// Must these changes wait until the roll-out of the service is over?
pub(super) fn waits(
    input: &EnvironmentInput<'_>,
    constraints: &Constraints,
    live: &Service,
    changes: &[FieldChange],
) -> bool {
    let on_trial = health::is_rolling(live) && input.mode == Mode::Act;
    if !on_trial || changes.iter().any(diff::replaces_tasks) {
        return false;
    }
    let is_moved = changes.iter().any(diff::moves_tasks);
    // Tasks that come up where they may not stay are replaced; those that may would be taken for done.
    !is_moved || tasks(input, live).iter().any(|task| comes_up_in_place(input, constraints, task))
}

/// Is the task on its way to run, on a node where the target wants it?
fn comes_up_in_place(input: &EnvironmentInput<'_>, constraints: &Constraints, task: &Task) -> bool {
    let comes_up = |state: Option<&TaskState>| state.is_none_or(|state| *state < TaskState::Running);
    let is_wanted = task.desired_state.as_ref().is_none_or(|desired| *desired <= TaskState::Running);
    let Some(node) = &task.node_id else { return false };
    let node = nodes(input).iter().find(|known| known.id == *node);
    // Of a node that nobody knows it cannot be said that it is the wrong one.
    let fits = node.is_none_or(|node| constraints.allow(node));
    is_wanted && comes_up(task.status.state.as_ref()) && fits
}

/// The newest release waits for the end of a roll-out. When it has waited past its deadline, it has failed.
pub(super) fn judge_waiting(input: &EnvironmentInput<'_>, target: &Target, live: &Service, plan: &mut Plan) {
    let newest = input.desired.releases.first().filter(|newest| newest.version == target.version);
    let Some(newest) = newest.filter(|newest| !newest.verdict.is_final()) else { return };
    let deadline = input.desired.environment.spec.rollout.deadline;
    let is_sent = live.spec.labels.get(naming::LABEL_RELEASE) == Some(&newest.version.to_string());
    // Swarm may go on watching the roll-out before it for as long as that one was told to be watched.
    let is_late = input.now.duration_since(phase::over_since(input.desired, newest))
        > signed(deadline) + watched_for(live);
    if is_sent || !is_late || !plan.verdicts.is_empty() {
        return;
    }
    let reason = format!(
        "not done after {deadline}: the roll-out before it of service {} has not ended",
        live.spec.name
    );
    let verdict = failed(input, reason);
    plan.verdicts.push(VerdictChange { release: newest.version, verdict });
}
