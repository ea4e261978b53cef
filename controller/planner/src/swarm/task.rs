//! Tasks: what really runs, or why it does not.

use super::endpoint::PortConfig;
use super::id::{ContainerId, NetworkId, NodeId, ServiceId, TaskId};
use super::task_spec::TaskSpec;
use super::wire::{Labels, Version};

wire_struct! {
    /// One run of one slot of a service. Ended tasks stay as history.
    pub struct Task {
        @id TaskId = "ID";
        /// The object's version.
        version: Version = "Version",
        /// When it was created, RFC 3339.
        created_at: String = "CreatedAt",
        /// When it last changed, RFC 3339.
        updated_at: String = "UpdatedAt",
        /// Its name, mostly empty.
        name: String = "Name",
        /// Labels of the task object.
        labels: Labels = "Labels",
        /// What it runs; the service's template of its time.
        spec: TaskSpec = "Spec",
        /// Its service; absent for a container attached to a Swarm network.
        service_id: Option<ServiceId> = "ServiceID",
        /// Its slot; zero for tasks of a global service.
        slot: u64 = "Slot",
        /// Its node, once scheduled.
        node_id: Option<NodeId> = "NodeID",
        /// What happened.
        status: TaskStatus = "Status",
        /// Where the Swarm wants it.
        desired_state: Option<TaskState> = "DesiredState",
        /// Its addresses.
        networks_attachments: Vec<NetworkAttachment> = "NetworksAttachments",
        /// Which run of the job it belongs to.
        job_iteration: Option<Version> = "JobIteration",
    }
}

wire_struct! {
    /// What happened to a task.
    pub struct TaskStatus {
        /// When, RFC 3339.
        timestamp: String = "Timestamp",
        /// Where it stands.
        state: Option<TaskState> = "State",
        /// Swarm's words.
        message: String = "Message",
        /// The error, in Swarm's words.
        err: String = "Err",
        /// Its container, once there is one.
        container_status: Option<ContainerStatus> = "ContainerStatus",
        /// Ports it publishes on its node.
        port_status: PortStatus = "PortStatus",
    }
}

wire_enum! {
    /// Where a task stands, in the order it passes through.
    pub enum TaskState {
        /// Just made.
        New = "new",
        /// Waiting for addresses.
        Allocated = "allocated",
        /// Waiting for a node.
        Pending = "pending",
        /// Has a node.
        Assigned = "assigned",
        /// Its node took it.
        Accepted = "accepted",
        /// Fetching the image and its networks.
        Preparing = "preparing",
        /// Prepared.
        Ready = "ready",
        /// Starting, or waiting to be healthy.
        Starting = "starting",
        /// Running, and healthy if there is a health check.
        Running = "running",
        /// Ended well.
        Complete = "complete",
        /// Told to stop.
        Shutdown = "shutdown",
        /// Ended badly.
        Failed = "failed",
        /// Its node refused it.
        Rejected = "rejected",
        /// Will be removed.
        Remove = "remove",
        /// Its node is gone for long.
        Orphaned = "orphaned",
    }
}

impl TaskState {
    /// Whether the task has ended and will not run again.
    pub fn is_terminal(&self) -> bool {
        matches!(
            self,
            Self::Complete | Self::Shutdown | Self::Failed | Self::Rejected | Self::Remove | Self::Orphaned
        )
    }
}

wire_struct! {
    /// The container of a task.
    pub struct ContainerStatus {
        /// The container, on the task's node.
        container_id: ContainerId = "ContainerID",
        /// Its process on the node.
        pid: i64 = "PID",
        /// How the process ended.
        exit_code: i64 = "ExitCode",
    }
}

wire_struct! {
    /// Ports a task publishes on its node; entries may come twice.
    pub struct PortStatus {
        /// The ports, with the numbers really used.
        ports: Vec<PortConfig> = "Ports",
    }
}

wire_struct! {
    /// A task's place on a network, as the manager allocated it.
    pub struct NetworkAttachment {
        /// The network.
        network: AttachmentNetwork = "Network",
        /// Addresses with prefix length.
        addresses: Vec<String> = "Addresses",
    }
}

wire_struct! {
    /// The network of an attachment; its shape differs from [`super::Network`].
    pub struct AttachmentNetwork {
        @id NetworkId = "ID";
        /// The object's version.
        version: Version = "Version",
        /// What the network is.
        spec: AttachmentNetworkSpec = "Spec",
    }
}

wire_struct! {
    /// What the network of an attachment is.
    pub struct AttachmentNetworkSpec {
        /// Its name.
        name: String = "Name",
        /// Its labels.
        labels: Labels = "Labels",
        /// Whether it is the routing mesh's.
        ingress: bool = "Ingress",
        /// Whether containers outside services may join.
        attachable: bool = "Attachable",
        /// `swarm` or `local`.
        scope: String = "Scope",
    }
}
