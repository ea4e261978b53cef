//! The right to run one key, and what is to become of the key afterwards.

use std::fmt;
use std::time::Duration;

use super::state::Picked;
use super::{Group, Key, MAX_DELAY, Priority, WorkQueue};

/// What is to become of a key when its run ends. Wake-ups held during the run are merged with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Nothing: only a held or later wake-up runs it again.
    Done,
    /// Run it again after this time; any wake-up may come first.
    Poll(Duration),
    /// Run it again after this time; only a change may come first.
    BackOff(Duration),
}

/// One run of one key. The run ends when the lease is dropped, also by a panic; unless [`Lease::finish`] said otherwise,
/// that means [`After::Done`].
#[must_use = "dropping a lease ends the run"]
pub struct Lease<K: Key, G: Group> {
    queue: WorkQueue<K, G>,
    picked: Picked<K>,
    after: After,
}

impl<K: Key, G: Group> Lease<K, G> {
    pub(super) fn new(queue: WorkQueue<K, G>, picked: Picked<K>) -> Self {
        Self { queue, picked, after: After::Done }
    }

    /// The key to run.
    #[must_use]
    pub fn key(&self) -> &K {
        &self.picked.key
    }

    /// The highest priority among the wake-ups that led to this run.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.picked.priority
    }

    /// How long the key was due before it was picked.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.picked.waited
    }

    /// Ends the run and says what is to become of the key.
    pub fn finish(mut self, after: After) {
        self.after = match after {
            After::Done => After::Done,
            After::Poll(wait) => After::Poll(wait.min(MAX_DELAY)),
            After::BackOff(wait) => After::BackOff(wait.min(MAX_DELAY)),
        };
    }
}

impl<K: Key, G: Group> Drop for Lease<K, G> {
    fn drop(&mut self) {
        self.queue.release(&self.picked.key, self.after);
    }
}

impl<K: Key + fmt::Debug, G: Group> fmt::Debug for Lease<K, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("picked", &self.picked).finish_non_exhaustive()
    }
}
