//! Looking at the Swarm: from the engine's answers to the planner's observations.
//!
//! Every pass reads afresh; nothing here is a cache for decisions. What cannot be read becomes `Unknown` with the reason, never
//! `Absent` (invariant I6), so one failing call makes a pass say less, not do something wrong. The one thing that is remembered for
//! a while is what the engine is, because it changes only when the engine is replaced.

mod images;
mod links;
mod outputs;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use skep_planner::health::{ContainerVerdict, is_telling};
use skep_planner::naming::{self, LABEL_INSTANCE, LABEL_ORG, LABEL_ROLE, LABEL_UID, ROLE_EDGE};
use skep_planner::reconcile::environment::{self, EnvironmentDesired, EnvironmentObservation};
use skep_planner::reconcile::organization::{Edge, EdgeTask, OrganizationDesired, OrganizationObservation};
use skep_planner::reconcile::secret::SecretDesired;
use skep_planner::render::EngineFeatures;
use skep_planner::swarm::{
    Config, Container, ContainerId, ContainerState, ContainerSummary, Network, NetworkId, Node, NodeId,
    Secret, SecretId, Service, ServiceId, Task, TaskState,
};
use skep_planner::{Observed, Settings};
use skep_runtime::{Clock, Instant};
use skep_swarm::{By, LabelFilter, SwarmApi, SwarmError, TaskFilter};
use tokio::sync::Mutex;

use crate::clock;
use crate::error::chain;
use crate::lookup::Lookups;
use crate::scan::Scans;
use crate::signature::Signatures;

/// How long what the engine is stays believed.
const ENGINE_FACTS_FOR: Duration = Duration::from_secs(60);
/// How many tasks that failed or have not come up yet are looked at closely in one pass; the newest say enough.
const FAILED_TASKS_MAX: usize = 4;

/// Looks at the Swarm.
pub(crate) struct Observer {
    swarm: Arc<dyn SwarmApi>,
    lookups: Lookups,
    signatures: Signatures,
    scans: Scans,
    clock: Arc<dyn Clock>,
    engine: Mutex<Option<(Instant, EngineFacts)>>,
}

/// Everything in the Swarm that has a version and that an environment could see.
pub(crate) struct Versioned {
    /// What the engine can enforce.
    pub(crate) engine: EngineFeatures,
    /// All nodes.
    pub(crate) nodes: Vec<Node>,
    /// Networks with a label of ours.
    pub(crate) networks: Vec<Network>,
    /// Secrets with a label of ours.
    pub(crate) secrets: Vec<Secret>,
    /// Services with a label of ours.
    pub(crate) services: Vec<Service>,
    /// All tasks, history included.
    pub(crate) tasks: Vec<Task>,
}

/// What the engine that Skep talks to is.
#[derive(Debug, Clone)]
struct EngineFacts {
    features: EngineFeatures,
    /// Its own node in the Swarm.
    node: Option<NodeId>,
}

impl Observer {
    /// An observer of this Swarm.
    pub(crate) fn new(
        swarm: Arc<dyn SwarmApi>,
        lookups: Lookups,
        signatures: Signatures,
        scans: Scans,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { swarm, lookups, signatures, scans, clock, engine: Mutex::new(None) }
    }

    /// Its clock.
    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// The Swarm that it looks at.
    pub(crate) fn swarm(&self) -> &Arc<dyn SwarmApi> {
        &self.swarm
    }

    /// When it looks: the time of whatever it sees next.
    pub(crate) fn now(&self) -> Timestamp {
        clock::wall(&*self.clock)
    }

