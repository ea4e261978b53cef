//! One form for each key: what Compose lets people write as a list or as a mapping becomes a mapping, so that it can be merged and taken key by key.
//!
//! Paths of files that are named become paths from where the importer runs, because two files that are merged may lie in different directories.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::value::text;

/// Brings a file's services, secrets and configs into one form. What is in no form that Compose has stays as it is, and is told where it is taken.
pub(crate) fn file(file: &mut Map<String, Value>, dir: &Path) {
    if let Some(Value::Object(services)) = file.get_mut("services") {
        for service in services.values_mut().filter_map(Value::as_object_mut) {
            canonical_service(service, dir);
        }
    }
    for kind in ["secrets", "configs"] {
        if let Some(Value::Object(all)) = file.get_mut(kind) {
            for path in all.values_mut().filter_map(|one| one.get_mut("file")) {
                resolve(path, dir);
            }
        }
    }
}

fn canonical_service(service: &mut Map<String, Value>, dir: &Path) {
    for key in ["environment", "labels", "annotations", "sysctls", "extra_hosts"] {
        if let Some(value) = service.get_mut(key) {
            pairs(value, if key == "extra_hosts" { ":=" } else { "=" });
        }
    }
    if let Some(labels) = service.get_mut("deploy").and_then(|deploy| deploy.get_mut("labels")) {
        pairs(labels, "=");
    }
    if let Some(args) = service.get_mut("build").and_then(|build| build.get_mut("args")) {
        pairs(args, "=");
    }
    if let Some(value) = service.get_mut("depends_on") {
        names(value, &json!({ "condition": "service_started" }));
    }
    for key in ["networks", "models"] {
        if let Some(value) = service.get_mut(key) {
            names(value, &Value::Null);
        }
    }
    for key in ["env_file", "tmpfs", "dns", "dns_search", "dns_opt", "label_file"] {
        if let Some(value) = service.get_mut(key).filter(|value| !value.is_array() && !value.is_null()) {
            *value = Value::Array(vec![value.take()]);
        }
    }
    for file in service.get_mut("env_file").and_then(Value::as_array_mut).into_iter().flatten() {
        match file {
            Value::Object(long) => {
                if let Some(path) = long.get_mut("path") {
                    resolve(path, dir);
                }
            }
            short => resolve(short, dir),
        }
    }
    if let Some(file) = service.get_mut("extends") {
        if file.is_string() {
            *file = json!({ "service": file.take() });
        }
        if let Some(path) = file.get_mut("file") {
            resolve(path, dir);
        }
    }
}

/// `["A=1", "B"]` becomes `{A: 1, B: null}`.
fn pairs(value: &mut Value, between: &str) {
    let Value::Array(items) = value else { return };
    let mut map = Map::new();
    for item in items.iter() {
        let Some(item) = text(item) else { return };
        match item.split_once(|c| between.contains(c)) {
            Some((name, value)) => map.insert(name.to_owned(), Value::String(value.to_owned())),
            None => map.insert(item, Value::Null),
        };
    }
    *value = Value::Object(map);
}

/// `[a, b]` becomes `{a: …, b: …}`.
fn names(value: &mut Value, each: &Value) {
    let Value::Array(items) = value else { return };
    let mut map = Map::new();
    for item in items.iter() {
        let Some(item) = text(item) else { return };
        map.insert(item, each.clone());
    }
    *value = Value::Object(map);
}

fn resolve(path: &mut Value, dir: &Path) {
    if let Value::String(text) = path {
        *text = dir.join(text.as_str()).to_string_lossy().into_owned();
    }
}
