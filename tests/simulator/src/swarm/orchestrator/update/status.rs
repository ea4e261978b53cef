//! What is written of a roll-out to its service: that it has begun, how it ended, and the spec that it returns to.

use skep_planner::swarm::{ServiceId, UpdateState, UpdateStatus};

use crate::swarm::Swarm;

impl Swarm {
    pub(super) fn start_update(&mut self, id: &ServiceId) {
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

    pub(super) fn pause_update(&mut self, id: &ServiceId, message: &str) {
        self.write_status(id, |state| match state {
            Some(UpdateState::RollbackStarted) => (UpdateState::RollbackPaused, message.to_owned(), false),
            _ => (UpdateState::Paused, message.to_owned(), false),
        });
    }

    pub(super) fn complete_update(&mut self, id: &ServiceId) {
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
    pub(super) fn roll_back_update(&mut self, id: &ServiceId, message: &str) {
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
}
