//! Swarm's own objects, as the Docker Engine API spells them.
//!
//! The planner compares and renders these types, and the Swarm client reads and writes them. They are ours, not a
//! generated library's, because a control plane needs three things of them:
//!
//! - **Nothing is lost and nothing new breaks reading.** Every struct keeps the fields it does not know in `extra`, and
//!   every enum has an `Other` variant. An engine newer than this code is readable, and what it says can be shown.
//! - **Absent, null and zero are one thing where the engine says so.** The engine drops empty values when it answers
//!   (Go's `omitempty`), so a plain field here is left out when it is empty and reads as empty when it is missing or
//!   null. An `Option` is used where the engine keeps the difference (a pointer in Go: `StopGracePeriod: 0` is kept).
//!   A rendered spec therefore equals the same spec read back, but for the engine's few additions: `Isolation`,
//!   `Runtime`, and the defaults inside `UpdateConfig`, `RollbackConfig` and `EndpointSpec`.
//! - **A secret's value has no place here.** [`SecretSpec`] has a name and labels only.
//!
//! Field names on the wire are exactly the engine's (`Healthcheck`, `NanoCPUs`), and each struct says them beside the
//! field. Everything is plain data: no I/O, no clock, ordered maps only.

#[macro_use]
mod wire;

mod config;
mod container;
mod container_spec;
mod endpoint;
mod id;
mod mount;
mod network;
mod node;
mod secret;
mod service;
mod stats;
mod task;
mod task_spec;

pub use config::{Config, ConfigSpec};
pub use container::{
    AttachedNetwork, Container, ContainerHealth, ContainerNetworks, ContainerRun, ContainerState,
    ContainerSummary, EndpointIpam, HealthProbe,
};
pub use container_spec::{
    AppArmor, ConfigReference, ContainerSpec, CredentialSpec, DnsConfig, FileTarget, Healthcheck, Privileges,
    ProfileMode, Seccomp, SecretReference, SelinuxContext, Ulimit,
};
pub use endpoint::{Endpoint, EndpointMode, EndpointSpec, PortConfig, PortProtocol, PublishMode, VirtualIp};
pub use id::{ConfigId, ContainerId, NetworkId, NodeId, SecretId, ServiceId, TaskId};
pub use mount::{BindOptions, Mount, MountDriver, MountType, TmpfsOptions, VolumeOptions};
pub use network::{
    Ipam, IpamConfig, Network, NetworkContainer, NetworkCreate, NetworkPeer, NetworkScope, NetworkTemplate,
};
pub use node::{
    EngineDescription, ManagerStatus, Node, NodeAvailability, NodeDescription, NodeResources, NodeRole,
    NodeSpec, NodeState, NodeStatus, Reachability,
};
pub use secret::{Secret, SecretSpec};
pub use service::{
    FailureAction, GlobalMode, JobStatus, ReplicatedJobMode, ReplicatedMode, Service, ServiceMode,
    ServiceSpec, ServiceStatus, UpdateConfig, UpdateOrder, UpdateState, UpdateStatus,
};
pub use stats::{ContainerStats, CpuStats, CpuUsage, InterfaceStats, MemoryStats};
pub use task::{
    AttachmentNetwork, AttachmentNetworkSpec, ContainerStatus, NetworkAttachment, PortStatus, Task,
    TaskState, TaskStatus,
};
pub use task_spec::{
    Limits, LogDriver, NetworkAttachmentConfig, Placement, PlacementPreference, Platform, Reservations,
    Resources, RestartCondition, RestartPolicy, SpreadPreference, TaskSpec,
};
pub use wire::{Extra, Known, Labels, Nanos, Ratio, Version};

#[cfg(test)]
mod fixture_tests;
