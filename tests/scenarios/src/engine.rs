//! What a Swarm would keep after each step took effect.
//!
//! Three things are modelled, all tried on real engines (20.10 and 26.1): what an engine stores of a spec
//! ([`Engine::form`]), what it refuses because something is still in use or a name is taken, and what becomes of a service's
//! specs on an update and on a rollback. Tasks run at once, unless a case holds them back.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use anyhow::{Context, Result, anyhow};
use jiff::Timestamp;
use skep_planner::health::ContainerVerdict;
use skep_planner::render::EngineFeatures;
use skep_planner::swarm::{
    ContainerId, EndpointMode, FailureAction, Network, NetworkId, Node, NodeAvailability, NodeDescription,
    NodeId, NodeResources, NodeSpec, NodeState, NodeStatus, PortProtocol, Privileges, PublishMode, Secret,
    SecretId, Service, ServiceId, ServiceMode, ServiceSpec, Task, TaskId, TaskState, TaskStatus,
    UpdateConfig, UpdateOrder, UpdateState, UpdateStatus, Version,
};
use skep_planner::{Op, ResolvedImage, Step, normalize};

/// A Swarm of one manager, and what is on its engine.
#[derive(Debug, Clone)]
pub struct Engine {
    /// The API version.
    pub api: (u32, u32),
    /// Networks by name.
    pub networks: BTreeMap<String, Network>,
    /// Secrets by name.
    pub secrets: BTreeMap<String, Secret>,
    /// Services by name.
    pub services: BTreeMap<String, Service>,
    /// The tasks of each service.
    pub tasks: BTreeMap<ServiceId, Vec<Task>>,
    /// What is known of the containers of failed tasks.
    pub containers: BTreeMap<ContainerId, ContainerVerdict>,
    /// The nodes by name.
    pub nodes: BTreeMap<String, Node>,
    /// The running tasks of the edge with their addresses by network; `None` when there is no edge.
    pub edge: Option<BTreeMap<ContainerId, BTreeMap<NetworkId, Ipv4Addr>>>,
    /// Images that do not resolve to a registry's digest.
    pub images: BTreeMap<String, Result<ResolvedImage, String>>,
    /// What cannot be read, and why.
    pub unseen: BTreeMap<String, String>,
    /// Services whose tasks stay as they are until the case says otherwise.
    pub held: BTreeSet<String>,
    /// Tasks of services that were removed while they were held, by the service's name.
    pub ending: BTreeMap<String, Vec<Task>>,
    /// What the engine stores in a field of a service whatever it is sent, by service and JSON pointer.
    pub insists: BTreeMap<(String, String), serde_json::Value>,
    index: u64,
}

impl Engine {
    /// A Swarm of one large node in the region `eu`, with a current engine and one edge task.
    pub fn new() -> Self {
        let mut engine = Self {
            api: (1, 45),
            networks: BTreeMap::new(),
            secrets: BTreeMap::new(),
            services: BTreeMap::new(),
            tasks: BTreeMap::new(),
            containers: BTreeMap::new(),
            nodes: BTreeMap::new(),
            edge: Some(BTreeMap::from([(ContainerId::from("edge-1"), BTreeMap::new())])),
            images: BTreeMap::new(),
            unseen: BTreeMap::new(),
            held: BTreeSet::new(),
            ending: BTreeMap::new(),
            insists: BTreeMap::new(),
            index: 0,
        };
        engine.set_node("node-1", [("region".to_owned(), "eu".to_owned())].into());
        engine
    }

    /// What the engine can enforce.
    pub const fn features(&self) -> EngineFeatures {
        EngineFeatures::of_api(self.api.0, self.api.1)
    }

    /// Makes a node, or changes its labels.
    pub fn set_node(&mut self, name: &str, labels: BTreeMap<String, String>) {
        let availability = Some(NodeAvailability::Active);
        let resources =
            NodeResources { nano_cpus: 8_000_000_000, memory_bytes: 16 << 30, ..NodeResources::default() };
        let node = Node {
            id: NodeId::from(name),
            spec: NodeSpec { labels, availability, ..NodeSpec::default() },
            description: NodeDescription { resources, ..NodeDescription::default() },
            status: NodeStatus { state: Some(NodeState::Ready), ..NodeStatus::default() },
            ..Node::default()
        };
        self.nodes.insert(name.to_owned(), node);
    }

