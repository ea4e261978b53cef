//! The updater (`manager/orchestrator/update`): how tasks are replaced when a service's spec has changed.
//!
//! swarmkit runs a main loop and so many workers. The main loop hands out slots, and hears of failures only while it hands out
//! and while it watches afterwards; a failure in between waits until then. That shows in what a roll-out says and when, so it is
//! kept here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use skep_planner::swarm::{
    EndpointSpec, FailureAction, Nanos, ServiceId, ServiceMode, ServiceSpec, TaskId, TaskSpec, TaskState,
    UpdateConfig, UpdateOrder, UpdateState, UpdateStatus,
};

use super::super::agenda::Due;
use super::super::{ServiceRecord, Swarm, after};
use super::constraint;

/// For how long a roll-out is watched when it is not said.
const MONITOR: Duration = Duration::from_secs(5);

/// One roll-out.
#[derive(Clone, Debug)]
pub(super) struct Updater {
    id: u64,
    spec: ServiceSpec,
    spec_version: u64,
    is_rollback: bool,
    config: Settings,
    dirty: usize,
    queue: VecDeque<Vec<Old>>,
    workers: Vec<Worker>,
    /// The tasks that it made, and when they ran.
    made: BTreeMap<TaskId, Option<Timestamp>>,
    failed: BTreeSet<TaskId>,
    /// Failures that the main loop has not heard of yet.
    unheard: VecDeque<TaskId>,
    stage: Stage,
    stopped: bool,
}

/// A task that is to be replaced, as it was when the roll-out began.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Old {
    task: TaskId,
    was_wanted: bool,
}

/// A slot was emptied by somebody else since the roll-out began.
struct AlreadyShutDown;

/// How it goes on.
#[derive(Clone, Debug)]
struct Settings {
    parallelism: usize,
    delay: Duration,
    action: FailureAction,
    monitor: Duration,
    ratio: f32,
    order: UpdateOrder,
}

/// Where the main loop is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Slots are handed out.
    Handing,
    /// The last slots are being worked on.
    Draining,
    /// All were replaced; failures are watched for.
    Monitoring,
}

/// What a worker does.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Worker {
    Free,
    /// It waits until a task may start.
    Delayed {
        task: TaskId,
        old: Vec<Old>,
        is_new: bool,
        start_first: bool,
    },
    /// It waits until a task runs.
    Coming {
        task: TaskId,
        old: Vec<Old>,
        start_first: bool,
    },
    /// It pauses after a slot.
    Pausing,
}

impl Settings {
    fn of(config: Option<&UpdateConfig>, slots: usize) -> Self {
        let parallelism = config.map_or(1, |config| config.parallelism.unwrap_or(0));
        let parallelism = match usize::try_from(parallelism).unwrap_or(usize::MAX) {
            0 => slots,
            some => some.min(slots),
        };
        let monitor = config.map_or(Nanos(0), |config| config.monitor);
        Self {
            parallelism,
            delay: config.map_or(Duration::ZERO, |config| config.delay.to_duration()),
            action: config.and_then(|config| config.failure_action.clone()).unwrap_or(FailureAction::Pause),
            monitor: if monitor.0 == 0 { MONITOR } else { monitor.to_duration() },
            ratio: config.map_or(0.0, |config| config.max_failure_ratio.get()),
            order: config.and_then(|config| config.order.clone()).unwrap_or(UpdateOrder::StopFirst),
        }
    }
}

impl Swarm {
    /// Works towards a service's spec, unless somebody does already.
    pub(super) fn update_slots(&mut self, id: &ServiceId, slots: Vec<Vec<TaskId>>) {
        let Some(record) = self.services.get(id) else { return };
        let record = record.clone();
        if self.orchestrator.updaters.get(id).is_some_and(|updater| updater.spec == record.service.spec) {
            return;
        }
        self.orchestrator.updaters.remove(id);
        let status = record.service.update_status.as_ref().and_then(|status| status.state.clone());
        if matches!(status, Some(UpdateState::Paused | UpdateState::RollbackPaused)) {
            return;
        }
        let is_dirty = |slot: &Vec<TaskId>| match slot.as_slice() {
            [only] => self.is_dirty(id, only),
            more => !more.is_empty(),
        };
        let dirty: Vec<Vec<TaskId>> = slots.into_iter().filter(is_dirty).collect();
        if dirty.is_empty() {
            if matches!(status, Some(UpdateState::Updating | UpdateState::RollbackStarted)) {
                self.complete_update(id);
            }
            return;
        }
        if status.is_none() {
            self.start_update(id);
        }
        self.begin_update(id, record, dirty, status == Some(UpdateState::RollbackStarted));
    }

