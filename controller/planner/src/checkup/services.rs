//! Services: what any of them has that makes its node's owner of whoever gets into it. Those of tenants cannot have it; what is found is the
//! operator's own, or was changed by hand.

use super::{Check, Look};
use crate::swarm::{ContainerSpec, Mount, MountType, ProfileMode, Service, TaskSpec};

/// What no service has a reason to see of its node.
const SENSITIVE: [&str; 9] = ["/", "/boot", "/dev", "/etc", "/lib", "/proc", "/root", "/sys", "/usr"];
/// Sockets that are the engine's whole power.
const SOCKETS: [&str; 3] = ["docker.sock", "containerd.sock", "dockerd.sock"];
/// Capabilities beyond the engine's default set that are worth the node.
const POWERFUL: [&str; 11] = [
    "ALL",
    "SYS_ADMIN",
    "SYS_PTRACE",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_BOOT",
    "NET_ADMIN",
    "DAC_READ_SEARCH",
    "BPF",
    "PERFMON",
    "SYSLOG",
];

pub(super) fn checks(look: &Look<'_>) -> Vec<Check> {
    let check = |id, benchmark, title, why, fix, wrong: fn(&TaskSpec, &ContainerSpec) -> Vec<String>| {
        let findings = look.services.iter().flat_map(|service| of_service(service, wrong));
        Check { id, benchmark, title, why, fix, looked_at: look.services.len(), findings: findings.collect() }
    };
    let mut checks = vec![
        check(
            "cluster.engine-socket",
            Some("5.32"),
            "no service has the engine's socket",
            "whoever gets into such a service owns the Swarm",
            "give it a proxy that passes on reads of services, tasks and networks alone; for Skep's own server the socket is what it works with",
            sockets,
        ),
        check(
            "cluster.host-directories",
            Some("5.6"),
            "no service has directories of its node that matter",
            "what it writes there, the node runs",
            "mount a named volume, or a directory of the service's own",
            directories,
        ),
        check(
            "cluster.capabilities",
            Some("5.4"),
            "no service has capabilities that are worth a node",
            "each of them is a way out of the container",
            "drop ALL, and add what the program needs",
            capabilities,
        ),
        check(
            "cluster.unconfined",
            Some("5.22"),
            "no service is without its filters",
            "a container without seccomp or AppArmor has the whole kernel to try",
            "take `unconfined` out of the service",
            unconfined,
        ),
        check(
            "cluster.host-network",
            Some("5.10"),
            "no service is on its node's own network",
            "it listens to and speaks for the node, and its ports are nobody's to see in the Swarm",
            "publish the port in host mode instead",
            host_network,
        ),
    ];
    checks.push(limits(look));
    checks
}

fn of_service(service: &Service, wrong: fn(&TaskSpec, &ContainerSpec) -> Vec<String>) -> Vec<String> {
    let task = &service.spec.task_template;
    let found = task.container_spec.as_ref().map(|container| wrong(task, container)).unwrap_or_default();
    found.into_iter().map(|what| format!("service {} {what}", service.spec.name)).collect()
}

fn binds(container: &ContainerSpec) -> impl Iterator<Item = &Mount> {
    container.mounts.iter().filter(|mount| mount.mount_type == Some(MountType::Bind))
}

fn sockets(_: &TaskSpec, container: &ContainerSpec) -> Vec<String> {
    let is_socket = |mount: &&Mount| SOCKETS.iter().any(|socket| mount.source.ends_with(socket));
    let has = |mount: &Mount| format!("has {}", mount.source);
    binds(container).filter(is_socket).map(has).collect()
}

fn directories(_: &TaskSpec, container: &ContainerSpec) -> Vec<String> {
    let plain = |mount: &Mount| match mount.source.trim_end_matches('/') {
        "" => "/".to_owned(),
        path => path.to_owned(),
    };
    let is_sensitive = |mount: &&Mount| {
        let path = plain(mount);
        // Docker's own directory holds every container's files.
        SENSITIVE.contains(&path.as_str())
            || path.starts_with("/var/lib/docker")
            || path == "/var/run"
            || path == "/run"
    };
    binds(container).filter(is_sensitive).map(|mount| format!("mounts {}", mount.source)).collect()
}

fn capabilities(_: &TaskSpec, container: &ContainerSpec) -> Vec<String> {
    let plain = |capability: &str| capability.to_ascii_uppercase().trim_start_matches("CAP_").to_owned();
    let added = container.capability_add.iter().map(|capability| plain(capability));
    added
        .filter(|capability| POWERFUL.contains(&capability.as_str()))
        .map(|one| format!("has {one}"))
        .collect()
}

fn unconfined(_: &TaskSpec, container: &ContainerSpec) -> Vec<String> {
    let Some(privileges) = &container.privileges else { return Vec::new() };
    let is_off = |mode: Option<&ProfileMode>| {
        mode.is_some_and(|mode| matches!(mode, ProfileMode::Unconfined | ProfileMode::Disabled))
    };
    let seccomp = privileges.seccomp.as_ref().and_then(|filter| filter.mode.as_ref());
    let app_armor = privileges.app_armor.as_ref().and_then(|filter| filter.mode.as_ref());
    let found = [("seccomp", seccomp), ("AppArmor", app_armor)];
    found
        .into_iter()
        .filter(|(_, mode)| is_off(*mode))
        .map(|(filter, _)| format!("runs without {filter}"))
        .collect()
}

fn host_network(task: &TaskSpec, _: &ContainerSpec) -> Vec<String> {
    let on_host = task.networks.iter().any(|network| network.target == "host");
    if on_host { vec!["is".to_owned()] } else { Vec::new() }
}

/// Skep's own services are left out: they have what their plans say.
fn limits(look: &Look<'_>) -> Check {
    let others: Vec<&Service> = look.services.iter().filter(|service| !look.is_ours(service)).collect();
    let unlimited = |service: &&&Service| {
        let limits =
            service.spec.task_template.resources.as_ref().and_then(|resources| resources.limits.as_ref());
        limits.is_none_or(|limits| limits.memory_bytes == 0 || limits.pids == 0)
    };
    Check {
        id: "cluster.limits",
        benchmark: Some("5.11, 5.29"),
        title: "services beside those of tenants have limits of memory and processes, too",
        why: "one that grows without end takes the node from the tenants on it",
        fix: "docker service update --limit-memory 512M --limit-pids 512 SERVICE",
        looked_at: others.len(),
        findings: others
            .iter()
            .filter(unlimited)
            .map(|service| format!("service {} has not", service.spec.name))
            .collect(),
    }
}
