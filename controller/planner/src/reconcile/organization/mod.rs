//! Organization: its overlay network, the anchor that keeps it present at the edge, and the edge tasks connected to it.
//!
//! Making: network, then anchor, then one connection per edge task. Connections are lost whenever an edge task is replaced and are
//! made again from what is observed; the proxy itself is never restarted. Removing runs backwards, because a network that is
//! deleted while an edge task is still connected leaves an undeletable remnant on that node (tried on 20.10 and 26.1): connections
//! first, then everything in the organisation, then the anchor, then the network. A network that its plan wants otherwise goes the
//! same way, as soon as nothing is on it, and is then made anew.

mod make;
mod outdated;
mod remove;

use std::net::Ipv4Addr;

use jiff::Timestamp;
use skep_schemas::kind::{
    EdgeStatus, NetworkRules, NetworkStatus, OrganizationDetail, OrganizationSpec, Status,
};
use skep_schemas::{ConditionKind, ConditionStatus, OrgName, Reason, Resource};

use super::conditions::Conditions;
use super::{Assessment, Mode, RECHECK_WAITING};
use crate::blocked::Blocked;
use crate::drift::{Drift, DriftClass, Stance};
use crate::inventory::{InventoryEntry, ObjectKind, ObjectRef};
use crate::observed::Observed;
use crate::plan::Plan;
use crate::settings::{OrgSubnet, Settings};
use crate::swarm::{ContainerId, Labels, Network, Service};
use crate::{inventory, naming};

/// What the store knows about an organisation.
#[derive(Debug, Clone, PartialEq)]
pub struct OrganizationDesired {
    /// The resource.
    pub organization: Resource<OrganizationSpec>,
    /// Its name, as what it is.
    pub org: OrgName,
    /// The subnet that is allocated to it; `None` when the pool is exhausted.
    pub subnet: Option<OrgSubnet>,
    /// How many resources it still has.
    pub dependents: u64,
    /// How many of them are environments, whose tasks are on its network.
    pub environments: u64,
    /// What its plan says of its network.
    pub network: NetworkRules,
    /// What was made for it.
    pub inventory: Vec<InventoryEntry>,
    /// How Skep stands to drift of it.
    pub stance: Stance,
}

impl OrganizationDesired {
    /// May its network have to go, so that it matters who is on it?
    pub const fn may_dismantle(&self) -> bool {
        self.organization.meta.is_deleting() || self.environments == 0
    }
}

/// What the engine says.
#[derive(Debug, Clone, PartialEq)]
pub struct OrganizationObservation {
    /// The network of its name.
    pub network: Observed<Network>,
    /// The service of its anchor's name.
    pub anchor: Observed<Service>,
    /// Does a task of the anchor run on the engine that Skep talks to, so that the network exists there?
    pub anchor_here: bool,
    /// Does any task of the anchor still exist?
    pub anchor_tasks: u64,
    /// How many forwarders of links are on its network, its own and those of others. Looked at only where the network may have to go.
    pub links: Observed<u64>,
    /// The proxy at the edge.
    pub edge: Observed<Edge>,
}

/// The proxy at the edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Where its tasks may run.
    pub constraints: Vec<String>,
    /// Its running tasks on the engine that Skep talks to.
    pub tasks: Vec<EdgeTask>,
}

/// One running task of the edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeTask {
    /// Its container.
    pub container: ContainerId,
    /// Its address on the organisation's network, if it is connected.
    pub address: Option<Ipv4Addr>,
}

/// What to do for an organisation.
pub fn plan(settings: &Settings, desired: &OrganizationDesired, observed: &OrganizationObservation) -> Plan {
    plan_in(Mode::Act, settings, desired, observed)
}

/// What would be done for an organisation until nothing is left to do: what an earlier step makes is taken for granted by the
/// later ones, and is named instead of identified. `desired.subnet` is the subnet that it would get.
pub fn preview(
    settings: &Settings,
    desired: &OrganizationDesired,
    observed: &OrganizationObservation,
) -> Plan {
    plan_in(Mode::Preview, settings, desired, observed)
}

