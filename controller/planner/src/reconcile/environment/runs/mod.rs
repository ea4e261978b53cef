//! What must be done for the runs of an environment, and what became of them?
//!
//! ```text
//! asked for ─> its service is made ─> its task runs ─> it ended, or its time did ─> noted with its output ─> the service is removed
//! ```
//!
//! A run that cannot start waits, for some minutes, and then has failed. One whose service is gone although nobody here removed it has failed, too: nothing is run twice.
//! That it is over is recorded before its service is removed, so that a crash between the two leaves a service that no run wants.

mod make;
mod progress;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use skep_schemas::kind::ConcurrencyPolicy;

use self::make::{NotNow, made};
use self::progress::{Progress, progress, why_not};
use super::verdict::signed;
use super::{EnvironmentDesired, EnvironmentInput, instances, services};
use crate::blocked::Blocked;
use crate::inventory::{self, ObjectKind, ObjectRef};
use crate::naming;
use crate::observed::Observed;
use crate::plan::Plan;
use crate::release::Release;
use crate::run::{Run, RunChange, RunEnd, RunNews, RunNumber, RunOutput, RunPurpose};
use crate::step::{Cost, Op, Step};
use crate::swarm::Service;

/// How long a run may wait for what it needs to start, pulling its image included.
const START_WITHIN: SignedDuration = SignedDuration::from_mins(10);
/// How often one that is not over is looked at: an engine tells nobody of the tasks of other nodes.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The services of runs that have to be looked at: of those that are not over, and those that were made.
pub fn runs_to_observe(desired: &EnvironmentDesired) -> Vec<String> {
    let made = desired.inventory.iter().filter(|entry| entry.object.kind == ObjectKind::Run);
    let mut names: Vec<String> = made.map(|entry| entry.object.name.clone()).collect();
    names.extend(open(desired).map(|run| service_name(desired, run)));
    names.sort();
    names.dedup();
    names
}

/// The runs that are over by what is seen, each with its service: what they printed has to be read now, because it goes with the service.
pub fn runs_to_hear(input: &EnvironmentInput<'_>) -> Vec<(RunNumber, Service)> {
    if is_left_alone(input) {
        return Vec::new();
    }
    let ending = open(input.desired).filter_map(|run| {
        let service = seen(input, run)?.present().filter(|service| is_of(input, service))?;
        matches!(progress(input, run, service), Progress::Ends { .. }).then(|| (run.number, service.clone()))
    });
    ending.collect()
}

/// When to look again at what runs.
pub(super) fn recheck(desired: &EnvironmentDesired) -> Option<Duration> {
    // The end of a pause is a time of its own.
    (desired.stance.pause.is_none() && open(desired).next().is_some()).then_some(LOOK_EVERY)
}

/// Makes the services of runs, notes what became of them, and removes the services of those that are over.
pub(super) fn converge(input: &EnvironmentInput<'_>, plan: &mut Plan) {
    if is_left_alone(input) {
        return;
    }
    for run in open(input.desired) {
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
    let goes_on = open(input.desired).filter(|run| !is_deleting && !over.contains(&run.number));
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
    let stays =
        run.purpose == RunPurpose::Release && run.stopped_by.is_none() && cancelled(input, run).is_none();
    if is_superseded(input, run) {
        let reason = format!("release {} was replaced before it had begun", run.release);
        return over(RunEnd::Stopped { reason }, plan);
    }
    if let Some(end) = stopped(input, run).filter(|_| !stays) {
        return over(end, plan);
    }
    if let Some(why) = too_late(input, run) {
        return over(RunEnd::failed(why), plan);
    }
    if let Some(why) = comes_later(input, run) {
        return waits(run, why, plan);
    }
    match made(input, run, &object) {
        Ok(step) => plan.steps.push(step),
        Err(NotNow::Refused(why)) => over(RunEnd::failed(why), plan),
        // A release phase waits as its release would.
        Err(NotNow::Waits(why)) if run.purpose != RunPurpose::Release && is_late(input, run.created_at) => {
            over(RunEnd::failed(late(&why)), plan);
        }
        Err(NotNow::Waits(why)) => waits(run, why, plan),
    }
}

/// Why a run does not begin yet although nothing is wrong with it: what it takes the place of is not over. A release phase that was begun before goes on to its
/// end: what migrates a database is not to be cut off, nor to meet another that does.
fn comes_later(input: &EnvironmentInput<'_>, run: &Run) -> Option<String> {
    match run.purpose {
        RunPurpose::OneOff => return None,
        RunPurpose::Release => {}
        RunPurpose::Schedule => {
            let earlier = of_schedule(input, run).find(|other| other.number < run.number)?;
            let replaces = concurrency(input, run) == Some(ConcurrencyPolicy::Replace);
            return replaces
                .then(|| format!("run {}, whose place it takes, is to be over first", earlier.number));
        }
    }
    if let Some(suspended) = instances::suspended(input.desired) {
        return Some(suspended.in_words(input.desired));
    }
    let earlier =
        open(input.desired).find(|other| other.purpose == run.purpose && other.number < run.number)?;
    Some(format!("the release phase of {}, run {}, is to be over first", earlier.release, earlier.number))
}

/// Was the release of a release phase replaced before the phase had begun?
fn is_superseded(input: &EnvironmentInput<'_>, run: &Run) -> bool {
    let newest = input.desired.releases.first().map(|newest| newest.version);
    run.purpose == RunPurpose::Release && run.started_at.is_none() && newest != Some(run.release)
}

fn release_of<'a>(desired: &'a EnvironmentDesired, run: &Run) -> Option<&'a Release> {
    desired.releases.iter().find(|release| release.version == run.release)
}

