//! A service of Skep's own beside those of tenants: the anchor of a network, the forwarder of a link.
//!
//! It is made when it is not there and kept as it should be, with the same regard for who else changes it as everything that is made. It has no
//! release, so nothing of it is ever rolled back or returned to; services of environments have more to think of (`environment/services.rs`).

use super::Mode;
use crate::blocked::Blocked;
use crate::drift::{self, DriftClass, ServiceSides, Stance};
use crate::inventory::{self, InventoryEntry, ObjectRef};
use crate::plan::Plan;
use crate::pull::PullAs;
use crate::step::{Cost, Op, Step};
use crate::swarm::{Service, ServiceSpec};
use crate::{diff, health};

/// What is known of it beside the service itself.
pub(super) struct OwnService<'a> {
    /// How Skep stands to drift of whose it is.
    pub(super) stance: &'a Stance,
    /// What was made for whose it is.
    pub(super) inventory: &'a [InventoryEntry],
    /// To be carried out, or only shown.
    pub(super) mode: Mode,
    /// How many tasks it has.
    pub(super) tasks: u64,
    /// Why it is made.
    pub(super) made: &'static str,
    /// Why it is made again after it was removed.
    pub(super) made_again: &'static str,
    /// Why it is changed, if nobody else changed it.
    pub(super) changed: &'static str,
}

impl OwnService<'_> {
    /// The step that makes it, unless it was removed by somebody and is to stay so.
    pub(super) fn create(&self, object: ObjectRef, spec: ServiceSpec, plan: &mut Plan) {
        let gone = inventory::was_there(self.inventory, &object);
        if gone && !self.stance.note(plan, &object, DriftClass::Missing, Some("present"), None) {
            return;
        }
        let why = if gone { self.made_again } else { self.made };
        let op = Op::CreateService { spec: Box::new(spec), release: None, pull: PullAs::Nobody };
        plan.steps.push(Step::new(object, op, why, Cost::Create));
    }

    /// The step that makes the live one what is asked for, if anything differs.
    pub(super) fn update(&self, object: ObjectRef, live: &Service, mut spec: ServiceSpec, plan: &mut Plan) {
        // Restarted by hand: setting the counter back would restart it again.
        spec.task_template.force_update = live.spec.task_template.force_update;
        let entry = inventory::entry(self.inventory, &object);
        drift::replaced(&object, live, entry, plan);
        // It follows from nothing that has releases, so whatever was sent before stands.
        let applied = entry.and_then(|entry| entry.applied.as_deref());
        let sides = ServiceSides { object: &object, live, entry, applied, desired: &spec };
        let Some(change) = drift::service(self.stance, sides, plan) else { return };
        // Written to in the middle of its roll-out, it would lose the task that runs for one that may never run.
        let on_trial = health::is_rolling(live) && self.mode == Mode::Act;
        if on_trial && !change.changes.iter().any(diff::concerns_tasks) {
            plan.blocked.push(Blocked::UpdateInProgress { object: object.to_string() });
            return;
        }
        let cost = diff::cost(&change.changes, self.tasks, self.tasks, self.tasks, 0);
        let why = if change.only_drift { "somebody else changed it" } else { self.changed };
        plan.steps.push(change.into_step(sides, None, PullAs::Nobody, why.to_owned(), cost));
    }
}
