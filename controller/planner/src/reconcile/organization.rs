//! Organization: its overlay network, the anchor that keeps it present at the edge, and the edge tasks connected to it.
//!
//! Making: network, then anchor, then one connection per edge task. Connections are lost whenever an edge task is replaced and are
//! made again from what is observed; the proxy itself is never restarted. Removing runs backwards, because a network that is
//! deleted while an edge task is still connected leaves an undeletable remnant on that node (tried on 20.10 and 26.1): connections
//! first, then everything in the organisation, then the anchor, then the network.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use jiff::Timestamp;
use skep_schemas::kind::{EdgeStatus, NetworkStatus, OrganizationDetail, OrganizationSpec, Status};
use skep_schemas::{OrgName, Reason, Resource};

use super::conditions::Conditions;
use super::{Assessment, Mode, RECHECK_WAITING};
use crate::blocked::Blocked;
use crate::inventory::{InventoryEntry, ObjectKind, ObjectRef};
use crate::observed::Observed;
use crate::plan::Plan;
use crate::settings::{OrgSubnet, Settings};
use crate::step::{Cost, Op, Step};
use crate::swarm::{ContainerId, Network, NetworkId, Service};
use crate::{diff, naming, normalize, render};

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
    /// What was made for it.
    pub inventory: Vec<InventoryEntry>,
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
    fn make(&mut self) {
        let Some(network) = self.network() else { return };
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
        let (meta, org) = (&self.desired.organization.meta, &self.desired.org);
        match &self.observed.network {
            Observed::Present(network)
                if naming::is_owned_by(&network.labels, &self.settings.instance, meta.uid) =>
            {
                return Some(network.id.clone());
            }
            Observed::Present(network) => {
                self.plan
                    .blocked
                    .push(Blocked::ForeignObject { object: format!("network {}", network.name) });
            }
            Observed::Unknown { why } => self.unobserved("the organisation's network", &why.clone()),
            Observed::Absent => match self.desired.subnet {
                None => self.plan.blocked.push(Blocked::NetworkPoolExhausted),
                Some(subnet) => {
                    let spec =
                        render::network_spec(&self.settings.instance, org, &meta.key, meta.uid, subnet);
                    self.plan.steps.push(Step {
                        object: ObjectRef::new(ObjectKind::Network, naming::network(org)),
                        op: Op::CreateNetwork { spec: Box::new(spec) },
                        why: format!("the organisation has no network yet; it gets {subnet}"),
                        changes: Vec::new(),
                        cost: Cost::Create,
                    });
                    return match self.mode {
                        Mode::Act => None,
                        Mode::Preview => Some(NetworkId::new(naming::network(org))),
                    };
                }
            },
        }
        None
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
        match &self.observed.anchor {
            Observed::Unknown { why } => self.unobserved("the anchor", &why.clone()),
            Observed::Absent => self.plan.steps.push(Step {
                object,
                op: Op::CreateService { spec: Box::new(spec), release: None },
                why: "keeps the organisation's network present where the edge runs".to_owned(),
                changes: Vec::new(),
                cost: Cost::Create,
            }),
            Observed::Present(live)
                if !naming::is_owned_by(&live.spec.labels, &self.settings.instance, meta.uid) =>
            {
                self.plan.blocked.push(Blocked::ForeignObject { object: object.to_string() });
            }
            Observed::Present(live) => {
                // A restart by hand is no reason for another one.
                let mut spec = spec;
                spec.task_template.force_update = live.spec.task_template.force_update;
                let changes = diff::changes(&normalize::service(&live.spec), &normalize::service(&spec));
                if !changes.is_empty() {
                    let tasks = self.observed.anchor_tasks;
                    self.plan.steps.push(Step {
                        object,
                        op: Op::UpdateService {
                            id: live.id.clone(),
                            version: live.version,
                            spec: Box::new(spec),
                            release: None,
                        },
                        why: "the anchor is not as it should be".to_owned(),
                        cost: diff::cost(&changes, tasks, tasks, tasks, 0),
                        changes,
                    });
                }
            }
        }
    }

    fn connect(&mut self, network: &NetworkId, edge: &Edge) {
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
            self.plan.steps.push(Step {
                object: ObjectRef::new(ObjectKind::EdgeAttachment, task.container.as_str()),
                op: Op::ConnectEdge { network: network.clone(), container: task.container.clone(), address },
                why: format!("the edge task has to reach the organisation's services; it gets {address}"),
                changes: Vec::new(),
                cost: Cost::Create,
            });
        }
    }

    fn entry(&self, task: &EdgeTask) -> Option<&InventoryEntry> {
        let wanted = |entry: &&InventoryEntry| {
            entry.object.kind == ObjectKind::EdgeAttachment && entry.object.name == task.container.as_str()
        };
        self.desired.inventory.iter().find(wanted)
    }

    fn remove(&mut self) {
        let network = match &self.observed.network {
            Observed::Present(network) => Some(network),
            Observed::Absent => None,
            Observed::Unknown { why } => return self.unobserved("the organisation's network", &why.clone()),
        };
        let edge_tasks = match &self.observed.edge {
            Observed::Present(edge) => edge.tasks.as_slice(),
            Observed::Absent => &[],
            Observed::Unknown { why } => return self.unobserved("the edge", &why.clone()),
        };
        let anchor = match &self.observed.anchor {
            Observed::Present(anchor) => Some(anchor),
            Observed::Absent => None,
            Observed::Unknown { why } => return self.unobserved("the anchor", &why.clone()),
        };
        let ours =
            |labels| naming::is_owned_by(labels, &self.settings.instance, self.desired.organization.meta.uid);
        let network = network.filter(|network| ours(&network.labels));
        let anchor = anchor.filter(|anchor| ours(&anchor.spec.labels));
        let attached: Vec<&EdgeTask> = edge_tasks.iter().filter(|task| task.address.is_some()).collect();
        if let Some(network) = network {
            for task in &attached {
                self.plan.steps.push(Step {
                    object: ObjectRef::new(ObjectKind::EdgeAttachment, task.container.as_str()),
                    op: Op::DisconnectEdge { network: network.id.clone(), container: task.container.clone() },
                    why: "the organisation is being deleted".to_owned(),
                    changes: Vec::new(),
                    cost: Cost::Delete,
                });
            }
        }
        if self.desired.dependents > 0 {
            let who = format!("{} resources of the organisation", self.desired.dependents);
            self.plan.blocked.push(Blocked::WaitingForDependents { who });
            return;
        }
        if let Some(anchor) = anchor {
            self.plan.steps.push(Step {
                object: ObjectRef::new(ObjectKind::Service, &anchor.spec.name),
                op: Op::RemoveService { id: anchor.id.clone() },
                why: "the organisation is being deleted".to_owned(),
                changes: Vec::new(),
                cost: Cost::Delete,
            });
            return;
        }
        if self.observed.anchor_tasks > 0 {
            let object = format!("network {}", naming::network(&self.desired.org));
            self.plan
                .blocked
                .push(Blocked::StillInUse { object, by: "tasks of its anchor that are ending".to_owned() });
            return;
        }
        match network {
            Some(network) if attached.is_empty() => self.plan.steps.push(Step {
                object: ObjectRef::new(ObjectKind::Network, &network.name),
                op: Op::RemoveNetwork { id: network.id.clone() },
                why: "the organisation is being deleted".to_owned(),
                changes: Vec::new(),
                cost: Cost::Delete,
            }),
            Some(_) => {}
            None => self.plan.finalized = true,
        }
    }

    /// Entries whose objects are certainly gone.
    fn forget(&mut self) {
        let uid = self.desired.organization.meta.uid;
        let ours = |labels| naming::is_owned_by(labels, &self.settings.instance, uid);
        let edge_tasks = match &self.observed.edge {
            Observed::Present(edge) => edge.tasks.as_slice(),
            Observed::Absent => &[],
            Observed::Unknown { .. } => return,
        };
        // Absent, or of that name and not ours: either way ours is gone.
        let network_gone = match &self.observed.network {
            Observed::Present(network) => !ours(&network.labels),
            Observed::Absent => true,
            Observed::Unknown { .. } => false,
        };
        let anchor_gone = match &self.observed.anchor {
            Observed::Present(anchor) => !ours(&anchor.spec.labels),
            Observed::Absent => true,
            Observed::Unknown { .. } => false,
        };
        let making: BTreeSet<&ObjectRef> =
            self.plan.steps.iter().filter(|step| step.op.creates()).map(|step| &step.object).collect();
        let gone = |entry: &&InventoryEntry| match entry.object.kind {
            ObjectKind::Network => network_gone,
            ObjectKind::Service => anchor_gone,
            ObjectKind::EdgeAttachment => {
                let task = edge_tasks.iter().find(|task| task.container.as_str() == entry.object.name);
                network_gone || task.is_none_or(|task| task.address.is_none())
            }
            ObjectKind::Secret => false,
        };
        let forget = self.desired.inventory.iter().filter(gone).map(|entry| &entry.object);
        self.plan.forget = forget.filter(|object| !making.contains(object)).cloned().collect();
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
    let network = observed.network.present().zip(desired.subnet);
    let edges = observed.edge.present().into_iter().flat_map(|edge| &edge.tasks);
    let detail = OrganizationDetail {
        network: network.map(|(network, subnet)| NetworkStatus {
            name: network.name.clone(),
            subnet: subnet.to_string(),
        }),
        edges: edges
            .filter_map(|task| {
                Some(EdgeStatus { container: task.container.to_string(), address: task.address? })
            })
            .collect(),
    };
    let status = Status {
        observed_generation: meta.generation,
        observed_revision: meta.revision,
        conditions: conditions.into_vec(),
        detail,
    };
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
            edge: Observed::Unknown { why: why.to_owned() },
        }
    }
}
