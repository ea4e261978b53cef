//! One process' loop without workers and timers: whoever has it says what happens next.
//!
//! It is what a server is made of, put together by the same code ([`assembly`](crate::assembly)): the real store with its leases,
//! guard, surveys, wake mapping, planner and executor. What a server adds is only *when* things happen: a scheduler, streams
//! of changes and events, and timers. Here these are calls. A harness that owns the clock, the Swarm and the order of calls
//! owns every interleaving, and can drop any of these futures in the middle, as a crash would.
//!
//! Keys that are woken, by whatever call, are collected until [`Local::woken`] takes them.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::registry::Registry;
use skep_api::ControlPlane;
use skep_outbound::Outbound;
use skep_planner::Settings;
use skep_runtime::{Classify, Disposition, Environs, Outcome, Pass, Priority, Reconciler, Shutdown};
use skep_schemas::ResourceKey;
use skep_store::{Change, Store, StoreError};
use skep_swarm::{Hint, SwarmApi};

use crate::assembly::{Assembly, Ground};
use crate::error::chain;
use crate::lead::{self, Gained, Membership, TTL, wake_gained};
use crate::safety::{SafetySettings, WatchHolds};
use crate::{housekeeping, wake};

/// How long a lease outlives its holder's last sign of life.
pub const LEASE: Duration = TTL;

/// How many leases there are. Somebody has to hold each for everything to be looked after.
pub const LEASES: usize = lead::LEASES;

/// What a loop is given.
pub struct LocalOptions {
    /// Its name among the members; no other that is alive may have it.
    pub name: String,
    /// Desired state and leases.
    pub store: Store,
    /// The Swarm.
    pub swarm: Arc<dyn SwarmApi>,
    /// The planner's settings.
    pub settings: Settings,
    /// What asks hosts that tenants name.
    pub outbound: Outbound,
    /// What is decided about safety.
    pub safety: SafetySettings,
    /// Time and randomness.
    pub environs: Environs,
}

/// A loop that holds nothing yet. Dropping it is a crash: its leases run out by themselves.
pub struct Local {
    store: Store,
    environs: Environs,
    parts: Assembly,
    holds: WatchHolds,
    membership: Membership,
    gained: Gained,
    woken: Arc<Mutex<Vec<(ResourceKey, Priority)>>>,
}

/// What a pass came to, and with it what a scheduler does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passed {
    /// Nothing until something changes.
    AwaitChange,
    /// Another pass after this time, or earlier if the key is woken.
    RequeueAfter(Duration),
    /// It failed.
    Failed {
        /// What to do about it.
        disposition: Disposition,
        /// Why, in words.
        why: String,
    },
}

/// Something else than a pass did not succeed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what}")]
pub struct LocalError {
    what: &'static str,
    #[source]
    source: Box<dyn Error + Send + Sync>,
}

fn during<E: Error + Send + Sync + 'static>(what: &'static str) -> impl FnOnce(E) -> LocalError {
    move |error| LocalError { what, source: Box::new(error) }
}

