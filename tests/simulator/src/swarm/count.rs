//! Which changes were asked for through the verbs, and took effect. What the hands for tests do is not among them.

use jiff::Timestamp;
use skep_swarm::Verb;

use super::Swarm;

/// One change that took effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutation {
    /// The verb.
    pub verb: Verb,
    /// The object by name; of connections, the network's and the container's name.
    pub object: String,
    /// When.
    pub at: Timestamp,
}

impl Swarm {
    /// Every change that the verbs made, in order.
    pub fn mutations(&self) -> &[Mutation] {
        &self.mutations
    }

    /// Forgets which changes were made.
    pub fn forget_mutations(&mut self) {
        self.mutations.clear();
    }

    /// How often each verb changed each object, by the object's name and the verb's word.
    pub fn mutation_counts(&self) -> std::collections::BTreeMap<(String, &'static str), usize> {
        let mut counts = std::collections::BTreeMap::new();
        for mutation in &self.mutations {
            *counts.entry((mutation.object.clone(), mutation.verb.as_str())).or_insert(0) += 1;
        }
        counts
    }

    pub(super) fn count(&mut self, verb: Verb, object: &str) {
        self.mutations.push(Mutation { verb, object: object.to_owned(), at: self.now });
    }
}
