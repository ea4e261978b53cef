//! Where does a run stand by what is seen of its service and its task?

use jiff::Timestamp;
use skep_schemas::Duration;

use super::{is_late, late, release_of, stopped};
use crate::health::{Expectations, service_health};
use crate::reconcile::environment::verdict::signed;
use crate::reconcile::environment::{EnvironmentInput, services};
use crate::run::{Run, RunEnd};
use crate::swarm::{Service, Task, TaskState};

/// Where a run stands by what is seen of its service.
pub(super) enum Progress {
    /// Its task has not begun to run.
    Starting,
    /// Its process runs.
    Runs { since: Timestamp },
    /// It is over, or is to be.
    Ends { end: RunEnd, at: Timestamp },
}

pub(super) fn progress(input: &EnvironmentInput<'_>, run: &Run, service: &Service) -> Progress {
    let tasks = services::tasks(input, service);
    // There is never another one; if somebody saw to it that there is, the first is the run.
    let task = tasks.iter().min_by(|a, b| a.created_at.cmp(&b.created_at));
    let at = |task: &Task| task.status.timestamp.parse().unwrap_or(input.now);
    let state = task.and_then(|task| Some((task, task.status.state.as_ref()?)));
    match state {
        Some((task, TaskState::Complete)) => return Progress::Ends { end: RunEnd::Succeeded, at: at(task) },
        Some((task, state)) if state.is_terminal() => {
            return Progress::Ends { end: failure(input, run, service, task, tasks), at: at(task) };
        }
        _ => {}
    }
    let ends = |end| Progress::Ends { end, at: input.now };
    if let Some(end) = stopped(input, run) {
        return ends(end);
    }
    match state {
        Some((task, TaskState::Running)) => {
            let since = run.started_at.unwrap_or_else(|| at(task));
            if input.now.duration_since(since) < signed(run.time_limit) {
                return Progress::Runs { since };
            }
            ends(RunEnd::TimedOut {
                reason: format!("it ran for longer than its limit of {}", run.time_limit),
            })
        }
        _ if is_late(input, service.created_at.parse().unwrap_or(run.created_at)) => {
            ends(RunEnd::failed(late(&why_not(input, run, service, tasks))))
        }
        _ => Progress::Starting,
    }
}

/// How a task failed, in words.
fn failure(
    input: &EnvironmentInput<'_>,
    run: &Run,
    service: &Service,
    task: &Task,
    tasks: &[Task],
) -> RunEnd {
    let reason = error_of(input, run, service, tasks).unwrap_or_else(|| match &task.status.state {
        Some(TaskState::Shutdown) => "it was shut down, by somebody or with its node".to_owned(),
        Some(TaskState::Orphaned) => "its node is gone".to_owned(),
        _ => task.status.message.clone(),
    });
    let code = task.status.container_status.as_ref().map(|container| container.exit_code);
    let exit_code = code.filter(|_| task.status.state == Some(TaskState::Failed));
    RunEnd::Failed { exit_code, reason }
}

/// Why a task does not run yet.
pub(super) fn why_not(input: &EnvironmentInput<'_>, run: &Run, service: &Service, tasks: &[Task]) -> String {
    let doing =
        || tasks.first().map(|task| task.status.message.clone()).filter(|message| !message.is_empty());
    let why = error_of(input, run, service, tasks).or_else(doing);
    why.unwrap_or_else(|| "Swarm has made no task yet".to_owned())
}

fn error_of(input: &EnvironmentInput<'_>, run: &Run, service: &Service, tasks: &[Task]) -> Option<String> {
    let memory = run.resources.memory.to_string();
    let release = release_of(input.desired, run);
    let constraints =
        release.and_then(|release| input.desired.constraints(&release.content).ok()).unwrap_or_default();
    let expected = Expectations {
        constraints: &constraints,
        nodes: services::nodes(input),
        memory: &memory,
        monitor: Duration::from_secs(0),
    };
    service_health(service, tasks, &input.observed.containers, expected).last_error.map(|error| error.message)
}
