//! The task reaper (`manager/orchestrator/taskreaper`): the history of each slot is cut, and tasks that are to go go when their
//! nodes are done with them.

use std::time::Duration;

use skep_planner::swarm::{NodeId, ServiceId, ServiceMode, TaskId, TaskState};

use super::super::Swarm;
use super::super::agenda::Due;
use super::super::tasks::TaskRecord;

/// The reaper collects what it does for so long.
const BATCH: Duration = Duration::from_millis(250);

/// How many tasks of a slot are kept.
const HISTORY: usize = 5;

/// A slot of a replicated service, or a node's place in a global one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    service: Option<ServiceId>,
    slot: u64,
    node: Option<NodeId>,
}

impl Slot {
    pub(super) fn of(record: &TaskRecord) -> Self {
        let node = record.preassigned.then(|| record.task.node_id.clone()).flatten();
        Self { service: record.task.service_id.clone(), slot: record.task.slot, node }
    }
}

impl Swarm {
    pub(super) fn reap_soon(&mut self) {
        if !std::mem::replace(&mut self.orchestrator.is_reap_due, true) {
            self.due_in(BATCH, Due::Reap);
        }
    }

    pub(super) fn note_for_reaper(&mut self, id: &TaskId) {
        let Some(record) = self.tasks.get(id) else { return };
        let is_done = *record.state() < TaskState::Assigned || *record.state() >= TaskState::Complete;
        if *record.desired() == TaskState::Remove && is_done {
            self.orchestrator.cleanup.insert(id.clone());
            self.reap_soon();
        }
    }

    pub(super) fn reap(&mut self) {
        self.orchestrator.is_reap_due = false;
        for id in std::mem::take(&mut self.orchestrator.cleanup) {
            self.delete_task(&id);
        }
        for slot in std::mem::take(&mut self.orchestrator.dirty) {
            self.cut_history(&slot);
        }
    }

    fn cut_history(&mut self, slot: &Slot) {
        let Some(service) = slot.service.as_ref() else { return };
        let Some(record) = self.services.get(service) else { return };
        let spec = &record.service.spec;
        let attempts = spec.task_template.restart_policy.as_ref().and_then(|policy| policy.max_attempts);
        let kept = match attempts.filter(|most| *most > 0) {
            Some(most) => usize::try_from(most).unwrap_or(usize::MAX).saturating_add(1),
            None => HISTORY,
        };
        let is_replicated = matches!(spec.mode, None | Some(ServiceMode::Replicated(_)));
        let is_global = matches!(spec.mode, Some(ServiceMode::Global(_)));
        if !is_replicated && !is_global {
            return;
        }
        let mut tasks: Vec<&TaskRecord> = self
            .tasks_of
            .get(service)
            .into_iter()
            .flatten()
            .filter_map(|id| self.tasks.get(id))
            .filter(|record| Slot::of(record) == *slot)
            .collect();
        if tasks.len() <= kept {
            return;
        }
        tasks.sort_by_key(|record| (record.applied, record.task.id.clone()));
        let surplus = tasks.len() - kept;
        let will_never_run =
            |record: &TaskRecord| *record.state() < TaskState::Assigned && !record.is_wanted_running();
        let gone: Vec<TaskId> = tasks
            .iter()
            .filter(|record| record.is_over() || will_never_run(record))
            .take(surplus)
            .map(|record| record.task.id.clone())
            .collect();
        let running =
            tasks.len() - tasks.iter().filter(|record| record.is_over() || will_never_run(record)).count();
        for id in gone {
            self.delete_task(&id);
        }
        if running > 1 {
            self.orchestrator.dirty.insert(slot.clone());
        }
    }
}
