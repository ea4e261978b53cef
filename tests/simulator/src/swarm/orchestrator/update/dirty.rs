//! Which tasks are to be replaced (`manager/orchestrator/task.go`).

use skep_planner::swarm::{EndpointSpec, ServiceId, TaskId, TaskSpec};

use super::super::constraint;
use crate::swarm::Swarm;

impl Swarm {
    /// Does a task run something else than its service says?
    pub(in crate::swarm::orchestrator) fn is_dirty(&self, id: &ServiceId, task: &TaskId) -> bool {
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
