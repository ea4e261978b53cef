//! A run as a Swarm service: that of its process, but for one task that is never started again and that nobody finds.

use super::service::{ServiceInput, service_spec};
use crate::naming::{self, LABEL_PROCESS, LABEL_RUN};
use crate::run::RunNumber;
use crate::swarm::{Healthcheck, Labels, RestartCondition, RestartPolicy, ServiceMode, ServiceSpec};

/// The whole service of a run. `input.content` is that of its release, with what the run says of its process.
pub fn run_spec(input: &ServiceInput<'_>, number: RunNumber) -> ServiceSpec {
    let mut spec = service_spec(input);
    spec.name = naming::run(input.org, input.key.name(), number);
    of_run(&mut spec.labels, number);
    spec.mode = Some(ServiceMode::replicated(1));
    spec.update_config = None;
    spec.rollback_config = None;
    let task = &mut spec.task_template;
    task.restart_policy = Some(RestartPolicy {
        condition: Some(RestartCondition::None),
        // Swarm keeps at least so many ended tasks and one, whatever history it is told to keep: one that it forgot would be made again.
        max_attempts: Some(1),
        ..RestartPolicy::default()
    });
    task.networks.iter_mut().for_each(|network| network.aliases.clear());
    if let Some(container) = &mut task.container_spec {
        of_run(&mut container.labels, number);
        // Nor the image's: a command is no server, and would be ended for not being healthy.
        container.healthcheck = Some(Healthcheck { test: vec!["NONE".to_owned()], ..Healthcheck::default() });
    }
    spec
}

/// It is no instance of its process, whose services and output are found by that label.
fn of_run(labels: &mut Labels, number: RunNumber) {
    labels.remove(LABEL_PROCESS);
    labels.insert(LABEL_RUN.to_owned(), number.to_string());
}
