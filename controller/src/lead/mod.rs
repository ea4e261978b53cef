//! Several controllers: each works on its share of the organisations, and takes over from those that are gone.
//!
//! ```text
//! shard       an organisation's name ─> one of 16 shards, for ever the same
//! assignment  what a member sees ─> what it takes and gives back           (pure)
//! membership  one statement a second: alive, leases renewed, who is there  (the only one that takes and gives)
//! term        until when a lease is surely held; all work under it stops by then
//! held        what this process holds now, for wakes, passes and readiness
//! duty        work of the whole cluster, for whoever holds its lease
//! ```
//!
//! Every member runs all of the machinery all the time: it follows the store and the engine, and drops the wakes of foreign
//! shards at once. When it gains a shard, all keys of that shard are woken, so whatever was missed or left half done is
//! looked at. Leases save work and protect Postgres (every write is fenced by its shard's epoch, I9); correctness in the Swarm rests on
//! unique names, versions and the journal, as it does with one controller.

mod assignment;
mod duty;
mod held;
mod membership;
mod shard;
mod term;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use skep_runtime::{Activator, Controller, ControllerOptions, Environs, Priority, Shutdown, StopCause};
use skep_schemas::{Kind, ResourceKey, Uid};
use skep_store::{Store, StoreError};
use skep_swarm::SwarmApi;
use tokio::sync::watch;

pub(crate) use duty::{ClusterDuty, OfCluster};
pub(crate) use held::{Held, Turn};
pub(crate) use membership::{Membership, TTL};
use shard::Shard;
pub(crate) use term::TermOver;

use crate::error::chain;
use crate::metrics::Metrics;
use crate::reconciler::ResourceReconciler;
use crate::wake::{self, Queue, Work};

/// How many leases there are: one for each shard and that of the cluster.
pub(crate) const LEASES: usize = shard::SHARDS + 1;

/// How soon the keys of a gained shard are listed again when that failed.
const LIST_AGAIN: Duration = Duration::from_secs(1);

/// A controller that has not been started.
pub(crate) struct Lead {
    /// Where desired state and leases are.
    pub(crate) store: Store,
    /// The Swarm.
    pub(crate) swarm: Arc<dyn SwarmApi>,
    /// What this process holds.
    pub(crate) held: Arc<Held>,
    /// What is to be looked at.
    pub(crate) queue: Queue,
    /// The same as workers see it.
    pub(crate) work: Work,
    /// What looks at it.
    pub(crate) reconciler: ResourceReconciler,
    /// The bells of what the holder of the cluster's lease does.
    pub(crate) duties: Vec<Activator>,
    /// How many keys run at once, and for how long.
    pub(crate) options: ControllerOptions,
    /// Where its numbers go.
    pub(crate) metrics: Metrics,
    /// Time and randomness.
    pub(crate) environs: Environs,
    /// How often every key is looked at.
    pub(crate) resync: Duration,
}

impl Lead {
    /// Takes part in the work until shutdown.
    pub(crate) async fn run(self, shutdown: Shutdown) {
        let Self { store, swarm, held, queue, work, reconciler, duties, options, metrics, environs, resync } =
            self;
        let gained = Gained::default();
        let membership = Membership::new(
            store.member(Uid::generate().to_string(), TTL),
            Arc::clone(&held),
            duties,
            gained.clone(),
            metrics.clone(),
            Arc::clone(&environs.clock),
            shutdown.clone(),
        );
        let unchanged = Arc::clone(reconciler.unchanged());
        let runtime = metrics.runtime.clone();
        let kinds = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        let controller = Controller::new("resource", options, work, reconciler, environs, runtime)
            .with_kinds(kinds, |key: &ResourceKey| key.kind().as_str())
            .with_resync(resync, move || {
                let unchanged = Arc::clone(&unchanged);
                async move { unchanged.keys().await }
            });
        shutdown.spawn(wake::follow_store(store.clone(), queue.clone(), metrics.clone(), shutdown.clone()));
        shutdown.spawn(wake::follow_engine(swarm, store.clone(), queue.clone(), metrics, shutdown.clone()));
        shutdown.spawn(follow_gained(store, queue, gained, shutdown.clone()));
        let membership = shutdown.spawn(membership.run());
        let stopped = controller.run(&shutdown).await;
        if let StopCause::Fenced { key, error } = stopped.cause {
            tracing::error!(%key, error = chain(&error), "a pass was fenced outside of its term");
        }
        // Without its controller this process must not keep what others could work on.
        shutdown.begin();
        if let Err(error) = membership.await {
            tracing::error!(%error, "the membership ended by a fault of its own");
        }
    }
}

/// The shards that were gained and whose keys were not woken yet.
pub(crate) type Gained = watch::Sender<BTreeSet<Shard>>;

/// Wakes all keys of the shards that were gained.
pub(crate) async fn wake_gained(store: &Store, queue: &Queue, gained: &Gained) -> Result<(), StoreError> {
    let shards = gained.send_replace(BTreeSet::new());
    if shards.is_empty() {
        return Ok(());
    }
    match wake::keys_where(store, |key| shards.contains(&Shard::of(key))).await {
        Ok(keys) => {
            tracing::debug!(keys = keys.len(), shards = shards.len(), "looking at gained shards");
            keys.into_iter().for_each(|key| queue.wake(key, Priority::Resync));
            Ok(())
        }
        Err(error) => {
            gained.send_modify(|unseen| unseen.extend(shards));
            Err(error)
        }
    }
}

/// The same with every gain, until shutdown.
async fn follow_gained(store: Store, queue: Queue, gained: Gained, shutdown: Shutdown) {
    let mut more = gained.subscribe();
    loop {
        tokio::select! {
            seen = more.wait_for(|unseen| !unseen.is_empty()) => if seen.is_err() { return },
            () = shutdown.requested() => return,
        }
        match wake_gained(&store, &queue, &gained).await {
            Ok(()) => {}
            Err(error) => {
                tracing::warn!(error = chain(&error), "cannot list the keys of gained shards");
                tokio::select! {
                    () = tokio::time::sleep(LIST_AGAIN) => {}
                    () = shutdown.requested() => return,
                }
            }
        }
    }
}
