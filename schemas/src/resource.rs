//! The one envelope that wraps every kind.
//!
//! A [`Manifest`] is what a user writes: kind, metadata and spec. A [`Resource`] is what the store holds: the same plus what
//! Skep maintains (uid, generation, revision, finalizers, deletion mark) and the status. Watch, diff, GitOps, permissions,
//! audit and the API are written once, over these two.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::formation::{FormationOverride, Stopped};
use crate::kind::{AnySpec, Kind, KindScope};
use crate::owner::Owner;
use crate::scalar::{OrgName, ResourceName};

/// The identity of one resource for its whole life. A resource that is deleted and made again has another uid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Uid(Uuid);

impl Uid {
    /// A fresh uid, ordered by creation time. The only randomness in this crate; call it at the edge, never in the planner.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// From a stored uuid.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The uuid, for storage.
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for Uid {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

macro_rules! counter {
    ($(#[$doc:meta])* $ty:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $ty(i64);

        impl $ty {
            /// From a stored number.
            pub const fn new(number: i64) -> Self {
                Self(number)
            }

            /// The number, for storage.
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $ty {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $ty {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

counter! {
    /// Counts the changes of a resource's spec. Starts at 1; a write that leaves the spec equal does not move it.
    Generation
}
counter! {
    /// The store-wide, dense, commit-ordered number of the transaction that last wrote a row. Compared for optimistic
    /// writes and used as the cursor of a watch.
    Revision
}

/// Where a resource lives: on the platform, or inside one organisation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Shared by all organisations; written by platform administrators.
    Platform,
    /// Belongs to one organisation.
    Org(OrgName),
}

impl Scope {
    /// The organisation, if there is one.
    pub const fn org(&self) -> Option<&OrgName> {
        match self {
            Self::Platform => None,
            Self::Org(org) => Some(org),
        }
    }
}

/// The unique address of a resource. Its scope always agrees with the kind's: the constructor sees to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceKey {
    scope: Scope,
    kind: Kind,
    name: ResourceName,
}

/// A kind was addressed in a scope that it does not live in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// An organisation was named for a platform kind.
    #[error("{kind} is a platform resource and takes no organisation")]
    OrgForPlatformKind {
        /// The kind that was addressed.
        kind: Kind,
    },
    /// No organisation was named for an organisation's kind.
    #[error("{kind} belongs to an organisation, and none is named")]
    OrgMissing {
        /// The kind that was addressed.
        kind: Kind,
    },
}

impl ResourceKey {
    /// The key of a resource, if the kind lives in that scope.
    pub fn new(scope: Scope, kind: Kind, name: ResourceName) -> Result<Self, ScopeError> {
        match (kind.scope(), &scope) {
            (KindScope::Platform, Scope::Platform) | (KindScope::Org, Scope::Org(_)) => {
                Ok(Self { scope, kind, name })
            }
            (KindScope::Platform, Scope::Org(_)) => Err(ScopeError::OrgForPlatformKind { kind }),
            (KindScope::Org, Scope::Platform) => Err(ScopeError::OrgMissing { kind }),
        }
    }

    /// The key of the Organization resource itself.
    pub fn organization(org: &OrgName) -> Self {
        Self { scope: Scope::Platform, kind: Kind::Organization, name: org.to_resource_name() }
    }

    /// Where it lives.
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The organisation it lives in; `None` for platform resources.
    pub const fn org(&self) -> Option<&OrgName> {
        self.scope.org()
    }

    /// Its kind.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Its name, unique for the kind within the scope.
    pub const fn name(&self) -> &ResourceName {
        &self.name
    }

    /// The key of a resource of another kind in the same organisation; `None` when this one is not in an organisation or
    /// the kind is not an organisation's.
    pub fn sibling(&self, kind: Kind, name: ResourceName) -> Option<Self> {
        self.org()?;
        Self::new(self.scope.clone(), kind, name).ok()
    }
}

impl fmt::Display for ResourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scope {
            Scope::Platform => write!(f, "{}/{}", self.kind, self.name),
            Scope::Org(org) => write!(f, "{org}/{}/{}", self.kind, self.name),
        }
    }
}

/// Labels: short key-value pairs that lists are filtered by.
pub type Labels = BTreeMap<String, String>;
/// Annotations: free text for people and tools; nothing is selected by them.
pub type Annotations = BTreeMap<String, String>;

/// A reason why a row may not be removed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Finalizer {
    /// Objects in the Swarm may still exist for it (invariant I12).
    Swarm,
}

/// What a user writes about a resource, apart from its spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ManifestMeta {
    /// The organisation that the resource belongs to. Required for organisation kinds, unless the command line or the URL
    /// names it; not allowed for platform kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<OrgName>,
    /// The name, unique for the kind within its organisation. It cannot be changed: a resource under another name is another
    /// resource.
    pub name: ResourceName,
    /// Short key-value pairs to select by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: Labels,
    /// Free text for people and tools.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: Annotations,
}

/// One document as a user writes it, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Its address.
    pub key: ResourceKey,
    /// Labels to select by.
    pub labels: Labels,
    /// Free text.
    pub annotations: Annotations,
    /// What is wanted.
    pub spec: AnySpec,
}

