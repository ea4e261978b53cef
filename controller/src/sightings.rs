//! When everything that a resource rests on was last seen.
//!
//! A status is not written when it says nothing new, so while all is well nothing in the store tells how fresh it is. The times are
//! kept here instead, in memory, and the one that matters is written into the status when something can no longer be read: from
//! then on the status says as of when it speaks, and does not change while that lasts. A restart forgets the times and keeps what
//! the status says.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use skep_planner::{Blocked, Plan};
use skep_runtime::MAX_KEYS;
use skep_schemas::ResourceKey;
use skep_schemas::kind::AnyStatus;

/// The time of the last complete look at each resource. Bounded like the queue.
#[derive(Debug, Default)]
pub(crate) struct Sightings(Mutex<BTreeMap<ResourceKey, Timestamp>>);

impl Sightings {
    /// Notes a look at a resource. Gives back since when what is known of it is out of date: none when all of it was seen.
    pub(crate) fn look(
        &self,
        plan: &Plan,
        recorded: &serde_json::Value,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !plan.blocked.iter().any(|blocked| matches!(blocked, Blocked::Unobserved { .. })) {
            if times.len() < MAX_KEYS || times.contains_key(&plan.key) {
                times.insert(plan.key.clone(), now);
            }
            return None;
        }
        // What is recorded was true when it was written, and nothing complete was seen since.
        let recorded = serde_json::from_value::<AnyStatus>(recorded.clone()).ok();
        let recorded = recorded.and_then(|status| status.last_observed);
        recorded.or_else(|| times.get(&plan.key).copied())
    }

    /// Notes that everything a resource rests on was seen without a pass, and found to be as it was.
    pub(crate) fn seen(&self, key: &ResourceKey, now: Timestamp) {
        if let Some(time) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(key) {
            *time = now;
        }
    }

    /// A resource is gone.
    pub(crate) fn gone(&self, key: &ResourceKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use skep_schemas::{Generation, Uid};

    use super::*;

    fn plan(unseen: bool) -> Plan {
        let key = ResourceKey::organization(&"acme".parse().unwrap());
        let mut plan = Plan::empty(key, Uid::generate(), Generation::new(1));
        if unseen {
            plan.blocked.push(Blocked::Unobserved { what: "network".to_owned(), why: "away".to_owned() });
        }
        plan
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn status(last_observed: Option<i64>) -> Value {
        let mut status = json!({"observedGeneration": 1, "conditions": []});
        if let Some(second) = last_observed {
            status["lastObserved"] = json!(at(second));
        }
        status
    }

    #[test]
    fn what_cannot_be_read_is_as_old_as_the_last_complete_look_for_as_long_as_it_lasts() {
        let sightings = Sightings::default();
        assert_eq!(sightings.look(&plan(false), &status(None), at(10)), None);
        assert_eq!(sightings.look(&plan(false), &status(None), at(20)), None);
        assert_eq!(sightings.look(&plan(true), &status(None), at(30)), Some(at(20)));
        assert_eq!(sightings.look(&plan(true), &status(Some(20)), at(40)), Some(at(20)));
        assert_eq!(sightings.look(&plan(false), &status(Some(20)), at(50)), None);
        assert_eq!(sightings.look(&plan(true), &status(None), at(60)), Some(at(50)));
    }

    #[test]
    fn after_a_restart_the_recorded_time_stands_and_nothing_is_made_up() {
        let restarted = Sightings::default();
        assert_eq!(restarted.look(&plan(true), &status(Some(20)), at(90)), Some(at(20)));
        assert_eq!(restarted.look(&plan(true), &status(None), at(90)), None);
        assert_eq!(restarted.look(&plan(true), &Value::Null, at(90)), None);
    }
}
