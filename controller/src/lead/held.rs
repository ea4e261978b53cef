//! What this process holds now: the shards, and the cluster's lease.
//!
//! Everything that needs to know whether a key is its own asks here: wakes, to drop those of foreign shards before they cost
//! anything; passes, to get the fence they write under; readiness, to say it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use skep_schemas::ResourceKey;
use skep_store::Fence;

use super::shard::{Part, SHARDS, Shard};
use super::term::{Term, Visit};

/// A lease that this process has, and for how long.
#[derive(Debug, Clone)]
pub(super) struct Holding {
    pub(super) fence: Fence,
    pub(super) term: Arc<Term>,
}

/// A piece of work under a lease that is held.
#[derive(Debug)]
pub(crate) struct Turn {
    fence: Fence,
    visit: Visit,
}

impl Turn {
    /// What it writes under.
    pub(crate) const fn fence(&self) -> &Fence {
        &self.fence
    }

    /// The term that it happens in.
    pub(crate) fn term(&self) -> &Term {
        self.visit.term()
    }
}

/// The leases that this process has.
#[derive(Debug, Default)]
pub(crate) struct Held {
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    parts: BTreeMap<Part, Holding>,
    members: usize,
}

impl State {
    fn is_open(&self, part: Part) -> bool {
        self.parts.get(&part).is_some_and(|holding| holding.term.is_open())
    }
}

impl Held {
    /// Is this key of a shard that is held, and not about to be given back?
    pub(crate) fn has(&self, key: &ResourceKey) -> bool {
        self.is_open(Part::Shard(Shard::of(key)))
    }

    /// Begins a pass over a key, if its shard is held.
    pub(crate) fn enter(&self, key: &ResourceKey) -> Option<Turn> {
        self.enter_part(Part::Shard(Shard::of(key)))
    }

    /// Begins work for the whole cluster, if that is this process'.
    pub(crate) fn enter_cluster(&self) -> Option<Turn> {
        self.enter_part(Part::Cluster)
    }

    /// What is held, in words for operators.
    pub(crate) fn describe(&self) -> String {
        self.read(|state| {
            let shards: BTreeSet<Shard> =
                Shard::all().filter(|shard| state.is_open(Part::Shard(*shard))).collect();
            let cluster = if state.is_open(Part::Cluster) { " and the cluster" } else { "" };
            format!("holds shards {} of {SHARDS}{cluster}, among {} members", ranges(&shards), state.members)
        })
    }

    /// How many leases are held, that of the cluster included.
    pub(crate) fn count(&self) -> usize {
        self.read(|state| state.parts.keys().filter(|part| state.is_open(**part)).count())
    }

    /// Is the work of the cluster this process'?
    pub(crate) fn has_cluster(&self) -> bool {
        self.is_open(Part::Cluster)
    }

    pub(super) fn is_open(&self, part: Part) -> bool {
        self.read(|state| state.is_open(part))
    }

    pub(super) fn has_any(&self, part: Part) -> bool {
        self.read(|state| state.parts.contains_key(&part))
    }

    pub(super) fn put(&self, part: Part, holding: Holding) {
        self.write(|state| state.parts.insert(part, holding));
    }

    pub(super) fn remove(&self, part: Part) {
        self.write(|state| state.parts.remove(&part));
    }

    pub(super) fn saw_members(&self, members: usize) {
        self.write(|state| state.members = members);
    }

    pub(super) fn all(&self) -> Vec<(Part, Holding)> {
        self.read(|state| state.parts.iter().map(|(part, holding)| (*part, holding.clone())).collect())
    }

    fn enter_part(&self, part: Part) -> Option<Turn> {
        let holding = self.read(|state| state.parts.get(&part).cloned())?;
        let visit = holding.term.enter()?;
        Some(Turn { fence: holding.fence, visit })
    }

    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Numbers as people write them: `0-3, 7`.
fn ranges(shards: &BTreeSet<Shard>) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for index in shards.iter().map(|shard| shard.index()) {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == index => *last = index,
            _ => runs.push((index, index)),
        }
    }
    let text = |(first, last): &(usize, usize)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    if runs.is_empty() { "none".to_owned() } else { runs.iter().map(text).collect::<Vec<_>>().join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_named_in_runs() {
        let named = |indices: &[usize]| {
            ranges(&Shard::all().filter(|shard| indices.contains(&shard.index())).collect())
        };
        assert_eq!(named(&[]), "none");
        assert_eq!(named(&[0, 1, 2, 7, 14, 15]), "0-2, 7, 14-15");
    }
}
