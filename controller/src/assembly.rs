//! The parts of one process' loop, put together. A server gives them workers and timers; [`local`](crate::local) hands them to
//! somebody who drives them one step at a time. There is no other place where they are wired.

use std::sync::Arc;

use prometheus_client::registry::Registry;
use skep_outbound::Outbound;
use skep_planner::Settings;
use skep_runtime::{Environs, Priority, Shutdown, TaskDriver};
use skep_schemas::ResourceKey;
use skep_store::Store;
use skep_swarm::{Gathered, SwarmApi};

use crate::control_plane::{Control, Sight};
use crate::lead::Held;
use crate::logs::{Logs, Loki};
use crate::lookup::Lookups;
use crate::metrics::{Measured, Metrics};
use crate::observe::Observer;
use crate::reconciler::ResourceReconciler;
use crate::safety::{Safety, SafetySettings};
use crate::scan::Scans;
use crate::signature::{Signatures, TrustedRoot};
use crate::tasks::Works;
use crate::usage::Meter;
use crate::wake::Queue;

/// What a loop is made from.
pub(crate) struct Ground {
    /// Where desired state and leases are.
    pub(crate) store: Store,
    /// The Swarm, as it is.
    pub(crate) swarm: Arc<dyn SwarmApi>,
    /// The planner's settings.
    pub(crate) settings: Settings,
    /// What asks hosts that tenants name.
    pub(crate) outbound: Outbound,
    /// What signatures of identities are verified with.
    pub(crate) trusted_root: Option<Arc<TrustedRoot>>,
    /// What keeps output for longer than the engine.
    pub(crate) loki: Option<Arc<Loki>>,
    /// What is decided about safety.
    pub(crate) safety: SafetySettings,
    /// Time and randomness.
    pub(crate) environs: Environs,
    /// What ends its background tasks.
    pub(crate) shutdown: Shutdown,
}

/// The parts of a loop.
pub(crate) struct Assembly {
    /// The Swarm, measured, its reads gathered.
    pub(crate) swarm: Arc<dyn SwarmApi>,
    /// The leases that are held: none yet.
    pub(crate) held: Arc<Held>,
    /// What is to be looked at, if it is of a shard that is held.
    pub(crate) queue: Queue,
    /// What looks at it.
    pub(crate) reconciler: ResourceReconciler,
    /// What restrains it.
    pub(crate) safety: Safety,
    /// What the API sees of it.
    pub(crate) control: Arc<Control>,
    /// What runs its background tasks: none yet.
    pub(crate) tasks: Arc<TaskDriver>,
    /// Its numbers.
    pub(crate) metrics: Metrics,
}

impl Assembly {
    /// Puts the parts together. Keys that are woken go into `put`.
    pub(crate) fn new(
        ground: &Ground,
        registry: &mut Registry,
        put: impl Fn(ResourceKey, Priority) + Send + Sync + 'static,
    ) -> Self {
        let Ground { store, environs, .. } = ground;
        let metrics = Metrics::register(registry);
        let (engine, own_writes) = (metrics.engine.clone(), metrics.own_writes.clone());
        let measured = Measured::new(Arc::clone(&ground.swarm), engine, own_writes);
        // Outside, so that the calls that are made are measured, and not the questions that are asked.
        let swarm: Arc<dyn SwarmApi> = Arc::new(Gathered::new(Arc::new(measured)));
        let settings = Arc::new(ground.settings.clone());
        let held = Arc::new(Held::default());
        let queue = Queue::new(put, Arc::clone(&held));
        let waking = queue.clone();
        let wake = move |key: &ResourceKey| waking.wake(key.clone(), Priority::Change);
        let outbound = ground.outbound.clone();
        let lookups = Lookups::new(Arc::clone(&swarm), outbound, store.clone(), wake.clone());
        let clock = Arc::clone(&environs.clock);
        let root = ground.trusted_root.clone();
        let signatures = Signatures::new(ground.outbound.clone(), store.clone(), root, clock, wake.clone());
        let clock = Arc::clone(&environs.clock);
        let scans = Scans::new(ground.outbound.clone(), store.clone(), clock, wake);
        let clock = Arc::clone(&environs.clock);
        let observer = Arc::new(Observer::new(Arc::clone(&swarm), lookups, signatures, scans, clock));
        let safety =
            Safety::new(store, &swarm, &settings.instance, ground.safety, &queue, &metrics, &environs.clock);
        let tasks = Arc::new(TaskDriver::new(environs.clone(), ground.shutdown.clone()));
        let control = Arc::new(Control::new(
            store.clone(),
            Sight {
                observer: Arc::clone(&observer),
                logs: Logs::new(Arc::clone(&swarm), settings.instance.clone(), ground.loki.clone()),
                meter: Meter::new(Arc::clone(&swarm), settings.instance.clone()),
            },
            Arc::clone(&settings),
            Arc::clone(&safety.guard),
            Arc::clone(&held),
            queue.clone(),
            Works { metrics: metrics.clone(), tasks: Arc::clone(&tasks) },
        ));
        let connections = store.clone();
        Metrics::watch(registry, move || connections.connections(), Arc::clone(&tasks));
        let reconciler = ResourceReconciler::new(
            store.clone(),
            Arc::clone(&swarm),
            observer,
            settings,
            Arc::clone(&held),
            metrics.clone(),
            Arc::clone(&safety.guard),
        );
        Self { swarm, held, queue, reconciler, safety, control, tasks, metrics }
    }
}
