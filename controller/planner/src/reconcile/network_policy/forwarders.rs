//! What must be done so that there is one forwarder for each link on which both sides agree, and no other.

use std::collections::BTreeSet;

use ipnet::Ipv4Net;
use skep_schemas::Uid;
use skep_schemas::kind::EgressRule;

use super::{AgreedLink, NetworkPolicyDesired, NetworkPolicyObservation};
use crate::blocked::Blocked;
use crate::constraint::Constraints;
use crate::drift::Drift;
use crate::inventory::{self, ObjectKind, ObjectRef};
use crate::naming;
use crate::observed::Observed;
use crate::plan::Plan;
use crate::reconcile::Mode;
use crate::reconcile::own_service::OwnService;
use crate::render::{EngineFeatures, ForwardInput, forward_spec};
use crate::settings::{OrgSubnet, Settings};
use crate::step::{Cost, Op, Step};
use crate::swarm::{Network, Service};

/// What a removal is for.
const ENDED: &str = "the two sides of the link do not agree any more";
const DELETED: &str = "the network policy is being deleted";

pub(super) fn plan(
    settings: &Settings,
    mode: Mode,
    desired: &NetworkPolicyDesired,
    observed: &NetworkPolicyObservation,
) -> Plan {
    let meta = &desired.policy.meta;
    let plan = Plan::empty(meta.key.clone(), meta.uid, meta.generation);
    let mut pass = Pass { settings, mode, desired, observed, plan };
    let deleting = meta.is_deleting();
    let wanted = if deleting { BTreeSet::new() } else { pass.make() };
    let left = pass.remove_except(&wanted, if deleting { DELETED } else { ENDED });
    pass.plan.finalized = deleting && !left;
    desired.stance.hold(&mut pass.plan);
    pass.plan
}

struct Pass<'a> {
    settings: &'a Settings,
    mode: Mode,
    desired: &'a NetworkPolicyDesired,
    observed: &'a NetworkPolicyObservation,
    plan: Plan,
}

/// What every forwarder of a policy stands on.
struct Ground {
    image: String,
    engine: EngineFeatures,
    network: String,
    subnet: Ipv4Net,
}

