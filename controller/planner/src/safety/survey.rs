//! The survey: whose is this Swarm, and does the database know it?

use std::collections::{BTreeMap, BTreeSet};

use skep_schemas::Uid;

use super::claim::Claim;
use super::hold::{EVIDENCE_MAX, Finding, HoldReason};
use crate::inventory::{ObjectKind, ObjectRef};
use crate::naming::{InstanceId, LABEL_INSTANCE, LABEL_RELEASE, LABEL_UID};
use crate::release::ReleaseVersion;
use crate::swarm::Labels;

/// An object in the Swarm that carries an instance's label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundObject {
    /// Which.
    pub object: ObjectRef,
    /// The engine's id of it.
    pub id: String,
    /// Its labels.
    pub labels: Labels,
}

impl FoundObject {
    fn instance(&self) -> &str {
        self.labels.get(LABEL_INSTANCE).map_or("", String::as_str)
    }

    /// The owner that its labels name.
    pub fn owner(&self) -> Option<Uid> {
        self.labels.get(LABEL_UID)?.parse().ok()
    }

    /// The release that it was rendered from.
    pub fn release(&self) -> Option<ReleaseVersion> {
        let number = self.labels.get(LABEL_RELEASE)?.strip_prefix('v')?.parse().ok()?;
        Some(ReleaseVersion::new(number))
    }

    /// Was it made by this instance?
    pub fn is_of(&self, instance: &InstanceId) -> bool {
        self.instance() == instance.as_str()
    }
}

/// A hold that someone confirmed and that was not carried out yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// To what.
    pub reason: HoldReason,
    /// And about what exactly.
    pub subject: String,
}

/// Everything that a survey decides from.
#[derive(Debug, Clone, Copy)]
pub struct Survey<'a> {
    /// Who we are.
    pub instance: &'a InstanceId,
    /// Which history of the database we see.
    pub epoch: &'a str,
    /// What the Swarm's claim says.
    pub claim: Option<&'a Claim>,
    /// The objects that carry an instance's label, ours and others'.
    pub found: &'a [FoundObject],
    /// What the inventory has.
    pub inventory: &'a BTreeSet<ObjectRef>,
    /// The ids of orphans that the store knows of: what it has seen is no evidence that it is old.
    pub orphans: &'a BTreeSet<String>,
    /// The newest release of each environment.
    pub releases: &'a BTreeMap<Uid, ReleaseVersion>,
    /// What someone has confirmed.
    pub consents: &'a [Consent],
}

/// What a survey came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The Swarm is ours, and the claim says so.
    Ours,
    /// The Swarm may be claimed: there is no claim yet.
    Claim(Claim),
    /// The claim is to be rewritten: it is ours and of another epoch, or taking it over was confirmed.
    Renew(Claim),
    /// Nothing may be done.
    Hold(Finding),
}

/// Objects of ours that the inventory does not know.
pub fn unknown<'a>(input: &Survey<'a>) -> impl Iterator<Item = &'a FoundObject> + use<'a> {
    let Survey { instance, found, inventory, .. } = *input;
    found.iter().filter(move |found| found.is_of(instance) && !inventory.contains(&found.object))
}

/// Whose is this Swarm?
pub fn survey(input: &Survey<'_>) -> Verdict {
    let ours = Claim { instance: input.instance.clone(), epoch: input.epoch.to_owned() };
    match input.claim {
        Some(claim) if claim.instance != *input.instance => {
            let other = claim.instance.as_str();
            if consented(input, HoldReason::SecondInstance, other) {
                return Verdict::Renew(ours);
            }
            Verdict::Hold(second_instance(input, other, "claimed by"))
        }
        Some(claim) if claim.epoch == input.epoch => Verdict::Ours,
        Some(_) => match older_than_the_swarm(input) {
            Some(_) if consented(input, HoldReason::RestoredDatabase, input.epoch) => Verdict::Renew(ours),
            Some(finding) => Verdict::Hold(finding),
            None => Verdict::Renew(ours),
        },
        None => {
            let others = others(input);
            if others.is_empty() || consented(input, HoldReason::SecondInstance, &others) {
                return Verdict::Claim(ours);
            }
            Verdict::Hold(second_instance(input, &others, "full of objects of"))
        }
    }
}

fn consented(input: &Survey<'_>, reason: HoldReason, subject: &str) -> bool {
    input.consents.iter().any(|consent| consent.reason == reason && consent.subject == subject)
}

/// The other instances whose objects are there, by name.
fn others(input: &Survey<'_>) -> String {
    let others: BTreeSet<&str> =
        input.found.iter().filter(|found| !found.is_of(input.instance)).map(FoundObject::instance).collect();
    others.into_iter().collect::<Vec<_>>().join(", ")
}

fn second_instance(input: &Survey<'_>, other: &str, how: &str) -> Finding {
    let foreign: Vec<&FoundObject> =
        input.found.iter().filter(|found| !found.is_of(input.instance)).collect();
    let named = if other.is_empty() { "nobody that can be read" } else { other };
    let made_by = match foreign.first().map(|found| found.instance()) {
        Some(instance) if instance != other => format!(" of {instance}"),
        _ => String::new(),
    };
    Finding {
        reason: HoldReason::SecondInstance,
        subject: other.to_owned(),
        why: format!(
            "this Swarm is {how} Skep instance {named}, with {} objects{made_by}, and this database is that of instance {}: \
             perhaps it is the wrong one, or an empty one",
            foreign.len(),
            input.instance
        ),
        evidence: foreign.iter().take(EVIDENCE_MAX).map(|found| found.object.to_string()).collect(),
    }
}

/// What the Swarm has that a database which wrote down every intent before its effect would know.
fn older_than_the_swarm(input: &Survey<'_>) -> Option<Finding> {
    let unknown: Vec<&FoundObject> =
        unknown(input).filter(|found| !input.orphans.contains(&found.id)).collect();
    let newer: Vec<(&FoundObject, ReleaseVersion, ReleaseVersion)> = input
        .found
        .iter()
        .filter(|found| found.object.kind == ObjectKind::Service && found.is_of(input.instance))
        .filter_map(|found| {
            let known = *input.releases.get(&found.owner()?)?;
            let live = found.release()?;
            (live > known).then_some((found, live, known))
        })
        .collect();
    if unknown.is_empty() && newer.is_empty() {
        return None;
    }
    let releases = newer
        .iter()
        .map(|(found, live, known)| format!("{} runs {live}, the newest known is {known}", found.object));
    let objects = unknown.iter().map(|found| format!("{} is not known", found.object));
    Some(Finding {
        reason: HoldReason::RestoredDatabase,
        subject: input.epoch.to_owned(),
        why: format!(
            "the database has another history than when it was used last, and is older than the Swarm: it does not know {} \
             objects of its own, and {} services run a newer release than it has",
            unknown.len(),
            newer.len()
        ),
        evidence: releases.chain(objects).take(EVIDENCE_MAX).collect(),
    })
}

#[cfg(test)]
#[path = "survey_tests.rs"]
mod tests;
