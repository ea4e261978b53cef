//! The Docker API as a person uses it: JSON in, JSON out, nothing typed and nothing dropped on the way.

use std::time::Duration;

use serde_json::{Value, json};
use skep_planner::{Architecture, naming};
use skep_testbed::wait::ready;
use skep_testbed::{Engine, EngineOptions, EngineVersion, http, wait_until};

/// How long the manager may take to allocate a network.
const ALLOCATION: Duration = Duration::from_secs(10);

/// How often an update is sent again because the manager wrote to the service in between.
const CONFLICTS_MAX: usize = 50;

/// An engine and the objects that specs refer to.
pub(crate) struct Docker {
    engine: Engine,
    /// The id of a network.
    pub(crate) network: String,
    /// The id of a secret.
    pub(crate) secret: String,
    /// The id of a config.
    pub(crate) config: String,
    /// The id of the config with the entry program.
    pub(crate) entry: String,
    /// The n of its API version 1.n.
    pub(crate) api: u32,
}

/// The names of the objects that specs refer to.
pub(crate) const NETWORK: &str = "acme";
pub(crate) const SECRET: &str = "acme_token";
pub(crate) const CONFIG: &str = "acme_config";

impl Docker {
    pub(crate) fn start(version: EngineVersion) -> Self {
        let engine = Engine::start(version, EngineOptions::default()).expect("an engine");
        let none = String::new;
        let mut docker =
            Self { engine, network: none(), secret: none(), config: none(), entry: none(), api: 0 };
        let version = docker.get("/version");
        let api = version["ApiVersion"].as_str().and_then(|api| api.strip_prefix("1."));
        docker.api = api.and_then(|minor| minor.parse().ok()).expect("an API version");
        let ipam = json!({"Config": [{"Subnet": "10.199.0.0/24", "IPRange": "10.199.0.128/25"}]});
        let network = json!({"Name": NETWORK, "Driver": "overlay", "Attachable": true, "IPAM": ipam});
        docker.network = docker.create("networks", &network).expect("a network");
        docker.secret = docker.create("secrets", &json!({"Name": SECRET, "Data": "eA=="})).expect("a secret");
        docker.config = docker.create("configs", &json!({"Name": CONFIG, "Data": "eA=="})).expect("a config");
        let entry = json!({"Name": naming::entry(Architecture::HERE), "Data": "eA=="});
        docker.entry = docker.create("configs", &entry).expect("a config");
        docker
    }

    /// Makes an object and tells its id, or why it was refused.
    pub(crate) fn create(&self, kind: &str, spec: &Value) -> Result<String, String> {
        let answer = self.send("POST", &format!("/{kind}/create"), &spec.to_string())?;
        let id = answer.get("ID").or_else(|| answer.get("Id"));
        Ok(id.and_then(Value::as_str).expect("an id").to_owned())
    }

    /// Writes an object as it is now.
    pub(crate) fn update(&self, kind: &str, id: &str, spec: &Value) -> Result<(), String> {
        for _ in 0..CONFLICTS_MAX {
            let version = &self.get(&format!("/{kind}/{id}"))["Version"]["Index"];
            match self.send("POST", &format!("/{kind}/{id}/update?version={version}"), &spec.to_string()) {
                Err(message) if message.contains("update out of sequence") => {}
                answer => return answer.map(drop),
            }
        }
        panic!("the manager writes to {id} of {kind} all the time");
    }

    /// What is there.
    pub(crate) fn get(&self, path: &str) -> Value {
        let answer = http::get_unix(&self.engine.socket(), path).expect("an answer");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).expect("JSON")
    }

    /// A network once the manager has allocated it, or after a while as it is then: one that asks for what the manager cannot give
    /// never is, and nobody is told.
    pub(crate) fn network(&self, id: &str) -> Value {
        let mut network = Value::Null;
        let allocated = wait_until("a network to be allocated", ALLOCATION, || {
            network = self.get(&format!("/networks/{id}"));
            let is_allocated = network["Driver"].as_str().is_some_and(|driver| !driver.is_empty());
            ready(is_allocated, "it has no driver")
        });
        if let Err(error) = allocated {
            eprintln!("{error:#}");
        }
        network
    }

    pub(crate) fn remove(&self, kind: &str, id: &str) {
        self.send("DELETE", &format!("/{kind}/{id}"), "").expect("removed");
    }

    fn send(&self, method: &str, path: &str, json: &str) -> Result<Value, String> {
        // An engine whose handler of a request panics closes the connection, and goes on.
        let Ok(answer) = http::send_unix(&self.engine.socket(), method, path, json) else {
            return Err("the engine closes the connection without an answer".to_owned());
        };
        let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        match answer.status {
            200..=299 => Ok(body),
            _ => Err(body["message"].as_str().unwrap_or_default().to_owned()),
        }
    }
}
