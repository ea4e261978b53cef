//! What is there to say about an environment?
//!
//! It never says Ready early: a release must have been judged, every process must run it in the wanted number, and nothing may be
//! left to do. It never hangs either: a release that is not done by its deadline is judged, and then it is Stalled.

use std::collections::BTreeMap;

use jiff::Timestamp;
use skep_schemas::kind::{
    EnvironmentDetail, ProcessStatus, ReleaseStatus, Status, TaskError, UnroutedDomain,
};
use skep_schemas::{ConditionKind, ConditionStatus, ProcessName, Reason};

use super::instances::Stop;
use super::phase::{self, Phase};
use super::routing::routes;
use super::target::last_good;
use super::{EnvironmentInput, instances, runs, scans, schedules, services};
use crate::blocked::Blocked;
use crate::health::Rollout;
use crate::naming;
use crate::observed::Observed;
use crate::plan::Plan;
use crate::reconcile::conditions::Conditions;
use crate::reconcile::{Assessment, RECHECK_DEGRADED, RECHECK_PROGRESSING, RECHECK_WAITING};
use crate::release::{Release, ReleaseVersion, Verdict};
use crate::render::Route;
use crate::run::Run;
use crate::swarm::{Node, NodeState, TaskState};

/// What to say about an environment. `plan` is the plan for the same input.
pub fn status(input: &EnvironmentInput<'_>, plan: &Plan) -> Assessment<EnvironmentDetail> {
    let environment = &input.desired.environment;
    let meta = &environment.meta;
    let mut conditions = Conditions::new(&environment.status, meta.generation, input.now);
    let running = running_release(input);
    let mut processes = running.map(|release| processes(input, release)).unwrap_or_default();
    let mut urls = running.map(|release| urls(input, release)).unwrap_or_default();
    if let Some(last) = last_seen(input) {
        // What cannot be read is not said to have stopped: it stays as it was last seen, and Ready is unknown.
        (processes, urls) = (last.processes, last.urls);
    }
    let recheck = conclude(input, plan, &processes, &mut conditions);
    let of_runs =
        runs::recheck(input.desired).into_iter().chain(schedules::recheck(input.desired, input.now));
    let recheck = recheck.into_iter().chain(scans::recheck(input.desired, input.now)).chain(of_runs).min();
    conditions.drifted(plan);
    stopped(input, &mut conditions);
    if let Some(running) = running {
        conditions.violated(&input.desired.violations_of(&running.content));
    }
    let detail = EnvironmentDetail {
        release: running.map(|release| ReleaseStatus {
            version: release.version.get(),
            image: release.content.image.pinned(),
            created_at: release.created_at,
            rollback_to: release.rollback_to.map(ReleaseVersion::get),
        }),
        processes,
        urls,
        unrouted: plan.blocked.iter().filter_map(unrouted).collect(),
        security_not_enforced: input
            .observed
            .engine
            .present()
            .map(|engine| engine.not_enforced())
            .unwrap_or_default(),
    };
    let status = Status::new(meta.generation, input.desired.revision(), conditions.into_vec(), detail);
    Assessment { status, recheck }
}

/// What was last reported, when a service cannot be read now.
fn last_seen(input: &EnvironmentInput<'_>) -> Option<EnvironmentDetail> {
    let unseen = |service: &Observed<_>| matches!(service, Observed::Unknown { .. });
    if !input.observed.services.values().any(unseen) {
        return None;
    }
    let last: Status<EnvironmentDetail> =
        serde_json::from_value(input.desired.environment.status.clone()).ok()?;
    Some(last.detail)
}

fn unrouted(blocked: &Blocked) -> Option<UnroutedDomain> {
    match blocked {
        Blocked::RouteInvalid { domain, why } => {
            Some(UnroutedDomain { domain: domain.clone(), why: why.clone() })
        }
        _ => None,
    }
}

