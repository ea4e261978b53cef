//! The task template: everything that, when it changes, replaces tasks.

use super::container_spec::ContainerSpec;
use super::wire::{Extra, Labels, Nanos};

wire_struct! {
    /// What each task of a service runs. The engine compares it deeply, order of lists included: any difference
    /// replaces tasks.
    pub struct TaskSpec {
        /// The container; absent in tasks that only attach a network.
        container_spec: Option<ContainerSpec> = "ContainerSpec",
        /// The plugin that runs instead of a container.
        plugin_spec: Option<Extra> = "PluginSpec",
        /// The container outside of services that it attaches; Swarm's own.
        network_attachment_spec: Option<Extra> = "NetworkAttachmentSpec",
        /// Limits and reservations; an empty object where there was none is a difference.
        resources: Option<Resources> = "Resources",
        /// When an ended task is started anew.
        restart_policy: Option<RestartPolicy> = "RestartPolicy",
        /// Where tasks may run.
        placement: Option<Placement> = "Placement",
        /// Networks each task joins; name or id when written, id when read.
        networks: Vec<NetworkAttachmentConfig> = "Networks",
        /// Where the output goes; the engine's default when absent.
        log_driver: Option<LogDriver> = "LogDriver",
        /// A counter whose change replaces tasks though nothing else did.
        force_update: u64 = "ForceUpdate",
        /// What runs the task; the engine adds `container`.
        runtime: String = "Runtime",
    }
}

wire_struct! {
    /// What a task may use at most, and what must be free on its node.
    pub struct Resources {
        /// The most it may use.
        limits: Option<Limits> = "Limits",
        /// What is set aside for it.
        reservations: Option<Reservations> = "Reservations",
        /// Swap beyond memory, API 1.52; -1 is unlimited.
        swap_bytes: Option<i64> = "SwapBytes",
        /// Kernel's inclination to swap, API 1.52.
        memory_swappiness: Option<i64> = "MemorySwappiness",
    }
}

wire_struct! {
    /// Upper bounds of a task; zero is none.
    pub struct Limits {
        /// Processor time in billionths of a core.
        nano_cpus: i64 = "NanoCPUs",
        /// Memory in bytes.
        memory_bytes: i64 = "MemoryBytes",
        /// Processes and threads.
        pids: i64 = "Pids",
    }
}

wire_struct! {
    /// What the scheduler sets aside for a task; zero is nothing.
    pub struct Reservations {
        /// Processor time in billionths of a core.
        nano_cpus: i64 = "NanoCPUs",
        /// Memory in bytes.
        memory_bytes: i64 = "MemoryBytes",
        /// User-defined resources, as they are.
        generic_resources: Vec<Extra> = "GenericResources",
    }
}

wire_struct! {
    /// When an ended task is started anew.
    pub struct RestartPolicy {
        /// After which ends.
        condition: Option<RestartCondition> = "Condition",
        /// The pause before.
        delay: Option<Nanos> = "Delay",
        /// How often within the window; zero is without limit.
        max_attempts: Option<u64> = "MaxAttempts",
        /// The window attempts are counted in; zero is for ever.
        window: Option<Nanos> = "Window",
    }
}

wire_enum! {
    /// After which ends a task is started anew.
    pub enum RestartCondition {
        /// Never.
        None = "none",
        /// After a failure.
        OnFailure = "on-failure",
        /// Always.
        Any = "any",
    }
}

wire_struct! {
    /// Where tasks may run. The engine checks constraints only when it schedules: a wrong key means tasks that wait.
    pub struct Placement {
        /// Expressions all of which must hold, like `node.labels.region==eu`.
        constraints: Vec<String> = "Constraints",
        /// What to spread over, most important first.
        preferences: Vec<PlacementPreference> = "Preferences",
        /// At most so many tasks per node; zero is without limit.
        max_replicas: u64 = "MaxReplicas",
        /// Platforms the image is made for.
        platforms: Vec<Platform> = "Platforms",
    }
}

wire_struct! {
    /// One placement preference.
    pub struct PlacementPreference {
        /// Spread evenly over the values of a node property.
        spread: Option<SpreadPreference> = "Spread",
    }
}

wire_struct! {
    /// What to spread over.
    pub struct SpreadPreference {
        /// The node property, like `node.labels.zone`.
        spread_descriptor: String = "SpreadDescriptor",
    }
}

wire_struct! {
    /// An architecture and an operating system.
    pub struct Platform {
        /// `amd64` in images, `x86_64` on nodes.
        architecture: String = "Architecture",
        /// `linux`.
        os: String = "OS",
    }
}

wire_struct! {
    /// A network a task joins.
    pub struct NetworkAttachmentConfig {
        /// Id or name when written; the engine stores the id.
        target: String = "Target",
        /// Further names of the service on this network.
        aliases: Vec<String> = "Aliases",
        /// Options of the network driver.
        driver_opts: Labels = "DriverOpts",
    }
}

wire_struct! {
    /// Where a task's output goes.
    pub struct LogDriver {
        /// The driver.
        name: String = "Name",
        /// Its options.
        options: Labels = "Options",
    }
}
