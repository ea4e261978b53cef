//! What can be made, and what is refused.

use secrecy::SecretSlice;
use skep_planner::swarm::{
    ConfigSpec, EndpointMode, EndpointSpec, Healthcheck, Limits, Mount, MountType, Nanos, Placement,
    PortConfig, PublishMode, Reservations, Resources, SecretSpec, ServiceMode, ServiceSpec, UpdateConfig,
};
use skep_swarm::By;

use super::cases;
use crate::arena::Act;
use crate::trial::{Trial, container, on_network};

cases!(
    a_service_without_a_mode_has_one_task,
    a_name_that_a_service_has_is_taken,
    a_name_that_a_network_has_is_taken,
    a_name_that_a_secret_has_is_taken,
    a_name_that_a_config_has_is_taken,
    names_of_services_are_parts_of_dns_names,
    names_of_secrets_may_have_dots_and_end_with_a_letter,
    a_network_that_is_not_there_is_not_found,
    a_secret_that_is_not_there_is_not_found,
    a_secret_of_another_name_is_not_found,
    a_constraint_that_cannot_be_read_is_refused,
    a_constraint_of_an_unknown_key_is_taken,
    name_resolution_by_tasks_takes_no_port_of_the_mesh,
    a_port_twice_in_one_service_is_refused,
    a_port_that_another_service_has_is_refused,
    resources_below_the_least_are_refused,
    an_image_that_is_none_is_refused,
    a_mount_point_twice_is_refused,
    a_health_check_faster_than_a_millisecond_is_refused,
    values_of_secrets_have_a_size,
    a_config_without_content_is_refused,
    a_global_service_may_say_a_limit_per_node,
    words_that_are_not_known_are_refused,
    a_secret_twice_at_one_place_is_refused,
);

impl Trial<'_> {
    /// Notes why a service is refused.
    async fn refused(&self, of: &str, spec: &ServiceSpec) {
        let answer = self.swarm().create_service(spec, None).await;
        self.note_refusal(of, answer);
    }
}

async fn a_service_without_a_mode_has_one_task(trial: &Trial<'_>) {
    let mut spec = trial.service("web", Act::Runs, 0);
    spec.mode = None;
    let id = trial.create(&spec).await;
    trial.running(&id, 1).await;
    let found = trial.inspect(&id).await;
    assert_eq!(found.spec.mode, Some(ServiceMode::replicated(1)));
}

async fn a_name_that_a_service_has_is_taken(trial: &Trial<'_>) {
    let spec = trial.service("web", Act::Runs, 0);
    trial.create(&spec).await;
    trial.refused("the same", &spec).await;
    trial.refused("another of the name", &trial.service("web", Act::RunsToo, 2)).await;
}

async fn a_name_that_a_network_has_is_taken(trial: &Trial<'_>) {
    trial.create_network("net", 0).await;
    let answer = trial.swarm().create_network(&trial.network("net", 1)).await;
    trial.note_refusal("another of the name", answer);
}

async fn a_name_that_a_secret_has_is_taken(trial: &Trial<'_>) {
    trial.create_secret("token").await;
    let spec = trial.secret("token");
    let answer = trial.swarm().create_secret(&spec, &SecretSlice::from(b"other".to_vec())).await;
    trial.note_refusal("another of the name", answer);
}

async fn a_name_that_a_config_has_is_taken(trial: &Trial<'_>) {
    let spec = ConfigSpec { name: trial.name("conf"), data: "eA==".to_owned(), ..ConfigSpec::default() };
    trial.swarm().create_config(&spec).await.expect("made");
    trial.note_refusal("the same", trial.swarm().create_config(&spec).await);
}

async fn names_of_services_are_parts_of_dns_names(trial: &Trial<'_>) {
    for name in ["a.b", "-a", "a-", "a b", "ü"] {
        let mut spec = trial.service("web", Act::Runs, 0);
        spec.name = name.to_owned();
        trial.refused(name, &spec).await;
    }
    let mut spec = trial.service("web", Act::Runs, 0);
    spec.name = "a".repeat(64);
    trial.refused("64 letters", &spec).await;
}

