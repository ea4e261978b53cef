//! Tasks: one run of one slot each.

use jiff::Timestamp;
use skep_planner::swarm::{
    AttachmentNetwork, AttachmentNetworkSpec, ContainerId, EndpointSpec, NetworkAttachment, NetworkId,
    NodeId, ServiceId, Task, TaskId, TaskSpec, TaskState, TaskStatus,
};
use skep_swarm::{LogLine, TaskFilter};

use super::{Change, Swarm};

/// A task, with what the managers know of it and do not tell.
#[derive(Clone, Debug)]
pub(super) struct TaskRecord {
    pub(super) task: Task,
    /// Which spec of its service it runs.
    pub(super) spec_version: u64,
    pub(super) endpoint: Option<EndpointSpec>,
    /// When the managers wrote its latest status.
    pub(super) applied: Timestamp,
    /// Counts what its node was told; a step that was planned before says an older number.
    pub(super) step: u64,
    /// The state and the wish that its node has acted on.
    pub(super) looked_at: Option<(TaskState, TaskState)>,
    pub(super) container: Option<ContainerId>,
    pub(super) lines: Vec<LogLine>,
    /// Whether the scheduler did not choose its node.
    pub(super) preassigned: bool,
    pub(super) service_name: String,
}

/// Up to where the tasks of a service come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// They get no node.
    Unplaced,
    /// Their nodes are not done preparing.
    Preparing,
    /// They do not stop.
    Stopping,
    /// Their nodes do nothing with them.
    Everything,
}

impl TaskRecord {
    pub(super) fn state(&self) -> &TaskState {
        self.task.status.state.as_ref().unwrap_or(&TaskState::New)
    }

    pub(super) fn desired(&self) -> &TaskState {
        self.task.desired_state.as_ref().unwrap_or(&TaskState::Running)
    }

    /// Whether it has ended.
    pub(super) fn is_over(&self) -> bool {
        *self.state() > TaskState::Running
    }

    /// Whether the Swarm wants it to run, now or soon.
    pub(super) fn is_wanted_running(&self) -> bool {
        *self.desired() <= TaskState::Running
    }
}

impl Swarm {
    /// Tasks, those that ended included unless filtered out.
    pub fn list_tasks(&self, filter: &TaskFilter) -> Vec<Task> {
        let matches = |record: &&TaskRecord| {
            let task = &record.task;
            filter.node.as_ref().is_none_or(|node| task.node_id.as_ref() == Some(node))
                && (filter.desired_states.is_empty() || filter.desired_states.contains(record.desired()))
                && filter.up_to_date.is_none_or(|wanted| self.is_up_to_date(record) == wanted)
                && filter.labels.matches(&task.labels)
        };
        let tell = |record: &TaskRecord| record.task.clone();
        if filter.services.is_empty() {
            return self.tasks.values().filter(matches).map(tell).collect();
        }
        // The engine does not know the tasks of a service that it does not know.
        let known = filter.services.iter().filter(|id| self.services.contains_key(*id));
        let ids = known.filter_map(|id| self.tasks_of.get(id)).flatten();
        ids.filter_map(|id| self.tasks.get(id)).filter(matches).map(tell).collect()
    }

    fn is_up_to_date(&self, record: &TaskRecord) -> bool {
        let service = record.task.service_id.as_ref().and_then(|id| self.services.get(id));
        service.is_some_and(|service| service.spec_version == record.spec_version)
    }

    /// The tasks of a service by its name, those that ended included.
    pub fn tasks_of(&self, service: &str) -> Vec<Task> {
        let of_service = self.tasks.values().filter(|record| record.service_name == service);
        of_service.map(|record| record.task.clone()).collect()
    }

    pub(super) fn task_ids(&self, service: &ServiceId) -> Vec<TaskId> {
        self.tasks_of.get(service).into_iter().flatten().cloned().collect()
    }

    /// A new task of a service's spec as it is.
    pub(super) fn make_task(
        &mut self,
        service: &ServiceId,
        slot: u64,
        node: Option<NodeId>,
        desired: TaskState,
    ) -> Option<TaskId> {
        let id = TaskId::new(self.new_id("tsk"));
        let (version, now) = (self.next_version(), self.now);
        let record = self.services.get(service)?;
        let spec = &record.service.spec;
        let mut template = spec.task_template.clone();
        template.runtime.clear();
        let task = Task {
            id: id.clone(),
            version,
            created_at: now.to_string(),
            updated_at: now.to_string(),
            spec: template,
            service_id: Some(service.clone()),
            slot,
            node_id: node.clone(),
            status: TaskStatus {
                timestamp: now.to_string(),
                state: Some(TaskState::New),
                message: "created".to_owned(),
                ..TaskStatus::default()
            },
            desired_state: Some(desired),
            job_iteration: record.service.job_status.as_ref().map(|job| job.job_iteration),
            ..Task::default()
        };
        let made = TaskRecord {
            task,
            spec_version: record.spec_version,
            endpoint: spec.endpoint_spec.clone(),
            applied: now,
            step: 0,
            looked_at: None,
            container: None,
            lines: Vec::new(),
            preassigned: node.is_some(),
            service_name: spec.name.clone(),
        };
        self.tasks.insert(id.clone(), made);
        self.tasks_of.entry(service.clone()).or_default().insert(id.clone());
        self.changed(Change::TaskMade(id.clone()));
        Some(id)
    }

