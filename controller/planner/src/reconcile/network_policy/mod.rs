//! NetworkPolicy: the links that an organisation uses, each a forwarder of its own.
//!
//! A forwarder belongs to the policy that uses the link: the one whose network has the link's name. The policy that offers it has no object, and what
//! it says is told to the one that uses it as one fact, that the two agree ([`AgreedLink`]). Whatever ends the agreement, on either side, takes
//! the forwarder away; nothing of a tenant is restarted when a link comes or goes, because no network of its services changes.
//!
//! The networks of organisations are removed after their links ([`super::organization`]).

mod forwarders;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use skep_schemas::kind::{
    LinkDirection, LinkState, LinkStatus, LinkTarget, NetworkPolicyDetail, NetworkPolicySpec,
    OrganizationSpec, Status,
};
use skep_schemas::{OrgName, Reason, Resource, ResourceName, Uid};

use super::conditions::Conditions;
use super::{Assessment, Mode, RECHECK_PROGRESSING, RECHECK_WAITING};
use crate::blocked::Blocked;
use crate::drift::Stance;
use crate::inventory::{InventoryEntry, ObjectKind};
use crate::observed::Observed;
use crate::plan::Plan;
use crate::policy::isolation::Isolation;
use crate::render::EngineFeatures;
use crate::settings::{OrgSubnet, Settings};
use crate::swarm::{Network, Service, ServiceId, Task};
use crate::{health, naming};

/// What the store knows about a network policy.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkPolicyDesired {
    /// The resource.
    pub policy: Resource<NetworkPolicySpec>,
    /// Its organisation's name.
    pub org: OrgName,
    /// Its organisation.
    pub organization: Option<Resource<OrganizationSpec>>,
    /// The organisation's subnet.
    pub subnet: Option<OrgSubnet>,
    /// May the organisation have links at all?
    pub allowed: bool,
    /// The links that it uses and that the other side offers, by the name that they have here.
    pub agreed: BTreeMap<ResourceName, AgreedLink>,
    /// Who uses what it offers: the port, and the organisation in place of this one.
    pub used: BTreeSet<LinkTarget>,
    /// Environments that it offers ports of and that are not there.
    pub missing: BTreeSet<ResourceName>,
    /// What was made for it.
    pub inventory: Vec<InventoryEntry>,
    /// How Skep stands to drift of it.
    pub stance: Stance,
}

/// What is told of the other side of a link on which both agree.
#[derive(Debug, Clone, PartialEq)]
pub struct AgreedLink {
    /// The organisation that offers it.
    pub provider: Uid,
    /// The network that it says is its own, by the engine's id.
    pub network: Option<String>,
    /// The network's addresses; none before it has some.
    pub subnet: Option<OrgSubnet>,
    /// How it is kept apart, and so where the forwarder may run.
    pub isolation: Isolation,
}

/// What the engine says.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkPolicyObservation {
    /// What the engine can do.
    pub engine: Observed<EngineFeatures>,
    /// The networks of the organisation and of those on the other sides, by name.
    pub networks: BTreeMap<String, Observed<Network>>,
    /// The services of the names that its forwarders have or had.
    pub services: BTreeMap<String, Observed<Service>>,
    /// Their tasks.
    pub tasks: BTreeMap<ServiceId, Vec<Task>>,
}

