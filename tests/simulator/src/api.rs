//! A handle to a simulated Swarm, with the verbs that Skep knows a Swarm by.
//!
//! Verbs take no time on the Swarm's clock unless [`SimSwarm::set_latency`] says so, and let nothing happen by themselves:
//! whoever holds the handle advances the clock.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use secrecy::SecretSlice;
use skep_planner::checkup::{EnginePosture, SwarmSettings};
use skep_planner::swarm::{
    Config, ConfigId, ConfigSpec, Container, ContainerId, ContainerStats, ContainerSummary, Network,
    NetworkCreate, NetworkId, Node, NodeId, Secret, SecretId, SecretSpec, Service, ServiceId, ServiceSpec,
    Task, Version,
};
use skep_swarm::{
    ApiVersion, By, Call, EngineInfo, Hint, HintStream, LabelFilter, LogLineStream, LogQuery, LogTarget,
    RegistryAuth, ResolvedImage, SwarmApi, SwarmError, TaskFilter, Verb,
};
use tokio::sync::mpsc;

use crate::refusal::Refusal;
use crate::swarm::{ASKED_NODE, Swarm};

/// Ninety days, as every Swarm begins with.
const CERTIFICATE_LIFE: i64 = 90 * 24 * 3600 * 1_000_000_000;

/// How many events an engine keeps for a reader that is slow; what comes then is lost to it.
const SLOW_READER: usize = 1024;

/// A handle to a simulated Swarm; clones are handles to the same.
#[derive(Clone)]
pub struct SimSwarm(Arc<Mutex<Shared>>);

struct Shared {
    swarm: Swarm,
    latency: Duration,
    is_reachable: bool,
    told: u64,
    listeners: Vec<mpsc::Sender<Hint>>,
}

impl SimSwarm {
    /// A handle to this Swarm.
    pub fn new(swarm: Swarm) -> Self {
        let told = swarm.event_position();
        let shared =
            Shared { swarm, latency: Duration::ZERO, is_reachable: true, told, listeners: Vec::new() };
        Self(Arc::new(Mutex::new(shared)))
    }

    /// Reaches the Swarm itself: its clock, and the hands for tests. What it tells meanwhile is told when this returns.
    pub fn with<T>(&self, look: impl FnOnce(&mut Swarm) -> T) -> T {
        let mut shared = self.lock();
        let answer = look(&mut shared.swarm);
        shared.tell();
        answer
    }

    /// A copy of the Swarm as it is; what happens to one does not happen to the other.
    pub fn snapshot(&self) -> Swarm {
        self.lock().swarm.clone()
    }

    /// From now on every call takes so long, on the caller's clock.
    pub fn set_latency(&self, latency: Duration) {
        self.lock().latency = latency;
    }

    /// From now on the engine can be reached, or not. Connections for events end when it cannot.
    pub fn set_reachable(&self, is_reachable: bool) {
        let mut shared = self.lock();
        shared.is_reachable = is_reachable;
        if !is_reachable {
            shared.listeners.clear();
        }
    }

    /// Ends the connections of all who listen for events. What happens until they connect again they do not hear of.
    pub fn disconnect_listeners(&self) {
        self.lock().listeners.clear();
    }

