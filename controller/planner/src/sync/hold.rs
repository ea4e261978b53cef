//! The brakes: what is not removed until somebody says that it is meant.
//!
//! A repository that was emptied, a `path` that leads to another directory, a branch that was written anew: each looks like a wish to remove
//! everything. Nobody can tell a wish from a mistake by looking at it, so whoever meant it is asked.

use std::fmt;

use sha2::{Digest, Sha256};
use skep_schemas::{Kind, ResourceKey};

use super::{OwnedResource, PruneLimits};

/// The most resources that a hold names.
const NAMED_MAX: usize = 20;
/// So much of a digest tells removals apart; people type it.
const HASH_LENGTH: usize = 12;

/// What is to be removed, in a few letters: the same for the same resources, and for no others.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RemovalHash(String);

impl RemovalHash {
    /// Of these resources, in whatever order. By uid: what is made again under the same name is another resource.
    pub fn of(removals: &[OwnedResource]) -> Self {
        let mut uids: Vec<_> = removals.iter().map(|owned| owned.uid.to_string()).collect();
        uids.sort_unstable();
        let digest = Sha256::digest(uids.join("\n").as_bytes());
        Self(hex::encode(digest).chars().take(HASH_LENGTH).collect())
    }

    /// As somebody wrote it; whether it is that of any removals shows when they are compared.
    pub fn given(text: &str) -> Self {
        Self(text.trim().to_ascii_lowercase())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RemovalHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why removals wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncHoldReason {
    /// The commit has no document at all.
    NothingLeft,
    /// The branch was written anew: what was synced is no part of its history.
    Rewritten,
    /// More would go than the source may remove.
    TooMany,
    /// What would go cannot be made again from the repository.
    Irretrievable,
}

impl SyncHoldReason {
    /// One word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NothingLeft => "NothingLeft",
            Self::Rewritten => "Rewritten",
            Self::TooMany => "TooManyRemovals",
            Self::Irretrievable => "Irretrievable",
        }
    }
}

/// Removals that wait for a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncHold {
    /// Why.
    pub reason: SyncHoldReason,
    /// The same in a sentence.
    pub why: String,
    /// What is given as the word for them.
    pub hash: RemovalHash,
    /// Some of what would go.
    pub named: Vec<ResourceKey>,
    /// How many would.
    pub count: usize,
}

/// Does anything speak against these removals? `standing` is how many resources the source owns.
pub(super) fn on(
    limits: PruneLimits,
    ground: super::SyncGround,
    has_no_document: bool,
    gone: &[OwnedResource],
    standing: usize,
) -> Option<SyncHold> {
    if gone.is_empty() {
        return None;
    }
    let count = gone.len();
    let irretrievable = gone.iter().find(|owned| is_irretrievable(owned.key.kind()));
    let (reason, why) = if has_no_document {
        (
            SyncHoldReason::NothingLeft,
            format!("the commit has no document left, and all {count} resources would go"),
        )
    } else if ground.is_rewritten {
        (
            SyncHoldReason::Rewritten,
            format!(
                "the commit that was synced last is no part of the history any more, and {count} resources would go"
            ),
        )
    } else if let Some(owned) = irretrievable {
        (SyncHoldReason::Irretrievable, format!("{} would go, and its value is kept nowhere else", owned.key))
    } else if exceeds(limits, count, standing) {
        (
            SyncHoldReason::TooMany,
            format!(
                "{count} of {standing} resources would go; more than {} and more than {} % at a time are removed only when somebody confirms it",
                limits.floor, limits.percent
            ),
        )
    } else {
        return None;
    };
    let named = gone.iter().take(NAMED_MAX).map(|owned| owned.key.clone()).collect();
    Some(SyncHold { reason, why, hash: RemovalHash::of(gone), named, count })
}

/// Both have to be exceeded, as with what a server removes from a Swarm ([`crate::safety::brake`]).
fn exceeds(limits: PruneLimits, count: usize, standing: usize) -> bool {
    let share = |of: usize| u128::try_from(of).unwrap_or(u128::MAX);
    let too_many = u32::try_from(count).map_or(true, |count| count > limits.floor);
    too_many && share(count).saturating_mul(100) > share(standing).saturating_mul(u128::from(limits.percent))
}

/// A Secret's value may have been made here, or set by hand, and nobody can read it back.
const fn is_irretrievable(kind: Kind) -> bool {
    match kind {
        Kind::Secret | Kind::Organization => true,
        Kind::Platform
        | Kind::Plan
        | Kind::IsolationTier
        | Kind::Buildpack
        | Kind::Stack
        | Kind::Template
        | Kind::RegistryCredential
        | Kind::App
        | Kind::Environment
        | Kind::Domain
        | Kind::DriftPolicy
        | Kind::ImagePolicy
        | Kind::NetworkPolicy
        | Kind::Notification => false,
    }
}
