//! A directory of the server's disk. It is no repository: its state is named by a digest of what is selected.
//!
//! Everything is opened relative to the directory and checked after it is open, never by a path that somebody could change in between.
//! Symbolic links are followed where they stay inside, because deployments that replace a link (`current -> releases/42`) and
//! volumes of orchestrators are made of them; one that leads out is refused. What is no file and no directory is refused if it is selected.
//! Names that begin with two dots are left out: by that name the machinery of such volumes keeps what its links lead to.
//!
//! The directory itself is opened anew at each look, by the path that the operator gave, links included: whatever was put in its place
//! is found. It is read until two readings one after the other are the same, so that no state is synced that never was.

use std::ffi::CStr;
use std::fs::File as Handle;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use async_trait::async_trait;
use aws_lc_rs::digest::{Context, SHA256};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2, statat};
use rustix::io::Errno;

use super::{Ask, Commit, Fetched, History, Look, Remote};
use crate::error::FetchError;
use crate::gather::{Files, Gathering, Place};
use crate::limits::{Budget, Limits};
use crate::selection::Selection;

/// How often a directory is read that changes meanwhile.
const READINGS_MAX: usize = 4;

/// What is opened leads nowhere but below the directory, and not through `/proc`.
const INSIDE: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);
/// Nothing waits: a pipe that nobody writes to is opened at once, and then refused.
const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// A directory that the operator named.
#[derive(Debug, Clone)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// The directory at this path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

#[async_trait]
impl Remote for Directory {
    async fn look(&self, ask: &Ask<'_>) -> Result<Look, FetchError> {
        let (path, limits, selection) = (self.path.clone(), ask.limits.clone(), ask.selection.clone());
        let within = limits.within;
        let reading = tokio::task::spawn_blocking(move || settled(&path, &selection, &limits));
        // A file system that does not answer keeps its thread, and nothing else.
        let read =
            tokio::time::timeout(within, reading).await.map_err(|_| FetchError::TimedOut { within })?;
        let (commit, files) = read.map_err(|_| FetchError::Directory {
            path: ".".to_owned(),
            why: "the reading of it ended".to_owned(),
        })??;
        if ask.synced == Some(&commit) {
            return Ok(Look::Unchanged);
        }
        let history = if ask.synced.is_some() { History::Unversioned } else { History::First };
        Ok(Look::Fetched(Fetched { commit, history, files }))
    }
}

/// Reads until nothing changed between two readings.
fn settled(
    path: &std::path::Path,
    selection: &Selection,
    limits: &Limits,
) -> Result<(Commit, Files), FetchError> {
    let started = std::time::Instant::now();
    let mut before: Option<Commit> = None;
    for _ in 0..READINGS_MAX {
        let left = limits.within.saturating_sub(started.elapsed());
        let budget = Budget::new(&Limits { within: left, ..limits.clone() });
        let files = reading(path, selection, &budget)?;
        let commit = digest(&files)?;
        if before.as_ref() == Some(&commit) {
            return Ok((commit, files));
        }
        before = Some(commit);
    }
    Err(FetchError::Changing)
}

fn reading(path: &std::path::Path, selection: &Selection, budget: &Budget) -> Result<Files, FetchError> {
    let failed = |error: Errno| unreadable(".", error);
    let root = open(path, READ | OFlags::DIRECTORY, Mode::empty()).map_err(failed)?;
    let wanted = selection.path().join("/");
    let top = if wanted.is_empty() {
        root.try_clone().map_err(|error| unreadable(".", error))?
    } else {
        openat2(&root, wanted.as_str(), READ | OFlags::DIRECTORY, Mode::empty(), INSIDE).map_err(|error| {
            match error {
                Errno::NOENT | Errno::NOTDIR => FetchError::NoPath { path: wanted.clone() },
                Errno::XDEV => outside(&wanted),
                error => unreadable(&wanted, error),
            }
        })?
    };
    let mut walk = Walk { root: root.as_fd(), gathering: Gathering::new(selection, budget) };
    walk.directory(top, &Place::top(selection))?;
    Ok(walk.gathering.finish())
}

struct Walk<'a> {
    root: BorrowedFd<'a>,
    gathering: Gathering<'a>,
}