    fn begin_update(
        &mut self,
        id: &ServiceId,
        record: ServiceRecord,
        dirty: Vec<Vec<TaskId>>,
        is_rollback: bool,
    ) {
        let spec = record.service.spec;
        let config = if is_rollback { spec.rollback_config.as_ref() } else { spec.update_config.as_ref() };
        let config = Settings::of(config, dirty.len());
        let as_it_is = |task: TaskId| Old {
            was_wanted: self.tasks.get(&task).is_some_and(|record| record.is_wanted_running()),
            task,
        };
        let dirty: VecDeque<Vec<Old>> =
            dirty.into_iter().map(|slot| slot.into_iter().map(as_it_is).collect()).collect();
        self.orchestrator.updater_count += 1;
        let updater = Updater {
            id: self.orchestrator.updater_count,
            is_rollback,
            dirty: dirty.len(),
            queue: dirty,
            workers: vec![Worker::Free; config.parallelism],
            config,
            spec,
            spec_version: record.spec_version,
            made: BTreeMap::new(),
            failed: BTreeSet::new(),
            unheard: VecDeque::new(),
            stage: Stage::Handing,
            stopped: false,
        };
        self.orchestrator.updaters.insert(id.clone(), updater);
        self.drive_update(id);
    }

    /// Hands slots to workers that are free, and goes on to the next stage when there are none left.
    fn drive_update(&mut self, id: &ServiceId) {
        loop {
            let Some(updater) = self.orchestrator.updaters.get_mut(id) else { return };
            let free = updater.workers.iter().position(|worker| *worker == Worker::Free);
            match updater.stage {
                Stage::Handing => match (updater.queue.is_empty(), free) {
                    (true, _) => updater.stage = Stage::Draining,
                    (false, Some(worker)) => {
                        let Some(slot) = updater.queue.pop_front() else { return };
                        self.work_on(id, worker, slot);
                    }
                    (false, None) => return,
                },
                Stage::Draining => {
                    if updater.workers.iter().any(|worker| *worker != Worker::Free) {
                        return;
                    }
                    if updater.stopped {
                        self.orchestrator.updaters.remove(id);
                        return;
                    }
                    updater.stage = Stage::Monitoring;
                    if updater.config.delay >= updater.config.monitor {
                        updater.config.monitor = updater.config.delay + Duration::from_secs(1);
                    }
                    let (number, monitor) = (updater.id, updater.config.monitor);
                    self.due_in(monitor, Due::MonitorOver(id.clone(), number));
                    self.hear_failures(id);
                    return;
                }
                Stage::Monitoring => return,
            }
        }
    }

