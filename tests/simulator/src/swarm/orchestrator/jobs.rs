//! Jobs: tasks that run to completion (`manager/orchestrator/jobs`).

use std::collections::BTreeSet;

use skep_planner::swarm::{NodeId, ServiceId, ServiceMode, TaskId, TaskState};

use super::super::Swarm;
use super::super::services::is_job;
use super::constraint;

impl Swarm {
    pub(super) fn reconcile_replicated_job(&mut self, id: &ServiceId) {
        let Some(record) = self.services.get(id) else { return };
        let Some(ServiceMode::ReplicatedJob(mode)) = &record.service.spec.mode else { return };
        let at_once = mode.max_concurrent.unwrap_or(1);
        let in_all = mode.total_completions.unwrap_or(at_once);
        let iteration = record.service.job_status.as_ref().map_or(0, |job| job.job_iteration.index);
        let (mut running, mut complete) = (0_u64, 0_u64);
        let mut slots = BTreeSet::new();
        let (mut restarted, mut removed) = (Vec::new(), Vec::new());
        for task in self.task_ids(id) {
            let Some(record) = self.tasks.get(&task) else { continue };
            let own = record.task.job_iteration.map_or(0, |version| version.index);
            if own != iteration {
                if !record.is_over() && *record.desired() != TaskState::Remove {
                    removed.push(task);
                }
            } else if *record.state() == TaskState::Complete {
                complete += 1;
                slots.insert(record.task.slot);
            } else if *record.desired() <= TaskState::Complete {
                running += 1;
                slots.insert(record.task.slot);
                if *record.state() > TaskState::Complete {
                    restarted.push(task);
                }
            }
        }
        let made = at_once.saturating_sub(running).min(in_all.saturating_sub(complete + running));
        let free: Vec<u64> = (0..in_all).filter(|slot| !slots.contains(slot)).collect();
        for slot in free.into_iter().take(usize::try_from(made).unwrap_or(usize::MAX)) {
            self.make_task(id, slot, None, TaskState::Complete);
        }
        for task in restarted {
            self.restart(&task);
        }
        for task in removed {
            self.want_task(&task, TaskState::Remove);
        }
    }

    pub(super) fn reconcile_global_job(&mut self, id: &ServiceId) {
        let Some(record) = self.services.get(id) else { return };
        let placement = record.service.spec.task_template.placement.clone();
        let iteration = record.service.job_status.as_ref().map_or(0, |job| job.job_iteration.index);
        let nodes: Vec<NodeId> = self
            .nodes
            .values()
            .filter(|node| !self.is_invalid(&node.id) && constraint::allows(placement.as_ref(), node))
            .map(|node| node.id.clone())
            .collect();
        let mut placed = BTreeSet::new();
        let (mut restarted, mut removed): (Vec<TaskId>, Vec<TaskId>) = (Vec::new(), Vec::new());
        for task in self.task_ids(id) {
            let Some(record) = self.tasks.get(&task) else { continue };
            let own = record.task.job_iteration.map_or(0, |version| version.index);
            if own != iteration {
                if !record.is_over() && *record.desired() != TaskState::Remove {
                    removed.push(task);
                }
                continue;
            }
            let counts = *record.state() == TaskState::Complete || *record.desired() <= TaskState::Complete;
            if counts {
                placed.extend(record.task.node_id.clone());
            }
            if *record.state() > TaskState::Complete && *record.desired() <= TaskState::Complete {
                restarted.push(task);
            }
        }
        for node in nodes.into_iter().filter(|node| !placed.contains(node)) {
            self.make_task(id, 0, Some(node), TaskState::Complete);
        }
        for task in restarted {
            self.restart(&task);
        }
        for task in removed {
            self.want_task(&task, TaskState::Remove);
        }
    }

    /// A task of a job that has ended makes room for another.
    pub(super) fn follow_jobs(&mut self, id: &TaskId) {
        let Some(record) = self.tasks.get(id).filter(|record| record.is_over()) else { return };
        let Some(service) = record.task.service_id.clone() else { return };
        if self.services.get(&service).is_some_and(|found| is_job(&found.service.spec)) {
            self.reconcile(&service);
        }
    }
}
