//! The Swarm of a case: the simulator, and what the case says of it that no engine would say by itself.
//!
//! Everything takes no time but what services ask for (delays, and the watch over a roll-out), so that a case is about the planner
//! and not about waiting. What a service stores, what is refused, and what becomes of tasks and specs is the simulator's, which is
//! held to real engines.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use secrecy::SecretSlice;
use skep_planner::health::ContainerVerdict;
use skep_planner::reconcile::environment::ImageFailure;
use skep_planner::render::EngineFeatures;
use skep_planner::swarm::{
    ContainerId, Labels, NetworkId, Service, ServiceId, ServiceSpec, Task, UpdateState,
};
use skep_planner::{ImageStart, Op, ResolvedImage, Step};
use skep_simulator::{Behaviour, Pace, Refusal, Swarm};
use skep_swarm::{By, LabelFilter, TaskFilter};

/// How long a case waits for a roll-out that may go on.
const ROLL_OUT: Duration = Duration::from_secs(600);

/// A Swarm of one manager in the region `eu`, and what is told of it.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// The Swarm.
    pub swarm: Swarm,
    /// What is known of the containers of failed tasks.
    pub containers: BTreeMap<ContainerId, ContainerVerdict>,
    /// Images that do not resolve to a registry's digest.
    pub images: BTreeMap<String, Result<ResolvedImage, ImageFailure>>,
    /// What images start, as far as it can be read.
    pub starts: BTreeMap<String, ImageStart>,
    /// What cannot be read, and why.
    pub unseen: BTreeMap<String, String>,
    /// What the engine stores in a field of a service whatever it is sent, by service and JSON pointer.
    pub insists: BTreeMap<(String, String), serde_json::Value>,
    /// The running tasks of the edge; `None` when there is no edge.
    edge: Option<Vec<ContainerId>>,
    /// Services whose tasks stay as they are until the case says otherwise.
    held: BTreeSet<String>,
    /// Services whose tasks the case has put there.
    told: BTreeSet<String>,
    /// How many containers the case has told of.
    told_containers: u32,
}

impl Cluster {
    /// A current engine on one large node, and one edge task.
    pub fn new() -> Self {
        let mut swarm = Swarm::new(Behaviour::V26_1);
        swarm.set_pace(Pace::INSTANT);
        swarm.label_node("node-1", "region", "eu");
        let mut cluster = Self {
            swarm,
            containers: BTreeMap::new(),
            images: BTreeMap::new(),
            starts: BTreeMap::new(),
            unseen: BTreeMap::new(),
            insists: BTreeMap::new(),
            edge: Some(Vec::new()),
            held: BTreeSet::new(),
            told: BTreeSet::new(),
            told_containers: 0,
        };
        cluster.set_edge(Some(&["edge-1"]));
        cluster
    }

    /// What the engine can enforce.
    pub fn features(&self) -> EngineFeatures {
        let api = self.swarm.behaviour().api();
        EngineFeatures::of_api(api.major.into(), api.minor.into())
    }

    /// The time.
    pub const fn now(&self) -> Timestamp {
        self.swarm.now()
    }

    /// A service by its name.
    pub fn service(&self, name: &str) -> Option<Service> {
        self.swarm.inspect_service(By::Name(name))
    }

    /// The names of all services.
    pub fn service_names(&self) -> Vec<String> {
        self.swarm.list_services(&LabelFilter::any()).into_iter().map(|service| service.spec.name).collect()
    }

    /// The tasks of a service that are of interest: those that are wanted, and those that failed.
    pub fn tasks(&self, id: &ServiceId) -> Vec<Task> {
        self.swarm.list_tasks(&TaskFilter::of_service(id.clone()))
    }

