//! What is to be noted of the release that is being rolled out: what it waits for, when each process was given it, and when all instances ran it.
//!
//! The facts are what is seen: when a process was given it and since when its instances run say the engine's own times. They are written with the status or the verdict that is written
//! anyway, and only when something is new.

use jiff::Timestamp;

use super::phase::{self, Phase};
use super::{EnvironmentInput, instances, services, verdict};
use crate::blocked::Blocked;
use crate::deployment::{Rolled, Timeline, Wait};
use crate::plan::{Noted, Plan};
use crate::reconcile::Mode;
use crate::release::Release;

/// How many things a release is noted to have waited for: whoever looks wants to know the first ones, and a text may be another at each look.
const WAITS_MAX: usize = 16;
/// The most characters of one.
const WHY_MAX: usize = 300;

/// Notes in the plan what is new.
pub(super) fn note(input: &EnvironmentInput<'_>, plan: &mut Plan) {
    let Some(newest) = input.desired.releases.first() else { return };
    // What is about to be replaced is not waited for any more.
    if input.mode != Mode::Act || newest.verdict.is_final() || plan.release.is_some() {
        return;
    }
    let before = newest.timeline.clone().unwrap_or_default();
    let mut now = before.clone();
    roll(input, newest, &mut now);
    wait(input, newest, plan, &mut now);
    if now != before {
        plan.noted = Some(Noted { release: newest.version, timeline: now });
    }
}

/// What is seen of the processes.
fn roll(input: &EnvironmentInput<'_>, release: &Release, timeline: &mut Timeline) {
    for name in release.content.processes.keys() {
        let Some((service, health)) = services::health(input, name, &release.content) else { continue };
        let Some(begun) = verdict::begun_at(release, service) else { continue };
        let rolled = timeline.processes.entry(name.clone()).or_insert(Rolled { sent: begun, up: None });
        let is_up = health.updated >= instances::wanted(input, &release.content, name);
        if rolled.up.is_none() && is_up {
            rolled.up = Some(health.updated_since.map_or(input.now, |since| since.max(rolled.sent)));
        }
    }
}

/// What it waits for, as long as not all of it was sent.
fn wait(input: &EnvironmentInput<'_>, release: &Release, plan: &Plan, timeline: &mut Timeline) {
    let is_sent = release.content.processes.keys().all(|name| timeline.processes.contains_key(name));
    if is_sent || release.cancelled.is_some() || timeline.waits.len() >= WAITS_MAX {
        return;
    }
    let Some(why) = why(input, release, plan) else { return };
    let why: String = why.chars().take(WHY_MAX).collect();
    if timeline.waits.last().is_none_or(|last| last.why != why) {
        let since: Timestamp = input.now;
        timeline.waits.push(Wait { why, since });
    }
}

fn why(input: &EnvironmentInput<'_>, release: &Release, plan: &Plan) -> Option<String> {
    if let Phase::Open(run) = phase::of(input, release) {
        return run.waits.clone();
    }
    let stopped = || {
        let stop = instances::all_stopped(input.desired, &release.content)?;
        Some(stop.in_words(input.desired))
    };
    let blocked = plan.blocked.iter().find(|blocked| holds(blocked)).map(Blocked::what_is_so);
    blocked.or_else(stopped)
}

/// May it be the reason why a release is not sent? What is said of a route, or of the release that failed, is none.
const fn holds(blocked: &Blocked) -> bool {
    !matches!(
        blocked,
        Blocked::RouteInvalid { .. }
            | Blocked::ReleaseFailed { .. }
            | Blocked::ReleaseCancelled { .. }
            | Blocked::Contested { .. }
            | Blocked::NotKept { .. }
    )
}
