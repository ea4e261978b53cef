//! Services from creation to removal, with every field that Skep renders.

use secrecy::SecretSlice;
use skep_planner::swarm::{
    AppArmor, ContainerSpec, DnsConfig, EndpointMode, EndpointSpec, FailureAction, FileTarget, Healthcheck,
    Labels, Limits, LogDriver, Mount, MountType, Nanos, NetworkAttachmentConfig, NetworkId, Placement,
    PlacementPreference, Platform, PortConfig, PortProtocol, Privileges, ProfileMode, PublishMode, Ratio,
    Reservations, Resources, RestartCondition, RestartPolicy, Seccomp, SecretReference, SecretSpec,
    ServiceMode, ServiceSpec, SpreadPreference, TaskSpec, TmpfsOptions, Ulimit, UpdateConfig, UpdateOrder,
    VolumeOptions,
};
use skep_swarm::{ApiVersion, By, Effect, EngineClient, LabelFilter, SwarmApi, SwarmError};
use skep_testbed::EngineVersion;

use crate::setup::{IMAGE, engine, network, on_each_engine, service, update};

on_each_engine!(
    a_service_with_every_field_reads_back_as_it_was_sent,
    an_update_from_a_stale_version_is_a_conflict,
    only_the_service_that_was_meant_is_found,
);

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn container(secret: SecretReference) -> ContainerSpec {
    let volume = Mount {
        mount_type: Some(MountType::Volume),
        source: "acme-data".to_owned(),
        target: "/data".to_owned(),
        volume_options: Some(VolumeOptions {
            labels: labels(&[("skep.dev/org", "acme")]),
            ..Default::default()
        }),
        ..Mount::default()
    };
    let tmpfs = Mount {
        mount_type: Some(MountType::Tmpfs),
        target: "/tmp".to_owned(),
        tmpfs_options: Some(TmpfsOptions { size_bytes: 1 << 20, mode: 0o1777, ..Default::default() }),
        ..Mount::default()
    };
    ContainerSpec {
        image: IMAGE.to_owned(),
        labels: labels(&[("skep.dev/release", "1")]),
        command: words(&["/bin/busybox"]),
        args: words(&["sleep", "1000"]),
        hostname: "web".to_owned(),
        env: words(&["A=1", "B=two words", "C="]),
        dir: "/".to_owned(),
        user: "1000:1000".to_owned(),
        groups: words(&["1001"]),
        privileges: Some(Privileges {
            no_new_privileges: true,
            seccomp: Some(Seccomp { mode: Some(ProfileMode::Default), ..Default::default() }),
            app_armor: Some(AppArmor { mode: Some(ProfileMode::Default), ..Default::default() }),
            ..Privileges::default()
        }),
        init: Some(true),
        read_only: true,
        stop_signal: "SIGTERM".to_owned(),
        stop_grace_period: Some(Nanos::from_secs(7)),
        healthcheck: Some(Healthcheck {
            test: words(&["CMD", "/bin/busybox", "true"]),
            interval: Nanos::from_secs(2),
            timeout: Nanos::from_secs(1),
            start_period: Nanos::from_millis(1500),
            retries: 4,
            ..Healthcheck::default()
        }),
        hosts: words(&["10.0.0.1 other"]),
        dns_config: Some(DnsConfig {
            nameservers: words(&["10.0.0.53"]),
            search: words(&["example.test"]),
            options: words(&["ndots:1"]),
            ..DnsConfig::default()
        }),
        mounts: vec![volume, tmpfs],
        secrets: vec![secret],
        sysctls: labels(&[("net.core.somaxconn", "512")]),
        capability_add: words(&["CAP_NET_BIND_SERVICE"]),
        capability_drop: words(&["ALL"]),
        ulimits: vec![Ulimit { name: "nofile".to_owned(), soft: 1024, hard: 2048, ..Ulimit::default() }],
        isolation: "default".to_owned(),
        ..ContainerSpec::default()
    }
}

