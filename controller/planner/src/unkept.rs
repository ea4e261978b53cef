//! Changes that the engine accepts and does not keep.
//!
//! Engines drop fields that they do not know and rewrite others. The normaliser knows all of these that are known to us; for one
//! that is not, a plan would find the same difference again right after it was carried out, and every further attempt would
//! restart tasks for nothing. So what a plan changes is remembered, and when the very next plan wants the same change again, it
//! is held back and named instead of repeated. It is tried again when the difference becomes another one, for example because the
//! manifest changed, and after a restart of the controller.

use std::collections::BTreeMap;

use jiff::Timestamp;
use skep_schemas::ResourceKey;

use crate::blocked::Blocked;
use crate::drift::Response;
use crate::inventory::ObjectRef;
use crate::plan::Plan;
use crate::step::{FieldChange, Op, Step};

/// How many objects are remembered. The oldest names go first; forgetting one costs one more attempt.
const REMEMBERED_MAX: usize = 10_000;

/// What was changed last, by object, and whether it came back.
#[derive(Debug, Clone, Default)]
pub struct Unkept {
    known: BTreeMap<(ResourceKey, ObjectRef), Attempt>,
}

#[derive(Debug, Clone)]
struct Attempt {
    changes: Vec<FieldChange>,
    /// The last wish to try again, then: a later one counts.
    retried_at: Option<Timestamp>,
    came_back: bool,
}

impl Unkept {
    /// Notes what a plan that was carried out changed.
    pub fn done(&mut self, plan: &Plan, retried_at: Option<Timestamp>) {
        for step in updates(plan) {
            let attempt = Attempt { changes: step.changes.clone(), retried_at, came_back: false };
            self.known.insert((plan.key.clone(), step.object.clone()), attempt);
        }
        while self.known.len() > REMEMBERED_MAX {
            self.known.pop_first();
        }
    }

    /// Nothing differs any more: whatever was changed was kept.
    pub fn kept(&mut self, key: &ResourceKey) {
        self.known.retain(|(owner, _), attempt| owner != key || attempt.came_back);
    }

    /// Takes out of a plan what was just done and came back, and says so. Whether the engine does not keep it or another writer undoes
    /// it within moments makes no difference: going on would be a fight.
    pub fn hold_back(&mut self, plan: &mut Plan, retried_at: Option<Timestamp>) {
        let key = plan.key.clone();
        let mut blocked = Vec::new();
        plan.steps.retain(|step| {
            let Some(attempt) = self.known.get_mut(&(key.clone(), step.object.clone())) else { return true };
            if step.changes.is_empty() || attempt.changes != step.changes || attempt.retried_at != retried_at
            {
                return true;
            }
            attempt.came_back = true;
            let pointers: Vec<String> = step.changes.iter().map(|change| change.pointer.clone()).collect();
            for drift in plan.drift.iter_mut().filter(|drift| drift.object == step.object) {
                if pointers.contains(&drift.pointer) {
                    drift.response = Response::GiveUp;
                }
            }
            blocked.push(Blocked::NotKept { object: step.object.to_string(), pointers });
            false
        });
        plan.blocked.extend(blocked);
    }
}

fn updates(plan: &Plan) -> impl Iterator<Item = &Step> {
    plan.steps.iter().filter(|step| matches!(step.op, Op::UpdateService { .. }))
}

#[cfg(test)]
mod tests {
    use skep_schemas::{Generation, OrgName, Uid};

    use super::*;
    use crate::inventory::ObjectKind;
    use crate::step::Cost;
    use crate::swarm::{ServiceId, ServiceSpec, Version};

    fn key() -> ResourceKey {
        ResourceKey::organization(&"acme".parse::<OrgName>().unwrap())
    }

    fn plan(pointer: &str, to: &str) -> Plan {
        let mut plan = Plan::empty(key(), Uid::generate(), Generation::new(1));
        plan.steps.push(Step {
            object: ObjectRef::new(ObjectKind::Service, "acme_shop_web"),
            op: Op::UpdateService {
                id: ServiceId::from("s1"),
                version: Version { index: 1 },
                spec: Box::new(ServiceSpec::default()),
                release: None,
                pull: crate::PullAs::Nobody,
            },
            why: "test".to_owned(),
            changes: vec![FieldChange { pointer: pointer.to_owned(), from: None, to: Some(to.into()) }],
            cost: Cost::NoRestart,
            intended: None,
        });
        plan
    }

    #[test]
    fn a_change_that_comes_back_at_once_is_held_back_and_named() {
        let mut unkept = Unkept::default();
        unkept.done(&plan("/TaskTemplate/New", "1"), None);
        for _ in 0..3 {
            let mut again = plan("/TaskTemplate/New", "1");
            unkept.hold_back(&mut again, None);
            assert!(again.steps.is_empty());
            assert!(
                matches!(&again.blocked[..], [Blocked::NotKept { pointers, .. }] if pointers == &["/TaskTemplate/New"])
            );
            unkept.kept(&key());
        }
    }

    #[test]
    fn another_change_of_the_same_object_goes_through() {
        let mut unkept = Unkept::default();
        unkept.done(&plan("/TaskTemplate/New", "1"), None);
        let mut other = plan("/TaskTemplate/New", "2");
        unkept.hold_back(&mut other, None);
        assert_eq!((other.steps.len(), other.blocked.len()), (1, 0));
    }

    #[test]
    fn drift_that_returns_after_it_was_corrected_is_corrected_again() {
        let mut unkept = Unkept::default();
        unkept.done(&plan("/Labels/a", "1"), None);
        unkept.kept(&key());
        let mut again = plan("/Labels/a", "1");
        unkept.hold_back(&mut again, None);
        assert_eq!(again.steps.len(), 1);
    }
}
