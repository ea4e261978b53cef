//! The verbs of a Swarm.

use std::net::Ipv4Addr;

use async_trait::async_trait;
use secrecy::SecretSlice;
use skep_planner::swarm::{
    Config, ConfigId, ConfigSpec, Container, ContainerId, ContainerStats, ContainerSummary, Network,
    NetworkCreate, NetworkId, Node, Secret, SecretId, SecretSpec, Service, ServiceId, ServiceSpec, Task,
    Version,
};

use crate::auth::RegistryAuth;
use crate::engine::{EngineInfo, ResolvedImage};
use crate::error::SwarmError;
use crate::query::{By, LabelFilter, TaskFilter};
use crate::stream::{HintStream, LogLineStream, LogQuery, LogTarget};

/// What Skep asks of a Swarm, one verb per call to the engine. There are no decisions here: what to do is planned
/// elsewhere, from what these verbs read.
///
/// Guarantees of every implementation:
/// - Every call ends: with an answer or with an error that names the call, within a bound.
/// - `inspect_*` say `None` only when the engine answered that the object is not there.
/// - `create_*` never replace, `update_*` never apply over a change they did not see, `remove_*` and
///   `disconnect_network` say [`SwarmError::NotFound`] when there is nothing to remove.
/// - An error's [`SwarmError::effect`] says whether a mutation may have happened all the same.
#[async_trait]
pub trait SwarmApi: Send + Sync {
    /// Whether the engine answers.
    async fn ping(&self) -> Result<(), SwarmError>;

    /// What the engine is.
    async fn info(&self) -> Result<EngineInfo, SwarmError>;

    /// Services with these labels. Task counts are not asked for: they cost the manager a walk over all tasks, which
    /// [`SwarmApi::list_tasks`] gives with reasons.
    async fn list_services(&self, filter: &LabelFilter) -> Result<Vec<Service>, SwarmError>;

    /// One service.
    async fn inspect_service(&self, service: By<'_, ServiceId>) -> Result<Option<Service>, SwarmError>;

    /// The services with exactly these names; a name that no service has adds nothing.
    async fn services_named(&self, names: &[String]) -> Result<Vec<Service>, SwarmError> {
        let mut found = Vec::new();
        for name in names {
            found.extend(self.inspect_service(By::Name(name)).await?);
        }
        Ok(found)
    }

    /// Makes a service; its name must be free.
    async fn create_service(
        &self,
        spec: &ServiceSpec,
        auth: Option<&RegistryAuth>,
    ) -> Result<ServiceId, SwarmError>;

    /// Replaces the whole spec, if the service still has the version the spec was computed from. Without `auth` the
    /// credentials it has are kept.
    async fn update_service(
        &self,
        id: &ServiceId,
        version: Version,
        spec: &ServiceSpec,
        auth: Option<&RegistryAuth>,
    ) -> Result<(), SwarmError>;

    /// Removes a service; its tasks stop afterwards.
    async fn remove_service(&self, id: &ServiceId) -> Result<(), SwarmError>;

    /// Tasks, those that ended included unless filtered out.
    async fn list_tasks(&self, filter: &TaskFilter) -> Result<Vec<Task>, SwarmError>;

    /// All members of the Swarm.
    async fn list_nodes(&self) -> Result<Vec<Node>, SwarmError>;

    /// Networks with these labels, of the Swarm and of this engine; without their containers.
    async fn list_networks(&self, filter: &LabelFilter) -> Result<Vec<Network>, SwarmError>;

    /// One network, with the containers this engine has on it.
    async fn inspect_network(&self, network: By<'_, NetworkId>) -> Result<Option<Network>, SwarmError>;

    /// Makes a network; its name must be free.
    async fn create_network(&self, network: &NetworkCreate) -> Result<NetworkId, SwarmError>;

    /// Removes a network nothing uses. This engine lets go of it some seconds later.
    async fn remove_network(&self, id: &NetworkId) -> Result<(), SwarmError>;

    /// Attaches a container of this engine to a network at this address. A network of the Swarm must already be on
    /// this engine's node ([`SwarmError::NotFound`] else); a container that is attached already is
    /// [`SwarmError::NameTaken`].
    async fn connect_network(
        &self,
        network: &NetworkId,
        container: &ContainerId,
        address: Ipv4Addr,
    ) -> Result<(), SwarmError>;

    /// Detaches a container of this engine from a network; `force` also when the container is gone.
    async fn disconnect_network(
        &self,
        network: &NetworkId,
        container: &ContainerId,
        force: bool,
    ) -> Result<(), SwarmError>;

    /// Secrets with these labels; never their values.
    async fn list_secrets(&self, filter: &LabelFilter) -> Result<Vec<Secret>, SwarmError>;

    /// Makes a secret with this value; its name must be free.
    async fn create_secret(&self, spec: &SecretSpec, value: &SecretSlice<u8>)
    -> Result<SecretId, SwarmError>;

    /// One secret; never its value.
    async fn inspect_secret(&self, secret: By<'_, SecretId>) -> Result<Option<Secret>, SwarmError>;

    /// Changes the labels of a secret, the only thing about one that can change, if it still has the version that the change was
    /// computed from.
    async fn update_secret(
        &self,
        id: &SecretId,
        version: Version,
        spec: &SecretSpec,
    ) -> Result<(), SwarmError>;

    /// Removes a secret no service uses.
    async fn remove_secret(&self, id: &SecretId) -> Result<(), SwarmError>;

    /// One config.
    async fn inspect_config(&self, config: By<'_, ConfigId>) -> Result<Option<Config>, SwarmError>;

    /// Makes a config; its name must be free.
    async fn create_config(&self, spec: &ConfigSpec) -> Result<ConfigId, SwarmError>;

    /// Replaces a config's labels, if it still has the version the spec was computed from. Everything else in the spec has to
    /// be as it is.
    async fn update_config(
        &self,
        id: &ConfigId,
        version: Version,
        spec: &ConfigSpec,
    ) -> Result<(), SwarmError>;

    /// Removes a config no service uses.
    async fn remove_config(&self, id: &ConfigId) -> Result<(), SwarmError>;

    /// Containers of this engine with these labels, those that ended included.
    async fn list_containers(&self, filter: &LabelFilter) -> Result<Vec<ContainerSummary>, SwarmError>;

    /// One container of this engine, looked at closely: why it ended, and what its health checks said.
    async fn inspect_container(&self, container: &ContainerId) -> Result<Option<Container>, SwarmError>;

    /// What a container of this engine uses, by one reading: counters since its start. One that is there and does not run is read as
    /// nothing.
    async fn container_stats(&self, container: &ContainerId) -> Result<Option<ContainerStats>, SwarmError>;

    /// What an image reference means now: by its registry, or by this engine when the registry cannot be asked. A
    /// registry that was asked and refuses, or does not have it, is believed.
    async fn resolve_image(
        &self,
        reference: &str,
        auth: Option<&RegistryAuth>,
    ) -> Result<ResolvedImage, SwarmError>;

    /// Takes an image's name from this engine, and the image with its last name. One that a container was made of, even if that has
    /// ended, is in use.
    async fn remove_image(&self, reference: &str) -> Result<(), SwarmError>;

    /// Lines of a log, from all nodes.
    async fn logs(&self, target: &LogTarget, query: &LogQuery) -> Result<LogLineStream, SwarmError>;

    /// Hints from now on. The stream ends with the connection; connecting again is the caller's, as is reading
    /// everything afresh then.
    async fn events(&self) -> Result<HintStream, SwarmError>;
}
