//! What an engine stores of a spec that it is sent: the form of `daemon/cluster/convert` in moby.
//!
//! It is written here once more and not taken from the planner's tables, so that one can prove the other wrong. Recordings of real
//! engines decide (`tests/recordings.rs`).

use skep_planner::swarm::{
    ContainerSpec, EndpointMode, EndpointSpec, Extra, FailureAction, Known, Mount, MountType, PortConfig,
    PortProtocol, ProfileMode, PublishMode, RestartCondition, ServiceMode, ServiceSpec, TaskSpec,
    UpdateConfig, UpdateOrder,
};
use skep_swarm::ApiVersion;

/// The API version in which services have a `StartInterval` and their own confinement.
const PRIVILEGES: ApiVersion = ApiVersion { major: 1, minor: 44 };

/// The API version in which volumes of services have a subpath.
const SUBPATH: ApiVersion = ApiVersion { major: 1, minor: 45 };

/// The API version in which out-of-memory scores and options of a tmpfs are kept.
const SCORES: ApiVersion = ApiVersion { major: 1, minor: 46 };

/// The API version in which swap is kept.
const SWAP: ApiVersion = ApiVersion { major: 1, minor: 52 };

/// The stored form of a service's spec. Names of networks are left to the caller.
pub(super) fn service(spec: &ServiceSpec, api: ApiVersion) -> ServiceSpec {
    let mut spec = spec.clone();
    spec.drop_unknown();
    task_template(&mut spec.task_template, api);
    let says_none = |mode: &ServiceMode| match mode {
        ServiceMode::Other(said) => said.values().all(serde_json::Value::is_null),
        _ => false,
    };
    spec.mode = spec.mode.filter(|mode| !says_none(mode));
    match spec.mode.get_or_insert_with(|| ServiceMode::replicated(1)) {
        ServiceMode::Replicated(mode) => {
            mode.replicas.get_or_insert(1);
        }
        ServiceMode::ReplicatedJob(mode) => {
            let at_once = *mode.max_concurrent.get_or_insert(1);
            mode.total_completions.get_or_insert(at_once);
        }
        ServiceMode::Global(_) | ServiceMode::GlobalJob(_) | ServiceMode::Other(_) => {}
    }
    for config in [&mut spec.update_config, &mut spec.rollback_config].into_iter().flatten() {
        update_config(config);
    }
    if let Some(endpoint) = &mut spec.endpoint_spec {
        endpoint_spec(endpoint);
    }
    spec
}

fn task_template(template: &mut TaskSpec, api: ApiVersion) {
    template.plugin_spec = None;
    template.network_attachment_spec = None;
    "container".clone_into(&mut template.runtime);
    if let Some(resources) = &mut template.resources
        && api < SWAP
    {
        (resources.swap_bytes, resources.memory_swappiness) = (None, None);
    }
    let reserved = template.resources.as_mut().and_then(|resources| resources.reservations.as_mut());
    for resource in reserved.into_iter().flat_map(|reserved| &mut reserved.generic_resources) {
        resource.values_mut().for_each(without_empty);
    }
    if let Some(policy) = &mut template.restart_policy {
        policy.condition.get_or_insert(RestartCondition::Any);
        policy.max_attempts.get_or_insert(0);
    }
    if let Some(placement) = &mut template.placement {
        placement.preferences.retain(|preference| preference.spread.is_some());
    }
    if let Some(container) = &mut template.container_spec {
        container_spec(container, api);
    }
}

/// The managers keep an empty text as none; what it says beyond that they keep.
fn without_empty(value: &mut serde_json::Value) {
    if let serde_json::Value::Object(members) = value {
        members.values_mut().for_each(without_empty);
        members.retain(|_, value| match value {
            serde_json::Value::Null => false,
            serde_json::Value::String(text) => !text.is_empty(),
            serde_json::Value::Number(number) => number.as_f64() != Some(0.0),
            serde_json::Value::Bool(_) | serde_json::Value::Array(_) => true,
            serde_json::Value::Object(members) => !members.is_empty(),
        });
    }
}

