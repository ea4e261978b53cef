//! Plans: what will be done, why, and what it costs.
//!
//! A [`Plan`] is data. It is made by the planner, shown by `skep diff`, recorded by the store before it runs, and carried out by
//! the executor, which makes no choices (invariant I2). It never holds a secret's value (invariant I13).

use std::fmt;
use std::net::Ipv4Addr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skep_schemas::{Generation, Reason, ResourceKey, Uid};

use crate::inventory::{ObjectKind, ObjectRef};
use crate::release::{ReleaseContent, ReleaseVersion, Verdict};
use crate::swarm::{
    ContainerId, NetworkCreate, NetworkId, SecretId, SecretSpec, ServiceId, ServiceSpec, Version,
};

/// What to do to one object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "op")]
pub enum Op {
    /// Make a network.
    CreateNetwork {
        /// What it shall be.
        spec: Box<NetworkCreate>,
    },
    /// Remove a network.
    RemoveNetwork {
        /// Which.
        id: NetworkId,
    },
    /// Make a secret object from a stored value.
    CreateSecret {
        /// What it shall be, without the value.
        spec: Box<SecretSpec>,
        /// The Secret resource that holds the value.
        secret: Uid,
        /// Which of its values.
        version: u32,
    },
    /// Remove a secret object.
    RemoveSecret {
        /// Which.
        id: SecretId,
    },
    /// Make a service.
    CreateService {
        /// What it shall be.
        spec: Box<ServiceSpec>,
        /// The release that its template was rendered from; none for Skep's own services.
        release: Option<ReleaseVersion>,
    },
    /// Change a service.
    UpdateService {
        /// Which.
        id: ServiceId,
        /// The version that the change was computed from.
        version: Version,
        /// What it shall be, whole.
        spec: Box<ServiceSpec>,
        /// The release that its template was rendered from; none for Skep's own services.
        release: Option<ReleaseVersion>,
    },
    /// Remove a service.
    RemoveService {
        /// Which.
        id: ServiceId,
    },
    /// Connect an edge task's container to a network.
    ConnectEdge {
        /// The network.
        network: NetworkId,
        /// The container.
        container: ContainerId,
        /// The address that it is given there.
        address: Ipv4Addr,
    },
    /// Undo that.
    DisconnectEdge {
        /// The network.
        network: NetworkId,
        /// The container.
        container: ContainerId,
    },
}

impl Op {
    /// The verb, for people and for metrics.
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::CreateNetwork { .. } | Self::CreateSecret { .. } | Self::CreateService { .. } => "create",
            Self::UpdateService { .. } => "update",
            Self::RemoveNetwork { .. } | Self::RemoveSecret { .. } | Self::RemoveService { .. } => "remove",
            Self::ConnectEdge { .. } => "connect",
            Self::DisconnectEdge { .. } => "disconnect",
        }
    }

    /// The sort of object that it acts on.
    pub const fn object_kind(&self) -> ObjectKind {
        match self {
            Self::CreateNetwork { .. } | Self::RemoveNetwork { .. } => ObjectKind::Network,
            Self::CreateSecret { .. } | Self::RemoveSecret { .. } => ObjectKind::Secret,
            Self::CreateService { .. } | Self::UpdateService { .. } | Self::RemoveService { .. } => {
                ObjectKind::Service
            }
            Self::ConnectEdge { .. } | Self::DisconnectEdge { .. } => ObjectKind::EdgeAttachment,
        }
    }

    /// Does it bring an object about, so that its intent must be in the inventory first?
    pub const fn creates(&self) -> bool {
        matches!(
            self,
            Self::CreateNetwork { .. }
                | Self::CreateSecret { .. }
                | Self::CreateService { .. }
                | Self::ConnectEdge { .. }
        )
    }
}

/// What a step costs those who use what it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "cost")]
pub enum Cost {
    /// Something new; nothing that runs is touched.
    Create,
    /// Nothing is restarted.
    NoRestart,
    /// Tasks are started or stopped, but none that stays is restarted.
    Scale {
        /// Tasks before.
        from: u64,
        /// Tasks after.
        to: u64,
    },
    /// Every task is replaced, a few at a time.
    RollingRestart {
        /// How many tasks.
        tasks: u64,
    },
    /// Something is removed.
    Delete,
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create => f.write_str("create"),
            Self::NoRestart => f.write_str("no restart"),
            Self::Scale { from, to } => write!(f, "scale {from} -> {to}, no restart"),
            Self::RollingRestart { tasks: 1 } => f.write_str("rolling restart of 1 task"),
            Self::RollingRestart { tasks } => write!(f, "rolling restart of {tasks} tasks"),
            Self::Delete => f.write_str("delete"),
        }
    }
}