    /// The form in which an engine of that API version stores a spec.
    pub fn form(&self, spec: &ServiceSpec) -> ServiceSpec {
        let mut spec = spec.clone();
        spec.task_template.runtime = "container".to_owned();
        if let Some(container) = &mut spec.task_template.container_spec {
            container.isolation = "default".to_owned();
            if !self.features().privileges && container.privileges.is_some() {
                container.privileges = Some(Privileges::default());
            }
        }
        if let Some(policy) = &mut spec.task_template.restart_policy {
            policy.max_attempts.get_or_insert(0);
        }
        for network in &mut spec.task_template.networks {
            if let Some(found) = self.networks.get(&network.target) {
                network.target = found.id.to_string();
            }
        }
        spec.mode.get_or_insert_with(|| ServiceMode::replicated(1));
        spec.update_config = spec.update_config.map(named_defaults);
        spec.rollback_config = spec.rollback_config.map(named_defaults);
        if let Some(endpoint) = &mut spec.endpoint_spec {
            endpoint.mode.get_or_insert(EndpointMode::Vip);
            for port in &mut endpoint.ports {
                port.protocol.get_or_insert(PortProtocol::Tcp);
                port.publish_mode.get_or_insert(PublishMode::Ingress);
            }
        }
        spec
    }

    fn next(&mut self) -> Version {
        self.index += 1;
        Version { index: self.index }
    }

    /// Carries a step out, or says why the engine refuses.
    pub fn carry_out(&mut self, step: &Step, now: Timestamp) -> Result<Option<String>, String> {
        match &step.op {
            Op::CreateNetwork { spec } => {
                free(&self.networks, &spec.name, "network")?;
                let id = NetworkId::new(format!("id-of-{}-{}", spec.name, self.next().index));
                let network = Network {
                    id: id.clone(),
                    name: spec.name.clone(),
                    labels: spec.labels.clone(),
                    driver: spec.driver.clone(),
                    ipam: spec.ipam.clone().unwrap_or_default(),
                    attachable: spec.attachable,
                    ..Network::default()
                };
                self.networks.insert(spec.name.clone(), network);
                Ok(Some(id.to_string()))
            }
            Op::RemoveNetwork { id } => self.remove_network(id).map(|()| None),
            Op::CreateSecret { spec, .. } => {
                free(&self.secrets, &spec.name, "secret")?;
                let version = self.next();
                let id = SecretId::new(format!("id-of-{}-{}", spec.name, version.index));
                let secret = Secret { id: id.clone(), version, spec: (**spec).clone(), ..Secret::default() };
                self.secrets.insert(spec.name.clone(), secret);
                Ok(Some(id.to_string()))
            }
            Op::UpdateSecret { id, version, spec } => {
                let next = self.next();
                let secret = self.secrets.values_mut().find(|secret| secret.id == *id);
                let secret = secret.ok_or_else(|| format!("secret {id} not found"))?;
                if secret.version != *version {
                    return Err("update out of sequence".to_owned());
                }
                (secret.spec, secret.version) = ((**spec).clone(), next);
                Ok(Some(id.to_string()))
            }
            Op::RemoveSecret { id } => {
                let used = |service: &&Service| secret_ids(&service.spec).contains(&id);
                if let Some(user) = self.services.values().find(used) {
                    return Err(format!(
                        "secret {} is in use by service {}",
                        step.object.name, user.spec.name
                    ));
                }
                self.secrets.retain(|_, secret| secret.id != *id);
                Ok(None)
            }
            Op::CreateService { spec, .. } => self.create_service(spec, now).map(|id| Some(id.to_string())),
            Op::UpdateService { id, version, spec, .. } => {
                self.update_service(id, *version, spec, now).map(|()| Some(id.to_string()))
            }
            Op::RemoveService { id } => {
                self.services.retain(|_, service| service.id != *id);
                let tasks = self.tasks.remove(id).unwrap_or_default();
                if self.held.contains(&step.object.name) {
                    self.ending.insert(step.object.name.clone(), tasks);
                }
                Ok(None)
            }
            Op::ConnectEdge { network, container, address } => {
                let attached = self.attachments(container)?;
                attached.insert(network.clone(), *address);
                Ok(Some(container.to_string()))
            }
            Op::DisconnectEdge { network, container } => {
                let attached = self.attachments(container)?;
                attached.remove(network);
                Ok(None)
            }
        }
    }

