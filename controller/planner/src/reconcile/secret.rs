//! Secret: one content-addressed object in the Swarm per value.
//!
//! The object of the current value is made as soon as the value is known. Objects of former values stay while a release that may
//! still run, or be returned to, refers to them, and are removed afterwards. When an environment is returned to a release whose value has no object any
//! more, it is made once more.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use skep_schemas::kind::{SecretDetail, SecretSpec, Status};
use skep_schemas::{Changed, Reason, Resource, ResourceKey, Revision, Uid};

use super::conditions::Conditions;
use super::{Assessment, RECHECK_WAITING};
use crate::blocked::Blocked;
use crate::drift::{Drift, DriftClass, Response, Stance};
use crate::inventory::{self, InventoryEntry, ObjectKind, ObjectRef};
use crate::observed::Observed;
use crate::plan::{Learned, Plan};
use crate::settings::Settings;
use crate::step::{Cost, Op, Step};
use crate::swarm::{Secret, SecretSpec as ObjectSpec};
use crate::{diff, naming, render};

/// What the store knows about a secret.
#[derive(Debug, Clone, PartialEq)]
pub struct SecretDesired {
    /// The resource.
    pub secret: Resource<SecretSpec>,
    /// Its current value: version and the name of its object.
    pub current: Option<SecretFacts>,
    /// Former values that are still kept and are not the current one, each as the newest version that has it.
    pub former: Vec<SecretFacts>,
    /// Names of objects that releases refer to which run or may be returned to, each with the environments of these releases.
    pub in_use: BTreeMap<String, BTreeSet<ResourceKey>>,
    /// Environments whose spec names it.
    pub referrers: Vec<String>,
    /// What was made for it.
    pub inventory: Vec<InventoryEntry>,
    /// How Skep stands to drift of it.
    pub stance: Stance,
}

/// One value of a secret, without the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFacts {
    /// The Secret resource.
    pub secret: Uid,
    /// Counts the values that it has had.
    pub version: u32,
    /// The name of its object in the Swarm.
    pub object: String,
    /// The transaction that last wrote the Secret.
    pub revision: Revision,
    /// Who gave it this value and when, if that is known.
    pub made: Option<Changed>,
}

impl SecretDesired {
    /// The names that its objects may have: those of values that must have one, and of what was made.
    pub fn object_names(&self) -> BTreeSet<&str> {
        let recorded = self.inventory.iter().map(|entry| entry.object.name.as_str());
        let values = self.current.iter().chain(self.needed()).map(|facts| facts.object.as_str());
        recorded.chain(values).collect()
    }

    /// The former values that releases need.
    fn needed(&self) -> impl Iterator<Item = &SecretFacts> {
        self.former.iter().filter(|facts| self.in_use.contains_key(&facts.object))
    }

    /// The values that must have an object: the current one, and the former ones that releases need. None of a secret that is being deleted.
    fn wanted(&self) -> Vec<&SecretFacts> {
        if self.secret.meta.is_deleting() {
            return Vec::new();
        }
        self.current.iter().chain(self.needed()).collect()
    }
}

/// What to do for a secret. `observed` are the objects that carry its labels, and those of the names that its own have.
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
    let ours: Vec<&Secret> = objects.iter().filter(|object| is_ours(settings, desired, object)).collect();
    if desired.current.is_none() && !meta.is_deleting() {
        plan.blocked.push(Blocked::SecretMissing { name: meta.key.name().to_string() });
    }
    let wanted = desired.wanted();
    for facts in &wanted {
        keep(settings, desired, facts, objects, &mut plan);
    }
    let is_wanted = |name: &str| wanted.iter().any(|facts| facts.object == name);
    for object in &ours {
        let name = &object.spec.name;
        if !is_wanted(name) && !desired.in_use.contains_key(name) {
            let op = Op::RemoveSecret { id: object.id.clone() };
            let why = "no release needs this value any more";
            plan.steps.push(Step::new(ObjectRef::new(ObjectKind::Secret, name), op, why, Cost::Delete));
        }
    }
    plan.forget = desired
        .inventory
        .iter()
        .map(|entry| &entry.object)
        .filter(|object| !ours.iter().any(|found| found.spec.name == object.name))
        .filter(|object| !is_wanted(&object.name))
        .cloned()
        .collect();
    if meta.is_deleting() {
        plan.finalized = ours.is_empty();
        plan.blocked.extend(released(desired, &ours));
    }
    desired.stance.hold(&mut plan);
    plan
}

/// What a deletion waits for when no spec names the secret any more: releases that were made before, of environments that have not
/// been rolled out again since, and perhaps cannot be.
fn released(desired: &SecretDesired, ours: &[&Secret]) -> Option<Blocked> {
    let users = ours.iter().filter_map(|object| desired.in_use.get(&object.spec.name)).flatten();
    let users: BTreeSet<String> = users.map(ResourceKey::to_string).collect();
    let names = || Vec::from_iter(users.iter().map(String::as_str)).join(", ");
    let who = || format!("releases of {} that have its value", names());
    (!users.is_empty()).then(|| Blocked::WaitingForDependents { who: who() })
}

