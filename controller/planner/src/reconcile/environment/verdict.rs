//! How did the newest release go?
//!
//! Swarm's own word is not enough. It says `completed` for the last update of one service only, has no deadline for tasks that
//! never start, and forgets a rolled-back spec altogether. A verdict therefore looks at every process and at the clock, and is
//! recorded once. Nothing is decided while a part of it cannot be seen, and the time before a release was sent does not count
//! against it: a controller that was away for an hour must not find that everything has failed meanwhile. Nor does the time in which
//! somebody has stopped all of it; of what is stopped in part, the rest is judged.

use jiff::Timestamp;
use skep_schemas::{Duration, ProcessName};

use super::target::last_good;
use super::{EnvironmentInput, instances};
use crate::health::{Rollout, ServiceHealth, is_alive, update_started_at};
use crate::inventory::ObjectKind;
use crate::naming;
use crate::observed::Observed;
use crate::release::{Release, ReleaseProcess, Verdict};
use crate::render::{listens_on, monitor};
use crate::swarm::{Service, Task, TaskState};

/// How far the engine's clock and the database's may be apart. Only used to tell a roll-back of this release from one of an
/// earlier release that is still shown on the service. It is small, because the two mistakes differ: to believe of a release what
/// was said of an earlier one fails it without a trial, while not to believe it sends it once more, at most until the difference
/// of the clocks has passed since the release was made.
pub(super) const CLOCK_SKEW: jiff::SignedDuration = jiff::SignedDuration::from_secs(2);

/// How long a process may take from its start until it listens on its port, where that is how to tell that it is up. Those with a health check
/// say it themselves.
const BOOT: Duration = Duration::from_secs(60);

/// The verdict on a pending release as of now; `Pending` while nothing is certain.
pub(super) fn verdict(input: &EnvironmentInput<'_>, release: &Release) -> Verdict {
    judge(input, release).0
}

/// The same, and by which process it failed.
pub(super) fn judge<'r>(
    input: &EnvironmentInput<'_>,
    release: &'r Release,
) -> (Verdict, Option<&'r ProcessName>) {
    let failed = |name, reason: String| (failed(input, reason), Some(name));
    if !is_seen(input, release) {
        return (Verdict::Pending, None);
    }
    // Nothing of it runs, so nothing can be said of it. Once it is started, it has its time from then on.
    if instances::all_stopped(input.desired, &release.content).is_some() {
        return (Verdict::Pending, None);
    }
    let deadline = input.desired.environment.spec.rollout.deadline;
    let mut all_done = true;
    let mut overdue = None;
    for (name, process) in &release.content.processes {
        let Some((service, health)) = super::services::health(input, name, &release.content) else {
            all_done = false;
            continue;
        };
        if was_sent(input, release, &service.spec.name) && belongs_to(service, release) {
            let reason = health.last_error.as_ref().map(|error| error.message.clone());
            match health.rollout {
                Rollout::RolledBack | Rollout::Paused => {
                    let why = reason.unwrap_or_else(|| swarms_words(service));
                    return failed(name, format!("process {name}: {why}"));
                }
                Rollout::Settled | Rollout::Updating => {}
            }
        }
        if !is_done(input, release, name, process, service, &health) {
            all_done = false;
            if let Some(why) = not_up(input, release, process, service) {
                return failed(name, format!("process {name}: {why}"));
            }
            let is_up =
                runs(release, service) && health.updated >= instances::wanted(input, &release.content, name);
            // What is up in time is not late because Swarm goes on watching it.
            let time = if is_up { deadline.plus(monitor(process)) } else { deadline };
            let late = |begun: Timestamp| input.now.duration_since(begun) > signed(time);
            if overdue.is_none() && begun_at(release, service).is_some_and(late) {
                let why = health.last_error.map(|error| error.message);
                let otherwise =
                    if is_up { "Swarm has not ended its roll-out" } else { "its instances did not start" };
                let why = why.unwrap_or_else(|| otherwise.to_owned());
                overdue = Some((name, format!("not done after {time}: process {name}: {why}")));
            }
        }
    }
    match overdue {
        _ if all_done => (Verdict::Succeeded, None),
        Some((name, why)) => failed(name, why),
        None => (Verdict::Pending, None),
    }
}

/// The verdict on a release that failed for this reason.
pub(super) fn failed(input: &EnvironmentInput<'_>, reason: String) -> Verdict {
    match last_good(input.desired) {
        Some(_) => Verdict::RolledBack { reason },
        None => Verdict::Failed { reason },
    }
}