/// How it ends because somebody wants it to: whoever stopped it, or cancelled the release that it comes before, the platform, which suspended the
/// organisation with all that it runs, or its schedule, by which a newer run takes its place.
fn stopped(input: &EnvironmentInput<'_>, run: &Run) -> Option<RunEnd> {
    let by = run.stopped_by.as_ref().map(|by| format!("stopped by {by}"));
    let cancelled = || cancelled(input, run);
    let suspended = || instances::suspended(input.desired).map(|stop| stop.in_words(input.desired));
    let replaced = || {
        let newest = of_schedule(input, run).rfind(|other| other.number > run.number)?;
        let replaces = concurrency(input, newest) == Some(ConcurrencyPolicy::Replace);
        replaces.then(|| format!("run {} took its place", newest.number))
    };
    Some(RunEnd::Stopped { reason: by.or_else(cancelled).or_else(suspended).or_else(replaced)? })
}

/// The runs of the same schedule that are not over.
fn of_schedule<'a>(
    input: &EnvironmentInput<'a>,
    run: &'a Run,
) -> impl DoubleEndedIterator<Item = &'a Run> + use<'a> {
    let is_of = |other: &&Run| {
        let both = [run.purpose, other.purpose];
        other.end.is_none() && both == [RunPurpose::Schedule; 2] && other.process == run.process
    };
    input.desired.runs.iter().filter(is_of)
}

/// What the schedule of a run says about the one before it.
fn concurrency(input: &EnvironmentInput<'_>, run: &Run) -> Option<ConcurrencyPolicy> {
    Some(release_of(input.desired, run)?.content.schedules.get(&run.process)?.schedule.concurrency)
}

/// Why a run that was written down in time for its schedule is not begun any more: whoever was to begin it was away for longer than it could wait.
fn too_late(input: &EnvironmentInput<'_>, run: &Run) -> Option<String> {
    let schedule = release_of(input.desired, run)?.content.schedules.get(&run.process)?;
    let deadline = signed(schedule.schedule.starting_deadline);
    let late = input.now.duration_since(run.slot?);
    let waited = input.now.duration_since(run.created_at);
    (late > deadline && waited > START_WITHIN).then(|| {
        format!("not started within its starting deadline of {}", schedule.schedule.starting_deadline)
    })
}

/// Who cancelled the release of a release phase. Whoever does means what is under way as well.
fn cancelled(input: &EnvironmentInput<'_>, run: &Run) -> Option<String> {
    let release = release_of(input.desired, run).filter(|_| run.purpose == RunPurpose::Release)?;
    let cancelled = release.cancelled.as_ref()?;
    Some(format!("release {} was cancelled by {}", release.version, cancelled.by))
}

fn is_late(input: &EnvironmentInput<'_>, since: Timestamp) -> bool {
    input.now.duration_since(since) > START_WITHIN
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

/// Those that are not over.
fn open(desired: &EnvironmentDesired) -> impl Iterator<Item = &Run> {
    desired.runs.iter().filter(|run| run.end.is_none())
}

fn service_name(desired: &EnvironmentDesired, run: &Run) -> String {
    naming::run(&desired.org, desired.environment.meta.key.name(), run.number)
}