/// One field that a step changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FieldChange {
    /// Where in the object: a JSON pointer into the engine's form of it.
    pub pointer: String,
    /// What is there now; none when the field is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<serde_json::Value>,
    /// What will be there; none when the field goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<serde_json::Value>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// On which object.
    pub object: ObjectRef,
    /// What.
    pub op: Op,
    /// Why, in a few words.
    pub why: String,
    /// What changes, field by field; empty when an object is made or removed as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<FieldChange>,
    /// What it costs.
    pub cost: Cost,
}

/// Why something that should be done is not being done. Every "why is nothing happening" has a variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "blocked")]
pub enum Blocked {
    /// A resource that this one refers to does not exist.
    ReferenceMissing {
        /// The resource, in its written form.
        resource: String,
    },
    /// A resource that this one needs is not ready yet.
    DependencyNotReady {
        /// The resource, in its written form.
        resource: String,
        /// What it waits for.
        why: String,
    },
    /// A secret has no value, or does not exist.
    SecretMissing {
        /// The secret.
        name: String,
    },
    /// The image could not be resolved.
    ImageUnresolved {
        /// The reference.
        image: String,
        /// Why not.
        why: String,
    },
    /// More than the plan allows.
    QuotaExceeded {
        /// What is too much, in words.
        what: String,
    },
    /// It can never be scheduled on this cluster.
    WouldNeverSchedule {
        /// Why not, in words.
        why: String,
    },
    /// The wanted release failed; it stays so until the spec changes.
    ReleaseFailed {
        /// Which release.
        release: ReleaseVersion,
        /// Does the previous one run again?
        rolled_back: bool,
        /// Why it failed, in words.
        why: String,
    },
    /// An object of the name exists and does not belong to this resource.
    ForeignObject {
        /// The object.
        object: String,
    },
    /// No subnet is free.
    NetworkPoolExhausted,
    /// No address for an edge task is free in the organisation's subnet.
    EdgeAddressesExhausted {
        /// The subnet.
        subnet: String,
    },
    /// Something could not be read, so nothing that depends on it is done.
    Unobserved {
        /// What.
        what: String,
        /// Why not.
        why: String,
    },
    /// Deletion waits for others to be gone.
    WaitingForDependents {
        /// Who, in words.
        who: String,
    },
    /// The engine still uses an object that is to be removed.
    StillInUse {
        /// The object.
        object: String,
        /// By what, in words.
        by: String,
    },
    /// Two processes cannot both be routed to, or a domain asks for a port that is not there.
    RouteInvalid {
        /// The domain.
        domain: String,
        /// Why not.
        why: String,
    },
    /// A roll-out is under way, and a change that restarts nothing waits for its end: writing to the service now would make Swarm
    /// forget what it would roll back to.
    UpdateInProgress {
        /// The service.
        object: String,
    },
    /// A step failed.
    StepFailed {
        /// The object that it was about.
        object: String,
        /// Why, in words.
        why: String,
        /// Will it be tried again by itself?
        retried: bool,
    },
    /// The engine accepted a change and does not keep it; asking again would restart tasks for nothing.
    NotKept {
        /// The object.
        object: String,
        /// The fields, as JSON pointers.
        pointers: Vec<String>,
    },
    /// The rendered spec is larger than the engine can store and still update.
    SpecTooLarge {
        /// The object.
        object: String,
        /// Its size in bytes.
        bytes: u64,
    },
}

