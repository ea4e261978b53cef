//! The engine that Skep talks to. An engine tells this of itself alone: ask each node's with `docker info`.

use super::{Check, Look};

pub(super) fn checks(look: &Look<'_>) -> Vec<Check> {
    vec![
        user_namespaces(look),
        filters(look),
        exposure(look),
        registries(look),
        plugins(look),
        experimental(look),
    ]
}

fn has(look: &Look<'_>, option: &str) -> bool {
    look.engine.security_options.iter().any(|said| said.split(',').any(|part| part == option))
}

fn said(unless: bool, finding: &str) -> Vec<String> {
    if unless { Vec::new() } else { vec![finding.to_owned()] }
}

fn user_namespaces(look: &Look<'_>) -> Check {
    let remapped = has(look, "name=userns") || has(look, "name=rootless");
    Check {
        id: "cluster.userns-remap",
        benchmark: Some("2.9"),
        title: "root in a container is not root on its node",
        why: "an image that runs as root and gets out of its container is root on the node, and so has every tenant there",
        fix: "\"userns-remap\": \"default\" in /etc/docker/daemon.json, before anything runs on the node: images and volumes are kept apart from those before",
        looked_at: 1,
        findings: said(remapped, "the engine maps no users"),
    }
}

fn filters(look: &Look<'_>) -> Check {
    let seccomp = look.engine.security_options.iter().find(|said| said.starts_with("name=seccomp"));
    let is_builtin =
        seccomp.is_some_and(|said| said.contains("profile=builtin") || said.contains("profile=default"));
    let finding = match seccomp {
        None => "the engine has no seccomp".to_owned(),
        Some(said) => format!("the engine's own filter is {said}"),
    };
    Check {
        id: "cluster.seccomp",
        benchmark: Some("2.17"),
        title: "system calls are filtered by the engine's own profile",
        why: "the kernel's rarely used calls are where containers get out",
        fix: "take `seccomp-profile` out of /etc/docker/daemon.json, and run a kernel with CONFIG_SECCOMP",
        looked_at: 1,
        findings: said(is_builtin, &finding),
    }
}

fn exposure(look: &Look<'_>) -> Check {
    let open = |warning: &&String| {
        warning.contains("without encryption") || warning.contains("is accessible on http")
    };
    Check {
        id: "cluster.engine-exposure",
        benchmark: Some("2.7"),
        title: "the engine is not reached over the network without a certificate",
        why: "whoever reaches an engine is root on its node",
        fix: "take the `tcp://` address out of the engine's start, or give it --tlsverify",
        looked_at: 1,
        findings: look.engine.warnings.iter().filter(open).map(|warning| warning.trim().to_owned()).collect(),
    }
}

fn registries(look: &Look<'_>) -> Check {
    // The engine's own; what stays on the node cannot be listened to.
    let is_local = |registry: &&String| registry.starts_with("127.") || registry.starts_with("::1");
    let insecure = look.engine.insecure_registries.iter().filter(|registry| !is_local(registry));
    Check {
        id: "cluster.insecure-registries",
        benchmark: Some("2.5"),
        title: "registries are asked over verified TLS",
        why: "who is between the node and the registry chooses what tenants run, and reads their passwords",
        fix: "take `insecure-registries` out of /etc/docker/daemon.json; give the registry a certificate",
        looked_at: 1,
        findings: insecure.map(|registry| format!("{registry} is asked without")).collect(),
    }
}

fn plugins(look: &Look<'_>) -> Check {
    let plugins = look.engine.authorization_plugins.iter();
    Check {
        id: "cluster.authorization-plugins",
        benchmark: None,
        title: "no plug-in decides about what is asked of the engine",
        why: "such plug-ins were got around again and again; tenants of Skep never reach an engine, so it needs none, and one that says no breaks the loop",
        fix: "take `authorization-plugins` out of /etc/docker/daemon.json, or accept this finding if others use the engine too",
        looked_at: 1,
        findings: plugins.map(|plugin| format!("{plugin} does")).collect(),
    }
}

fn experimental(look: &Look<'_>) -> Check {
    Check {
        id: "cluster.experimental",
        benchmark: Some("2.18"),
        title: "the engine has no experimental features on",
        why: "nobody promises to mend or to keep them",
        fix: "take `experimental` out of /etc/docker/daemon.json",
        looked_at: 1,
        findings: said(!look.engine.is_experimental, "it has"),
    }
}
