//! The queue as a plain state machine: no waiting, no locks, no clock. Every step is given the time.
//!
//! Each key has at most one slot, and the slot says where it is: waiting for its time, ready in the lane of its
//! priority, or running. A wake-up of a running key is *held* in its slot and placed when the run ends. Given the same
//! steps at the same times, the same keys are picked in the same order.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::lane::Lane;
use super::{After, Group, Key, Priority, QueueStats, Woken};
use crate::clock::Instant;

/// Every so many picks, lanes are searched lowest first, so that a steady stream of urgent keys slows lower priorities
/// down to a sixteenth of the picks but never to nothing.
pub(super) const LOWEST_FIRST_EVERY: u64 = 16;

#[derive(Debug)]
pub(super) struct State<K, G> {
    max_keys: usize,
    group_share: usize,
    slots: HashMap<K, Slot<G>>,
    /// The waiting keys by due time; `u64` is the slot's sequence.
    waiting: BTreeMap<(Instant, u64), K>,
    lanes: [Lane<K, G>; Priority::ALL.len()],
    /// The start of every current run, by start time and sequence.
    runs: BTreeSet<(Instant, u64)>,
    /// How many keys of a group run; absent means none.
    running: HashMap<G, usize>,
    sequence: u64,
    picks: u64,
    added: u64,
    retried: u64,
    refused: u64,
}

#[derive(Debug)]
enum Slot<G> {
    Waiting { group: G, priority: Priority, due: Instant, sequence: u64, pace: Pace },
    Ready { group: G, priority: Priority, since: Instant, sequence: u64 },
    Running { group: G, since: Instant, sequence: u64, held: Option<Held> },
}

/// Whether a wake-up may bring the due time of a waiting key forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// Any wake-up may.
    Free,
    /// Only a change may: the key failed, and hints (perhaps caused by its own failing runs) must not hurry it.
    BackingOff,
}

/// The merged wake-ups of a running key.
#[derive(Clone, Copy, Debug)]
struct Held {
    priority: Priority,
    due: Instant,
}

impl Held {
    fn merge(earlier: Option<Self>, priority: Priority, due: Instant) -> Self {
        match earlier {
            None => Self { priority, due },
            Some(held) => Self { priority: held.priority.max(priority), due: held.due.min(due) },
        }
    }
}

/// A key that has been picked.
#[derive(Debug)]
pub(super) struct Picked<K> {
    pub(super) key: K,
    pub(super) priority: Priority,
    pub(super) waited: Duration,
}