impl Pass<'_> {
    /// Makes what is missing and puts right what differs. Gives back the names of the forwarders that there shall be.
    fn make(&mut self) -> BTreeSet<String> {
        let spec = &self.desired.policy.spec;
        for name in &self.desired.missing {
            self.plan.blocked.push(Blocked::ReferenceMissing { resource: format!("Environment/{name}") });
        }
        if !self.desired.allowed {
            if !spec.egress.is_empty() || !spec.ingress.is_empty() {
                let org = self.desired.org.to_string();
                self.plan.blocked.push(Blocked::LinkNotAllowed { org });
            }
            return BTreeSet::new();
        }
        let mut agreed = Vec::new();
        for rule in &spec.egress {
            match self.desired.agreed.get(&rule.alias) {
                Some(link) => agreed.push((rule, link)),
                None => self.plan.blocked.push(Blocked::LinkNotAgreed { target: rule.to.to_string() }),
            }
        }
        let mut wanted = BTreeSet::new();
        let ground = if agreed.is_empty() { None } else { self.ground() };
        for (rule, link) in agreed {
            let name = naming::forwarder(&self.desired.org, &rule.alias);
            let stands = ground.as_ref().is_some_and(|ground| self.forwarder(ground, rule, link));
            // What cannot be made now must not be taken away, unless it leads where the two sides do not agree.
            if stands || !self.leads_elsewhere(&name, rule) {
                wanted.insert(name);
            }
        }
        wanted
    }

    /// What all forwarders of the policy stand on; what is missing is said in the plan.
    fn ground(&mut self) -> Option<Ground> {
        let Some(image) = self.settings.forward_image.clone() else {
            self.plan.blocked.push(Blocked::ForwarderMissing);
            return None;
        };
        let engine = match &self.observed.engine {
            Observed::Present(engine) => *engine,
            Observed::Absent => return None,
            Observed::Unknown { why } => {
                self.plan
                    .blocked
                    .push(Blocked::Unobserved { what: "the engine".to_owned(), why: why.clone() });
                return None;
            }
        };
        let organization = self.desired.organization.as_ref()?;
        let said = organization.status.pointer("/network/id").and_then(serde_json::Value::as_str);
        let name = naming::network(&self.desired.org);
        let network = self.network(&name, "the organisation's network", organization.meta.uid, said);
        let subnet = self.subnet("the organisation's network", self.desired.subnet);
        Some(Ground { image, engine, network: network?, subnet: subnet? })
    }

    /// A network, if it is there and is that organisation's: it carries its labels, or the organisation says that it is its own.
    fn network(&mut self, name: &str, what: &str, owner: Uid, said: Option<&str>) -> Option<String> {
        let observed = self.observed.networks.get(name);
        match (observed, self.mode) {
            (Some(Observed::Present(network)), _) if self.is_of(network, owner, said) => {
                return Some(network.id.to_string());
            }
            (Some(Observed::Present(_)), _) => {
                self.plan.blocked.push(Blocked::ForeignObject { object: format!("network {name}") });
            }
            (Some(Observed::Absent) | None, Mode::Preview) => return Some(name.to_owned()),
            (Some(Observed::Absent) | None, Mode::Act) => {
                let why = "it is not there yet".to_owned();
                self.plan.blocked.push(Blocked::DependencyNotReady { resource: what.to_owned(), why });
            }
            (Some(Observed::Unknown { why }), _) => {
                self.plan.blocked.push(Blocked::Unobserved { what: what.to_owned(), why: why.clone() });
            }
        }
        None
    }

    fn subnet(&mut self, what: &str, subnet: Option<OrgSubnet>) -> Option<Ipv4Net> {
        if subnet.is_none() {
            let why = "it has no addresses yet".to_owned();
            self.plan.blocked.push(Blocked::DependencyNotReady { resource: what.to_owned(), why });
        }
        subnet.map(|subnet| subnet.net())
    }

    fn is_of(&self, network: &Network, owner: Uid, said: Option<&str>) -> bool {
        naming::is_owned_by(&network.labels, &self.settings.instance, owner)
            || said == Some(network.id.as_str())
    }

    /// One forwarder; `false` when something for it is missing, which is then said in the plan.
    fn forwarder(&mut self, ground: &Ground, rule: &EgressRule, link: &AgreedLink) -> bool {
        let name = naming::network(&rule.to.organization);
        let network =
            self.network(&name, "the network of the other side", link.provider, link.network.as_deref());
        let subnet = self.subnet("the network of the other side", link.subnet);
        let (Some(network), Some(subnet)) = (network, subnet) else { return false };
        let constraints = Constraints::new(None, link.isolation.constraints(&rule.to.organization));
        let meta = &self.desired.policy.meta;
        let spec = forward_spec(&ForwardInput {
            instance: &self.settings.instance,
            image: &ground.image,
            org: &self.desired.org,
            key: &meta.key,
            uid: meta.uid,
            alias: &rule.alias,
            to: &rule.to,
            from: (&ground.network, ground.subnet),
            within: (&network, subnet),
            constraints: &constraints,
            engine: ground.engine,
        });
        let object = ObjectRef::new(ObjectKind::Service, &spec.name);
        let forwarder = OwnService {
            stance: &self.desired.stance,
            inventory: &self.desired.inventory,
            mode: self.mode,
            tasks: 1,
            made: "both sides of the link agree",
            made_again: "somebody removed it",
            changed: "the link is another now",
        };
        match self.observed.services.get(&spec.name) {
            Some(Observed::Unknown { why }) => {
                let what = object.to_string();
                self.plan.blocked.push(Blocked::Unobserved { what, why: why.clone() });
                return true;
            }
            Some(Observed::Absent) | None => forwarder.create(object, spec, &mut self.plan),
            Some(Observed::Present(live)) if self.is_ours(live) => {
                forwarder.update(object, live, spec, &mut self.plan);
            }
            Some(Observed::Present(live)) => {
                self.plan.drift.push(Drift::foreign(&object, live.id.as_str()));
                self.plan.blocked.push(Blocked::ForeignObject { object: object.to_string() });
            }
        }
        true
    }

    /// Does the forwarder of this name lead anywhere else than the rule says now?
    fn leads_elsewhere(&self, name: &str, rule: &EgressRule) -> bool {
        let Some(Observed::Present(live)) = self.observed.services.get(name) else { return false };
        let container = live.spec.task_template.container_spec.as_ref();
        let args = container.map(|container| container.args.as_slice()).unwrap_or_default();
        let has = |flag: &str, value: &str| args.windows(2).any(|pair| pair == [flag, value]);
        let to = &rule.to;
        let process = naming::process_on_network(&to.organization, &to.environment, &to.process);
        !(has("--to", &process) && has("--port", &to.port.to_string()))
    }

    /// Steps that remove every forwarder of the policy but these. Is anything of it left?
    fn remove_except(&mut self, wanted: &BTreeSet<String>, why: &str) -> bool {
        let mut left = false;
        for (name, observed) in self.observed.services.iter().filter(|(name, _)| !wanted.contains(*name)) {
            let object = ObjectRef::new(ObjectKind::Service, name);
            let recorded = inventory::entry(&self.desired.inventory, &object).is_some();
            match observed {
                Observed::Present(service) if self.is_ours(service) => {
                    left = true;
                    let op = Op::RemoveService { id: service.id.clone() };
                    self.plan.steps.push(Step::new(object, op, why, Cost::Delete));
                }
                // Absent, or of that name and not ours: either way ours is gone.
                Observed::Present(_) | Observed::Absent if recorded => self.plan.forget.push(object),
                Observed::Present(_) | Observed::Absent => {}
                Observed::Unknown { why } => {
                    left = true;
                    let what = object.to_string();
                    self.plan.blocked.push(Blocked::Unobserved { what, why: why.clone() });
                }
            }
        }
        left
    }

    /// Does it carry our labels, or is it the very object that was made? Labels can be taken off by hand; the id cannot.
    fn is_ours(&self, service: &Service) -> bool {
        let object = ObjectRef::new(ObjectKind::Service, &service.spec.name);
        let uid = self.desired.policy.meta.uid;
        naming::is_owned_by(&service.spec.labels, &self.settings.instance, uid)
            || inventory::records(&self.desired.inventory, &object, service.id.as_str())
    }
}
