//! A keyed work queue: a set of keys to run, not a list of events.
//!
//! Inputs are wake-ups: a key, a [`Priority`] and an optional delay. Outputs are [`Lease`]s, one per run. Guarantees:
//!
//! - **One run per key.** A key is leased to one holder at a time. Wake-ups during the run are held and merged, and
//!   cause exactly one more run.
//! - **Merging.** A key woken several times keeps the highest priority and the earliest time. The exception is a key
//!   that is backing off: hints and resyncs do not hurry it (they may be echoes of its own failing runs), a change does.
//! - **Order.** Among due keys: highest priority first; groups in turn within a priority; first come, first served
//!   within a group. One pick in sixteen looks from the lowest priority up, so nothing starves. A key whose priority
//!   is raised goes to the end of its new lane.
//! - **Fair shares.** No group has more than `group_share` keys running, so a group's thousand failing or hanging keys
//!   occupy a known part of the workers and every other group finds the rest free.
//! - **Bounded by construction.** One entry per key and at most [`MAX_KEYS`] keys. A wake-up beyond that is refused and
//!   counted; the next resync finds the key again.
//! - **Deterministic.** The same calls at the same times yield the same order.

mod lane;
mod lease;
mod priority;
mod state;

use std::fmt;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

pub use lease::{After, Lease};
pub use priority::Priority;

use crate::clock::{Clock, Instant};
use state::State;

/// The most keys a queue holds. An entry takes a few hundred bytes, so a full queue stays well under 100 MiB, and at a
/// hundred runs a second a full resync takes under twenty minutes: more keys than that need another design.
pub const MAX_KEYS: usize = 100_000;

/// The longest delay of a wake-up; longer ones are shortened. A day is beyond any sensible period, and keeps sums of
/// times far from overflow.
pub const MAX_DELAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What can be a key.
pub trait Key: Clone + Eq + Hash + Send + Sync + 'static {}
impl<T: Clone + Eq + Hash + Send + Sync + 'static> Key for T {}

/// What can be a fairness group.
pub trait Group: Clone + Eq + Hash + Send + Sync + 'static {}
impl<T: Clone + Eq + Hash + Send + Sync + 'static> Group for T {}

/// The limits of a queue.
#[derive(Clone, Copy, Debug)]
pub struct QueueOptions {
    /// How many keys of one group may run at once. Less than the number of workers, or a single group can occupy all.
    pub group_share: NonZeroUsize,
    /// How many keys the queue may hold; values above [`MAX_KEYS`] mean [`MAX_KEYS`].
    pub max_keys: usize,
}

impl QueueOptions {
    /// For this many workers: a group may use half of them, rounded up.
    #[must_use]
    pub fn for_workers(workers: NonZeroUsize) -> Self {
        let group_share = NonZeroUsize::new(workers.get().div_ceil(2)).unwrap_or(NonZeroUsize::MIN);
        Self { group_share, max_keys: MAX_KEYS }
    }
}

/// What became of a wake-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// The key was not in the queue and now is.
    Added,
    /// The key was already to run; the wake-up was merged.
    Merged,
    /// The key is running; it will run once more.
    Held,
    /// The queue is full. The key must be found again by a resync.
    Refused,
    /// The queue is closed.
    Closed,
}

/// A look at a queue, for metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueStats {
    /// Keys that could run now, by priority.
    pub ready: [(Priority, usize); Priority::ALL.len()],
    /// Keys waiting for their time.
    pub waiting: usize,
    /// Keys that run.
    pub running: usize,
    /// For how long the oldest current run has been running.
    pub longest_run: Option<Duration>,
    /// For how long all current runs have been running, added up.
    pub unfinished: Duration,
    /// Wake-ups since the start that caused a run of their own.
    pub added: u64,
    /// Runs since the start that failed and back off.
    pub retried: u64,
    /// Wake-ups refused since the start because the queue was full.
    pub refused: u64,
}

/// The queue; clones are handles to the same one.
pub struct WorkQueue<K: Key, G: Group> {
    shared: Arc<Shared<K, G>>,
}

