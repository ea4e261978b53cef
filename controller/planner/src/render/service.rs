//! One process of an environment as a Swarm service.
//!
//! Everything is rendered in sorted order, because the engine compares lists in order and a difference restarts tasks. Nothing
//! that changes by itself enters the template. What only routing and scaling need stands outside of the template.

use std::collections::BTreeMap;

use skep_schemas::kind::{HealthCheck, RestartCondition, RolloutOrder, RolloutSpec};
use skep_schemas::{Duration, OrgName, ProcessName, ResourceKey, Uid};

use super::entry::{self, Start};
use super::routing::{Route, route_labels};
use crate::constraint::Constraints;
use crate::naming;
use crate::pull::PullCredential;
use crate::release::{ReleaseContent, ReleaseProcess, ReleaseVersion};
use crate::settings::Settings;
use crate::swarm::{
    AppArmor, ConfigId, ConfigReference, ContainerSpec, EndpointMode, EndpointSpec, FailureAction,
    FileTarget, Healthcheck, Labels, Limits, LogDriver, Mount, MountType, Nanos, NetworkAttachmentConfig,
    Placement, Privileges, ProfileMode, Resources, RestartPolicy, Seccomp, SecretId, SecretReference,
    ServiceMode, ServiceSpec, TaskSpec, TmpfsOptions, UpdateConfig, UpdateOrder,
};

/// For how long a failure of a replaced task counts when there is no health check: a process that cannot start usually ends at
/// once, and Swarm's own default is the same.
const MONITOR_MIN: Duration = Duration::from_secs(5);
/// How much of the node's memory `/tmp` may take; it counts against the memory limit of the container.
const TMP_BYTES: i64 = 64 << 20;
/// `1777`, as everywhere: everyone may write, only the owner may remove.
const TMP_MODE: u32 = 0o1777;
/// The log of one task on its node, so that no tenant fills a disk.
const LOG_FILE_SIZE: &str = "10m";
const LOG_FILES: &str = "3";

/// What the engines of the cluster can store and enforce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineFeatures {
    /// `NoNewPrivileges`, and the default seccomp and AppArmor profiles by name: API 1.44 (Engine 25).
    pub privileges: bool,
}

impl EngineFeatures {
    /// What an engine with that API version can do.
    pub const fn of_api(major: u32, minor: u32) -> Self {
        Self { privileges: major > 1 || (major == 1 && minor >= 44) }
    }

    /// Whether it looks more often at a container that has not come up yet: API 1.44 as well.
    pub(super) const fn has_start_interval(self) -> bool {
        self.privileges
    }

    /// What of the restricted profile is not enforced, in words.
    pub fn not_enforced(self) -> Vec<String> {
        if self.privileges {
            return Vec::new();
        }
        vec!["no-new-privileges (needs Docker Engine 25 or newer)".to_owned()]
    }
}

/// All that a service is rendered from.
#[derive(Debug, Clone, Copy)]
pub struct ServiceInput<'a> {
    /// The operator's decisions.
    pub settings: &'a Settings,
    /// The organisation.
    pub org: &'a OrgName,
    /// The environment.
    pub key: &'a ResourceKey,
    /// Its identity.
    pub uid: Uid,
    /// The process.
    pub name: &'a ProcessName,
    /// What it runs.
    pub process: &'a ReleaseProcess,
    /// The release that it is part of.
    pub content: &'a ReleaseContent,
    /// The release's number.
    pub release: ReleaseVersion,
    /// How many instances.
    pub instances: u32,
    /// Stopped, with so many instances to come back to.
    pub stopped: Option<u32>,
    /// How often people asked for a restart.
    pub restarts: u32,
    /// How tasks are replaced.
    pub rollout: &'a RolloutSpec,
    /// The organisation's network: its id, or in a preview its name when it is yet to be made.
    pub network: &'a str,
    /// The ids of the secret objects by name; in a preview an object may be yet to be made.
    pub secrets: &'a BTreeMap<String, SecretId>,
    /// The config with the entry program; in a preview it may be yet to be made.
    pub entry: Option<&'a ConfigId>,
    /// Which nodes it may run on.
    pub constraints: &'a Constraints,
    /// The hosts that are routed to it.
    pub routes: &'a [Route],
    /// The credential with which its image is pulled.
    pub credential: Option<&'a PullCredential>,
    /// What the engine can do.
    pub engine: EngineFeatures,
}

/// The whole service. Equal inputs give equal specs.
pub fn service_spec(input: &ServiceInput<'_>) -> ServiceSpec {
    let order = order(input.process, input.rollout);
    ServiceSpec {
        name: naming::service(input.org, input.key.name(), input.name),
        labels: service_labels(input),
        task_template: task_template(input),
        mode: Some(ServiceMode::replicated(u64::from(input.instances))),
        update_config: Some(update_config(
            input.process,
            input.rollout,
            order.clone(),
            FailureAction::Rollback,
        )),
        rollback_config: Some(update_config(input.process, input.rollout, order, FailureAction::Pause)),
        endpoint_spec: Some(EndpointSpec {
            mode: Some(EndpointMode::DnsRoundRobin),
            ..EndpointSpec::default()
        }),
        ..ServiceSpec::default()
    }
}

