//! How Skep stands to the drift of one resource: policy, pause and history, resolved for one moment.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use skep_schemas::kind::{DriftMode, DriftPolicySpec};
use skep_schemas::{FieldPointer, Pause};

use super::{Drift, DriftClass, Response};
use crate::blocked::Blocked;
use crate::inventory::ObjectRef;
use crate::plan::Plan;

/// After how many corrections of the same field within [`FIGHT_WINDOW`] somebody else is taken to be setting it on purpose. One may
/// be a slip, two a person who did not notice, three a script that is about to end; a fourth will be followed by a fifth.
pub const CONTESTED_AFTER: u32 = 4;
/// Corrections within this time count together: longer than any retry loop's pause, shorter than a working day's slips.
pub const FIGHT_WINDOW: SignedDuration = SignedDuration::from_mins(10);

/// How often a field was corrected of late, by object and pointer.
pub type Corrections = BTreeMap<(ObjectRef, String), u32>;

/// How Skep stands to the drift of one resource now.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stance {
    /// What is done about a difference.
    pub mode: DriftMode,
    /// Fields that are left to others.
    pub ignored: Vec<FieldPointer>,
    /// What was paused and how, if anything was: the resource itself, or one that it is part of.
    pub pause: Option<(String, Pause)>,
    /// Corrections within the window, those before the last retry left out.
    pub corrections: Corrections,
    /// Fields that were given up and still differ: they stay so however long ago the corrections were.
    pub given_up: Vec<(ObjectRef, String)>,
    /// Is any difference noted as standing, so that its end must be noted?
    pub standing: bool,
}

impl Stance {
    /// A stance without a history.
    pub fn of_policy(policy: Option<&DriftPolicySpec>) -> Self {
        let policy = policy.cloned().unwrap_or_default();
        Self { mode: policy.mode, ignored: policy.ignore, ..Self::default() }
    }

    /// What is done about a difference of this field.
    pub fn response(&self, object: &ObjectRef, pointer: &str) -> Response {
        if self.ignored.iter().any(|ignored| ignored.covers(pointer)) {
            return Response::Ignore;
        }
        let field = (object.clone(), pointer.to_owned());
        let rounds = self.corrections.get(&field).copied().unwrap_or(0);
        match self.mode {
            DriftMode::Ignore => Response::Ignore,
            DriftMode::Report => Response::Report,
            DriftMode::Correct if self.pause.is_some() => Response::Paused,
            DriftMode::Correct if rounds >= CONTESTED_AFTER || self.given_up.contains(&field) => {
                Response::GiveUp
            }
            DriftMode::Correct => Response::Correct,
        }
    }

    /// Notes that an object as a whole is not as it should be. Is it to be put right?
    pub fn note(
        &self,
        plan: &mut Plan,
        object: &ObjectRef,
        class: DriftClass,
        desired: Option<&str>,
        live: Option<&str>,
    ) -> bool {
        let response = self.response(object, "");
        plan.drift.push(Drift::of_object(object, class, desired, live, response));
        if response == Response::GiveUp {
            plan.blocked.push(self.contested(object, vec![String::new()]));
        }
        response == Response::Correct
    }

    /// A fight over fields of one object.
    pub(crate) fn contested(&self, object: &ObjectRef, pointers: Vec<String>) -> Blocked {
        let rounds = |pointer: &String| self.corrections.get(&(object.clone(), pointer.clone())).copied();
        let rounds = pointers.iter().filter_map(rounds).max().unwrap_or(0);
        let pointers = pointers
            .into_iter()
            .map(|pointer| if pointer.is_empty() { "the existence".to_owned() } else { pointer })
            .collect();
        Blocked::Contested { object: object.to_string(), pointers, rounds }
    }

    /// Takes out of a plan what a pause forbids, and says so if that was more than putting drift right.
    pub fn hold(&self, plan: &mut Plan) {
        let Some((resource, pause)) = &self.pause else { return };
        let wanted = plan.release.is_some() || !plan.steps.is_empty() || plan.finalized;
        plan.release = None;
        plan.phase = None;
        plan.steps.clear();
        plan.finalized = false;
        if wanted {
            plan.blocked.push(Blocked::Paused {
                resource: resource.clone(),
                by: pause.by.clone(),
                why: pause.reason.clone(),
                until: pause.until,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::ObjectKind;

    fn object() -> ObjectRef {
        ObjectRef::new(ObjectKind::Service, "acme_shop_web")
    }

    #[test]
    fn a_field_that_is_left_to_others_is_ignored_in_every_mode() {
        for mode in [DriftMode::Correct, DriftMode::Report, DriftMode::Ignore] {
            let stance = Stance { mode, ignored: vec!["/Labels".parse().unwrap()], ..Stance::default() };
            assert_eq!(stance.response(&object(), "/Labels/team"), Response::Ignore);
        }
    }

    #[test]
    fn a_field_that_was_corrected_again_and_again_is_given_up_and_its_neighbours_are_not() {
        let mut stance = Stance::default();
        stance.corrections.insert((object(), "/Labels/a".to_owned()), CONTESTED_AFTER);
        assert_eq!(stance.response(&object(), "/Labels/a"), Response::GiveUp);
        assert_eq!(stance.response(&object(), "/Labels/b"), Response::Correct);
    }

    #[test]
    fn what_was_given_up_stays_so_when_the_window_has_passed() {
        let stance = Stance { given_up: vec![(object(), "/Labels/a".to_owned())], ..Stance::default() };
        assert_eq!(stance.response(&object(), "/Labels/a"), Response::GiveUp);
    }
}