impl<K: Key, G: Group> State<K, G> {
    pub(super) fn new(max_keys: usize, group_share: usize) -> Self {
        Self {
            max_keys,
            group_share,
            slots: HashMap::new(),
            waiting: BTreeMap::new(),
            lanes: std::array::from_fn(|_| Lane::new()),
            runs: BTreeSet::new(),
            running: HashMap::new(),
            sequence: 0,
            picks: 0,
            added: 0,
            retried: 0,
            refused: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Wakes `key`: it runs once at `due`, unless it is already to run then or earlier.
    pub(super) fn wake(&mut self, key: K, group: G, priority: Priority, due: Instant, now: Instant) -> Woken {
        self.promote(now);
        match self.slots.remove(&key) {
            None if self.slots.len() >= self.max_keys => {
                self.refused = self.refused.saturating_add(1);
                Woken::Refused
            }
            None => {
                self.added = self.added.saturating_add(1);
                self.place(key, group, priority, due, Pace::Free, now);
                Woken::Added
            }
            Some(Slot::Waiting { group, priority: old, due: old_due, sequence, pace }) => {
                self.waiting.remove(&(old_due, sequence));
                let (due, pace) = match pace {
                    Pace::BackingOff if !priority.is_change() => (old_due, Pace::BackingOff),
                    Pace::BackingOff | Pace::Free => (old_due.min(due), Pace::Free),
                };
                self.place(key, group, old.max(priority), due, pace, now);
                Woken::Merged
            }
            Some(Slot::Ready { group, priority: old, since, sequence }) if priority > old => {
                self.lanes[old.index()].remove(&group, sequence);
                self.make_ready(key, group, priority, since);
                Woken::Merged
            }
            Some(slot @ Slot::Ready { .. }) => {
                self.slots.insert(key, slot);
                Woken::Merged
            }
            Some(Slot::Running { group, since, sequence, held }) => {
                self.added = self.added.saturating_add(u64::from(held.is_none()));
                let held = Some(Held::merge(held, priority, due));
                self.slots.insert(key, Slot::Running { group, since, sequence, held });
                Woken::Held
            }
        }
    }

    /// Starts the run of the key whose turn it is, if any key is due and its group has a free share.
    pub(super) fn pick(&mut self, now: Instant) -> Option<Picked<K>> {
        self.promote(now);
        let lowest_first = self.picks % LOWEST_FIRST_EVERY == LOWEST_FIRST_EVERY - 1;
        let may_run = |group: &G| self.running.get(group).is_none_or(|count| *count < self.group_share);
        let key = if lowest_first {
            self.lanes.iter_mut().find_map(|lane| lane.take(may_run))?
        } else {
            self.lanes.iter_mut().rev().find_map(|lane| lane.take(may_run))?
        };
        self.picks += 1;
        // A key in a lane has a ready slot: both are only ever changed together.
        let Some(Slot::Ready { group, priority, since, sequence }) = self.slots.remove(&key) else {
            return None;
        };
        *self.running.entry(group.clone()).or_insert(0) += 1;
        self.runs.insert((now, sequence));
        self.slots.insert(key.clone(), Slot::Running { group, since: now, sequence, held: None });
        Some(Picked { key, priority, waited: now.saturating_duration_since(since) })
    }

    /// Ends the run of `key`.
    pub(super) fn release(&mut self, key: &K, after: After, now: Instant) {
        self.promote(now);
        let Some(Slot::Running { group, since, sequence, held }) = self.slots.remove(key) else { return };
        self.runs.remove(&(since, sequence));
        if let Some(count) = self.running.get_mut(&group) {
            *count -= 1;
            if *count == 0 {
                self.running.remove(&group);
            }
        }
        if matches!(after, After::BackOff(_)) {
            self.retried = self.retried.saturating_add(1);
        }
        let (next, pace) = match (after, held) {
            (After::Done, held) => (held, Pace::Free),
            (After::Poll(wait), held) => (Some(Held::merge(held, Priority::Retry, now + wait)), Pace::Free),
            (After::BackOff(wait), Some(held)) if held.priority.is_change() => {
                (Some(Held::merge(Some(held), Priority::Retry, now + wait)), Pace::Free)
            }
            (After::BackOff(wait), held) => {
                let priority = held.map_or(Priority::Retry, |held| held.priority.max(Priority::Retry));
                (Some(Held { priority, due: now + wait }), Pace::BackingOff)
            }
        };
        if let Some(next) = next {
            self.place(key.clone(), group, next.priority, next.due, pace, now);
        }
    }

    /// When the next waiting key becomes ready.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.waiting.keys().next().map(|(due, _)| *due)
    }

    pub(super) fn stats(&self, now: Instant) -> QueueStats {
        QueueStats {
            ready: Priority::ALL.map(|priority| (priority, self.lanes[priority.index()].len())),
            waiting: self.waiting.len(),
            running: self.runs.len(),
            longest_run: self.runs.first().map(|(since, _)| now.saturating_duration_since(*since)),
            unfinished: self.runs.iter().map(|(since, _)| now.saturating_duration_since(*since)).sum(),
            added: self.added,
            retried: self.retried,
            refused: self.refused,
        }
    }

    /// Makes every waiting key ready whose time has come, in the order of their times.
    fn promote(&mut self, now: Instant) {
        while let Some(entry) = self.waiting.first_entry()
            && entry.key().0 <= now
        {
            let key = entry.remove();
            if let Some(Slot::Waiting { group, priority, due, .. }) = self.slots.remove(&key) {
                self.make_ready(key, group, priority, due);
            }
        }
    }

    fn place(&mut self, key: K, group: G, priority: Priority, due: Instant, pace: Pace, now: Instant) {
        if due <= now {
            self.make_ready(key, group, priority, due);
        } else {
            let sequence = self.next_sequence();
            self.waiting.insert((due, sequence), key.clone());
            self.slots.insert(key, Slot::Waiting { group, priority, due, sequence, pace });
        }
    }

    /// Puts the key at the end of its lane.
    fn make_ready(&mut self, key: K, group: G, priority: Priority, since: Instant) {
        let sequence = self.next_sequence();
        self.lanes[priority.index()].push(group.clone(), sequence, key.clone());
        self.slots.insert(key, Slot::Ready { group, priority, since, sequence });
    }

    fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
