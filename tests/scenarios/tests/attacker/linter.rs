//! What a tenant's service may be, read from the engine's JSON: what is on these lists, and nothing else.

use serde_json::{Value, json};

const SPEC: [&str; 7] =
    ["Name", "Labels", "TaskTemplate", "Mode", "UpdateConfig", "RollbackConfig", "EndpointSpec"];
const TASK: [&str; 8] = [
    "ContainerSpec",
    "Resources",
    "RestartPolicy",
    "Placement",
    "Networks",
    "LogDriver",
    "ForceUpdate",
    "Runtime",
];
const CONTAINER: [&str; 18] = [
    "Image",
    "Labels",
    "Command",
    "Args",
    "Env",
    "Dir",
    "User",
    "Privileges",
    "ReadOnly",
    "Mounts",
    "StopGracePeriod",
    "Healthcheck",
    "Secrets",
    "CapabilityAdd",
    "Configs",
    "CapabilityDrop",
    "Isolation",
    "DNSConfig",
];
/// Where nothing of a tenant's may be mounted: the system's own, and what the engine puts there.
const SYSTEM: [&str; 4] = ["/proc", "/sys", "/dev", "/run/secrets"];
/// The largest plan there is in these worlds.
const NANO_CPUS_MAX: i64 = 1_000_000_000;
const MEMORY_MAX: i64 = 512 << 20;
const PIDS_MAX: i64 = 256;
const REPLICAS_MAX: i64 = 5;
/// Far below what the managers can store twice.
const BYTES_MAX: usize = 600_000;

