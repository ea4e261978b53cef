//! Removing what an organisation has in the Swarm: backwards, and only what is ours.

use std::collections::BTreeSet;

use super::{EdgeTask, Pass};
use crate::blocked::Blocked;
use crate::drift::DriftClass;
use crate::inventory::{InventoryEntry, ObjectKind, ObjectRef};
use crate::naming;
use crate::observed::Observed;
use crate::step::{Cost, Op, Step};

const WHY: &str = "the organisation is being deleted";

impl Pass<'_> {
    pub(super) fn remove(&mut self) {
        if self.dismantle(WHY, self.desired.dependents) {
            self.plan.finalized = true;
        }
    }

    /// Takes away what the organisation has in the Swarm, backwards, as soon as the so many resources that need it are gone. Is nothing
    /// left?
    pub(super) fn dismantle(&mut self, why: &str, dependents: u64) -> bool {
        let network = match &self.observed.network {
            Observed::Present(network) => Some(network),
            Observed::Absent => None,
            Observed::Unknown { why } => {
                self.unobserved("the organisation's network", &why.clone());
                return false;
            }
        };
        let edge_tasks = match &self.observed.edge {
            Observed::Present(edge) => edge.tasks.as_slice(),
            Observed::Absent => &[],
            Observed::Unknown { why } => {
                self.unobserved("the edge", &why.clone());
                return false;
            }
        };
        let anchor = match &self.observed.anchor {
            Observed::Present(anchor) => Some(anchor),
            Observed::Absent => None,
            Observed::Unknown { why } => {
                self.unobserved("the anchor", &why.clone());
                return false;
            }
        };
        let network = network.filter(|network| self.owns_network(network));
        let anchor = anchor.filter(|anchor| self.owns_anchor(anchor));
        let attached: Vec<&EdgeTask> = edge_tasks.iter().filter(|task| task.address.is_some()).collect();
        if let Some(network) = network {
            for task in &attached {
                let object = ObjectRef::new(ObjectKind::EdgeAttachment, task.container.as_str());
                let op =
                    Op::DisconnectEdge { network: network.id.clone(), container: task.container.clone() };
                self.plan.steps.push(Step::new(object, op, why, Cost::Delete));
            }
        }
        if dependents > 0 {
            let who = format!("{dependents} resources of the organisation");
            self.plan.blocked.push(Blocked::WaitingForDependents { who });
            return false;
        }
        match &self.observed.links {
            Observed::Present(0) | Observed::Absent => {}
            Observed::Present(links) => {
                let who = format!("{links} links with other organisations");
                self.plan.blocked.push(Blocked::WaitingForDependents { who });
                return false;
            }
            Observed::Unknown { why } => {
                self.unobserved("the links with other organisations", &why.clone());
                return false;
            }
        }
        if let Some(anchor) = anchor {
            let object = ObjectRef::new(ObjectKind::Service, &anchor.spec.name);
            let op = Op::RemoveService { id: anchor.id.clone() };
            self.plan.steps.push(Step::new(object, op, why, Cost::Delete));
            return false;
        }
        if self.observed.anchor_tasks > 0 {
            let object = format!("network {}", naming::network(&self.desired.org));
            self.plan
                .blocked
                .push(Blocked::StillInUse { object, by: "tasks of its anchor that are ending".to_owned() });
            return false;
        }
        match network {
            Some(network) if attached.is_empty() => {
                let object = ObjectRef::new(ObjectKind::Network, &network.name);
                let op = Op::RemoveNetwork { id: network.id.clone() };
                self.plan.steps.push(Step::new(object, op, why, Cost::Delete));
            }
            Some(_) => {}
            None => return true,
        }
        false
    }

    /// Entries whose objects are certainly gone.
    pub(super) fn forget(&mut self) {
        let edge_tasks = match &self.observed.edge {
            Observed::Present(edge) => edge.tasks.as_slice(),
            Observed::Absent => &[],
            Observed::Unknown { .. } => return,
        };
        // Absent, or of that name and not ours: either way ours is gone.
        let network_gone = match &self.observed.network {
            Observed::Present(network) => !self.owns_network(network),
            Observed::Absent => true,
            Observed::Unknown { .. } => false,
        };
        let anchor_gone = match &self.observed.anchor {
            Observed::Present(anchor) => !self.owns_anchor(anchor),
            Observed::Absent => true,
            Observed::Unknown { .. } => false,
        };
        // What is wanted and missing is remembered, so that it still counts as missing when it may be made again.
        let missing = self.plan.drift.iter().filter(|drift| drift.class == DriftClass::Missing);
        let making: BTreeSet<&ObjectRef> = self
            .plan
            .steps
            .iter()
            .filter(|step| step.op.creates())
            .map(|step| &step.object)
            .chain(missing.map(|drift| &drift.object))
            .collect();
        let gone = |entry: &&InventoryEntry| match entry.object.kind {
            ObjectKind::Network => network_gone,
            ObjectKind::Service => anchor_gone,
            ObjectKind::EdgeAttachment => {
                let task = edge_tasks.iter().find(|task| task.container.as_str() == entry.object.name);
                network_gone || task.is_none_or(|task| task.address.is_none())
            }
            ObjectKind::Secret | ObjectKind::Run => false,
        };
        let forget = self.desired.inventory.iter().filter(gone).map(|entry| &entry.object);
        self.plan.forget = forget.filter(|object| !making.contains(object)).cloned().collect();
    }
}
