//! What the managers and nodes do about changes, part by part as in swarmkit: the orchestrators make tasks of services, the
//! scheduler gives them nodes, the nodes run them, the updater replaces them, the restart supervisor makes them again, the reaper
//! cuts their history.
//!
//! swarmkit's parts run side by side and watch one store. Here they look in turn, a moment after each change, at what has
//! changed since; where one of them waits for something there, it keeps here what it waits for.

mod agent;
mod constraint;
mod global;
mod jobs;
mod lost;
mod reaper;
mod replicated;
mod restart;
mod scheduler;
mod update;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use skep_planner::swarm::{NodeAvailability, NodeId, NodeState, ServiceId, ServiceMode, TaskId, TaskState};

pub(super) use self::constraint::parse as parse_constraint;
use self::reaper::Slot;
use self::restart::{Delay, History};
use self::update::Updater;
use super::agenda::Due;
use super::{Change, ServiceRecord, Swarm};

/// After so long the tasks of a node that is down are given up.
pub(super) const ORPHANED_AFTER: Duration = Duration::from_secs(24 * 3600);

/// What the managers' parts remember between two looks.
#[derive(Clone, Debug, Default)]
pub(super) struct Orchestrator {
    /// Nodes that have fallen silent, and which silence it is.
    silent: BTreeMap<NodeId, u64>,
    silences: u64,
    /// Those of them that have lost their power.
    powerless: BTreeSet<NodeId>,
    updaters: BTreeMap<ServiceId, Updater>,
    updater_count: u64,
    delays: BTreeMap<TaskId, Delay>,
    delay_count: u64,
    histories: BTreeMap<ServiceId, BTreeMap<(u64, Option<NodeId>), History>>,
    dirty: BTreeSet<Slot>,
    cleanup: BTreeSet<TaskId>,
    is_reap_due: bool,
    is_schedule_due: bool,
}

impl Orchestrator {
    pub(super) fn fall_silent(&mut self, node: &NodeId) -> u64 {
        self.silences += 1;
        self.silent.insert(node.clone(), self.silences);
        self.silences
    }

    pub(super) fn lose_power(&mut self, node: &NodeId) {
        self.powerless.insert(node.clone());
    }

    /// Says whether a node had lost its power, and has it again from now on.
    pub(super) fn has_power_again(&mut self, node: &NodeId) -> bool {
        self.powerless.remove(node)
    }

    pub(super) fn speak_again(&mut self, node: &NodeId) {
        self.silent.remove(node);
    }

    pub(super) fn is_silent(&self, node: &NodeId) -> Option<u64> {
        self.silent.get(node).copied()
    }
}

impl Swarm {
    /// Lets happen what is due.
    pub(super) fn happen(&mut self, due: Due) {
        let Some(due) = self.unless_frozen(due) else { return };
        match due {
            Due::React => self.react(),
            Due::Schedule => self.schedule(),
            Due::TaskStep(task, step) => self.agent_step(&task, step),
            Due::DelayOver(task, delay) => self.delay_over(&task, delay),
            Due::DelayTimedOut(task, delay) => self.delay_timed_out(&task, delay),
            Due::RollOut(service, updater) => self.roll_out(&service, updater),
            Due::WorkerDelayOver(service, updater, worker) => {
                self.worker_delay_over(&service, updater, worker);
            }
            Due::MonitorOver(service, updater) => self.monitor_over(&service, updater),
            Due::Reap => self.reap(),
            Due::LetGo(network) => self.let_go(&network),
            Due::NodeDown(node, silence) => self.node_down(&node, silence),
            Due::Orphan(node, silence) => self.orphan_tasks(&node, silence),
        }
    }

    /// The managers' parts look at what has changed.
    fn react(&mut self) {
        for change in std::mem::take(&mut self.changes) {
            if let Some(frozen) = self.service_of_change(&change).and_then(|name| self.frozen.get_mut(&name))
            {
                frozen.changes.push(change);
                continue;
            }
            match change {
                Change::Service(id) => {
                    self.allocate_service(&id);
                    self.reconcile(&id);
                }
                Change::ServiceGone(record) => self.service_gone(&record),
                Change::TaskMade(id) => self.task_made(&id),
                Change::Task(id) => self.task_changed(&id),
                Change::TaskGone(record) => self.task_gone(&record),
                Change::Network(id) => self.network_made(&id),
                Change::Node(id) => self.node_changed(&id),
                Change::NodeGone(id) => self.node_gone(&id),
            }
        }
    }

