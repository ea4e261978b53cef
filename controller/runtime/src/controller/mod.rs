//! The driver: workers that take keys from a queue, run the reconciler, and do what its answer asks for.
//!
//! What an answer means:
//!
//! | answer of a run | the key then |
//! |---|---|
//! | `AwaitChange` | waits for a wake-up |
//! | `RequeueAfter(t)` | runs again after `t`, or on any earlier wake-up |
//! | `Retry`, time limit, first panics | backs off, half a second doubling to a minute; a change ends the wait |
//! | `Conflict` | runs again at once, up to [`MAX_CONFLICT_RERUNS`] times, then counts as `Retry` |
//! | `Blocked` | runs again after about a minute, or on any earlier wake-up |
//! | `Terminal` | waits for a wake-up |
//! | [`PANICS_BEFORE_QUARANTINE`] panics in a row | runs again after ten minutes; a change ends the wait |
//! | `Fenced` | the whole controller stops and says so |
//!
//! A run happens inside its worker, not in a task of its own: when a run is cut off by its time limit or by the
//! shutdown deadline it is gone before its lease is, so a key cannot run twice even then.

mod history;
mod resync;
mod worker;

use std::error::Error;
use std::fmt::Display;
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::task::{JoinError, JoinSet};
use tokio_util::task::AbortOnDropHandle;

pub use history::PANICS_BEFORE_QUARANTINE;
pub use worker::MAX_CONFLICT_RERUNS;

use crate::backoff::BackoffPolicy;
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::metrics::{Kinds, Metrics};
use crate::queue::{Group, Key, WorkQueue};
use crate::reconcile::Reconciler;
use crate::shutdown::Shutdown;
use history::History;
use resync::Resync;
use worker::{Fence, Worker};

/// How long dropped runs may take to be gone. A drop is immediate unless the run blocks its thread, and then nothing
/// but the end of the process stops it.
const DROP_WITHIN: Duration = Duration::from_secs(1);

/// The limits of a controller.
#[derive(Clone, Copy, Debug)]
pub struct ControllerOptions {
    /// How many keys run at once.
    pub workers: NonZeroUsize,
    /// The longest run; a longer one is dropped and counts as a failure.
    pub run_limit: Duration,
    /// How long running keys may take to end after a stop was requested.
    pub stop_within: Duration,
    /// How failing keys are retried.
    pub backoff: BackoffPolicy,
}

/// Beyond this little more is shared, and each run that is under way holds what it has read.
const WORKERS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);

impl Default for ControllerOptions {
    /// So many workers, since runs mostly wait for others, and what they ask for at the same time is answered together: the more are under
    /// way, the less each costs (`docs/benchmarks.md`). Five minutes for a run, ten seconds to stop (what process managers commonly
    /// grant between asking and killing).
    fn default() -> Self {
        Self {
            workers: WORKERS,
            run_limit: Duration::from_secs(5 * 60),
            stop_within: Duration::from_secs(10),
            backoff: BackoffPolicy::default(),
        }
    }
}

/// What the machinery takes from its surroundings; one for the whole process.
#[derive(Clone, Debug)]
pub struct Environs {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The randomness of jitter and run ids.
    pub entropy: Entropy,
}

/// Why a controller stopped.
#[derive(Debug, PartialEq, Eq)]
pub enum StopCause<K, E> {
    /// The shutdown was requested.
    Shutdown,
    /// The queue was closed by somebody else.
    QueueClosed,
    /// A run found that this process may no longer write.
    Fenced {
        /// The key of that run.
        key: K,
        /// What it found.
        error: E,
    },
}

/// How a controller stopped.
#[derive(Debug, PartialEq, Eq)]
pub struct Stopped<K, E> {
    /// Why.
    pub cause: StopCause<K, E>,
    /// How many workers did not end in time and were dropped with their runs.
    pub cut_off: usize,
}

/// A controller that has not been started.
pub struct Controller<K: Key, G: Group, R: Reconciler<K>> {
    name: &'static str,
    options: ControllerOptions,
    queue: WorkQueue<K, G>,
    reconciler: Arc<R>,
    environs: Environs,
    metrics: Metrics,
    kinds: Kinds<K>,
    resync: Option<Resync<K>>,
}