    /// Puts tasks in the place of all tasks of a service, and nobody reacts to that.
    pub(super) fn replace_tasks(&mut self, service: &ServiceId, tasks: Vec<Task>) {
        for old in self.tasks_of.remove(service).unwrap_or_default() {
            self.tasks.remove(&old);
        }
        let Some(record) = self.services.get(service) else { return };
        let spec = record.service.spec.clone();
        let (spec_version, previous_spec_version) = (record.spec_version, record.previous_spec_version);
        // Tasks of the spec before, of this spec, and those that ended stand in the same slots.
        let (mut old, mut new, mut ended) = (0, 0, 0);
        for mut task in tasks {
            let id = TaskId::new(self.new_id("tsk"));
            let version = self.next_version();
            let is_current = normalized(&task.spec) == normalized(&spec.task_template);
            (task.id, task.version, task.service_id) = (id.clone(), version, Some(service.clone()));
            let is_over = task.status.state.as_ref().is_some_and(TaskState::is_terminal);
            let counter = match (is_over, is_current) {
                (true, _) => &mut ended,
                (false, true) => &mut new,
                (false, false) => &mut old,
            };
            *counter += 1;
            task.slot = *counter;
            task.spec.runtime.clear();
            let made = TaskRecord {
                spec_version: if is_current { spec_version } else { previous_spec_version },
                endpoint: spec.endpoint_spec.clone(),
                applied: self.now,
                step: 0,
                looked_at: None,
                container: task.status.container_status.as_ref().map(|status| status.container_id.clone()),
                lines: Vec::new(),
                preassigned: false,
                service_name: spec.name.clone(),
                task,
            };
            self.tasks.insert(id.clone(), made);
            self.tasks_of.entry(service.clone()).or_default().insert(id);
        }
    }

    /// Writes to a task, and the managers' parts will look.
    pub(super) fn write_task(&mut self, id: &TaskId, change: impl FnOnce(&mut TaskRecord)) {
        let (version, now) = (self.next_version(), self.now.to_string());
        let Some(record) = self.tasks.get_mut(id) else { return };
        change(record);
        (record.task.version, record.task.updated_at) = (version, now);
        self.changed(Change::Task(id.clone()));
    }

    /// Says where a task stands.
    pub(super) fn set_task_state(&mut self, id: &TaskId, state: TaskState, message: &str, err: &str) {
        let now = self.now;
        self.write_task(id, |record| {
            let status = &mut record.task.status;
            status.timestamp = now.to_string();
            (status.state, status.message, status.err) = (Some(state), message.to_owned(), err.to_owned());
            record.applied = now;
        });
    }

    /// Says where the Swarm wants a task; never back.
    pub(super) fn want_task(&mut self, id: &TaskId, desired: TaskState) {
        if self.tasks.get(id).is_some_and(|record| *record.desired() < desired) {
            self.write_task(id, |record| record.task.desired_state = Some(desired));
        }
    }

    pub(super) fn delete_task(&mut self, id: &TaskId) {
        let Some(record) = self.tasks.remove(id) else { return };
        if let Some(service) = &record.task.service_id
            && let Some(ids) = self.tasks_of.get_mut(service)
        {
            ids.remove(id);
            if ids.is_empty() {
                self.tasks_of.remove(service);
            }
        }
        self.next_version();
        self.changed(Change::TaskGone(Box::new(record)));
    }

    /// The addresses of a task.
    pub(super) fn allocate_task(&mut self, id: &TaskId) {
        let Some(record) = self.tasks.get(id) else { return };
        let networks = record.task.spec.networks.clone();
        let mut attachments = Vec::new();
        for at in networks {
            let network = NetworkId::from(at.target.as_str());
            let Some(address) = self.allocate_address(&network) else { return };
            let Some(found) = self.networks.get(&network) else { return };
            let spec = AttachmentNetworkSpec {
                name: found.network.name.clone(),
                labels: found.network.labels.clone(),
                attachable: found.network.attachable,
                scope: "swarm".to_owned(),
                ..AttachmentNetworkSpec::default()
            };
            attachments.push(NetworkAttachment {
                network: AttachmentNetwork { id: network, spec, ..AttachmentNetwork::default() },
                addresses: vec![address],
                ..NetworkAttachment::default()
            });
        }
        if let Some(record) = self.tasks.get_mut(id) {
            record.task.networks_attachments = attachments;
        }
        self.set_task_state(id, TaskState::Pending, "pending task scheduling", "");
    }
}

fn normalized(spec: &TaskSpec) -> TaskSpec {
    let mut spec = spec.clone();
    spec.runtime.clear();
    spec
}
