//! The restart supervisor (`manager/orchestrator/restart`): whether a task that ended is made again, and when it may start.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use skep_planner::swarm::{
    Nanos, NodeAvailability, NodeId, NodeState, RestartCondition, RestartPolicy, ServiceId, ServiceMode,
    TaskId, TaskState, UpdateState,
};

use super::super::Swarm;
use super::super::agenda::Due;
use super::super::services::is_job;
use super::super::tasks::TaskRecord;

/// The delay of a service that says none.
const DELAY: Nanos = Nanos::from_secs(5);

/// How long a new task waits for the end of the old one at most.
const OLD_TASK_LIMIT: Duration = Duration::from_secs(60);

/// A task that may not start yet.
#[derive(Clone, Debug)]
pub(super) struct Delay {
    id: u64,
    is_over: bool,
    is_timed_out: bool,
    waits_for: Option<TaskId>,
    /// Somebody wants it made again already.
    restart_after: bool,
}

/// How often the task of a slot was made again.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    total: u64,
    at: Vec<Timestamp>,
    spec_version: u64,
}

impl Swarm {
    /// Makes a task anew, if its service's policy says so.
    pub(super) fn restart(&mut self, id: &TaskId) {
        if let Some(delay) = self.orchestrator.delays.get_mut(id) {
            delay.restart_after = true;
            return;
        }
        let Some(record) = self.tasks.get(id) else { return };
        if *record.desired() > TaskState::Complete {
            return;
        }
        let record = record.clone();
        let Some(service) = record.task.service_id.clone() else { return };
        if !self.services.contains_key(&service) {
            return;
        }
        self.want_task(id, TaskState::Shutdown);
        if !self.should_restart(&record, &service) {
            return;
        }
        let node = record.preassigned.then(|| record.task.node_id.clone()).flatten();
        let Some(made) = self.make_task(&service, record.task.slot, node.clone(), TaskState::Ready) else {
            return;
        };
        self.remember_restart(&service, record.task.slot, node, &made);
        let on = record.task.node_id.as_ref().and_then(|node| self.nodes.get(node));
        let is_drained = on.is_some_and(|node| node.spec.availability == Some(NodeAvailability::Drain));
        let is_down = on.is_some_and(|node| node.status.state == Some(NodeState::Down));
        let delay = if is_drained {
            Nanos(0)
        } else {
            policy(&record).and_then(|policy| policy.delay).unwrap_or(DELAY)
        };
        let waits_for = (!is_down && !record.is_over()).then(|| id.clone());
        self.delay_start(&made, delay.to_duration(), waits_for);
    }

    /// Whether the policy of a task says that it is made again.
    fn should_restart(&self, record: &TaskRecord, service: &ServiceId) -> bool {
        let is_job = self.services.get(service).is_some_and(|found| is_job(&found.service.spec));
        let is_complete = *record.state() == TaskState::Complete;
        match policy(record).and_then(|policy| policy.condition.as_ref()) {
            Some(RestartCondition::None) => return false,
            Some(RestartCondition::OnFailure) if is_complete => return false,
            None | Some(RestartCondition::Any | RestartCondition::OnFailure | RestartCondition::Other(_)) => {
                if is_job && is_complete {
                    return false;
                }
            }
        }
        let Some(most) = policy(record).and_then(|policy| policy.max_attempts).filter(|most| *most > 0)
        else {
            return true;
        };
        let node = self.global_node(service, record);
        let histories = self.orchestrator.histories.get(service);
        let Some(history) = histories.and_then(|slots| slots.get(&(record.task.slot, node))) else {
            return true;
        };
        if history.spec_version != record.spec_version {
            return true;
        }
        let window = policy(record).and_then(|policy| policy.window).filter(|window| window.0 != 0);
        let Some(window) = window else { return history.total < most };
        let window = SignedDuration::from_nanos(window.0);
        let since = record.applied.saturating_sub(window).unwrap_or(Timestamp::MIN);
        let counting = history.at.iter().filter(|at| **at > since && **at < record.applied).count();
        u64::try_from(counting).unwrap_or(u64::MAX) < most
    }

    fn global_node(&self, service: &ServiceId, record: &TaskRecord) -> Option<NodeId> {
        let found = self.services.get(service)?;
        let is_global = matches!(found.service.spec.mode, Some(ServiceMode::Global(_)));
        is_global.then(|| record.task.node_id.clone()).flatten()
    }

    fn remember_restart(&mut self, service: &ServiceId, slot: u64, node: Option<NodeId>, made: &TaskId) {
        let Some(record) = self.tasks.get(made) else { return };
        if policy(record).and_then(|policy| policy.max_attempts).is_none_or(|most| most == 0) {
            return;
        }
        let spec_version = record.spec_version;
        let slots = self.orchestrator.histories.entry(service.clone()).or_default();
        let history = slots.entry((slot, node)).or_default();
        if history.spec_version != spec_version {
            *history = History { spec_version, ..History::default() };
        }
        history.total += 1;
        history.at.push(self.now);
    }