impl<K: Key + Display, G: Group, R: Reconciler<K>> Controller<K, G, R> {
    /// A controller over `queue`. The name appears in logs and metrics.
    pub fn new(
        name: &'static str,
        options: ControllerOptions,
        queue: WorkQueue<K, G>,
        reconciler: R,
        environs: Environs,
        metrics: Metrics,
    ) -> Self {
        Self {
            name,
            options,
            queue,
            reconciler: Arc::new(reconciler),
            environs,
            metrics,
            kinds: Kinds::default(),
            resync: None,
        }
    }

    /// Tells runs of different sorts of keys apart in the metrics: all sorts there are, and the sort of a key.
    #[must_use]
    pub fn with_kinds(mut self, all: Vec<&'static str>, of: fn(&K) -> &'static str) -> Self {
        self.kinds = Kinds { all, of };
        self
    }

    /// Looks at every key that `list` returns: all at the start, then all within each `interval`, spread over it.
    #[must_use]
    pub fn with_resync<L, F, E>(mut self, interval: Duration, list: L) -> Self
    where
        L: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<Vec<K>, E>> + Send + 'static,
        E: Error + Send + Sync + 'static,
    {
        let list = move || list().map(|keys| keys.map_err(|error| error.into())).boxed();
        self.resync = Some(Resync { controller: self.name, interval, list: Box::new(list) });
        self
    }

    /// Runs until the shutdown is requested, the queue is closed or a run is fenced; then takes no more keys, tells the
    /// running ones through their [`Pass`](crate::Pass), and waits for them within the limit. Dropping the future drops
    /// all runs.
    pub async fn run(self, shutdown: &Shutdown) -> Stopped<K, R::Error> {
        let Self { name, options, queue, reconciler, environs, metrics, kinds, resync } = self;
        let stop = shutdown.child_token();
        let stats = queue.clone();
        let worker = Worker {
            controller: name,
            kind_of: kinds.of,
            queue: queue.clone(),
            reconciler,
            metrics: metrics.controller(name, &kinds.all, options.workers.get(), move || stats.stats()),
            history: Arc::new(History::new(options.backoff, environs.entropy.clone())),
            environs: environs.clone(),
            run_limit: options.run_limit,
            stop: stop.clone(),
        };
        let mut workers = JoinSet::new();
        for _ in 0..options.workers.get() {
            workers.spawn(worker.clone().run());
        }
        let _resync = resync.map(|resync| {
            let task = resync.run(queue.clone(), environs.clone(), options.backoff, options.run_limit);
            AbortOnDropHandle::new(tokio::spawn(task))
        });
        tracing::info!(controller = name, workers = options.workers, "controller started");

        let mut cause = loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break StopCause::Shutdown,
                ended = workers.join_next() => match ended {
                    Some(Ok(Some(fence))) => break fenced(fence),
                    Some(Ok(None)) | None => break StopCause::QueueClosed,
                    Some(Err(error)) => {
                        log_lost_worker(name, &error);
                        workers.spawn(worker.clone().run());
                    }
                },
            }
        };

        queue.close();
        stop.cancel();
        let mut deadline = environs.clock.sleep(options.stop_within);
        let cut_off = loop {
            tokio::select! {
                biased;
                ended = workers.join_next() => match ended {
                    None => break 0,
                    Some(Ok(None)) => {}
                    // Worth more than the reason we already have: after it nothing of this process may write.
                    Some(Ok(Some(fence))) => cause = fenced(fence),
                    Some(Err(error)) => log_lost_worker(name, &error),
                },
                () = &mut deadline => break workers.len(),
            }
        };
        tokio::select! {
            () = workers.shutdown() => {}
            () = environs.clock.sleep(DROP_WITHIN) => tracing::error!(controller = name, "a run blocks its thread"),
        }
        tracing::info!(controller = name, cut_off, "controller stopped");
        Stopped { cause, cut_off }
    }
}

fn fenced<K, E>(fence: Fence<K, E>) -> StopCause<K, E> {
    StopCause::Fenced { key: fence.key, error: fence.error }
}

/// A worker contains the panics of its runs, so this is a bug in the worker itself, or in the drop of a run.
fn log_lost_worker(controller: &'static str, error: &JoinError) {
    tracing::error!(controller, %error, "a worker was lost");
}
