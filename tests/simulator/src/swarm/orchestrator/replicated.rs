//! Replicated services: so many slots with a task each (`manager/orchestrator/replicated`).

use std::collections::{BTreeMap, BTreeSet};

use skep_planner::swarm::{NodeId, ServiceId, ServiceMode, TaskId, TaskState};

use super::super::Swarm;

/// The tasks of one slot.
type Tasks = Vec<TaskId>;

impl Swarm {
    pub(super) fn reconcile_replicated(&mut self, id: &ServiceId) {
        let Some(record) = self.services.get(id) else { return };
        let wanted = match &record.service.spec.mode {
            Some(ServiceMode::Replicated(mode)) => mode.replicas.unwrap_or(1),
            _ => 1,
        };
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let (updatable, dead) = self.slots(id);
        match updatable.len().cmp(&wanted) {
            std::cmp::Ordering::Less => {
                let missing = wanted - updatable.len();
                self.update_slots(id, updatable.values().cloned().collect());
                let free: Vec<u64> =
                    (1..).filter(|slot| !updatable.contains_key(slot)).take(missing).collect();
                for slot in &free {
                    self.make_task(id, *slot, None, TaskState::Running);
                }
                let reused: BTreeSet<u64> = free.into_iter().collect();
                self.delete_slots(dead.into_iter().filter(|(slot, _)| !reused.contains(slot)));
            }
            std::cmp::Ordering::Greater => {
                let mut slots = self.by_balance(updatable.into_values().collect());
                let removed = slots.split_off(wanted);
                self.update_slots(id, slots);
                self.delete_slots(dead.into_iter());
                for task in removed.into_iter().flatten() {
                    self.want_task(&task, TaskState::Remove);
                }
            }
            std::cmp::Ordering::Equal => {
                self.delete_slots(dead.into_iter());
                self.update_slots(id, updatable.into_values().collect());
            }
        }
    }

    /// The slots that count, with their tasks that can be replaced, and those in which nothing runs any more.
    fn slots(&self, id: &ServiceId) -> (BTreeMap<u64, Tasks>, BTreeMap<u64, Tasks>) {
        let mut all: BTreeMap<u64, Tasks> = BTreeMap::new();
        for task in self.task_ids(id) {
            let slot = self.tasks.get(&task).map_or(0, |record| record.task.slot);
            all.entry(slot).or_default().push(task);
        }
        let (mut updatable, mut dead) = (BTreeMap::new(), BTreeMap::new());
        for (slot, tasks) in all {
            match self.updatable_tasks(id, &tasks) {
                counting if counting.is_empty() => dead.insert(slot, tasks),
                counting => updatable.insert(slot, counting),
            };
        }
        (updatable, dead)
    }

    /// Tasks that are not wanted any more are kept as long as their node has them.
    fn delete_slots(&mut self, slots: impl Iterator<Item = (u64, Tasks)>) {
        for task in slots.flat_map(|(_, tasks)| tasks) {
            self.delete_task(&task);
        }
    }

    /// Slots in the order in which they are kept: those that run first, and of each node its first before its second.
    fn by_balance(&self, mut slots: Vec<Tasks>) -> Vec<Tasks> {
        let runs = |tasks: &Tasks| {
            tasks
                .iter()
                .filter_map(|task| self.tasks.get(task))
                .any(|record| *record.state() == TaskState::Running)
        };
        slots.sort_by_key(|tasks| !runs(tasks));
        let mut on_node: BTreeMap<NodeId, i64> = BTreeMap::new();
        let mut indexed: Vec<(i64, Tasks)> = Vec::new();
        for tasks in slots {
            let node = match tasks.as_slice() {
                [only] => self.tasks.get(only).and_then(|record| record.task.node_id.clone()),
                _ => None,
            };
            let index = node.map_or(-1, |node| {
                let count = on_node.entry(node).or_default();
                *count += 1;
                *count
            });
            indexed.push((index, tasks));
        }
        // Those that have no place yet, or more than one task, come last: they go first.
        indexed.sort_by_key(|(index, _)| if *index < 0 { i64::MAX } else { *index });
        indexed.into_iter().map(|(_, tasks)| tasks).collect()
    }

    /// Makes the tasks of a node again that may not stay on it.
    pub(super) fn restart_tasks_of_node(&mut self, id: &NodeId) {
        for task in self.tasks_on(id) {
            let Some(record) = self.tasks.get(&task) else { continue };
            if record.is_wanted_running() && !record.preassigned {
                self.restart(&task);
            }
        }
    }

    /// A task that has ended, or whose node is lost, is made again.
    pub(super) fn restart_if_over(&mut self, id: &TaskId) {
        let Some(record) = self.tasks.get(id) else { return };
        if !record.is_wanted_running() || record.task.job_iteration.is_some() {
            return;
        }
        let is_lost =
            !record.preassigned && record.task.node_id.as_ref().is_some_and(|node| self.is_invalid(node));
        if record.is_over() || is_lost {
            if record.preassigned && !self.may_restart_global(id) {
                return;
            }
            self.restart(id);
        }
    }
}
