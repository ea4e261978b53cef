//! Services as Skep renders them, and each of their fields edited by hand.

use std::collections::BTreeSet;

use serde_json::Value;
use skep_planner::FieldChange;
use skep_planner::diff::{changes, escape, set_at, value_at};
use skep_planner::normalize::{self, CONTAINER, Field, Kept, Owner, SERVICE};
use skep_planner::swarm::ServiceSpec;
use skep_testbed::EngineVersion;

use crate::cases::{place, surround};
use crate::docker::Docker;
use crate::rendered::{SERVICES, rendered};

const TABLES: [&[Field]; 2] = [SERVICE, CONTAINER];

/// The difference between what is live and what was asked for.
fn difference(docker: &Docker, id: &str, desired: &Value) -> Vec<FieldChange> {
    let live = docker.get(&format!("/services/{id}"))["Spec"].take();
    let spec = |json: Value| serde_json::from_value::<ServiceSpec>(json).expect("a spec");
    changes(&normalize::service(&spec(live)), &normalize::service(&spec(desired.clone())))
}

fn json(spec: &ServiceSpec) -> Value {
    serde_json::to_value(spec).expect("JSON")
}

pub(crate) fn a_rendered_service_reads_back_without_a_difference(version: EngineVersion) {
    let docker = Docker::start(version);
    let mut rendered_rows = BTreeSet::new();
    for seed in 0..SERVICES {
        let desired = json(&rendered(seed, &docker));
        rows(&desired, "", &mut rendered_rows);
        let id = docker.create("services", &desired).expect("created");
        assert_eq!(difference(&docker, &id, &desired), [], "seed {seed} created");
        // Written once more, with all that the engine would have it be.
        let full = docker.get(&format!("/services/{id}?insertDefaults=true"))["Spec"].take();
        docker.update("services", &id, &full).expect("updated");
        assert_eq!(difference(&docker, &id, &desired), [], "seed {seed} with every default spelled out");
        docker.remove("services", &id);
    }
    // Who owns a field is what is rendered, on an engine that has it.
    for field in TABLES.into_iter().flatten() {
        let is_rendered = rendered_rows.contains(field.pointer);
        let is_ours = field.owner == Owner::Skep;
        assert!(is_rendered <= is_ours, "{} is rendered and not Skep's", field.pointer);
        assert!(
            !is_ours || is_rendered || field.since > docker.api || is_privilege_of_old(field, &docker),
            "{} is Skep's and not rendered",
            field.pointer
        );
    }
}

/// No confinement is rendered for an engine that knows none of it (API 1.44).
fn is_privilege_of_old(field: &Field, docker: &Docker) -> bool {
    docker.api < 44 && field.pointer.ends_with("/Privileges")
}

/// The rows of all that a value says.
fn rows(value: &Value, at: &str, found: &mut BTreeSet<&'static str>) {
    if let Some(field) = normalize::service_field(at) {
        found.insert(field.pointer);
    }
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| rows(value, &format!("{at}/{}", escape(name)), found));
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(index, value)| rows(value, &format!("{at}/{index}"), found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

pub(crate) fn an_edit_of_any_field_by_hand_is_that_difference(version: EngineVersion) {
    let docker = Docker::start(version);
    let mut edited = 0;
    for (seed, field) in (0..).zip(TABLES.into_iter().flatten()) {
        let Some(example) = field.example() else { continue };
        let mut desired = json(&rendered(seed % SERVICES, &docker));
        let is_global = desired["Mode"].get("Global").is_some();
        if is_global && field.pointer.ends_with("MaxReplicas") {
            desired["Mode"] = serde_json::json!({"Replicated": {"Replicas": 0}});
        }
        surround(&mut desired, field.pointer, &docker);
        let place = place(&TABLES, field.pointer);
        let mut by_hand = desired.clone();
        // What is there already is taken away instead.
        let value = Some(example).filter(|example| value_at(&desired, &place).as_ref() != Some(example));
        assert!(set_at(&mut by_hand, &place, value.clone()), "{place}");
        let id = docker.create("services", &desired).unwrap_or_else(|error| panic!("{place}: {error}"));
        let before = difference(&docker, &id, &desired);
        docker.update("services", &id, &by_hand).unwrap_or_else(|error| panic!("{place} {value:?}: {error}"));
        let found = difference(&docker, &id, &desired);
        let pointers: Vec<&str> = found.iter().map(|change| change.pointer.as_str()).collect();
        let is_seen = field.kept == Kept::AsSent && field.since <= docker.api && field.owner != Owner::Swarm;
        if is_seen {
            let within = format!("{place}/");
            assert_eq!(before, [], "seed {seed}: what stands around {place} is not kept");
            assert!(!found.is_empty(), "seed {seed}: an edit of {place} goes unnoticed");
            assert!(
                pointers.iter().all(|pointer| *pointer == place || pointer.starts_with(&within)),
                "seed {seed}: an edit of {place} is told as {pointers:?}"
            );
            edited += 1;
        } else {
            assert_eq!(found, before, "{place} is not kept by this engine, and yet it makes a difference");
        }
        docker.remove("services", &id);
    }
    assert!(edited > 80, "only {edited} fields were edited");
}
