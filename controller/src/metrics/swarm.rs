//! A Swarm that measures every call: how long it took, how it ended, and whether a write was heard of.
//!
//! It changes nothing about the calls. Everything that talks to the engine does so through it, so there is no call that is not
//! counted.

use std::future::Future;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use secrecy::SecretSlice;
use skep_planner::swarm::{
    Config, ConfigId, ConfigSpec, Container, ContainerId, ContainerStats, ContainerSummary, Network,
    NetworkCreate, NetworkId, Node, Secret, SecretId, SecretSpec, Service, ServiceId, ServiceSpec, Task,
    Version,
};
use skep_swarm::{
    By, EngineInfo, HintKind, HintStream, LabelFilter, LogLineStream, LogQuery, LogTarget, RegistryAuth,
    ResolvedImage, SwarmApi, SwarmError, TaskFilter, Verb,
};
use tracing::Instrument;

use super::engine::result;
use super::{EngineMetrics, OwnWrites};

/// A Swarm, measured.
pub struct Measured {
    inner: Arc<dyn SwarmApi>,
    engine: EngineMetrics,
    own_writes: OwnWrites,
}

impl Measured {
    /// Measures every call to this Swarm.
    pub const fn new(inner: Arc<dyn SwarmApi>, engine: EngineMetrics, own_writes: OwnWrites) -> Self {
        Self { inner, engine, own_writes }
    }

    async fn call<T>(
        &self,
        verb: Verb,
        call: impl Future<Output = Result<T, SwarmError>> + Send,
    ) -> Result<T, SwarmError> {
        let began = Instant::now();
        let answer = call.instrument(tracing::debug_span!("swarm", verb = verb.as_str())).await;
        let took = began.elapsed();
        let error = answer.as_ref().err();
        self.engine.called(verb, error, took);
        tracing::debug!(verb = verb.as_str(), result = error.map_or("ok", result), ?took, "swarm call");
        answer
    }

    /// A call that changes an object whose id is known, and that is to cause an event.
    async fn write(
        &self,
        verb: Verb,
        kind: HintKind,
        id: &str,
        call: impl Future<Output = Result<(), SwarmError>> + Send,
    ) -> Result<(), SwarmError> {
        let began = Instant::now();
        self.call(verb, call).await?;
        self.own_writes.wrote(kind, id, began);
        Ok(())
    }

    /// A call that makes an object and learns its id.
    async fn create<I: AsRef<str>>(
        &self,
        verb: Verb,
        kind: HintKind,
        call: impl Future<Output = Result<I, SwarmError>> + Send,
    ) -> Result<I, SwarmError> {
        let began = Instant::now();
        let id = self.call(verb, call).await?;
        self.own_writes.wrote(kind, id.as_ref(), began);
        Ok(id)
    }
}

#[async_trait]
impl SwarmApi for Measured {
    async fn ping(&self) -> Result<(), SwarmError> {
        self.call(Verb::Ping, self.inner.ping()).await
    }

    async fn info(&self) -> Result<EngineInfo, SwarmError> {
        self.call(Verb::Info, self.inner.info()).await
    }

    async fn list_services(&self, filter: &LabelFilter) -> Result<Vec<Service>, SwarmError> {
        self.call(Verb::ListServices, self.inner.list_services(filter)).await
    }

    async fn inspect_service(&self, service: By<'_, ServiceId>) -> Result<Option<Service>, SwarmError> {
        self.call(Verb::InspectService, self.inner.inspect_service(service)).await
    }

    async fn services_named(&self, names: &[String]) -> Result<Vec<Service>, SwarmError> {
        self.call(Verb::ListServices, self.inner.services_named(names)).await
    }

    async fn create_service(
        &self,
        spec: &ServiceSpec,
        auth: Option<&RegistryAuth>,
    ) -> Result<ServiceId, SwarmError> {
        let call = self.inner.create_service(spec, auth);
        self.create(Verb::CreateService, HintKind::Service, call).await
    }

    async fn update_service(
        &self,
        id: &ServiceId,
        version: Version,
        spec: &ServiceSpec,
        auth: Option<&RegistryAuth>,
    ) -> Result<(), SwarmError> {
        let call = self.inner.update_service(id, version, spec, auth);
        self.write(Verb::UpdateService, HintKind::Service, id.as_str(), call).await
    }

    async fn remove_service(&self, id: &ServiceId) -> Result<(), SwarmError> {
        let call = self.inner.remove_service(id);
        self.write(Verb::RemoveService, HintKind::Service, id.as_str(), call).await
    }

    async fn list_tasks(&self, filter: &TaskFilter) -> Result<Vec<Task>, SwarmError> {
        self.call(Verb::ListTasks, self.inner.list_tasks(filter)).await
    }

    async fn list_nodes(&self) -> Result<Vec<Node>, SwarmError> {
        self.call(Verb::ListNodes, self.inner.list_nodes()).await
    }

    async fn list_networks(&self, filter: &LabelFilter) -> Result<Vec<Network>, SwarmError> {
        self.call(Verb::ListNetworks, self.inner.list_networks(filter)).await
    }