    /// A worker takes a slot.
    fn work_on(&mut self, id: &ServiceId, worker: usize, slot: Vec<Old>) {
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
    pub(super) fn delay_ended(&mut self, task: &TaskId) {
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
    fn look_at_coming(&mut self, id: &ServiceId, worker: usize, task: &TaskId) {
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

    pub(super) fn worker_delay_over(&mut self, id: &ServiceId, number: u64, worker: usize) {
        if self.orchestrator.updaters.get(id).is_some_and(|updater| updater.id == number) {
            self.set_worker(id, worker, Worker::Free);
            self.drive_update(id);
        }
    }

    /// Roll-outs look at a task that has changed.
    pub(super) fn follow_updates(&mut self, task: &TaskId) {
        let Some(record) = self.tasks.get(task) else { return };
        let Some(id) = record.task.service_id.clone() else { return };
        let is_over = record.is_over();
        let Some(updater) = self.orchestrator.updaters.get_mut(&id) else { return };
        if is_over && updater.config.action != FailureAction::Continue {
            updater.unheard.push_back(task.clone());
        }
        let coming = updater
            .workers
            .iter()
            .position(|worker| matches!(worker, Worker::Coming { task: coming, .. } if coming == task));
        if let Some(worker) = coming {
            self.look_at_coming(&id, worker, task);
        }
        self.hear_failures(&id);
    }

    /// The main loop hears of failures, while it hands out or watches.
    fn hear_failures(&mut self, id: &ServiceId) {
        loop {
            let now = self.now;
            let Some(updater) = self.orchestrator.updaters.get_mut(id) else { return };
            if updater.stage == Stage::Draining || updater.stopped {
                return;
            }
            let Some(task) = updater.unheard.pop_front() else { return };
            let Some(made) = updater.made.get(&task).copied() else { continue };
            let counts = made.is_none_or(|ran| now <= after(ran, updater.config.monitor));
            if !counts || !updater.failed.insert(task.clone()) {
                continue;
            }
            #[expect(
                clippy::as_conversions,
                clippy::cast_precision_loss,
                reason = "counts of tasks are small"
            )]
            let share = updater.failed.len() as f32 / updater.dirty as f32;
            if share <= updater.config.ratio {
                continue;
            }
            let (action, is_rollback) = (updater.config.action.clone(), updater.is_rollback);
            let why = format!("due to failure or early termination of task {task}");
            match (action, is_rollback) {
                (FailureAction::Pause, _) => {
                    updater.stopped = true;
                    self.leave_handing(id);
                    self.pause_update(id, &format!("update paused {why}"));
                }
                (FailureAction::Rollback, true) => {
                    // As in swarmkit: this one is not stopped, and calls itself complete in the end.
                    self.pause_update(id, &format!("rollback paused {why}"));
                    self.leave_handing(id);
                }
                (FailureAction::Rollback, false) => {
                    updater.stopped = true;
                    self.leave_handing(id);
                    self.roll_back_update(id, &format!("update rolled back {why}"));
                }
                (FailureAction::Continue | FailureAction::Other(_), _) => continue,
            }
            self.drive_update(id);
            return;
        }
    }

    /// No more slots are handed out; a watch is over.
    fn leave_handing(&mut self, id: &ServiceId) {
        let Some(updater) = self.orchestrator.updaters.get_mut(id) else { return };
        let was_monitoring = updater.stage == Stage::Monitoring;
        updater.queue.clear();
        updater.stage = Stage::Draining;
        if was_monitoring && !updater.stopped {
            self.orchestrator.updaters.remove(id);
            self.complete_update(id);
        }
    }

    pub(super) fn monitor_over(&mut self, id: &ServiceId, number: u64) {
        let is_meant = |updater: &Updater| updater.id == number && updater.stage == Stage::Monitoring;
        if self.orchestrator.updaters.get(id).is_some_and(is_meant) {
            self.orchestrator.updaters.remove(id);
            self.complete_update(id);
        }
    }

    fn start_update(&mut self, id: &ServiceId) {
        let now = self.now.to_string();
        self.write_service(id, |record| {
            record.service.update_status = Some(UpdateStatus {
                state: Some(UpdateState::Updating),
                started_at: now,
                message: "update in progress".to_owned(),
                ..UpdateStatus::default()
            });
        });
    }

    fn pause_update(&mut self, id: &ServiceId, message: &str) {
        self.write_status(id, |state| match state {
            Some(UpdateState::RollbackStarted) => (UpdateState::RollbackPaused, message.to_owned(), false),
            _ => (UpdateState::Paused, message.to_owned(), false),
        });
    }

    fn complete_update(&mut self, id: &ServiceId) {
        self.write_status(id, |state| match state {
            Some(UpdateState::RollbackStarted) => {
                (UpdateState::RollbackCompleted, "rollback completed".to_owned(), true)
            }
            _ => (UpdateState::Completed, "update completed".to_owned(), true),
        });
    }

    fn write_status(
        &mut self,
        id: &ServiceId,
        next: impl FnOnce(Option<&UpdateState>) -> (UpdateState, String, bool),
    ) {
        let Some(status) = self.services.get(id).and_then(|record| record.service.update_status.clone())
        else {
            return;
        };
        let now = self.now.to_string();
        let (state, message, is_over) = next(status.state.as_ref());
        self.write_service(id, |record| {
            if let Some(status) = &mut record.service.update_status {
                (status.state, status.message) = (Some(state), message);
                if is_over {
                    status.completed_at = now;
                }
            }
        });
    }

    /// A roll-out ends as if it had failed.
    pub(in crate::swarm) fn abandon_update(&mut self, id: &ServiceId, message: &str) {
        self.orchestrator.updaters.remove(id);
        if self.services.get(id).is_some_and(|record| record.service.update_status.is_none()) {
            self.start_update(id);
        }
        self.roll_back_update(id, message);
    }

    /// Swarm goes back by itself: the spec before becomes the spec, and there is none before it any more.
    fn roll_back_update(&mut self, id: &ServiceId, message: &str) {
        let Some(record) = self.services.get(id) else { return };
        if record.service.update_status.is_none() || record.service.previous_spec.is_none() {
            return;
        }
        let message = message.to_owned();
        self.write_service(id, |record| {
            if let Some(status) = &mut record.service.update_status {
                (status.state, status.message) = (Some(UpdateState::RollbackStarted), message);
            }
            if let Some(previous) = record.service.previous_spec.take() {
                record.service.spec = *previous;
            }
            record.spec_version = std::mem::take(&mut record.previous_spec_version);
        });
    }

    /// Does a task run something else than its service says?
    pub(super) fn is_dirty(&self, id: &ServiceId, task: &TaskId) -> bool {
        let (Some(service), Some(record)) = (self.services.get(id), self.tasks.get(task)) else {
            return false;
        };
        let updater = self.orchestrator.updaters.get(id);
        let (spec, version) = updater.map_or((&service.service.spec, service.spec_version), |updater| {
            (&updater.spec, updater.spec_version)
        });
        if version == record.spec_version {
            return false;
        }
        let node = record.task.node_id.as_ref().and_then(|node| self.nodes.get(node));
        let wanted = template(&spec.task_template);
        let mut relocated = wanted.clone();
        relocated.placement.clone_from(&record.task.spec.placement);
        let only_placement = wanted.placement != record.task.spec.placement && relocated == record.task.spec;
        let fits = node.is_some_and(|node| constraint::allows(wanted.placement.as_ref(), node));
        if only_placement && fits {
            return false;
        }
        wanted != record.task.spec || !same_endpoint(spec.endpoint_spec.as_ref(), record.endpoint.as_ref())
    }
}

/// A template as tasks carry it.
fn template(spec: &TaskSpec) -> TaskSpec {
    let mut spec = spec.clone();
    spec.runtime.clear();
    spec
}

fn same_endpoint(wanted: Option<&EndpointSpec>, found: Option<&EndpointSpec>) -> bool {
    wanted == found
}
