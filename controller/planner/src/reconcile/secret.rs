//! Secret: one content-addressed object in the Swarm per value.
//!
//! The object of the current value is made as soon as the value is known. Objects of former values stay while a release that may
//! still run, or be returned to, refers to them, and are removed afterwards.

use std::collections::BTreeSet;

use jiff::Timestamp;
use skep_schemas::kind::{SecretDetail, SecretSpec, Status};
use skep_schemas::{Reason, Resource, Revision};

use super::conditions::Conditions;
use super::{Assessment, RECHECK_WAITING};
use crate::blocked::Blocked;
use crate::inventory::{InventoryEntry, ObjectKind, ObjectRef};
use crate::naming;
use crate::observed::Observed;
use crate::plan::Plan;
use crate::render;
use crate::settings::Settings;
use crate::step::{Cost, Op, Step};
use crate::swarm::Secret;

/// What the store knows about a secret.
#[derive(Debug, Clone, PartialEq)]
pub struct SecretDesired {
    /// The resource.
    pub secret: Resource<SecretSpec>,
    /// Its current value: version and the name of its object.
    pub current: Option<SecretFacts>,
    /// Names of objects that releases refer to which run or may be returned to.
    pub in_use: BTreeSet<String>,
    /// Environments whose spec names it.
    pub referrers: Vec<String>,
    /// What was made for it.
    pub inventory: Vec<InventoryEntry>,
}

/// One value of a secret, without the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFacts {
    /// Counts the values that it has had.
    pub version: u32,
    /// The name of its object in the Swarm.
    pub object: String,
    /// The transaction that last wrote the Secret.
    pub revision: Revision,
}

/// What to do for a secret. `observed` are the objects that carry its labels.
pub fn plan(settings: &Settings, desired: &SecretDesired, observed: &Observed<Vec<Secret>>) -> Plan {
    let meta = &desired.secret.meta;
    let mut plan = Plan::empty(meta.key.clone(), meta.uid, meta.generation);
    let objects: &[Secret] = match observed {
        Observed::Present(objects) => objects,
        Observed::Absent => &[],
        Observed::Unknown { why } => {
            plan.blocked
                .push(Blocked::Unobserved { what: "the Swarm's secrets".to_owned(), why: why.clone() });
            return plan;
        }
    };
    if meta.is_deleting() && !desired.referrers.is_empty() {
        plan.blocked.push(Blocked::WaitingForDependents { who: desired.referrers.join(", ") });
        return plan;
    }
    let current = desired.current.as_ref().filter(|_| !meta.is_deleting());
    if !meta.is_deleting() && current.is_none() {
        plan.blocked.push(Blocked::SecretMissing { name: meta.key.name().to_string() });
    }
    if let Some(facts) = current
        && !objects.iter().any(|object| object.spec.name == facts.object)
    {
        plan.steps.push(create(settings, desired, facts));
    }
    for object in objects {
        let name = &object.spec.name;
        let wanted = current.is_some_and(|facts| facts.object == *name);
        let ours = naming::is_owned_by(&object.spec.labels, &settings.instance, meta.uid);
        if ours && !wanted && !desired.in_use.contains(name) {
            plan.steps.push(Step {
                object: ObjectRef::new(ObjectKind::Secret, name),
                op: Op::RemoveSecret { id: object.id.clone() },
                why: "no release needs this value any more".to_owned(),
                changes: Vec::new(),
                cost: Cost::Delete,
            });
        }
    }
    plan.forget = desired
        .inventory
        .iter()
        .map(|entry| &entry.object)
        .filter(|object| !objects.iter().any(|found| found.spec.name == object.name))
        .filter(|object| current.is_none_or(|facts| facts.object != object.name))
        .cloned()
        .collect();
    plan.finalized = meta.is_deleting() && objects.is_empty();
    plan
}

fn create(settings: &Settings, desired: &SecretDesired, facts: &SecretFacts) -> Step {
    let meta = &desired.secret.meta;
    Step {
        object: ObjectRef::new(ObjectKind::Secret, &facts.object),
        op: Op::CreateSecret {
            spec: Box::new(render::secret_spec(&settings.instance, &meta.key, meta.uid, &facts.object)),
            secret: meta.uid,
            version: facts.version,
        },
        why: format!("version {} has no object yet", facts.version),
        changes: Vec::new(),
        cost: Cost::Create,
    }
}

/// What to say about a secret.
pub fn status(desired: &SecretDesired, plan: &Plan, now: Timestamp) -> Assessment<SecretDetail> {
    let meta = &desired.secret.meta;
    let mut conditions = Conditions::new(&desired.secret.status, meta.generation, now);
    let mut recheck = None;
    if conditions.blocked(plan) {
        recheck = Some(RECHECK_WAITING);
    } else if meta.is_deleting() {
        recheck = Some(RECHECK_WAITING);
        conditions.progressing(Reason::Deleting, "its objects are being removed");
    } else if plan.steps.iter().any(|step| step.op.creates()) {
        recheck = Some(RECHECK_WAITING);
        conditions.progressing(Reason::Applying, "its object is being made");
    } else {
        conditions.ready("available to environments");
    }
    let detail = SecretDetail {
        version: desired.current.as_ref().map(|facts| facts.version),
        object: desired.current.as_ref().map(|facts| facts.object.clone()),
    };
    let status = Status {
        observed_generation: meta.generation,
        observed_revision: meta.revision,
        conditions: conditions.into_vec(),
        detail,
    };
    Assessment { status, recheck }
}