fn service_labels(input: &ServiceInput<'_>) -> Labels {
    let mut labels = naming::owner_labels(&input.settings.instance, input.key, input.uid);
    labels.insert(naming::LABEL_PROCESS.to_owned(), input.name.to_string());
    labels.insert(naming::LABEL_RELEASE.to_owned(), input.release.to_string());
    let credential = input.credential.map(|credential| credential.mark.clone());
    labels.extend(credential.map(|mark| (naming::LABEL_REGISTRY_CREDENTIAL.to_owned(), mark)));
    labels.extend(input.stopped.map(|instances| (naming::LABEL_STOPPED.to_owned(), instances.to_string())));
    if input.restarts > 0 {
        labels.insert(naming::LABEL_RESTARTS.to_owned(), input.restarts.to_string());
    }
    labels.extend(route_labels(&input.settings.edge, &naming::network(input.org), input.routes));
    labels
}

fn task_template(input: &ServiceInput<'_>) -> TaskSpec {
    let resources = input.process.resources;
    let architecture = input.settings.architecture;
    // What starts the process runs on these alone.
    let built_for = start(input).is_by_entry().then(|| format!("node.platform.arch=={architecture}"));
    let constraints: Vec<String> = input.constraints.rendered().into_iter().chain(built_for).collect();
    TaskSpec {
        container_spec: Some(container_spec(input)),
        resources: Some(Resources {
            limits: Some(Limits {
                nano_cpus: resources.cpu.nanos(),
                memory_bytes: i64::try_from(resources.memory.get()).unwrap_or(i64::MAX),
                pids: i64::from(resources.pids),
                ..Limits::default()
            }),
            ..Resources::default()
        }),
        restart_policy: Some(RestartPolicy {
            condition: Some(match input.content.restart.condition {
                RestartCondition::Any => crate::swarm::RestartCondition::Any,
                RestartCondition::OnFailure => crate::swarm::RestartCondition::OnFailure,
                RestartCondition::None => crate::swarm::RestartCondition::None,
            }),
            delay: Some(Nanos(input.content.restart.delay.nanos())),
            ..RestartPolicy::default()
        }),
        placement: (!constraints.is_empty()).then(|| Placement { constraints, ..Placement::default() }),
        networks: vec![NetworkAttachmentConfig {
            target: input.network.to_owned(),
            aliases: naming::aliases(input.key.name(), input.name),
            ..NetworkAttachmentConfig::default()
        }],
        log_driver: Some(LogDriver {
            name: "json-file".to_owned(),
            options: [("max-file", LOG_FILES), ("max-size", LOG_FILE_SIZE)]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
            ..LogDriver::default()
        }),
        ..TaskSpec::default()
    }
}

fn container_spec(input: &ServiceInput<'_>) -> ContainerSpec {
    let process = input.process;
    let security = &input.content.security;
    let port = entry::listens_on(&input.settings.edge, input.content, process);
    let listening = port.map(|port| entry::listening(port, input.engine));
    let start = start(input);
    let stops_within =
        start.drain.map_or(process.stop_grace_period, |drain| process.stop_grace_period.plus(drain));
    let configs = configs(input, &start);
    let (command, args) = start.command_and_args();
    ContainerSpec {
        image: input.content.image.pinned(),
        labels: container_labels(input),
        command,
        args,
        env: process.env.iter().map(|(name, value)| format!("{name}={}", escape_template(value))).collect(),
        dir: process.working_dir.as_ref().map(ToString::to_string).unwrap_or_default(),
        user: security.user.map(|user| user.to_string()).unwrap_or_default(),
        privileges: input.engine.privileges.then(restricted_privileges),
        read_only: !security.writable_root,
        mounts: mounts(input),
        stop_grace_period: Some(Nanos(stops_within.nanos())),
        healthcheck: process.health_check.as_ref().map(healthcheck).or(listening),
        secrets: secrets(input),
        configs,
        capability_add: security.capabilities.iter().map(|capability| format!("CAP_{capability}")).collect(),
        capability_drop: vec!["ALL".to_owned()],
        ..ContainerSpec::default()
    }
}

/// Only what never changes in the life of the service: these labels are part of the template.
fn container_labels(input: &ServiceInput<'_>) -> Labels {
    let mut labels = naming::owner_labels(&input.settings.instance, input.key, input.uid);
    labels.insert(naming::LABEL_PROCESS.to_owned(), input.name.to_string());
    labels
}