struct Shared<K: Key, G: Group> {
    group_of: Box<dyn Fn(&K) -> G + Send + Sync>,
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner<K, G>>,
    /// Notified whenever a key may have become runnable or the next due time may have moved.
    moved: Notify,
}

struct Inner<K, G> {
    state: State<K, G>,
    closed: bool,
}

impl<K: Key, G: Group> WorkQueue<K, G> {
    /// An empty queue. `group_of` names the fairness group of a key; it must always give the same answer for a key.
    pub fn new(
        options: QueueOptions,
        clock: Arc<dyn Clock>,
        group_of: impl Fn(&K) -> G + Send + Sync + 'static,
    ) -> Self {
        let state = State::new(options.max_keys.min(MAX_KEYS), options.group_share.get());
        let inner = Mutex::new(Inner { state, closed: false });
        Self { shared: Arc::new(Shared { group_of: Box::new(group_of), clock, inner, moved: Notify::new() }) }
    }

    /// Wakes a key: it will be run once, `after` this delay or earlier.
    pub fn wake(&self, key: K, priority: Priority, after: Duration) -> Woken {
        let group = (self.shared.group_of)(&key);
        let mut inner = self.shared.lock();
        if inner.closed {
            return Woken::Closed;
        }
        let now = self.shared.clock.now();
        let woken = inner.state.wake(key, group, priority, now + after.min(MAX_DELAY), now);
        drop(inner);
        self.shared.moved.notify_one();
        woken
    }

    /// Waits for the next key whose turn it is. `None` once the queue is closed. Dropping the future loses nothing.
    pub async fn next(&self) -> Option<Lease<K, G>> {
        loop {
            // Made before looking, so that nothing that happens after the look can be missed.
            let moved = self.shared.moved.notified();
            let due = match self.try_next() {
                Next::Lease(lease) => return Some(lease),
                Next::Closed => return None,
                Next::Nothing { due } => due,
            };
            match due {
                None => moved.await,
                Some(due) => tokio::select! {
                    () = moved => {}
                    () = self.shared.clock.sleep_until(due) => {}
                },
            }
        }
    }

    /// Hands out no more keys. Running leases stay valid; waiting keys are forgotten with the queue, since all of them
    /// can be found again.
    pub fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.moved.notify_waiters();
    }

    /// The number of keys in the queue: waiting, ready and running.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.lock().state.len()
    }

    /// Whether no key is waiting, ready or running.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Numbers for metrics and debug pages.
    #[must_use]
    pub fn stats(&self) -> QueueStats {
        let now = self.shared.clock.now();
        self.shared.lock().state.stats(now)
    }

    fn try_next(&self) -> Next<K, G> {
        let mut inner = self.shared.lock();
        if inner.closed {
            return Next::Closed;
        }
        match inner.state.pick(self.shared.clock.now()) {
            Some(picked) => {
                drop(inner);
                // Notifications merge while nobody waits, so one may stand for several runnable keys: pass it on, and
                // the next idle worker looks too. The chain ends at the first that finds nothing.
                self.shared.moved.notify_one();
                Next::Lease(Lease::new(self.clone(), picked))
            }
            None => Next::Nothing { due: inner.state.next_due() },
        }
    }

    fn release(&self, key: &K, after: After) {
        let now = self.shared.clock.now();
        self.shared.lock().state.release(key, after, now);
        self.shared.moved.notify_one();
    }
}

enum Next<K: Key, G: Group> {
    Lease(Lease<K, G>),
    Nothing { due: Option<Instant> },
    Closed,
}

impl<K: Key, G: Group> Shared<K, G> {
    fn lock(&self) -> MutexGuard<'_, Inner<K, G>> {
        // Under the lock only this module's code and the key's Hash, Eq and Clone run; a panic there leaves at worst
        // one key without a slot, which is the state after a lost wake-up, and a resync heals those.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Key, G: Group> Clone for WorkQueue<K, G> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<K: Key, G: Group> fmt::Debug for WorkQueue<K, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkQueue").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
