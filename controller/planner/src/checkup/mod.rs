//! The checkup: what of a cluster weakens what tenants are promised, told from what its engine says.
//!
//! Input is one look at the engine: what it is, and its nodes, networks and services. Output is one [`Check`] for each thing that has to
//! be so, with what was found. Where the CIS Docker Benchmark (1.7) asks for the same, its number is there. What no engine says to
//! somebody who asks over its API (files, the address that a manager listens on, how often a key was changed) is not guessed: such
//! items are not here. An engine tells about itself alone, so of the other nodes only what the Swarm knows of them is looked at.
//!
//! Pure: the same look gives the same findings.

mod advisories;
mod edge;
mod engine;
mod networks;
mod services;
mod swarm;

use crate::naming::{InstanceId, LABEL_INSTANCE, LABEL_ROLE, ROLE_EDGE};
use crate::swarm::{Network, Node, Service};

/// What an engine says of itself and of its Swarm.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EnginePosture {
    /// Confinement it applies to every container, like `name=seccomp,profile=builtin` or `name=userns`.
    pub security_options: Vec<String>,
    /// What it warns of, in its own words.
    pub warnings: Vec<String>,
    /// Registries that it talks to without verified TLS.
    pub insecure_registries: Vec<String>,
    /// Plug-ins that decide about requests.
    pub authorization_plugins: Vec<String>,
    /// Whether features are on that nobody promises to keep.
    pub is_experimental: bool,
    /// What the Swarm is set to; managers alone know.
    pub swarm: Option<SwarmSettings>,
}

/// What a Swarm is set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SwarmSettings {
    /// Whether a manager that restarts has to be unlocked by hand.
    pub is_autolocked: bool,
    /// How long the certificates of nodes are valid, in nanoseconds.
    pub certificate_life: i64,
}

/// One look at a cluster.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// Whose look it is.
    pub instance: &'a InstanceId,
    /// The engine that answers.
    pub engine: &'a EnginePosture,
    /// All nodes.
    pub nodes: &'a [Node],
    /// All networks that the engine knows.
    pub networks: &'a [Network],
    /// All services.
    pub services: &'a [Service],
}

/// One thing that has to be so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What it is known by.
    pub id: &'static str,
    /// The number of the CIS Docker Benchmark 1.7 that asks for it.
    pub benchmark: Option<&'static str>,
    /// What has to be so.
    pub title: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// What helps.
    pub fix: &'static str,
    /// How many things were looked at.
    pub looked_at: usize,
    /// What is not so, one by one.
    pub findings: Vec<String>,
}

/// All checks.
pub fn examine(look: &Look<'_>) -> Vec<Check> {
    let groups = [swarm::checks, networks::checks, engine::checks, services::checks, edge::checks];
    groups.into_iter().flat_map(|checks| checks(look)).collect()
}

impl Look<'_> {
    /// Services that Skep has made for tenants. What they are is what its renderer makes of them, and what was meddled with is drift.
    fn is_ours(&self, service: &Service) -> bool {
        service.spec.labels.get(LABEL_INSTANCE).is_some_and(|id| id == self.instance.as_str())
    }

    /// The proxy at the edge.
    fn edges(&self) -> impl Iterator<Item = &Service> {
        let is_edge =
            |service: &&Service| service.spec.labels.get(LABEL_ROLE).is_some_and(|role| role == ROLE_EDGE);
        self.services.iter().filter(is_edge)
    }
}

#[cfg(test)]
mod checkup_tests;
