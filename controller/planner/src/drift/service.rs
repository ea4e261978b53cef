//! Drift of a service, and what is sent when part of it is left alone.

use super::{Drift, DriftClass, Response, Stance, overlap};
use crate::inventory::ObjectRef;
use crate::plan::Plan;
use crate::step::FieldChange;
use crate::swarm::{Service, ServiceSpec, UpdateState};
use crate::{diff, normalize};

/// The three versions of a service.
#[derive(Debug, Clone, Copy)]
pub struct ServiceSides<'a> {
    /// Which service.
    pub object: &'a ObjectRef,
    /// What is there.
    pub live: &'a Service,
    /// What Skep last sent, if that is known.
    pub applied: Option<&'a ServiceSpec>,
    /// What it would send now.
    pub desired: &'a ServiceSpec,
}

/// What is to be done about a service.
#[derive(Debug, Clone, PartialEq)]
pub enum ServiceVerdict {
    /// It is as it should be, or what differs is left alone.
    Leave,
    /// This is to be sent.
    Send {
        /// The spec, with the fields that are left alone as they are live.
        spec: Box<ServiceSpec>,
        /// What that changes.
        changes: Vec<FieldChange>,
        /// Nobody asked for any of it: it only puts drift right.
        only_drift: bool,
    },
}

/// Compares the three versions, notes the drift in the plan, and says what is to be sent.
pub fn service(stance: &Stance, sides: ServiceSides<'_>, plan: &mut Plan) -> ServiceVerdict {
    let live = normalize::service(&sides.live.spec);
    let changes = diff::changes(&live, &normalize::service(sides.desired));
    if changes.is_empty() {
        return ServiceVerdict::Leave;
    }
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
        return ServiceVerdict::Send { spec: Box::new(sides.desired.clone()), changes, only_drift };
    }
    let Some(spec) = keeping(&sides.live.spec, sides.desired, &left) else {
        return ServiceVerdict::Leave;
    };
    let changes = diff::changes(&live, &normalize::service(&spec));
    if changes.is_empty() {
        return ServiceVerdict::Leave;
    }
    let only_drift = left.len() + changes.len() <= drifted;
    ServiceVerdict::Send { spec: Box::new(spec), changes, only_drift }
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
