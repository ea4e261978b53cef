//! How many instances of a process are wanted, and has somebody asked for new ones?
//!
//! None while a policy stops what runs, somebody stopped the process or the environment, or the platform suspended the organisation. Otherwise what
//! the manifests say; where they say nothing, what somebody scaled it to; and where nobody did, what is live: that belongs to whoever scales the
//! service in the engine. A stopped service carries the number to return to in a label, because of the last it is known nowhere else.

use skep_schemas::{ProcessName, Reason, Stopped};

use super::{EnvironmentDesired, EnvironmentInput, PlanChoice, target};
use crate::formation::{self, Instances};
use crate::naming;
use crate::release::ReleaseContent;
use crate::step::FieldChange;
use crate::swarm::{Labels, Service, ServiceMode, ServiceSpec};

/// How many instances of a process are wanted now, with a release of this content.
pub(super) fn wanted(input: &EnvironmentInput<'_>, content: &ReleaseContent, name: &ProcessName) -> u32 {
    if is_stopped(input, content, name) { 0 } else { formed(input, name) }
}

/// The number to return to, of a process that is to have no instances for now.
pub(super) fn to_return_to(
    input: &EnvironmentInput<'_>,
    content: &ReleaseContent,
    name: &ProcessName,
) -> Option<u32> {
    is_stopped(input, content, name).then(|| formed(input, name))
}

fn is_stopped(input: &EnvironmentInput<'_>, content: &ReleaseContent, name: &ProcessName) -> bool {
    stop(input.desired, name).is_some() || input.desired.is_stopped(content)
}

/// Who stopped a process.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stop<'a> {
    /// The platform, with everything of the organisation.
    Suspended(&'a Stopped),
    /// Somebody of the organisation.
    Stopped(&'a Stopped),
}

/// Who stopped a process, if anybody did. Policies are not asked: they say so by themselves.
pub(super) fn stop<'a>(desired: &'a EnvironmentDesired, name: &ProcessName) -> Option<Stop<'a>> {
    let stopped = || desired.environment.meta.formation.stopped(name).map(Stop::Stopped);
    suspended(desired).or_else(stopped)
}

/// Whether the platform suspended the organisation, with everything that it runs.
pub(super) fn suspended(desired: &EnvironmentDesired) -> Option<Stop<'_>> {
    let organization = desired.organization.as_ref();
    organization.and_then(|organization| organization.meta.suspension.as_ref()).map(Stop::Suspended)
}

/// Is there nothing of a release that may run, because all of its processes were stopped? Who stopped the first of them.
pub(super) fn all_stopped<'a>(desired: &'a EnvironmentDesired, content: &ReleaseContent) -> Option<Stop<'a>> {
    let mut stops = content.processes.keys().map(|name| stop(desired, name));
    let first = stops.next()??;
    stops.all(|stop| stop.is_some()).then_some(first)
}

impl Stop<'_> {
    /// The word for programs.
    pub(super) const fn reason(self) -> Reason {
        match self {
            Self::Suspended(_) => Reason::Suspended,
            Self::Stopped(_) => Reason::Stopped,
        }
    }

    /// What happened, who did it, and what ends it.
    pub(super) fn in_words(self, desired: &EnvironmentDesired) -> String {
        match self {
            Self::Suspended(stopped) => format!(
                "organisation {} was suspended {}; it goes on when the platform ends that",
                desired.org,
                stopped.in_words()
            ),
            Self::Stopped(stopped) => {
                format!("stopped {}; `skep start` lets it run again", stopped.in_words())
            }
        }
    }
}

/// How many instances of a process there should be if nothing stopped them. A number that no manifest says, and nobody scaled to, belongs to whoever
/// scales the service, a person or an autoscaler, within what the plan allows; so does that of a process that only the release to return to
/// has. Of manifests that ask for what cannot be, no number is believed: what runs keeps the one that it has.
fn formed(input: &EnvironmentInput<'_>, name: &ProcessName) -> u32 {
    let desired = input.desired;
    let app = desired.app.as_ref().map(|app| &app.spec);
    let service = naming::service(&desired.org, desired.environment.meta.key.name(), name);
    let live = || {
        let live = input.observed.services.get(&service)?.present()?;
        let stopped_at = number(&live.spec.labels, naming::LABEL_STOPPED);
        stopped_at.or_else(|| u32::try_from(replicas(&live.spec)).ok())
    };
    let most = match &desired.plan {
        PlanChoice::Found(plan) => plan.spec.max_instances.unwrap_or(u32::MAX),
        PlanChoice::None | PlanChoice::Missing(_) => u32::MAX,
    };
    let live = live();
    match formation::instances(app, &desired.environment.spec, name) {
        // What is so already need not be looked into.
        Some(Instances::Declared(instances))
            if live == Some(instances) || target::formation(input.settings, desired).is_ok() =>
        {
            instances
        }
        Some(Instances::Declared(_)) => live.unwrap_or(1).min(most),
        Some(Instances::LeftToOthers) | None => {
            let scaled = desired.environment.meta.formation.instances(name);
            scaled.or(live).unwrap_or(1).min(most)
        }
    }
}

pub(super) fn replicas(spec: &ServiceSpec) -> u64 {
    match &spec.mode {
        Some(ServiceMode::Replicated(mode)) => mode.replicas.unwrap_or(1),
        _ => 0,
    }
}

/// The counter that makes Swarm replace the tasks of a service. It is one more than what is live if somebody asked for a restart that was not sent
/// yet, which the label tells that goes with it: as it is live, or as it was sent, because a label that somebody takes off, or that Swarm returns,
/// is no reason to restart once more. Otherwise it stays as it is: someone may have restarted the tasks with `docker service update
/// --force`, it says nothing else, and setting it back would restart them again.
pub(super) fn force_update(live: &Service, applied: Option<&ServiceSpec>, desired: &ServiceSpec) -> u64 {
    let asked = number(&desired.labels, naming::LABEL_RESTARTS).unwrap_or(0);
    let sent = [Some(&live.spec), applied].into_iter().flatten();
    let sent = sent.filter_map(|spec| number(&spec.labels, naming::LABEL_RESTARTS)).max().unwrap_or(0);
    let standing = live.spec.task_template.force_update;
    if asked > sent { standing.saturating_add(1) } else { standing }
}

/// The change of that counter, which is told only where Skep raises it.
pub(super) fn restart(live: &Service, desired: &ServiceSpec) -> Option<FieldChange> {
    let (from, to) = (live.spec.task_template.force_update, desired.task_template.force_update);
    let pointer = "/TaskTemplate/ForceUpdate".to_owned();
    (from != to).then(|| FieldChange { pointer, from: Some(from.into()), to: Some(to.into()) })
}

/// Is the service replacing its tasks because somebody asked for a restart?
pub(super) fn was_restarted(desired: &EnvironmentDesired, name: &ProcessName, live: &Service) -> bool {
    let asked = desired.environment.meta.formation.restarts(name);
    asked > 0 && number(&live.spec.labels, naming::LABEL_RESTARTS) == Some(asked)
}

fn number(labels: &Labels, label: &str) -> Option<u32> {
    labels.get(label).and_then(|number| number.parse().ok())
}
