//! What is taken of a tree, for all remotes alike: names are looked at, globs asked, and bytes and entries counted.

use crate::error::FetchError;
use crate::limits::{Bound, Budget, within};
use crate::selection::Selection;

/// The most entries that were passed over which are named.
const NOTES_MAX: usize = 20;

/// The files that were taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Files {
    /// In the order of their paths.
    pub files: Vec<File>,
    /// What was passed over though somebody may expect it to be read, the first of it.
    pub notes: Vec<Note>,
    /// How much was passed over.
    pub passed: usize,
}

/// One file.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    /// Its path from the root of the repository or directory.
    pub path: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for File {
    // What is in a file may be anything, a value of a Secret too.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "File({:?}, {} bytes)", self.path, self.bytes.len())
    }
}

/// Something that was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its path.
    pub path: String,
    /// What it is.
    pub what: Passed,
}

/// What is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passed {
    /// A symbolic link whose own name fits no glob. What it leads to is not read through it.
    Symlink,
    /// Another repository in this one.
    Submodule,
}

/// Collects files.
pub(crate) struct Gathering<'a> {
    pub(crate) selection: &'a Selection,
    pub(crate) budget: &'a Budget,
    files: Vec<File>,
    notes: Vec<Note>,
    passed: usize,
}

/// Where an entry is.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// From the root.
    pub(crate) path: String,
    /// From the directory of the selection.
    pub(crate) below: String,
    /// Can its path be written as text?
    legible: bool,
    /// How many directories it is in, below the selection's.
    depth: u64,
}

impl Place {
    /// The selection's directory itself.
    pub(crate) fn top(selection: &Selection) -> Self {
        Self { path: selection.path().join("/"), below: String::new(), legible: true, depth: 0 }
    }

    /// An entry of a directory.
    pub(crate) fn entry(&self, name: &[u8]) -> Result<Self, FetchError> {
        let text = String::from_utf8_lossy(name);
        let legible =
            self.legible && !text.chars().any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER);
        let shown: String = text.chars().map(|c| if c.is_control() { '�' } else { c }).collect();
        let join = |to: &str| if to.is_empty() { shown.clone() } else { format!("{to}/{shown}") };
        let place = Self { path: join(&self.path), below: join(&self.below), legible, depth: self.depth + 1 };
        match hostile(name) {
            Some(why) => Err(FetchError::Entry { path: place.path, why }),
            None => Ok(place),
        }
    }
}

/// Why a name is one that Git itself does not write: it would lead elsewhere if it became a path.
fn hostile(name: &[u8]) -> Option<&'static str> {
    if name.is_empty() {
        return Some("an entry of the tree has no name; such a tree is not read");
    }
    if name == b"." || name == b".." {
        return Some("an entry of the tree is named `.` or `..`; such a tree is not read");
    }
    if name.eq_ignore_ascii_case(b".git") {
        return Some("an entry of the tree is named `.git`; such a tree is not read");
    }
    let leads = name.iter().any(|byte| matches!(byte, b'/' | b'\\' | 0));
    leads.then_some("an entry of the tree has a separator of paths in its name; such a tree is not read")
}

impl<'a> Gathering<'a> {
    pub(crate) fn new(selection: &'a Selection, budget: &'a Budget) -> Self {
        Self { selection, budget, files: Vec::new(), notes: Vec::new(), passed: 0 }
    }

    /// May a directory be entered?
    pub(crate) fn enter(&self, place: &Place) -> Result<(), FetchError> {
        within(Bound::Depth, self.budget.limits().depth, place.depth, Some(&place.path))
    }

    /// Is this file taken? Only its bytes are missing then.
    pub(crate) fn takes(&self, place: &Place) -> Result<bool, FetchError> {
        if !self.selection.takes(&place.below) {
            return Ok(false);
        }
        if !place.legible {
            let why = "its name is no text in UTF-8 without control characters; rename it, or leave it out with `exclude`";
            return Err(FetchError::Entry { path: place.path.clone(), why });
        }
        Ok(true)
    }

    /// May a file of this size be read?
    pub(crate) fn admits(&self, place: &Place, size: u64) -> Result<(), FetchError> {
        within(Bound::Blob, self.budget.limits().blob, size, Some(&place.path))
    }

    /// Takes a file.
    pub(crate) fn take(&mut self, place: Place, bytes: Vec<u8>) -> Result<(), FetchError> {
        self.budget.manifest(bytes.len())?;
        self.files.push(File { path: place.path, bytes });
        Ok(())
    }

    /// Passes over what is not read; an error if the globs ask for it.
    pub(crate) fn pass(&mut self, place: Place, what: Passed) -> Result<(), FetchError> {
        if self.selection.takes(&place.below) {
            let why = match what {
                Passed::Symlink => {
                    "it is a symbolic link, which is not followed; commit the file itself, or leave it out with `exclude`"
                }
                Passed::Submodule => {
                    "it is a submodule, which is not fetched; commit its files, make a source of its repository, or leave it out with `exclude`"
                }
            };
            return Err(FetchError::Entry { path: place.path, why });
        }
        self.passed += 1;
        if self.notes.len() < NOTES_MAX {
            self.notes.push(Note { path: place.path, what });
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Files {
        self.files.sort_by(|a, b| a.path.cmp(&b.path));
        Files { files: self.files, notes: self.notes, passed: self.passed }
    }
}
