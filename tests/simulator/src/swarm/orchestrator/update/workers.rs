//! What the workers of a roll-out do: each replaces the tasks of one slot after the other, and pauses in between.

use std::time::Duration;

use skep_planner::swarm::{ServiceId, ServiceMode, TaskId, TaskState, UpdateOrder};

use super::{Old, Worker};
use crate::swarm::Swarm;
use crate::swarm::agenda::Due;

/// A slot was emptied by somebody else since the roll-out began.
struct AlreadyShutDown;

impl Swarm {
    /// A worker takes a slot.
    pub(super) fn work_on(&mut self, id: &ServiceId, worker: usize, slot: Vec<Old>) {
        let is_clean = |task: &&TaskId| !self.is_dirty(id, task);
        let wants = |task: &TaskId, state: TaskState| {
            self.tasks.get(task).is_some_and(|record| *record.desired() == state)
        };
        let clean: Vec<&TaskId> = slot.iter().map(|old| &old.task).filter(is_clean).collect();
        let running = clean.iter().find(|task| wants(task, TaskState::Running));
        let coming = clean
            .iter()
            .rev()
            .find(|task| self.tasks.get(**task).is_some_and(|record| *record.desired() < TaskState::Running));
        match running.or(coming).map(|task| (**task).clone()) {
            Some(existing) => self.use_existing(id, worker, &slot, existing),
            None => self.replace(id, worker, slot),
        }
    }

    fn use_existing(&mut self, id: &ServiceId, worker: usize, slot: &[Old], existing: TaskId) {
        let others: Vec<Old> = slot.iter().filter(|old| old.task != existing).cloned().collect();
        let Ok(removed) = self.remove_old(&others) else {
            self.pause_worker(id, worker);
            return;
        };
        let is_running =
            self.tasks.get(&existing).is_some_and(|record| *record.desired() >= TaskState::Running);
        if is_running {
            self.pause_worker(id, worker);
            return;
        }
        let entry =
            Worker::Delayed { task: existing.clone(), old: Vec::new(), is_new: false, start_first: false };
        self.set_worker(id, worker, entry);
        self.delay_start(&existing, Duration::ZERO, removed);
        self.settle_delayed(id, worker, &existing);
    }

    fn replace(&mut self, id: &ServiceId, worker: usize, slot: Vec<Old>) {
        let Some(first) = slot.first().and_then(|old| self.tasks.get(&old.task)) else {
            self.pause_worker(id, worker);
            return;
        };
        let (number, node) = (first.task.slot, first.task.node_id.clone());
        let is_global = self
            .services
            .get(id)
            .is_some_and(|record| matches!(record.service.spec.mode, Some(ServiceMode::Global(_))));
        let node = node.filter(|_| is_global);
        let updater = self.orchestrator.updaters.get(id);
        let start_first = updater.is_some_and(|updater| updater.config.order == UpdateOrder::StartFirst);
        let waits_for = match if start_first { Ok(None) } else { self.remove_old(&slot) } {
            Ok(removed) => removed,
            Err(AlreadyShutDown) => {
                // Both are one transaction there: nothing is made either.
                self.pause_worker(id, worker);
                return;
            }
        };
        let Some(task) = self.make_task(id, number, node, TaskState::Ready) else { return };
        let Some(updater) = self.orchestrator.updaters.get_mut(id) else { return };
        updater.made.insert(task.clone(), None);
        let entry = Worker::Delayed { task: task.clone(), old: slot, is_new: true, start_first };
        self.set_worker(id, worker, entry);
        self.delay_start(&task, Duration::ZERO, waits_for);
        self.settle_delayed(id, worker, &task);
    }

    /// Tells old tasks to stop; the last of those that still were to run is the one that a new task waits for.
    fn remove_old(&mut self, old: &[Old]) -> Result<Option<TaskId>, AlreadyShutDown> {
        let (mut removed, mut failed) = (None, false);
        for Old { task, .. } in old.iter().filter(|old| old.was_wanted) {
            if self.tasks.get(task).is_some_and(|record| record.is_wanted_running()) {
                self.want_task(task, TaskState::Shutdown);
                removed = Some(task.clone());
            } else {
                failed = true;
            }
        }
        if removed.is_none() && failed { Err(AlreadyShutDown) } else { Ok(removed) }
    }

    fn set_worker(&mut self, id: &ServiceId, worker: usize, state: Worker) {
        let workers = self.orchestrator.updaters.get_mut(id).map(|updater| &mut updater.workers);
        if let Some(entry) = workers.and_then(|workers| workers.get_mut(worker)) {
            *entry = state;
        }
    }

    /// A worker whose task was not held up after all goes on at once.
    fn settle_delayed(&mut self, id: &ServiceId, worker: usize, task: &TaskId) {
        if !self.is_delayed(task) {
            self.worker_goes_on(id, worker);
        }
    }

    /// Workers that waited for this task's delay go on.
    pub(in crate::swarm::orchestrator) fn delay_ended(&mut self, task: &TaskId) {
        let Some(id) = self.tasks.get(task).and_then(|record| record.task.service_id.clone()) else { return };
        let Some(updater) = self.orchestrator.updaters.get(&id) else { return };
        let waiting = updater
            .workers
            .iter()
            .position(|worker| matches!(worker, Worker::Delayed { task: delayed, .. } if delayed == task));
        if let Some(worker) = waiting {
            self.worker_goes_on(&id, worker);
        }
    }

    fn worker_goes_on(&mut self, id: &ServiceId, worker: usize) {
        let Some(updater) = self.orchestrator.updaters.get(id) else { return };
        match updater.workers.get(worker).cloned() {
            Some(Worker::Delayed { task, old, is_new: true, start_first }) => {
                self.set_worker(id, worker, Worker::Coming { task: task.clone(), old, start_first });
                self.look_at_coming(id, worker, &task);
            }
            Some(Worker::Delayed { .. }) => {
                self.pause_worker(id, worker);
                self.drive_update(id);
            }
            _ => {}
        }
    }

    /// Has the task that a worker waits for come so far?
    pub(super) fn look_at_coming(&mut self, id: &ServiceId, worker: usize, task: &TaskId) {
        let state = self.tasks.get(task).map(|record| record.state().clone());
        let Some(state) = state.filter(|state| *state >= TaskState::Running) else { return };
        let now = self.now;
        let Some(updater) = self.orchestrator.updaters.get_mut(id) else { return };
        updater.made.insert(task.clone(), Some(now));
        let old = match updater.workers.get(worker) {
            Some(Worker::Coming { old, start_first: true, .. }) if state == TaskState::Running => old.clone(),
            _ => Vec::new(),
        };
        drop(self.remove_old(&old));
        self.pause_worker(id, worker);
        self.drive_update(id);
    }

    fn pause_worker(&mut self, id: &ServiceId, worker: usize) {
        let Some(updater) = self.orchestrator.updaters.get(id) else { return };
        let (number, delay) = (updater.id, updater.config.delay);
        if delay.is_zero() {
            self.set_worker(id, worker, Worker::Free);
        } else {
            self.set_worker(id, worker, Worker::Pausing);
            self.due_in(delay, Due::WorkerDelayOver(id.clone(), number, worker));
        }
    }

    pub(in crate::swarm::orchestrator) fn worker_delay_over(
        &mut self,
        id: &ServiceId,
        number: u64,
        worker: usize,
    ) {
        if self.orchestrator.updaters.get(id).is_some_and(|updater| updater.id == number) {
            self.set_worker(id, worker, Worker::Free);
            self.drive_update(id);
        }
    }
}