/// What Skep knows about a stored resource, apart from spec and status.
#[derive(Debug, Clone, PartialEq)]
pub struct Meta {
    /// Its address.
    pub key: ResourceKey,
    /// Its identity.
    pub uid: Uid,
    /// Labels to select by.
    pub labels: Labels,
    /// Free text.
    pub annotations: Annotations,
    /// Counts changes of the spec.
    pub generation: Generation,
    /// The transaction that last wrote it.
    pub revision: Revision,
    /// Why the row must stay.
    pub finalizers: BTreeSet<Finalizer>,
    /// When deletion was asked for; the row stays until the finalizers are gone.
    pub deletion_requested_at: Option<Timestamp>,
    /// Who owns it.
    pub managed_by: Owner,
    /// When it was first written.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
    /// Who wrote its spec, labels or value last, and when; none for what was written before that was noted.
    pub changed: Option<Changed>,
    /// Somebody asked that nothing be changed for a while.
    pub pause: Option<Pause>,
    /// When somebody last asked to try again what was given up.
    pub retried_at: Option<Timestamp>,
    /// Of an environment: somebody returned it to a former release.
    pub rollback: Option<Rollback>,
    /// Of an environment: what people said of how much of it runs.
    pub formation: FormationOverride,
    /// Of an organisation: the platform stopped all that it runs.
    pub suspension: Option<Stopped>,
}

/// Who wrote something, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Changed {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// A pause: Skep looks and reports, and changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pause {
    /// Why, in the words of whoever paused it.
    pub reason: String,
    /// Who paused it.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
    /// When it ends by itself; never, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Pause {
    /// Does it hold at that time?
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// A return to a former release: the environment runs what that one ran for as long as the manifests ask for what they asked for then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rollback {
    /// The number of the release whose content runs.
    pub to: u32,
    /// The number of the release whose content the manifests asked for.
    pub instead_of: u32,
    /// The generation of the environment then.
    pub generation: Generation,
    /// The generation of its app then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_generation: Option<Generation>,
    /// Who asked for it.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
}

impl Meta {
    /// Has deletion been asked for?
    pub const fn is_deleting(&self) -> bool {
        self.deletion_requested_at.is_some()
    }
}

/// A stored resource.
///
/// `S` is the spec: [`AnySpec`] where the kind is not known, the kind's own type where it is. A Secret's value is never part
/// of it: the store keeps values apart, sealed.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource<S = AnySpec> {
    /// Address, identity and bookkeeping.
    pub meta: Meta,
    /// What is wanted.
    pub spec: S,
    /// What is so, as the controller last reported it: the kind's status type as JSON. `Null` before the first report.
    pub status: serde_json::Value,
}

impl<S> Resource<S> {
    /// The same resource with another view of its spec.
    pub fn with_spec<T>(self, spec: T) -> Resource<T> {
        Resource { meta: self.meta, spec, status: self.status }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_only_made_in_the_scope_its_kind_lives_in() {
        let org = Scope::Org("acme".parse().unwrap());
        let name: ResourceName = "shop".parse().unwrap();
        assert!(ResourceKey::new(org.clone(), Kind::App, name.clone()).is_ok());
        assert!(ResourceKey::new(Scope::Platform, Kind::App, name.clone()).is_err());
        assert!(ResourceKey::new(org, Kind::Plan, name).is_err());
    }
}
