//! What becomes of the tasks of a node that lost its power, stays away, or is removed.

use skep_planner::swarm::{NodeId, TaskState};

use super::super::Swarm;

/// The status of a container of whose end its engine knows nothing.
const LOST_ITS_END: i64 = 255;

impl Swarm {
    /// The containers of a node ended with its power. It finds them so when it is back, before it hears what became of their tasks.
    pub(in crate::swarm) fn containers_are_gone(&mut self, node: &NodeId) {
        for task in self.tasks_on(node) {
            self.exit_task(&task, LOST_ITS_END);
        }
    }

    /// The tasks of a node that is removed are given up at once (`orphanNodeTasks` in `manager/controlapi`).
    pub(in crate::swarm) fn orphan_removed(&mut self, node: &NodeId) {
        for task in self.tasks_on(node) {
            if self.tasks.get(&task).is_some_and(|record| *record.state() < TaskState::Complete) {
                let message = "Task belonged to a node that has been deleted";
                self.set_task_state(&task, TaskState::Orphaned, message, "");
                if let Some(record) = self.tasks.get_mut(&task) {
                    record.task.status.container_status = None;
                }
            }
        }
    }

    /// Nobody knows any more what became of the tasks of a node that is down for long.
    pub(super) fn orphan_tasks(&mut self, node: &NodeId, silence: u64) {
        if self.orchestrator.is_silent(node) != Some(silence) {
            return;
        }
        for task in self.tasks_on(node) {
            let Some(record) = self.tasks.get(&task) else { continue };
            let state = record.state();
            if *state >= TaskState::Assigned && *state <= TaskState::Running {
                self.write_task(&task, |record| record.task.status.state = Some(TaskState::Orphaned));
            }
        }
    }
}
