//! The inventory: what Skep has made, or was about to make, in the Swarm.
//!
//! An entry is written before the effect (invariant I3) and removed only after the object was seen to be absent. It is what makes
//! clean-up certain after a crash between the two, and what keeps a finalizer on its resource.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use skep_schemas::Uid;

use crate::release::ReleaseVersion;
use crate::swarm::ServiceSpec;

/// What sort of object an inventory entry or a step is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectKind {
    /// A Swarm network.
    Network,
    /// A Swarm secret.
    Secret,
    /// A Swarm service.
    Service,
    /// A Swarm service that runs one task once: see [`crate::run`].
    Run,
    /// The connection of an edge task's container to a network.
    EdgeAttachment,
}

impl ObjectKind {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Secret => "secret",
            Self::Service => "service",
            Self::Run => "run",
            Self::EdgeAttachment => "edge-attachment",
        }
    }

    /// The kind of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Network, Self::Secret, Self::Service, Self::Run, Self::EdgeAttachment]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One object by its deterministic name. For an edge attachment the name is the container's id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectRef {
    /// What sort it is.
    pub kind: ObjectKind,
    /// Its name.
    pub name: String,
}

impl ObjectRef {
    /// An object by kind and name.
    pub fn new(kind: ObjectKind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// One object that Skep answers for.
#[derive(Debug, Clone, PartialEq)]
pub struct InventoryEntry {
    /// The resource that owns it.
    pub owner: Uid,
    /// Which object.
    pub object: ObjectRef,
    /// The engine's id, once the object was seen.
    pub id: Option<String>,
    /// For a service: the release that Skep last sent. What runs may differ after a rollback.
    pub sent_release: Option<ReleaseVersion>,
    /// For an edge attachment: the address that was given to it.
    pub address: Option<Ipv4Addr>,
    /// For a service: the spec that Skep last asked for, as far as it is known. What is live and differs from it was changed by
    /// somebody else.
    pub applied: Option<Box<ServiceSpec>>,
}

/// The entry of an object, if there is one.
pub fn entry<'a>(entries: &'a [InventoryEntry], object: &ObjectRef) -> Option<&'a InventoryEntry> {
    entries.iter().find(|entry| entry.object == *object)
}

/// Is this the very object that was made, whatever its labels say now? Ids are the engine's and are never given twice.
pub fn records(entries: &[InventoryEntry], object: &ObjectRef, id: &str) -> bool {
    entry(entries, object).is_some_and(|entry| entry.id.as_deref() == Some(id))
}

/// Was the object certainly there once?
pub fn was_there(entries: &[InventoryEntry], object: &ObjectRef) -> bool {
    entry(entries, object).is_some_and(|entry| entry.id.is_some())
}
