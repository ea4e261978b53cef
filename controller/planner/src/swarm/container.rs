//! Containers of the engine that was asked: which task one belongs to, and which networks it is on.
//!
//! A manager knows tasks; only the engine a task runs on knows what its container is attached to.

use std::collections::BTreeMap;

use super::id::{ContainerId, NetworkId, NodeId, ServiceId, TaskId};
use super::wire::Labels;

const TASK_ID: &str = "com.docker.swarm.task.id";
const SERVICE_ID: &str = "com.docker.swarm.service.id";
const NODE_ID: &str = "com.docker.swarm.node.id";

wire_struct! {
    /// A container in a list.
    pub struct ContainerSummary {
        @id ContainerId = "Id";
        /// Its names, each with a leading slash.
        names: Vec<String> = "Names",
        /// The reference it was made from.
        image: String = "Image",
        /// The image's id.
        image_id: String = "ImageID",
        /// Its labels, Swarm's own among them.
        labels: Labels = "Labels",
        /// Where it stands.
        state: Option<ContainerState> = "State",
        /// The engine's words, health among them.
        status: String = "Status",
        /// Its networks.
        network_settings: ContainerNetworks = "NetworkSettings",
    }
}

impl ContainerSummary {
    /// The task this container runs, when it is the Swarm's.
    pub fn task_id(&self) -> Option<TaskId> {
        self.labels.get(TASK_ID).map(|id| TaskId::from(id.as_str()))
    }

    /// The service of that task.
    pub fn service_id(&self) -> Option<ServiceId> {
        self.labels.get(SERVICE_ID).map(|id| ServiceId::from(id.as_str()))
    }

    /// The node it runs on.
    pub fn node_id(&self) -> Option<NodeId> {
        self.labels.get(NODE_ID).map(|id| NodeId::from(id.as_str()))
    }
}

wire_enum! {
    /// Where a container stands.
    pub enum ContainerState {
        /// Made, not started.
        Created = "created",
        /// Running.
        Running = "running",
        /// Frozen.
        Paused = "paused",
        /// Starting anew.
        Restarting = "restarting",
        /// Being removed.
        Removing = "removing",
        /// Ended.
        Exited = "exited",
        /// Beyond the engine's reach.
        Dead = "dead",
    }
}

wire_struct! {
    /// A container looked at closely.
    pub struct Container {
        @id ContainerId = "Id";
        /// What became of its process.
        state: ContainerRun = "State",
    }
}

wire_struct! {
    /// What became of a container's process.
    pub struct ContainerRun {
        /// Where it stands.
        status: Option<ContainerState> = "Status",
        /// The kernel ended it because its memory limit was reached.
        oom_killed: bool = "OOMKilled",
        /// How the process ended.
        exit_code: i64 = "ExitCode",
        /// Why it could not be started.
        error: String = "Error",
        /// Its health, when it has a health check.
        health: Option<ContainerHealth> = "Health",
    }
}

wire_struct! {
    /// A container's health.
    pub struct ContainerHealth {
        /// `starting`, `healthy` or `unhealthy`.
        status: String = "Status",
        /// The last few checks, oldest first.
        log: Vec<HealthProbe> = "Log",
    }
}

wire_struct! {
    /// One health check that was run.
    pub struct HealthProbe {
        /// How it ended; zero is healthy.
        exit_code: i64 = "ExitCode",
        /// What it wrote, the first 4 KiB.
        output: String = "Output",
    }
}

wire_struct! {
    /// The networks of a container.
    pub struct ContainerNetworks {
        /// By network name.
        networks: BTreeMap<String, AttachedNetwork> = "Networks",
    }
}

wire_struct! {
    /// A container's place on one network.
    pub struct AttachedNetwork {
        /// The network.
        network_id: NetworkId = "NetworkID",
        /// Its endpoint; empty while it is not running.
        endpoint_id: String = "EndpointID",
        /// Its address, without prefix length.
        ip_address: String = "IPAddress",
        /// The address that was asked for.
        ipam_config: Option<EndpointIpam> = "IPAMConfig",
        /// Its further names.
        aliases: Vec<String> = "Aliases",
    }
}

wire_struct! {
    /// Addresses asked for.
    pub struct EndpointIpam {
        /// The IPv4 address.
        ipv4_address: String = "IPv4Address",
        /// The IPv6 address.
        ipv6_address: String = "IPv6Address",
    }
}