/// Why an instance of this release is not up although it had the time to be: it does not listen on its port.
fn not_up(
    input: &EnvironmentInput<'_>,
    release: &Release,
    process: &ReleaseProcess,
    service: &Service,
) -> Option<String> {
    let port = listens_on(&input.settings.edge, &release.content, process)?;
    let begun = begun_at(release, service)?;
    let starts = |task: &&Task| {
        let at = |text: &str| text.parse::<Timestamp>().ok();
        let is_late = |since: Timestamp| input.now.duration_since(since) > signed(BOOT);
        is_alive(task)
            && task.status.state == Some(TaskState::Starting)
            && at(&task.created_at).is_none_or(|made| made >= begun)
            && at(&task.status.timestamp).is_some_and(is_late)
    };
    let late = super::services::tasks(input, service).iter().find(starts)?;
    let container = late.status.container_status.as_ref();
    let said = container
        .and_then(|status| input.observed.containers.get(&status.container_id)?.health_output.clone());
    let why = said.map(|said| said.trim().to_owned()).filter(|said| !said.is_empty());
    let why = why.unwrap_or_else(|| format!("port {port} is not listened on"));
    Some(format!("not up {BOOT} after its start: {why}"))
}

/// Could everything be read that the verdict depends on?
fn is_seen(input: &EnvironmentInput<'_>, release: &Release) -> bool {
    let environment = input.desired.environment.meta.key.name();
    let unknown = |name: &ProcessName| {
        let service = naming::service(&input.desired.org, environment, name);
        matches!(input.observed.services.get(&service), Some(Observed::Unknown { .. }))
    };
    let nodes_matter = release.content.region.is_some();
    let nodes_seen = !matches!(input.observed.nodes, Observed::Unknown { .. });
    !release.content.processes.keys().any(unknown) && (nodes_seen || !nodes_matter)
}

/// Since when the service has been running, or trying to run, this release; `None` while it was not given to it, or has no instances because
/// something stopped them.
pub(super) fn begun_at(release: &Release, service: &Service) -> Option<Timestamp> {
    if !runs(release, service) || service.spec.labels.contains_key(naming::LABEL_STOPPED) {
        return None;
    }
    let written = || service.updated_at.parse().or_else(|_| service.created_at.parse()).ok();
    let begun = update_started_at(service).or_else(written).unwrap_or(release.created_at);
    Some(begun.max(release.created_at))
}

/// Is the service's spec that of the release?
fn runs(release: &Release, service: &Service) -> bool {
    let label = service.spec.labels.get(naming::LABEL_RELEASE);
    label.is_some_and(|label| *label == release.version.to_string())
}

/// Was this release the last that Skep sent to the service?
fn was_sent(input: &EnvironmentInput<'_>, release: &Release, service: &str) -> bool {
    let sent = |entry: &&crate::InventoryEntry| {
        entry.object.kind == ObjectKind::Service && entry.object.name == service
    };
    input.desired.inventory.iter().find(sent).is_some_and(|entry| entry.sent_release == Some(release.version))
}

/// Does the update status on the service speak of this release? It keeps what was said of an earlier one until the next update
/// begins.
fn belongs_to(service: &Service, release: &Release) -> bool {
    let Some(started) = update_started_at(service) else { return false };
    started.duration_since(release.created_at) > -CLOCK_SKEW
}

fn swarms_words(service: &Service) -> String {
    let message = service.update_status.as_ref().map(|status| status.message.as_str()).unwrap_or_default();
    if message.is_empty() { "Swarm gave up on the update".to_owned() } else { message.to_owned() }
}

/// Does every wanted instance of a process run this release, and for long enough to count?
fn is_done(
    input: &EnvironmentInput<'_>,
    release: &Release,
    name: &ProcessName,
    process: &ReleaseProcess,
    service: &Service,
    health: &ServiceHealth,
) -> bool {
    let wanted = instances::wanted(input, &release.content, name);
    if !runs(release, service) || health.rollout != Rollout::Settled || health.updated < wanted {
        return false;
    }
    // A health check has spoken, or Swarm has watched the update for as long as its monitor says. Otherwise wait as long.
    let watched = process.health_check.is_some() || service.update_status.is_some() || wanted == 0;
    let long_enough = |since: Timestamp| input.now.duration_since(since) >= signed(monitor(process));
    watched || health.updated_since.is_some_and(long_enough)
}

/// For how long Swarm watches a roll-out of the service once all of its tasks run.
pub(super) fn watched_for(service: &Service) -> jiff::SignedDuration {
    let config = service.spec.update_config.as_ref();
    jiff::SignedDuration::from_nanos(config.map_or(0, |config| config.monitor.0))
}

pub(super) fn signed(duration: Duration) -> jiff::SignedDuration {
    jiff::SignedDuration::from_millis(i64::try_from(duration.millis()).unwrap_or(i64::MAX))
}