    /// How many listen for events.
    pub fn listeners(&self) -> usize {
        let mut shared = self.lock();
        shared.listeners.retain(|listener| !listener.is_closed());
        shared.listeners.len()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // A test that failed while it held the Swarm must not hide its own message behind another.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One call to the engine.
    async fn call<T>(
        &self,
        call: Call,
        answer: impl FnOnce(&mut Swarm) -> Result<T, Refusal> + Send,
    ) -> Result<T, SwarmError> {
        let (latency, is_reachable) = {
            let shared = self.lock();
            (shared.latency, shared.is_reachable)
        };
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        if !is_reachable {
            let source = Arc::new(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
            return Err(SwarmError::Unavailable { call, sent: false, source });
        }
        self.with(answer).map_err(|refusal| refusal.sorted(call))
    }
}

impl Shared {
    /// Tells those who listen what has happened. What the engine has forgotten meanwhile, and what a slow reader has no room for,
    /// is lost to them.
    fn tell(&mut self) {
        let (hints, told) = self.swarm.events_since(self.told);
        self.told = told;
        self.listeners.retain(|listener| !listener.is_closed());
        for hint in hints {
            for listener in &self.listeners {
                drop(listener.try_send(hint.clone()));
            }
        }
    }
}

#[async_trait]
impl SwarmApi for SimSwarm {
    async fn ping(&self) -> Result<(), SwarmError> {
        self.call(Call::plain(Verb::Ping), |_| Ok(())).await
    }

    async fn info(&self) -> Result<EngineInfo, SwarmError> {
        self.call(Call::plain(Verb::Info), |swarm| {
            let behaviour = swarm.behaviour();
            Ok(EngineInfo {
                api_version: behaviour.api().min(ApiVersion::NEWEST),
                engine_version: behaviour.engine_version().to_owned(),
                name: ASKED_NODE.to_owned(),
                node_id: Some(NodeId::from(ASKED_NODE)),
                cluster_id: Some(swarm.cluster_id().to_owned()),
                is_manager: true,
                posture: EnginePosture {
                    security_options: vec!["name=seccomp,profile=builtin".to_owned()],
                    swarm: Some(SwarmSettings { is_autolocked: false, certificate_life: CERTIFICATE_LIFE }),
                    ..EnginePosture::default()
                },
            })
        })
        .await
    }

    async fn list_services(&self, filter: &LabelFilter) -> Result<Vec<Service>, SwarmError> {
        self.call(Call::plain(Verb::ListServices), |swarm| Ok(swarm.list_services(filter))).await
    }

    async fn inspect_service(&self, service: By<'_, ServiceId>) -> Result<Option<Service>, SwarmError> {
        self.call(Call::on(Verb::InspectService, service), |swarm| Ok(swarm.inspect_service(service))).await
    }

    async fn create_service(
        &self,
        spec: &ServiceSpec,
        _auth: Option<&RegistryAuth>,
    ) -> Result<ServiceId, SwarmError> {
        self.call(Call::on(Verb::CreateService, &spec.name), |swarm| swarm.create_service(spec)).await
    }

    async fn update_service(
        &self,
        id: &ServiceId,
        version: Version,
        spec: &ServiceSpec,
        _auth: Option<&RegistryAuth>,
    ) -> Result<(), SwarmError> {
        let call = Call::on(Verb::UpdateService, format_args!("{} ({id})", spec.name));
        self.call(call, |swarm| swarm.update_service(id, version, spec)).await
    }

    async fn remove_service(&self, id: &ServiceId) -> Result<(), SwarmError> {
        self.call(Call::on(Verb::RemoveService, id), |swarm| swarm.remove_service(id)).await
    }

    async fn list_tasks(&self, filter: &TaskFilter) -> Result<Vec<Task>, SwarmError> {
        self.call(Call::plain(Verb::ListTasks), |swarm| Ok(swarm.list_tasks(filter))).await
    }

    async fn list_nodes(&self) -> Result<Vec<Node>, SwarmError> {
        self.call(Call::plain(Verb::ListNodes), |swarm| Ok(swarm.list_nodes())).await
    }

    async fn list_networks(&self, filter: &LabelFilter) -> Result<Vec<Network>, SwarmError> {
        self.call(Call::plain(Verb::ListNetworks), |swarm| Ok(swarm.list_networks(filter))).await
    }

    async fn inspect_network(&self, network: By<'_, NetworkId>) -> Result<Option<Network>, SwarmError> {
        self.call(Call::on(Verb::InspectNetwork, network), |swarm| Ok(swarm.inspect_network(network))).await
    }

    async fn create_network(&self, network: &NetworkCreate) -> Result<NetworkId, SwarmError> {
        self.call(Call::on(Verb::CreateNetwork, &network.name), |swarm| swarm.create_network(network)).await
    }

    async fn remove_network(&self, id: &NetworkId) -> Result<(), SwarmError> {
        self.call(Call::on(Verb::RemoveNetwork, id), |swarm| swarm.remove_network(id)).await
    }

    async fn connect_network(
        &self,
        network: &NetworkId,
        container: &ContainerId,
        address: Ipv4Addr,
    ) -> Result<(), SwarmError> {
        let call = Call::on(Verb::ConnectNetwork, format_args!("{network}, container {container}"));
        self.call(call, |swarm| swarm.connect_network(network, container, address)).await
    }

    async fn disconnect_network(
        &self,
        network: &NetworkId,
        container: &ContainerId,
        force: bool,
    ) -> Result<(), SwarmError> {
        let call = Call::on(Verb::DisconnectNetwork, format_args!("{network}, container {container}"));
        self.call(call, |swarm| swarm.disconnect_network(network, container, force)).await
    }

    async fn list_secrets(&self, filter: &LabelFilter) -> Result<Vec<Secret>, SwarmError> {
        self.call(Call::plain(Verb::ListSecrets), |swarm| Ok(swarm.list_secrets(filter))).await
    }

    async fn create_secret(
        &self,
        spec: &SecretSpec,
        value: &SecretSlice<u8>,
    ) -> Result<SecretId, SwarmError> {
        self.call(Call::on(Verb::CreateSecret, &spec.name), |swarm| swarm.create_secret(spec, value)).await
    }

    async fn inspect_secret(&self, secret: By<'_, SecretId>) -> Result<Option<Secret>, SwarmError> {
        self.call(Call::on(Verb::InspectSecret, secret), |swarm| Ok(swarm.inspect_secret(secret))).await
    }

    async fn update_secret(
        &self,
        id: &SecretId,
        version: Version,
        spec: &SecretSpec,
    ) -> Result<(), SwarmError> {
        let call = Call::on(Verb::UpdateSecret, format_args!("{} ({id})", spec.name));
        self.call(call, |swarm| swarm.update_secret(id, version, spec)).await
    }

    async fn remove_secret(&self, id: &SecretId) -> Result<(), SwarmError> {
        self.call(Call::on(Verb::RemoveSecret, id), |swarm| swarm.remove_secret(id)).await
    }

    async fn inspect_config(&self, config: By<'_, ConfigId>) -> Result<Option<Config>, SwarmError> {
        self.call(Call::on(Verb::InspectConfig, config), |swarm| Ok(swarm.inspect_config(config))).await
    }

    async fn create_config(&self, spec: &ConfigSpec) -> Result<ConfigId, SwarmError> {
        self.call(Call::on(Verb::CreateConfig, &spec.name), |swarm| swarm.create_config(spec)).await
    }

    async fn update_config(
        &self,
        id: &ConfigId,
        version: Version,
        spec: &ConfigSpec,
    ) -> Result<(), SwarmError> {
        let call = Call::on(Verb::UpdateConfig, format_args!("{} ({id})", spec.name));
        self.call(call, |swarm| swarm.update_config(id, version, spec)).await
    }

    async fn remove_config(&self, id: &ConfigId) -> Result<(), SwarmError> {
        self.call(Call::on(Verb::RemoveConfig, id), |swarm| swarm.remove_config(id)).await
    }

    async fn list_containers(&self, filter: &LabelFilter) -> Result<Vec<ContainerSummary>, SwarmError> {
        self.call(Call::plain(Verb::ListContainers), |swarm| Ok(swarm.list_containers(filter))).await
    }

    async fn inspect_container(&self, container: &ContainerId) -> Result<Option<Container>, SwarmError> {
        let call = Call::on(Verb::InspectContainer, container);
        self.call(call, |swarm| Ok(swarm.inspect_container(container))).await
    }

    async fn container_stats(&self, container: &ContainerId) -> Result<Option<ContainerStats>, SwarmError> {
        let call = Call::on(Verb::ContainerStats, container);
        self.call(call, |swarm| Ok(swarm.container_stats(container))).await
    }

    async fn resolve_image(
        &self,
        reference: &str,
        _auth: Option<&RegistryAuth>,
    ) -> Result<ResolvedImage, SwarmError> {
        let call = Call::on(Verb::ResolveImage, reference);
        let answer = self.call(call.clone(), |swarm| Ok(swarm.resolve_image(reference))).await?;
        match answer {
            Some(answer) => answer.map_err(|refusal| refusal.sorted(call)),
            None => std::future::pending().await,
        }
    }

    async fn remove_image(&self, reference: &str) -> Result<(), SwarmError> {
        self.call(Call::on(Verb::RemoveImage, reference), |swarm| swarm.remove_image(reference)).await
    }

    async fn logs(&self, target: &LogTarget, query: &LogQuery) -> Result<LogLineStream, SwarmError> {
        let lines = self.call(Call::plain(Verb::ReadLogs), |swarm| swarm.logs(target, query)).await?;
        let lines = futures::stream::iter(lines.into_iter().map(Ok));
        Ok(if query.follow { lines.chain(futures::stream::pending()).boxed() } else { lines.boxed() })
    }

    async fn events(&self) -> Result<HintStream, SwarmError> {
        let (listener, heard) = mpsc::channel(SLOW_READER);
        self.call(Call::plain(Verb::FollowEvents), |_| Ok(())).await?;
        self.lock().listeners.push(listener);
        let hints = futures::stream::unfold(heard, |mut heard| async move {
            let hint = heard.recv().await?;
            Some((Ok(hint), heard))
        });
        Ok(hints.boxed())
    }
}