    fn attachments(&mut self, container: &ContainerId) -> Result<&mut BTreeMap<NetworkId, Ipv4Addr>, String> {
        let found = self.edge.as_mut().and_then(|edge| edge.get_mut(container));
        found.ok_or_else(|| format!("No such container: {container}"))
    }

    fn remove_network(&mut self, id: &NetworkId) -> Result<(), String> {
        let uses = |service: &&Service| {
            service.spec.task_template.networks.iter().any(|network| network.target == id.as_str())
        };
        if let Some(user) = self.services.values().find(uses) {
            return Err(format!("network {id} is in use by service {}", user.spec.name));
        }
        // The engine lets this one through, and keeps a remnant on the node that nobody can delete.
        if self.edge.iter().flatten().any(|(_, attached)| attached.contains_key(id)) {
            return Err(format!("network {id} would leave a remnant: an edge task is still connected"));
        }
        self.networks.retain(|_, network| network.id != *id);
        Ok(())
    }

    fn create_service(&mut self, spec: &ServiceSpec, now: Timestamp) -> Result<ServiceId, String> {
        free(&self.services, &spec.name, "service")?;
        self.check(spec)?;
        let version = self.next();
        let id = ServiceId::new(format!("id-of-{}-{}", spec.name, version.index));
        let service = Service {
            id: id.clone(),
            version,
            created_at: now.to_string(),
            updated_at: now.to_string(),
            spec: self.form(spec),
            ..Service::default()
        };
        self.services.insert(spec.name.clone(), service);
        self.start_tasks(&spec.name, now);
        Ok(id)
    }

    /// What a spec refers to must exist.
    fn check(&self, spec: &ServiceSpec) -> Result<(), String> {
        for network in &spec.task_template.networks {
            let known = |found: &Network| found.id.as_str() == network.target || found.name == network.target;
            if !self.networks.values().any(known) {
                return Err(format!("network {} not found", network.target));
            }
        }
        for id in secret_ids(spec) {
            if !self.secrets.values().any(|secret| secret.id == *id) {
                return Err(format!("secret not found: {id}"));
            }
        }
        Ok(())
    }

    fn update_service(
        &mut self,
        id: &ServiceId,
        version: Version,
        spec: &ServiceSpec,
        now: Timestamp,
    ) -> Result<(), String> {
        self.check(spec)?;
        let (form, next) = (self.insist(self.form(spec))?, self.next());
        let found = self.services.values_mut().find(|service| service.id == *id);
        let service = found.ok_or_else(|| format!("service {id} not found"))?;
        if service.version != version {
            return Err("rpc error: code = Unknown desc = update out of sequence".to_owned());
        }
        let old = std::mem::replace(&mut service.spec, form);
        let tasks = self.tasks.get(id).map_or(&[][..], Vec::as_slice);
        let misplaced = tasks.iter().any(|task| !fits(&self.nodes, task, &service.spec));
        let dirty = is_dirty(&old, &service.spec) || misplaced;
        service.previous_spec = Some(Box::new(old));
        (service.version, service.updated_at, service.update_status) = (next, now.to_string(), None);
        let name = service.spec.name.clone();
        let held = self.held.contains(&name);
        if dirty {
            let state = if held { UpdateState::Updating } else { UpdateState::Completed };
            service.update_status = Some(update_status(state, "", now, now));
        }
        if !held {
            self.start_tasks(&name, now);
        }
        Ok(())
    }