    async fn inspect_network(&self, network: By<'_, NetworkId>) -> Result<Option<Network>, SwarmError> {
        self.call(Verb::InspectNetwork, self.inner.inspect_network(network)).await
    }

    async fn create_network(&self, network: &NetworkCreate) -> Result<NetworkId, SwarmError> {
        self.create(Verb::CreateNetwork, HintKind::Network, self.inner.create_network(network)).await
    }

    async fn remove_network(&self, id: &NetworkId) -> Result<(), SwarmError> {
        let call = self.inner.remove_network(id);
        self.write(Verb::RemoveNetwork, HintKind::Network, id.as_str(), call).await
    }

    async fn connect_network(
        &self,
        network: &NetworkId,
        container: &ContainerId,
        address: Ipv4Addr,
    ) -> Result<(), SwarmError> {
        // Attachments are events of the node's engine, which need not be the one that is listened to.
        let call = self.inner.connect_network(network, container, address);
        self.call(Verb::ConnectNetwork, call).await
    }

    async fn disconnect_network(
        &self,
        network: &NetworkId,
        container: &ContainerId,
        force: bool,
    ) -> Result<(), SwarmError> {
        let call = self.inner.disconnect_network(network, container, force);
        self.call(Verb::DisconnectNetwork, call).await
    }

    async fn list_secrets(&self, filter: &LabelFilter) -> Result<Vec<Secret>, SwarmError> {
        self.call(Verb::ListSecrets, self.inner.list_secrets(filter)).await
    }

    async fn create_secret(
        &self,
        spec: &SecretSpec,
        value: &SecretSlice<u8>,
    ) -> Result<SecretId, SwarmError> {
        self.create(Verb::CreateSecret, HintKind::Secret, self.inner.create_secret(spec, value)).await
    }

    async fn inspect_secret(&self, secret: By<'_, SecretId>) -> Result<Option<Secret>, SwarmError> {
        self.call(Verb::InspectSecret, self.inner.inspect_secret(secret)).await
    }

    async fn update_secret(
        &self,
        id: &SecretId,
        version: Version,
        spec: &SecretSpec,
    ) -> Result<(), SwarmError> {
        let call = self.inner.update_secret(id, version, spec);
        self.write(Verb::UpdateSecret, HintKind::Secret, id.as_str(), call).await
    }

    async fn remove_secret(&self, id: &SecretId) -> Result<(), SwarmError> {
        self.write(Verb::RemoveSecret, HintKind::Secret, id.as_str(), self.inner.remove_secret(id)).await
    }

    async fn inspect_config(&self, config: By<'_, ConfigId>) -> Result<Option<Config>, SwarmError> {
        self.call(Verb::InspectConfig, self.inner.inspect_config(config)).await
    }

    async fn create_config(&self, spec: &ConfigSpec) -> Result<ConfigId, SwarmError> {
        self.create(Verb::CreateConfig, HintKind::Config, self.inner.create_config(spec)).await
    }

    async fn update_config(
        &self,
        id: &ConfigId,
        version: Version,
        spec: &ConfigSpec,
    ) -> Result<(), SwarmError> {
        let call = self.inner.update_config(id, version, spec);
        self.write(Verb::UpdateConfig, HintKind::Config, id.as_str(), call).await
    }

    async fn remove_config(&self, id: &ConfigId) -> Result<(), SwarmError> {
        self.write(Verb::RemoveConfig, HintKind::Config, id.as_str(), self.inner.remove_config(id)).await
    }

    async fn list_containers(&self, filter: &LabelFilter) -> Result<Vec<ContainerSummary>, SwarmError> {
        self.call(Verb::ListContainers, self.inner.list_containers(filter)).await
    }

    async fn inspect_container(&self, container: &ContainerId) -> Result<Option<Container>, SwarmError> {
        self.call(Verb::InspectContainer, self.inner.inspect_container(container)).await
    }

    async fn container_stats(&self, container: &ContainerId) -> Result<Option<ContainerStats>, SwarmError> {
        self.call(Verb::ContainerStats, self.inner.container_stats(container)).await
    }

    async fn resolve_image(
        &self,
        reference: &str,
        auth: Option<&RegistryAuth>,
    ) -> Result<ResolvedImage, SwarmError> {
        self.call(Verb::ResolveImage, self.inner.resolve_image(reference, auth)).await
    }

    async fn remove_image(&self, reference: &str) -> Result<(), SwarmError> {
        // No event of the Swarm: images are an engine's own.
        self.call(Verb::RemoveImage, self.inner.remove_image(reference)).await
    }

    async fn logs(&self, target: &LogTarget, query: &LogQuery) -> Result<LogLineStream, SwarmError> {
        self.call(Verb::ReadLogs, self.inner.logs(target, query)).await
    }

    async fn events(&self) -> Result<HintStream, SwarmError> {
        self.call(Verb::FollowEvents, self.inner.events()).await
    }
}
