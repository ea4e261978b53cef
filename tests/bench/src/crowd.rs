//! A crowd of environments, and the same crowd as a stack file.

use std::fmt::Write;

use anyhow::Result;
use serde_json::{Value, json};
use skep_schemas::Manifest;

use crate::ground;

/// Among how many organisations environments are spread.
pub(crate) const ORGS: usize = 10;
/// How many manifests are read at once: the reader has a limit for one text.
const READ_AT_ONCE: usize = 500;
/// Variables of each environment.
const VARIABLES: usize = 8;

/// Organisations, each with an app.
pub(crate) fn organisations(image: &str) -> Result<Vec<Manifest>> {
    let process = json!({
        "ports": [{ "name": "http", "port": 8080 }],
        "healthCheck": { "command": ["/bin/true"], "interval": "10s" },
    });
    let app = json!({ "source": { "image": image }, "processes": { "web": process } });
    let mut all: Vec<Value> = Vec::new();
    for org in (0..ORGS).map(org) {
        all.push(json!({ "apiVersion": "skep.dev/v1", "kind": "Organization", "metadata": { "name": org }, "spec": {} }));
        all.push(resource(&org, "App", "crowd", app.clone()));
    }
    ground::manifests(&Value::Array(all).to_string())
}

/// So many environments, without instances.
pub(crate) fn environments(count: usize) -> Result<Vec<Manifest>> {
    let spec = |number: usize| {
        let env: serde_json::Map<String, Value> = (0..VARIABLES)
            .map(|at| (format!("SETTING_{at}"), Value::from(format!("{number}-{at}"))))
            .collect();
        json!({ "app": "crowd", "env": env, "processes": { "web": { "instances": 0 } } })
    };
    let all: Vec<Value> = (0..count)
        .map(|number| resource(&org(number % ORGS), "Environment", &format!("copy-{number}"), spec(number)))
        .collect();
    let some = |some: &[Value]| ground::manifests(&Value::from(some.to_vec()).to_string());
    let read = all.chunks(READ_AT_ONCE).map(some).collect::<Result<Vec<_>>>()?;
    Ok(read.into_iter().flatten().collect())
}

/// One of them, with a variable that says this.
pub(crate) fn changed(number: usize, value: &str) -> Result<Vec<Manifest>> {
    let spec =
        json!({ "app": "crowd", "env": { "CHANGED": value }, "processes": { "web": { "instances": 0 } } });
    let environment = resource(&org(number % ORGS), "Environment", &format!("copy-{number}"), spec);
    ground::manifests(&environment.to_string())
}

/// The query that says whether so many resources of a kind are ready.
pub(crate) fn all_ready(kind: &str, count: usize) -> String {
    format!(
        "SELECT count(*) = {count} FROM resource r JOIN resource_status s USING (uid) WHERE r.kind = '{kind}'
         AND s.status->'conditions' @> '[{{\"type\": \"Ready\", \"status\": \"True\"}}]'"
    )
}

/// So many services of a stack, alike.
pub(crate) fn stack_file(image: &str, count: usize) -> String {
    let mut file = "version: \"3.8\"\nservices:\n".to_owned();
    for number in 0..count {
        let _ = writeln!(
            file,
            "  s{number}:\n    image: {image}\n    networks: [crowd]\n    init: true\n    cap_drop: [ALL]\n    healthcheck:\n      \
             test: [CMD, /bin/true]\n      interval: 10s\n    deploy:\n      replicas: 0\n      labels:\n        crowd: \"{number}\"\n      \
             resources:\n        limits: {{ cpus: \"0.5\", memory: 512M }}\n    environment:"
        );
        for at in 0..VARIABLES {
            let _ = writeln!(file, "      SETTING_{at}: \"{number}-{at}\"");
        }
    }
    file + "networks:\n  crowd: {}\n"
}

fn org(number: usize) -> String {
    format!("tenant-{number}")
}

fn resource(org: &str, kind: &str, name: &str, spec: Value) -> Value {
    json!({ "apiVersion": "skep.dev/v1", "kind": kind, "metadata": { "org": org, "name": name }, "spec": spec })
}