impl Local {
    /// A loop that has just started.
    pub fn new(options: LocalOptions) -> Self {
        let LocalOptions { name, store, swarm, settings, outbound, safety, environs } = options;
        let shutdown = Shutdown::new();
        let woken = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&woken);
        let put =
            move |key, priority| into.lock().unwrap_or_else(PoisonError::into_inner).push((key, priority));
        let ground = Ground {
            store,
            swarm,
            settings,
            outbound,
            // No campaign has a registry.
            trusted_root: None,
            loki: None,
            safety,
            environs,
            shutdown: shutdown.clone(),
        };
        let parts = Assembly::new(&ground, &mut Registry::default(), put);
        let Ground { store, environs, .. } = ground;
        let gained = Gained::default();
        let membership = Membership::new(
            store.member(name, TTL),
            Arc::clone(&parts.held),
            Vec::new(),
            gained.clone(),
            parts.metrics.clone(),
            Arc::clone(&environs.clock),
            shutdown,
        );
        let holds = parts.safety.watch();
        Self { store, environs, parts, holds, membership, gained, woken }
    }

    /// Says that it is alive, renews its leases, takes its share of the free ones and gives back what is above it. Wakes the keys
    /// of what it gained.
    pub async fn beat(&mut self) -> Result<(), LocalError> {
        self.membership.let_idle_go();
        self.membership.look().await.map_err(during("take part in the work"))?;
        wake_gained(&self.store, &self.parts.queue, &self.gained).await.map_err(during("list gained keys"))
    }

    /// Gives all leases back, as a process does that is asked to stop.
    pub async fn leave(mut self) {
        self.membership.hand_over().await;
    }

    /// One pass over a key. Nothing happens if its shard is not held.
    pub async fn pass(&self, key: &ResourceKey, trigger: Priority) -> Passed {
        let pass = Pass::detached(&self.environs.entropy, trigger);
        match self.parts.reconciler.reconcile(key, &pass).await {
            Ok(Outcome::AwaitChange) => Passed::AwaitChange,
            Ok(Outcome::RequeueAfter(after)) => Passed::RequeueAfter(after),
            Err(error) => Passed::Failed { disposition: error.disposition(), why: chain(&error) },
        }
    }

    /// Wakes whom these changes of the store concern.
    pub async fn changed(&self, changes: &[Change]) -> Result<(), LocalError> {
        let woken = wake::wake_changes(&self.store, &self.parts.queue, changes).await;
        woken.map_err(during("find who depends on changes"))
    }

    /// Wakes whom this event of the engine concerns.
    pub async fn heard(&self, hint: &Hint) {
        wake::wake_hint(&self.store, &self.parts.queue, hint).await;
    }

    /// Wakes what the periodic look wakes: every key that is held, but for environments of which nothing has changed since a pass
    /// found them as they should be.
    pub async fn look(&self) -> Result<(), LocalError> {
        let keys = self.parts.reconciler.unchanged().keys().await;
        let keys = keys.map_err(during("list what has changed"))?;
        keys.into_iter().for_each(|key| self.parts.queue.wake(key, Priority::Resync));
        Ok(())
    }

    /// Wakes every key that is held, as after a stream of events that was lost.
    pub async fn resync(&self, priority: Priority) -> Result<(), LocalError> {
        wake::wake_all(&self.store, &self.parts.queue, priority).await.map_err(during("list all keys"))
    }

    /// The keys that were woken since the last call, in order, each as often as it was.
    pub fn woken(&self) -> Vec<(ResourceKey, Priority)> {
        std::mem::take(&mut *self.woken.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Every key in the store that this process answers for, what others depend on first.
    pub async fn keys(&self) -> Result<Vec<ResourceKey>, StoreError> {
        wake::keys_where(&self.store, |key| self.parts.held.has(key)).await
    }

    /// Surveys the Swarm and collects orphans, if the work of the cluster is this process'. What was done, in words.
    pub async fn survey(&self) -> Result<String, LocalError> {
        let report = self.parts.safety.survey(&self.parts.held).perform().await;
        report.map(|report| report.summary().to_owned()).map_err(during("survey the Swarm"))
    }

    /// Looks at the holds, and wakes every key when one has ended. How many are in force?
    pub async fn watch_holds(&mut self) -> Result<usize, LocalError> {
        self.holds.look().await.map_err(during("look at the holds"))
    }

    /// Closes plans that were cut off, if the work of the cluster is this process'.
    pub async fn close_cut_off(&self) -> Result<(), LocalError> {
        let report = housekeeping::close_cut_off(&self.store, &self.parts.held).perform().await;
        report.map(drop).map_err(during("close plans that were cut off"))
    }

    /// Removes what is no longer kept, if the work of the cluster is this process'.
    pub async fn sweep(&self) -> Result<(), LocalError> {
        let report = housekeeping::sweep(&self.store, &self.parts.held).perform().await;
        report.map(drop).map_err(during("sweep"))
    }

    /// What the API asks of the loop.
    pub fn control(&self) -> Arc<dyn ControlPlane> {
        self.parts.control.clone()
    }

    /// How many leases it holds.
    pub fn leases(&self) -> usize {
        self.parts.held.count()
    }

    /// Is the work of the cluster this process'?
    pub fn leads(&self) -> bool {
        self.parts.held.has_cluster()
    }
}
