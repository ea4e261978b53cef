//! Background tasks of a server: work without keys that happens again and again. Each process looks after its own connection to the
//! engine; what is about the whole cluster is done by whoever holds its lease.
//!
//! Each is a [`BackgroundTask`], so it has a time limit, backs off when it fails, survives a panic, and shows what it did last in
//! `/debug/tasks` and in the metrics.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use skep_runtime::{Activator, BackgroundTask, TaskContext, TaskDriver, TaskReport, TaskSpec};
use skep_store::{Fence, Retention, Sealed, Store, StoreError};

use crate::control_plane::Control;
use crate::lead::{ClusterDuty, Held, OfCluster};
use crate::metrics::OwnWrites;
use crate::safety::Safety;

/// How often what is no longer kept is removed.
const SWEEP: Duration = Duration::from_secs(3600);
/// How often plans are looked for that nobody carries out any more.
const CLOSE_CUT_OFF: Duration = Duration::from_secs(10);
/// How often the end of the audit is sealed: what was done within this time can be written anew by whoever can write the database.
const SEAL_AUDIT: Duration = Duration::from_secs(60);
/// How often the engine is asked whether it is there, and writes are looked at that caused no event.
const ENGINE: Duration = Duration::from_secs(5);

/// Starts all of them; they end with the driver's shutdown. Returned are the bells of the duties of the cluster.
pub(crate) fn start(
    tasks: &TaskDriver,
    store: &Store,
    control: &Arc<Control>,
    held: &Arc<Held>,
    own_writes: &OwnWrites,
    safety: Safety,
    resync: Duration,
) -> Vec<Activator> {
    let (control, own_writes) = (Arc::clone(control), own_writes.clone());
    tasks.start(TaskSpec::new("engine", ENGINE), move || WatchEngine {
        control: Arc::clone(&control),
        own_writes: own_writes.clone(),
    });
    let of_safety = safety.start(tasks, held, resync);
    let of_cluster = (store.clone(), Arc::clone(held));
    let sweep = move || sweep(&of_cluster.0, &of_cluster.1);
    let of_cluster = (store.clone(), Arc::clone(held));
    let close = move || close_cut_off(&of_cluster.0, &of_cluster.1);
    let of_cluster = (store.clone(), Arc::clone(held));
    let seal = move || OfCluster::new(SealAudit { store: of_cluster.0.clone() }, Arc::clone(&of_cluster.1));
    vec![
        of_safety,
        tasks.start(TaskSpec::new("seal-audit", SEAL_AUDIT), seal),
        tasks.start(TaskSpec::new("sweep", SWEEP), sweep),
        tasks.start(TaskSpec::new("close-cut-off-plans", CLOSE_CUT_OFF), close),
    ]
}

/// The removal of what is no longer kept.
pub(crate) fn sweep(store: &Store, held: &Arc<Held>) -> OfCluster<Sweep> {
    OfCluster::new(Sweep { store: store.clone() }, Arc::clone(held))
}

/// The closing of plans whose controller ended before they did.
pub(crate) fn close_cut_off(store: &Store, held: &Arc<Held>) -> OfCluster<CloseCutOff> {
    OfCluster::new(CloseCutOff { store: store.clone() }, Arc::clone(held))
}

/// Asks whether the engine is there.
struct WatchEngine {
    control: Arc<Control>,
    own_writes: OwnWrites,
}

impl BackgroundTask for WatchEngine {
    // An engine that does not answer is an answer, and must be asked again just as soon.
    type Error = Infallible;

    async fn activate(&mut self, _: &TaskContext) -> Result<TaskReport, Infallible> {
        self.own_writes.check();
        Ok(TaskReport::did(match self.control.ask_engine().await {
            Ok(()) => "the engine answers".to_owned(),
            Err(why) => format!("the engine does not answer: {why}"),
        }))
    }
}

/// Removes what is no longer kept.
pub(crate) struct Sweep {
    store: Store,
}

impl ClusterDuty for Sweep {
    type Error = StoreError;

    async fn perform(&mut self, _: &Fence) -> Result<TaskReport, StoreError> {
        let swept = self.store.sweep(&Retention::USUAL).await?;
        Ok(TaskReport::did(format!("{swept:?}")))
    }
}

/// Closes plans whose controller ended before they did.
pub(crate) struct CloseCutOff {
    store: Store,
}

impl ClusterDuty for CloseCutOff {
    type Error = StoreError;

    async fn perform(&mut self, fence: &Fence) -> Result<TaskReport, StoreError> {
        Ok(match self.store.close_interrupted(fence).await? {
            0 => TaskReport::idle(),
            plans => {
                tracing::info!(plans, "plans of a former holder were cut off; they are closed as such");
                TaskReport::did(format!("closed {plans} plans that were cut off"))
            }
        })
    }
}

/// Signs the end of the audit, so that nobody without the master key can write it anew unseen.
struct SealAudit {
    store: Store,
}

impl ClusterDuty for SealAudit {
    type Error = StoreError;

    async fn perform(&mut self, _: &Fence) -> Result<TaskReport, StoreError> {
        Ok(match self.store.seal_audit().await? {
            Sealed::Nothing => TaskReport::idle(),
            Sealed::At(position) => TaskReport::did(format!("sealed up to number {position}")),
            Sealed::Broken(position) => {
                tracing::error!(
                    position,
                    "the audit is not what was sealed: somebody changed it in the database"
                );
                TaskReport::did(format!("number {position} is not what was sealed: the audit was changed"))
            }
        })
    }
}