    /// What becomes of a spec in an engine that does not keep some of it.
    fn insist(&self, spec: ServiceSpec) -> Result<ServiceSpec, String> {
        let mut json = serde_json::to_value(&spec).map_err(|error| error.to_string())?;
        for ((_, pointer), value) in self.insists.iter().filter(|((name, _), _)| *name == spec.name) {
            crate::command::set_at(&mut json, pointer, value.clone()).map_err(|error| error.to_string())?;
        }
        serde_json::from_value(json).map_err(|error| error.to_string())
    }

    /// Makes the tasks of a service what its spec says; those that are right already keep running.
    pub fn start_tasks(&mut self, name: &str, now: Timestamp) {
        if self.held.contains(name) {
            return;
        }
        let Some(service) = self.services.get(name) else { return };
        let wanted = match &service.spec.mode {
            Some(ServiceMode::Replicated(mode)) => mode.replicas.unwrap_or(1),
            _ => 1,
        };
        let id = service.id.clone();
        let template = normalize::task(&service.spec.task_template);
        let mut tasks = self.tasks.remove(&id).unwrap_or_default();
        tasks.retain(|task| {
            let mut spec = normalize::task(&task.spec);
            spec.placement.clone_from(&template.placement);
            task.status.state == Some(TaskState::Running)
                && spec == template
                && fits(&self.nodes, task, &service.spec)
        });
        tasks.truncate(usize::try_from(wanted).unwrap_or(usize::MAX));
        let missing = wanted.saturating_sub(u64::try_from(tasks.len()).unwrap_or(u64::MAX));
        tasks.extend((0..missing).filter_map(|_| self.task(name, TaskState::Running, "", now)));
        self.tasks.insert(id, tasks);
    }

    /// A task of the service's current template, on the first node that its placement allows.
    pub fn task(&mut self, name: &str, state: TaskState, err: &str, now: Timestamp) -> Option<Task> {
        let version = self.next();
        let service = self.services.get(name)?;
        let desired = if state.is_terminal() { TaskState::Shutdown } else { TaskState::Running };
        let waits = state == TaskState::Pending;
        let allowed = |node: &&Node| allows(&service.spec, node);
        let node = self.nodes.values().find(allowed).filter(|_| !waits);
        Some(Task {
            id: TaskId::new(format!("task-{}", version.index)),
            version,
            spec: service.spec.task_template.clone(),
            service_id: Some(service.id.clone()),
            node_id: node.map(|node| node.id.clone()),
            status: TaskStatus {
                timestamp: now.to_string(),
                state: Some(state),
                err: err.to_owned(),
                ..TaskStatus::default()
            },
            desired_state: Some(desired),
            ..Task::default()
        })
    }

    /// What Swarm does when an update fails and its failure action is to roll back.
    pub fn roll_back(&mut self, name: &str, message: &str, now: Timestamp) -> Result<()> {
        let next = self.next();
        let service = self.services.get_mut(name).with_context(|| format!("there is no service {name}"))?;
        let previous =
            service.previous_spec.take().context("Swarm cannot roll back: there is no previous spec")?;
        service.spec = *previous;
        (service.version, service.updated_at) = (next, now.to_string());
        set_state(service, UpdateState::RollbackCompleted, message, now);
        let id = service.id.clone();
        let failed = |task: &Task| task.status.state != Some(TaskState::Running);
        let history: Vec<Task> =
            self.tasks.get(&id).into_iter().flatten().filter(|t| failed(t)).cloned().collect();
        self.held.remove(name);
        self.start_tasks(name, now);
        self.tasks.entry(id).or_default().extend(history);
        Ok(())
    }

    /// Lets the tasks of a service start, as if they only had been slow.
    pub fn finish(&mut self, name: &str, now: Timestamp) -> Result<()> {
        self.held.remove(name);
        if self.ending.remove(name).is_some() {
            return Ok(());
        }
        let service = self.services.get_mut(name).with_context(|| format!("there is no service {name}"))?;
        if service.update_status.as_ref().is_some_and(|status| status.state == Some(UpdateState::Updating)) {
            set_state(service, UpdateState::Completed, "update completed", now);
        }
        self.start_tasks(name, now);
        Ok(())
    }