    /// The same, unless it is about a service for which time stands still: then it happens afterwards.
    fn unless_frozen(&mut self, due: Due) -> Option<Due> {
        let name = match &due {
            Due::TaskStep(task, _) | Due::DelayOver(task, _) | Due::DelayTimedOut(task, _) => {
                self.tasks.get(task).map(|record| record.service_name.clone())
            }
            Due::RollOut(service, _) | Due::WorkerDelayOver(service, ..) | Due::MonitorOver(service, _) => {
                self.services.get(service).map(|record| record.service.spec.name.clone())
            }
            Due::React | Due::Schedule | Due::Reap | Due::LetGo(_) | Due::NodeDown(..) | Due::Orphan(..) => {
                None
            }
        };
        match name.and_then(|name| self.frozen.get_mut(&name)) {
            Some(frozen) => {
                frozen.due.push(due);
                None
            }
            None => Some(due),
        }
    }

    fn service_of_change(&self, change: &Change) -> Option<String> {
        if self.frozen.is_empty() {
            return None;
        }
        match change {
            Change::Service(id) => self.services.get(id).map(|record| record.service.spec.name.clone()),
            Change::ServiceGone(record) => Some(record.service.spec.name.clone()),
            Change::TaskMade(id) | Change::Task(id) => {
                self.tasks.get(id).map(|record| record.service_name.clone())
            }
            Change::TaskGone(record) => Some(record.service_name.clone()),
            Change::Network(_) | Change::Node(_) | Change::NodeGone(_) => None,
        }
    }

    fn reconcile(&mut self, id: &ServiceId) {
        let Some(record) = self.services.get(id) else { return };
        match &record.service.spec.mode {
            None | Some(ServiceMode::Replicated(_)) => self.reconcile_replicated(id),
            Some(ServiceMode::Global(_)) => self.reconcile_global(id),
            Some(ServiceMode::ReplicatedJob(_)) => self.reconcile_replicated_job(id),
            Some(ServiceMode::GlobalJob(_)) => self.reconcile_global_job(id),
            Some(ServiceMode::Other(_)) => {}
        }
    }

    fn service_gone(&mut self, record: &ServiceRecord) {
        let id = &record.service.id;
        self.orchestrator.updaters.remove(id);
        self.orchestrator.histories.remove(id);
        for task in self.task_ids(id) {
            self.want_task(&task, TaskState::Remove);
        }
    }

    fn task_made(&mut self, id: &TaskId) {
        let Some(record) = self.tasks.get(id) else { return };
        let slot = Slot::of(record);
        let is_wanted = *record.desired() <= TaskState::Complete;
        self.orchestrator.dirty.insert(slot);
        self.reap_soon();
        if is_wanted {
            self.allocate_task(id);
        }
        self.task_changed(id);
    }

    fn task_changed(&mut self, id: &TaskId) {
        self.follow_delays(id);
        self.follow_updates(id);
        self.restart_if_over(id);
        self.note_for_reaper(id);
        self.note_for_scheduler(id);
        self.agent_look(id);
        self.follow_jobs(id);
    }

    fn task_gone(&mut self, record: &super::tasks::TaskRecord) {
        self.orchestrator.delays.remove(&record.task.id);
        self.container_gone(record);
        if record.is_wanted_running()
            && let Some(service) = &record.task.service_id
        {
            self.reconcile(service);
        }
        self.schedule_soon();
    }

    fn node_changed(&mut self, id: &NodeId) {
        self.enforce_constraints(id);
        if self.is_invalid(id) {
            self.restart_tasks_of_node(id);
        }
        self.reconcile_globals_of_node(id);
        for delayed in self.delays_waiting_for_node(id) {
            self.start_if_ready(&delayed);
        }
        self.schedule_soon();
    }

    fn node_gone(&mut self, id: &NodeId) {
        self.restart_tasks_of_node(id);
        let of_node: Vec<TaskId> = self.tasks_on(id);
        for task in of_node {
            if self.tasks.get(&task).is_some_and(|record| record.preassigned) {
                self.delete_task(&task);
            }
        }
        self.schedule_soon();
    }

    /// Whether a node takes no tasks and keeps none.
    fn is_invalid(&self, id: &NodeId) -> bool {
        self.nodes.get(id).is_none_or(|node| {
            node.status.state == Some(NodeState::Down)
                || node.spec.availability == Some(NodeAvailability::Drain)
        })
    }

    fn tasks_on(&self, id: &NodeId) -> Vec<TaskId> {
        let on_node = self.tasks.values().filter(|record| record.task.node_id.as_ref() == Some(id));
        on_node.map(|record| record.task.id.clone()).collect()
    }
}