/// The release that runs or is being rolled out: the newest, or the last good one when the newest failed.
fn running_release<'a>(input: &EnvironmentInput<'a>) -> Option<&'a Release> {
    let newest = input.desired.releases.first()?;
    if newest.verdict.failure().is_none() {
        return Some(newest);
    }
    last_good(input.desired).or(Some(newest))
}

fn processes(input: &EnvironmentInput<'_>, release: &Release) -> BTreeMap<ProcessName, ProcessStatus> {
    let environment = input.desired.environment.meta.key.name();
    let label = release.version.to_string();
    let statuses = release.content.processes.keys().map(|name| {
        let desired = instances::wanted(input, &release.content, name);
        let service = naming::service(&input.desired.org, environment, name);
        let status = match services::health(input, name, &release.content) {
            None => ProcessStatus { desired, service, ..ProcessStatus::default() },
            Some((live, health)) => {
                let current =
                    live.spec.labels.get(naming::LABEL_RELEASE).is_some_and(|found| *found == label);
                let updated = if current { health.updated } else { 0 };
                // An error of the past is not worth mentioning once everything runs.
                let settled = updated >= desired && health.rollout == Rollout::Settled;
                let last_error = if settled { None } else { health.last_error };
                ProcessStatus { desired, running: health.running, updated, service, last_error }
            }
        };
        (name.clone(), status)
    });
    statuses.collect()
}

/// States the conditions and says when to look again.
fn conclude(
    input: &EnvironmentInput<'_>,
    plan: &Plan,
    processes: &BTreeMap<ProcessName, ProcessStatus>,
    conditions: &mut Conditions,
) -> Option<std::time::Duration> {
    let missing = missing_instances(input, processes);
    let newest = input.desired.releases.first();
    if let Some(failed) = plan.blocked.iter().find(|blocked| matches!(blocked, Blocked::ReleaseFailed { .. }))
    {
        conditions.degraded(failed.reason(), failed.to_string());
    } else if let (Some(missing), Some(Verdict::Succeeded)) = (&missing, newest.map(|newest| &newest.verdict))
    {
        conditions.degraded(missing_reason(input, processes), missing.clone());
    }
    if let Some(why) = waits_too_long(input, plan) {
        conditions.stalled(Reason::DeadlineExceeded, why);
        return Some(RECHECK_WAITING);
    }
    if conditions.blocked(plan) {
        let waits = plan.blocked.iter().any(Blocked::passes_by_itself);
        return if waits { Some(RECHECK_WAITING) } else { missing.map(|_| RECHECK_DEGRADED) };
    }
    if input.desired.environment.meta.is_deleting() {
        conditions.progressing(skep_schemas::Reason::Deleting, "its services are being removed");
        return Some(RECHECK_PROGRESSING);
    }
    if plan.release.is_some() || !plan.steps.is_empty() {
        conditions.progressing(Reason::Applying, "changes are being made");
        return Some(RECHECK_PROGRESSING);
    }
    if let Some((newest, stop)) =
        newest.and_then(|newest| Some((newest, instances::all_stopped(input.desired, &newest.content)?)))
    {
        let ending: u32 = processes.values().map(|process| process.running).sum();
        if ending > 0 {
            let message = format!("{ending} instances are ending: {}", stop.in_words(input.desired));
            conditions.progressing(stop.reason(), message);
            return Some(RECHECK_PROGRESSING);
        }
        // It is as it was asked to be, and nobody has to be woken for it.
        let message = format!("release {} does not run: {}", newest.version, stop.in_words(input.desired));
        conditions.state(ConditionKind::Ready, ConditionStatus::True, stop.reason(), message);
        return None;
    }
    if let Some(restart) = restarting(input, processes) {
        conditions.progressing(Reason::RollingOut, restart);
        return Some(RECHECK_PROGRESSING);
    }
    match newest {
        None => {
            conditions.progressing(Reason::Pending, "no release was made yet");
            Some(RECHECK_PROGRESSING)
        }
        Some(newest) if !newest.verdict.is_final() && plan.verdicts.is_empty() => {
            let what = match phase::of(input, newest) {
                Phase::Open(run) => in_phase(newest, run),
                Phase::Passed | Phase::Due(_) | Phase::Failed(_) => rolling_out(newest, processes),
            };
            conditions.progressing(Reason::RollingOut, what);
            Some(RECHECK_PROGRESSING)
        }
        Some(newest) => match missing {
            None => {
                conditions.ready(runs(newest));
                None
            }
            // The release is judged, so this is scaling, a restart, or a lost node.
            Some(missing) => {
                conditions.progressing(missing_reason(input, processes), missing);
                Some(RECHECK_DEGRADED)
            }
        },
    }
}

