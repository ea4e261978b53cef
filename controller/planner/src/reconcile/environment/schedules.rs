//! Is it time for what has a schedule, and does it run?
//!
//! A schedule is that of the newest release that succeeded, as one-off runs are of it: what is still being rolled out, or waits for its release phase, starts nothing. Each slot
//! is decided once. Of those that are late only the newest is run, if it is not later than its deadline; the others are counted as missed, with the reason. One that is
//! followed for the first time, or recurs otherwise than before, begins now.

use std::iter::successors;
use std::time::Duration;

use jiff::Timestamp;
use skep_schemas::ProcessName;
use skep_schemas::kind::{ConcurrencyPolicy, ScheduleSpec};

use super::target::last_good;
use super::verdict::signed;
use super::{EnvironmentDesired, EnvironmentInput, instances};
use crate::plan::Plan;
use crate::reconcile::Mode;
use crate::release::{Release, ReleaseSchedule};
use crate::run::{NewRun, RUNS_OPEN_MAX, Run, RunPurpose};
use crate::schedule::{Missed, ScheduleChange, ScheduleDecision, ScheduleMark};

/// So many slots are counted; of more there are "at least" so many. A week of every minute, about.
const COUNTED_MAX: u32 = 10_000;

/// Decides the slots that it is time for.
pub(super) fn decide(input: &EnvironmentInput<'_>, plan: &mut Plan) {
    if input.mode == Mode::Preview {
        return;
    }
    let release = last_good(input.desired);
    let schedules = release.into_iter().flat_map(|release| &release.content.schedules);
    let mut room = RUNS_OPEN_MAX.saturating_sub(open(input.desired).count());
    for (name, scheduled) in schedules.clone() {
        // There is one if there are schedules.
        let Some(release) = release else { continue };
        let decision = match mark(input.desired, name, &scheduled.schedule) {
            None => {
                Some(ScheduleDecision::Begins { recurrence: scheduled.schedule.recurrence(), at: input.now })
            }
            Some(mark) => passes(input, release, (name, scheduled), mark, room),
        };
        let Some(decision) = decision else { continue };
        if let ScheduleDecision::Passes { run: Some(_), .. } = decision {
            room = room.saturating_sub(1);
        }
        plan.schedules.push(ScheduleChange { process: name.clone(), decision });
    }
    let is_over = |mark: &&ScheduleMark| !schedules.clone().any(|(name, _)| *name == mark.process);
    let over = input.desired.schedules.iter().filter(is_over);
    plan.schedules.extend(
        over.map(|mark| ScheduleChange { process: mark.process.clone(), decision: ScheduleDecision::Ends }),
    );
}

/// When it is time again.
pub(super) fn recheck(desired: &EnvironmentDesired, now: Timestamp) -> Option<Duration> {
    let schedules = last_good(desired)?.content.schedules.values();
    let next = schedules.filter_map(|scheduled| scheduled.schedule.next_after(now)).min()?;
    Some(next.duration_since(now).unsigned_abs())
}

/// The mark of a schedule, if it is about this recurrence.
fn mark<'a>(
    desired: &'a EnvironmentDesired,
    name: &ProcessName,
    schedule: &ScheduleSpec,
) -> Option<&'a ScheduleMark> {
    let recurrence = schedule.recurrence();
    desired.schedules.iter().find(|mark| mark.process == *name && mark.recurrence == recurrence)
}

/// What is done about the slots since the mark, if there are any.
fn passes(
    input: &EnvironmentInput<'_>,
    release: &Release,
    (name, scheduled): (&ProcessName, &ReleaseSchedule),
    mark: &ScheduleMark,
    room: usize,
) -> Option<ScheduleDecision> {
    let due = due(&scheduled.schedule, mark.until, input.now)?;
    let why_not = why_not(input, release, (name, &scheduled.schedule), due.newest, room);
    let run = why_not.is_none().then_some(NewRun {
        release: release.version,
        resources: scheduled.process.resources,
        time_limit: scheduled.time_limit,
    });
    let missed = match why_not {
        Some(why) => Some(Missed { count: due.count, newest: due.newest, why }),
        None => due.before.map(|before| Missed {
            count: due.count.saturating_sub(1),
            newest: before,
            why: "nobody could begin it in time; of several that are late, the last is run".to_owned(),
        }),
    };
    let known = (mark.recurrence.clone(), mark.until);
    Some(ScheduleDecision::Passes { known, slot: due.newest, run, missed })
}

/// The slots that it is time for.
struct Due {
    count: u32,
    newest: Timestamp,
    /// The one before the newest.
    before: Option<Timestamp>,
}

fn due(schedule: &ScheduleSpec, after: Timestamp, now: Timestamp) -> Option<Due> {
    let slots = |after| {
        let next = |slot: &Timestamp| schedule.next_after(*slot);
        successors(schedule.next_after(after), next).take_while(|slot| *slot <= now)
    };
    let mut found: Option<Due> = None;
    let add = |found: Option<Due>, slot| match found {
        None => Some(Due { count: 1, newest: slot, before: None }),
        Some(due) => Some(Due { count: due.count.saturating_add(1), newest: slot, before: Some(due.newest) }),
    };
    for slot in slots(after) {
        found = add(found, slot);
        let Some(due) = found.as_ref().filter(|due| due.count >= COUNTED_MAX) else { continue };
        // The rest is not counted, but for what may still be run.
        let recent = now.checked_sub(signed(schedule.starting_deadline)).unwrap_or(now);
        return slots(due.newest.max(recent)).fold(found, add);
    }
    found
}

/// Why a slot is not run.
fn why_not(
    input: &EnvironmentInput<'_>,
    release: &Release,
    (name, schedule): (&ProcessName, &ScheduleSpec),
    slot: Timestamp,
    room: usize,
) -> Option<String> {
    let desired = input.desired;
    if input.now.duration_since(slot) > signed(schedule.starting_deadline) {
        let deadline = schedule.starting_deadline;
        return Some(format!("nobody could begin it within its starting deadline of {deadline}"));
    }
    if let Some((resource, pause)) = &desired.stance.pause {
        return Some(format!("{resource} is paused by {}", pause.by));
    }
    if let Some(stop) = instances::stop(desired, name) {
        return Some(stop.in_words(desired));
    }
    if desired.is_stopped(&release.content) {
        return Some(format!("a policy forbids what release {} runs", release.version));
    }
    let last = open(desired).rfind(|run| run.purpose == RunPurpose::Schedule && run.process == *name);
    match (schedule.concurrency, last) {
        (ConcurrencyPolicy::Forbid, Some(last)) => return Some(format!("run {} was not over", last.number)),
        (ConcurrencyPolicy::Replace, Some(_)) => return None,
        (ConcurrencyPolicy::Allow, _) | (_, None) => {}
    }
    (room == 0).then(|| format!("{RUNS_OPEN_MAX} runs of the environment were not over, which is the most"))
}

fn open(desired: &EnvironmentDesired) -> impl DoubleEndedIterator<Item = &Run> {
    desired.runs.iter().filter(|run| run.end.is_none())
}
