//! The verbs of the engine's interface that Skep uses, for errors, metrics and traces.

use std::fmt;

/// The verbs of [`crate::SwarmApi`], as they appear in errors and traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Ask whether the engine answers.
    Ping,
    /// Ask what the engine is.
    Info,
    /// List services.
    ListServices,
    /// Inspect a service.
    InspectService,
    /// Create a service.
    CreateService,
    /// Update a service.
    UpdateService,
    /// Remove a service.
    RemoveService,
    /// List tasks.
    ListTasks,
    /// List nodes.
    ListNodes,
    /// List networks.
    ListNetworks,
    /// Inspect a network.
    InspectNetwork,
    /// Create a network.
    CreateNetwork,
    /// Remove a network.
    RemoveNetwork,
    /// Connect a container to a network.
    ConnectNetwork,
    /// Disconnect a container from a network.
    DisconnectNetwork,
    /// List secrets.
    ListSecrets,
    /// Inspect a secret.
    InspectSecret,
    /// Create a secret.
    CreateSecret,
    /// Update a secret.
    UpdateSecret,
    /// Remove a secret.
    RemoveSecret,
    /// Inspect a config.
    InspectConfig,
    /// Create a config.
    CreateConfig,
    /// Update a config.
    UpdateConfig,
    /// Remove a config.
    RemoveConfig,
    /// List containers.
    ListContainers,
    /// Inspect a container.
    InspectContainer,
    /// Read what a container uses.
    ContainerStats,
    /// Resolve an image reference.
    ResolveImage,
    /// Remove an image.
    RemoveImage,
    /// Read logs.
    ReadLogs,
    /// Follow events.
    FollowEvents,
}

impl Verb {
    /// One word for it, for metrics and traces.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Info => "info",
            Self::ListServices => "list_services",
            Self::InspectService => "inspect_service",
            Self::CreateService => "create_service",
            Self::UpdateService => "update_service",
            Self::RemoveService => "remove_service",
            Self::ListTasks => "list_tasks",
            Self::ListNodes => "list_nodes",
            Self::ListNetworks => "list_networks",
            Self::InspectNetwork => "inspect_network",
            Self::CreateNetwork => "create_network",
            Self::RemoveNetwork => "remove_network",
            Self::ConnectNetwork => "connect_network",
            Self::DisconnectNetwork => "disconnect_network",
            Self::ListSecrets => "list_secrets",
            Self::InspectSecret => "inspect_secret",
            Self::UpdateSecret => "update_secret",
            Self::InspectConfig => "inspect_config",
            Self::CreateConfig => "create_config",
            Self::UpdateConfig => "update_config",
            Self::RemoveConfig => "remove_config",
            Self::CreateSecret => "create_secret",
            Self::RemoveSecret => "remove_secret",
            Self::ListContainers => "list_containers",
            Self::InspectContainer => "inspect_container",
            Self::ContainerStats => "container_stats",
            Self::ResolveImage => "resolve_image",
            Self::RemoveImage => "remove_image",
            Self::ReadLogs => "read_logs",
            Self::FollowEvents => "follow_events",
        }
    }

    /// Whether the verb changes anything in the engine.
    pub fn is_mutation(self) -> bool {
        match self {
            Self::CreateService
            | Self::UpdateService
            | Self::RemoveService
            | Self::CreateNetwork
            | Self::RemoveNetwork
            | Self::ConnectNetwork
            | Self::DisconnectNetwork
            | Self::CreateSecret
            | Self::UpdateSecret
            | Self::RemoveSecret
            | Self::CreateConfig
            | Self::UpdateConfig
            | Self::RemoveConfig
            | Self::RemoveImage => true,
            Self::Ping
            | Self::Info
            | Self::ListServices
            | Self::InspectService
            | Self::ListTasks
            | Self::ListNodes
            | Self::ListNetworks
            | Self::InspectNetwork
            | Self::ListSecrets
            | Self::InspectSecret
            | Self::InspectConfig
            | Self::ListContainers
            | Self::InspectContainer
            | Self::ContainerStats
            | Self::ResolveImage
            | Self::ReadLogs
            | Self::FollowEvents => false,
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ping => "ping",
            Self::Info => "read engine info",
            Self::ListServices => "list services",
            Self::InspectService => "inspect service",
            Self::CreateService => "create service",
            Self::UpdateService => "update service",
            Self::RemoveService => "remove service",
            Self::ListTasks => "list tasks",
            Self::ListNodes => "list nodes",
            Self::ListNetworks => "list networks",
            Self::InspectNetwork => "inspect network",
            Self::CreateNetwork => "create network",
            Self::RemoveNetwork => "remove network",
            Self::ConnectNetwork => "connect to network",
            Self::DisconnectNetwork => "disconnect from network",
            Self::ListSecrets => "list secrets",
            Self::InspectSecret => "inspect secret",
            Self::CreateSecret => "create secret",
            Self::UpdateSecret => "update secret",
            Self::RemoveSecret => "remove secret",
            Self::InspectConfig => "inspect config",
            Self::CreateConfig => "create config",
            Self::UpdateConfig => "update config",
            Self::RemoveConfig => "remove config",
            Self::ListContainers => "list containers",
            Self::InspectContainer => "inspect container",
            Self::ContainerStats => "read the use of container",
            Self::ResolveImage => "resolve image",
            Self::RemoveImage => "remove image",
            Self::ReadLogs => "read logs of",
            Self::FollowEvents => "follow events",
        })
    }
}
