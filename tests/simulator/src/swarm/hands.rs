//! Hands for tests: what other people and bad luck do to a Swarm. None of it counts as a change that Skep made.

use skep_planner::swarm::{
    Labels, NetworkCreate, ServiceSpec, Task, TaskId, TaskState, UpdateState, UpdateStatus,
};
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

    /// Somebody else makes a network.
    pub fn add_network(&mut self, spec: &NetworkCreate) -> Result<(), Refusal> {
        self.store_network(spec).map(drop)
    }

    /// A network is gone from under everything that is on it, as no verb would take it.
    pub fn displace_network(&mut self, name: &str) {
        if let Some(id) = self.network_named(name).map(|record| record.network.id.clone()) {
            self.networks.remove(&id);
        }
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

    /// From now on nodes do nothing with the tasks of this service: what runs runs, what does not does not.
    pub fn hold(&mut self, service: &str) {
        self.held.insert(service.to_owned(), Hold::Everything);
        self.look_at_all(service);
    }

    /// Time stands still for this service: what is due for it happens when its time goes on.
    pub fn freeze(&mut self, service: &str) {
        self.frozen.entry(service.to_owned()).or_default();
    }

    /// The time of this service goes on.
    pub fn thaw(&mut self, service: &str) {
        let Some(frozen) = self.frozen.remove(service) else { return };
        for change in frozen.changes {
            self.changed(change);
        }
        for due in frozen.due {
            self.due_in(std::time::Duration::ZERO, due);
        }
        if let Some(id) = self.service_names.get(service).cloned() {
            for task in self.task_ids(&id) {
                self.changed(super::Change::Task(task));
            }
            self.changed(super::Change::Service(id));
        }
        self.schedule_soon();
    }

    /// These are the tasks of a service now, whatever it had; its time stands still from here on. Ids and slots are given
    /// anew.
    pub fn put_tasks(&mut self, service: &str, tasks: Vec<Task>) -> Result<(), Refusal> {
        let id = self.service(service)?.id;
        self.freeze(service);
        self.replace_tasks(&id, tasks);
        Ok(())
    }

    /// The spec of a service is another one from now on, as if the engine had always stored it: no version, nobody reacts.
    pub fn alter_spec(&mut self, service: &str, alter: impl FnOnce(&mut ServiceSpec)) -> Result<(), Refusal> {
        let id = self.service(service)?.id;
        if let Some(record) = self.services.get_mut(&id) {
            alter(&mut record.service.spec);
        }
        Ok(())
    }

    /// This is what Swarm says of the latest update of a service; its time stands still from here on.
    pub fn say_of_update(&mut self, service: &str, state: UpdateState, message: &str) -> Result<(), Refusal> {
        let id = self.service(service)?.id;
        self.freeze(service);
        let now = self.now.to_string();
        let is_over = state != UpdateState::Updating && state != UpdateState::RollbackStarted;
        self.write_service(&id, |record| {
            let started = record.service.update_status.take().map(|status| status.started_at);
            record.service.update_status = Some(UpdateStatus {
                state: Some(state),
                started_at: started.unwrap_or_else(|| now.clone()),
                completed_at: if is_over { now } else { String::new() },
                message: message.to_owned(),
                ..UpdateStatus::default()
            });
        });
        Ok(())
    }

    /// Swarm goes back by itself, as it does when an update fails: the spec before is the spec, and there is none before it. Says
    /// whether there was one.
    pub fn fail_update(&mut self, service: &str, message: &str) -> Result<bool, Refusal> {
        let found = self.service(service)?;
        if found.previous_spec.is_none() {
            return Ok(false);
        }
        self.release(service);
        self.abandon_update(&found.id, message);
        self.thaw(service);
        Ok(true)
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