    /// These are the running tasks of the edge now; those that stay keep their networks.
    pub fn set_edge(&mut self, names: Option<&[&str]>) {
        let before = self.edge.take().unwrap_or_default();
        let (kept, gone): (Vec<_>, Vec<_>) =
            before.into_iter().partition(|id| names.is_some_and(|names| names.contains(&id.as_str())));
        for id in gone {
            self.swarm.delete_container(&id);
        }
        self.edge = names.map(|names| {
            names
                .iter()
                .map(|name| {
                    let id = ContainerId::from(*name);
                    if !kept.contains(&id) {
                        self.swarm.run_container_as(&id, name);
                    }
                    id
                })
                .collect()
        });
    }

    /// The id of one more container that a case tells of.
    pub fn next_container(&mut self) -> ContainerId {
        self.told_containers += 1;
        ContainerId::new(format!("container-{}", self.told_containers))
    }

    /// Is a roll-out on its way that nobody holds up?
    pub fn is_rolling(&self) -> bool {
        let is_rolling = |service: &Service| {
            let state = service.update_status.as_ref().and_then(|status| status.state.as_ref());
            matches!(state, Some(UpdateState::Updating | UpdateState::RollbackStarted))
        };
        let services = self.swarm.list_services(&LabelFilter::any());
        services.iter().any(|service| {
            let name = &service.spec.name;
            is_rolling(service) && !self.held.contains(name) && !self.told.contains(name)
        })
    }

    /// Lets every roll-out come to its end.
    pub fn finish_all(&mut self) {
        for name in self.service_names() {
            self.finish(&name);
        }
    }

    /// The tasks of the edge with their addresses on a network.
    pub fn edge(&self, network: Option<&NetworkId>) -> Option<Vec<(ContainerId, Option<Ipv4Addr>)>> {
        let address = |container: &ContainerId| self.swarm.address_on(container, network?);
        // In the order of their ids, as the engine lists none in particular.
        let mut edge = self.edge.clone()?;
        edge.sort();
        Some(edge.iter().map(|id| (id.clone(), address(id))).collect())
    }

    /// An edge task loses its networks.
    pub fn disconnect(&mut self, name: &str) -> Result<()> {
        let id = ContainerId::from(name);
        let edge = self.edge.as_ref().filter(|edge| edge.contains(&id));
        edge.with_context(|| format!("there is no edge task {name}"))?;
        self.swarm.delete_container(&id);
        self.swarm.run_container_as(&id, name);
        Ok(())
    }

    /// Carries a step out, or says why the engine refuses. Says the id of what was made or changed.
    pub fn carry_out(&mut self, step: &Step) -> Result<Option<String>, String> {
        self.get_on(&step.object.name);
        let answer = self.call(&step.op).map_err(|refusal| refusal.message);
        if answer.is_ok() {
            self.insist(&step.object.name).map_err(|error| error.to_string())?;
        }
        self.swarm.advance(Duration::ZERO);
        answer
    }

    fn call(&mut self, op: &Op) -> Result<Option<String>, Refusal> {
        let swarm = &mut self.swarm;
        match op {
            Op::CreateNetwork { spec } => swarm.create_network(spec).map(|id| Some(id.to_string())),
            Op::RemoveNetwork { id } => {
                let found = swarm.inspect_network(By::Id(id)).map(|network| network.name);
                swarm.remove_network(id)?;
                match found.filter(|name| swarm.remnants().any(|remnant| remnant == name)) {
                    Some(name) => {
                        Err(Refusal::new(500, format!("network {name} left a remnant on the node")))
                    }
                    None => Ok(None),
                }
            }
            Op::CreateSecret { spec, .. } => {
                let value = SecretSlice::from(b"a value".to_vec());
                swarm.create_secret(spec, &value).map(|id| Some(id.to_string()))
            }
            Op::UpdateSecret { id, version, spec } => {
                swarm.update_secret(id, *version, spec).map(|()| Some(id.to_string()))
            }
            Op::RemoveSecret { id } => swarm.remove_secret(id).map(|()| None),
            Op::CreateService { spec, .. } => swarm.create_service(spec).map(|id| Some(id.to_string())),
            Op::UpdateService { id, version, spec, .. } => {
                swarm.update_service(id, *version, spec).map(|()| Some(id.to_string()))
            }
            Op::RemoveService { id } => swarm.remove_service(id).map(|()| None),
            Op::ConnectEdge { network, container, address } => {
                swarm.connect_network(network, container, *address).map(|()| Some(container.to_string()))
            }
            Op::DisconnectEdge { network, container } => {
                swarm.disconnect_network(network, container, true).map(|()| None)
            }
        }
    }

