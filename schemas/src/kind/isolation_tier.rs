//! IsolationTier: how organisations are kept apart from each other, beyond the network that each has for itself.
//!
//! A tier says two things. Its *level* says on which nodes tasks run: `standard` where no label reserves a node, `enhanced` on a pool of nodes that
//! takes nobody else, `dedicated` on nodes that are one organisation's alone. Its *profile* says what containers may be: which capabilities an
//! environment may ask for, whether it may run as root, whether it may write to its root file system.
//!
//! A Plan names a tier, so an organisation gets it with its plan. Both are the platform's; nothing that a tenant writes leads out of it.
//!
//! Nodes say by labels what they are for, and operators set them with `docker node update --label-add`: `skep.isolation` is the level, `skep.pool`
//! the pool, `skep.org` the organisation. The names of the labels are fixed, because Swarm can ask for one value of a label or for
//! any other, and for nothing else: with labels of the operator's choice it could not be said of a standard task where it must not run, but
//! by naming every pool there is, in every service, and anew with each pool. So every service carries constraints that never
//! change with the catalogue, no two levels fit the same node, and a node that is labelled later is left by whom it is not for: the
//! managers see to that themselves.

use std::collections::BTreeSet;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::environment::is_default;
use super::{Enforcement, Kind, KindSpec, Problems};
use crate::resource::ResourceKey;
use crate::scalar::ResourceName;

/// How organisations are kept apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IsolationTierSpec {
    /// What it is for, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// On which nodes its organisations' instances run.
    pub level: IsolationLevel,
    /// The pool: only nodes with the label `skep.pool` of this value. An enhanced tier needs one, a standard one has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<ResourceName>,
    /// May organisations of a dedicated tier be linked with others? A link that leads to them runs a program of Skep's on their nodes, which carries what
    /// others send. Those of other levels may, if their plans say so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub links: bool,
    /// What its organisations' containers may be.
    #[serde(default, skip_serializing_if = "is_default")]
    pub profile: SecurityProfile,
}

/// On which nodes instances run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IsolationLevel {
    /// On nodes that are everybody's: those without the label `skep.isolation`.
    #[default]
    Standard,
    /// On nodes of a pool, which take nobody of another tier: those with `skep.isolation=enhanced` and the pool's `skep.pool`.
    Enhanced,
    /// On nodes that are the organisation's alone: those with `skep.isolation=dedicated` and its name as `skep.org`.
    Dedicated,
}

impl IsolationLevel {
    /// The word for it, in manifests and as a node's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Enhanced => "enhanced",
            Self::Dedicated => "dedicated",
        }
    }
}

/// What containers may be, within the restricted profile that always holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecurityProfile {
    /// The capabilities that environments may ask for. None when absent.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub capabilities: BTreeSet<Capability>,
    /// Environments must say as which user they run (`security.user`), which is never root.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub require_non_root: bool,
    /// No environment may write to its root file system (`security.writableRoot`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub require_read_only_root: bool,
    /// What happens to what is not allowed. A capability that is not is never released, whatever this says.
    #[serde(default)]
    pub enforcement: Enforcement,
}

/// What a container's root may be let do. These are those of Docker's own default that images need in order to start as root, to give files to their
/// user and to become that user. Of that default these are left out, and no tier can allow them:
///
/// - `NET_RAW` makes packets by hand, with the addresses of others in them;
/// - `MKNOD` makes device files, which others find in a volume;
/// - `SETFCAP` and `SETPCAP` hand capabilities on, to files that outlive the container and to programs that were not given any;
/// - `AUDIT_WRITE` writes into the node's audit log, which is not the container's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Capability {
    /// Give files to another user.
    Chown,
    /// Read and write files whatever their mode.
    DacOverride,
    /// Change mode and times of others' files.
    Fowner,
    /// Keep the set-user-ID bit of a file that is written to.
    Fsetid,
    /// Signal others' processes in the container.
    Kill,
    /// Listen on ports below 1024.
    NetBindService,
    /// Become another group.
    Setgid,
    /// Become another user.
    Setuid,
    /// Change the root directory of a process.
    SysChroot,
}

impl Capability {
    /// As manifests write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chown => "CHOWN",
            Self::DacOverride => "DAC_OVERRIDE",
            Self::Fowner => "FOWNER",
            Self::Fsetid => "FSETID",
            Self::Kill => "KILL",
            Self::NetBindService => "NET_BIND_SERVICE",
            Self::Setgid => "SETGID",
            Self::Setuid => "SETUID",
            Self::SysChroot => "SYS_CHROOT",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is so about an isolation tier.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IsolationTierDetail {}

impl KindSpec for IsolationTierSpec {
    const KIND: Kind = Kind::IsolationTier;
    type Detail = IsolationTierDetail;

    fn check(&self, problems: &mut Problems) {
        match (self.level, &self.pool) {
            (IsolationLevel::Standard, Some(_)) => problems.push(
                "/pool",
                "a standard tier has no pool: its nodes are everybody's",
                "leave it out, or make the tier enhanced",
            ),
            (IsolationLevel::Enhanced, None) => problems.push(
                "/level",
                "an enhanced tier needs a pool of nodes",
                "name one as `pool`, and label its nodes `skep.isolation=enhanced` and `skep.pool` with that name",
            ),
            (IsolationLevel::Standard, None)
            | (IsolationLevel::Enhanced, Some(_))
            | (IsolationLevel::Dedicated, _) => {}
        }
    }

    fn references(&self, _: &ResourceKey) -> Vec<ResourceKey> {
        Vec::new()
    }
}
