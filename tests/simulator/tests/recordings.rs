//! What real engines were recorded to store of each value that they were sent is what the simulator stores, to the letter; and
//! what they refused it refuses.
//!
//! `cargo xtask record-fixtures` writes the recordings. They are the planner's, which judges them by its tables; here nothing of
//! the planner but its types takes part.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use secrecy::SecretSlice;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use skep_planner::swarm::{ConfigSpec, Known, Network, NetworkCreate, SecretSpec, ServiceSpec};
use skep_simulator::{Behaviour, Swarm};
use skep_swarm::By;

#[derive(Deserialize)]
struct Record {
    place: Option<String>,
    value: String,
    sent: Value,
    stored: Option<Value>,
    refused: Option<String>,
}

struct Recorded {
    behaviour: Behaviour,
    services: &'static str,
    networks: &'static str,
    secrets: &'static str,
}

macro_rules! recorded {
    ($behaviour:ident, $version:literal) => {
        Recorded {
            behaviour: Behaviour::$behaviour,
            services: include_str!(concat!(
                "../../../controller/planner/src/swarm/fixtures/",
                $version,
                "/normalize/services.json"
            )),
            networks: include_str!(concat!(
                "../../../controller/planner/src/swarm/fixtures/",
                $version,
                "/normalize/networks.json"
            )),
            secrets: include_str!(concat!(
                "../../../controller/planner/src/swarm/fixtures/",
                $version,
                "/normalize/secrets.json"
            )),
        }
    };
}

const ENGINES: [Recorded; 2] = [recorded!(V20_10, "20.10"), recorded!(V26_1, "26.1")];

fn read<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}: {value}"))
}

fn records(text: &str) -> Vec<Record> {
    serde_json::from_str(text).expect("a recording")
}

fn name(behaviour: Behaviour, record: &Record) -> String {
    format!("{behaviour:?} {} {}", record.place.as_deref().unwrap_or("minimal"), record.value)
}

/// Puts the ids of this Swarm where the recording says whose id it was.
fn with_ids(value: &mut Value, ids: &[(String, String)]) {
    match value {
        Value::String(text) => {
            if let Some((_, id)) = ids.iter().find(|(placeholder, _)| placeholder == text) {
                text.clone_from(id);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| with_ids(value, ids)),
        Value::Object(members) => members.values_mut().for_each(|value| with_ids(value, ids)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A Swarm with everything that recorded specs refer to, and what the recording calls it.
fn ground(behaviour: Behaviour) -> (Swarm, Vec<(String, String)>) {
    let mut swarm = Swarm::new(behaviour);
    let mut ids = Vec::new();
    let network =
        NetworkCreate { name: "acme".to_owned(), driver: "overlay".to_owned(), ..NetworkCreate::default() };
    let network = swarm.create_network(&network).expect("a network");
    ids.push(("<id of acme>".to_owned(), network.to_string()));
    let secret = SecretSpec { name: "acme_token".to_owned(), ..SecretSpec::default() };
    let secret = swarm.create_secret(&secret, &SecretSlice::from(vec![1])).expect("a secret");
    ids.push(("<id of acme_token>".to_owned(), secret.to_string()));
    let config =
        ConfigSpec { name: "acme_config".to_owned(), data: "eA==".to_owned(), ..ConfigSpec::default() };
    let config = swarm.create_config(&config).expect("a config");
    ids.push(("<id of acme_config>".to_owned(), config.to_string()));
    (swarm, ids)
}

#[test]
fn what_an_engine_stored_of_a_service_is_what_is_stored_here() {
    let mut wrong = Vec::new();
    for engine in &ENGINES {
        let (ground, ids) = ground(engine.behaviour);
        for mut record in records(engine.services) {
            with_ids(&mut record.sent, &ids);
            record.stored.iter_mut().for_each(|stored| with_ids(stored, &ids));
            let name = name(engine.behaviour, &record);
            let mut swarm = ground.clone();
            let made = swarm.create_service(&read::<ServiceSpec>(&record.sent));
            match (made, &record.stored) {
                (Ok(id), Some(stored)) => {
                    let found = swarm.inspect_service(By::Id(&id)).expect("the service").spec;
                    let mut stored = read::<ServiceSpec>(stored);
                    stored.drop_unknown();
                    if found != stored {
                        wrong.push(format!(
                            "{name}:\n  engine    {}\n  simulator {}",
                            serde_json::to_string(&stored).expect("json"),
                            serde_json::to_string(&found).expect("json")
                        ));
                    }
                }
                (Err(_), None) => {}
                (Err(refusal), Some(_)) => wrong.push(format!("{name}: refused here only: {refusal}")),
                (Ok(_), None) => wrong.push(format!("{name}: refused there only: {:?}", record.refused)),
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_an_engine_stored_of_a_network_is_what_is_stored_here() {
    let mut wrong = Vec::new();
    for engine in &ENGINES {
        // Subnets that are not said are given in turn, so that the order counts.
        let mut swarm = Swarm::new(engine.behaviour);
        for record in records(engine.networks) {
            let name = name(engine.behaviour, &record);
            let made = swarm.create_network(&read::<NetworkCreate>(&record.sent));
            let Some(stored) = &record.stored else {
                assert!(made.is_err(), "{name}: refused there only");
                continue;
            };
            let id = made.unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
            let mut found = swarm.inspect_network(By::Id(&id)).expect("the network");
            let mut stored = read::<Network>(stored);
            stored.drop_unknown();
            swarm.remove_network(&id).expect("removed");
            // What no two engines give alike.
            found.id = stored.id.clone();
            found.created.clone_from(&stored.created);
            let vxlan = "com.docker.network.driver.overlay.vxlanid_list";
            if let (Some(found), Some(stored)) = (found.options.get_mut(vxlan), stored.options.get(vxlan)) {
                found.clone_from(stored);
            }
            if found != stored {
                wrong.push(format!(
                    "{name}:\n  engine    {}\n  simulator {}",
                    serde_json::to_string(&stored).expect("json"),
                    serde_json::to_string(&found).expect("json")
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_an_engine_stored_of_a_secret_is_what_is_stored_here() {
    let mut wrong = Vec::new();
    for engine in &ENGINES {
        for record in records(engine.secrets) {
            let name = name(engine.behaviour, &record);
            let mut swarm = Swarm::new(engine.behaviour);
            let mut sent = read::<SecretSpec>(&record.sent);
            let data = sent.extra.shift_remove("Data");
            let data = data.and_then(|data| data.as_str().map(|data| data.as_bytes().to_vec()));
            let made = swarm.create_secret(&sent, &SecretSlice::from(data.unwrap_or_default()));
            match (made, &record.stored) {
                (Ok(id), Some(stored)) => {
                    let found = swarm.inspect_secret(By::Id(&id)).expect("the secret").spec;
                    if found != read::<SecretSpec>(stored) {
                        wrong.push(format!(
                            "{name}: engine {stored}, simulator {}",
                            serde_json::to_string(&found).expect("json")
                        ));
                    }
                }
                (Err(_), None) => {}
                (Err(refusal), Some(_)) => wrong.push(format!("{name}: refused here only: {refusal}")),
                (Ok(_), None) => wrong.push(format!("{name}: refused there only: {:?}", record.refused)),
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
