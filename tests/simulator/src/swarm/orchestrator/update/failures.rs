//! What a roll-out makes of tasks that end: they count while they are watched, and too many of them stop it or turn it back.

use skep_planner::swarm::{FailureAction, ServiceId, TaskId};

use super::{Stage, Updater, Worker};
use crate::swarm::{Swarm, after};

impl Swarm {
    /// Roll-outs look at a task that has changed.
    pub(in crate::swarm::orchestrator) fn follow_updates(&mut self, task: &TaskId) {
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
    pub(super) fn hear_failures(&mut self, id: &ServiceId) {
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

    pub(in crate::swarm::orchestrator) fn monitor_over(&mut self, id: &ServiceId, number: u64) {
        let is_meant = |updater: &Updater| updater.id == number && updater.stage == Stage::Monitoring;
        if self.orchestrator.updaters.get(id).is_some_and(is_meant) {
            self.orchestrator.updaters.remove(id);
            self.complete_update(id);
        }
    }
}
