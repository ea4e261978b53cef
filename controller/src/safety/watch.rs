//! Watching holds: every process looks at them, and when one ends, at everything that it has to do.

use std::collections::BTreeSet;
use std::sync::Arc;

use skep_runtime::{BackgroundTask, Priority, TaskContext, TaskReport};
use skep_store::{HoldId, Store, StoreError};

use super::Guard;
use crate::wake::{self, Queue};

/// Looks at the holds.
#[derive(Clone)]
pub(crate) struct WatchHolds {
    store: Store,
    guard: Arc<Guard>,
    queue: Queue,
    seen: BTreeSet<HoldId>,
}

impl WatchHolds {
    /// Nothing was seen yet.
    pub(super) const fn new(store: Store, guard: Arc<Guard>, queue: Queue) -> Self {
        Self { store, guard, queue, seen: BTreeSet::new() }
    }

    /// One look. How many are in force?
    pub(crate) async fn look(&mut self) -> Result<usize, StoreError> {
        let now: BTreeSet<HoldId> = self.guard.holds().await?.iter().map(|hold| hold.id).collect();
        if !self.seen.is_subset(&now) {
            // What was held is blocked until something changes, and this is the change.
            for key in wake::keys_where(&self.store, |_| true).await? {
                self.queue.wake(key, Priority::Change);
            }
        }
        if !now.is_empty() {
            // Someone may have confirmed it, or set right what it is about.
            self.guard.want_survey();
        }
        let count = now.len();
        self.seen = now;
        Ok(count)
    }
}

impl BackgroundTask for WatchHolds {
    type Error = StoreError;

    async fn activate(&mut self, _: &TaskContext) -> Result<TaskReport, StoreError> {
        let count = self.look().await?;
        Ok(TaskReport::did(format!("{count} holds are in force")))
    }
}