async fn names_of_secrets_may_have_dots_and_end_with_a_letter(trial: &Trial<'_>) {
    trial.create_secret("a.b_c-d").await;
    for name in ["-a", "a.", "a b", ""] {
        let spec = SecretSpec { name: name.to_owned(), ..SecretSpec::default() };
        let answer = trial.swarm().create_secret(&spec, &SecretSlice::from(vec![1])).await;
        trial.note_refusal(name, answer);
    }
    let spec = SecretSpec { name: "a".repeat(65), ..SecretSpec::default() };
    let answer = trial.swarm().create_secret(&spec, &SecretSlice::from(vec![1])).await;
    trial.note_refusal("65 letters", answer);
}

async fn a_network_that_is_not_there_is_not_found(trial: &Trial<'_>) {
    let spec = on_network(trial.service("web", Act::Runs, 0), &trial.name("nonesuch"));
    trial.refused("a network", &spec).await;
}

async fn a_secret_that_is_not_there_is_not_found(trial: &Trial<'_>) {
    let mut spec = trial.service("web", Act::Runs, 0);
    container(&mut spec).secrets = vec![trial.reference(&"nonesuch".into(), "token")];
    trial.refused("a secret", &spec).await;
    let mut other = trial.reference(&"none".into(), "more");
    other.file.get_or_insert_default().name = "more".to_owned();
    container(&mut spec).secrets.push(other);
    trial.refused("two secrets", &spec).await;
}

async fn a_secret_of_another_name_is_not_found(trial: &Trial<'_>) {
    let id = trial.create_secret("token").await;
    let mut spec = trial.service("web", Act::Runs, 0);
    container(&mut spec).secrets = vec![trial.reference(&id, "other")];
    trial.refused("another name", &spec).await;
}

async fn a_constraint_that_cannot_be_read_is_refused(trial: &Trial<'_>) {
    for constraint in ["node.labels.zone", "node.labels.zone=a", "==a", "node.labels.zone==", "a==b~c"] {
        let mut spec = trial.service("web", Act::Runs, 0);
        let constraints = vec![constraint.to_owned()];
        spec.task_template.placement = Some(Placement { constraints, ..Placement::default() });
        trial.refused(constraint, &spec).await;
    }
}

async fn a_constraint_of_an_unknown_key_is_taken(trial: &Trial<'_>) {
    let mut spec = trial.service("web", Act::Runs, 0);
    let constraints = vec!["node.nonesuch==1".to_owned()];
    spec.task_template.placement = Some(Placement { constraints, ..Placement::default() });
    trial.create(&spec).await;
}

fn published(port: u32, mode: PublishMode) -> PortConfig {
    PortConfig { target_port: 80, published_port: port, publish_mode: Some(mode), ..PortConfig::default() }
}

fn with_ports(mut spec: ServiceSpec, mode: EndpointMode, ports: Vec<PortConfig>) -> ServiceSpec {
    spec.endpoint_spec = Some(EndpointSpec { mode: Some(mode), ports, ..EndpointSpec::default() });
    spec
}

async fn name_resolution_by_tasks_takes_no_port_of_the_mesh(trial: &Trial<'_>) {
    let spec = trial.service("web", Act::Runs, 0);
    let ports = vec![published(21080, PublishMode::Ingress)];
    trial.refused("mesh", &with_ports(spec.clone(), EndpointMode::DnsRoundRobin, ports)).await;
    let ports = vec![published(21081, PublishMode::Host)];
    trial.create(&with_ports(spec, EndpointMode::DnsRoundRobin, ports)).await;
}

async fn a_port_twice_in_one_service_is_refused(trial: &Trial<'_>) {
    let ports = vec![published(21082, PublishMode::Host), published(21082, PublishMode::Host)];
    trial.refused("twice", &with_ports(trial.service("web", Act::Runs, 0), EndpointMode::Vip, ports)).await;
}

async fn a_port_that_another_service_has_is_refused(trial: &Trial<'_>) {
    let port = |mode| vec![published(21083, mode)];
    let with = |name, mode| with_ports(trial.service(name, Act::Runs, 0), EndpointMode::Vip, port(mode));
    let first = trial.create(&with("first", PublishMode::Host)).await;
    trial.refused("mesh beside host", &with("mesh", PublishMode::Ingress)).await;
    trial.create(&with("beside", PublishMode::Host)).await;
    trial.swarm().remove_service(&first).await.expect("removed");
}

