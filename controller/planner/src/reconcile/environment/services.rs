//! What must be done so that every process runs the target?

use std::collections::BTreeSet;

use skep_schemas::ProcessName;

use super::ground::{Ground, ground};
use super::instances::Stop;
use super::routing::{routes, unroutable};
use super::target::{Target, last_good};
use super::{EnvironmentInput, instances, runs, trial};
use crate::blocked::Blocked;
use crate::drift::{self, Drift, DriftClass, ServiceSides};
use crate::health::{self, Expectations, ServiceHealth, service_health};
use crate::inventory::{self, ObjectKind, ObjectRef};
use crate::observed::Observed;
use crate::plan::Plan;
use crate::pull::PullAs;
use crate::reconcile::Mode;
use crate::release::ReleaseContent;
use crate::render::{ServiceInput, monitor, service_spec};
use crate::step::{Cost, FieldChange, Op, Step};
use crate::swarm::{Node, Service, ServiceSpec, Task};
use crate::{diff, naming};

/// The largest spec that the engine can still update: a service holds its spec and the previous one, and a raft entry is limited
/// to 1.5 MiB (tried: 1.0 MB can be created and never changed again).
const SPEC_BYTES_MAX: usize = 600_000;

/// Steps that make every process run the target, and remove what it does not have.
pub(super) fn converge(input: &EnvironmentInput<'_>, target: &Target, plan: &mut Plan) {
    plan.blocked.extend(unroutable(input.desired, &target.content));
    let Some(ground) = ground(input, target, plan) else { return };
    let mut wanted = BTreeSet::new();
    for name in target.content.processes.keys() {
        let spec = render(input, target, &ground, name, plan);
        wanted.insert(spec.name.clone());
        if let Some(step) = step_for(input, target, &ground, (name, spec), plan) {
            plan.steps.push(step);
        }
    }
    wanted.extend(kept(input, target));
    remove_except(input, &wanted, "the process is not part of the environment any more", plan);
}

/// The services of the last good release stay as they are until the one that replaces it has succeeded: it may be returned to. In
/// a preview that is assumed.
fn kept(input: &EnvironmentInput<'_>, target: &Target) -> Vec<String> {
    let environment = input.desired.environment.meta.key.name();
    let service = |name: &ProcessName| naming::service(&input.desired.org, environment, name);
    match (input.mode, last_good(input.desired)) {
        (Mode::Act, Some(good)) if good.version != target.version => {
            good.content.processes.keys().map(service).collect()
        }
        (Mode::Act | Mode::Preview, _) => Vec::new(),
    }
}

/// Steps that remove every service of the environment.
pub(super) fn remove_all(input: &EnvironmentInput<'_>, plan: &mut Plan) {
    remove_except(input, &BTreeSet::new(), "the environment is being deleted", plan);
    let left = input.observed.services.values().any(|service| match service {
        Observed::Absent => false,
        Observed::Unknown { .. } => true,
        Observed::Present(service) => is_ours(input, service),
    });
    runs::remove(input, "the environment is being deleted", plan);
    plan.finalized = !left && !runs::are_left(input);
}

/// Does it carry our labels, or is it the very object that was made? Labels can be taken off by hand; the id cannot.
fn is_ours(input: &EnvironmentInput<'_>, service: &Service) -> bool {
    let object = ObjectRef::new(ObjectKind::Service, &service.spec.name);
    naming::is_owned_by(&service.spec.labels, &input.settings.instance, input.desired.environment.meta.uid)
        || inventory::records(&input.desired.inventory, &object, service.id.as_str())
}

fn remove_except(input: &EnvironmentInput<'_>, wanted: &BTreeSet<String>, why: &str, plan: &mut Plan) {
    for (name, observed) in input.observed.services.iter().filter(|(name, _)| !wanted.contains(*name)) {
        let object = ObjectRef::new(ObjectKind::Service, name);
        let recorded = input.desired.inventory.iter().any(|entry| entry.object == object);
        match observed {
            Observed::Present(service) if is_ours(input, service) => {
                let op = Op::RemoveService { id: service.id.clone() };
                plan.steps.push(Step::new(object, op, why, Cost::Delete));
            }
            // Absent, or of that name and not ours: either way ours is gone.
            Observed::Present(_) | Observed::Absent if recorded => plan.forget.push(object),
            Observed::Present(_) | Observed::Absent => {}
            Observed::Unknown { why } => {
                plan.blocked.push(Blocked::Unobserved { what: object.to_string(), why: why.clone() });
            }
        }
    }
}