    /// Everything that planning an environment needs to see.
    pub(crate) async fn environment(
        &self,
        settings: &Settings,
        desired: &EnvironmentDesired,
    ) -> EnvironmentObservation {
        let names = environment::services_to_observe(settings, desired);
        let run_names = environment::runs_to_observe(desired);
        let network = naming::network(&desired.org);
        let (engine, network, secrets, entry, services, runs, nodes, image) = futures::join!(
            self.engine(),
            self.swarm.inspect_network(By::Name(&network)),
            self.secrets(desired),
            self.entry(environment::entry_to_observe(settings, desired)),
            self.services(&names),
            self.services(&run_names),
            self.swarm.list_nodes(),
            self.image(desired, environment::image_to_resolve(settings, desired)),
        );
        let ids: Vec<ServiceId> = services
            .values()
            .chain(runs.values())
            .filter_map(|service| service.present().map(|service| service.id.clone()))
            .collect();
        let (services, runs, tasks) = match self.tasks(ids).await {
            Ok(tasks) => (services, runs, tasks),
            // Without its tasks a service cannot be judged.
            Err(error) => {
                let unseen = |services: BTreeMap<String, Observed<Service>>| {
                    services.into_keys().map(|name| (name, unknown(&error))).collect()
                };
                (unseen(services), unseen(runs), BTreeMap::new())
            }
        };
        let containers = self.telling_containers(&tasks).await;
        let mut observed = EnvironmentObservation {
            engine,
            network: observed(network),
            secrets,
            entry,
            services,
            runs,
            outputs: BTreeMap::new(),
            last_lines: None,
            tasks,
            containers,
            nodes: seen(nodes),
            image_start: image.as_ref().and_then(|image| image.as_ref().ok()?.start.clone()),
            image: image.map(|image| image.map(|found| found.resolved)),
        };
        observed.outputs = self.outputs(settings, desired, &observed).await;
        observed.last_lines = self.last_lines(settings, desired, &observed).await;
        observed
    }

    /// Everything that planning an organisation needs to see.
    pub(crate) async fn organization(&self, desired: &OrganizationDesired) -> OrganizationObservation {
        let (network_name, anchor_name) = (naming::network(&desired.org), naming::anchor(&desired.org));
        let of_edge = LabelFilter::any().with(LABEL_ROLE, ROLE_EDGE);
        let (network, anchor, edge_services, info) = futures::join!(
            self.swarm.inspect_network(By::Name(&network_name)),
            self.swarm.inspect_service(By::Name(&anchor_name)),
            self.swarm.list_services(&of_edge),
            self.engine_facts(),
        );
        let network = observed(network);
        let anchor = observed(anchor);
        let edge = match edge_services {
            Ok(services) => self.edge(&services, network.present()).await,
            Err(error) => unknown(&error),
        };
        let mut anchor_tasks = Vec::new();
        if let Observed::Present(anchor) = &anchor {
            match self.swarm.list_tasks(&TaskFilter::of_service(anchor.id.clone())).await {
                Ok(tasks) => anchor_tasks = tasks,
                Err(error) => return OrganizationObservation::unknown(&chain(&error)),
            }
        }
        let here = info.ok().and_then(|facts| facts.node);
        let runs = |task: &&Task| task.status.state == Some(TaskState::Running);
        let anchor_here = here.is_some() && anchor_tasks.iter().filter(runs).any(|task| task.node_id == here);
        let alive = anchor_tasks
            .iter()
            .filter(|task| !task.status.state.as_ref().is_some_and(TaskState::is_terminal));
        let anchor_tasks = u64::try_from(alive.count()).unwrap_or(u64::MAX);
        let links = self.links(desired).await;
        OrganizationObservation { network, anchor, anchor_here, anchor_tasks, links, edge }
    }

    /// The objects that carry a secret's labels.
    pub(crate) async fn secret(&self, desired: &SecretDesired) -> Observed<Vec<Secret>> {
        let uid = desired.secret.meta.uid.to_string();
        let mut found = match self.swarm.list_secrets(&LabelFilter::any().with(LABEL_UID, uid)).await {
            Ok(found) => found,
            Err(error) => return unknown(&error),
        };
        // Labels can be taken off by hand, and a foreign object can have the name: both are found by name alone.
        for name in desired.object_names() {
            if found.iter().any(|secret| secret.spec.name == name) {
                continue;
            }
            match self.swarm.inspect_secret(By::Name(name)).await {
                Ok(secret) => found.extend(secret),
                Err(error) => return unknown(&error),
            }
        }
        Observed::Present(found)
    }