pub(super) fn restricted_privileges() -> Privileges {
    Privileges {
        no_new_privileges: true,
        seccomp: Some(Seccomp { mode: Some(ProfileMode::Default), ..Seccomp::default() }),
        app_armor: Some(AppArmor { mode: Some(ProfileMode::Default), ..AppArmor::default() }),
        ..Privileges::default()
    }
}

/// Swarm expands environment values as Go templates; this makes one expand to itself.
fn escape_template(value: &str) -> String {
    value.replace("{{", r#"{{"{{"}}"#)
}

fn mounts(input: &ServiceInput<'_>) -> Vec<Mount> {
    let tmp = Mount {
        mount_type: Some(MountType::Tmpfs),
        target: "/tmp".to_owned(),
        tmpfs_options: Some(TmpfsOptions {
            size_bytes: TMP_BYTES,
            mode: TMP_MODE,
            ..TmpfsOptions::default()
        }),
        ..Mount::default()
    };
    let mut mounts: Vec<Mount> = input
        .process
        .volumes
        .iter()
        .map(|volume| Mount {
            mount_type: Some(MountType::Volume),
            source: naming::volume(input.org, input.key.name(), &volume.name),
            target: volume.path.to_string(),
            read_only: volume.read_only,
            ..Mount::default()
        })
        .collect();
    let tmp_is_taken = mounts.iter().any(|mount| mount.target == "/tmp");
    if !input.content.security.writable_root && !tmp_is_taken {
        mounts.push(tmp);
    }
    mounts.sort_by(|a, b| a.target.cmp(&b.target));
    mounts
}

fn secrets(input: &ServiceInput<'_>) -> Vec<SecretReference> {
    let mut secrets: Vec<SecretReference> = input
        .content
        .secrets
        .iter()
        .map(|secret| SecretReference {
            file: Some(FileTarget {
                name: secret.file.clone(),
                uid: "0".to_owned(),
                gid: "0".to_owned(),
                // Readable by whatever user the image runs as; the file is visible in this container only.
                mode: 0o444,
                ..FileTarget::default()
            }),
            secret_id: input.secrets.get(&secret.object).cloned().unwrap_or_default(),
            secret_name: secret.object.clone(),
            ..SecretReference::default()
        })
        .collect();
    secrets.sort_by(|a, b| a.secret_name.cmp(&b.secret_name));
    secrets
}

fn start(input: &ServiceInput<'_>) -> Start {
    Start::of(&input.settings.edge, input.content, input.process)
}

fn configs(input: &ServiceInput<'_>, start: &Start) -> Vec<ConfigReference> {
    let id = || input.entry.cloned().unwrap_or_default();
    let entry = || entry::reference(input.settings.architecture, id());
    start.is_by_entry().then(entry).into_iter().collect()
}

fn healthcheck(check: &HealthCheck) -> Healthcheck {
    Healthcheck {
        test: std::iter::once("CMD".to_owned()).chain(check.command.iter().cloned()).collect(),
        interval: Nanos(check.interval.nanos()),
        timeout: Nanos(check.timeout.nanos()),
        start_period: Nanos(check.start_period.nanos()),
        retries: i64::from(check.retries),
        ..Healthcheck::default()
    }
}

fn order(process: &ReleaseProcess, rollout: &RolloutSpec) -> UpdateOrder {
    let writes_to_a_volume = process.volumes.iter().any(|volume| !volume.read_only);
    match rollout.order {
        RolloutOrder::StartFirst => UpdateOrder::StartFirst,
        RolloutOrder::StopFirst => UpdateOrder::StopFirst,
        RolloutOrder::Auto if writes_to_a_volume => UpdateOrder::StopFirst,
        RolloutOrder::Auto => UpdateOrder::StartFirst,
    }
}

/// Derived, not Swarm's defaults (5 s, pause, stop-first): the monitor covers the whole time until a health check can tell, and
/// without a health check the delay makes one task prove itself before the next is replaced, because the monitor alone does not
/// hold back the next one (tried on 20.10: a process that ends after 100 ms took down every replica).
fn update_config(
    process: &ReleaseProcess,
    rollout: &RolloutSpec,
    order: UpdateOrder,
    on_failure: FailureAction,
) -> UpdateConfig {
    let monitor = monitor(process);
    let delay = if process.health_check.is_some() { Nanos::default() } else { Nanos(monitor.nanos()) };
    UpdateConfig {
        parallelism: Some(u64::from(rollout.parallelism)),
        delay,
        failure_action: Some(on_failure),
        monitor: Nanos(monitor.nanos()),
        order: Some(order),
        ..UpdateConfig::default()
    }
}

/// For how long a failure of a new task counts against its release.
pub(crate) fn monitor(process: &ReleaseProcess) -> Duration {
    process.health_check.as_ref().map_or(MONITOR_MIN, |check| check.verdict_after().max(MONITOR_MIN))
}
