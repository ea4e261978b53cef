//! What real engines made of each value that they were sent, judged by the tables: what a row says is no difference must not be
//! one, what it says is forgotten must be gone, and what it says is refused must have been.
//!
//! `cargo xtask record-fixtures` writes the recordings.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use skep_planner::FieldChange;
use skep_planner::diff::{self, value_at};
use skep_planner::normalize::{self, Absent, CONTAINER, Field, Kept, Kind, NETWORK, Owner, SECRET, SERVICE};
use skep_planner::swarm::{Network, NetworkCreate, Secret, SecretSpec, ServiceSpec};

#[derive(Deserialize)]
struct Record {
    row: Option<String>,
    place: Option<String>,
    value: String,
    sent: Value,
    stored: Option<Value>,
    /// As the engine shows it with every default.
    defaults: Option<Value>,
    refused: Option<String>,
}

struct Recorded {
    api: u32,
    services: &'static str,
    networks: &'static str,
    secrets: &'static str,
}

macro_rules! recorded {
    ($api:literal, $version:literal) => {
        Recorded {
            api: $api,
            services: include_str!(concat!("../src/swarm/fixtures/", $version, "/normalize/services.json")),
            networks: include_str!(concat!("../src/swarm/fixtures/", $version, "/normalize/networks.json")),
            secrets: include_str!(concat!("../src/swarm/fixtures/", $version, "/normalize/secrets.json")),
        }
    };
}

const ENGINES: [Recorded; 2] = [recorded!(41, "20.10"), recorded!(45, "26.1")];

fn read<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}: {value}"))
}

/// The differences between a sent service and the stored one.
fn service(sent: &Value, stored: &Value) -> Vec<FieldChange> {
    let normal = |json| normalize::service(&read::<ServiceSpec>(json));
    let changes = diff::changes(&normal(stored), &normal(sent));
    assert_eq!(changes.is_empty(), normal(stored) == normal(sent), "{changes:?}");
    changes
}

fn network(sent: &Value, stored: &Value) -> Vec<FieldChange> {
    diff::network(&read::<Network>(stored), &read::<NetworkCreate>(sent))
}

fn secret(sent: &Value, stored: &Value) -> Vec<FieldChange> {
    diff::secret(&read::<Secret>(&json!({"ID": "s", "Spec": stored})), &read::<SecretSpec>(sent))
}

/// Judges each record; returns how many were no difference.
fn judge(
    api: u32,
    tables: &[&'static [Field]],
    records: &str,
    differences: fn(&Value, &Value) -> Vec<FieldChange>,
) -> usize {
    let records: Vec<Record> = serde_json::from_str(records).expect("a recording");
    let (mut alike, mut wrong) = (0, Vec::new());
    for record in &records {
        let row = record.row.as_deref();
        let field = tables.iter().copied().flatten().find(|field| Some(field.pointer) == row);
        assert_eq!(field.is_some(), row.is_some(), "{row:?} is a row no more: record anew");
        let name = format!("API 1.{api}: {} {}", record.place.as_deref().unwrap_or_default(), record.value);
        let Some(stored) = &record.stored else {
            may_be_refused(field, record, &name);
            continue;
        };
        for shown in [Some(stored), record.defaults.as_ref()].into_iter().flatten() {
            let changes = differences(&record.sent, shown);
            match field {
                Some(field) if field.kept == Kept::AsId && record.value == "name" => {
                    assert_eq!(value_at(shown, &changes[0].pointer), Some(json!("<id of acme>")), "{name}");
                    assert_eq!((changes.len(), field.pointer), (1, "/TaskTemplate/Networks/*/Target"));
                }
                Some(field) if is_forgotten(field, record, api) => {
                    let place = record.place.as_deref().unwrap_or_default();
                    let is_there =
                        value_at(shown, place).filter(|value| Some(value) != field.meaning().as_ref());
                    assert!(is_there.is_none() || is_empty(is_there.as_ref()), "{name} is not forgotten");
                }
                _ if changes.is_empty() => alike += 1,
                _ => wrong.push((name.clone(), changes)),
            }
        }
    }
    assert_eq!(wrong, []);
    alike
}

fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Object(members)) => members.is_empty(),
        Some(Value::Array(list)) => list.is_empty(),
        Some(value) => *value == json!(false) || *value == json!(0) || *value == json!(""),
    }
}

