//! Plans: everything to be done for one resource now, and what is not done, and why.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use skep_schemas::{Generation, ResourceKey, Uid};

use crate::blocked::Blocked;
use crate::deployment::Timeline;
use crate::drift::Drift;
use crate::inventory::ObjectRef;
use crate::release::{ReleaseContent, ReleaseVersion, Verdict};
use crate::run::{LastLines, NewRun, RunChange};
use crate::schedule::ScheduleChange;
use crate::step::Step;
use crate::swarm::ServiceSpec;

/// A new verdict on a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictChange {
    /// Which release.
    pub release: ReleaseVersion,
    /// How it went.
    pub verdict: Verdict,
}

/// What is to be noted of the release that is being rolled out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// Which release.
    pub release: ReleaseVersion,
    /// All that is known of it by now.
    pub timeline: Timeline,
}

/// Last lines to be kept with a verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptLines {
    /// The release that failed.
    pub release: ReleaseVersion,
    /// The lines.
    pub lines: LastLines,
}

/// A release that the plan makes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewRelease {
    /// Its number; recording it fails when that number was taken in the meantime.
    pub version: ReleaseVersion,
    /// What it runs.
    pub content: ReleaseContent,
    /// What is different from the one before, in words.
    pub why: String,
    /// The release to which it is a return.
    pub rollback_to: Option<ReleaseVersion>,
    /// Whose change makes it, if that is known.
    pub made_by: Option<String>,
}

/// What the inventory does not say rightly about an object that is as it should be: after a crash between a call and its record, after
/// an object was replaced by an equal one, and after an adoption.
#[derive(Debug, Clone, PartialEq)]
pub struct Learned {
    /// Which object.
    pub object: ObjectRef,
    /// The engine's id.
    pub id: String,
    /// Of a service: the spec that it was found to have.
    pub applied: Option<Box<ServiceSpec>>,
    /// Of a connection of the edge: the address that it was found to have.
    pub address: Option<Ipv4Addr>,
}

/// Everything to be done for one resource now.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The resource.
    pub key: ResourceKey,
    /// Its identity.
    pub uid: Uid,
    /// The generation of the spec that the plan is for.
    pub generation: Generation,
    /// The release that it makes first.
    pub release: Option<NewRelease>,
    /// Since when the rollback stands that the plan knows of. Recording a release, or the end of a rollback, fails when there is another by now.
    pub rollback: Option<Timestamp>,
    /// That rollback is over: the manifests ask for something else than they did.
    pub ends_rollback: bool,
    /// Verdicts that became known.
    pub verdicts: Vec<VerdictChange>,
    /// What the instance printed last by which a release failed, of which there is a verdict.
    pub last_lines: Option<KeptLines>,
    /// What is new of the release that is being rolled out. It is written with the verdict or the status, and is alone no reason to write anything.
    pub noted: Option<Noted>,
    /// The release phase that it begins.
    pub phase: Option<NewRun>,
    /// What became known about runs.
    pub runs: Vec<RunChange>,
    /// What it decides about schedules.
    pub schedules: Vec<ScheduleChange>,
    /// What to do, in order. A later step may rely on an earlier one.
    pub steps: Vec<Step>,
    /// What should be done and is not, and why.
    pub blocked: Vec<Blocked>,
    /// Differences that nobody asked for, whether or not the steps put them right.
    pub drift: Vec<Drift>,
    /// What the inventory is to be told about objects that are there.
    pub learned: Vec<Learned>,
    /// Inventory entries whose objects were seen to be absent and are not wanted.
    pub forget: Vec<ObjectRef>,
    /// The resource is to be deleted and nothing of it is left: its finalizer can go.
    pub finalized: bool,
}

impl Plan {
    /// A plan that does nothing.
    pub const fn empty(key: ResourceKey, uid: Uid, generation: Generation) -> Self {
        Self {
            key,
            uid,
            generation,
            release: None,
            rollback: None,
            ends_rollback: false,
            verdicts: Vec::new(),
            last_lines: None,
            noted: None,
            phase: None,
            runs: Vec::new(),
            schedules: Vec::new(),
            steps: Vec::new(),
            blocked: Vec::new(),
            drift: Vec::new(),
            learned: Vec::new(),
            forget: Vec::new(),
            finalized: false,
        }
    }

    /// Does it decide something that is written down before anything is done?
    pub const fn is_recorded(&self) -> bool {
        self.release.is_some()
            || self.ends_rollback
            || !self.verdicts.is_empty()
            || self.phase.is_some()
            || !self.runs.is_empty()
            || !self.schedules.is_empty()
            || !self.steps.is_empty()
    }

    /// Does it change nothing, neither in the Swarm nor in the store? Drift that is left alone changes nothing; that it is reported
    /// is no part of the plan.
    pub const fn is_quiet(&self) -> bool {
        !self.is_recorded() && self.learned.is_empty() && self.forget.is_empty() && !self.finalized
    }
}
