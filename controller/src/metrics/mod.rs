//! Every metric of the controller, declared in one place: its name, its unit, its labels and what it means.
//!
//! The machinery of the loop (runs, workers, queues) is measured by `skep-runtime`, requests by `skep-api`; all three share one
//! registry, and `docs/guides/metrics.md` lists them all (a test compares the two). Labels are words of the program (kinds, verbs,
//! reasons, classes) or names that an operator configures (leases), never those of organisations or resources: their number is
//! not ours to bound. Times are in seconds, names say so.
//!
//! Each family is a small handle of its own, so that whoever sets it needs no other: clones are the same metrics.

mod board;
mod convergence;
mod drift;
mod engine;
mod leases;
mod orphans;
mod own_writes;
mod swarm;
mod tasks;
mod watch;

use std::sync::Arc;

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};
use skep_runtime::TaskDriver;
use skep_store::Connections;

pub use board::{Board, Readiness};
pub use convergence::Convergence;
pub use drift::Drift;
pub use engine::EngineMetrics;
pub use leases::{HeldLease, Leases};
pub use orphans::Orphans;
pub use own_writes::OwnWrites;
pub use swarm::Measured;
pub use tasks::{Follower, Followers};
pub use watch::WatchMetrics;

/// What every metric of Skep begins with.
pub const PREFIX: &str = "skep";

/// Seconds of calls and delays: from a call over a local socket to one that runs into its time limit.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0, 60.0];

/// All metrics of a process's controller; clones are the same metrics.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Runs, workers and queues.
    pub runtime: skep_runtime::Metrics,
    /// Plans carried out, step by step.
    pub convergence: Convergence,
    /// How every resource is, and what stands in the way of which.
    pub board: Board,
    /// The engine: whether it answers, and how long its calls and events take.
    pub engine: EngineMetrics,
    /// Writes of our own and the events that they should cause.
    pub own_writes: OwnWrites,
    /// Changes of the store on their way to the queue.
    pub watch: WatchMetrics,
    /// Who reconciles.
    pub leases: Leases,
    /// Differences between what was converged and what is live.
    pub drift: Drift,
    /// Holds in force: what would be done looks like a mistake and waits for a person.
    pub holds: Gauge,
    /// Objects of ours that the inventory does not know.
    pub orphans: Orphans,
    /// Loops that follow something for as long as the process lives.
    pub followers: Followers,
}

impl Metrics {
    /// Makes and registers all of them.
    pub fn register(registry: &mut Registry) -> Self {
        let runtime = skep_runtime::Metrics::register(registry, PREFIX);
        let registry = registry.sub_registry_with_prefix(PREFIX);
        Self {
            runtime,
            convergence: Convergence::register(registry),
            board: Board::register(registry),
            engine: EngineMetrics::register(registry),
            own_writes: OwnWrites::register(registry),
            watch: WatchMetrics::register(registry),
            leases: Leases::register(registry),
            drift: Drift::register(registry),
            holds: add(
                registry,
                "holds_in_force",
                "Safety holds that wait for a person's word",
                Gauge::default(),
            ),
            orphans: Orphans::register(registry),
            followers: Followers::register(registry),
        }
    }

    /// Adds what is read from others when scraped: the store's connections and the background tasks.
    pub fn watch(
        registry: &mut Registry,
        connections: impl Fn() -> Connections + Send + Sync + 'static,
        tasks: Arc<TaskDriver>,
    ) {
        let registry = registry.sub_registry_with_prefix(PREFIX);
        registry.register_collector(Box::new(watch::Pool::new(connections)));
        registry.register_collector(Box::new(tasks::TaskCollector::new(tasks)));
    }
}

/// Registers a metric and hands it back.
fn add<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

#[cfg(test)]
#[path = "catalog_tests.rs"]
mod tests;