    /// Everything that has a version, by one list of each sort; an error if any of it cannot be read.
    pub(crate) async fn versioned(&self) -> Result<Versioned, SwarmError> {
        let (ours, every) = (LabelFilter::any().having(LABEL_INSTANCE), TaskFilter::default());
        let (engine, nodes, networks, secrets, services, tasks) = futures::try_join!(
            self.engine_facts(),
            self.swarm.list_nodes(),
            self.swarm.list_networks(&ours),
            self.swarm.list_secrets(&ours),
            self.swarm.list_services(&ours),
            self.swarm.list_tasks(&every),
        )?;
        Ok(Versioned { engine: engine.features, nodes, networks, secrets, services, tasks })
    }

    async fn engine(&self) -> Observed<EngineFeatures> {
        seen(self.engine_facts().await).map(|facts| facts.features)
    }

    async fn engine_facts(&self) -> Result<EngineFacts, SwarmError> {
        let mut known = self.engine.lock().await;
        if let Some((since, facts)) = &*known
            && self.clock.now() - *since < ENGINE_FACTS_FOR
        {
            return Ok(facts.clone());
        }
        let info = self.swarm.info().await?;
        let features = EngineFeatures::of_api(info.api_version.major.into(), info.api_version.minor.into());
        let facts = EngineFacts { features, node: info.node_id };
        *known = Some((self.clock.now(), facts.clone()));
        Ok(facts)
    }

    async fn secrets(&self, desired: &EnvironmentDesired) -> BTreeMap<String, Observed<SecretId>> {
        let names = environment::secrets_to_observe(desired);
        if names.is_empty() {
            return BTreeMap::new();
        }
        let listed = self.swarm.list_secrets(&LabelFilter::any().with(LABEL_ORG, desired.org.as_str())).await;
        names
            .into_iter()
            .map(|name| {
                let found = match &listed {
                    Ok(secrets) => secrets
                        .iter()
                        .find(|secret| secret.spec.name == name)
                        .map(|secret| secret.id.clone())
                        .into(),
                    Err(error) => unknown(error),
                };
                (name, found)
            })
            .collect()
    }

    async fn entry(&self, name: Option<String>) -> Observed<Config> {
        match name {
            Some(name) => observed(self.swarm.inspect_config(By::Name(&name)).await),
            None => Observed::Absent,
        }
    }

    async fn services(&self, names: &[String]) -> BTreeMap<String, Observed<Service>> {
        let inspected = join_all(names.iter().map(|name| self.swarm.inspect_service(By::Name(name)))).await;
        names.iter().cloned().zip(inspected.into_iter().map(observed)).collect()
    }

    async fn tasks(&self, services: Vec<ServiceId>) -> Result<BTreeMap<ServiceId, Vec<Task>>, SwarmError> {
        let mut by_service: BTreeMap<ServiceId, Vec<Task>> = BTreeMap::new();
        if services.is_empty() {
            return Ok(by_service);
        }
        for task in self.swarm.list_tasks(&TaskFilter { services, ..TaskFilter::default() }).await? {
            if let Some(service) = task.service_id.clone() {
                by_service.entry(service).or_default().push(task);
            }
        }
        Ok(by_service)
    }

    /// What is known about the containers of the newest tasks that failed or have not come up yet. Those of other nodes cannot be
    /// asked about, and then the exit code has to do.
    async fn telling_containers(
        &self,
        tasks: &BTreeMap<ServiceId, Vec<Task>>,
    ) -> BTreeMap<ContainerId, ContainerVerdict> {
        let mut telling: Vec<&Task> = tasks.values().flatten().filter(|task| is_telling(task)).collect();
        telling.sort_by(|a, b| b.status.timestamp.cmp(&a.status.timestamp));
        let containers = telling
            .into_iter()
            .filter_map(|task| task.status.container_status.as_ref())
            .map(|status| status.container_id.clone())
            .filter(|id| !id.is_empty())
            .take(FAILED_TASKS_MAX);
        let verdicts = join_all(containers.map(async |id| {
            let container = self.swarm.inspect_container(&id).await.ok().flatten();
            (id, container)
        }))
        .await;
        verdicts
            .into_iter()
            .filter_map(|(id, container)| container.map(|container| (id, verdict(&container))))
            .collect()
    }

