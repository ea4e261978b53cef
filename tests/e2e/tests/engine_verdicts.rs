//! A release that cannot work ends in a verdict that names the cause, in its time, and what ran before goes on answering.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skep_e2e::manifests::{documents, image, organization, resource};
use skep_e2e::{Installation, Options};
use skep_testbed::{EngineVersion, Recipe, wait_until};

/// What the program prints that ends at once.
const EXITS: &str = "this program ends at once";

/// A release that works, and then one that does not.
struct Case {
    name: &'static str,
    image: &'static str,
    resources: Value,
    /// What runs before it, if anything does.
    phase: Option<Value>,
    /// What the status says of it.
    reason: &'static str,
    words: &'static str,
    /// In which time.
    within: Duration,
}

impl Case {
    fn manifests(&self, image_name: &str, resources: &Value, phase: Option<&Value>) -> [Value; 3] {
        let web = json!({ "ports": [{ "name": "http", "port": 8080 }], "resources": resources });
        let mut processes = json!({ "web": web });
        if let Some(phase) = phase {
            processes["release"] = phase.clone();
        }
        let app = json!({ "source": { "image": image(image_name) }, "processes": processes });
        let environment =
            json!({ "app": self.name, "restart": { "delay": "1s" }, "rollout": { "deadline": "5m" } });
        let domain = json!({ "host": self.host(), "environment": self.name, "tls": "off" });
        [
            resource("acme", "App", self.name, app),
            resource("acme", "Environment", self.name, environment),
            resource("acme", "Domain", self.name, domain),
        ]
    }

    fn good(&self) -> [Value; 3] {
        self.manifests("hello:v1", &small("64Mi"), None)
    }

    fn bad(&self) -> [Value; 3] {
        self.manifests(self.image, &self.resources, self.phase.as_ref())
    }

    fn host(&self) -> String {
        format!("{}.localhost", self.name)
    }

    fn is_told(&self, at: &Installation) -> Result<()> {
        let view = at.cli.get("acme", "environment", self.name)?;
        let conditions = view["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let told = |condition: &Value| {
            let words = condition["message"].as_str().unwrap_or_default();
            condition["type"] == "Stalled" && condition["reason"] == self.reason && words.contains(self.words)
        };
        ensure!(conditions.iter().any(told), "{}: {:#}", self.name, json!(conditions));
        Ok(())
    }
}

fn small(memory: &str) -> Value {
    json!({ "cpu": "250m", "memory": memory, "pids": 32 })
}

#[test]
fn a_release_that_cannot_work_is_told_why_in_time_and_the_one_before_goes_on_answering() -> Result<()> {
    let at = Installation::start_with(Options::new(EngineVersion::V26_1).drained())?;
    at.engine.publish(&Recipe::exits()?, "exits:1")?;
    at.engine.publish(&Recipe::eats_memory()?, "eats-memory:1")?;
    let case = |name, image, reason, words, seconds| Case {
        name,
        image,
        resources: small("64Mi"),
        phase: None,
        reason,
        words,
        within: Duration::from_secs(seconds),
    };
    let cases = [
        case("broken", "never-published:1", "ImageUnresolved", "never-published:1", 30),
        case("crashing", "exits:1", "RolledBack", "process web: the process ended with exit code 3", 60),
        Case {
            resources: small("32Mi"),
            ..case(
                "greedy",
                "eats-memory:1",
                "RolledBack",
                // An engine that has not noticed whom the kernel ended says 137 alone, which is told as most likely that.
                "out of memory",
                60,
            )
        },
        Case {
            phase: Some(json!({ "command": ["/bin/sh", "-c", "echo cannot migrate; exit 4"] })),
            ..case(
                "migrating",
                "hello:v1",
                "RolledBack",
                "its release phase (run 1) did not succeed: the process ended with exit code 4",
                60,
            )
        },
        case(
            "slow",
            "anchor:1",
            "RolledBack",
            "not up 1m after its start: port 8080 is not listened on",
            100,
        ),
        Case {
            resources: small("64Ti"),
            ..case(
                "large",
                "hello:v1",
                "WouldNeverSchedule",
                "no node has as much memory as one instance may use: 67108864Mi, and the largest has ",
                30,
            )
        },
    ];
    let good: Vec<Value> =
        std::iter::once(organization("acme")).chain(cases.iter().flat_map(Case::good)).collect();
    at.cli.apply_and_wait(&documents(&good))?.ok().with_context(|| at.report())?;
    let traffic = cases.iter().map(|case| at.traffic(&case.host())).collect::<Result<Vec<_>>>()?;

    let began = Instant::now();
    at.cli.apply(&documents(&cases.iter().flat_map(Case::bad).collect::<Vec<_>>()), &[])?.ok()?;
    for case in &cases {
        let left = case.within.saturating_sub(began.elapsed());
        wait_until(&format!("the verdict on {}", case.name), left, || case.is_told(&at))
            .with_context(|| at.report())?;
        println!("{} after {:?}", case.name, began.elapsed());
    }
    // What it printed last is told beside the release, and is no part of what everybody reads.
    let failed = at.cli.run(&["release", "acme/Environment/crashing", "v2"])?.ok()?;
    let failed = failed.out;
    ensure!(failed.contains("the last lines of web of v2:") && failed.contains(EXITS), "{failed}");
    let everybody = at.cli.get("acme", "environment", "crashing")?.to_string();
    ensure!(!everybody.contains(EXITS), "{everybody}");
    for (case, traffic) in cases.iter().zip(traffic) {
        let counted = traffic.end().with_context(|| format!("{}: {}", case.name, at.report()))?;
        ensure!(counted.bodies.iter().all(|body| body == "v1\n"), "{}: {:?}", case.name, counted.bodies);
    }
    Ok(())
}
