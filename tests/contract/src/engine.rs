//! A real engine as an arena.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use skep_simulator::Behaviour;
use skep_swarm::{ClientOptions, EngineAddress, EngineClient, SwarmApi};
use skep_testbed::{Engine, EngineOptions, EngineVersion, Recipe};

use crate::arena::{Act, Arena};

/// The pause between two looks.
const LOOK: Duration = Duration::from_millis(40);

/// A manager of its own Swarm that has the images of all acts.
pub struct EngineArena {
    engine: Engine,
    client: EngineClient,
    behaviour: Behaviour,
    started: Instant,
}

impl EngineArena {
    /// Starts an engine of this release.
    pub async fn start(behaviour: Behaviour) -> Result<Self> {
        let version = match behaviour {
            Behaviour::V20_10 => EngineVersion::V20_10,
            Behaviour::V26_1 => EngineVersion::V26_1,
        };
        let engine = Engine::start(version, EngineOptions::default())?;
        for act in Act::ALL {
            engine.import(&recipe(act)?, act.image())?;
        }
        let address = EngineAddress::unix(engine.socket());
        let client = EngineClient::new(address, ClientOptions::default()).await.context("no client")?;
        Ok(Self { engine, client, behaviour, started: Instant::now() })
    }

    fn update_node(&self, arguments: &[&str]) {
        let node = self.engine.docker_ok(&["node", "ls", "--quiet"]).expect("the node's id");
        let update: Vec<&str> =
            ["node", "update"].iter().chain(arguments).copied().chain([node.trim()]).collect();
        self.engine.docker_ok(&update).expect("an updated node");
    }
}

fn recipe(act: Act) -> Result<Recipe> {
    let base = Recipe::busybox()?;
    let script = |text: &str| format!("#!/bin/sh\n{text}\n");
    let runs = |recipe: Recipe, text: &str| {
        recipe.file("bin/act", 0o755, script(text)).change(r#"CMD ["/bin/act"]"#)
    };
    Ok(match act {
        Act::Runs | Act::Missing => base,
        Act::RunsToo => base.change("ENV TOO=1"),
        Act::Exits => runs(base, "exit 3"),
        Act::Ends => runs(base, "exit 0"),
        Act::Stumbles => runs(base, "sleep 1\nexit 4"),
        Act::Unhealthy => base
            .file("bin/healthy", 0o755, script("echo 'this one is never healthy'\nexit 1"))
            .change(r#"HEALTHCHECK --interval=1s --timeout=3s --retries=2 CMD ["/bin/healthy"]"#),
        Act::UnhealthyAndStubborn => base
            .file("bin/healthy", 0o755, script("echo 'this one is never healthy'\nexit 1"))
            .change(r#"HEALTHCHECK --interval=1s --timeout=3s --retries=2 CMD ["/bin/healthy"]"#)
            .change(r#"CMD ["/bin/sleep", "1000000"]"#),
        Act::HealthyNever => base
            .file("bin/healthy", 0o755, script("exit 1"))
            .change(r#"HEALTHCHECK --interval=1s --timeout=3s --retries=60 CMD ["/bin/healthy"]"#),
        Act::HealthyLate => runs(
            base.file("bin/healthy", 0o755, script("cat /tmp/ready"))
                .change(r#"HEALTHCHECK --interval=1s --timeout=3s --retries=30 CMD ["/bin/healthy"]"#),
            "trap 'exit 0' TERM\nsleep 3\ntouch /tmp/ready\nsleep 1000000 &\nwait",
        ),
        Act::CannotStart => base.change(r#"CMD ["/bin/nonesuch"]"#),
        // The first process of a container ignores what it does not handle.
        Act::Stubborn => base.change(r#"CMD ["/bin/sleep", "1000000"]"#),
        Act::Writes => runs(base, "echo 'hello from the task'\ntrap 'exit 0' TERM\nsleep 1000000 &\nwait"),
    })
}

#[async_trait]
impl Arena for EngineArena {
    fn swarm(&self) -> &dyn SwarmApi {
        &self.client
    }

    fn behaviour(&self) -> Behaviour {
        self.behaviour
    }

    async fn rest(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn tick(&self) {
        tokio::time::sleep(LOOK).await;
    }

    fn clock(&self) -> Duration {
        self.started.elapsed()
    }

    async fn label_node(&self, label: &str, value: Option<&str>) {
        match value {
            Some(value) => self.update_node(&["--label-add", &format!("{label}={value}")]),
            None => self.update_node(&["--label-rm", label]),
        }
    }

    async fn set_availability(&self, availability: &str) {
        self.update_node(&["--availability", availability]);
    }
}
