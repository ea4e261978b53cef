//! Why tasks wait for a node.

use skep_planner::swarm::{
    EndpointMode, EndpointSpec, Placement, Platform, PortConfig, PublishMode, Reservations, Resources,
    ServiceSpec, TaskState,
};

use super::cases;
use crate::arena::Act;
use crate::trial::Trial;

cases!(
    a_constraint_that_no_node_meets_is_said,
    an_unknown_key_is_met_by_no_node,
    reservations_beyond_the_node_are_said,
    a_limit_per_node_is_said,
    a_host_port_that_is_taken_is_said,
    a_platform_that_no_node_has_is_said,
    a_constraint_on_the_role_is_met,
    a_label_that_a_node_has_not_is_another_value,
    a_label_with_a_slash_is_no_constraint,
    a_task_that_waits_is_placed_when_its_service_asks_for_less,
);

fn placed(mut spec: ServiceSpec, placement: Placement) -> ServiceSpec {
    spec.task_template.placement = Some(placement);
    spec
}

fn constrained(spec: ServiceSpec, constraint: &str) -> ServiceSpec {
    placed(spec, Placement { constraints: vec![constraint.to_owned()], ..Placement::default() })
}

/// Waits until it is said why a task waits, and notes that.
async fn note_why_it_waits(trial: &Trial<'_>, spec: &ServiceSpec) {
    let id = trial.create(spec).await;
    let task = trial.waiting(&id).await;
    trial.note(format!("{:?} {:?}, node {}", task.status.message, task.status.err, task.node_id.is_some()));
}

async fn a_constraint_that_no_node_meets_is_said(trial: &Trial<'_>) {
    note_why_it_waits(trial, &constrained(trial.service("web", Act::Runs, 1), "node.labels.zone==moon"))
        .await;
}

async fn an_unknown_key_is_met_by_no_node(trial: &Trial<'_>) {
    note_why_it_waits(trial, &constrained(trial.service("web", Act::Runs, 1), "node.nonesuch!=1")).await;
}

async fn reservations_beyond_the_node_are_said(trial: &Trial<'_>) {
    let mut spec = trial.service("web", Act::Runs, 1);
    let reservations = Reservations { memory_bytes: 1 << 50, ..Reservations::default() };
    spec.task_template.resources =
        Some(Resources { reservations: Some(reservations), ..Resources::default() });
    note_why_it_waits(trial, &spec).await;
}

async fn a_limit_per_node_is_said(trial: &Trial<'_>) {
    let placement = Placement { max_replicas: 1, ..Placement::default() };
    let spec = placed(trial.service("web", Act::Runs, 2), placement);
    note_why_it_waits(trial, &spec).await;
}

async fn a_host_port_that_is_taken_is_said(trial: &Trial<'_>) {
    let mut spec = trial.service("web", Act::Runs, 2);
    let port = PortConfig {
        target_port: 80,
        published_port: 21090,
        publish_mode: Some(PublishMode::Host),
        ..PortConfig::default()
    };
    let mode = Some(EndpointMode::DnsRoundRobin);
    spec.endpoint_spec = Some(EndpointSpec { mode, ports: vec![port], ..EndpointSpec::default() });
    note_why_it_waits(trial, &spec).await;
}

async fn a_platform_that_no_node_has_is_said(trial: &Trial<'_>) {
    let platform =
        Platform { architecture: "riscv64".to_owned(), os: "linux".to_owned(), ..Platform::default() };
    let placement = Placement { platforms: vec![platform], ..Placement::default() };
    note_why_it_waits(trial, &placed(trial.service("web", Act::Runs, 1), placement)).await;
}

async fn a_constraint_on_the_role_is_met(trial: &Trial<'_>) {
    let id = trial.create(&constrained(trial.service("web", Act::Runs, 1), "node.role == Manager")).await;
    let task = trial.running(&id, 1).await.remove(0);
    trial.note(format!("{:?}", task.spec.placement));
}

async fn a_label_that_a_node_has_not_is_another_value(trial: &Trial<'_>) {
    let spec = constrained(trial.service("web", Act::Runs, 1), "node.labels.skep.isolation!=dedicated");
    let id = trial.create(&spec).await;
    trial.running(&id, 1).await;
    trial.note("placed");
}

async fn a_label_with_a_slash_is_no_constraint(trial: &Trial<'_>) {
    for constraint in ["node.labels.skep.dev/isolation!=dedicated", "node.labels.skep.isolation!="] {
        let spec = constrained(trial.service("web", Act::Runs, 1), constraint);
        trial.note_refusal(constraint, trial.swarm().create_service(&spec, None).await);
    }
}

async fn a_task_that_waits_is_placed_when_its_service_asks_for_less(trial: &Trial<'_>) {
    let plain = trial.service("web", Act::Runs, 1);
    let id = trial.create(&constrained(plain.clone(), "node.labels.zone==moon")).await;
    trial.task_in(&id, TaskState::Pending).await;
    trial.update(&id, &plain).await;
    trial.running(&id, 1).await;
    let found = trial.inspect(&id).await;
    let status = found.update_status.and_then(|status| status.state);
    trial.note(format!("a roll-out: {}", status.is_some()));
    let tasks = trial.tasks(&id).await;
    let ended: Vec<_> = tasks.iter().filter(|task| task.desired_state == Some(TaskState::Shutdown)).collect();
    trial.note(format!("{} given up", ended.len()));
}
