//! Hands for tests: what other people and bad luck do to a Swarm. None of it counts as a change that Skep made.

use skep_planner::swarm::{Labels, ServiceSpec, TaskId, TaskState, UpdateState};
use skep_swarm::By;

use super::Swarm;
use super::tasks::Hold;
use crate::refusal::Refusal;

impl Swarm {
    /// Somebody else changes a service, as `docker service update` does: from its spec as it is now, into a new version.
    pub fn edit_service(&mut self, name: &str, edit: impl FnOnce(&mut ServiceSpec)) -> Result<(), Refusal> {
        let service = self.service(name)?;
        let mut spec = service.spec;
        edit(&mut spec);
        self.replace_service(&service.id, service.version, &spec)
    }

    /// Somebody else makes a service.
    pub fn add_service(&mut self, spec: &ServiceSpec) -> Result<(), Refusal> {
        self.store_service(spec).map(drop)
    }

    /// Somebody else removes a service.
    pub fn drop_service(&mut self, name: &str) -> Result<(), Refusal> {
        let id = self.service(name)?.id;
        self.delete_service(&id).map(drop)
    }

    /// Somebody else asks Swarm to go back to the spec before.
    pub fn roll_back(&mut self, name: &str) -> Result<(), Refusal> {
        let id = self.service(name)?.id;
        self.roll_back_service(&id)
    }

    /// Somebody else changes the labels of a secret.
    pub fn edit_secret(&mut self, name: &str, edit: impl FnOnce(&mut Labels)) -> Result<(), Refusal> {
        let secret = self.inspect_secret(By::Name(name)).ok_or_else(|| Refusal::missing("secret", name))?;
        let mut labels = secret.spec.labels;
        edit(&mut labels);
        self.relabel_secret(&secret.id, labels);
        Ok(())
    }

    /// Somebody else removes a secret.
    pub fn drop_secret(&mut self, name: &str) -> Result<(), Refusal> {
        let secret = self.inspect_secret(By::Name(name)).ok_or_else(|| Refusal::missing("secret", name))?;
        self.delete_secret(&secret.id).map(drop)
    }

    /// Somebody else removes a network.
    pub fn drop_network(&mut self, name: &str) -> Result<(), Refusal> {
        let found = self.network_named(name).map(|record| record.network.id.clone());
        let id = found.ok_or_else(|| Refusal::missing("network", name))?;
        self.delete_network(&id).map(drop)
    }

    /// The process of a task ends with this status, if it runs.
    pub fn kill_task(&mut self, task: &TaskId, code: i64) {
        self.exit_task(task, code);
    }

    /// The processes of all tasks of a service that run end with this status; says how many.
    pub fn kill_tasks(&mut self, service: &str, code: i64) -> usize {
        let running: Vec<TaskId> = self.running_tasks(service);
        for task in &running {
            self.exit_task(task, code);
        }
        running.len()
    }

    /// The tasks of a service that run.
    pub fn running_tasks(&self, service: &str) -> Vec<TaskId> {
        let of_service = self.tasks.values().filter(|record| record.service_name == service);
        of_service
            .filter(|record| *record.state() == TaskState::Running)
            .map(|record| record.task.id.clone())
            .collect()
    }

    /// From now on the tasks of this service get no node.
    pub fn hold_unplaced(&mut self, service: &str) {
        self.held.insert(service.to_owned(), Hold::Unplaced);
    }

    /// From now on the nodes of this service's tasks are not done with preparing them.
    pub fn hold_preparing(&mut self, service: &str) {
        self.held.insert(service.to_owned(), Hold::Preparing);
        self.look_at_all(service);
    }

    /// From now on the tasks of this service do not stop.
    pub fn hold_stopping(&mut self, service: &str) {
        self.held.insert(service.to_owned(), Hold::Stopping);
        self.look_at_all(service);
    }

    /// The tasks of this service get on again.
    pub fn release(&mut self, service: &str) {
        self.held.remove(service);
        self.look_at_all(service);
        self.schedule_soon();
    }

    fn look_at_all(&mut self, service: &str) {
        let of_service = self.tasks.values().filter(|record| record.service_name == service);
        let ids: Vec<TaskId> = of_service.map(|record| record.task.id.clone()).collect();
        for id in ids {
            self.look_again(&id);
        }
    }

    /// Where the latest update of a service stands.
    pub fn update_state(&self, service: &str) -> Option<UpdateState> {
        let service = self.inspect_service(By::Name(service))?;
        service.update_status?.state
    }

    fn service(&self, name: &str) -> Result<skep_planner::swarm::Service, Refusal> {
        self.inspect_service(By::Name(name)).ok_or_else(|| Refusal::missing("service", name))
    }
}
