//! What is asked of the engine about output: the services of an environment, their tasks, and their lines.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use skep_planner::naming::{self, LABEL_INSTANCE, LABEL_PROCESS, LABEL_RUN, LABEL_UID};
use skep_planner::swarm::{ServiceId, TaskState};
use skep_planner::{InstanceId, RunNumber};
use skep_schemas::{ProcessName, Uid};
use skep_swarm::{LabelFilter, LogLineStream, LogQuery, LogTarget, SwarmApi, SwarmError, TaskFilter};

use super::line::short;

/// What the lines of a run are told to be of.
const RUN: &str = "run";

/// A service that runs a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) id: ServiceId,
    pub(crate) process: ProcessName,
    /// The run that it is for: then it is no instance of a process.
    pub(crate) run: Option<RunNumber>,
}

/// An instance of a process, as far as its lines are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Instance {
    /// The short form of its task's id.
    pub(super) id: String,
    pub(super) slot: Option<u64>,
    pub(super) runs: bool,
    /// What its program said at its end.
    pub(super) exit_code: Option<i64>,
}

/// The engine, as far as output is concerned.
#[async_trait]
pub(super) trait Engine: Send + Sync {
    /// The services that run processes of an environment.
    async fn services(&self, environment: Uid) -> Result<Vec<Service>, SwarmError>;
    /// The instances of a service, those that ended included as long as the Swarm knows them.
    async fn instances(&self, service: &ServiceId) -> Result<Vec<Instance>, SwarmError>;
    /// Lines of a service.
    async fn lines(&self, service: &ServiceId, query: &LogQuery) -> Result<LogLineStream, SwarmError>;
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
    async fn services(&self, environment: Uid) -> Result<Vec<Service>, SwarmError> {
        services(&*self.swarm, &self.instance, environment).await
    }

    async fn instances(&self, service: &ServiceId) -> Result<Vec<Instance>, SwarmError> {
        let tasks = self.swarm.list_tasks(&TaskFilter::of_service(service.clone())).await?;
        let instances = tasks.into_iter().map(|task| {
            let ended = task.status.state.as_ref().is_some_and(TaskState::is_terminal);
            Instance {
                id: short(task.id.as_str()),
                slot: (task.slot > 0).then_some(task.slot),
                runs: task.status.state == Some(TaskState::Running),
                exit_code: task
                    .status
                    .container_status
                    .filter(|_| ended)
                    .map(|container| container.exit_code),
            }
        });
        Ok(instances.collect())
    }

    async fn lines(&self, service: &ServiceId, query: &LogQuery) -> Result<LogLineStream, SwarmError> {
        let lines = self.swarm.logs(&LogTarget::Service(service.clone()), query).await?;
        Ok(lines.boxed())
    }
}

/// The services that run processes of an environment, and those of its runs.
pub(crate) async fn services(
    swarm: &dyn SwarmApi,
    instance: &InstanceId,
    environment: Uid,
) -> Result<Vec<Service>, SwarmError> {
    let labels =
        LabelFilter::any().with(LABEL_INSTANCE, instance.as_str()).with(LABEL_UID, environment.to_string());
    let found = swarm.list_services(&labels).await?;
    let services = found.into_iter().filter_map(|service| {
        let labels = &service.spec.labels;
        // The engine was asked for these alone. What is another tenant's must not depend on its answer.
        if !naming::is_owned_by(labels, instance, environment) {
            return None;
        }
        let run = labels.get(LABEL_RUN).and_then(|number| number.parse().ok()).map(RunNumber::new);
        let process = if run.is_some() { RUN } else { labels.get(LABEL_PROCESS)? };
        Some(Service { id: service.id, process: process.parse().ok()?, run })
    });
    Ok(services.collect())
}