fn task_template(secret: SecretReference, network: &NetworkId) -> TaskSpec {
    let spread = SpreadPreference { spread_descriptor: "node.labels.zone".to_owned(), ..Default::default() };
    TaskSpec {
        container_spec: Some(container(secret)),
        resources: Some(Resources {
            limits: Some(Limits {
                nano_cpus: 500_000_000,
                memory_bytes: 64 << 20,
                pids: 64,
                ..Default::default()
            }),
            reservations: Some(Reservations {
                nano_cpus: 1_000_000,
                memory_bytes: 8 << 20,
                ..Default::default()
            }),
            ..Resources::default()
        }),
        restart_policy: Some(RestartPolicy {
            condition: Some(RestartCondition::Any),
            delay: Some(Nanos::from_secs(1)),
            max_attempts: Some(0),
            window: Some(Nanos::from_secs(5)),
            ..RestartPolicy::default()
        }),
        placement: Some(Placement {
            constraints: words(&["node.role==manager"]),
            preferences: vec![PlacementPreference { spread: Some(spread), ..Default::default() }],
            max_replicas: 4,
            platforms: vec![Platform {
                architecture: "amd64".to_owned(),
                os: "linux".to_owned(),
                ..Platform::default()
            }],
            ..Placement::default()
        }),
        networks: vec![NetworkAttachmentConfig {
            target: network.to_string(),
            aliases: words(&["web"]),
            ..NetworkAttachmentConfig::default()
        }],
        log_driver: Some(LogDriver {
            name: "json-file".to_owned(),
            options: labels(&[("max-size", "1m")]),
            ..LogDriver::default()
        }),
        force_update: 1,
        runtime: "container".to_owned(),
        ..TaskSpec::default()
    }
}

fn update_config(order: UpdateOrder) -> UpdateConfig {
    UpdateConfig {
        parallelism: Some(1),
        delay: Nanos::from_millis(10),
        failure_action: Some(FailureAction::Pause),
        monitor: Nanos::from_secs(5),
        max_failure_ratio: Ratio::new(0.1),
        order: Some(order),
        ..UpdateConfig::default()
    }
}

/// Every field that is rendered, no task: what the engine stores is the question, not what it runs.
async fn full_spec(client: &EngineClient) -> ServiceSpec {
    let spec = SecretSpec { name: "acme-token".to_owned(), ..SecretSpec::default() };
    let secret_id =
        client.create_secret(&spec, &SecretSlice::from(b"s3cret".to_vec())).await.expect("a secret");
    let file = FileTarget {
        name: "token".to_owned(),
        uid: "0".to_owned(),
        gid: "0".to_owned(),
        mode: 0o444,
        ..FileTarget::default()
    };
    let secret =
        SecretReference { file: Some(file), secret_id, secret_name: spec.name, ..SecretReference::default() };
    let network = client.create_network(&network("acme-net", 93)).await.expect("a network");
    let port = PortConfig {
        protocol: Some(PortProtocol::Tcp),
        target_port: 8080,
        published_port: 18080,
        publish_mode: Some(PublishMode::Host),
        ..PortConfig::default()
    };
    ServiceSpec {
        name: "acme-web".to_owned(),
        labels: labels(&[("skep.dev/instance", "test"), ("skep.dev/org", "acme")]),
        task_template: task_template(secret, &network),
        mode: Some(ServiceMode::replicated(0)),
        update_config: Some(update_config(UpdateOrder::StartFirst)),
        rollback_config: Some(update_config(UpdateOrder::StopFirst)),
        endpoint_spec: Some(EndpointSpec {
            mode: Some(EndpointMode::DnsRoundRobin),
            ports: vec![port],
            ..EndpointSpec::default()
        }),
        ..ServiceSpec::default()
    }
}

