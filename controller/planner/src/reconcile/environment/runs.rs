//! What must be done for the runs of an environment, and what became of them?
//!
//! ```text
//! asked for ─> its service is made ─> its task runs ─> it ended, or its time did ─> noted with its output ─> the service is removed
//! ```
//!
//! A run that cannot start waits, for some minutes, and then has failed. One whose service is gone although nobody here removed it has failed, too: nothing is run twice.
//! That it is over is recorded before its service is removed, so that a crash between the two leaves a service that no run wants.

use std::collections::BTreeMap;
use std::time::Duration as StdDuration;

use jiff::{SignedDuration, Timestamp};
use skep_schemas::Duration;

use super::ground::ground;
use super::target::Target;
use super::verdict::signed;
use super::{EnvironmentDesired, EnvironmentInput, PlanChoice, instances, services};
use crate::blocked::Blocked;
use crate::formation;
use crate::health::{Expectations, service_health};
use crate::inventory::{self, ObjectKind, ObjectRef};
use crate::naming;
use crate::observed::Observed;
use crate::plan::Plan;
use crate::pull::PullAs;
use crate::release::{Release, ReleaseContent};
use crate::render::{ServiceInput, run_spec};
use crate::run::{Run, RunChange, RunEnd, RunNews, RunNumber, RunOutput};
use crate::step::{Cost, Op, Step};
use crate::swarm::{Service, Task, TaskState};

/// How long a run may wait for what it needs to start, pulling its image included.
const START_WITHIN: SignedDuration = SignedDuration::from_mins(10);
/// How often one that is not over is looked at: an engine tells nobody of the tasks of other nodes.
const LOOK_EVERY: StdDuration = StdDuration::from_secs(1);

/// The services of runs that have to be looked at: of those that are not over, and those that were made.
pub fn runs_to_observe(desired: &EnvironmentDesired) -> Vec<String> {
    let made = desired.inventory.iter().filter(|entry| entry.object.kind == ObjectKind::Run);
    let mut names: Vec<String> = made.map(|entry| entry.object.name.clone()).collect();
    names.extend(desired.runs.iter().map(|run| service_name(desired, run)));
    names.sort();
    names.dedup();
    names
}

/// The runs that are over by what is seen, each with its service: what they printed has to be read now, because it goes with the service.
pub fn runs_to_hear(input: &EnvironmentInput<'_>) -> Vec<(RunNumber, Service)> {
    if is_left_alone(input) {
        return Vec::new();
    }
    let ending = input.desired.runs.iter().filter_map(|run| {
        let service = seen(input, run)?.present().filter(|service| is_of(input, service))?;
        matches!(progress(input, run, service), Progress::Ends { .. }).then(|| (run.number, service.clone()))
    });
    ending.collect()
}

/// When to look again at what runs.
pub(super) fn recheck(desired: &EnvironmentDesired) -> Option<StdDuration> {
    (!desired.runs.is_empty()).then_some(LOOK_EVERY)
}

/// Makes the services of runs, notes what became of them, and removes the services of those that are over.
pub(super) fn converge(input: &EnvironmentInput<'_>, plan: &mut Plan) {
    if is_left_alone(input) {
        return;
    }
    for run in &input.desired.runs {
        match seen(input, run) {
            // Looked at again soon.
            None | Some(Observed::Unknown { .. }) => {}
            Some(Observed::Absent) => begin(input, run, plan),
            Some(Observed::Present(service)) if is_of(input, service) => go_on(input, run, service, plan),
            Some(Observed::Present(_)) => {
                let object = object(input.desired, run);
                ended(
                    run,
                    RunEnd::failed(format!("{object} is there and is not ours")),
                    input.now,
                    RunOutput::default(),
                    plan,
                );
            }
        }
    }
    remove(input, "the run is over", plan);
}

/// Removes the services of all runs that are not, or no longer, to go on.
pub(super) fn remove(input: &EnvironmentInput<'_>, why: &str, plan: &mut Plan) {
    let over: Vec<RunNumber> = plan.runs.iter().filter_map(RunChange::ends).collect();
    let is_deleting = input.desired.environment.meta.is_deleting();
    let goes_on = input.desired.runs.iter().filter(|run| !is_deleting && !over.contains(&run.number));
    let wanted: Vec<String> = goes_on.map(|run| service_name(input.desired, run)).collect();
    for (name, observed) in input.observed.runs.iter().filter(|(name, _)| !wanted.contains(name)) {
        let object = ObjectRef::new(ObjectKind::Run, name);
        match observed {
            Observed::Present(service) if is_of(input, service) => {
                let op = Op::RemoveService { id: service.id.clone() };
                plan.steps.push(Step::new(object, op, why, Cost::Delete));
            }
            Observed::Present(_) | Observed::Absent => {
                if inventory::entry(&input.desired.inventory, &object).is_some() {
                    plan.forget.push(object);
                }
            }
            Observed::Unknown { why } if is_deleting => {
                plan.blocked.push(Blocked::Unobserved { what: object.to_string(), why: why.clone() });
            }
            Observed::Unknown { .. } => {}
        }
    }
}

