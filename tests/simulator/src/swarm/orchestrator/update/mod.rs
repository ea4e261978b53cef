//! The updater (`manager/orchestrator/update`): how tasks are replaced when a service's spec has changed.
//!
//! swarmkit runs a main loop and so many workers. The main loop hands out slots, and hears of failures only while it hands out
//! and while it watches afterwards; a failure in between waits until then. That shows in what a roll-out says and when, so it is
//! kept here.
//!
//! Here are the main loop and what it remembers; [`workers`] has what the workers do, [`failures`] what is made of tasks that fail,
//! [`status`] what is written of it all to the service, and [`dirty`] which tasks are to be replaced at all.

mod dirty;
mod failures;
mod status;
mod workers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use skep_planner::swarm::{
    FailureAction, Nanos, ServiceId, ServiceSpec, TaskId, UpdateConfig, UpdateOrder, UpdateState,
};

use crate::swarm::agenda::Due;
use crate::swarm::{ServiceRecord, Swarm};

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
    pub(in crate::swarm::orchestrator) fn update_slots(&mut self, id: &ServiceId, slots: Vec<Vec<TaskId>>) {
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
        let number = updater.id;
        self.orchestrator.updaters.insert(id.clone(), updater);
        // That it has begun is written to the service, and the orchestrator looks at that before the first slot is touched.
        self.due_in(self.pace.reaction, Due::RollOut(id.clone(), number));
    }

    /// Workers get their first slots.
    pub(in crate::swarm::orchestrator) fn roll_out(&mut self, id: &ServiceId, number: u64) {
        if self.orchestrator.updaters.get(id).is_some_and(|updater| updater.id == number) {
            self.drive_update(id);
        }
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
}