impl NetworkPolicyDesired {
    /// The names of the services to look at: those of the links that there shall be, and those that were made.
    pub fn services_to_observe(&self) -> Vec<String> {
        let made = self.inventory.iter().filter(|entry| entry.object.kind == ObjectKind::Service);
        let made = made.map(|entry| entry.object.name.clone());
        let named = self.policy.spec.egress.iter().map(|rule| naming::forwarder(&self.org, &rule.alias));
        made.chain(named).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The names of the networks to look at.
    pub fn networks_to_observe(&self) -> Vec<String> {
        let of = |rule: &skep_schemas::kind::EgressRule| naming::network(&rule.to.organization);
        let agreed =
            self.policy.spec.egress.iter().filter(|rule| self.agreed.contains_key(&rule.alias)).map(of);
        let own = agreed.clone().next().map(|_| naming::network(&self.org));
        own.into_iter().chain(agreed).collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn state(&self, is_agreed: bool) -> LinkState {
        match (self.allowed, is_agreed) {
            (false, _) => LinkState::NotAllowed,
            (true, true) => LinkState::Agreed,
            (true, false) => LinkState::Waiting,
        }
    }

    fn links(&self) -> Vec<LinkStatus> {
        let spec = &self.policy.spec;
        let target =
            |environment: &ResourceName, process: &dyn std::fmt::Display, port: &dyn std::fmt::Display| {
                format!("{environment}/{process}:{port}")
            };
        let uses = spec.egress.iter().map(|rule| LinkStatus {
            direction: LinkDirection::Egress,
            organization: rule.to.organization.clone(),
            target: target(&rule.to.environment, &rule.to.process, &rule.to.port),
            address: Some(format!("{}:{}", naming::link_address(&rule.alias), rule.to.port)),
            state: self.state(self.agreed.contains_key(&rule.alias)),
        });
        let offers = spec.ingress.iter().flat_map(|rule| {
            rule.from.iter().map(move |peer| {
                let offer = LinkTarget {
                    organization: peer.organization.clone(),
                    environment: rule.environment.clone(),
                    process: rule.process.clone(),
                    port: rule.port,
                };
                LinkStatus {
                    direction: LinkDirection::Ingress,
                    organization: peer.organization.clone(),
                    target: target(&rule.environment, &rule.process, &rule.port),
                    address: None,
                    state: self.state(self.used.contains(&offer)),
                }
            })
        });
        uses.chain(offers).collect()
    }
}

/// What to do for a network policy.
pub fn plan(
    settings: &Settings,
    mode: Mode,
    desired: &NetworkPolicyDesired,
    observed: &NetworkPolicyObservation,
) -> Plan {
    forwarders::plan(settings, mode, desired, observed)
}

/// What to say about a network policy.
pub fn status(
    desired: &NetworkPolicyDesired,
    observed: &NetworkPolicyObservation,
    plan: &Plan,
    now: Timestamp,
) -> Assessment<NetworkPolicyDetail> {
    let meta = &desired.policy.meta;
    let mut conditions = Conditions::new(&desired.policy.status, meta.generation, now);
    let mut recheck = None;
    let starting = starting(desired, observed);
    conditions.drifted(plan);
    if conditions.blocked(plan) {
        let passes = plan.blocked.iter().any(Blocked::passes_by_itself);
        recheck = (passes || starting.is_some() || meta.is_deleting()).then_some(RECHECK_WAITING);
    } else if meta.is_deleting() {
        recheck = Some(RECHECK_WAITING);
        conditions.progressing(Reason::Deleting, "its links are being removed");
    } else if !plan.steps.is_empty() {
        recheck = Some(RECHECK_PROGRESSING);
        conditions.progressing(Reason::Applying, "its links are being set up");
    } else if let Some(starting) = starting {
        recheck = Some(RECHECK_PROGRESSING);
        conditions.progressing(Reason::RollingOut, starting);
    } else {
        conditions.ready(in_words(desired));
    }
    let detail = NetworkPolicyDetail { links: desired.links() };
    let status = Status::new(meta.generation, meta.revision, conditions.into_vec(), detail);
    Assessment { status, recheck }
}

/// What forwarders that do not run yet wait for.
fn starting(desired: &NetworkPolicyDesired, observed: &NetworkPolicyObservation) -> Option<String> {
    let waiting = desired.agreed.keys().filter_map(|alias| {
        let name = naming::forwarder(&desired.org, alias);
        let service = observed.services.get(&name)?.present()?;
        let tasks = observed.tasks.get(&service.id).map_or(&[][..], Vec::as_slice);
        if tasks.iter().any(health::is_running) {
            return None;
        }
        let newest = tasks.iter().max_by(|a, b| a.created_at.cmp(&b.created_at));
        let why = newest.map(|task| task.status.err.as_str()).filter(|why| !why.is_empty());
        Some(why.map_or_else(|| format!("link {alias} starts"), |why| format!("link {alias} starts: {why}")))
    });
    let waiting: Vec<String> = waiting.collect();
    (!waiting.is_empty()).then(|| waiting.join("; "))
}

fn in_words(desired: &NetworkPolicyDesired) -> String {
    let spec = &desired.policy.spec;
    let (uses, used) = (spec.egress.len(), desired.used.len());
    let offers: usize = spec.ingress.iter().map(|rule| rule.from.len()).sum();
    let uses_in_words = format!("{uses} of {uses} links stand");
    let offers_in_words = format!("{used} of {offers} offers are used");
    match (uses, offers) {
        (0, 0) => "it names no link".to_owned(),
        (_, 0) => uses_in_words,
        (0, _) => offers_in_words,
        (_, _) => format!("{uses_in_words}, {offers_in_words}"),
    }
}

impl NetworkPolicyObservation {
    /// Nothing could be read.
    pub fn unknown(desired: &NetworkPolicyDesired, why: &str) -> Self {
        let unknown = |name: String| (name, Observed::Unknown { why: why.to_owned() });
        Self {
            engine: Observed::Unknown { why: why.to_owned() },
            networks: BTreeMap::new(),
            services: desired.services_to_observe().into_iter().map(unknown).collect(),
            tasks: BTreeMap::new(),
        }
    }
}