/// Is anything of a run left, or could it be?
pub(super) fn are_left(input: &EnvironmentInput<'_>) -> bool {
    input.observed.runs.values().any(|service| match service {
        Observed::Absent => false,
        Observed::Unknown { .. } => true,
        Observed::Present(service) => is_of(input, service),
    })
}

/// Nothing is begun or ended while somebody asked that nothing be changed.
fn is_left_alone(input: &EnvironmentInput<'_>) -> bool {
    input.desired.stance.pause.is_some()
}

/// Where a run stands by what is seen of its service.
enum Progress {
    /// Its task has not begun to run.
    Starting,
    /// Its process runs.
    Runs { since: Timestamp },
    /// It is over, or is to be.
    Ends { end: RunEnd, at: Timestamp },
}

fn progress(input: &EnvironmentInput<'_>, run: &Run, service: &Service) -> Progress {
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
        _ if is_late(input, run) => ends(RunEnd::failed(late(&why_not(input, run, service, tasks)))),
        _ => Progress::Starting,
    }
}

fn go_on(input: &EnvironmentInput<'_>, run: &Run, service: &Service, plan: &mut Plan) {
    match progress(input, run, service) {
        Progress::Starting => waits(run, why_not(input, run, service, services::tasks(input, service)), plan),
        Progress::Runs { since } if run.started_at.is_none() => {
            plan.runs.push(RunChange { number: run.number, news: RunNews::Started { at: since } });
        }
        Progress::Runs { .. } => {}
        Progress::Ends { end, at } => match input.observed.outputs.get(&run.number) {
            Some(Ok(output)) => ended(run, end, at, output.clone(), plan),
            Some(Err(why)) => {
                let gap = Some(format!("what it printed could not be read: {why}"));
                ended(run, end, at, RunOutput { gap, ..RunOutput::default() }, plan);
            }
            // It was not over yet when it was looked at.
            None => {}
        },
    }
}

/// Makes the service of a run, or says why there is none.
fn begin(input: &EnvironmentInput<'_>, run: &Run, plan: &mut Plan) {
    let now = input.now;
    let object = object(input.desired, run);
    let over = |end, plan: &mut Plan| ended(run, end, now, RunOutput::default(), plan);
    if run.started_at.is_some() || inventory::was_there(&input.desired.inventory, &object) {
        let gap = Some("somebody removed it with its service".to_owned());
        let gone = RunEnd::failed(format!("somebody removed its service {}", object.name));
        return ended(run, gone, now, RunOutput { gap, ..RunOutput::default() }, plan);
    }
    if let Some(end) = stopped(input, run) {
        return over(end, plan);
    }
    match made(input, run, &object) {
        Ok(step) => plan.steps.push(step),
        Err(NotNow::Refused(why)) => over(RunEnd::failed(why), plan),
        Err(NotNow::Waits(why)) if is_late(input, run) => over(RunEnd::failed(late(&why)), plan),
        Err(NotNow::Waits(why)) => waits(run, why, plan),
    }
}

/// Why the service of a run is not made.
enum NotNow {
    /// It will not be.
    Refused(String),
    /// Something may pass.
    Waits(String),
}

