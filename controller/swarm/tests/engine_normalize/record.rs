//! What an engine makes of each value, and the files that say so.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use skep_planner::normalize::{CONTAINER, Field, NETWORK, SECRET, SERVICE};
use skep_testbed::EngineVersion;

use crate::cases::{Case, cases};
use crate::docker::{self, Docker};

/// Set to write the recordings instead of comparing with them.
const BLESS: &str = "SKEP_BLESS";
/// How a secret of a driver that is not there is refused, whatever the words.
const NO_SUCH_DRIVER: &str = "the driver's plugin is not there";

pub(crate) fn every_value_of_every_field_is_kept_as_recorded(version: EngineVersion) {
    let docker = Docker::start(version);
    let folder = version.prefix().trim_end_matches('.');
    compare(folder, "services", &services(&docker), &docker);
    compare(folder, "networks", &networks(&docker), &docker);
    compare(folder, "secrets", &secrets(&docker), &docker);
}

fn services(docker: &Docker) -> Vec<Value> {
    let minimal = json!({"Name": "acme-web", "TaskTemplate": {"ContainerSpec": {"Image": "127.0.0.1:5999/shop:1"}},
        "Mode": {"Replicated": {"Replicas": 0}}});
    let tables: [&'static [Field]; 2] = [SERVICE, CONTAINER];
    let mut records = vec![service(docker, json!({"value": "minimal", "sent": minimal}), true)];
    for case in cases(&tables, &minimal, docker) {
        records.push(service(docker, record(&case), false));
    }
    let mut by_name = minimal;
    by_name["TaskTemplate"]["Networks"] = json!([{"Target": docker::NETWORK}]);
    let target = json!({"row": "/TaskTemplate/Networks/*/Target", "place": "/TaskTemplate/Networks/0/Target",
        "value": "name", "sent": by_name});
    records.push(service(docker, target, false));
    records
}

/// Makes a service, reads it back and removes it; `defaults` also as the engine shows it with all defaults.
fn service(docker: &Docker, mut record: Value, defaults: bool) -> Value {
    match docker.create("services", &record["sent"]) {
        Err(message) => record["refused"] = json!(message),
        Ok(id) => {
            record["stored"] = docker.get(&format!("/services/{id}"))["Spec"].take();
            if defaults {
                record["defaults"] =
                    docker.get(&format!("/services/{id}?insertDefaults=true"))["Spec"].take();
            }
            docker.remove("services", &id);
        }
    }
    record
}

fn networks(docker: &Docker) -> Vec<Value> {
    let minimal = json!({"Name": "acme-net", "Driver": "overlay",
        "IPAM": {"Config": [{"Subnet": "10.200.0.0/24"}]}});
    let mut records = Vec::new();
    for case in cases(&[NETWORK], &minimal, docker) {
        let mut record = record(&case);
        match docker.create("networks", &record["sent"]) {
            Err(message) => record["refused"] = json!(message),
            Ok(id) => {
                record["stored"] = allocated(docker, &id);
                docker.remove("networks", &id);
            }
        }
        records.push(record);
    }
    records
}

/// A network without what is another one each time.
fn allocated(docker: &Docker, id: &str) -> Value {
    let mut network = docker.network(id);
    let members = network.as_object_mut().expect("an object");
    for unstable in ["Id", "Created", "Peers"] {
        if members.contains_key(unstable) {
            members.insert(unstable.to_owned(), json!("<unstable>"));
        }
    }
    if let Some(vxlan) = network.pointer_mut("/Options/com.docker.network.driver.overlay.vxlanid_list") {
        *vxlan = json!("<unstable>");
    }
    network
}

fn secrets(docker: &Docker) -> Vec<Value> {
    let minimal = json!({"Name": "acme-value", "Data": "eA=="});
    let mut records = Vec::new();
    for case in cases(&[SECRET], &minimal, docker) {
        let mut record = record(&case);
        match docker.create("secrets", &record["sent"]) {
            // An engine says that the driver's plugin is missing, or breaks off over it: one and the same release does either.
            Err(_) if record["sent"]["Driver"]["Name"].as_str().is_some_and(|name| !name.is_empty()) => {
                record["refused"] = json!(NO_SUCH_DRIVER)
            }
            Err(message) => record["refused"] = json!(message),
            Ok(id) => {
                record["stored"] = docker.get(&format!("/secrets/{id}"))["Spec"].take();
                docker.remove("secrets", &id);
            }
        }
        records.push(record);
    }
    records
}

fn record(case: &Case) -> Value {
    json!({"row": case.field.pointer, "place": case.place, "value": case.value, "sent": case.sent})
}

/// Compares with the file, or writes it.
fn compare(folder: &str, name: &str, records: &[Value], docker: &Docker) {
    let lines: Vec<String> = records.iter().map(|record| masked(&record.to_string(), docker)).collect();
    let text = format!("[\n{}\n]\n", lines.join(",\n"));
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let fixtures = manifest.join("../planner/src/swarm/fixtures").join(folder).join("normalize");
    let file = fixtures.join(format!("{name}.json"));
    if std::env::var_os(BLESS).is_some() {
        fs::create_dir_all(&fixtures).expect("a directory");
        fs::write(&file, text).expect("written");
        return;
    }
    let recorded = fs::read_to_string(&file).expect("a recording; cargo xtask record-fixtures makes it");
    for (now, then) in text.lines().zip(recorded.lines()) {
        assert_eq!(now, then, "{folder} {name}: the engine answers otherwise than recorded");
    }
    assert_eq!(text.lines().count(), recorded.lines().count(), "{folder} {name}: cases without a recording");
}

/// Without what is another one each time.
fn masked(text: &str, docker: &Docker) -> String {
    let ids = [
        (&docker.network, docker::NETWORK),
        (&docker.secret, docker::SECRET),
        (&docker.config, docker::CONFIG),
    ];
    ids.into_iter()
        .fold(text.to_owned(), |text, (id, name)| text.replace(id.as_str(), &format!("<id of {name}>")))
}
