//! From a commit to files: the directory of the selection is looked for in its tree, and everything below it is looked at. Nothing of
//! that becomes a path of a file system.

use std::collections::HashSet;

use gix_hash::ObjectId;
use gix_object::tree::EntryKind;
use gix_object::{CommitRefIter, Kind, TreeRefIter};

use crate::error::FetchError;
use crate::gather::{Files, Gathering, Passed, Place};
use crate::limits::{Bound, Budget, within};
use crate::pack::{Found, Objects};
use crate::selection::Selection;

/// The largest tree: it holds more entries than may be looked at.
const TREE_MAX: u64 = 4 << 20;
/// The largest commit: its message and signatures are not read, and still held.
const COMMIT_MAX: u64 = 1 << 20;

/// A commit: what it is a state of, and what it was made of.
pub(crate) struct CommitFacts {
    tree: ObjectId,
    pub(crate) parents: Vec<ObjectId>,
}

/// Reads a commit.
pub(crate) fn commit(objects: &Objects<'_>, id: &ObjectId) -> Result<CommitFacts, FetchError> {
    let bytes = bytes(objects, id, Kind::Commit, COMMIT_MAX, "the commit")?;
    let corrupt = || FetchError::Corrupt { why: format!("commit {id} is none") };
    let mut read = CommitRefIter::from_bytes(&bytes, gix_hash::Kind::Sha1);
    let tree = read.tree_id().map_err(|_| corrupt())?;
    let parents = CommitRefIter::from_bytes(&bytes, gix_hash::Kind::Sha1).parent_ids().collect();
    Ok(CommitFacts { tree, parents })
}

/// The selected files of a commit.
pub(crate) fn select(
    objects: &Objects<'_>,
    commit: &CommitFacts,
    selection: &Selection,
    budget: &Budget,
) -> Result<Files, FetchError> {
    let mut walk = Walk { objects, gathering: Gathering::new(selection, budget) };
    let top = walk.top(commit.tree)?;
    walk.tree(&top, &Place::top(selection))?;
    Ok(walk.gathering.finish())
}

struct Walk<'a> {
    objects: &'a Objects<'a>,
    gathering: Gathering<'a>,
}

/// An entry of a tree, on its own.
struct Listed {
    name: Vec<u8>,
    kind: EntryKind,
    id: ObjectId,
}

impl Walk<'_> {
    /// The tree of the selection's directory.
    fn top(&self, root: ObjectId) -> Result<ObjectId, FetchError> {
        let path = self.gathering.selection.path();
        let mut at = root;
        for (depth, name) in path.iter().enumerate() {
            let shown = || path.get(..=depth).unwrap_or_default().join("/");
            let entries = self.entries(&at, &shown())?;
            let found = entries.into_iter().find(|entry| entry.name == name.as_bytes());
            let found = found.ok_or_else(|| FetchError::NoPath { path: path.join("/") })?;
            at = match found.kind {
                EntryKind::Tree => found.id,
                EntryKind::Blob | EntryKind::BlobExecutable => {
                    return Err(FetchError::NoPath { path: path.join("/") });
                }
                EntryKind::Link => {
                    let why = "it is a symbolic link, which is not followed; write where it leads as `path`";
                    return Err(FetchError::Entry { path: shown(), why });
                }
                EntryKind::Commit => {
                    let why = "it is a submodule, which is not fetched; make a source of its repository";
                    return Err(FetchError::Entry { path: shown(), why });
                }
            };
        }
        Ok(at)
    }

    fn tree(&mut self, id: &ObjectId, at: &Place) -> Result<(), FetchError> {
        self.gathering.enter(at)?;
        let mut names = HashSet::new();
        for entry in self.entries(id, &at.path)? {
            let place = at.entry(&entry.name)?;
            if !names.insert(entry.name) {
                let why = "two entries of the tree have this name; such a tree is not read";
                return Err(FetchError::Entry { path: place.path, why });
            }
            match entry.kind {
                EntryKind::Tree => self.tree(&entry.id, &place)?,
                EntryKind::Blob | EntryKind::BlobExecutable if self.gathering.takes(&place)? => {
                    self.file(&entry.id, place)?;
                }
                EntryKind::Blob | EntryKind::BlobExecutable => {}
                EntryKind::Link => self.gathering.pass(place, Passed::Symlink)?,
                EntryKind::Commit => self.gathering.pass(place, Passed::Submodule)?,
            }
        }
        Ok(())
    }

    fn file(&mut self, id: &ObjectId, place: Place) -> Result<(), FetchError> {
        let limit = self.gathering.budget.limits().blob;
        match self.objects.find(id) {
            Found::There(object) if object.kind == Kind::Blob => {
                self.gathering.admits(&place, object.size)?;
                let bytes = self.objects.bytes(object)?;
                self.gathering.take(place, bytes)
            }
            // It is at least that much larger, since it was left out for that.
            Found::LeftOut => within(Bound::Blob, limit, limit.saturating_add(1), Some(&place.path)),
            Found::There(_) | Found::Missing => Err(FetchError::Corrupt {
                why: format!("the content of {} is not in what the server sent", place.path),
            }),
        }
    }

    /// The entries of a tree, counted.
    fn entries(&self, id: &ObjectId, path: &str) -> Result<Vec<Listed>, FetchError> {
        let bytes = bytes(self.objects, id, Kind::Tree, TREE_MAX, path)?;
        let mut entries = Vec::new();
        for entry in TreeRefIter::from_bytes(&bytes, gix_hash::Kind::Sha1) {
            self.gathering.budget.entry()?;
            let entry = entry
                .map_err(|_| FetchError::Corrupt { why: format!("the tree of `{path}` cannot be read") })?;
            entries.push(Listed {
                name: entry.filename.to_vec(),
                kind: entry.mode.kind(),
                id: entry.oid.to_owned(),
            });
        }
        Ok(entries)
    }
}

fn bytes(
    objects: &Objects<'_>,
    id: &ObjectId,
    kind: Kind,
    most: u64,
    of: &str,
) -> Result<Vec<u8>, FetchError> {
    match objects.find(id) {
        Found::There(object) if object.kind == kind => {
            if object.size > most {
                let why = format!("{of} ({kind}) has {} bytes", object.size);
                return Err(FetchError::Corrupt { why });
            }
            objects.bytes(object)
        }
        Found::There(_) | Found::LeftOut | Found::Missing => {
            Err(FetchError::Corrupt { why: format!("the {kind} of `{of}` is not in what the server sent") })
        }
    }
}
