//! How a service is doing, from the engine's own words: which tasks run, whether a roll-out is over and how it went, and why the
//! last task failed, said so that a person can act on it.

mod placement;

use std::cell::LazyCell;
use std::collections::BTreeMap;

use jiff::Timestamp;
use skep_schemas::Duration;
use skep_schemas::kind::TaskError;

use self::placement::closed;
pub use self::placement::{is_usable, schedulable, takes_tasks};
use crate::constraint::Constraints;
use crate::normalize;
use crate::swarm::{ContainerId, Node, Service, Task, TaskSpec, TaskState, UpdateState};

/// What the engine says about a failed container beyond its exit code; known only for containers of the engine that Skep talks to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContainerVerdict {
    /// The kernel ended it for using more memory than its limit.
    pub out_of_memory: bool,
    /// It was ended because its health check failed.
    pub unhealthy: bool,
    /// The output of its last failed health check.
    pub health_output: Option<String>,
}

/// What a service's tasks are doing.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceHealth {
    /// Tasks that run and are healthy.
    pub running: u32,
    /// Those of them that run the service's current template where they may.
    pub updated: u32,
    /// When the youngest of those began to run.
    pub updated_since: Option<Timestamp>,
    /// Why the last failing task failed.
    pub last_error: Option<TaskError>,
    /// Where the latest update stands.
    pub rollout: Rollout,
}

/// Where the latest update of a service stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rollout {
    /// There is none, or it is over.
    Settled,
    /// Tasks are being replaced.
    Updating,
    /// Swarm gave up and is returning, or has returned, to the previous spec.
    RolledBack,
    /// Swarm gave up and stopped where it was.
    Paused,
}

/// What a service is limited and constrained by, to put the engine's errors in words.
#[derive(Debug, Clone, Copy)]
pub struct Expectations<'a> {
    /// Where its tasks may run.
    pub constraints: &'a Constraints,
    /// The nodes of the cluster, as far as they are known.
    pub nodes: &'a [Node],
    /// Its memory limit, as shown to people.
    pub memory: &'a str,
    /// For how long failures count.
    pub monitor: Duration,
}

/// Reads a service and its tasks.
pub fn service_health(
    service: &Service,
    tasks: &[Task],
    containers: &BTreeMap<ContainerId, ContainerVerdict>,
    expected: Expectations<'_>,
) -> ServiceHealth {
    let newest = &service.spec.task_template;
    let template = LazyCell::new(|| comparable(newest));
    // Swarm copies the template into each task, so most are equal as they are.
    let is_current = |task: &Task| task.spec == *newest || comparable(&task.spec) == *template;
    let running: Vec<&Task> = tasks.iter().filter(|task| is_running(task)).collect();
    let is_updated = |task: &&&Task| is_current(task) && !is_misplaced(task, expected);
    let updated: Vec<&&Task> = running.iter().filter(is_updated).collect();
    // What an update replaces is not to be told as its error. (What it makes may have another template by now: Swarm returns to
    // the former one when it gives up.)
    let begun = update_started_at(service);
    let replaced = |task: &&Task| time(&task.created_at).zip(begun).is_some_and(|(made, begun)| made < begun);
    let concerns = |task: &&Task| !replaced(task) || is_current(task);
    ServiceHealth {
        running: count(running.len()),
        updated: count(updated.len()),
        updated_since: updated.iter().filter_map(|task| time(&task.status.timestamp)).max(),
        last_error: last_error(tasks.iter().filter(concerns), containers, expected),
        rollout: rollout(service),
    }
}

/// A template as far as it decides whether a task is current: Swarm leaves tasks alone that still fit a changed placement, and replaces them when
/// the counter of restarts is another.
fn comparable(template: &TaskSpec) -> TaskSpec {
    TaskSpec { placement: None, force_update: template.force_update, ..normalize::task(template) }
}