/// The stored form of how a value is expanded.
pub(super) fn passed_through(said: &mut Extra) {
    let mut value = serde_json::Value::Object(std::mem::take(said));
    without_empty(&mut value);
    if let serde_json::Value::Object(kept) = value {
        *said = kept;
    }
}

fn profile_mode(mode: &mut Option<ProfileMode>, known: &[ProfileMode]) {
    if !mode.as_ref().is_some_and(|mode| known.contains(mode)) {
        *mode = Some(ProfileMode::Default);
    }
}

fn container_spec(container: &mut ContainerSpec, api: ApiVersion) {
    let isolation = container.isolation.to_lowercase();
    container.isolation =
        if matches!(isolation.as_str(), "process" | "hyperv") { isolation } else { "default".to_owned() };
    if api < SCORES {
        container.oom_score_adj = 0;
    }
    if api < PRIVILEGES {
        if let Some(check) = &mut container.healthcheck {
            check.start_interval = Default::default();
        }
        if let Some(privileges) = &mut container.privileges {
            (privileges.seccomp, privileges.app_armor) = (None, None);
            privileges.no_new_privileges = false;
        }
    }
    if let Some(privileges) = &mut container.privileges {
        if let Some(seccomp) = &mut privileges.seccomp {
            let known = [ProfileMode::Unconfined, ProfileMode::Custom];
            profile_mode(&mut seccomp.mode, &known);
        }
        if let Some(app_armor) = &mut privileges.app_armor {
            profile_mode(&mut app_armor.mode, &[ProfileMode::Disabled]);
        }
    }
    for mount in &mut container.mounts {
        mount_options(mount, api);
    }
}

fn mount_options(mount: &mut Mount, api: ApiVersion) {
    if let Some(kind) = &mut mount.mount_type {
        *kind = MountType::from(kind.as_str().to_lowercase().as_str());
    }
    mount.consistency.clear();
    mount.cluster_options = None;
    let says_nothing =
        mount.bind_options.as_ref().is_some_and(|bind| bind.propagation.is_empty() && !bind.non_recursive);
    if says_nothing {
        mount.bind_options = None;
    }
    if let Some(bind) = &mut mount.bind_options {
        bind.create_mountpoint = false;
        bind.read_only_non_recursive = false;
        bind.read_only_force_recursive = false;
        bind.propagation =
            if bind.propagation.is_empty() { "rprivate".to_owned() } else { bind.propagation.to_lowercase() };
    }
    if api < SUBPATH
        && let Some(volume) = &mut mount.volume_options
    {
        volume.subpath.clear();
    }
    if api < SCORES
        && let Some(tmpfs) = &mut mount.tmpfs_options
    {
        tmpfs.options.clear();
    }
}

fn update_config(config: &mut UpdateConfig) {
    config.parallelism.get_or_insert(0);
    config.failure_action.get_or_insert(FailureAction::Pause);
    config.order.get_or_insert(UpdateOrder::StopFirst);
}

fn endpoint_spec(endpoint: &mut EndpointSpec) {
    endpoint.mode.get_or_insert(EndpointMode::Vip);
    for port in &mut endpoint.ports {
        published(port);
    }
}

/// Words that are not known become the first, whatever that means for who can reach the port.
fn published(port: &mut PortConfig) {
    let word = |word: Option<&str>| word.unwrap_or_default().to_lowercase();
    let protocol = match word(port.protocol.as_ref().map(PortProtocol::as_str)).as_str() {
        "udp" => PortProtocol::Udp,
        "sctp" => PortProtocol::Sctp,
        _ => PortProtocol::Tcp,
    };
    let mode = match word(port.publish_mode.as_ref().map(PublishMode::as_str)).as_str() {
        "host" => PublishMode::Host,
        _ => PublishMode::Ingress,
    };
    (port.protocol, port.publish_mode) = (Some(protocol), Some(mode));
}
