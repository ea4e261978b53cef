//! Real engines as an arena.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use skep_simulator::Behaviour;
use skep_swarm::{ClientOptions, EngineAddress, EngineClient, SwarmApi};
use skep_testbed::{Cluster, ClusterOptions, EngineVersion, Recipe};

use crate::arena::{Act, Arena, CLUSTER, HEARTBEAT};
use crate::meeting::Meeting;

/// The pause between two looks.
const LOOK: Duration = Duration::from_millis(40);

/// The acts of which the nodes of a cluster have images: making all of them thrice takes long.
const ON_CLUSTERS: [Act; 2] = [Act::Runs, Act::RunsToo];

/// A Swarm of real engines that have the images of all acts that their cases are about.
pub struct EngineArena {
    cluster: Mutex<Cluster>,
    client: EngineClient,
    behaviour: Behaviour,
    started: Instant,
    meeting: Meeting,
}

impl EngineArena {
    /// Starts an engine of this release, a Swarm of its own.
    pub async fn start(behaviour: Behaviour) -> Result<Self> {
        Self::start_nodes(behaviour, 1, &Act::ALL).await
    }

    /// Starts a Swarm in which nodes can be lost.
    pub async fn start_cluster(behaviour: Behaviour) -> Result<Self> {
        let arena = Self::start_nodes(behaviour, CLUSTER, &ON_CLUSTERS).await?;
        let period = format!("{}s", HEARTBEAT.as_secs());
        arena.docker(&["swarm", "update", "--dispatcher-heartbeat", &period])?;
        Ok(arena)
    }

    async fn start_nodes(behaviour: Behaviour, nodes: u8, acts: &[Act]) -> Result<Self> {
        let version = match behaviour {
            Behaviour::V20_10 => EngineVersion::V20_10,
            Behaviour::V26_1 => EngineVersion::V26_1,
        };
        let cluster = Cluster::start(nodes, &ClusterOptions { version, ..ClusterOptions::default() })?;
        for node in cluster.nodes() {
            for act in acts {
                node.import(&recipe(*act)?, act.image())?;
            }
        }
        let address = EngineAddress::unix(cluster.manager()?.socket());
        let client = EngineClient::new(address, ClientOptions::default()).await.context("no client")?;
        let (cluster, meeting) = (Mutex::new(cluster), Meeting::default());
        Ok(Self { cluster, client, behaviour, started: Instant::now(), meeting })
    }

    /// Where cases meet before they do to a node what all of them need done.
    pub(crate) fn meeting(&self) -> &Meeting {
        &self.meeting
    }

    fn cluster(&self) -> MutexGuard<'_, Cluster> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn docker(&self, arguments: &[&str]) -> Result<String> {
        self.cluster().manager()?.docker_ok(arguments)
    }

    async fn update_node(&self, node: &str, arguments: &[&str]) {
        let update: Vec<&str> = ["node", "update"].iter().chain(arguments).copied().chain([node]).collect();
        self.meeting.once(|| self.docker(&update)).await.expect("an updated node");
    }
}

/// Where a cluster keeps a node of this name.
fn index(node: &str) -> usize {
    let number = node.strip_prefix("node-").and_then(|number| number.parse::<usize>().ok());
    number.and_then(|number| number.checked_sub(1)).expect("a node's name")
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
            .change(r#"HEALTHCHECK --interval=1s --timeout=20s --retries=2 CMD ["/bin/healthy"]"#),
        Act::UnhealthyAndStubborn => base
            .file("bin/healthy", 0o755, script("echo 'this one is never healthy'\nexit 1"))
            .change(r#"HEALTHCHECK --interval=1s --timeout=20s --retries=2 CMD ["/bin/healthy"]"#)
            .change(r#"CMD ["/bin/sleep", "1000000"]"#),
        Act::HealthyNever => base
            .file("bin/healthy", 0o755, script("exit 1"))
            .change(r#"HEALTHCHECK --interval=1s --timeout=20s --retries=60 CMD ["/bin/healthy"]"#),
        Act::HealthyLate => runs(
            base.file("bin/healthy", 0o755, script("cat /tmp/ready"))
                .change(r#"HEALTHCHECK --interval=1s --timeout=20s --retries=30 CMD ["/bin/healthy"]"#),
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

    async fn label_node(&self, node: &str, label: &str, value: Option<&str>) {
        match value {
            Some(value) => self.update_node(node, &["--label-add", &format!("{label}={value}")]).await,
            None => self.update_node(node, &["--label-rm", label]).await,
        }
    }

    async fn set_availability(&self, node: &str, availability: &str) {
        self.update_node(node, &["--availability", availability]).await;
    }

    async fn cut_off_node(&self, node: &str) {
        self.meeting.once(|| self.cluster().cut(index(node))).await.expect("a node without a network");
    }

    async fn switch_off_node(&self, node: &str) {
        self.meeting.once(|| self.cluster().kill(index(node))).await.expect("a node without power");
    }

    async fn bring_back_node(&self, node: &str) {
        let bring_back = || {
            let mut cluster = self.cluster();
            cluster.heal(index(node))?;
            let node = cluster.node_mut(index(node))?;
            if node.is_on() { Ok(()) } else { node.power_on() }
        };
        self.meeting.once(bring_back).await.expect("a node that is back");
    }

    async fn remove_node(&self, node: &str) {
        let remove = || self.docker(&["node", "rm", "--force", node]);
        self.meeting.once(remove).await.expect("a removed node");
    }
}