/// What an engine that cannot store a service's confinement keeps of it: an empty object.
fn as_stored(mut spec: ServiceSpec, version: ApiVersion) -> ServiceSpec {
    if version < ApiVersion::SERVICE_PRIVILEGES {
        let container = spec.task_template.container_spec.as_mut().expect("a container spec");
        container.privileges = Some(Privileges::default());
    }
    spec
}

async fn a_service_with_every_field_reads_back_as_it_was_sent(version: EngineVersion) {
    let (_engine, client) = engine(version).await;
    let api = client.info().await.expect("info").api_version;
    let mut spec = full_spec(&client).await;
    let id = client.create_service(&spec, None).await.expect("created");
    let created = client.inspect_service(By::Id(&id)).await.expect("an answer").expect("the service");
    assert_eq!(created.spec, as_stored(spec.clone(), api));

    let container = spec.task_template.container_spec.as_mut().expect("a container spec");
    container.env.push("D=4".to_owned());
    update(&client, &id, &spec).await.expect("updated");
    let updated =
        client.inspect_service(By::Name("acme-web")).await.expect("an answer").expect("the service");
    assert_eq!(updated.spec, as_stored(spec, api));
    assert_eq!(updated.previous_spec.as_deref(), Some(&created.spec));
    assert!(updated.version > created.version);

    client.remove_service(&id).await.expect("removed");
    assert_eq!(client.inspect_service(By::Id(&id)).await.expect("an answer"), None);
    let error = client.remove_service(&id).await.expect_err("nothing to remove");
    assert!(matches!(error, SwarmError::NotFound { .. }), "{error:?}");
}

async fn an_update_from_a_stale_version_is_a_conflict(version: EngineVersion) {
    let (_engine, client) = engine(version).await;
    let mut spec = service("web", &["sleep", "1000"]);
    let id = client.create_service(&spec, None).await.expect("created");
    spec.labels.insert("by".to_owned(), "first".to_owned());
    let read = update(&client, &id, &spec).await.expect("the first writer wins");
    spec.labels.insert("by".to_owned(), "second".to_owned());
    let error = client.update_service(&id, read, &spec, None).await.expect_err("the second does not");
    assert!(matches!(error, SwarmError::Conflict { .. }), "{error:?}");
    assert_eq!(error.effect(), Effect::None);
    assert_eq!(error.to_string(), format!("cannot update service web ({id}): it changed since it was read"));
    let after = client.inspect_service(By::Id(&id)).await.expect("an answer").expect("the service");
    assert_eq!(after.spec.labels["by"], "first");
}

async fn only_the_service_that_was_meant_is_found(version: EngineVersion) {
    let (_engine, client) = engine(version).await;
    let mut spec = service("web", &["sleep", "1000"]);
    spec.mode = Some(ServiceMode::replicated(0));
    spec.labels = labels(&[("skep.dev/org", "acme"), ("skep.dev/kind", "web")]);
    let id = client.create_service(&spec, None).await.expect("created");
    let beginning = &id.as_str()[..8];
    assert_eq!(client.inspect_service(By::Name(beginning)).await.expect("an answer"), None);
    assert_eq!(client.inspect_service(By::Id(&beginning.into())).await.expect("an answer"), None);
    assert_eq!(client.inspect_service(By::Name("we")).await.expect("an answer"), None);
    let error = client.inspect_service(By::Name("../info")).await.expect_err("no name leads elsewhere");
    assert!(matches!(error, SwarmError::Invalid { .. }), "{error:?}");

    let count = |filter: LabelFilter| {
        let client = client.clone();
        async move { client.list_services(&filter).await.expect("services").len() }
    };
    let org = |value: &str| LabelFilter::any().with("skep.dev/org", value);
    assert_eq!(count(LabelFilter::any()).await, 1);
    assert_eq!(count(org("acme")).await, 1);
    assert_eq!(count(org("acm")).await, 0, "values match whole");
    assert_eq!(count(org("acme").with("skep.dev/kind", "worker")).await, 0, "all labels must match");
    assert_eq!(count(LabelFilter::any().having("skep.dev/kind")).await, 1);
}