fn render(
    input: &EnvironmentInput<'_>,
    target: &Target,
    ground: &Ground,
    name: &ProcessName,
    plan: &mut Plan,
) -> ServiceSpec {
    let environment = &input.desired.environment;
    // The key was taken from this map.
    let process = &target.content.processes[name];
    let (routes, blocked) = routes(input.settings, input.desired, name, process);
    plan.blocked.extend(blocked);
    service_spec(&ServiceInput {
        settings: input.settings,
        org: &input.desired.org,
        key: &environment.meta.key,
        uid: environment.meta.uid,
        name,
        process,
        content: &target.content,
        release: target.version,
        instances: instances::wanted(input, &target.content, name),
        stopped: instances::to_return_to(input, &target.content, name),
        restarts: environment.meta.formation.restarts(name),
        rollout: &environment.spec.rollout,
        network: &ground.network,
        secrets: &ground.secrets,
        entry: ground.entry.as_ref(),
        constraints: &ground.constraints,
        routes: &routes,
        credential: match &ground.pull {
            PullAs::Credential(credential) => Some(&**credential),
            PullAs::Nobody => None,
        },
        engine: ground.engine,
    })
}

fn step_for(
    input: &EnvironmentInput<'_>,
    target: &Target,
    ground: &Ground,
    (name, spec): (&ProcessName, ServiceSpec),
    plan: &mut Plan,
) -> Option<Step> {
    let object = ObjectRef::new(ObjectKind::Service, &spec.name);
    let bytes = serde_json::to_vec(&spec).map_or(0, |json| json.len());
    if bytes > SPEC_BYTES_MAX {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        plan.blocked.push(Blocked::SpecTooLarge { object: object.to_string(), bytes });
        return None;
    }
    match input.observed.services.get(&spec.name) {
        Some(Observed::Present(live)) if is_ours(input, live) => {
            let entry = inventory::entry(&input.desired.inventory, &object);
            drift::replaced(&object, live, entry, plan);
            update(input, target, ground, live, (name, spec), plan)
        }
        Some(Observed::Present(live)) => {
            plan.drift.push(Drift::foreign(&object, live.id.as_str()));
            plan.blocked.push(Blocked::ForeignObject { object: object.to_string() });
            None
        }
        Some(Observed::Unknown { why }) => {
            plan.blocked.push(Blocked::Unobserved { what: object.to_string(), why: why.clone() });
            None
        }
        Some(Observed::Absent) | None => create(input, target, ground, spec, object, plan),
    }
}

fn create(
    input: &EnvironmentInput<'_>,
    target: &Target,
    ground: &Ground,
    spec: ServiceSpec,
    object: ObjectRef,
    plan: &mut Plan,
) -> Option<Step> {
    let stance = &input.desired.stance;
    let gone = inventory::was_there(&input.desired.inventory, &object);
    // What was given up before it was sent is not sent now.
    if target.given_up && !gone {
        return None;
    }
    if gone && !stance.note(plan, &object, DriftClass::Missing, Some("present"), None) {
        return None;
    }
    let why =
        if gone { "somebody removed it".to_owned() } else { format!("runs release {}", target.version) };
    let op =
        Op::CreateService { spec: Box::new(spec), release: Some(target.version), pull: ground.pull.clone() };
    Some(Step::new(object, op, why, Cost::Create))
}

