//! The ready keys of one priority, served in turn by group and first-come-first-served within a group.
//!
//! This is deficit round-robin with every run at cost one, which makes the deficit counter vanish. Run time is not
//! charged: a group's long runs are bounded by its share of workers instead (see the queue's state).

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::{Group, Key};

/// One priority's ready keys. A group is in `turns` exactly when it has an entry in `groups`, and no entry is empty.
#[derive(Debug)]
pub(super) struct Lane<K, G> {
    turns: VecDeque<G>,
    groups: HashMap<G, BTreeMap<u64, K>>,
    len: usize,
}

impl<K: Key, G: Group> Lane<K, G> {
    pub(super) fn new() -> Self {
        Self { turns: VecDeque::new(), groups: HashMap::new(), len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Appends a key. `sequence` is unique and rises with every call, so it orders the group's keys.
    pub(super) fn push(&mut self, group: G, sequence: u64, key: K) {
        let keys = self.groups.entry(group.clone()).or_default();
        if keys.is_empty() {
            self.turns.push_back(group);
        }
        keys.insert(sequence, key);
        self.len += 1;
    }

    /// Takes a key out of the middle, because it moves to another lane.
    pub(super) fn remove(&mut self, group: &G, sequence: u64) {
        let Some(keys) = self.groups.get_mut(group) else { return };
        if keys.remove(&sequence).is_none() {
            return;
        }
        self.len -= 1;
        if keys.is_empty() {
            self.groups.remove(group);
            self.turns.retain(|other| other != group);
        }
    }

    /// Takes the first key of the first group in turn that `may_run`; that group goes to the end of the turns. A group
    /// that is passed over keeps its place: it is owed its turn.
    pub(super) fn take(&mut self, may_run: impl Fn(&G) -> bool) -> Option<K> {
        // Groups passed over have running keys, so the search is bounded by the number of workers.
        let turn = self.turns.iter().position(may_run)?;
        let group = self.turns.remove(turn)?;
        let keys = self.groups.get_mut(&group)?;
        let (_, key) = keys.pop_first()?;
        self.len -= 1;
        if keys.is_empty() {
            self.groups.remove(&group);
        } else {
            self.turns.push_back(group);
        }
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_take_turns_however_many_keys_one_of_them_has() {
        let mut lane = Lane::new();
        for key in 0..5 {
            lane.push('a', key, key);
        }
        lane.push('b', 5, 5);
        lane.push('c', 6, 6);
        let order: Vec<u64> = std::iter::from_fn(|| lane.take(|_| true)).collect();
        assert_eq!(order, [0, 5, 6, 1, 2, 3, 4]);
        assert_eq!(lane.len(), 0);
    }

    #[test]
    fn a_group_passed_over_keeps_its_turn() {
        let mut lane = Lane::new();
        lane.push('a', 0, 0);
        lane.push('b', 1, 1);
        lane.push('b', 2, 2);
        assert_eq!(lane.take(|group| *group != 'a'), Some(1));
        assert_eq!(lane.take(|_| true), Some(0));
        lane.remove(&'b', 2);
        assert_eq!(lane.take(|_| true), None);
    }
}
