//! Why something does not run, in words that say what to do about it.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use skep_e2e::Installation;
use skep_e2e::manifests::{documents, image, organization, resource};
use skep_testbed::{EngineVersion, Recipe, wait_until};

/// Long enough for a few attempts at starting a container.
const TOLD: Duration = Duration::from_secs(60);

/// An environment of an app of its own, and the words that its status has to say.
struct Case {
    name: &'static str,
    image: &'static str,
    process: Value,
    region: Option<&'static str>,
    reason: Option<&'static str>,
    words: &'static str,
}

impl Case {
    fn manifests(&self) -> [Value; 2] {
        let mut environment = json!({
            "app": self.name, "restart": { "delay": "2s" }, "rollout": { "deadline": "10m" },
        });
        if let Some(region) = self.region {
            environment["region"] = json!(region);
        }
        let app = json!({ "source": { "image": image(self.image) }, "processes": { "web": self.process } });
        [resource("acme", "App", self.name, app), resource("acme", "Environment", self.name, environment)]
    }

    fn is_told(&self, at: &Installation) -> Result<()> {
        let view = at.cli.get("acme", "environment", self.name)?;
        let conditions = view["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let reason = self.reason.is_none_or(|reason| conditions.iter().any(|c| c["reason"] == reason));
        let conditions = json!(conditions).to_string();
        let error = view["status"]["processes"]["web"]["lastError"]["message"].to_string();
        let told = conditions.contains(self.words) || error.contains(self.words);
        ensure!(reason && told, "{}: {conditions}\n{error}", self.name);
        // Whatever is wrong, nothing of it may be called done.
        let is_ready = |c: &Value| c["type"] == "Ready" && c["status"] == "True";
        ensure!(!view["status"]["conditions"].as_array().is_some_and(|all| all.iter().any(is_ready)));
        Ok(())
    }
}

#[test]
fn the_reason_why_something_does_not_run_is_told_in_words() -> Result<()> {
    let at = Installation::start(EngineVersion::V20_10)?;
    at.engine.publish(&Recipe::eats_memory()?, "eats-memory:1")?;
    at.engine.publish(&Recipe::exits()?, "exits:1")?;
    at.engine.publish(&Recipe::web_on("v1", 9090)?, "elsewhere:1")?;
    let limits = json!({ "resources": { "cpu": "250m", "memory": "32Mi", "pids": 32 } });
    let listens = json!({
        "ports": [{ "name": "http", "port": 8080 }],
        "healthCheck": {
            "command": ["/bin/nc", "-w", "1", "127.0.0.1", "8080"],
            "interval": "1s", "timeout": "2s", "retries": 1, "startPeriod": "0s",
        },
    });
    let case = |name, image, process, words| Case { name, image, process, region: None, reason: None, words };
    let cases = [
        Case {
            reason: Some("ImageUnresolved"),
            ..case("nowhere", "never-published:1", json!({}), "never-published:1")
        },
        case("greedy", "eats-memory:1", limits, "out of memory: it used more than its limit of 32Mi"),
        case("brief", "exits:1", json!({}), "the process ended with exit code 3"),
        case(
            "done",
            "anchor:1",
            json!({ "entrypoint": ["/bin/busybox", "true"] }),
            "the process ended with exit code 0",
        ),
        case("deaf", "elsewhere:1", listens, "the health check failed: nc: "),
        Case {
            region: Some("atlantis"),
            ..case("lost", "hello:v1", json!({}), "no node has region=atlantis")
        },
        case(
            "typo",
            "hello:v1",
            json!({ "entrypoint": ["/bin/helo"] }),
            "the command was not found in the image",
        ),
    ];
    let all: Vec<Value> =
        std::iter::once(organization("acme")).chain(cases.iter().flat_map(Case::manifests)).collect();
    at.cli.apply(&documents(&all), &[])?.ok()?;
    for case in &cases {
        wait_until(&format!("the words of {}", case.name), TOLD, || case.is_told(&at))?;
    }
    Ok(())
}
