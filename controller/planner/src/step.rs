//! Steps: what is done to one object, why, and what it costs.
//!
//! A step is data. It is made by the planner, shown by `skep diff`, recorded by the store before it runs, and carried out by the
//! executor, which makes no choices (invariant I2). It never holds a secret's value (invariant I13).

use std::fmt;
use std::net::Ipv4Addr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skep_schemas::Uid;

use crate::inventory::{ObjectKind, ObjectRef};
use crate::pull::PullAs;
use crate::release::ReleaseVersion;
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
    /// Change the labels of a secret object; nothing else of one can be changed.
    UpdateSecret {
        /// Which.
        id: SecretId,
        /// The version that the change was computed from.
        version: Version,
        /// What it shall be, without the value.
        spec: Box<SecretSpec>,
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
        /// As whom nodes pull its image.
        #[serde(default)]
        pull: PullAs,
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
        /// As whom nodes pull its image.
        #[serde(default)]
        pull: PullAs,
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
            Self::UpdateService { .. } | Self::UpdateSecret { .. } => "update",
            Self::RemoveNetwork { .. } | Self::RemoveSecret { .. } | Self::RemoveService { .. } => "remove",
            Self::ConnectEdge { .. } => "connect",
            Self::DisconnectEdge { .. } => "disconnect",
        }
    }

    /// The sort of object that it acts on.
    pub const fn object_kind(&self) -> ObjectKind {
        match self {
            Self::CreateNetwork { .. } | Self::RemoveNetwork { .. } => ObjectKind::Network,
            Self::CreateSecret { .. } | Self::UpdateSecret { .. } | Self::RemoveSecret { .. } => {
                ObjectKind::Secret
            }
            Self::CreateService { .. } | Self::UpdateService { .. } | Self::RemoveService { .. } => {
                ObjectKind::Service
            }
            Self::ConnectEdge { .. } | Self::DisconnectEdge { .. } => ObjectKind::EdgeAttachment,
        }
    }

    /// Does it take an object away?
    pub const fn removes(&self) -> bool {
        matches!(
            self,
            Self::RemoveNetwork { .. }
                | Self::RemoveSecret { .. }
                | Self::RemoveService { .. }
                | Self::DisconnectEdge { .. }
        )
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

    /// The release that it sends to a service.
    pub const fn sends_release(&self) -> Option<ReleaseVersion> {
        match self {
            Self::CreateService { release, .. } | Self::UpdateService { release, .. } => *release,
            Self::CreateNetwork { .. }
            | Self::RemoveNetwork { .. }
            | Self::CreateSecret { .. }
            | Self::UpdateSecret { .. }
            | Self::RemoveSecret { .. }
            | Self::RemoveService { .. }
            | Self::ConnectEdge { .. }
            | Self::DisconnectEdge { .. } => None,
        }
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

impl Step {
    /// A step that makes, changes or removes an object as a whole.
    pub fn new(object: ObjectRef, op: Op, why: impl Into<String>, cost: Cost) -> Self {
        Self { object, op, why: why.into(), changes: Vec::new(), cost, intended: None }
    }
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
    /// The spec that is wanted, where a drift policy leaves fields of the one that is sent as they are live. What is live is
    /// compared with this afterwards: a field that was left is still drift, and not what was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intended: Option<Box<ServiceSpec>>,
}
