//! Global services: a task on every node that may have one (`manager/orchestrator/global`).

use std::collections::BTreeMap;

use skep_planner::swarm::{NodeAvailability, NodeId, ServiceId, ServiceMode, TaskId, TaskState};

use super::super::Swarm;
use super::constraint;

impl Swarm {
    pub(super) fn reconcile_global(&mut self, id: &ServiceId) {
        let Some(record) = self.services.get(id) else { return };
        let placement = record.service.spec.task_template.placement.clone();
        let mut by_node = self.tasks_by_node(id);
        let mut updated = Vec::new();
        let nodes: Vec<NodeId> = self.nodes.keys().filter(|node| !self.is_invalid(node)).cloned().collect();
        for node_id in nodes {
            let tasks = by_node.remove(&node_id).unwrap_or_default();
            let tasks = self.updatable_tasks(id, &tasks);
            let Some(node) = self.nodes.get(&node_id) else { continue };
            if !constraint::allows(placement.as_ref(), node) {
                self.shut_down(&tasks);
                continue;
            }
            if node.spec.availability == Some(NodeAvailability::Pause) {
                continue;
            }
            if tasks.is_empty() {
                self.make_task(id, 0, Some(node_id), TaskState::Running);
            } else {
                updated.push(tasks);
            }
        }
        // What is left is on nodes that are drained, down or gone.
        for tasks in by_node.into_values() {
            let tasks = self.updatable_tasks(id, &tasks);
            self.shut_down(&tasks);
        }
        if !updated.is_empty() {
            self.update_slots(id, updated);
        }
    }

    fn tasks_by_node(&self, id: &ServiceId) -> BTreeMap<NodeId, Vec<TaskId>> {
        let mut by_node: BTreeMap<NodeId, Vec<TaskId>> = BTreeMap::new();
        for task in self.task_ids(id) {
            if let Some(node) = self.tasks.get(&task).and_then(|record| record.task.node_id.clone()) {
                by_node.entry(node).or_default().push(task);
            }
        }
        by_node
    }

    fn shut_down(&mut self, tasks: &[TaskId]) {
        for task in tasks {
            self.want_task(task, TaskState::Shutdown);
        }
    }

    /// The tasks of global services on a node that has changed.
    pub(super) fn reconcile_globals_of_node(&mut self, id: &NodeId) {
        let globals: Vec<ServiceId> = self
            .services
            .values()
            .filter(|record| matches!(record.service.spec.mode, Some(ServiceMode::Global(_))))
            .map(|record| record.service.id.clone())
            .collect();
        for service in globals {
            self.reconcile_global_on(&service, id);
        }
    }

    fn reconcile_global_on(&mut self, service: &ServiceId, id: &NodeId) {
        let tasks = self.tasks_by_node(service).remove(id).unwrap_or_default();
        if self.is_invalid(id) {
            self.shut_down(&tasks);
            return;
        }
        let tasks = self.updatable_tasks(service, &tasks);
        let (Some(node), Some(record)) = (self.nodes.get(id), self.services.get(service)) else { return };
        let is_allowed = constraint::allows(record.service.spec.task_template.placement.as_ref(), node);
        if node.spec.availability == Some(NodeAvailability::Pause) || !is_allowed {
            return;
        }
        let (mut dirty, clean): (Vec<TaskId>, Vec<TaskId>) =
            tasks.into_iter().partition(|task| self.is_dirty(service, task));
        if clean.is_empty() {
            self.make_task(service, 0, Some(id.clone()), TaskState::Running);
        } else {
            dirty.extend(clean.into_iter().skip(1));
        }
        self.shut_down(&dirty);
    }

    /// A task of a global service is made again only where its node may still have one.
    pub(super) fn may_restart_global(&mut self, id: &TaskId) -> bool {
        let Some(record) = self.tasks.get(id) else { return false };
        let Some(node_id) = record.task.node_id.clone() else { return false };
        let service = record.task.service_id.as_ref().and_then(|service| self.services.get(service));
        let placement = service.and_then(|found| found.service.spec.task_template.placement.as_ref());
        if self.is_invalid(&node_id) {
            return false;
        }
        let Some(node) = self.nodes.get(&node_id) else { return false };
        let is_paused = node.spec.availability == Some(NodeAvailability::Pause);
        if is_paused || !constraint::allows(placement, node) {
            self.want_task(id, TaskState::Shutdown);
            return false;
        }
        true
    }
}
