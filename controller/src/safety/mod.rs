//! Safety at work: surveys of the Swarm, and the guard that every plan passes.
//!
//! ```text
//! Surveyor ── looks at the Swarm, then at the store ─> planner::safety ─> claim, holds, orphans   (one process: a cluster duty)
//! Guard    ── before a plan is carried out: hold in force? claim ours? brake? ─> restrained plan      (every process)
//! watch    ── the holds as last seen, for those who must not wait; wakes everything when one ends      (every process)
//! ```
//!
//! The claim is what connects them: a claim of this instance and this epoch of the store is written only by a survey that found
//! nothing wrong, so whoever finds it so may act, in whichever process. A survey reads everything and writes little: the claim when
//! it is made or confirmed, holds, and orphans. What it cannot read it does not judge; one that fails changes nothing.

mod collect;
mod entry;
mod guard;
mod in_force;
mod look;
mod surveyor;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use skep_planner::InstanceId;
use skep_planner::safety::RemovalLimits;
use skep_runtime::{Activator, Clock, TaskDriver, TaskSpec};
use skep_store::Store;
use skep_swarm::SwarmApi;

pub(crate) use guard::Guard;
use in_force::HoldsInForce;
pub(crate) use look::found_in;
pub(crate) use surveyor::Surveyor;
pub(crate) use watch::WatchHolds;

use crate::lead::{Held, OfCluster};
use crate::metrics::Metrics;
use crate::wake::Queue;

/// How often holds are looked at: whoever confirms one waits for it.
const WATCH: Duration = Duration::from_secs(2);

/// The operator's decisions about safety.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SafetySettings {
    /// How much may be removed at a time without anyone confirming it.
    pub limits: RemovalLimits,
    /// How long an orphan stays.
    pub orphan_grace: Duration,
}

/// Everything about safety that a server is made of.
pub(crate) struct Safety {
    /// What every plan passes.
    pub(crate) guard: Arc<Guard>,
    surveyor: Surveyor,
    watch: WatchHolds,
    bell: Activator,
}

impl Safety {
    /// Safety for this instance.
    pub(crate) fn new(
        store: &Store,
        swarm: &Arc<dyn SwarmApi>,
        instance: &InstanceId,
        settings: SafetySettings,
        queue: &Queue,
        metrics: &Metrics,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        let bell = Activator::new();
        let guard = Guard::new(
            store.clone(),
            Arc::clone(swarm),
            instance.clone(),
            settings,
            HoldsInForce::new(metrics.holds.clone()),
            bell.clone(),
            Arc::clone(clock),
        );
        let guard = Arc::new(guard);
        let surveyor = Surveyor::new(
            store.clone(),
            Arc::clone(swarm),
            instance.clone(),
            Arc::clone(&guard),
            metrics.orphans.clone(),
        );
        let watch = WatchHolds::new(store.clone(), Arc::clone(&guard), queue.clone());
        Self { guard, surveyor, watch, bell }
    }

    /// The survey, for whoever holds the cluster's lease.
    pub(crate) fn survey(&self, held: &Arc<Held>) -> OfCluster<Surveyor> {
        OfCluster::new(self.surveyor.clone(), Arc::clone(held))
    }

    /// What looks at the holds in every process.
    pub(crate) fn watch(&self) -> WatchHolds {
        self.watch.clone()
    }

    /// Starts the background tasks. A survey is made after every periodic look, or by itself if none came for twice as long. Returned
    /// is the bell of the survey, which the holder of the cluster's lease rings.
    pub(crate) fn start(self, tasks: &TaskDriver, held: &Arc<Held>, resync: Duration) -> Activator {
        let held = Arc::clone(held);
        let spec = TaskSpec::new("survey", resync * 2).activated_by(&self.bell);
        tasks.start(TaskSpec::new("holds", WATCH), {
            let watch = self.watch();
            move || watch.clone()
        });
        tasks.start(spec, move || self.survey(&held))
    }
}
