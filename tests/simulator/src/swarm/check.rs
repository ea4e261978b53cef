//! What an engine refuses of a service's spec, in the order in which it looks: the words of its own (`daemon/cluster/convert`),
//! then what its managers check of the spec alone, then what the spec refers to.

use std::collections::{BTreeMap, BTreeSet};

use skep_planner::swarm::{
    ContainerSpec, EndpointMode, FailureAction, MountType, NetworkId, PublishMode, RestartCondition,
    ServiceId, ServiceSpec, UpdateConfig, UpdateOrder,
};

use super::services::is_job;
use super::{Swarm, form};
use crate::refusal::{Code, Refusal};

/// The longest name of a service or network.
const NAME_LIMIT: usize = 63;

/// The shortest time of a health check, in nanoseconds.
const SHORTEST: i64 = 1_000_000;

impl Swarm {
    /// The form in which this engine would store a spec, if it takes it.
    pub(super) fn accepted(&self, spec: &ServiceSpec) -> Result<ServiceSpec, Refusal> {
        check_words(spec)?;
        let mut stored = form::service(spec, self.behaviour.api());
        let networks = stored.task_template.networks.iter_mut().chain(&mut stored.networks);
        for attachment in networks {
            attachment.target = self.resolved_network(&attachment.target)?;
        }
        check_spec(&stored)?;
        Ok(stored)
    }

    /// The id of a network that is named or whose id is said.
    fn resolved_network(&self, target: &str) -> Result<String, Refusal> {
        let by_id = self.networks.get(&NetworkId::from(target));
        let found = by_id.or_else(|| self.networks.values().find(|record| record.network.name == target));
        match found {
            Some(record) => Ok(record.network.id.to_string()),
            // Not 404: the engine looks here itself and wraps what it finds.
            None => Err(Refusal::new(404, format!("network {target} not found"))),
        }
    }

    /// Secrets and configs that a spec refers to are there, under their names.
    pub(super) fn check_references(&self, spec: &ServiceSpec) -> Result<(), Refusal> {
        let Some(container) = &spec.task_template.container_spec else { return Ok(()) };
        let secrets = container.secrets.iter().filter(|reference| {
            let found = self.secrets.get(&reference.secret_id);
            found.is_none_or(|secret| secret.spec.name != reference.secret_name)
        });
        missing("secret", secrets.map(|reference| reference.secret_name.clone()).collect())?;
        let configs = container.configs.iter().filter(|reference| {
            let found = self.configs.get(&reference.config_id);
            found.is_none_or(|config| config.spec.name != reference.config_name)
        });
        missing("config", configs.map(|reference| reference.config_name.clone()).collect())
    }

    /// No other service publishes the same port in the routing mesh.
    pub(super) fn check_ports(&self, spec: &ServiceSpec, own: Option<&ServiceId>) -> Result<(), Refusal> {
        let wanted = ports(spec);
        for record in self.services.values().filter(|record| Some(&record.service.id) != own) {
            let other = &record.service;
            for (port, protocol, mode) in ports(&other.spec) {
                let clash = wanted.iter().find(|(wanted_port, wanted_protocol, wanted_mode)| {
                    (*wanted_port, wanted_protocol) == (port, &protocol)
                        && (mode == PublishMode::Ingress || *wanted_mode == PublishMode::Ingress)
                });
                if clash.is_some() {
                    let words = format!(
                        "port '{port}' is already in use by service '{}' ({}) as {} port",
                        other.spec.name,
                        other.id,
                        if mode == PublishMode::Ingress { "an ingress" } else { "a host-published" }
                    );
                    return Err(Refusal::rpc(Code::InvalidArgument, words));
                }
            }
        }
        Ok(())
    }
}

fn missing(kind: &str, names: Vec<String>) -> Result<(), Refusal> {
    match names.len() {
        0 => Ok(()),
        1 => Err(invalid(format!("{kind} not found: {}", names.join(", ")))),
        _ => Err(invalid(format!("{kind}s not found: {}", names.join(", ")))),
    }
}

fn invalid(words: impl Into<String>) -> Refusal {
    Refusal::rpc(Code::InvalidArgument, words.into())
}

fn ports(spec: &ServiceSpec) -> Vec<(u32, String, PublishMode)> {
    let ports = spec.endpoint_spec.iter().flat_map(|endpoint| &endpoint.ports);
    ports
        .filter(|port| port.published_port != 0)
        .map(|port| {
            let protocol = port.protocol.as_ref().map_or_else(String::new, ToString::to_string);
            (port.published_port, protocol, port.publish_mode.clone().unwrap_or(PublishMode::Ingress))
        })
        .collect()
}

