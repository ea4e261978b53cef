//! Answers recorded from real engines, read by these types. Each fixture folder is one engine version.

use serde::de::DeserializeOwned;

use super::*;

struct Recorded {
    services: &'static str,
    service_sent: &'static str,
    tasks: &'static str,
    network: &'static str,
    secrets: &'static str,
    nodes: &'static str,
    containers: &'static str,
}

macro_rules! recorded {
    ($version:literal) => {
        Recorded {
            services: include_str!(concat!("fixtures/", $version, "/services.json")),
            service_sent: include_str!(concat!("fixtures/", $version, "/service_sent.json")),
            tasks: include_str!(concat!("fixtures/", $version, "/tasks.json")),
            network: include_str!(concat!("fixtures/", $version, "/network.json")),
            secrets: include_str!(concat!("fixtures/", $version, "/secrets.json")),
            nodes: include_str!(concat!("fixtures/", $version, "/nodes.json")),
            containers: include_str!(concat!("fixtures/", $version, "/containers.json")),
        }
    };
}

const V20_10: Recorded = recorded!("20.10");
const V26_1: Recorded = recorded!("26.1");
const ENGINES: [Recorded; 2] = [V20_10, V26_1];

fn read<T: DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).expect("a recorded answer is readable")
}

fn service(engine: &Recorded, name: &str) -> Service {
    let services: Vec<Service> = read(engine.services);
    services.into_iter().find(|service| service.spec.name == name).expect("the service is in the list")
}

fn container(spec: &ServiceSpec) -> &ContainerSpec {
    spec.task_template.container_spec.as_ref().expect("a container spec")
}

/// What the engine adds to a spec that says everything we render; see the module essay.
fn with_engine_additions(mut spec: ServiceSpec) -> ServiceSpec {
    spec.task_template.runtime = "container".to_owned();
    spec.task_template.force_update = 2;
    spec.task_template.container_spec.as_mut().expect("a container spec").isolation = "default".to_owned();
    spec
}

#[test]
fn a_full_spec_reads_back_equal_but_for_the_additions_of_the_engine() {
    let sent: ServiceSpec = read(V26_1.service_sent);
    assert_eq!(service(&V26_1, "acme-shop-web").spec, with_engine_additions(sent));
}

#[test]
fn an_engine_below_api_1_44_stores_an_empty_privileges_object() {
    let mut sent: ServiceSpec = with_engine_additions(read(V20_10.service_sent));
    let live = service(&V20_10, "acme-shop-web").spec;
    assert_ne!(live, sent);
    assert_eq!(container(&live).privileges, Some(Privileges::default()));
    sent.task_template.container_spec.as_mut().expect("a container spec").privileges =
        Some(Privileges::default());
    assert_eq!(live, sent);
}

#[test]
fn every_field_of_a_recorded_service_is_known() {
    for engine in &ENGINES {
        for service in read::<Vec<Service>>(engine.services) {
            assert_eq!(service.extra, Extra::new());
            assert_eq!(service.spec.extra, Extra::new());
            assert_eq!(service.spec.task_template.extra, Extra::new());
            assert_eq!(container(&service.spec).extra, Extra::new());
        }
    }
}

#[test]
fn a_health_check_survives_being_read_and_written() {
    for engine in &ENGINES {
        let spec = service(engine, "acme-shop-web").spec;
        let healthcheck = container(&spec).healthcheck.as_ref().expect("a health check");
        assert_eq!(healthcheck.start_period, Nanos::from_secs(3));
        let written = serde_json::to_value(&spec).expect("a spec is writable");
        assert_eq!(written["TaskTemplate"]["ContainerSpec"]["Healthcheck"]["Retries"], 3);
    }
}

#[test]
fn an_update_leaves_its_verdict_and_the_previous_spec() {
    for engine in &ENGINES {
        let service = service(engine, "acme-shop-web");
        let status = service.update_status.expect("an update status");
        assert!(matches!(status.state, Some(UpdateState::Updating | UpdateState::Completed)), "{status:?}");
        assert_eq!(service.previous_spec.expect("a previous spec").task_template.force_update, 1);
    }
}

#[test]
fn tasks_tell_their_address_their_container_and_their_error() {
    for engine in &ENGINES {
        let tasks: Vec<Task> = read(engine.tasks);
        let running = tasks
            .iter()
            .find(|task| {
                task.status.state == Some(TaskState::Running) && !task.networks_attachments.is_empty()
            })
            .expect("a running task");
        let attachment = &running.networks_attachments[0];
        assert_eq!(attachment.network.spec.name, "acme-net");
        assert!(attachment.addresses[0].starts_with("10.99.0."), "{attachment:?}");
        assert!(!running.status.container_status.as_ref().expect("a container").container_id.is_empty());
        let bad = service(engine, "acme-bad").id;
        let rejected = tasks
            .iter()
            .find(|task| task.service_id.as_ref() == Some(&bad))
            .expect("a task of the bad service");
        assert_eq!(rejected.status.state, Some(TaskState::Rejected));
        assert!(rejected.status.err.contains("No such image"), "{}", rejected.status.err);
    }
}