impl Blocked {
    /// The word for it in conditions.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::ReferenceMissing { .. } | Self::RouteInvalid { .. } => Reason::ReferenceMissing,
            Self::DependencyNotReady { .. } => Reason::DependencyNotReady,
            Self::SecretMissing { .. } => Reason::SecretMissing,
            Self::ImageUnresolved { .. } => Reason::ImageUnresolved,
            Self::QuotaExceeded { .. } => Reason::QuotaExceeded,
            Self::WouldNeverSchedule { .. } | Self::SpecTooLarge { .. } => Reason::WouldNeverSchedule,
            Self::ReleaseFailed { rolled_back: true, .. } => Reason::RolledBack,
            Self::ReleaseFailed { rolled_back: false, .. } => Reason::RolloutFailed,
            Self::ForeignObject { .. } => Reason::ForeignObject,
            Self::NetworkPoolExhausted | Self::EdgeAddressesExhausted { .. } => Reason::NetworkPoolExhausted,
            Self::UpdateInProgress { .. } => Reason::UpdateInProgress,
            Self::StepFailed { .. } => Reason::StepFailed,
            Self::NotKept { .. } => Reason::NotKept,
            Self::Unobserved { .. } => Reason::EngineUnavailable,
            Self::WaitingForDependents { .. } | Self::StillInUse { .. } => Reason::WaitingForDependents,
        }
    }

    /// Will it pass without anyone changing the spec? Such a block is progress that waits, the others are a stall.
    pub const fn passes_by_itself(&self) -> bool {
        match self {
            Self::DependencyNotReady { .. }
            | Self::Unobserved { .. }
            | Self::WaitingForDependents { .. }
            | Self::StillInUse { .. }
            | Self::UpdateInProgress { .. }
            | Self::StepFailed { retried: true, .. } => true,
            Self::ReferenceMissing { .. }
            | Self::SecretMissing { .. }
            | Self::ImageUnresolved { .. }
            | Self::QuotaExceeded { .. }
            | Self::WouldNeverSchedule { .. }
            | Self::ReleaseFailed { .. }
            | Self::ForeignObject { .. }
            | Self::NetworkPoolExhausted
            | Self::EdgeAddressesExhausted { .. }
            | Self::RouteInvalid { .. }
            | Self::StepFailed { retried: false, .. }
            | Self::NotKept { .. }
            | Self::SpecTooLarge { .. } => false,
        }
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReferenceMissing { resource } => write!(f, "{resource} does not exist"),
            Self::DependencyNotReady { resource, why } => write!(f, "waiting for {resource}: {why}"),
            Self::SecretMissing { name } => write!(f, "secret {name} does not exist or has no value"),
            Self::ImageUnresolved { image, why } => write!(f, "image {image} cannot be resolved: {why}"),
            Self::QuotaExceeded { what } => f.write_str(what),
            Self::WouldNeverSchedule { why } => f.write_str(why),
            Self::ReleaseFailed { release, rolled_back: true, why } => {
                write!(f, "release {release} failed and was rolled back: {why}; change the spec to try again")
            }
            Self::ReleaseFailed { release, rolled_back: false, why } => {
                write!(f, "release {release} failed: {why}; change the spec to try again")
            }
            Self::ForeignObject { object } => {
                write!(f, "{object} exists and was not made for this resource; remove or rename it")
            }
            Self::NetworkPoolExhausted => {
                f.write_str("no free subnet is left in the network pool; enlarge the pool")
            }
            Self::EdgeAddressesExhausted { subnet } => write!(f, "no free edge address is left in {subnet}"),
            Self::Unobserved { what, why } => write!(f, "{what} could not be read: {why}"),
            Self::WaitingForDependents { who } => write!(f, "waiting until {who} are gone"),
            Self::StillInUse { object, by } => write!(f, "{object} is still used by {by}"),
            Self::RouteInvalid { domain, why } => write!(f, "domain {domain} cannot be routed: {why}"),
            Self::UpdateInProgress { object } => {
                write!(f, "a change of {object} that restarts nothing waits until its roll-out is over")
            }
            Self::StepFailed { why, retried: true, .. } => write!(f, "{why}; it will be tried again"),
            Self::StepFailed { why, retried: false, .. } => f.write_str(why),
            Self::NotKept { object, pointers } => {
                write!(
                    f,
                    "the engine does not keep {} of {object}; it is not asked again",
                    pointers.join(", ")
                )
            }
            Self::SpecTooLarge { object, bytes } => {
                write!(
                    f,
                    "{object} would need {bytes} bytes; the engine can update at most 600000: move data into secrets or volumes"
                )
            }
        }
    }
}

/// A new verdict on a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictChange {
    /// Which release.
    pub release: ReleaseVersion,
    /// How it went.
    pub verdict: Verdict,
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
    /// Verdicts that became known.
    pub verdicts: Vec<VerdictChange>,
    /// What to do, in order. A later step may rely on an earlier one.
    pub steps: Vec<Step>,
    /// What should be done and is not, and why.
    pub blocked: Vec<Blocked>,
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
            verdicts: Vec::new(),
            steps: Vec::new(),
            blocked: Vec::new(),
            forget: Vec::new(),
            finalized: false,
        }
    }

    /// Does it change nothing, neither in the Swarm nor in the store?
    pub const fn is_quiet(&self) -> bool {
        self.release.is_none()
            && self.verdicts.is_empty()
            && self.steps.is_empty()
            && self.forget.is_empty()
            && !self.finalized
    }
}
