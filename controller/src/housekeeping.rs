//! Background tasks of a server: work without keys that happens again and again, whether it leads or not.
//!
//! Each is a [`BackgroundTask`], so it has a time limit, backs off when it fails, survives a panic, and shows what it did last in
//! `/debug/tasks` and in the metrics.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use skep_runtime::{BackgroundTask, TaskContext, TaskDriver, TaskReport, TaskSpec};
use skep_store::{Retention, Store, StoreError};

use crate::control_plane::Control;
use crate::metrics::OwnWrites;

/// How often what is no longer kept is removed.
const SWEEP: Duration = Duration::from_secs(3600);
/// How often the engine is asked whether it is there, and writes are looked at that caused no event.
const ENGINE: Duration = Duration::from_secs(5);

/// Starts all of them; they end with the driver's shutdown.
pub(crate) fn start(tasks: &TaskDriver, store: &Store, control: &Arc<Control>, own_writes: &OwnWrites) {
    let (control, own_writes) = (Arc::clone(control), own_writes.clone());
    tasks.start(TaskSpec::new("engine", ENGINE), move || WatchEngine {
        control: Arc::clone(&control),
        own_writes: own_writes.clone(),
    });
    let store = store.clone();
    tasks.start(TaskSpec::new("sweep", SWEEP), move || Sweep { store: store.clone() });
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
struct Sweep {
    store: Store,
}

impl BackgroundTask for Sweep {
    type Error = StoreError;

    async fn activate(&mut self, _: &TaskContext) -> Result<TaskReport, StoreError> {
        let swept = self.store.sweep(&Retention::USUAL).await?;
        Ok(TaskReport::did(format!("{swept:?}")))
    }
}
