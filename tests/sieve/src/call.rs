//! A mutating call as a value: it can be named, counted, delayed, and sent by somebody else than who made it.

use std::net::Ipv4Addr;

use secrecy::{ExposeSecret, SecretSlice};
use skep_planner::swarm::{
    ConfigId, ConfigSpec, ContainerId, NetworkCreate, NetworkId, SecretId, SecretSpec, ServiceId,
    ServiceSpec, Version,
};
use skep_swarm::{By, SwarmApi, SwarmError, Verb};

/// A mutating call. Nobody gives credentials of registries, so there are none.
pub(crate) enum Call {
    /// `create_service`.
    CreateService(Box<ServiceSpec>),
    /// `update_service`.
    UpdateService(ServiceId, Version, Box<ServiceSpec>),
    /// `remove_service`.
    RemoveService(ServiceId),
    /// `create_network`.
    CreateNetwork(Box<NetworkCreate>),
    /// `remove_network`.
    RemoveNetwork(NetworkId),
    /// `connect_network`.
    ConnectNetwork(NetworkId, ContainerId, Ipv4Addr),
    /// `disconnect_network`.
    DisconnectNetwork(NetworkId, ContainerId, bool),
    /// `create_secret`.
    CreateSecret(SecretSpec, SecretSlice<u8>),
    /// `update_secret`.
    UpdateSecret(SecretId, Version, SecretSpec),
    /// `remove_secret`.
    RemoveSecret(SecretId),
    /// `create_config`.
    CreateConfig(ConfigSpec),
    /// `update_config`.
    UpdateConfig(ConfigId, Version, ConfigSpec),
    /// `remove_config`.
    RemoveConfig(ConfigId),
}

impl Call {
    /// Which verb it is.
    pub(crate) const fn verb(&self) -> Verb {
        match self {
            Self::CreateService(_) => Verb::CreateService,
            Self::UpdateService(..) => Verb::UpdateService,
            Self::RemoveService(_) => Verb::RemoveService,
            Self::CreateNetwork(_) => Verb::CreateNetwork,
            Self::RemoveNetwork(_) => Verb::RemoveNetwork,
            Self::ConnectNetwork(..) => Verb::ConnectNetwork,
            Self::DisconnectNetwork(..) => Verb::DisconnectNetwork,
            Self::CreateSecret(..) => Verb::CreateSecret,
            Self::UpdateSecret(..) => Verb::UpdateSecret,
            Self::RemoveSecret(_) => Verb::RemoveSecret,
            Self::CreateConfig(_) => Verb::CreateConfig,
            Self::UpdateConfig(..) => Verb::UpdateConfig,
            Self::RemoveConfig(_) => Verb::RemoveConfig,
        }
    }

    /// The name of the object that it is about, as the Swarm knows it now.
    pub(crate) async fn object(&self, swarm: &dyn SwarmApi) -> String {
        let gone = || "gone".to_owned();
        match self {
            Self::CreateService(spec) => format!("service {}", spec.name),
            Self::UpdateService(id, ..) | Self::RemoveService(id) => {
                let found = swarm.inspect_service(By::Id(id)).await.ok().flatten();
                format!("service {}", found.map_or_else(gone, |found| found.spec.name))
            }
            Self::CreateNetwork(spec) => format!("network {}", spec.name),
            Self::RemoveNetwork(id) => format!("network {}", network(swarm, id).await),
            Self::ConnectNetwork(id, container, _) | Self::DisconnectNetwork(id, container, _) => {
                format!("attachment of {container} to {}", network(swarm, id).await)
            }
            Self::CreateSecret(spec, _) => format!("secret {}", spec.name),
            Self::UpdateSecret(id, ..) | Self::RemoveSecret(id) => {
                let found = swarm.inspect_secret(By::Id(id)).await.ok().flatten();
                format!("secret {}", found.map_or_else(gone, |found| found.spec.name))
            }
            Self::CreateConfig(spec) => format!("config {}", spec.name),
            Self::UpdateConfig(id, ..) | Self::RemoveConfig(id) => {
                let found = swarm.inspect_config(By::Id(id)).await.ok().flatten();
                format!("config {}", found.map_or_else(gone, |found| found.spec.name))
            }
        }
    }

    /// Makes the call. The id of what it made; empty for a call that makes nothing.
    pub(crate) async fn send(&self, swarm: &dyn SwarmApi) -> Result<String, SwarmError> {
        let nothing = |()| String::new();
        match self {
            Self::CreateService(spec) => swarm.create_service(spec, None).await.map(|id| id.to_string()),
            Self::UpdateService(id, version, spec) => {
                swarm.update_service(id, *version, spec, None).await.map(nothing)
            }
            Self::RemoveService(id) => swarm.remove_service(id).await.map(nothing),
            Self::CreateNetwork(spec) => swarm.create_network(spec).await.map(|id| id.to_string()),
            Self::RemoveNetwork(id) => swarm.remove_network(id).await.map(nothing),
            Self::ConnectNetwork(id, container, address) => {
                swarm.connect_network(id, container, *address).await.map(nothing)
            }
            Self::DisconnectNetwork(id, container, force) => {
                swarm.disconnect_network(id, container, *force).await.map(nothing)
            }
            Self::CreateSecret(spec, value) => {
                swarm.create_secret(spec, value).await.map(|id| id.to_string())
            }
            Self::UpdateSecret(id, version, spec) => {
                swarm.update_secret(id, *version, spec).await.map(nothing)
            }
            Self::RemoveSecret(id) => swarm.remove_secret(id).await.map(nothing),
            Self::CreateConfig(spec) => swarm.create_config(spec).await.map(|id| id.to_string()),
            Self::UpdateConfig(id, version, spec) => {
                swarm.update_config(id, *version, spec).await.map(nothing)
            }
            Self::RemoveConfig(id) => swarm.remove_config(id).await.map(nothing),
        }
    }
}

async fn network(swarm: &dyn SwarmApi, id: &NetworkId) -> String {
    let found = swarm.inspect_network(By::Id(id)).await.ok().flatten();
    found.map_or_else(|| "gone".to_owned(), |found| found.name)
}

/// A copy of a secret's value.
pub(crate) fn copy(value: &SecretSlice<u8>) -> SecretSlice<u8> {
    SecretSlice::from(value.expose_secret().to_vec())
}