async fn resources_below_the_least_are_refused(trial: &Trial<'_>) {
    let mut spec = trial.service("web", Act::Runs, 0);
    let limits = |nano_cpus, memory_bytes| {
        Some(Resources {
            limits: Some(Limits { nano_cpus, memory_bytes, ..Limits::default() }),
            ..Resources::default()
        })
    };
    spec.task_template.resources = limits(1000, 0);
    trial.refused("processors", &spec).await;
    spec.task_template.resources = limits(0, 1 << 20);
    trial.refused("memory", &spec).await;
    spec.task_template.resources = Some(Resources {
        reservations: Some(Reservations { memory_bytes: 1 << 20, ..Reservations::default() }),
        ..Resources::default()
    });
    trial.refused("reserved memory", &spec).await;
}

async fn an_image_that_is_none_is_refused(trial: &Trial<'_>) {
    for image in ["", "Not/An/Image", "a b", "a@sha256:short"] {
        let mut spec = trial.service("web", Act::Runs, 0);
        image.clone_into(&mut container(&mut spec).image);
        trial.refused(image, &spec).await;
    }
}

async fn a_mount_point_twice_is_refused(trial: &Trial<'_>) {
    let mount = Mount { mount_type: Some(MountType::Tmpfs), target: "/tmp".to_owned(), ..Mount::default() };
    let mut spec = trial.service("web", Act::Runs, 0);
    container(&mut spec).mounts = vec![mount.clone(), mount];
    trial.refused("twice", &spec).await;
}

async fn a_health_check_faster_than_a_millisecond_is_refused(trial: &Trial<'_>) {
    let mut spec = trial.service("web", Act::Runs, 0);
    let test = vec!["CMD".to_owned(), "true".to_owned()];
    container(&mut spec).healthcheck =
        Some(Healthcheck { test: test.clone(), interval: Nanos(10), ..Healthcheck::default() });
    trial.refused("interval", &spec).await;
    container(&mut spec).healthcheck = Some(Healthcheck { test, retries: -1, ..Healthcheck::default() });
    trial.refused("retries", &spec).await;
}

async fn values_of_secrets_have_a_size(trial: &Trial<'_>) {
    let spec = trial.secret("token");
    for size in [0, 512_000] {
        let answer = trial.swarm().create_secret(&spec, &SecretSlice::from(vec![1; size])).await;
        trial.note_refusal(&format!("{size} bytes"), answer);
    }
    trial.swarm().create_secret(&spec, &SecretSlice::from(vec![1; 511_999])).await.expect("made");
    let found = trial.swarm().inspect_secret(By::Name(&spec.name)).await.expect("an answer");
    trial.note_json("found", &serde_json::to_value(found.map(|found| found.spec)).expect("json"));
}

async fn a_config_without_content_is_refused(trial: &Trial<'_>) {
    let spec = ConfigSpec { name: trial.name("conf"), ..ConfigSpec::default() };
    trial.note_refusal("empty", trial.swarm().create_config(&spec).await);
}

async fn a_global_service_may_say_a_limit_per_node(trial: &Trial<'_>) {
    let mut spec = trial.service("web", Act::Runs, 0);
    spec.mode = Some(ServiceMode::global());
    spec.task_template.placement = Some(Placement { max_replicas: 1, ..Placement::default() });
    trial.create(&spec).await;
}

async fn words_that_are_not_known_are_refused(trial: &Trial<'_>) {
    let plain = trial.service("web", Act::Runs, 0);
    let mut spec = plain.clone();
    let action = Some("explode".into());
    spec.update_config = Some(UpdateConfig { failure_action: action, ..UpdateConfig::default() });
    trial.refused("failure action", &spec).await;
    let mut spec = plain.clone();
    spec.rollback_config = Some(UpdateConfig { order: Some("sideways".into()), ..UpdateConfig::default() });
    trial.refused("order", &spec).await;
    let spec = with_ports(plain, "magic".into(), Vec::new());
    trial.refused("resolution", &spec).await;
}

async fn a_secret_twice_at_one_place_is_refused(trial: &Trial<'_>) {
    let (one, two) = (trial.create_secret("one").await, trial.create_secret("two").await);
    let mut spec = trial.service("web", Act::Runs, 0);
    container(&mut spec).secrets = vec![trial.reference(&one, "one"), trial.reference(&two, "two")];
    trial.refused("one place", &spec).await;
}
