use serde_json::{Value, json};

use super::*;

fn object<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn node(name: &str, engine: &str, manages: bool) -> Node {
    let mut node =
        json!({"ID": name, "Description": {"Hostname": name, "Engine": {"EngineVersion": engine}}});
    if manages {
        node["ManagerStatus"] = json!({"Leader": false});
    }
    object(node)
}

fn service(name: &str, container: Value, labels: Value) -> Service {
    let limits = json!({"Limits": {"MemoryBytes": 1, "Pids": 1}});
    let task = json!({"ContainerSpec": container, "Resources": limits});
    object(json!({"ID": name, "Spec": {"Name": name, "Labels": labels, "TaskTemplate": task}}))
}

fn edge(image: &str, args: &[&str]) -> Service {
    service("traefik", json!({"Image": image, "Args": args}), json!({LABEL_ROLE: ROLE_EDGE}))
}

fn network(name: &str, options: Value) -> Network {
    object(json!({"Id": name, "Name": name, "Driver": "overlay", "Options": options}))
}

struct Cluster {
    engine: EnginePosture,
    nodes: Vec<Node>,
    networks: Vec<Network>,
    services: Vec<Service>,
}

impl Cluster {
    /// One with nothing to find in it.
    fn sound() -> Self {
        let security_options = ["name=apparmor", "name=seccomp,profile=builtin", "name=userns"];
        Self {
            engine: EnginePosture {
                security_options: security_options.map(str::to_owned).to_vec(),
                insecure_registries: vec!["127.0.0.0/8".to_owned()],
                swarm: Some(SwarmSettings { is_autolocked: true, certificate_life: 7_776_000_000_000_000 }),
                ..EnginePosture::default()
            },
            nodes: ["n1", "n2", "n3"].map(|name| node(name, "29.3.1", true)).to_vec(),
            networks: vec![network("skep-acme", json!({"encrypted": ""}))],
            services: vec![edge("traefik:v3.7.13@sha256:00", &["--providers.swarm=true"])],
        }
    }

    /// The ids of what fails.
    fn failing(&self) -> Vec<&'static str> {
        let Self { engine, nodes, networks, services } = self;
        let instance = InstanceId::new("skep-1");
        let checks = examine(&Look { instance: &instance, engine, nodes, networks, services });
        checks.iter().filter(|check| !check.findings.is_empty()).map(|check| check.id).collect()
    }

    fn with(change: impl FnOnce(&mut Self)) -> Vec<&'static str> {
        let mut cluster = Self::sound();
        change(&mut cluster);
        cluster.failing()
    }
}

#[test]
fn nothing_is_found_in_a_sound_cluster_and_everything_was_looked_at() {
    let sound = Cluster::sound();
    assert_eq!(sound.failing(), [""; 0]);
    let instance = InstanceId::new("skep-1");
    let Cluster { engine, nodes, networks, services } = &sound;
    let checks = examine(&Look { instance: &instance, engine, nodes, networks, services });
    assert!(checks.iter().all(|check| check.looked_at > 0), "{checks:#?}");
    let ids: std::collections::BTreeSet<&str> = checks.iter().map(|check| check.id).collect();
    assert_eq!(ids.len(), checks.len());
}

#[test]
fn each_weakness_of_the_swarm_is_found_by_its_own_check() {
    assert_eq!(Cluster::with(|c| drop(c.nodes.pop())), ["cluster.managers"]);
    assert_eq!(Cluster::with(|c| c.nodes.push(node("n4", "29.3.1", true))), ["cluster.managers"]);
    let settings = |is_autolocked, days: i64| {
        Some(SwarmSettings { is_autolocked, certificate_life: days * 24 * 3600 * 1_000_000_000 })
    };
    assert_eq!(Cluster::with(|c| c.engine.swarm = settings(false, 90)), ["cluster.autolock"]);
    assert_eq!(Cluster::with(|c| c.engine.swarm = settings(true, 365)), ["cluster.certificates"]);
    assert_eq!(Cluster::with(|c| c.nodes.push(node("w", "26.1.5", false))), ["cluster.engine-releases"]);
    assert_eq!(Cluster::with(|c| c.nodes.push(node("w", "dev", false))), ["cluster.engine-releases"]);
    let open = |c: &mut Cluster| c.networks.push(network("skep-globex", json!({})));
    assert_eq!(Cluster::with(open), ["cluster.encrypted-networks"]);
    let alone = |c: &mut Cluster| {
        open(c);
        c.nodes.truncate(1);
    };
    assert_eq!(Cluster::with(alone), ["cluster.managers"], "nothing travels on a single node");
}

