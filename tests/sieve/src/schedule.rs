//! Which keys are to be looked at, and when: what a server's queue and workers decide, as plain data.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use skep_controller::local::Passed;
use skep_runtime::{BackoffPolicy, Disposition, Entropy, MAX_CONFLICT_RERUNS, Priority};
use skep_schemas::ResourceKey;

/// How soon a key is looked at again that waits for somebody else.
const BLOCKED: Duration = Duration::from_secs(60);

/// A key that will be looked at.
#[derive(Debug, Clone, Copy)]
struct Entry {
    due: Timestamp,
    trigger: Priority,
    /// It waits because it failed: only a change brings it forward.
    backs_off: bool,
}

/// The keys of one process.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    entries: BTreeMap<ResourceKey, Entry>,
    failures: BTreeMap<ResourceKey, u32>,
    /// How often in a row the world moved under a pass that was then made again at once.
    conflicts: BTreeMap<ResourceKey, u32>,
}

impl Schedule {
    /// A key is to be looked at now, unless it backs off and this changes nothing for it.
    pub(crate) fn wake(&mut self, key: ResourceKey, trigger: Priority, now: Timestamp) {
        let entry = self.entries.entry(key).or_insert(Entry { due: now, trigger, backs_off: false });
        entry.trigger = entry.trigger.max(trigger);
        if trigger.is_change() || !entry.backs_off {
            entry.due = entry.due.min(now);
            entry.backs_off = false;
        }
    }

    /// The keys that are due, in order.
    pub(crate) fn due(&self, now: Timestamp) -> Vec<ResourceKey> {
        self.entries.iter().filter(|(_, entry)| entry.due <= now).map(|(key, _)| key.clone()).collect()
    }

    /// When the next key is due.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.entries.values().map(|entry| entry.due).min()
    }

    /// A pass over a key begins. What woke it.
    pub(crate) fn take(&mut self, key: &ResourceKey) -> Priority {
        self.entries.remove(key).map_or(Priority::Resync, |entry| entry.trigger)
    }

    /// A pass over a key has ended so.
    pub(crate) fn passed(&mut self, key: &ResourceKey, passed: &Passed, now: Timestamp, entropy: &Entropy) {
        let again = match passed {
            Passed::AwaitChange => {
                self.failures.remove(key);
                self.conflicts.remove(key);
                return;
            }
            Passed::RequeueAfter(after) => {
                self.failures.remove(key);
                (*after, false)
            }
            Passed::Failed { disposition: Disposition::Terminal, .. } => return,
            Passed::Failed { disposition: Disposition::Blocked, .. } => (BLOCKED, false),
            Passed::Failed { disposition: Disposition::Conflict, .. } if self.runs_again(key) => {
                (Duration::ZERO, false)
            }
            Passed::Failed { .. } => {
                let failures = self.failures.entry(key.clone()).or_default();
                *failures += 1;
                (BackoffPolicy::default().delay(*failures, entropy), true)
            }
        };
        let (after, backs_off) = again;
        if after > Duration::ZERO {
            self.conflicts.remove(key);
        }
        let entry = Entry { due: now + after, trigger: Priority::Retry, backs_off };
        self.entries.entry(key.clone()).or_insert(entry);
    }

    /// Is a pass under which the world moved made again at once?
    fn runs_again(&mut self, key: &ResourceKey) -> bool {
        let conflicts = self.conflicts.entry(key.clone()).or_default();
        *conflicts += 1;
        *conflicts <= MAX_CONFLICT_RERUNS
    }
}
