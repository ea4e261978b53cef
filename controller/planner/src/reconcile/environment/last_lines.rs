//! Which instance's last lines tell why a release failed?
//!
//! They are no part of the verdict and of nothing that is made of it: everybody who may read an environment reads those, and what a program prints may hold secrets. They are kept apart, for
//! those who may read what is printed.

use jiff::Timestamp;
use skep_schemas::ProcessName;

use super::phase::{self, Phase};
use super::{EnvironmentInput, services, verdict};
use crate::health::{ended_by_itself, is_alive};
use crate::plan::{KeptLines, Plan};
use crate::reconcile::Mode;
use crate::release::{Release, Verdict};
use crate::swarm::{Service, Task, TaskId, TaskState};

/// The instance that a release fails by what is seen, with its process: what it printed has to be read now, because it goes when others take its place.
pub fn lines_to_hear(input: &EnvironmentInput<'_>) -> Option<(ProcessName, TaskId)> {
    let newest = input.desired.releases.first()?;
    let is_open = newest.verdict == Verdict::Pending && newest.cancelled.is_none();
    if input.mode != Mode::Act || !is_open || !matches!(phase::of(input, newest), Phase::Passed) {
        return None;
    }
    let (verdict, process) = verdict::judge(input, newest);
    let process = process.filter(|_| verdict.failure().is_some())?;
    let (service, _) = services::health(input, process, &newest.content)?;
    Some((process.clone(), telling(input, newest, service)?.id.clone()))
}

/// What the plan keeps with the verdict that it gives.
pub(super) fn keep(input: &EnvironmentInput<'_>, plan: &mut Plan) {
    let failed = plan.verdicts.iter().find(|change| change.verdict.failure().is_some());
    let heard = input.observed.last_lines.as_ref();
    plan.last_lines =
        failed.zip(heard).map(|(change, lines)| KeptLines { release: change.release, lines: lines.clone() });
}

/// The last instance that was made of this release and ended, or does not come up. One that never had a container printed nothing.
fn telling<'a>(input: &EnvironmentInput<'a>, release: &Release, service: &Service) -> Option<&'a Task> {
    let time = |text: &str| text.parse::<Timestamp>().ok();
    let is_of = |task: &&Task| {
        let made = time(&task.created_at);
        made.is_none_or(|made| made.duration_since(release.created_at) > -verdict::CLOCK_SKEW)
    };
    let has_container = |task: &&Task| {
        let container = task.status.container_status.as_ref();
        container.is_some_and(|container| !container.container_id.as_str().is_empty())
    };
    let tells = |task: &&Task| {
        ended_by_itself(task) || is_alive(task) && task.status.state == Some(TaskState::Starting)
    };
    let tasks = services::tasks(input, service).iter().filter(is_of).filter(has_container).filter(tells);
    tasks.max_by_key(|task| time(&task.status.timestamp))
}