/// What is wrong with a service.
pub(crate) fn service(spec: &Value, networks: &[Value], uids: &[String]) -> Vec<String> {
    let name = text(spec, "/Name");
    if name.starts_with("skep-anchor-") {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut rule = |holds: bool, what: String| {
        if !holds {
            found.push(format!("{name}: {what}"));
        }
    };
    let org = name.split('_').next().unwrap_or_default().to_owned();
    rule(["acme", "globex"].contains(&org.as_str()), "is no tenant's".to_owned());
    rule(spec.to_string().len() <= BYTES_MAX, "is too large to be changed".to_owned());
    for (at, known) in
        [("", &SPEC[..]), ("/TaskTemplate", &TASK), ("/TaskTemplate/ContainerSpec", &CONTAINER)]
    {
        for (field, value) in object(spec, at) {
            rule(known.contains(&field.as_str()) || is_empty(&value), format!("{at}/{field} is {value}"));
        }
    }
    labels(spec, &org, uids, &mut rule);
    let endpoint = object(spec, "/EndpointSpec");
    rule(
        endpoint.iter().all(|(field, value)| field == "Mode" && value == "dnsrr"),
        format!("is published: {endpoint:?}"),
    );
    let mode: Vec<String> = object(spec, "/Mode").into_iter().map(|(mode, _)| mode).collect();
    rule(mode == ["Replicated"], format!("runs as {mode:?}"));
    let replicas = number(spec, "/Mode/Replicated/Replicas");
    rule((0..=REPLICAS_MAX).contains(&replicas), format!("has {replicas} instances"));

    let attached = list(spec, "/TaskTemplate/Networks");
    let own = networks.iter().find(|network| text(network, "/Name") == format!("skep-{org}"));
    let own = own.map(|network| text(network, "/Id")).unwrap_or_default();
    let on_own = attached.iter().all(|network| text(network, "/Target") == own);
    rule(attached.len() == 1 && on_own, format!("is attached to {attached:?}, its own is {own}"));
    let constraints = list(spec, "/TaskTemplate/Placement/Constraints");
    rule(is_kept_apart(&constraints, &org), format!("is placed by {constraints:?}"));
    for (field, most) in [("NanoCPUs", NANO_CPUS_MAX), ("MemoryBytes", MEMORY_MAX), ("Pids", PIDS_MAX)] {
        let limit = number(spec, &format!("/TaskTemplate/Resources/Limits/{field}"));
        rule((1..=most).contains(&limit), format!("may use {limit} of {field}"));
    }
    rule(text(spec, "/TaskTemplate/LogDriver/Name") == "json-file", "logs elsewhere".to_owned());
    rule(!text(spec, "/TaskTemplate/LogDriver/Options/max-size").is_empty(), "logs without bound".to_owned());
    rule(is_one_of(&text(spec, "/TaskTemplate/Runtime"), &["", "container"]), "is no container".to_owned());
    container(spec, &org, &mut rule);
    found
}

fn labels(spec: &Value, org: &str, uids: &[String], rule: &mut impl FnMut(bool, String)) {
    for (key, value) in object(spec, "/Labels") {
        let value = value.as_str().unwrap_or_default();
        let is_known = match key.as_str() {
            "skep.dev/uid" => uids.iter().any(|uid| uid == value),
            "skep.dev/instance" => value == "skep-1",
            "skep.dev/org" => value == org,
            "traefik.enable" => value == "true",
            "traefik.swarm.lbswarm" => value == "false",
            "traefik.swarm.network" | "traefik.docker.network" => value == format!("skep-{org}"),
            key if key.starts_with("skep.dev/") => is_word(value),
            key => is_routing(key, value, org),
        };
        rule(is_known, format!("has the label {key}={value}"));
    }
    let inside = object(spec, "/TaskTemplate/ContainerSpec/Labels");
    rule(inside.iter().all(|(key, _)| key.starts_with("skep.dev/")), format!("has inside {inside:?}"));
}

/// One router for each host, and one port: nothing that could be a second rule, a middleware or another's service.
fn is_routing(key: &str, value: &str, org: &str) -> bool {
    let parts: Vec<&str> = key.split('.').collect();
    match parts.as_slice() {
        ["traefik", "http", "routers", name, field @ ..] => {
            let is_own = name.starts_with(org) && is_word(name);
            is_own
                && match field {
                    ["rule"] => is_host_rule(value, org),
                    ["entrypoints" | "service"] => is_word(value),
                    ["tls"] => value == "true",
                    ["tls", "certresolver"] => is_word(value),
                    _ => false,
                }
        }
        ["traefik", "http", "services", name, "loadbalancer", "server", "port"] => {
            name.starts_with(org) && is_word(name) && value.parse::<u16>().is_ok_and(|port| port > 0)
        }
        _ => false,
    }
}

fn is_host_rule(value: &str, org: &str) -> bool {
    let host = value.strip_prefix("Host(`").and_then(|rest| rest.strip_suffix("`)")).unwrap_or_default();
    let is_host = host.contains('.')
        && host.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-'));
    is_host && (org == "globex" || host != "www.globex.test")
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

/// The constraints of its organisation's tier, all of them, and besides at most a region and what the entry program was built for.
fn is_kept_apart(constraints: &[Value], org: &str) -> bool {
    let isolating = match org {
        "acme" => json!(["node.labels.skep.isolation==enhanced", "node.labels.skep.pool==gold"]),
        _ => json!(["node.labels.skep.isolation!=dedicated", "node.labels.skep.isolation!=enhanced"]),
    };
    let is_built_for = |one: &Value| *one == json!("node.platform.arch==x86_64");
    let others: Vec<&Value> =
        constraints.iter().filter(|one| !is_region(one) && !is_built_for(one)).collect();
    json!(others) == isolating && constraints.iter().filter(|one| is_region(one)).count() <= 1
}

/// Where an organisation's tasks may run in these worlds.
pub(crate) fn node_of(org: &str) -> &'static str {
    if org == "acme" { "node-2" } else { "node-1" }
}

fn is_region(constraint: &Value) -> bool {
    let region = constraint.as_str().and_then(|text| text.strip_prefix("node.labels.region=="));
    region.is_some_and(is_word)
}

fn container(spec: &Value, org: &str, rule: &mut impl FnMut(bool, String)) {
    let at = |field: &str| format!("/TaskTemplate/ContainerSpec/{field}");
    let dropped = list(spec, &at("CapabilityDrop"));
    rule(dropped == [json!("ALL")], format!("drops {dropped:?}"));
    let added = list(spec, &at("CapabilityAdd"));
    let is_allowed = |one: &Value| org == "acme" && (one == "CAP_CHOWN" || one == "CAP_SETUID");
    rule(added.iter().all(is_allowed), format!("adds {added:?}"));
    let privileges = spec.pointer(&at("Privileges")).cloned().unwrap_or_default();
    let wanted =
        json!({"NoNewPrivileges": true, "Seccomp": {"Mode": "default"}, "AppArmor": {"Mode": "default"}});
    rule(privileges == wanted, format!("has privileges {privileges}"));
    let user = text(spec, &at("User"));
    rule(user.is_empty() || user.parse::<u32>().is_ok_and(|user| user > 0), format!("runs as {user}"));
    for variable in list(spec, &at("Env")) {
        let value = variable.as_str().unwrap_or_default();
        // What Swarm's templates make of two braces in quotes is two braces.
        let left = value.replace(r#"{{"{{"}}"#, "");
        rule(!left.contains("{{") && !left.contains('\0'), format!("sets {value}"));
    }
    for mount in list(spec, &at("Mounts")) {
        let (kind, source, target) =
            (text(&mount, "/Type"), text(&mount, "/Source"), text(&mount, "/Target"));
        let is_own = source.starts_with(&format!("{org}_")) && is_word(&source);
        let fits = match kind.as_str() {
            "volume" => is_own && object(&mount, "/VolumeOptions").is_empty(),
            "tmpfs" => source.is_empty() && number(&mount, "/TmpfsOptions/SizeBytes") > 0,
            _ => false,
        };
        rule(fits, format!("mounts {mount}"));
        rule(object(&mount, "/BindOptions").is_empty(), format!("binds {mount}"));
        let is_plain =
            target.starts_with('/') && target.len() > 1 && !target.contains("{{") && !target.contains(',');
        let climbs = target.split('/').any(|part| matches!(part, "." | ".."));
        let is_of_system = |system: &str| target == system || target.starts_with(&format!("{system}/"));
        let at_system = SYSTEM.iter().any(|system| is_of_system(system));
        rule(is_plain && !climbs && !at_system, format!("mounts at {target}"));
    }
    for secret in list(spec, &at("Secrets")) {
        let (file, name) = (text(&secret, "/File/Name"), text(&secret, "/SecretName"));
        let is_file = !file.is_empty() && !file.contains('/') && file != "." && file != "..";
        rule(is_file && name.starts_with(&format!("{org}_")), format!("reads {secret}"));
    }
    let entry = json!({"Name": "/.skep/entry", "UID": "0", "GID": "0", "Mode": 0o555});
    for config in list(spec, &at("Configs")) {
        let is_entry = config["File"] == entry && text(&config, "/ConfigName") == "skep-entry-2-x86_64";
        rule(is_entry, format!("has {config}"));
    }
}

/// What is wrong with the networks.
pub(crate) fn networks(networks: &[Value]) -> Vec<String> {
    let known = ["skep-acme", "skep-globex", "ingress", "docker_gwbridge", "bridge", "host", "none"];
    let names = networks.iter().map(|network| text(network, "/Name"));
    names
        .filter(|name| !known.contains(&name.as_str()))
        .map(|name| format!("there is a network {name}"))
        .collect()
}

/// Ways to break a service, for whoever asks whether they are found.
pub(crate) fn broken() -> Vec<(&'static str, Value)> {
    vec![
        ("/TaskTemplate/ContainerSpec/Mounts", json!([{"Type": "bind", "Source": "/", "Target": "/host"}])),
        (
            "/TaskTemplate/ContainerSpec/Mounts",
            json!([{"Type": "volume", "Source": "acme_x", "Target": "/d", "VolumeOptions": {"DriverConfig": {"Options": {"o": "bind"}}}}]),
        ),
        (
            "/TaskTemplate/ContainerSpec/Mounts",
            json!([{"Type": "volume", "Source": "globex_x", "Target": "/d"}]),
        ),
        (
            "/TaskTemplate/ContainerSpec/Mounts",
            json!([{"Type": "volume", "Source": "acme_x", "Target": "/run/secrets"}]),
        ),
        (
            "/TaskTemplate/ContainerSpec/Mounts",
            json!([{"Type": "volume", "Source": "acme_x", "Target": "/a/../etc"}]),
        ),
        ("/TaskTemplate/ContainerSpec/CapabilityAdd", json!(["CAP_SYS_ADMIN"])),
        ("/TaskTemplate/ContainerSpec/CapabilityAdd", json!(["CAP_CHOWN", "CAP_KILL"])),
        ("/TaskTemplate/ContainerSpec/CapabilityDrop", json!([])),
        ("/TaskTemplate/ContainerSpec/Privileges/NoNewPrivileges", json!(false)),
        ("/TaskTemplate/ContainerSpec/Privileges/Seccomp", json!({"Mode": "unconfined"})),
        ("/TaskTemplate/ContainerSpec/Privileges/CredentialSpec", json!({"File": "x"})),
        ("/TaskTemplate/ContainerSpec/Sysctls", json!({"kernel.core_pattern": "|x"})),
        ("/TaskTemplate/ContainerSpec/User", json!("0")),
        ("/TaskTemplate/ContainerSpec/User", json!("root")),
        ("/TaskTemplate/ContainerSpec/Env", json!(["A={{.Node.ID}}"])),
        ("/TaskTemplate/ContainerSpec/Hosts", json!(["169.254.169.254 metadata"])),
        ("/TaskTemplate/ContainerSpec/Secrets", json!([{"SecretName": "globex_db", "File": {"Name": "x"}}])),
        (
            "/TaskTemplate/ContainerSpec/Configs",
            json!([{"ConfigName": "skep-instance", "File": {"Name": "/.skep/entry", "UID": "0", "GID": "0", "Mode": 365}}]),
        ),
        (
            "/TaskTemplate/ContainerSpec/Configs",
            json!([{"ConfigName": "skep-entry-2-x86_64", "File": {"Name": "/etc/passwd", "UID": "0", "GID": "0", "Mode": 365}}]),
        ),
        ("/TaskTemplate/Networks", json!([{"Target": "host"}])),
        ("/TaskTemplate/Networks", json!([])),
        ("/TaskTemplate/Placement", json!({"Constraints": ["node.role==manager"]})),
        ("/TaskTemplate/Placement", json!({})),
        ("/TaskTemplate/Placement/Constraints", json!(["node.labels.skep.isolation==enhanced"])),
        (
            "/TaskTemplate/Placement/Constraints",
            json!(["node.labels.skep.isolation==enhanced", "node.labels.skep.pool==silver"]),
        ),
        (
            "/TaskTemplate/Placement/Constraints",
            json!(["node.labels.skep.isolation!=dedicated", "node.labels.skep.isolation!=enhanced"]),
        ),
        ("/TaskTemplate/Resources/Limits/MemoryBytes", json!(0)),
        ("/TaskTemplate/Resources/Limits/Pids", json!(100_000)),
        ("/TaskTemplate/LogDriver/Name", json!("syslog")),
        ("/TaskTemplate/Runtime", json!("plugin")),
        ("/EndpointSpec/Ports", json!([{"PublishedPort": 22}])),
        ("/Mode", json!({"Global": {}})),
        ("/Mode/Replicated/Replicas", json!(5000)),
        ("/Labels/skep.dev~1uid", json!("00000000-0000-0000-0000-000000000000")),
        ("/Labels/traefik.http.routers.acme-x.rule", json!("Host(`a.test`) || Host(`b.test`)")),
        ("/Labels/traefik.http.routers.acme-x.rule", json!("Host(`www.globex.test`)")),
        ("/Labels/traefik.http.routers.acme-x.middlewares", json!("x")),
        ("/Labels/traefik.tcp.routers.acme-x.rule", json!("HostSNI(`*`)")),
        ("/Name", json!("other_service")),
    ]
}

/// Puts a value at a pointer, whether or not something is there.
pub(crate) fn put(value: &mut Value, pointer: &str, new: Value) {
    let Some((parent, field)) = pointer.rsplit_once('/') else { return };
    let field = field.replace("~1", "/");
    if let Some(object) = value.pointer_mut(parent).and_then(Value::as_object_mut) {
        object.insert(field, new);
    }
}

fn is_one_of(text: &str, known: &[&str]) -> bool {
    known.contains(&text)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(set) => !set,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_empty),
    }
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn number(value: &Value, pointer: &str) -> i64 {
    value.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

fn list(value: &Value, pointer: &str) -> Vec<Value> {
    value.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default()
}

fn object(value: &Value, pointer: &str) -> Vec<(String, Value)> {
    let found = value.pointer(pointer).and_then(Value::as_object);
    found.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect()
}