/// Says what does not run because somebody stopped it, and who did.
fn stopped(input: &EnvironmentInput<'_>, conditions: &mut Conditions) {
    let Some(running) = running_release(input) else { return };
    if let Some(stop) = instances::all_stopped(input.desired, &running.content) {
        conditions.state(
            ConditionKind::Stopped,
            ConditionStatus::True,
            stop.reason(),
            stop.in_words(input.desired),
        );
        return;
    }
    let of_process = |name| Some((name, instances::stop(input.desired, name)?));
    let stops: Vec<(&ProcessName, Stop<'_>)> =
        running.content.processes.keys().filter_map(of_process).collect();
    let Some((_, first)) = stops.first() else { return };
    let words: Vec<String> = stops
        .iter()
        .map(|(name, stop)| format!("process {name}: {}", stop.in_words(input.desired)))
        .collect();
    conditions.state(ConditionKind::Stopped, ConditionStatus::True, first.reason(), words.join("; "));
}

/// The processes that are being restarted because somebody asked for it.
fn restarting(
    input: &EnvironmentInput<'_>,
    processes: &BTreeMap<ProcessName, ProcessStatus>,
) -> Option<String> {
    // What is not judged yet is told as a roll-out.
    let newest = input.desired.releases.first().filter(|newest| newest.verdict.is_final())?;
    let said = &input.desired.environment.meta.formation;
    let words: Vec<String> = processes
        .iter()
        .filter_map(|(name, process)| {
            let (live, health) = services::health(input, name, &newest.content)?;
            let is_so =
                health.rollout == Rollout::Updating && instances::was_restarted(input.desired, name, live);
            let by = &said.last_restart(name).filter(|_| is_so)?.by;
            Some(format!("{by} restarted {name}: {} of {} are new", process.updated, process.desired))
        })
        .collect();
    (!words.is_empty()).then(|| words.join("; "))
}

fn runs(release: &Release) -> String {
    match release.rollback_to {
        None => format!("release {} runs", release.version),
        Some(to) => format!("release {} runs, a return to {to}", release.version),
    }
}

/// What a release waits for that could not even be sent within its deadline. It goes on when that passes, but nobody should be
/// told for ever that it soon will.
fn waits_too_long(input: &EnvironmentInput<'_>, plan: &Plan) -> Option<String> {
    let newest = input.desired.releases.first().filter(|newest| !newest.verdict.is_final())?;
    let deadline = input.desired.environment.spec.rollout.deadline;
    let waited = input.now.duration_since(phase::over_since(input.desired, newest));
    let too_long =
        u128::try_from(waited.as_millis()).is_ok_and(|millis| millis > u128::from(deadline.millis()));
    let waiting = plan.blocked.iter().find(|b| matches!(b, Blocked::DependencyNotReady { .. }))?;
    too_long.then(|| format!("{waiting}; release {} could not be sent for {deadline}", newest.version))
}

fn rolling_out(release: &Release, processes: &BTreeMap<ProcessName, ProcessStatus>) -> String {
    let parts: Vec<String> = processes
        .iter()
        .map(|(name, process)| {
            let error =
                process.last_error.as_ref().map(|error| format!(" ({})", error.message)).unwrap_or_default();
            format!("{name} {}/{}{error}", process.updated, process.desired)
        })
        .collect();
    format!("release {}: {}", release.version, parts.join(", "))
}

fn in_phase(release: &Release, run: &Run) -> String {
    let waits = run.waits.as_ref().map(|why| format!(", which waits: {why}")).unwrap_or_default();
    format!("release {}: its release phase, run {}, is not over{waits}", release.version, run.number)
}

fn missing_instances(
    input: &EnvironmentInput<'_>,
    processes: &BTreeMap<ProcessName, ProcessStatus>,
) -> Option<String> {
    let short = processes.iter().filter(|(_, process)| process.running < process.desired);
    let parts: Vec<String> = short
        .map(|(name, process)| {
            let error = process.last_error.as_ref().map(|error| error.message.clone());
            let lost = lost_nodes(input, &process.service);
            // Who waits for a node of its region is told already which of them are down.
            let lost = lost.filter(|lost| !error.as_ref().is_some_and(|error| error.contains(lost.as_str())));
            let why: Vec<String> = error.into_iter().chain(lost).collect();
            let why = if why.is_empty() { String::new() } else { format!(" ({})", why.join("; ")) };
            format!("{name} runs {} of {}{why}", process.running, process.desired)
        })
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The nodes that are down and took instances of a service with them: what is replaced because its node went is still said to run
/// there, since nobody could tell otherwise.
fn lost_nodes(input: &EnvironmentInput<'_>, service: &str) -> Option<String> {
    let service = input.observed.services.get(service)?.present()?;
    let tasks = input.observed.tasks.get(&service.id)?;
    let stranded = |node: &&Node| {
        node.status.state == Some(NodeState::Down)
            && tasks.iter().any(|task| {
                task.node_id.as_ref() == Some(&node.id) && task.status.state == Some(TaskState::Running)
            })
    };
    let nodes = input.observed.nodes.present()?;
    let names: Vec<&str> =
        nodes.iter().filter(stranded).map(|node| node.description.hostname.as_str()).collect();
    let are = if names.len() == 1 { "is" } else { "are" };
    (!names.is_empty()).then(|| format!("{} {are} down", names.join(", ")))
}

fn missing_reason(input: &EnvironmentInput<'_>, processes: &BTreeMap<ProcessName, ProcessStatus>) -> Reason {
    let is_crashing = |process: &ProcessStatus| {
        process.running < process.desired
            && process.last_error.as_ref().is_some_and(|error| !waits_for_a_node(input, process, error))
    };
    if processes.values().any(is_crashing) { Reason::CrashLoop } else { Reason::InstancesMissing }
}

/// Is the error that of an instance that no node has taken yet? Then nothing has crashed.
fn waits_for_a_node(input: &EnvironmentInput<'_>, process: &ProcessStatus, error: &TaskError) -> bool {
    let service = input.observed.services.get(&process.service).and_then(Observed::present);
    let tasks = service.and_then(|service| input.observed.tasks.get(&service.id)).into_iter().flatten();
    let waiting = tasks.filter(|task| task.status.state == Some(TaskState::Pending));
    waiting.filter_map(|task| task.status.timestamp.parse().ok()).any(|at: Timestamp| at == error.at)
}

/// Where the environment can be reached: the routes that are on a live service.
fn urls(input: &EnvironmentInput<'_>, release: &Release) -> Vec<String> {
    let mut urls = Vec::new();
    for (name, process) in &release.content.processes {
        let Some((live, _)) = services::health(input, name, &release.content) else { continue };
        let (routes, _) = routes(input.settings, input.desired, name, process);
        let is_live = |route: &&Route| {
            let rule = live.spec.labels.get(&format!("traefik.http.routers.{}.rule", route.name));
            rule.is_some_and(|rule| *rule == route.rule())
        };
        urls.extend(routes.iter().filter(is_live).map(|route| route.url(&input.settings.edge)));
    }
    urls
}
