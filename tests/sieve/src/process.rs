//! One process of a world: a loop with its clock, what it has heard so far, and what it is going to look at.

use jiff::Timestamp;
use skep_controller::local::Local;
use skep_schemas::ResourceKey;
use skep_store::{Cursor, Store};

use crate::clock::MachineClock;
use crate::schedule::Schedule;

/// A process that runs.
pub(crate) struct Process {
    /// Its name among the members.
    pub(crate) name: String,
    /// The loop.
    pub(crate) local: Local,
    /// Its own connections.
    pub(crate) store: Store,
    /// Its machine's clocks.
    pub(crate) clock: MachineClock,
    /// Up to where it knows the store's changes.
    pub(crate) read: Cursor,
    /// Up to where it has heard the Swarm's events.
    pub(crate) heard: u64,
    /// What it is going to look at.
    pub(crate) schedule: Schedule,
    /// When it says next that it is alive.
    pub(crate) beats: Timestamp,
    /// Did it fail to take its part? Then it does so soon again.
    pub(crate) behind: bool,
    /// Was the work of the cluster its own when it looked last?
    pub(crate) led: bool,
}

impl Process {
    /// Puts what was woken on its schedule.
    pub(crate) fn collect(&mut self, now: Timestamp) {
        for (key, priority) in self.local.woken() {
            self.schedule.wake(key, priority, now);
        }
    }

    /// The keys that it would look at now.
    pub(crate) fn due(&self, now: Timestamp) -> Vec<ResourceKey> {
        self.schedule.due(now)
    }
}