fn plan_in(
    mode: Mode,
    settings: &Settings,
    desired: &OrganizationDesired,
    observed: &OrganizationObservation,
) -> Plan {
    let meta = &desired.organization.meta;
    let plan = Plan::empty(meta.key.clone(), meta.uid, meta.generation);
    let mut pass = Pass { mode, settings, desired, observed, plan };
    if meta.is_deleting() {
        pass.remove()
    } else {
        pass.make()
    }
    pass.forget();
    desired.stance.hold(&mut pass.plan);
    pass.plan
}

struct Pass<'a> {
    mode: Mode,
    settings: &'a Settings,
    desired: &'a OrganizationDesired,
    observed: &'a OrganizationObservation,
    plan: Plan,
}

impl Pass<'_> {
    /// Does it carry our labels, or is it the very network that was made or adopted?
    fn owns_network(&self, network: &Network) -> bool {
        let object = ObjectRef::new(ObjectKind::Network, naming::network(&self.desired.org));
        self.owns(&network.labels, &object, network.id.as_str())
    }

    /// Likewise for the anchor.
    fn owns_anchor(&self, anchor: &Service) -> bool {
        let object = ObjectRef::new(ObjectKind::Service, naming::anchor(&self.desired.org));
        self.owns(&anchor.spec.labels, &object, anchor.id.as_str())
    }

    fn owns(&self, labels: &Labels, object: &ObjectRef, id: &str) -> bool {
        naming::is_owned_by(labels, &self.settings.instance, self.desired.organization.meta.uid)
            || inventory::records(&self.desired.inventory, object, id)
    }

    fn unobserved(&mut self, what: &str, why: &str) {
        self.plan.blocked.push(Blocked::Unobserved { what: what.to_owned(), why: why.to_owned() });
    }
}

/// What to say about an organisation.
pub fn status(
    desired: &OrganizationDesired,
    observed: &OrganizationObservation,
    plan: &Plan,
    now: Timestamp,
) -> Assessment<OrganizationDetail> {
    let meta = &desired.organization.meta;
    let mut conditions = Conditions::new(&desired.organization.status, meta.generation, now);
    let mut recheck = Some(RECHECK_WAITING);
    conditions.drifted(plan);
    if let Some(suspension) = &meta.suspension {
        let message = format!("suspended {}: none of its environments run", suspension.in_words());
        conditions.state(ConditionKind::Stopped, ConditionStatus::True, Reason::Suspended, message);
    }
    if conditions.blocked(plan) {
        // said
    } else if meta.is_deleting() {
        conditions.progressing(Reason::Deleting, "its network is being removed");
    } else if plan.steps.is_empty() {
        recheck = None;
        conditions.ready("its network is there");
    } else {
        conditions.progressing(Reason::Applying, "its network is being set up");
    }
    let foreign =
        |drift: &Drift| drift.class == DriftClass::Foreign && drift.object.kind == ObjectKind::Network;
    let network = observed.network.present().filter(|_| !plan.drift.iter().any(foreign)).zip(desired.subnet);
    let edges = observed.edge.present().into_iter().flat_map(|edge| &edge.tasks);
    let detail = OrganizationDetail {
        network: network.map(|(network, subnet)| NetworkStatus {
            name: network.name.clone(),
            id: Some(network.id.to_string()),
            subnet: subnet.to_string(),
        }),
        edges: edges
            .filter_map(|task| {
                Some(EdgeStatus { container: task.container.to_string(), address: task.address? })
            })
            .collect(),
    };
    let status = Status::new(meta.generation, meta.revision, conditions.into_vec(), detail);
    Assessment { status, recheck }
}

impl OrganizationObservation {
    /// Nothing could be read.
    pub fn unknown(why: &str) -> Self {
        Self {
            network: Observed::Unknown { why: why.to_owned() },
            anchor: Observed::Unknown { why: why.to_owned() },
            anchor_here: false,
            anchor_tasks: 0,
            links: Observed::Unknown { why: why.to_owned() },
            edge: Observed::Unknown { why: why.to_owned() },
        }
    }
}