fn update(
    input: &EnvironmentInput<'_>,
    target: &Target,
    ground: &Ground,
    live: &Service,
    (name, mut spec): (&ProcessName, ServiceSpec),
    plan: &mut Plan,
) -> Option<Step> {
    let object = ObjectRef::new(ObjectKind::Service, &spec.name);
    let live_release = live.spec.labels.get(naming::LABEL_RELEASE);
    let other_release = live_release.filter(|label| **label != target.version.to_string());
    // Swarm has returned it to what ran before. Sending what failed once more would only make it do so once more, for ever.
    if target.given_up && other_release.is_some() {
        return None;
    }
    let entry = inventory::entry(&input.desired.inventory, &object);
    let sent = entry.and_then(|entry| entry.applied.as_deref());
    spec.task_template.force_update = instances::force_update(live, sent, &spec);
    let applied = sent.filter(|applied| !is_of_later(applied, target));
    let sides = ServiceSides { object: &object, live, entry, applied, desired: &spec };
    let mut change = drift::service(&input.desired.stance, sides, plan)?;
    change.changes.extend(instances::restart(live, &change.spec));
    if trial::waits(input, &ground.constraints, live, &change.changes) {
        trial::judge_waiting(input, target, live, plan);
        plan.blocked.push(Blocked::UpdateInProgress { object: object.to_string() });
        return None;
    }
    let alive: Vec<&Task> = tasks(input, live).iter().filter(|task| health::is_alive(task)).collect();
    let forbidden = |task: &&&Task| {
        let node = nodes(input).iter().find(|node| task.node_id.as_ref() == Some(&node.id));
        node.is_some_and(|node| !ground.constraints.allow(node))
    };
    let length = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let cost = diff::cost(
        &change.changes,
        instances::replicas(&live.spec),
        instances::replicas(&change.spec),
        length(alive.len()),
        length(alive.iter().filter(forbidden).count()),
    );
    let why = match other_release {
        _ if change.only_drift => "somebody else changed it".to_owned(),
        Some(label) => format!("release {label} -> {}", target.version),
        None if is_label_alone(&change.changes, naming::LABEL_REGISTRY_CREDENTIAL) => {
            "its credential for the registry is another".to_owned()
        }
        None => asked_by(input, name, live, &change.spec)
            .unwrap_or_else(|| "it is not as it should be".to_owned()),
    };
    Some(change.into_step(sides, Some(target.version), ground.pull.clone(), why, cost))
}

/// Is it only this label that changes?
fn is_label_alone(changes: &[FieldChange], label: &str) -> bool {
    let label = label.replace('/', "~1");
    changes.iter().all(|change| change.pointer.strip_prefix("/Labels/") == Some(label.as_str()))
}

/// Who asked for what changes, if somebody did beside the manifests.
fn asked_by(
    input: &EnvironmentInput<'_>,
    name: &ProcessName,
    live: &Service,
    spec: &ServiceSpec,
) -> Option<String> {
    let said = &input.desired.environment.meta.formation;
    if spec.task_template.force_update != live.spec.task_template.force_update {
        return said.last_restart(name).map(|restarted| format!("{} restarted it", restarted.by));
    }
    if instances::replicas(spec) == instances::replicas(&live.spec) {
        return None;
    }
    let was_stopped = live.spec.labels.contains_key(naming::LABEL_STOPPED);
    match instances::stop(input.desired, name) {
        Some(Stop::Suspended(stopped)) => Some(format!("{} suspended the organisation", stopped.by)),
        Some(Stop::Stopped(stopped)) => Some(format!("{} stopped it", stopped.by)),
        None if was_stopped => Some("nothing stops it any more".to_owned()),
        None => said.scale.get(name).map(|scaled| format!("{} scaled it", scaled.by)),
    }
}

/// Does a spec belong to a release after the target? Then that one failed, Swarm or Skep is returning to the target, and what differs
/// from it is nobody's doing.
fn is_of_later(applied: &ServiceSpec, target: &Target) -> bool {
    let version = |label: &String| label.strip_prefix('v').and_then(|number| number.parse::<u32>().ok());
    applied
        .labels
        .get(naming::LABEL_RELEASE)
        .and_then(version)
        .is_some_and(|applied| applied > target.version.get())
}

pub(super) fn nodes<'a>(input: &EnvironmentInput<'a>) -> &'a [Node] {
    input.observed.nodes.present().map_or(&[], Vec::as_slice)
}

pub(super) fn tasks<'a>(input: &EnvironmentInput<'a>, service: &Service) -> &'a [Task] {
    input.observed.tasks.get(&service.id).map_or(&[], Vec::as_slice)
}

/// How the service of a process is doing; `None` when it is not there, not ours or not known.
pub(super) fn health<'a>(
    input: &EnvironmentInput<'a>,
    name: &ProcessName,
    content: &ReleaseContent,
) -> Option<(&'a Service, ServiceHealth)> {
    let service_name = naming::service(&input.desired.org, input.desired.environment.meta.key.name(), name);
    let service =
        input.observed.services.get(&service_name)?.present().filter(|service| is_ours(input, service))?;
    let process = content.processes.get(name)?;
    let memory = process.resources.memory.to_string();
    // Where it cannot be told how the organisation is kept apart, nothing is in the wrong place for it.
    let constraints = input.desired.constraints(content).unwrap_or_default();
    let expected = Expectations {
        constraints: &constraints,
        nodes: nodes(input),
        memory: &memory,
        monitor: monitor(process),
    };
    Some((service, service_health(service, tasks(input, service), &input.observed.containers, expected)))
}
