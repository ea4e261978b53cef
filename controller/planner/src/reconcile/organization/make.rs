//! Making an organisation, and keeping it so: network, then anchor, then one connection per edge task.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::{Edge, EdgeTask, Pass};
use crate::blocked::Blocked;
use crate::drift::{Drift, DriftClass};
use crate::inventory::{self, InventoryEntry, ObjectKind, ObjectRef};
use crate::observed::Observed;
use crate::plan::Learned;
use crate::reconcile::Mode;
use crate::reconcile::own_service::OwnService;
use crate::settings::OrgSubnet;
use crate::step::{Cost, Op, Step};
use crate::swarm::{Network, NetworkId};
use crate::{diff, naming, render};

/// What an anchor is for.
const ANCHORS: &str = "keeps the organisation's network present where the edge runs";

impl Pass<'_> {
    pub(super) fn make(&mut self) {
        let Some(network) = self.network() else { return };
        if self.is_made_anew() {
            return;
        }
        let edge = match &self.observed.edge {
            Observed::Present(edge) => edge,
            // Without an edge there is nothing to anchor for; domains say that they are not served.
            Observed::Absent => return,
            Observed::Unknown { why } => return self.unobserved("the edge", why),
        };
        self.anchor(&network, edge);
        self.connect(&network, edge);
    }

    /// The network, if it is there already; otherwise it is made first.
    fn network(&mut self) -> Option<NetworkId> {
        let object = ObjectRef::new(ObjectKind::Network, naming::network(&self.desired.org));
        match &self.observed.network {
            Observed::Present(network) if self.owns_network(network) => {
                self.compare_network(&object, network);
                Some(network.id.clone())
            }
            Observed::Present(network) => {
                self.plan.drift.push(Drift::foreign(&object, network.id.as_str()));
                self.plan.blocked.push(Blocked::ForeignObject { object: object.to_string() });
                None
            }
            Observed::Unknown { why } => {
                self.unobserved("the organisation's network", &why.clone());
                None
            }
            Observed::Absent => self.create_network(object),
        }
    }

    fn create_network(&mut self, object: ObjectRef) -> Option<NetworkId> {
        let (meta, org) = (&self.desired.organization.meta, &self.desired.org);
        let Some(subnet) = self.desired.subnet else {
            self.plan.blocked.push(Blocked::NetworkPoolExhausted);
            return None;
        };
        let gone = inventory::was_there(&self.desired.inventory, &object);
        let stance = &self.desired.stance;
        if gone && !stance.note(&mut self.plan, &object, DriftClass::Missing, Some("present"), None) {
            return None;
        }
        let why = if gone {
            format!("somebody removed it; it gets {subnet} again")
        } else {
            format!("the organisation has no network yet; it gets {subnet}")
        };
        let rules = self.desired.network;
        let spec = render::network_spec(&self.settings.instance, org, &meta.key, meta.uid, subnet, rules);
        let op = Op::CreateNetwork { spec: Box::new(spec) };
        self.plan.steps.push(Step::new(object, op, why, Cost::Create));
        match self.mode {
            Mode::Act => None,
            Mode::Preview => Some(NetworkId::new(naming::network(org))),
        }
    }

    /// Nothing of a network can be changed, so a network that differs was put there in place of ours, or was adopted. What differs
    /// is reported; it is put right only by removing and making it anew, and only while nothing is on it: that is not tried behind
    /// running services.
    fn compare_network(&mut self, object: &ObjectRef, network: &Network) {
        let entry = inventory::entry(&self.desired.inventory, object);
        match entry.and_then(|entry| entry.id.as_deref()) {
            Some(known) if known == network.id.as_str() => {}
            known => {
                let drift = known.map(|known| Drift::replaced(object, known, network.id.as_str()));
                self.plan.drift.extend(drift);
                let learned = Learned {
                    object: object.clone(),
                    id: network.id.to_string(),
                    applied: None,
                    address: None,
                };
                self.plan.learned.push(learned);
            }
        }
        let Some(subnet) = self.desired.subnet else { return };
        self.report_network(object, network, subnet);
    }

    fn report_network(&mut self, object: &ObjectRef, network: &Network, subnet: OrgSubnet) {
        let meta = &self.desired.organization.meta;
        let rules = self.rules_for(network);
        let (instance, org) = (&self.settings.instance, &self.desired.org);
        let wanted = render::network_spec(instance, org, &meta.key, meta.uid, subnet, rules);
        for change in diff::network(network, &wanted) {
            let response = self.desired.stance.response(object, &change.pointer).unless_corrected();
            self.plan.drift.push(Drift::of_field(object, DriftClass::Modified, &change, response));
        }
    }

    fn anchor(&mut self, network: &NetworkId, edge: &Edge) {
        let (meta, org) = (&self.desired.organization.meta, &self.desired.org);
        let spec = render::anchor_spec(
            &self.settings.instance,
            org,
            &meta.key,
            meta.uid,
            network,
            &self.settings.edge.anchor,
            &edge.constraints,
        );
        let object = ObjectRef::new(ObjectKind::Service, &spec.name);
        let anchor = OwnService {
            stance: &self.desired.stance,
            inventory: &self.desired.inventory,
            mode: self.mode,
            tasks: self.observed.anchor_tasks,
            made: ANCHORS,
            made_again: ANCHORS,
            changed: "the anchor is not as it should be",
        };
        match &self.observed.anchor {
            Observed::Unknown { why } => self.unobserved("the anchor", &why.clone()),
            Observed::Absent => anchor.create(object, spec, &mut self.plan),
            Observed::Present(live) if self.owns_anchor(live) => {
                anchor.update(object, live, spec, &mut self.plan);
            }
            Observed::Present(live) => {
                self.plan.drift.push(Drift::foreign(&object, live.id.as_str()));
                self.plan.blocked.push(Blocked::ForeignObject { object: object.to_string() });
            }
        }
    }

    fn connect(&mut self, network: &NetworkId, edge: &Edge) {
        self.learn_connected(edge);
        let waiting: Vec<&EdgeTask> = edge.tasks.iter().filter(|task| task.address.is_none()).collect();
        if waiting.is_empty() {
            return;
        }
        // A network that is not on the node cannot be connected to (404 from the engine).
        if self.mode == Mode::Act && !self.observed.anchor_here {
            self.plan.blocked.push(Blocked::DependencyNotReady {
                resource: format!("service {}", naming::anchor(&self.desired.org)),
                why: "its task has to bring the network to the edge's node".to_owned(),
            });
            return;
        }
        let Some(subnet) = self.desired.subnet else { return };
        let mut taken: BTreeSet<Ipv4Addr> =
            self.desired.inventory.iter().filter_map(|entry| entry.address).collect();
        taken.extend(edge.tasks.iter().filter_map(|task| task.address));
        for task in waiting {
            let recorded = self.entry(task).and_then(|entry| entry.address);
            let Some(address) =
                recorded.or_else(|| subnet.edge_addresses().find(|address| !taken.contains(address)))
            else {
                self.plan.blocked.push(Blocked::EdgeAddressesExhausted { subnet: subnet.to_string() });
                return;
            };
            taken.insert(address);
            let object = ObjectRef::new(ObjectKind::EdgeAttachment, task.container.as_str());
            let gone = inventory::was_there(&self.desired.inventory, &object);
            let wanted = address.to_string();
            let stance = &self.desired.stance;
            if gone && !stance.note(&mut self.plan, &object, DriftClass::Missing, Some(&wanted), None) {
                continue;
            }
            let op = Op::ConnectEdge { network: network.clone(), container: task.container.clone(), address };
            let why = format!("the edge task has to reach the organisation's services; it gets {address}");
            self.plan.steps.push(Step::new(object, op, why, Cost::Create));
        }
    }

    /// Connections that were made by a call whose answer nobody got, or that a look at an older state made us forget: from now on it
    /// counts as drift if one is missing.
    fn learn_connected(&mut self, edge: &Edge) {
        for task in edge.tasks.iter().filter(|task| task.address.is_some()) {
            let object = ObjectRef::new(ObjectKind::EdgeAttachment, task.container.as_str());
            let known = |entry: &InventoryEntry| entry.object == object && entry.id.is_some();
            // A task that had the address before is forgotten first.
            let taken = |entry: &InventoryEntry| entry.object != object && entry.address == task.address;
            if self.desired.inventory.iter().any(|entry| known(entry) || taken(entry)) {
                continue;
            }
            let (id, address) = (task.container.to_string(), task.address);
            self.plan.learned.push(Learned { object, id, applied: None, address });
        }
    }

    fn entry(&self, task: &EdgeTask) -> Option<&InventoryEntry> {
        let wanted = |entry: &&InventoryEntry| {
            entry.object.kind == ObjectKind::EdgeAttachment && entry.object.name == task.container.as_str()
        };
        self.desired.inventory.iter().find(wanted)
    }
}
