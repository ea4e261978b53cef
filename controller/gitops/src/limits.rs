//! What a look at a remote may cost, and what was spent of it.
//!
//! [`Limits`] are what is allowed. A [`Budget`] belongs to one look: everything that receives bytes, inflates them or makes something of them
//! asks it first, so that a server which sends for ever, or sends little that becomes much, is stopped while it does. It also keeps the
//! first reason for which anything failed: libraries between here and there make other errors of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::error::FetchError;

/// What one look may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The time for everything, from the look-up of the name to the last file.
    pub within: Duration,
    /// The most bytes that are received over all: names of refs, packs, what surrounds them.
    pub received: u64,
    /// The most bytes of a pack.
    pub pack: u64,
    /// The most objects of a pack: each costs memory, however small it is.
    pub objects: u64,
    /// The most bytes that a pack is inflated to, with what deltas make: what it costs in time.
    pub unpacked: u64,
    /// The most bytes of one file.
    pub blob: u64,
    /// The most bytes of all files.
    pub manifests: u64,
    /// The most entries of all directories that are looked at.
    pub entries: u64,
    /// The most directories within each other.
    pub depth: u64,
    /// The most documents.
    pub documents: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            within: Duration::from_secs(60),
            // A pack, and some hundred thousand refs of a server that speaks the old protocol.
            received: 96 << 20,
            pack: 64 << 20,
            objects: 250_000,
            unpacked: 1 << 30,
            blob: 1 << 20,
            manifests: 16 << 20,
            entries: 20_000,
            depth: 32,
            documents: 1_000,
        }
    }
}

/// One of the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bound {
    /// Bytes that are received.
    Received,
    /// Bytes of a pack.
    Pack,
    /// Objects of a pack.
    Objects,
    /// Bytes that a pack is inflated to.
    Unpacked,
    /// Bytes of one file.
    Blob,
    /// Bytes of all files.
    Manifests,
    /// Entries of directories.
    Entries,
    /// Directories within each other.
    Depth,
    /// Documents.
    Documents,
}

impl Bound {
    /// What it counts, in words.
    pub const fn counts(self) -> &'static str {
        match self {
            Self::Received => "bytes received from the server",
            Self::Pack => "bytes of the pack",
            Self::Objects => "objects in the pack",
            Self::Unpacked => "bytes that the pack unpacks to",
            Self::Blob => "bytes of one file",
            Self::Manifests => "bytes of all selected files",
            Self::Entries => "entries of directories",
            Self::Depth => "directories within each other",
            Self::Documents => "documents",
        }
    }

    /// What makes it less.
    pub const fn help(self) -> &'static str {
        match self {
            Self::Received | Self::Pack | Self::Objects | Self::Unpacked => {
                "keep manifests in a repository of their own, without large files"
            }
            Self::Blob | Self::Manifests => {
                "leave the file out with `exclude`, or split it: manifests are not that long"
            }
            Self::Entries | Self::Depth => {
                "name the directory that holds the manifests as `path`, so that others are not looked at"
            }
            Self::Documents => "make several sources of it, each with a `path` of its own",
        }
    }
}

/// What is left of one look's limits.
#[derive(Debug)]
pub(crate) struct Budget {
    limits: Limits,
    deadline: Instant,
    /// Nobody waits for the answer any more.
    abandoned: watch::Sender<bool>,
    received: AtomicU64,
    unpacked: AtomicU64,
    entries: AtomicU64,
    manifests: AtomicU64,
    failure: Mutex<Option<FetchError>>,
}

impl Budget {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            limits: limits.clone(),
            deadline: Instant::now() + limits.within,
            abandoned: watch::Sender::new(false),
            received: AtomicU64::new(0),
            unpacked: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            manifests: AtomicU64::new(0),
            failure: Mutex::new(None),
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn deadline(&self) -> tokio::time::Instant {
        self.deadline.into()
    }

    pub(crate) fn timed_out(&self) -> FetchError {
        FetchError::TimedOut { within: self.limits.within }
    }

    /// Is there time left?
    pub(crate) fn on_time(&self) -> Result<(), FetchError> {
        let late = Instant::now() >= self.deadline || *self.abandoned.borrow();
        if late { Err(self.timed_out()) } else { Ok(()) }
    }

    /// Ends everything that spends of this: a thread cannot be dropped, and a server that stops would wait for it.
    pub(crate) fn abandon(&self) {
        self.abandoned.send_replace(true);
    }

    /// Comes when it was abandoned.
    pub(crate) async fn abandoned(&self) {
        // The sender is here, so it does not end before it says something.
        let _said = self.abandoned.subscribe().wait_for(|abandoned| *abandoned).await.is_ok();
    }

    pub(crate) fn receive(&self, bytes: usize) -> Result<(), FetchError> {
        spend(&self.received, bytes, Bound::Received, self.limits.received)
    }

    pub(crate) fn unpack(&self, bytes: usize) -> Result<(), FetchError> {
        self.on_time()?;
        spend(&self.unpacked, bytes, Bound::Unpacked, self.limits.unpacked)
    }

    pub(crate) fn entry(&self) -> Result<(), FetchError> {
        self.on_time()?;
        spend(&self.entries, 1, Bound::Entries, self.limits.entries)
    }

    pub(crate) fn manifest(&self, bytes: usize) -> Result<(), FetchError> {
        spend(&self.manifests, bytes, Bound::Manifests, self.limits.manifests)
    }

    /// A failure within something that knows errors of input and output alone: kept here, and told there in its words.
    pub(crate) fn fail(&self, error: FetchError) -> std::io::Error {
        let told = std::io::Error::other(error.to_string());
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(error);
        told
    }

    /// The first failure that was kept.
    pub(crate) fn failure(&self) -> Option<FetchError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn spend(spent: &AtomicU64, more: usize, bound: Bound, limit: u64) -> Result<(), FetchError> {
    let more = u64::try_from(more).unwrap_or(u64::MAX);
    let measured = spent.fetch_add(more, Ordering::Relaxed).saturating_add(more);
    within(bound, limit, measured, None)
}

/// Is this much within a limit?
pub(crate) fn within(bound: Bound, limit: u64, measured: u64, path: Option<&str>) -> Result<(), FetchError> {
    if measured <= limit {
        return Ok(());
    }
    Err(FetchError::Limit { bound, limit, measured, path: path.map(str::to_owned) })
}