    /// The tasks of a slot that an update would replace; none when the slot is dead.
    pub(super) fn updatable_tasks(&self, service: &ServiceId, slot: &[TaskId]) -> Vec<TaskId> {
        let records: Vec<&TaskRecord> = slot.iter().filter_map(|id| self.tasks.get(id)).collect();
        let wanted: Vec<TaskId> = records
            .iter()
            .filter(|record| record.is_wanted_running())
            .map(|record| record.task.id.clone())
            .collect();
        if !wanted.is_empty() {
            return wanted;
        }
        let status = self.services.get(service).and_then(|found| found.service.update_status.as_ref());
        if status.is_some_and(|status| status.state == Some(UpdateState::RollbackStarted)) {
            return Vec::new();
        }
        let newest = records.iter().max_by_key(|record| (record.applied, &record.task.id));
        let newest = newest.filter(|record| !self.should_restart(record, service));
        newest.map(|record| record.task.id.clone()).into_iter().collect()
    }

    /// Lets a task start when the delay is over and the task that it replaces has ended.
    pub(super) fn delay_start(&mut self, id: &TaskId, delay: Duration, waits_for: Option<TaskId>) {
        self.orchestrator.delay_count += 1;
        let number = self.orchestrator.delay_count;
        let entry = Delay {
            id: number,
            is_over: delay.is_zero(),
            is_timed_out: false,
            waits_for,
            restart_after: false,
        };
        self.orchestrator.delays.insert(id.clone(), entry);
        if delay.is_zero() {
            self.start_if_ready(id);
        } else {
            self.due_in(delay, Due::DelayOver(id.clone(), number));
        }
        if self.orchestrator.delays.contains_key(id) {
            self.due_in(OLD_TASK_LIMIT, Due::DelayTimedOut(id.clone(), number));
        }
    }

    pub(super) fn delay_over(&mut self, id: &TaskId, number: u64) {
        if let Some(delay) = self.orchestrator.delays.get_mut(id).filter(|delay| delay.id == number) {
            delay.is_over = true;
            self.start_if_ready(id);
        }
    }

    pub(super) fn delay_timed_out(&mut self, id: &TaskId, number: u64) {
        if let Some(delay) = self.orchestrator.delays.get_mut(id).filter(|delay| delay.id == number) {
            delay.is_timed_out = true;
            self.start_if_ready(id);
        }
    }

    /// Tasks that wait for this one look again.
    pub(super) fn follow_delays(&mut self, ended: &TaskId) {
        let waiting = self.orchestrator.delays.iter();
        let waiting: Vec<TaskId> = waiting
            .filter(|(_, delay)| delay.waits_for.as_ref() == Some(ended))
            .map(|(id, _)| id.clone())
            .collect();
        for id in waiting {
            self.start_if_ready(&id);
        }
    }

    pub(super) fn delays_waiting_for_node(&self, node: &NodeId) -> Vec<TaskId> {
        let on_node = |task: &TaskId| {
            self.tasks.get(task).is_some_and(|record| record.task.node_id.as_ref() == Some(node))
        };
        let waiting = self.orchestrator.delays.iter();
        waiting
            .filter(|(_, delay)| delay.waits_for.as_ref().is_some_and(on_node))
            .map(|(id, _)| id.clone())
            .collect()
    }

    pub(super) fn is_delayed(&self, id: &TaskId) -> bool {
        self.orchestrator.delays.contains_key(id)
    }

    pub(super) fn start_if_ready(&mut self, id: &TaskId) {
        let Some(delay) = self.orchestrator.delays.get(id) else { return };
        let has_ended = |old: &TaskId| {
            self.tasks.get(old).is_none_or(|record| {
                let node = record.task.node_id.as_ref().and_then(|node| self.nodes.get(node));
                record.is_over() || node.is_some_and(|node| node.status.state == Some(NodeState::Down))
            })
        };
        let may_start = delay.is_timed_out || delay.waits_for.as_ref().is_none_or(has_ended);
        if !delay.is_over || !may_start {
            return;
        }
        let restart_after = delay.restart_after;
        self.orchestrator.delays.remove(id);
        let is_job = self.tasks.get(id).is_some_and(|record| record.task.job_iteration.is_some());
        let desired = if is_job { TaskState::Complete } else { TaskState::Running };
        if self.tasks.get(id).is_some_and(|record| *record.desired() < TaskState::Running) {
            self.want_task(id, desired);
        }
        self.delay_ended(id);
        if restart_after && self.tasks.get(id).is_some_and(TaskRecord::is_wanted_running) {
            self.restart(id);
        }
    }
}

fn policy(record: &TaskRecord) -> Option<&RestartPolicy> {
    record.task.spec.restart_policy.as_ref()
}
