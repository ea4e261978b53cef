//! What is asked of the engine about use: which instances of an environment run and where, and what one of its containers uses.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use skep_planner::InstanceId;
use skep_planner::swarm::{ContainerId, ContainerStats, NodeId, ServiceId, Task, TaskState};
use skep_schemas::{ProcessName, Uid};
use skep_swarm::{SwarmApi, SwarmError, TaskFilter};

use crate::logs;

/// An instance that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Instance {
    pub(super) process: ProcessName,
    pub(super) slot: Option<u64>,
    /// The short form of its task's id.
    pub(super) id: String,
    pub(super) node: Option<NodeId>,
    pub(super) container: Option<ContainerId>,
    /// The most that it may use of processors, in billionths of a core.
    pub(super) cpu_limit: Option<u64>,
}

/// What runs, and who tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The node whose containers can be read.
    pub(super) node: Option<NodeId>,
    pub(super) instances: Vec<Instance>,
}

/// The engine, as far as use is concerned.
#[async_trait]
pub(super) trait Engine: Send + Sync {
    /// The instances of an environment that run and are to run.
    async fn running(&self, environment: Uid) -> Result<Found, SwarmError>;
    /// What a container of this engine uses.
    async fn stats(&self, container: &ContainerId) -> Result<Option<ContainerStats>, SwarmError>;
}

/// A Swarm, of which only what this instance of Skep made is seen.
pub(super) struct SwarmEngine {
    swarm: Arc<dyn SwarmApi>,
    instance: InstanceId,
}

impl SwarmEngine {
    pub(super) fn new(swarm: Arc<dyn SwarmApi>, instance: InstanceId) -> Self {
        Self { swarm, instance }
    }
}

#[async_trait]
impl Engine for SwarmEngine {
    async fn running(&self, environment: Uid) -> Result<Found, SwarmError> {
        let services = logs::services(&*self.swarm, &self.instance, environment).await?;
        if services.is_empty() {
            // A question for the tasks of no service is one for all tasks.
            return Ok(Found::default());
        }
        let filter = TaskFilter {
            services: services.iter().map(|service| service.id.clone()).collect(),
            desired_states: vec![TaskState::Running],
            ..TaskFilter::default()
        };
        let (info, tasks) = futures::try_join!(self.swarm.info(), self.swarm.list_tasks(&filter))?;
        let processes: HashMap<ServiceId, ProcessName> =
            services.into_iter().map(|service| (service.id, service.process)).collect();
        let instances = tasks.into_iter().filter_map(|task| {
            let process = processes.get(task.service_id.as_ref()?)?.clone();
            (task.status.state == Some(TaskState::Running)).then(|| instance(task, process))
        });
        Ok(Found { node: info.node_id, instances: instances.collect() })
    }

    async fn stats(&self, container: &ContainerId) -> Result<Option<ContainerStats>, SwarmError> {
        self.swarm.container_stats(container).await
    }
}

fn instance(task: Task, process: ProcessName) -> Instance {
    let limits = task.spec.resources.and_then(|resources| resources.limits);
    let cpu_limit = limits.and_then(|limits| u64::try_from(limits.nano_cpus).ok());
    Instance {
        process,
        slot: (task.slot > 0).then_some(task.slot),
        id: logs::short(task.id.as_str()),
        node: task.node_id,
        container: task.status.container_status.map(|container| container.container_id),
        cpu_limit: cpu_limit.filter(|limit| *limit > 0),
    }
}
