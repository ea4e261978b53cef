//! Services: what Swarm is asked to run, and what it says about the latest update.

use serde::{Deserialize, Serialize};

use super::endpoint::{Endpoint, EndpointSpec};
use super::id::ServiceId;
use super::task_spec::{NetworkAttachmentConfig, TaskSpec};
use super::wire::{Extra, Known, Labels, Nanos, Ratio, Version};

wire_struct! {
    /// A service as the engine answers it.
    pub struct Service {
        @id ServiceId = "ID";
        /// What an update must name; see [`Version`].
        version: Version = "Version",
        /// When it was created, RFC 3339.
        created_at: String = "CreatedAt",
        /// When any writer last changed it, RFC 3339.
        updated_at: String = "UpdatedAt",
        /// What runs now. After an automatic rollback this is the previous spec, not the one last sent.
        spec: ServiceSpec = "Spec",
        /// What ran before the latest write, whatever that write changed.
        previous_spec: Option<Box<ServiceSpec>> = "PreviousSpec",
        /// Live ports and virtual addresses.
        endpoint: Endpoint = "Endpoint",
        /// Progress of the latest update that replaced tasks; absent after creation and scaling.
        update_status: Option<UpdateStatus> = "UpdateStatus",
        /// Task counts, only when the list was asked for them.
        service_status: Option<ServiceStatus> = "ServiceStatus",
        /// Progress of a job.
        job_status: Option<JobStatus> = "JobStatus",
    }
}

wire_struct! {
    /// What a service shall be. Create and update both take a whole one.
    pub struct ServiceSpec {
        /// Unique in the Swarm; immutable.
        name: String = "Name",
        /// Labels of the service object; changing them restarts nothing.
        labels: Labels = "Labels",
        /// What each task runs; any change here replaces tasks.
        task_template: TaskSpec = "TaskTemplate",
        /// How many tasks; the kind of mode is immutable.
        mode: Option<ServiceMode> = "Mode",
        /// How an update proceeds.
        update_config: Option<UpdateConfig> = "UpdateConfig",
        /// How a rollback proceeds.
        rollback_config: Option<UpdateConfig> = "RollbackConfig",
        /// Networks at the old place, ignored since API 1.44; use the task template's.
        networks: Vec<NetworkAttachmentConfig> = "Networks",
        /// Ports and name resolution; a change replaces tasks.
        endpoint_spec: Option<EndpointSpec> = "EndpointSpec",
    }
}

/// How many tasks a service has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceMode {
    /// So many tasks, anywhere.
    Replicated(ReplicatedMode),
    /// One task on every eligible node.
    Global(GlobalMode),
    /// So many tasks that run to completion.
    ReplicatedJob(ReplicatedJobMode),
    /// One task on every eligible node, run to completion.
    GlobalJob(GlobalMode),
    /// A mode this version does not know, kept as it was.
    #[serde(untagged)]
    Other(Extra),
}

impl Known for ServiceMode {
    fn drop_unknown(&mut self) {
        match self {
            Self::Replicated(mode) => mode.drop_unknown(),
            Self::Global(mode) | Self::GlobalJob(mode) => mode.drop_unknown(),
            Self::ReplicatedJob(mode) => mode.drop_unknown(),
            Self::Other(_) => {}
        }
    }
}

impl ServiceMode {
    /// A replicated service of so many tasks.
    pub fn replicated(replicas: u64) -> Self {
        Self::Replicated(ReplicatedMode { replicas: Some(replicas), ..Default::default() })
    }

    /// One task on every eligible node.
    pub fn global() -> Self {
        Self::Global(GlobalMode::default())
    }
}

wire_struct! {
    /// The settings of a replicated service.
    pub struct ReplicatedMode {
        /// How many tasks; the engine makes one when it is not said.
        replicas: Option<u64> = "Replicas",
    }
}

wire_struct! {
    /// The settings of a global service or job: none so far.
    pub struct GlobalMode {
    }
}

wire_struct! {
    /// The settings of a replicated job.
    pub struct ReplicatedJobMode {
        /// How many at once.
        max_concurrent: Option<u64> = "MaxConcurrent",
        /// How many in all.
        total_completions: Option<u64> = "TotalCompletions",
    }
}

wire_struct! {
    /// How tasks are replaced, for an update or a rollback.
    pub struct UpdateConfig {
        /// How many at once. Zero means all, and so does an absent one, unless the whole config is absent: then it is one.
        parallelism: Option<u64> = "Parallelism",
        /// The pause between batches.
        delay: Nanos = "Delay",
        /// What to do when too many replaced tasks fail.
        failure_action: Option<FailureAction> = "FailureAction",
        /// For how long a failure of a replaced task counts.
        monitor: Nanos = "Monitor",
        /// The share of failing tasks that is tolerated.
        max_failure_ratio: Ratio = "MaxFailureRatio",
        /// Whether the old task stops before the new one starts.
        order: Option<UpdateOrder> = "Order",
    }
}

wire_enum! {
    /// What a failed update leads to.
    pub enum FailureAction {
        /// Stop where it is.
        Pause = "pause",
        /// Go on regardless.
        Continue = "continue",
        /// Return to the previous spec.
        Rollback = "rollback",
    }
}

wire_enum! {
    /// The order of stopping and starting in an update.
    pub enum UpdateOrder {
        /// The old task stops first; the slot is empty in between.
        StopFirst = "stop-first",
        /// The new task runs before the old one stops.
        StartFirst = "start-first",
    }
}

wire_struct! {
    /// What Swarm says about the latest update that replaced tasks.
    pub struct UpdateStatus {
        /// Where it stands.
        state: Option<UpdateState> = "State",
        /// When it began, RFC 3339.
        started_at: String = "StartedAt",
        /// When it ended, RFC 3339.
        completed_at: String = "CompletedAt",
        /// Swarm's own words.
        message: String = "Message",
    }
}

wire_enum! {
    /// Where an update stands.
    pub enum UpdateState {
        /// Tasks are being replaced. There is no deadline for this in Swarm.
        Updating = "updating",
        /// A failure stopped it.
        Paused = "paused",
        /// Every task was replaced and none failed while monitored.
        Completed = "completed",
        /// It is returning to the previous spec.
        RollbackStarted = "rollback_started",
        /// The return failed too.
        RollbackPaused = "rollback_paused",
        /// The previous spec is back; tasks may still be starting.
        RollbackCompleted = "rollback_completed",
    }
}

wire_struct! {
    /// Task counts of a service.
    pub struct ServiceStatus {
        /// Tasks that run.
        running_tasks: u64 = "RunningTasks",
        /// Tasks that should run.
        desired_tasks: u64 = "DesiredTasks",
        /// Tasks of a job that ended well.
        completed_tasks: u64 = "CompletedTasks",
    }
}

wire_struct! {
    /// Progress of a job.
    pub struct JobStatus {
        /// Which run of the job this is.
        job_iteration: Version = "JobIteration",
        /// When it was last started, RFC 3339.
        last_execution: String = "LastExecution",
    }
}