#[test]
fn each_weakness_of_the_engine_is_found_by_its_own_check() {
    let without = |name: &'static str| {
        Cluster::with(move |c| c.engine.security_options.retain(|option| !option.starts_with(name)))
    };
    assert_eq!(without("name=userns"), ["cluster.userns-remap"]);
    assert_eq!(without("name=seccomp"), ["cluster.seccomp"]);
    let warning = "WARNING: API is accessible on http://0.0.0.0:2375 without encryption.\n Access to the remote API is equivalent to root";
    assert_eq!(Cluster::with(|c| c.engine.warnings.push(warning.to_owned())), ["cluster.engine-exposure"]);
    assert_eq!(
        Cluster::with(|c| c.engine.warnings.push("WARNING: No swap limit support".to_owned())),
        [""; 0]
    );
    let insecure = |c: &mut Cluster| c.engine.insecure_registries.push("10.0.0.0/8".to_owned());
    assert_eq!(Cluster::with(insecure), ["cluster.insecure-registries"]);
    let plugin = |c: &mut Cluster| c.engine.authorization_plugins.push("opa".to_owned());
    assert_eq!(Cluster::with(plugin), ["cluster.authorization-plugins"]);
    assert_eq!(Cluster::with(|c| c.engine.is_experimental = true), ["cluster.experimental"]);
}

#[test]
fn each_weakness_of_a_service_is_found_by_its_own_check() {
    let with =
        |container: Value| Cluster::with(move |c| c.services.push(service("other", container, json!({}))));
    let bind = |source: &str| json!({"Mounts": [{"Type": "bind", "Source": source, "Target": "/x"}]});
    assert_eq!(with(bind("/var/run/docker.sock")), ["cluster.engine-socket"]);
    assert_eq!(with(bind("/")), ["cluster.host-directories"]);
    assert_eq!(with(bind("/etc/")), ["cluster.host-directories"]);
    assert_eq!(with(bind("/srv/data")), [""; 0]);
    assert_eq!(with(json!({"CapabilityAdd": ["CAP_SYS_ADMIN"]})), ["cluster.capabilities"]);
    assert_eq!(with(json!({"CapabilityAdd": ["net_admin"]})), ["cluster.capabilities"]);
    assert_eq!(with(json!({"CapabilityAdd": ["NET_BIND_SERVICE"]})), [""; 0]);
    assert_eq!(with(json!({"Privileges": {"Seccomp": {"Mode": "unconfined"}}})), ["cluster.unconfined"]);
    assert_eq!(with(json!({"Privileges": {"AppArmor": {"Mode": "disabled"}}})), ["cluster.unconfined"]);
    let host = |c: &mut Cluster| {
        let mut other = service("other", json!({}), json!({}));
        other.spec.task_template.networks = vec![object(json!({"Target": "host"}))];
        c.services.push(other);
    };
    assert_eq!(Cluster::with(host), ["cluster.host-network"]);
    let unlimited = |labels: Value| {
        let mut other = service("other", json!({}), labels);
        other.spec.task_template.resources = None;
        Cluster::with(move |c| c.services.push(other))
    };
    assert_eq!(unlimited(json!({})), ["cluster.limits"]);
    assert_eq!(unlimited(json!({LABEL_INSTANCE: "skep-1"})), [""; 0]);
}

#[test]
fn traefik_is_judged_by_its_release_and_by_what_it_shows() {
    let with = |edge: Service| Cluster::with(move |c| c.services = vec![edge]);
    assert_eq!(with(edge("traefik:v3.7.2", &[])), ["cluster.traefik-release"]);
    assert_eq!(with(edge("traefik:latest", &[])), ["cluster.traefik-release"]);
    assert_eq!(with(edge("registry.example:5000/traefik", &[])), ["cluster.traefik-release"]);
    assert_eq!(with(edge("traefik:v3.7.3", &["--api.insecure"])), ["cluster.traefik-dashboard"]);
    assert_eq!(with(edge("traefik:v3.7.3", &["--API.Insecure=true"])), ["cluster.traefik-dashboard"]);
    assert_eq!(with(edge("traefik:v3.7.3", &["--api.insecure=false"])), [""; 0]);
}