/// Does the task run on a node where it may not? Swarm will replace it, although its template is current otherwise.
fn is_misplaced(task: &Task, expected: Expectations<'_>) -> bool {
    let node = expected.nodes.iter().find(|node| task.node_id.as_ref() == Some(&node.id));
    node.is_some_and(|node| !expected.constraints.allow(node))
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Does the task run, and is it meant to? With a health check, the engine says `running` only once it is healthy.
pub fn is_running(task: &Task) -> bool {
    task.status.state == Some(TaskState::Running) && task.desired_state == Some(TaskState::Running)
}

/// Is the task meant to run, and has it not ended? Such a task is replaced when its template changes, even while it starts.
pub fn is_alive(task: &Task) -> bool {
    task.desired_state == Some(TaskState::Running)
        && !task.status.state.as_ref().is_some_and(TaskState::is_terminal)
}

fn rollout(service: &Service) -> Rollout {
    match service.update_status.as_ref().and_then(|status| status.state.as_ref()) {
        None | Some(UpdateState::Completed) => Rollout::Settled,
        Some(UpdateState::RollbackStarted | UpdateState::RollbackPaused | UpdateState::RollbackCompleted) => {
            Rollout::RolledBack
        }
        Some(UpdateState::Paused) => Rollout::Paused,
        // A word from a newer engine: an update that is not known to be over is under way.
        Some(UpdateState::Updating | UpdateState::Other(_)) => Rollout::Updating,
    }
}

/// Is Swarm replacing tasks of the service now, forward or back?
pub fn is_rolling(service: &Service) -> bool {
    let state = service.update_status.as_ref().and_then(|status| status.state.as_ref());
    matches!(state, Some(UpdateState::Updating | UpdateState::RollbackStarted))
}

/// When the latest update began.
pub fn update_started_at(service: &Service) -> Option<Timestamp> {
    service.update_status.as_ref().and_then(|status| time(&status.started_at))
}

fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

fn last_error<'t>(
    tasks: impl Iterator<Item = &'t Task>,
    containers: &BTreeMap<ContainerId, ContainerVerdict>,
    expected: Expectations<'_>,
) -> Option<TaskError> {
    let container = |task: &Task| {
        task.status.container_status.as_ref().and_then(|status| containers.get(&status.container_id))
    };
    // The engine ends an unhealthy container, which may take its whole grace period, before it says a word about the task.
    let is_unhealthy = |task: &Task| is_alive(task) && container(task).is_some_and(|found| found.unhealthy);
    let newest = tasks
        .filter(|task| ended_by_itself(task) || is_unhealthy(task))
        .max_by_key(|task| time(&task.status.timestamp))?;
    let message = in_words(newest, container(newest), expected);
    Some(TaskError { message, at: time(&newest.status.timestamp)? })
}

/// May the container of the task tell why it does not run?
pub fn is_telling(task: &Task) -> bool {
    ended_by_itself(task) || task.status.state == Some(TaskState::Starting)
}

/// Did the task end, or not begin, without anyone having asked for it?
///
/// A process that ends with status 0 is `complete` and has no error, and so is one that was ended for being unhealthy and handled
/// its signal well (tried on 20.10): for a process that is meant to go on, that is a failure too.
pub fn ended_by_itself(task: &Task) -> bool {
    !task.status.err.is_empty() || task.status.state == Some(TaskState::Complete)
}

/// How a process ends that was told to, or made to.
const SIGNALLED: [i64; 2] = [137, 143];

/// The engine's error in words that say what to do about it. What is not recognised is passed on as it is.
fn in_words(task: &Task, container: Option<&ContainerVerdict>, expected: Expectations<'_>) -> String {
    let error = task.status.err.as_str();
    let exit = task.status.container_status.as_ref().map_or(0, |status| status.exit_code);
    if container.is_some_and(|verdict| verdict.out_of_memory) {
        return format!("out of memory: it used more than its limit of {}", expected.memory);
    }
    if let Some(image) = after(error, "No such image: ") {
        return format!("image not found on any node: {image}");
    }
    let output = container
        .and_then(|verdict| verdict.health_output.as_deref())
        .map(str::trim)
        .filter(|text| !text.is_empty());
    // Engines call every container with a health check unhealthy once it has ended, whatever ended it.
    let ended_itself =
        error.starts_with("task: non-zero exit") && (output.is_none() || !SIGNALLED.contains(&exit));
    if error.contains("unhealthy container")
        || (!ended_itself && container.is_some_and(|verdict| verdict.unhealthy))
    {
        return output.map_or_else(
            || "the health check failed".to_owned(),
            |text| format!("the health check failed: {text}"),
        );
    }
    if let Some(rest) = after(error, "no suitable node (") {
        return unschedulable(rest.trim_end_matches(')'), expected);
    }
    if exit == 137 && error.starts_with("task: non-zero exit") {
        return format!(
            "killed (exit code 137): most likely out of memory, its limit is {}",
            expected.memory
        );
    }
    if error.starts_with("task: non-zero exit") || error.is_empty() {
        return format!("the process ended with exit code {exit}");
    }
    if error.contains("executable file not found")
        || error.contains("no such file or directory") && error.contains("starting container")
    {
        return format!("the command was not found in the image: {error}");
    }
    error.to_owned()
}

fn unschedulable(why: &str, expected: Expectations<'_>) -> String {
    match (why, closed(expected.nodes, expected.constraints)) {
        (why, Some(closed)) if why.contains("scheduling constraints") => closed,
        (why, _) if why.contains("insufficient resources") => {
            format!(
                "no node has enough free memory or CPU for another instance, whose limit is {} of memory ({why})",
                expected.memory
            )
        }
        (why, _) => format!("no suitable node ({why})"),
    }
}