    /// Sets what Swarm says about the latest update.
    pub fn say_of_update(&mut self, name: &str, state: &str, message: &str, now: Timestamp) -> Result<()> {
        let service = self.services.get_mut(name).ok_or_else(|| anyhow!("there is no service {name}"))?;
        set_state(service, UpdateState::from(state), message, now);
        Ok(())
    }

    /// Someone else changes a service behind Skep's back.
    pub fn meddle(&mut self, name: &str, pointer: &str, value: Option<serde_json::Value>) -> Result<()> {
        let version = self.next();
        let service = self.services.get_mut(name).ok_or_else(|| anyhow!("there is no service {name}"))?;
        let mut spec = serde_json::to_value(&service.spec)?;
        match value {
            Some(value) => crate::command::set_at(&mut spec, pointer, value)?,
            None => remove_at(&mut spec, pointer)?,
        }
        service.spec = serde_json::from_value(spec)?;
        service.version = version;
        Ok(())
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

/// Removes the field or list entry that a JSON pointer names.
pub fn remove_at(value: &mut serde_json::Value, pointer: &str) -> Result<()> {
    let (parent, last) = pointer.rsplit_once('/').ok_or_else(|| anyhow!("{pointer} is no JSON pointer"))?;
    let last = last.replace("~1", "/").replace("~0", "~");
    match value.pointer_mut(parent) {
        Some(serde_json::Value::Object(fields)) => {
            fields.shift_remove(&last).with_context(|| format!("there is no {pointer}"))?;
        }
        Some(serde_json::Value::Array(list)) => {
            let index: usize = last.parse()?;
            anyhow::ensure!(index < list.len(), "there is no {pointer}");
            list.remove(index);
        }
        _ => anyhow::bail!("there is no {parent}"),
    }
    Ok(())
}

fn free<T>(taken: &BTreeMap<String, T>, name: &str, what: &str) -> Result<(), String> {
    if taken.contains_key(name) { Err(format!("{what} {name} exists already")) } else { Ok(()) }
}

fn secret_ids(spec: &ServiceSpec) -> Vec<&SecretId> {
    let container = spec.task_template.container_spec.iter();
    container.flat_map(|container| container.secrets.iter().map(|secret| &secret.secret_id)).collect()
}

/// Do the service's constraints allow the node? Only constraints on labels are known here.
fn allows(spec: &ServiceSpec, node: &Node) -> bool {
    let placement = spec.task_template.placement.iter();
    placement.flat_map(|placement| &placement.constraints).all(|constraint| {
        let label = constraint.strip_prefix("node.labels.").and_then(|rest| rest.split_once("=="));
        label.is_none_or(|(key, value)| node.spec.labels.get(key).is_some_and(|found| found == value))
    })
}

fn fits(nodes: &BTreeMap<String, Node>, task: &Task, spec: &ServiceSpec) -> bool {
    let node = nodes.values().find(|node| task.node_id.as_ref() == Some(&node.id));
    node.is_none_or(|node| allows(spec, node))
}

/// swarmkit's rule for a node that both placements allow.
fn is_dirty(old: &ServiceSpec, new: &ServiceSpec) -> bool {
    let without_placement = |spec: &ServiceSpec| {
        let mut template = spec.task_template.clone();
        template.placement = None;
        template
    };
    without_placement(old) != without_placement(new) || old.endpoint_spec != new.endpoint_spec
}

fn set_state(service: &mut Service, state: UpdateState, message: &str, now: Timestamp) {
    let started = service.update_status.as_ref().and_then(|status| status.started_at.parse().ok());
    service.update_status = Some(update_status(state, message, started.unwrap_or(now), now));
}

fn update_status(state: UpdateState, message: &str, started: Timestamp, now: Timestamp) -> UpdateStatus {
    let completed = if state == UpdateState::Updating { String::new() } else { now.to_string() };
    UpdateStatus {
        state: Some(state),
        started_at: started.to_string(),
        completed_at: completed,
        message: message.to_owned(),
        ..UpdateStatus::default()
    }
}

fn named_defaults(mut config: UpdateConfig) -> UpdateConfig {
    config.failure_action.get_or_insert(FailureAction::Pause);
    config.order.get_or_insert(UpdateOrder::StopFirst);
    config
}
