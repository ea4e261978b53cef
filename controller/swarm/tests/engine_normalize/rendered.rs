//! Services as Skep renders them, made from numbers.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use skep_planner::constraint::Constraints;
use skep_planner::policy::isolation::Isolation;
use skep_planner::render::{EngineFeatures, Route, RouteTls, ServiceInput, anchor_spec, service_spec};
use skep_planner::settings::{AnchorImage, Architecture, EdgeSettings, NetworkPool, Settings};
use skep_planner::swarm::{ConfigId, NetworkId, SecretId, ServiceSpec};
use skep_planner::{InstanceId, ReleaseContent, ReleaseVersion};
use skep_schemas::kind::RolloutSpec;
use skep_schemas::{Duration, Kind, OrgName, ResourceKey, Scope, Uid};

use crate::docker::{Docker, SECRET};

/// How many different services are rendered.
pub(crate) const SERVICES: u32 = 24;

fn settings() -> Settings {
    Settings {
        instance: InstanceId::new("test"),
        pool: NetworkPool::new("10.128.0.0/16".parse().expect("a range"), 24).expect("a pool"),
        default_resources: serde_json::from_value(json!({"cpu": "250m", "memory": "64Mi"}))
            .expect("resources"),
        edge: EdgeSettings {
            http_entrypoint: "web".to_owned(),
            https_entrypoint: "websecure".to_owned(),
            certificate_resolver: Some("acme".to_owned()),
            public_http_port: 80,
            public_https_port: 443,
            drain: EdgeSettings::drain_for(Duration::from_secs(5)),
            anchor: anchor(),
        },
        architecture: Architecture::HERE,
        reach: Default::default(),
        forward_image: None,
    }
}

fn anchor() -> AnchorImage {
    AnchorImage { image: "127.0.0.1:5999/pause:1".to_owned(), args: vec!["sleep".to_owned()] }
}

/// What a release is made of, by the bits of a number.
fn content(seed: u32) -> ReleaseContent {
    let is = |bit: u32| seed & (1 << bit) != 0;
    let digest = format!("sha256:{seed:064x}");
    let mut process = json!({"env": {"A": "1", "B": "two {{words}}", "EMPTY": ""}, "ports": [],
        "resources": {"cpu": "250m", "memory": "64Mi", "pids": 100}, "volumes": [],
        "stopGracePeriod": if is(3) { "10s" } else { "7s" }});
    if is(5) {
        process["ports"] = json!([{"name": "http", "port": 80}]);
    }
    if is(0) {
        process["healthCheck"] = json!({"command": ["/bin/check", "-q"], "interval": "2s"});
        process["command"] = json!(["serve", "--port=80"]);
    }
    if is(1) {
        process["volumes"] =
            json!([{"name": "data", "path": "/data"}, {"name": "more", "path": "/a", "readOnly": true}]);
        process["entrypoint"] = json!(["/bin/entry"]);
        process["workingDir"] = json!("/work");
    }
    let mut secrets = json!([{"name": "token", "version": 1, "object": SECRET, "file": "token"}]);
    if is(1) {
        secrets[0]["env"] = json!("TOKEN");
    }
    let condition = ["any", "on-failure", "none"].get(usize::try_from(seed % 3).unwrap_or_default());
    serde_json::from_value(json!({
        "image": {"reference": "127.0.0.1:5999/shop:1", "resolved": {"from": "registry", "digest": digest}, "start":
            {"entrypoint": ["/init"], "command": ["serve"], "stopSignal": 3, "hasHealthCheck": false}},
        "processes": {"web": process},
        "secrets": if is(2) { secrets } else { json!([]) },
        "region": if is(1) { json!("eu") } else { Value::Null },
        "restart": {"condition": condition, "delay": if is(4) { "5s" } else { "1s" }},
        "security": match (is(2), is(3)) {
            (true, _) => json!({"writableRoot": true, "user": 1000}),
            (false, true) => json!({"capabilities": ["SETUID", "CHOWN"]}),
            (false, false) => json!({}),
        },
    }))
    .expect("a release")
}

/// A service, or every eighth time an anchor.
pub(crate) fn rendered(seed: u32, docker: &Docker) -> ServiceSpec {
    let org: OrgName = "acme".parse().expect("a name");
    let key = ResourceKey::new(Scope::Org(org.clone()), Kind::Environment, "prod".parse().expect("a name"))
        .expect("a key");
    let mut settings = settings();
    settings.instance = InstanceId::new(format!("test-{seed}"));
    if seed % 8 == 7 {
        let network = NetworkId::new(&docker.network);
        let constraints: Vec<String> =
            (seed % 16 == 7).then(|| "node.role==manager".to_owned()).into_iter().collect();
        return anchor_spec(
            &settings.instance,
            &org,
            &key,
            Uid::generate(),
            &network,
            &anchor(),
            &constraints,
        );
    }
    let content = content(seed);
    let name = "web".parse().expect("a name");
    let secrets = BTreeMap::from([(SECRET.to_owned(), SecretId::new(&docker.secret))]);
    let routes = [Route {
        name: "acme-shop".to_owned(),
        host: "shop.example.test".parse().expect("a host"),
        port: serde_json::from_value(json!(80)).expect("a port"),
        tls: if seed.is_multiple_of(2) { RouteTls::Off } else { RouteTls::Resolver("acme".to_owned()) },
    }];
    let orders = ["auto", "start-first", "stop-first"];
    let order = orders.get(usize::try_from(seed % 3).unwrap_or_default());
    let rollout: RolloutSpec =
        serde_json::from_value(json!({"parallelism": 1 + seed % 3, "order": order})).expect("a rollout");
    let isolation = Isolation::standard().constraints(&org);
    let constraints = Constraints::new(content.region.as_ref(), isolation);
    service_spec(&ServiceInput {
        stopped: None,
        restarts: 0,
        credential: None,
        constraints: &constraints,
        settings: &settings,
        org: &org,
        key: &key,
        uid: Uid::generate(),
        name: &name,
        process: content.processes.get(&name).expect("the process"),
        content: &content,
        release: ReleaseVersion::FIRST,
        // Of interest is what is stored, not what runs.
        instances: 0,
        rollout: &rollout,
        network: &docker.network,
        secrets: &secrets,
        entry: Some(&ConfigId::new(&docker.entry)),
        routes: if seed.is_multiple_of(4) { &routes } else { &[] },
        engine: EngineFeatures::of_api(1, docker.api),
    })
}