/// Words of which the engine itself knows only some.
fn check_words(spec: &ServiceSpec) -> Result<(), Refusal> {
    let refuse = |words: String| Err(Refusal::new(400, words));
    if spec.task_template.container_spec.is_none() {
        return refuse("invalid service spec: TaskTemplate.ContainerSpec is missing".to_owned());
    }
    if let Some(policy) = &spec.task_template.restart_policy
        && let Some(RestartCondition::Other(word)) = &policy.condition
    {
        return refuse(format!("invalid RestartCondition: {word:?}"));
    }
    for config in [&spec.update_config, &spec.rollback_config].into_iter().flatten() {
        check_update_words(config)?;
    }
    if let Some(EndpointMode::Other(word)) = spec.endpoint_spec.as_ref().and_then(|spec| spec.mode.as_ref()) {
        return refuse(format!("invalid resolution mode: {word:?}"));
    }
    spec.task_template.container_spec.iter().try_for_each(check_container_words)
}

fn check_update_words(config: &UpdateConfig) -> Result<(), Refusal> {
    if let Some(FailureAction::Other(word)) = &config.failure_action {
        return Err(Refusal::new(400, format!("unrecognized update failure action {word}")));
    }
    if let Some(UpdateOrder::Other(word)) = &config.order {
        return Err(Refusal::new(400, format!("unrecognized update order {word}")));
    }
    Ok(())
}

fn check_container_words(container: &ContainerSpec) -> Result<(), Refusal> {
    let refuse = |words: String| Err(Refusal::new(400, words));
    if let Some(spec) =
        container.privileges.as_ref().and_then(|privileges| privileges.credential_spec.as_ref())
        && spec.config.is_empty()
        && spec.file.is_empty()
        && spec.registry.is_empty()
    {
        return refuse(
                "invalid CredentialSpec: must either provide \"file\", \"registry\", or \"config\" for credential spec"
                    .to_owned(),
            );
    }
    for mount in &container.mounts {
        let folded =
            mount.mount_type.as_ref().map(|kind| MountType::from(kind.as_str().to_lowercase().as_str()));
        if let Some(MountType::Other(word)) = &folded {
            return refuse(format!("invalid MountType: {word:?}"));
        }
        if let Some(bind) = &mount.bind_options {
            let word = bind.propagation.to_lowercase();
            let known = ["", "private", "rprivate", "rslave", "slave", "rshared", "shared"];
            if !known.contains(&word.as_str()) {
                return refuse(format!("invalid MountPropagation: {:?}", bind.propagation));
            }
        }
    }
    match container.configs.iter().find(|config| config.file.is_none() && config.runtime.is_none()) {
        Some(_) => refuse("invalid Config: either File or Runtime should be set".to_owned()),
        None => Ok(()),
    }
}

/// What the managers check of a spec alone.
fn check_spec(spec: &ServiceSpec) -> Result<(), Refusal> {
    check_name(&spec.name)?;
    let template = &spec.task_template;
    if let Some(resources) = &template.resources {
        let reserved = resources.reservations.as_ref().map(|found| (found.nano_cpus, found.memory_bytes));
        let limited = resources.limits.as_ref().map(|found| (found.nano_cpus, found.memory_bytes));
        for (cpus, memory) in [limited, reserved].into_iter().flatten() {
            if cpus != 0 && cpus < 1_000_000 {
                return Err(invalid(format!(
                    "invalid cpu value {}: Must be at least 0.001",
                    cpus_text(cpus)
                )));
            }
            if memory != 0 && memory < 4 << 20 {
                return Err(invalid(format!("invalid memory value {memory}: Must be at least 4MiB")));
            }
        }
    }
    let reserved = template.resources.as_ref().and_then(|resources| resources.reservations.as_ref());
    if reserved.is_some_and(|reserved| {
        reserved.generic_resources.iter().any(|of| of.values().all(serde_json::Value::is_null))
    }) {
        // Real engines panic over it and close the connection.
        return Err(Refusal::new(500, "the engine closes the connection without an answer"));
    }
    if let Some(container) = &template.container_spec {
        check_references_alone(container)?;
        check_container(container)?;
    }
    if let Some(placement) = &template.placement {
        for constraint in &placement.constraints {
            let read = super::orchestrator::parse_constraint(constraint);
            // Not sorted by the managers: their clients cannot tell whether it took effect.
            read.map_err(|words| Refusal::rpc(Code::Unknown, words))?;
        }
    }
    if is_job(spec) && spec.update_config.is_some() {
        return Err(invalid("Jobs may not have an update config"));
    }
    check_endpoint(spec)
}

/// The number as Go prints it: with an exponent when it is small.
fn cpus_text(nano: i64) -> String {
    let plain = format!("0.{nano:09}").trim_end_matches('0').to_owned();
    if nano >= 100_000 {
        return plain;
    }
    let digits = nano.to_string();
    let exponent = 9 - (digits.len() - 1);
    let (first, rest) = digits.split_at(1);
    let rest = rest.trim_end_matches('0');
    let point = if rest.is_empty() { "" } else { "." };
    format!("{first}{point}{rest}e-{exponent:02}")
}

pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    if name.is_empty() {
        return Err(invalid("meta: name must be provided"));
    }
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let sound = name.bytes().all(inner) && !name.starts_with(['-', '_']) && !name.ends_with(['-', '_']);
    if !sound {
        return Err(invalid("name must be valid as a DNS name component"));
    }
    if name.len() > NAME_LIMIT {
        return Err(invalid("name must be 63 characters or fewer"));
    }
    Ok(())
}

fn check_references_alone(container: &ContainerSpec) -> Result<(), Refusal> {
    let mut targets: BTreeMap<&str, &str> = BTreeMap::new();
    for reference in &container.secrets {
        if reference.secret_id.is_empty() || reference.secret_name.is_empty() {
            return Err(invalid("malformed secret reference"));
        }
        let Some(file) = &reference.file else {
            return Err(invalid("malformed secret reference, no target provided"));
        };
        if file.name.is_empty() {
            return Err(invalid("malformed file secret reference, invalid target file name provided"));
        }
        if let Some(other) = targets.insert(&file.name, &reference.secret_name) {
            let words = format!(
                "secret references '{other}' and '{}' have a conflicting target: '{}'",
                reference.secret_name, file.name
            );
            return Err(invalid(words));
        }
    }
    for reference in &container.configs {
        if reference.config_id.is_empty() || reference.config_name.is_empty() {
            return Err(invalid("malformed config reference"));
        }
        if reference.file.as_ref().is_some_and(|file| file.name.is_empty()) {
            return Err(invalid("malformed file config reference, invalid target file name provided"));
        }
    }
    Ok(())
}

fn check_container(container: &ContainerSpec) -> Result<(), Refusal> {
    if container.image.is_empty() {
        return Err(invalid("ContainerSpec: image reference must be provided"));
    }
    if !is_reference(&container.image) {
        return Err(invalid(format!("ContainerSpec: {:?} is not a valid repository/tag", container.image)));
    }
    let mut targets = BTreeSet::new();
    if let Some(twice) = container.mounts.iter().find(|mount| !targets.insert(&mount.target)) {
        return Err(invalid(format!("ContainerSpec: duplicate mount point: {}", twice.target)));
    }
    if let Some(check) = &container.healthcheck {
        let times = [
            ("Interval", check.interval),
            ("Timeout", check.timeout),
            ("StartPeriod", check.start_period),
            ("StartInterval", check.start_interval),
        ];
        for (name, time) in times {
            if time.0 != 0 && time.0 < SHORTEST {
                let words = format!("ContainerSpec: {name} in HealthConfig cannot be less than 1ms");
                return Err(invalid(words));
            }
        }
        if check.retries < 0 {
            return Err(invalid("ContainerSpec: Retries in HealthConfig cannot be negative"));
        }
    }
    Ok(())
}

/// Whether it is `host/path:tag@digest`, as far as anybody gets it wrong: small letters in the path, and a whole digest.
fn is_reference(image: &str) -> bool {
    let (named, digest) =
        image.split_once('@').map_or((image, None), |(named, digest)| (named, Some(digest)));
    let is_hex = |hex: &str| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    let has_digest = digest.is_none_or(|digest| digest.strip_prefix("sha256:").is_some_and(is_hex));
    let slash = named.rfind('/').map_or(0, |at| at + 1);
    let (path, tag) = match named[slash..].split_once(':') {
        Some((name, tag)) => (&named[..slash + name.len()], Some(tag)),
        None => (named, None),
    };
    let in_tag = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let has_tag = tag.is_none_or(|tag| !tag.is_empty() && tag.len() <= 128 && tag.bytes().all(in_tag));
    let (host, rest) = path.split_once('/').unwrap_or(("", path));
    let is_host = host.contains(['.', ':']) || host == "localhost";
    let checked = if is_host { rest } else { path };
    let in_path = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte);
    let has_path = checked.split('/').all(|part| !part.is_empty() && part.bytes().all(in_path));
    has_digest && has_tag && has_path
}

fn check_endpoint(spec: &ServiceSpec) -> Result<(), Refusal> {
    let Some(endpoint) = &spec.endpoint_spec else { return Ok(()) };
    let mut seen = BTreeSet::new();
    for port in &endpoint.ports {
        let is_mesh = port.publish_mode != Some(PublishMode::Host);
        if endpoint.mode == Some(EndpointMode::DnsRoundRobin) && is_mesh {
            return Err(invalid(
                "EndpointSpec: port published with ingress mode can't be used with dnsrr mode",
            ));
        }
        if port.published_port != 0 && !seen.insert((port.published_port, port.protocol.clone())) {
            return Err(invalid("EndpointSpec: duplicate published ports provided"));
        }
    }
    Ok(())
}
