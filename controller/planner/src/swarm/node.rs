//! Members of the Swarm.

use super::id::NodeId;
use super::task_spec::Platform;
use super::wire::{Extra, Labels, Version};

wire_struct! {
    /// A member of the Swarm.
    pub struct Node {
        @id NodeId = "ID";
        /// The object's version.
        version: Version = "Version",
        /// When it joined, RFC 3339.
        created_at: String = "CreatedAt",
        /// When it last changed, RFC 3339.
        updated_at: String = "UpdatedAt",
        /// What operators say it shall be.
        spec: NodeSpec = "Spec",
        /// What it says of itself.
        description: NodeDescription = "Description",
        /// Whether it answers.
        status: NodeStatus = "Status",
        /// Its part in consensus, when it is a manager.
        manager_status: Option<ManagerStatus> = "ManagerStatus",
    }
}

wire_struct! {
    /// What operators say a node shall be.
    pub struct NodeSpec {
        /// Mostly empty; the host name is in the description.
        name: String = "Name",
        /// Labels, which placement can refer to.
        labels: Labels = "Labels",
        /// Manager or worker.
        role: Option<NodeRole> = "Role",
        /// Whether it takes tasks.
        availability: Option<NodeAvailability> = "Availability",
    }
}

wire_enum! {
    /// Manager or worker.
    pub enum NodeRole {
        /// Runs tasks only.
        Worker = "worker",
        /// Takes part in consensus.
        Manager = "manager",
    }
}

wire_enum! {
    /// Whether a node takes tasks.
    pub enum NodeAvailability {
        /// It does.
        Active = "active",
        /// It keeps those it has.
        Pause = "pause",
        /// It gives its tasks away.
        Drain = "drain",
    }
}

wire_struct! {
    /// What a node says of itself.
    pub struct NodeDescription {
        /// Its host name.
        hostname: String = "Hostname",
        /// Its architecture and system.
        platform: Platform = "Platform",
        /// What it has.
        resources: NodeResources = "Resources",
        /// Its engine.
        engine: EngineDescription = "Engine",
    }
}

wire_struct! {
    /// What a node has.
    pub struct NodeResources {
        /// Processor time in billionths of a core.
        nano_cpus: i64 = "NanoCPUs",
        /// Memory in bytes.
        memory_bytes: i64 = "MemoryBytes",
        /// User-defined resources, as they are.
        generic_resources: Vec<Extra> = "GenericResources",
    }
}

wire_struct! {
    /// The engine of a node; its tasks are confined as far as this engine can.
    pub struct EngineDescription {
        /// Its version.
        engine_version: String = "EngineVersion",
        /// Labels of the engine's configuration.
        labels: Labels = "Labels",
    }
}

wire_struct! {
    /// Whether a node answers.
    pub struct NodeStatus {
        /// Whether it does.
        state: Option<NodeState> = "State",
        /// Swarm's words.
        message: String = "Message",
        /// Its address.
        addr: String = "Addr",
    }
}

wire_enum! {
    /// Whether a node answers.
    pub enum NodeState {
        /// Not known yet.
        Unknown = "unknown",
        /// It does not.
        Down = "down",
        /// It does.
        Ready = "ready",
        /// It left.
        Disconnected = "disconnected",
    }
}

wire_struct! {
    /// A manager's part in consensus.
    pub struct ManagerStatus {
        /// Whether it leads.
        leader: bool = "Leader",
        /// Whether the leader reaches it.
        reachability: Option<Reachability> = "Reachability",
        /// Its address.
        addr: String = "Addr",
    }
}

wire_enum! {
    /// Whether the leader reaches a manager.
    pub enum Reachability {
        /// Not known.
        Unknown = "unknown",
        /// It does not.
        Unreachable = "unreachable",
        /// It does.
        Reachable = "reachable",
    }
}
