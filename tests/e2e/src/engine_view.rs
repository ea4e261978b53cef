//! What the engine says about an installation, by its own client.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use skep_testbed::http;

use crate::installation::Installation;

/// The service of the edge, which no test's deletion may touch.
pub const EDGE: &str = "skep-edge_traefik";

impl Installation {
    /// The output of the engine's client.
    pub fn docker(&self, args: &[&str]) -> Result<String> {
        self.engine.docker_ok(args)
    }

    /// What the engine's API answers, in its newest version. The engine's client leaves out what it is too old to know.
    pub fn engine_says(&self, path: &str) -> Result<Value> {
        let answer = http::get_unix(&self.engine.socket(), path)?;
        ensure!(answer.status == 200, "{path}: {}", answer.body);
        Ok(serde_json::from_str(&answer.body)?)
    }

    /// A service's object as the engine has it.
    pub fn service(&self, name: &str) -> Result<Value> {
        self.engine_says(&format!("/services/{name}"))
    }

    /// The names of all services except the edge's.
    pub fn services(&self) -> Result<BTreeSet<String>> {
        let names = self.docker(&["service", "ls", "--format", "{{.Name}}"])?;
        Ok(names.lines().filter(|name| *name != EDGE).map(str::to_owned).collect())
    }

    /// The ids of a service's running tasks.
    pub fn running_tasks(&self, service: &str) -> Result<BTreeSet<String>> {
        let args = ["service", "ps", "--quiet", "--no-trunc", "--filter", "desired-state=running", service];
        Ok(self.docker(&args)?.lines().map(str::to_owned).collect())
    }

    /// The ids of a service's running containers.
    pub fn containers(&self, service: &str) -> Result<Vec<String>> {
        let filter = format!("label=com.docker.swarm.service.name={service}");
        Ok(self.docker(&["ps", "--quiet", "--filter", &filter])?.lines().map(str::to_owned).collect())
    }

    /// One of them.
    pub fn container(&self, service: &str) -> Result<String> {
        let containers = self.containers(service)?;
        containers.first().cloned().with_context(|| format!("{service} has no running container"))
    }

    /// A container's address on each of its networks.
    pub fn addresses(&self, container: &str) -> Result<Vec<(String, String)>> {
        let all: Value = serde_json::from_str(&self.docker(&["inspect", container])?)?;
        let networks = all[0]["NetworkSettings"]["Networks"].as_object().context("it has networks")?;
        let address = |network: &Value| network["IPAddress"].as_str().unwrap_or_default().to_owned();
        Ok(networks.iter().map(|(name, network)| (name.clone(), address(network))).collect())
    }

    /// Everything on the engine that Skep made or that belongs to it: services, secrets, networks and containers.
    pub fn made_by_skep(&self) -> Result<BTreeSet<String>> {
        let mut found = self.services()?;
        let networks = self.docker(&["network", "ls", "--format", "{{.Name}}"])?;
        found.extend(networks.lines().filter(|name| is_ours(name)).map(|name| format!("network {name}")));
        let secrets = self.docker(&["secret", "ls", "--format", "{{.Name}}"])?;
        found.extend(secrets.lines().map(|name| format!("secret {name}")));
        let labelled = ["ps", "--all", "--format", "{{.Names}}", "--filter", "label=skep.dev/instance"];
        found.extend(self.docker(&labelled)?.lines().map(|name| format!("container {name}")));
        Ok(found)
    }
}

fn is_ours(network: &str) -> bool {
    network.starts_with("skep-") && !network.starts_with("skep-edge_")
}