    /// Tasks that a case has put there stay until the next write to their service.
    fn get_on(&mut self, service: &str) {
        if self.told.remove(service) {
            self.swarm.thaw(service);
        }
    }

    /// What becomes of a spec in an engine that does not keep some of it.
    fn insist(&mut self, service: &str) -> Result<()> {
        for ((_, pointer), value) in self.insists.iter().filter(|((name, _), _)| name == service) {
            let Some(found) = self.swarm.inspect_service(By::Name(service)) else { return Ok(()) };
            let mut json = serde_json::to_value(&found.spec)?;
            crate::command::set_at(&mut json, pointer, value.clone())?;
            let spec: ServiceSpec = serde_json::from_value(json)?;
            self.swarm.alter_spec(service, |stored| *stored = spec)?;
        }
        Ok(())
    }

    /// The tasks of a service stay as they are.
    pub fn hold(&mut self, name: &str) {
        self.held.insert(name.to_owned());
        self.swarm.hold(name);
    }

    /// They only had been slow. What is done with them is done now.
    pub fn finish(&mut self, name: &str) {
        self.get_on(name);
        self.held.remove(name);
        self.swarm.release(name);
        self.swarm.advance(Duration::ZERO);
        self.swarm.advance_until(ROLL_OUT, |swarm| swarm.update_state(name) != Some(UpdateState::Updating));
    }

    /// These are the tasks of a service, until somebody writes to it.
    pub fn put_tasks(&mut self, name: &str, tasks: Vec<Task>) -> Result<()> {
        self.told.insert(name.to_owned());
        Ok(self.swarm.put_tasks(name, tasks)?)
    }

    /// Swarm says that of the latest update of a service, until somebody writes to it.
    pub fn say_of_update(&mut self, name: &str, state: &str, message: &str) -> Result<()> {
        self.told.insert(name.to_owned());
        Ok(self.swarm.say_of_update(name, UpdateState::from(state), message)?)
    }

    /// What Swarm does when an update fails and its failure action is to roll back.
    pub fn roll_back(&mut self, name: &str, message: &str) -> Result<()> {
        self.told.remove(name);
        self.held.remove(name);
        let went_back = self.swarm.fail_update(name, message)?;
        anyhow::ensure!(went_back, "Swarm cannot roll back: there is no previous spec");
        let is_back = |swarm: &Swarm| swarm.update_state(name) != Some(UpdateState::RollbackStarted);
        self.swarm.advance_until(ROLL_OUT, is_back);
        Ok(())
    }

    /// Someone else changes a service, or the labels of a secret, behind Skep's back.
    pub fn meddle(&mut self, name: &str, pointer: &str, value: Option<serde_json::Value>) -> Result<()> {
        if let Some(secret) = self.swarm.inspect_secret(By::Name(name)) {
            let mut json = serde_json::json!({ "Labels": secret.spec.labels });
            crate::command::change_at(&mut json, pointer, value)?;
            let labels: Labels = serde_json::from_value(json["Labels"].take())?;
            return Ok(self.swarm.edit_secret(name, |stored| *stored = labels)?);
        }
        let service = self.service(name).with_context(|| format!("there is no service {name}"))?;
        let mut json = serde_json::to_value(&service.spec)?;
        crate::command::change_at(&mut json, pointer, value)?;
        let spec: ServiceSpec = serde_json::from_value(json)?;
        self.get_on(name);
        self.swarm.edit_service(name, |stored| *stored = spec)?;
        self.swarm.advance(Duration::ZERO);
        Ok(())
    }
}

impl Default for Cluster {
    fn default() -> Self {
        Self::new()
    }
}