    async fn edge(&self, services: &[Service], network: Option<&Network>) -> Observed<Edge> {
        let Some(first) = services.first() else { return Observed::Absent };
        let constraints =
            first.spec.task_template.placement.as_ref().map(|placement| placement.constraints.clone());
        let mut tasks = Vec::new();
        for service in services {
            let of_service = LabelFilter::any().with("com.docker.swarm.service.id", service.id.as_str());
            match self.swarm.list_containers(&of_service).await {
                Ok(containers) => tasks.extend(
                    containers
                        .iter()
                        .filter(|container| container.state == Some(ContainerState::Running))
                        .map(|container| edge_task(container, network.map(|network| &network.id))),
                ),
                Err(error) => return unknown(&error),
            }
        }
        tasks.sort_by(|a, b| a.container.cmp(&b.container));
        Observed::Present(Edge { constraints: constraints.unwrap_or_default(), tasks })
    }
}

/// The check that runs while the container is killed dies with it, fails without a word, and is the last in the log; what made the
/// container unhealthy stands before it.
fn verdict(container: &Container) -> ContainerVerdict {
    let probes = container.state.health.as_ref().map(|health| health.log.as_slice()).unwrap_or_default();
    let failed = || probes.iter().rev().filter(|probe| probe.exit_code != 0);
    let told = failed().find(|probe| !probe.output.trim().is_empty()).or_else(|| failed().next());
    ContainerVerdict {
        out_of_memory: container.state.oom_killed,
        unhealthy: container.state.health.as_ref().is_some_and(|health| health.status == "unhealthy"),
        health_output: told.map(|probe| probe.output.clone()),
    }
}

fn edge_task(container: &ContainerSummary, network: Option<&NetworkId>) -> EdgeTask {
    let attached =
        container.network_settings.networks.values().find(|attached| Some(&attached.network_id) == network);
    let address = attached.and_then(|attached| attached.ip_address.parse::<Ipv4Addr>().ok());
    EdgeTask { container: container.id.clone(), address }
}

fn observed<T>(answer: Result<Option<T>, SwarmError>) -> Observed<T> {
    match answer {
        Ok(found) => found.into(),
        Err(error) => unknown(&error),
    }
}

fn seen<T>(answer: Result<T, SwarmError>) -> Observed<T> {
    match answer {
        Ok(value) => Observed::Present(value),
        Err(error) => unknown(&error),
    }
}

fn unknown<T>(error: &SwarmError) -> Observed<T> {
    Observed::Unknown { why: chain(error) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(log: &[(i64, &str)]) -> Option<String> {
        let log: Vec<_> =
            log.iter().map(|(code, output)| json!({ "ExitCode": code, "Output": output })).collect();
        let state = json!({ "Status": "exited", "Health": { "Status": "unhealthy", "Log": log } });
        let container = serde_json::from_value(json!({ "Id": "c1", "State": state })).unwrap();
        verdict(&container).health_output
    }

    #[test]
    fn the_check_that_died_with_its_container_does_not_hide_what_the_one_before_said() {
        let refused = "port 8080 refused\n";
        assert_eq!(told(&[(0, "fine"), (1, refused), (137, "")]).as_deref(), Some(refused));
        assert_eq!(told(&[(1, "first"), (1, refused)]).as_deref(), Some(refused));
        assert_eq!(told(&[(0, "fine"), (1, "")]).as_deref(), Some(""), "it failed, without a word");
        assert_eq!(told(&[(0, "fine")]), None);
    }
}