impl Walk<'_> {
    fn directory(&mut self, directory: OwnedFd, at: &Place) -> Result<(), FetchError> {
        self.gathering.enter(at)?;
        let entries = Dir::read_from(&directory).map_err(|error| unreadable(&at.path, error))?;
        for entry in entries {
            let entry = entry.map_err(|error| unreadable(&at.path, error))?;
            let name = entry.file_name();
            if name.to_bytes().starts_with(b"..") || name.to_bytes() == b"." {
                continue;
            }
            self.gathering.budget.entry()?;
            if name.to_bytes() == b".git" {
                continue;
            }
            let place = at.entry(name.to_bytes())?;
            self.entry(directory.as_fd(), name, place)?;
        }
        Ok(())
    }

    fn entry(&mut self, directory: BorrowedFd<'_>, name: &CStr, place: Place) -> Result<(), FetchError> {
        let stat = match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // It went away meanwhile; the next reading tells.
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(unreadable(&place.path, error)),
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let opened = openat2(
                    directory,
                    name,
                    READ | OFlags::DIRECTORY,
                    Mode::empty(),
                    INSIDE | ResolveFlags::NO_SYMLINKS,
                );
                let opened = opened.map_err(|error| unreadable(&place.path, error))?;
                self.directory(opened, &place)
            }
            FileType::RegularFile => {
                if !self.gathering.takes(&place)? {
                    return Ok(());
                }
                let flags = INSIDE | ResolveFlags::NO_SYMLINKS;
                let opened = openat2(directory, name, READ, Mode::empty(), flags);
                self.file(opened.map_err(|error| unreadable(&place.path, error))?, place)
            }
            FileType::Symlink => self.link(place),
            _ => self.special(place),
        }
    }

    /// A link is followed from the directory of the source, so that it may lead anywhere below that.
    fn link(&mut self, place: Place) -> Result<(), FetchError> {
        match openat2(self.root, place.path.as_str(), READ, Mode::empty(), INSIDE) {
            Ok(opened) => {
                let stat = fstat(&opened).map_err(|error| unreadable(&place.path, error))?;
                match FileType::from_raw_mode(stat.st_mode) {
                    FileType::Directory => self.directory(opened, &place),
                    FileType::RegularFile if self.gathering.takes(&place)? => self.file(opened, place),
                    FileType::RegularFile => Ok(()),
                    _ => self.special(place),
                }
            }
            // It leads nowhere, is replaced right now, or is a socket.
            Err(Errno::NOENT | Errno::NXIO | Errno::LOOP) if !self.gathering.takes(&place)? => Ok(()),
            // Whether a directory or a file is behind it cannot be seen from here, so it is refused though no glob asks for it.
            Err(Errno::XDEV) => Err(outside(&place.path)),
            Err(error) => Err(unreadable(&place.path, error)),
        }
    }

    fn special(&self, place: Place) -> Result<(), FetchError> {
        if !self.gathering.takes(&place)? {
            return Ok(());
        }
        let why = "it is no file but a pipe, a socket or a device; remove it, or leave it out with `exclude`";
        Err(FetchError::Entry { path: place.path, why })
    }

    fn file(&mut self, opened: OwnedFd, place: Place) -> Result<(), FetchError> {
        let stat = fstat(&opened).map_err(|error| unreadable(&place.path, error))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return self.special(place);
        }
        self.gathering.admits(&place, u64::try_from(stat.st_size).unwrap_or(u64::MAX))?;
        let most = self.gathering.budget.limits().blob;
        let mut bytes = Vec::new();
        let read = Handle::from(opened).take(most.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|error| unreadable(&place.path, error))?;
        // It may have grown since.
        self.gathering.admits(&place, u64::try_from(bytes.len()).unwrap_or(u64::MAX))?;
        self.gathering.take(place, bytes)
    }
}

fn unreadable(path: &str, error: impl Into<std::io::Error>) -> FetchError {
    FetchError::Directory { path: path.to_owned(), why: error.into().to_string() }
}

fn outside(path: &str) -> FetchError {
    let why = "it is a symbolic link that leads out of the directory, which is not followed; put the files themselves there";
    FetchError::Entry { path: path.to_owned(), why }
}

/// The same for the same paths with the same bytes, and for nothing else.
fn digest(files: &Files) -> Result<Commit, FetchError> {
    let mut context = Context::new(&SHA256);
    for file in &files.files {
        for part in [file.path.as_bytes(), &file.bytes] {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part);
        }
    }
    let corrupt = |_| FetchError::Corrupt { why: "no digest could be made".to_owned() };
    Commit::new(&hex::encode(context.finish())).map_err(corrupt)
}
