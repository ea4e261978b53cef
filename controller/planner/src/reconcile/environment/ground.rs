//! What the services of an environment stand on: the organisation's network, the secret objects of the target, the nodes that it may run
//! on, what the engine can do, and as whom it pulls. Nothing is rendered before all of it is known; whatever is not is said in the plan.

use std::collections::BTreeMap;

use super::EnvironmentInput;
use super::target::Target;
use crate::blocked::Blocked;
use crate::constraint::Constraints;
use crate::observed::Observed;
use crate::plan::Plan;
use crate::pull::PullAs;
use crate::reconcile::Mode;
use crate::render::EngineFeatures;
use crate::swarm::{ConfigId, Network, SecretId};
use crate::{health, naming, render};

/// What services stand on: the network, the secret objects, where they may run and what the engine can do.
pub(super) struct Ground {
    /// The network's id.
    pub(super) network: String,
    /// The secrets' objects, by name.
    pub(super) secrets: BTreeMap<String, SecretId>,
    /// The config with the entry program, if the target needs it.
    pub(super) entry: Option<ConfigId>,
    /// Where they may run.
    pub(super) constraints: Constraints,
    /// What the engine can do.
    pub(super) engine: EngineFeatures,
    /// As whom nodes pull the image.
    pub(super) pull: PullAs,
}

/// The ground, if all of it is there; what is missing is in `plan.blocked`.
pub(super) fn ground(input: &EnvironmentInput<'_>, target: &Target, plan: &mut Plan) -> Option<Ground> {
    let before = plan.blocked.len();
    let engine = match &input.observed.engine {
        Observed::Present(engine) => Some(*engine),
        Observed::Absent => None,
        Observed::Unknown { why } => {
            plan.blocked.push(Blocked::Unobserved { what: "the engine".to_owned(), why: why.clone() });
            None
        }
    };
    let network = network(input, plan);
    let secrets = secrets(input, target, plan);
    let entry = entry(input, target, plan);
    // A release that stands while another cannot be made may lack the same.
    let mut lacks = |why: Blocked| {
        if !plan.blocked.contains(&why) {
            plan.blocked.push(why);
        }
    };
    let pull = input.desired.pull_as(&target.content.image.reference).map_err(&mut lacks).ok();
    let constraints = input.desired.constraints(&target.content).map_err(&mut lacks).ok();
    if let (Observed::Present(nodes), Some(constraints)) = (&input.observed.nodes, &constraints) {
        for (name, process) in &target.content.processes {
            let memory = i64::try_from(process.resources.memory.get()).unwrap_or(i64::MAX);
            if let Err(why) = health::schedulable(nodes, constraints, memory, process.resources.cpu.nanos()) {
                plan.blocked.push(Blocked::WouldNeverSchedule { why: format!("process {name}: {why}") });
            }
        }
    }
    let clear = plan.blocked.len() == before;
    match (engine, network, constraints, pull, clear) {
        (Some(engine), Some(network), Some(constraints), Some(pull), true) => {
            Some(Ground { network, secrets, entry, constraints, engine, pull })
        }
        _ => None,
    }
}

fn network(input: &EnvironmentInput<'_>, plan: &mut Plan) -> Option<String> {
    let resource = || format!("Organization/{}", input.desired.org);
    match (&input.observed.network, input.mode) {
        (Observed::Present(network), _) => {
            if is_the_organizations(input, network) {
                return Some(network.id.to_string());
            }
            plan.blocked.push(Blocked::ForeignObject { object: format!("network {}", network.name) });
        }
        (Observed::Absent, Mode::Preview) => return Some(naming::network(&input.desired.org)),
        (Observed::Absent, Mode::Act) => {
            let why = "its network is not there yet".to_owned();
            plan.blocked.push(Blocked::DependencyNotReady { resource: resource(), why });
        }
        (Observed::Unknown { why }, _) => {
            plan.blocked.push(Blocked::Unobserved {
                what: "the organisation's network".to_owned(),
                why: why.clone(),
            });
        }
    }
    None
}

/// Does the network carry the labels of the organisation, or does the organisation say that it is its own?
fn is_the_organizations(input: &EnvironmentInput<'_>, network: &Network) -> bool {
    let Some(organization) = &input.desired.organization else { return false };
    let said = organization.status.pointer("/network/id").and_then(serde_json::Value::as_str);
    naming::is_owned_by(&network.labels, &input.settings.instance, organization.meta.uid)
        || said == Some(network.id.as_str())
}

/// The config with the entry program, if the target needs it and it is there.
fn entry(input: &EnvironmentInput<'_>, target: &Target, plan: &mut Plan) -> Option<ConfigId> {
    if !render::has_entry(&input.settings.edge, &target.content) {
        return None;
    }
    let object = || format!("config {}", naming::entry(input.settings.architecture));
    match (&input.observed.entry, input.mode) {
        (Observed::Present(config), _) if render::is_entry_of(&input.settings.instance, config) => {
            return Some(config.id.clone());
        }
        (Observed::Present(_), _) => plan.blocked.push(Blocked::ForeignObject { object: object() }),
        (Observed::Absent, Mode::Preview) => {}
        (Observed::Absent, Mode::Act) => {
            let why = "the next survey of the Swarm puts it there".to_owned();
            plan.blocked.push(Blocked::DependencyNotReady { resource: object(), why });
        }
        (Observed::Unknown { why }, _) => {
            plan.blocked.push(Blocked::Unobserved { what: object(), why: why.clone() });
        }
    }
    None
}

fn secrets(input: &EnvironmentInput<'_>, target: &Target, plan: &mut Plan) -> BTreeMap<String, SecretId> {
    let mut found = BTreeMap::new();
    for secret in &target.content.secrets {
        let observed = input.observed.secrets.get(&secret.object).map_or(Observed::Absent, Observed::as_ref);
        match (observed, input.mode) {
            (Observed::Present(id), _) => {
                found.insert(secret.object.clone(), id.clone());
            }
            (Observed::Absent, Mode::Preview) => {}
            (Observed::Absent, Mode::Act) => plan.blocked.push(Blocked::DependencyNotReady {
                resource: format!("Secret/{}", secret.name),
                why: "its object is not there yet".to_owned(),
            }),
            (Observed::Unknown { why }, _) => {
                plan.blocked.push(Blocked::Unobserved { what: format!("secret {}", secret.object), why });
            }
        }
    }
    found
}