fn made(input: &EnvironmentInput<'_>, run: &Run, object: &ObjectRef) -> Result<Step, NotNow> {
    let desired = input.desired;
    let release = release_of(desired, run)
        .ok_or_else(|| NotNow::Refused(format!("release {} is not kept any more", run.release)))?;
    let content = content(run, &release.content).map_err(NotNow::Refused)?;
    if desired.is_stopped(&content) {
        return Err(NotNow::Refused(format!("a policy forbids what release {} runs", run.release)));
    }
    if let PlanChoice::Found(plan) = &desired.plan {
        let beyond =
            content.processes.iter().flat_map(|(name, process)| formation::beyond(name, process, &plan.spec));
        if let Some(beyond) = beyond.into_iter().next() {
            return Err(NotNow::Refused(beyond.to_string()));
        }
    }
    let target = Target { version: release.version, content, given_up: false };
    let meta = &desired.environment.meta;
    // What a run lacks is no matter of the environment's.
    let mut aside = Plan::empty(meta.key.clone(), meta.uid, meta.generation);
    let Some(ground) = ground(input, &target, &mut aside) else {
        let lasting = aside.blocked.iter().find(|blocked| !blocked.passes_by_itself());
        let why = lasting.or(aside.blocked.first()).map(ToString::to_string).unwrap_or_default();
        return Err(if lasting.is_some() { NotNow::Refused(why) } else { NotNow::Waits(why) });
    };
    // `content` has this one process.
    let process = &target.content.processes[&run.process];
    let spec = run_spec(
        &ServiceInput {
            settings: input.settings,
            org: &desired.org,
            key: &meta.key,
            uid: meta.uid,
            name: &run.process,
            process,
            content: &target.content,
            release: release.version,
            instances: 1,
            stopped: None,
            restarts: 0,
            rollout: &desired.environment.spec.rollout,
            network: &ground.network,
            secrets: &ground.secrets,
            entry: ground.entry.as_ref(),
            constraints: &ground.constraints,
            routes: &[],
            credential: match &ground.pull {
                PullAs::Credential(credential) => Some(&**credential),
                PullAs::Nobody => None,
            },
            engine: ground.engine,
        },
        run.number,
    );
    let op = Op::CreateService { spec: Box::new(spec), release: None, pull: ground.pull };
    let why = format!("run {} in release {}", run.number, run.release);
    Ok(Step::new(object.clone(), op, why, Cost::Create))
}

/// What a run runs: its process as the release has it, with its own command and limits. It has no volume of a process that may be writing to it.
fn content(run: &Run, release: &ReleaseContent) -> Result<ReleaseContent, String> {
    let process = release.processes.get(&run.process);
    let mut process =
        process.cloned().ok_or_else(|| format!("release {} has no process {}", run.release, run.process))?;
    process.command = run.command.clone().or(process.command);
    process.resources = run.resources;
    process.health_check = None;
    process.volumes.clear();
    Ok(ReleaseContent { processes: BTreeMap::from([(run.process.clone(), process)]), ..release.clone() })
}

fn release_of<'a>(desired: &'a EnvironmentDesired, run: &Run) -> Option<&'a Release> {
    desired.releases.iter().find(|release| release.version == run.release)
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
fn why_not(input: &EnvironmentInput<'_>, run: &Run, service: &Service, tasks: &[Task]) -> String {
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

/// How it ends because somebody wants it to: whoever stopped it, or the platform, which suspended the organisation with all that it runs.
fn stopped(input: &EnvironmentInput<'_>, run: &Run) -> Option<RunEnd> {
    let by = run.stopped_by.as_ref().map(|by| format!("stopped by {by}"));
    let suspended = || instances::suspended(input.desired).map(|stop| stop.in_words(input.desired));
    Some(RunEnd::Stopped { reason: by.or_else(suspended)? })
}

fn is_late(input: &EnvironmentInput<'_>, run: &Run) -> bool {
    input.now.duration_since(run.created_at) > START_WITHIN
}

fn late(why: &str) -> String {
    format!("not started after {} minutes: {why}", START_WITHIN.as_mins())
}

fn ended(run: &Run, end: RunEnd, at: Timestamp, output: RunOutput, plan: &mut Plan) {
    plan.runs.push(RunChange { number: run.number, news: RunNews::Ended { end, at, output } });
}

/// Notes what a run waits for, once.
fn waits(run: &Run, why: String, plan: &mut Plan) {
    if run.waits.as_ref() != Some(&why) {
        plan.runs.push(RunChange { number: run.number, news: RunNews::Waits { why } });
    }
}

fn seen<'a>(input: &EnvironmentInput<'a>, run: &Run) -> Option<&'a Observed<Service>> {
    input.observed.runs.get(&service_name(input.desired, run))
}

fn is_of(input: &EnvironmentInput<'_>, service: &Service) -> bool {
    let object = ObjectRef::new(ObjectKind::Run, &service.spec.name);
    naming::is_owned_by(&service.spec.labels, &input.settings.instance, input.desired.environment.meta.uid)
        || inventory::records(&input.desired.inventory, &object, service.id.as_str())
}

fn object(desired: &EnvironmentDesired, run: &Run) -> ObjectRef {
    ObjectRef::new(ObjectKind::Run, service_name(desired, run))
}

fn service_name(desired: &EnvironmentDesired, run: &Run) -> String {
    naming::run(&desired.org, desired.environment.meta.key.name(), run.number)
}