fn after<'a>(text: &'a str, marker: &str) -> Option<&'a str> {
    text.split_once(marker).map(|(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::{ContainerStatus, TaskStatus, UpdateStatus};

    fn task(state: TaskState, second: u8) -> Task {
        Task {
            desired_state: Some(TaskState::Running),
            status: TaskStatus {
                state: Some(state),
                timestamp: format!("2026-01-01T00:00:{second:02}Z"),
                container_status: Some(ContainerStatus {
                    container_id: ContainerId::new(format!("c{second}")),
                    ..ContainerStatus::default()
                }),
                ..TaskStatus::default()
            },
            ..Task::default()
        }
    }

    fn told(tasks: &[Task], containers: &BTreeMap<ContainerId, ContainerVerdict>) -> Option<String> {
        let (constraints, monitor) = (Constraints::default(), Duration::from_secs(5));
        let expected = Expectations { constraints: &constraints, nodes: &[], memory: "64Mi", monitor };
        last_error(tasks.iter(), containers, expected).map(|error| error.message)
    }

    #[test]
    fn an_unhealthy_instance_is_told_of_before_the_engine_has_ended_it() {
        let starting = [task(TaskState::Starting, 1)];
        assert!(is_telling(&starting[0]));
        assert_eq!(told(&starting, &BTreeMap::new()), None);
        let verdict = |unhealthy| ContainerVerdict {
            unhealthy,
            health_output: Some("no database".to_owned()),
            ..ContainerVerdict::default()
        };
        let seen = |unhealthy| BTreeMap::from([(ContainerId::new("c1"), verdict(unhealthy))]);
        assert_eq!(told(&starting, &seen(false)), None, "it may still become healthy");
        assert_eq!(told(&starting, &seen(true)).as_deref(), Some("the health check failed: no database"));
    }

    #[test]
    fn a_process_that_ended_by_itself_did_not_fail_its_health_check() {
        let mut crashed = task(TaskState::Failed, 1);
        crashed.status.err = "task: non-zero exit (3)".to_owned();
        crashed.status.container_status.as_mut().unwrap().exit_code = 3;
        let said = |output: Option<&str>, crashed: &Task| {
            let health_output = output.map(str::to_owned);
            let verdict = ContainerVerdict { unhealthy: true, health_output, ..ContainerVerdict::default() };
            told(std::slice::from_ref(crashed), &BTreeMap::from([(ContainerId::new("c1"), verdict)])).unwrap()
        };
        assert_eq!(said(None, &crashed), "the process ended with exit code 3");
        assert_eq!(said(Some("not yet"), &crashed), "the process ended with exit code 3");
        crashed.status.err = "task: non-zero exit (143)".to_owned();
        crashed.status.container_status.as_mut().unwrap().exit_code = 143;
        assert_eq!(said(Some("no database"), &crashed), "the health check failed: no database");
    }

    #[test]
    fn a_process_that_ends_well_has_failed_to_go_on() {
        let tasks = [task(TaskState::Complete, 1), task(TaskState::Running, 2)];
        let words = told(&tasks, &BTreeMap::new());
        assert_eq!(words.as_deref(), Some("the process ended with exit code 0"));
    }

    #[test]
    fn what_an_update_replaces_is_not_told_as_its_error() {
        let broken = TaskSpec { force_update: 1, ..TaskSpec::default() };
        let failed = |spec: &TaskSpec, created: u8| Task {
            spec: spec.clone(),
            created_at: format!("2026-01-01T00:00:{created:02}Z"),
            ..task(TaskState::Complete, 30)
        };
        let (constraints, monitor) = (Constraints::default(), Duration::from_secs(5));
        let expected = Expectations { constraints: &constraints, nodes: &[], memory: "64Mi", monitor };
        let error = |task: Task, started: Option<&str>| {
            let status =
                |started: &str| UpdateStatus { started_at: started.to_owned(), ..UpdateStatus::default() };
            let service = Service { update_status: started.map(status), ..Service::default() };
            service_health(&service, &[task], &BTreeMap::new(), expected).last_error
        };
        let update = Some("2026-01-01T00:00:20Z");
        assert_eq!(error(failed(&broken, 10), update), None);
        assert!(error(failed(&broken, 25), update).is_some(), "it was made by the update");
        assert!(error(failed(&TaskSpec::default(), 10), update).is_some(), "it is of the current template");
        assert!(error(failed(&broken, 10), None).is_some(), "there was no update");
    }
}