#[test]
fn a_global_mode_and_a_host_port_are_read_and_written_as_they_are() {
    for engine in &ENGINES {
        let spec = service(engine, "acme-bad").spec;
        assert_eq!(spec.mode, Some(ServiceMode::global()));
        let port = &spec.endpoint_spec.as_ref().expect("an endpoint spec").ports[0];
        assert_eq!(port.publish_mode, Some(PublishMode::Host));
        assert_eq!(port.protocol, Some(PortProtocol::Tcp), "the engine says its default");
        let written = serde_json::to_value(&spec).expect("a spec is writable");
        assert_eq!(written["Mode"], serde_json::json!({"Global": {}}));
    }
}

#[test]
fn a_network_says_its_range_and_who_is_attached() {
    for engine in &ENGINES {
        let network: Network = read(engine.network);
        assert_eq!(network.scope, Some(NetworkScope::Swarm));
        assert!(network.attachable);
        assert_eq!(network.ipam.config[0].ip_range, "10.99.0.128/25");
        let containers: Vec<ContainerSummary> = read(engine.containers);
        for container in &containers {
            let attached = &network.containers[container.id.as_str()];
            let own = &container.network_settings.networks["acme-net"];
            assert_eq!(own.network_id, network.id);
            assert_eq!(attached.ipv4_address, format!("{}/24", own.ip_address));
            assert!(container.task_id().is_some() && container.service_id().is_some());
        }
        assert!(!containers.is_empty());
    }
}

#[test]
fn nodes_and_secrets_are_read() {
    for engine in &ENGINES {
        let nodes: Vec<Node> = read(engine.nodes);
        assert_eq!(nodes[0].spec.role, Some(NodeRole::Manager));
        assert_eq!(nodes[0].status.state, Some(NodeState::Ready));
        assert!(nodes[0].description.resources.memory_bytes > 0);
        assert!(!nodes[0].description.engine.engine_version.is_empty());
        let secrets: Vec<Secret> = read(engine.secrets);
        assert_eq!(secrets[0].spec.name, "acme-token-1");
        assert_eq!(secrets[0].spec.labels["skep.dev/org"], "acme");
    }
}

#[test]
fn unknown_fields_and_words_are_kept_and_do_not_fail_a_list() {
    let tasks: Vec<Task> = read(
        r#"[{"ID": "t1", "Status": {"State": "levitating", "Mood": 7}, "Wings": {"n": 2}},
            {"ID": "t2", "Status": {"State": "running"}}]"#,
    );
    assert_eq!(tasks[0].status.state, Some(TaskState::Other("levitating".to_owned())));
    assert_eq!(tasks[0].status.extra["Mood"], 7);
    assert_eq!(tasks[0].extra["Wings"]["n"], 2);
    assert_eq!(tasks[1].status.state, Some(TaskState::Running));
    let odd: Service = read(r#"{"ID": "s", "Spec": {"Mode": {"Flock": {"Size": 3}}}}"#);
    let Some(ServiceMode::Other(mode)) = &odd.spec.mode else { panic!("an unknown mode is kept: {odd:?}") };
    assert_eq!(mode["Flock"]["Size"], 3);
}

#[test]
fn null_reads_as_empty_and_empty_is_not_written() {
    let spec: ServiceSpec =
        read(r#"{"Name": "n", "Labels": null, "TaskTemplate": {"Networks": null}, "Mode": null}"#);
    assert_eq!(spec, ServiceSpec { name: "n".to_owned(), ..Default::default() });
    assert_eq!(serde_json::to_string(&spec).expect("writable"), r#"{"Name":"n"}"#);
}

#[test]
fn a_zero_the_engine_keeps_is_written() {
    let policy = RestartPolicy { max_attempts: Some(0), ..Default::default() };
    assert_eq!(serde_json::to_string(&policy).expect("writable"), r#"{"MaxAttempts":0}"#);
}

#[test]
fn an_object_without_an_id_is_not_an_object() {
    assert!(serde_json::from_str::<Service>(r#"{"Spec": {"Name": "n"}}"#).is_err());
    assert!(serde_json::from_str::<Network>(r#"{"Name": "n"}"#).is_err());
}
