//! What a sync of a Git source does: which documents it applies, which resources it removes, and what it does not remove until somebody says so.
//!
//! ```text
//! documents of a commit ─┐
//! what the source owns ──┼─> judge ─> Sync { remove, keep, hold } or Misplaced
//! terms of the source ───┤
//! a word of somebody ────┘
//! ```
//!
//! Inputs: the keys and places of all documents of one commit, already read and without a mistake; what the source owns, by uid; what its
//! manifest allows. Nothing here knows Git, a store or a clock.
//!
//! Guarantees:
//!
//! - All or nothing: one document in the wrong place, and nothing is applied or removed.
//! - Removed is what the source owns and no document names, and nothing else. What somebody deleted and made again by hand has another uid and
//!   another owner, and is nobody's removal.
//! - A hold ([`SyncHold`]) stops removals and nothing else: what was added or changed is applied. It ends when the removals end, or by a word for
//!   just these removals ([`RemovalHash`]); others need another word.
//! - Two commits that ask for the same removals ask for them under the same hash, so a word is not lost because somebody pushed a comment.

mod hold;
mod misplaced;

use std::collections::BTreeSet;

use skep_schemas::{Kind, OrgName, ResourceKey, Uid};

pub use self::hold::{RemovalHash, SyncHold, SyncHoldReason};
pub use self::misplaced::{Misplaced, Misplacement};

/// Where a document is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentPlace {
    /// What it is the manifest of.
    pub key: ResourceKey,
    /// The file, from the root of the repository.
    pub path: String,
    /// The line that it begins in.
    pub line: u32,
}

/// A resource that the source owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedResource {
    /// Which.
    pub uid: Uid,
    /// Its key.
    pub key: ResourceKey,
    /// Is its deletion asked for already? Then it is no removal of this sync.
    pub is_deleting: bool,
}

/// What a source may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncTerms {
    /// The organisation that it writes to, and no other.
    pub org: OrgName,
    /// The kinds that it writes.
    pub kinds: BTreeSet<Kind>,
    /// What becomes of what is gone from the repository.
    pub prune: Prune,
}

/// What becomes of what is gone from the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prune {
    /// It stays, the source's, and is told.
    Never,
    /// It is removed, so much at a time without anybody's word.
    Within(PruneLimits),
}

/// How much may be removed at a time without anybody's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PruneLimits {
    /// Up to so many resources, whatever their share: small repositories change as a whole.
    pub floor: u32,
    /// Up to this share of what the source owns, in percent.
    pub percent: u8,
}

/// What is known of the commit beside its documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SyncGround {
    /// The commit that was synced last is no ancestor of this one.
    pub is_rewritten: bool,
}

/// What a sync does beside applying every document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sync {
    /// What is removed, in the order in which it can be: what refers to others before them.
    pub remove: Vec<OwnedResource>,
    /// What is gone from the repository and stays, because the source removes nothing.
    pub keep: Vec<OwnedResource>,
    /// Why removals wait. Nothing is removed then.
    pub hold: Option<SyncHold>,
}

/// Judges what a commit asks for. `confirmed` is the word that somebody gave for removals.
pub fn judge(
    terms: &SyncTerms,
    ground: SyncGround,
    documents: &[DocumentPlace],
    owned: &[OwnedResource],
    confirmed: Option<&RemovalHash>,
) -> Result<Sync, Vec<Misplaced>> {
    let misplaced = misplaced::find(terms, documents);
    if !misplaced.is_empty() {
        return Err(misplaced);
    }
    let wanted: BTreeSet<&ResourceKey> = documents.iter().map(|document| &document.key).collect();
    let standing = owned.iter().filter(|owned| !owned.is_deleting).count();
    let gone = owned.iter().filter(|owned| !owned.is_deleting && !wanted.contains(&owned.key));
    let mut gone: Vec<OwnedResource> = gone.cloned().collect();
    gone.sort_by(|one, other| removal_order(one).cmp(&removal_order(other)));
    let limits = match terms.prune {
        Prune::Never => return Ok(Sync { keep: gone, ..Sync::default() }),
        Prune::Within(limits) => limits,
    };
    match hold::on(limits, ground, documents.is_empty(), &gone, standing) {
        Some(hold) if confirmed != Some(&hold.hash) => Ok(Sync { hold: Some(hold), ..Sync::default() }),
        _ => Ok(Sync { remove: gone, ..Sync::default() }),
    }
}

/// Kinds are listed with what is referred to first, so the last go first. Within a kind the order is that of names: it is the same each time.
fn removal_order(owned: &OwnedResource) -> (std::cmp::Reverse<Kind>, &ResourceKey) {
    (std::cmp::Reverse(owned.key.kind()), &owned.key)
}

#[cfg(test)]
mod tests;