/// Does it carry our labels, or is it the very object that was made?
fn is_ours(settings: &Settings, desired: &SecretDesired, object: &Secret) -> bool {
    let name = ObjectRef::new(ObjectKind::Secret, &object.spec.name);
    naming::is_owned_by(&object.spec.labels, &settings.instance, desired.secret.meta.uid)
        || inventory::records(&desired.inventory, &name, object.id.as_str())
}

/// The object of a value is made, and kept as it was made.
fn keep(
    settings: &Settings,
    desired: &SecretDesired,
    facts: &SecretFacts,
    objects: &[Secret],
    plan: &mut Plan,
) {
    let meta = &desired.secret.meta;
    let object = ObjectRef::new(ObjectKind::Secret, &facts.object);
    let wanted = render::secret_spec(&settings.instance, &meta.key, meta.uid, &facts.object);
    let known = inventory::entry(&desired.inventory, &object).and_then(|entry| entry.id.as_deref());
    let Some(live) = objects.iter().find(|found| found.spec.name == facts.object) else {
        let (why, make) = match known {
            None => (format!("version {} has no object yet", facts.version), true),
            Some(_) => {
                let make = desired.stance.note(plan, &object, DriftClass::Missing, Some("present"), None);
                ("somebody removed it".to_owned(), make)
            }
        };
        if make {
            let op = Op::CreateSecret { spec: Box::new(wanted), secret: meta.uid, version: facts.version };
            plan.steps.push(Step::new(object, op, why, Cost::Create));
        }
        return;
    };
    if !is_ours(settings, desired, live) {
        plan.drift.push(Drift::foreign(&object, live.id.as_str()));
        plan.blocked.push(Blocked::ForeignObject { object: object.to_string() });
        return;
    }
    match known {
        // Its value cannot be read, so nobody can tell that it is the right one.
        Some(known) if known != live.id.as_str() => {
            let stance = &desired.stance;
            if stance.note(plan, &object, DriftClass::Replaced, Some(known), Some(live.id.as_str())) {
                let op = Op::RemoveSecret { id: live.id.clone() };
                let why = "somebody put it in place of ours, and its value cannot be checked";
                plan.steps.push(Step::new(object, op, why, Cost::Delete));
            }
        }
        Some(_) => relabel(desired, object, live, wanted, plan),
        None => plan.learned.push(Learned { object, id: live.id.to_string(), applied: None, address: None }),
    }
}

/// Only the labels of a secret can be changed, and all of them are ours.
fn relabel(desired: &SecretDesired, object: ObjectRef, live: &Secret, wanted: ObjectSpec, plan: &mut Plan) {
    let mut spec = wanted.clone();
    let changes = diff::secret(live, &wanted);
    let mut contested = Vec::new();
    for change in &changes {
        let response = desired.stance.response(&object, &change.pointer);
        plan.drift.push(Drift::of_field(&object, DriftClass::Modified, change, response));
        if response == Response::GiveUp {
            contested.push(change.pointer.clone());
        }
        if response != Response::Correct {
            spec = keeping(&live.spec, spec, &change.pointer);
        }
    }
    if !contested.is_empty() {
        plan.blocked.push(desired.stance.contested(&object, contested));
    }
    let changes = diff::secret(live, &spec);
    if !changes.is_empty() {
        let op = Op::UpdateSecret { id: live.id.clone(), version: live.version, spec: Box::new(spec) };
        let step = Step::new(object, op, "somebody else changed it", Cost::NoRestart);
        plan.steps.push(Step { changes, ..step });
    }
}

/// The wanted spec with one field as it is live.
fn keeping(live: &ObjectSpec, wanted: ObjectSpec, pointer: &str) -> ObjectSpec {
    let (Ok(live), Ok(mut kept)) = (serde_json::to_value(live), serde_json::to_value(&wanted)) else {
        // Both are of a type that always serialises.
        return wanted;
    };
    diff::set_at(&mut kept, pointer, diff::value_at(&live, pointer));
    serde_json::from_value(kept).unwrap_or(wanted)
}

/// What to say about a secret.
pub fn status(desired: &SecretDesired, plan: &Plan, now: Timestamp) -> Assessment<SecretDetail> {
    let meta = &desired.secret.meta;
    let mut conditions = Conditions::new(&desired.secret.status, meta.generation, now);
    let mut recheck = None;
    conditions.drifted(plan);
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
    let status = Status::new(meta.generation, meta.revision, conditions.into_vec(), detail);
    Assessment { status, recheck }
}