/// Whether the row says that the engine takes the value and keeps something else.
fn is_forgotten(field: &Field, record: &Record, api: u32) -> bool {
    let is_other_word = match (field.kind, record.value.as_str()) {
        (Kind::Word(words), "unknown word") => !words.strict,
        (Kind::Word(words), "other case") => !words.strict && !words.any_case,
        _ => false,
    };
    is_other_word || field.kept == Kept::Never || field.since > api
}

/// A value that the row gives as an example or as the default, or a word that the row says is one, is never refused.
fn may_be_refused(field: Option<&Field>, record: &Record, name: &str) {
    let why = record.refused.as_deref().unwrap_or_else(|| panic!("{name} was neither stored nor refused"));
    let field = field.unwrap_or_else(|| panic!("{name}: {why}"));
    let expected = match (field.kind, record.value.as_str()) {
        (Kind::Word(words), "unknown word") => words.strict,
        (Kind::Word(words), "other case") => words.strict && !words.any_case,
        (_, "empty" | "null") => true,
        _ => false,
    };
    assert!(expected || field.kept == Kept::Refused, "{name}: {why}");
}

#[test]
fn what_an_engine_stores_of_a_service_is_what_the_table_says() {
    for engine in &ENGINES {
        let alike = judge(engine.api, &[SERVICE, CONTAINER], engine.services, service);
        assert!(alike > 300, "only {alike} values were kept");
    }
}

#[test]
fn what_an_engine_stores_of_a_network_is_what_the_table_says() {
    for engine in &ENGINES {
        assert!(judge(engine.api, &[NETWORK], engine.networks, network) > 40);
    }
}

#[test]
fn what_an_engine_stores_of_a_secret_is_what_the_table_says() {
    for engine in &ENGINES {
        assert!(judge(engine.api, &[SECRET], engine.secrets, secret) > 10);
    }
}

/// Every place in a value, but for what is inside of what has no row.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    if !at.is_empty() {
        found.push(at.to_owned());
    }
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                places(value, &format!("{at}/{}", diff::escape(name)), found);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                places(value, &format!("{at}/{index}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_place_in_what_an_engine_ever_answered_has_a_row() {
    let all = |records: &str, row: fn(&str) -> Option<&'static Field>| {
        for record in serde_json::from_str::<Vec<Record>>(records).expect("a recording") {
            let mut found = Vec::new();
            for shown in [record.stored, record.defaults].iter().flatten() {
                places(shown, "", &mut found);
            }
            for place in found {
                // What a network carries of its own is not looked into.
                let is_inside = |field: &Field| field.owner == Owner::Swarm;
                let above = place.rsplit_once('/').and_then(|(above, _)| row(above));
                assert!(row(&place).is_some() || above.is_some_and(is_inside), "{place} has no row");
            }
        }
    };
    for engine in &ENGINES {
        all(engine.services, normalize::service_field);
        all(engine.networks, normalize::network_field);
        all(engine.secrets, normalize::secret_field);
    }
    // Those with every field of a service at once.
    for recorded in [
        include_str!("../src/swarm/fixtures/20.10/services.json"),
        include_str!("../src/swarm/fixtures/26.1/services.json"),
    ] {
        for service in serde_json::from_str::<Vec<Value>>(recorded).expect("a recording") {
            let mut found = Vec::new();
            places(&service["Spec"], "", &mut found);
            for place in found {
                assert!(normalize::service_field(&place).is_some(), "{place} has no row");
            }
        }
    }
}

#[test]
fn every_row_whose_values_can_be_tried_was_tried_on_both_engines() {
    for engine in &ENGINES {
        let mut tried: Vec<String> = Vec::new();
        for records in [engine.services, engine.networks, engine.secrets] {
            let records: Vec<Record> = serde_json::from_str(records).expect("a recording");
            tried.extend(records.into_iter().filter_map(|record| record.row));
        }
        for field in SERVICE.iter().chain(CONTAINER).chain(NETWORK).chain(SECRET) {
            // Elements are tried with their list, and what says something of its own without an example with what is around it.
            let with_another = field.pointer.ends_with("/*") || matches!(field.absent, Absent::Open);
            let is_tag = field.kind == Kind::Tag;
            assert!(
                field.example().is_none() && (with_another || is_tag || matches!(field.kind, Kind::Word(_)))
                    || tried.iter().any(|row| row == field.pointer),
                "{} was not tried: record anew",
                field.pointer
            );
        }
    }
}
