//! Drift of a service, and what is sent when part of it is left alone.
//!
//! One piece of code for every service that Skep makes, of tenants and its own: it compares the three versions, notes what somebody
//! else changed, and gives back what is to be sent. A service that is as it should be is compared with what the inventory says of it,
//! which is told when it is wrong.

use super::{Drift, DriftClass, Response, Stance, overlap};
use crate::inventory::{InventoryEntry, ObjectRef};
use crate::plan::{Learned, Plan};
use crate::pull::PullAs;
use crate::release::ReleaseVersion;
use crate::step::{Cost, FieldChange, Op, Step};
use crate::swarm::{Service, ServiceSpec, UpdateState};
use crate::{diff, normalize};

/// The versions of a service.
#[derive(Debug, Clone, Copy)]
pub struct ServiceSides<'a> {
    /// Which service.
    pub object: &'a ObjectRef,
    /// What is there.
    pub live: &'a Service,
    /// What the inventory says of it.
    pub entry: Option<&'a InventoryEntry>,
    /// What Skep last asked for, if that is known and a measure of what somebody else changed.
    pub applied: Option<&'a ServiceSpec>,
    /// What it would ask for now.
    pub desired: &'a ServiceSpec,
}

/// What is to be sent to a service.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceChange {
    /// The spec, with the fields that are left alone as they are live.
    pub spec: Box<ServiceSpec>,
    /// What that changes.
    pub changes: Vec<FieldChange>,
    /// Nobody asked for any of it: it only puts drift right.
    pub only_drift: bool,
}

impl ServiceChange {
    /// The step that sends it.
    pub fn into_step(
        self,
        sides: ServiceSides<'_>,
        release: Option<ReleaseVersion>,
        pull: PullAs,
        why: String,
        cost: Cost,
    ) -> Step {
        let intended = (*self.spec != *sides.desired).then(|| Box::new(sides.desired.clone()));
        let op = Op::UpdateService {
            id: sides.live.id.clone(),
            version: sides.live.version,
            spec: self.spec,
            release,
            pull,
        };
        Step { changes: self.changes, intended, ..Step::new(sides.object.clone(), op, why, cost) }
    }
}

/// Another service carries the name and our labels: it is taken over as it is, and what differs in it is put right field by field.
pub fn replaced(object: &ObjectRef, live: &Service, entry: Option<&InventoryEntry>, plan: &mut Plan) {
    let known = entry.and_then(|entry| entry.id.as_deref());
    if let Some(known) = known.filter(|known| *known != live.id.as_str()) {
        plan.drift.push(Drift::replaced(object, known, live.id.as_str()));
    }
}

/// Compares the versions, notes the drift in the plan, and says what is to be sent; `None` when the service is as it should be or
/// what differs is left alone.
pub fn service(stance: &Stance, sides: ServiceSides<'_>, plan: &mut Plan) -> Option<ServiceChange> {
    if normalize::services_are_alike(&sides.live.spec, sides.desired) {
        learn(sides, true, plan);
        return None;
    }
    let live = normalize::service(&sides.live.spec);
    let changes = diff::changes(&live, &normalize::service(sides.desired));
    let as_wanted = changes.is_empty();
    let change = if as_wanted { None } else { compared(stance, sides, &live, changes, plan) };
    if change.is_none() {
        learn(sides, as_wanted, plan);
    }
    change
}

fn compared(
    stance: &Stance,
    sides: ServiceSides<'_>,
    live: &ServiceSpec,
    changes: Vec<FieldChange>,
    plan: &mut Plan,
) -> Option<ServiceChange> {
    let asked_for: Vec<FieldChange> = match sides.applied {
        Some(applied) => diff::changes(&normalize::service(applied), &normalize::service(sides.desired)),
        None => changes.clone(),
    };
    let class = if is_rolled_back(sides.live) { DriftClass::RolledBack } else { DriftClass::Modified };
    let mut left = Vec::new();
    let mut contested = Vec::new();
    let mut drifted = 0;
    for change in &changes {
        if asked_for.iter().any(|asked| overlap(&asked.pointer, &change.pointer)) {
            continue;
        }
        drifted += 1;
        let response = stance.response(sides.object, &change.pointer);
        plan.drift.push(Drift::of_field(sides.object, class, change, response));
        match response {
            // A pause holds the whole plan back; see `Stance::hold`.
            Response::Correct => {}
            Response::GiveUp => {
                contested.push(change.pointer.clone());
                left.push(change.pointer.as_str());
            }
            Response::Report | Response::Ignore | Response::Paused => left.push(change.pointer.as_str()),
        }
    }
    if !contested.is_empty() {
        plan.blocked.push(stance.contested(sides.object, contested));
    }
    if left.is_empty() {
        let only_drift = drifted == changes.len();
        return Some(ServiceChange { spec: Box::new(sides.desired.clone()), changes, only_drift });
    }
    let spec = keeping(&sides.live.spec, sides.desired, &left)?;
    let changes = diff::changes(live, &normalize::service(&spec));
    if changes.is_empty() {
        return None;
    }
    let only_drift = left.len() + changes.len() <= drifted;
    Some(ServiceChange { spec: Box::new(spec), changes, only_drift })
}

/// Tells the inventory what it does not know of a service to which nothing is sent.
fn learn(sides: ServiceSides<'_>, as_wanted: bool, plan: &mut Plan) {
    let known = sides.entry.and_then(|entry| entry.id.as_deref()) == Some(sides.live.id.as_str());
    // Usually equal to the letter, which is told without the work of normalising both.
    let is_applied = |applied: &ServiceSpec| {
        applied == sides.desired || normalize::service(applied) == normalize::service(sides.desired)
    };
    if known && (!as_wanted || sides.applied.is_some_and(is_applied)) {
        return;
    }
    let applied = as_wanted.then(|| Box::new(sides.desired.clone()));
    plan.learned.push(Learned {
        object: sides.object.clone(),
        id: sides.live.id.to_string(),
        applied,
        address: None,
    });
}

/// The desired spec with these fields as they are live. `None` if that is no spec any more, which cannot be: both sides are.
fn keeping(live: &ServiceSpec, desired: &ServiceSpec, left: &[&str]) -> Option<ServiceSpec> {
    let live = serde_json::to_value(live).ok()?;
    let mut kept = serde_json::to_value(desired).ok()?;
    for pointer in left {
        diff::set_at(&mut kept, pointer, diff::value_at(&live, pointer));
    }
    serde_json::from_value(kept).ok()
}

/// Has Swarm, or somebody with `docker service rollback`, returned it to an earlier spec?
fn is_rolled_back(live: &Service) -> bool {
    let state = live.update_status.as_ref().and_then(|status| status.state.as_ref());
    matches!(
        state,
        Some(UpdateState::RollbackStarted | UpdateState::RollbackPaused | UpdateState::RollbackCompleted)
    )
}
