//! One worker: takes a lease, runs the reconciler until its answer is final, and ends the lease accordingly.

use std::fmt::Display;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::Environs;
use super::history::{History, Panicked};
use crate::fault;
use crate::metrics::{ControllerMetrics, CurrentRun, RunLabel};
use crate::queue::{After, Group, Key, Lease, WorkQueue};
use crate::reconcile::{Classify, Disposition, Outcome, Pass, Reconciler};

/// How often a run is repeated at once because the world moved under it. A conflict is normal when two writers meet and
/// gone the next time; five in a row mean that someone else writes all the time, and then waiting is the only help.
pub const MAX_CONFLICT_RERUNS: u32 = 5;

/// How long a blocked key waits without being woken. Its wake-up should come as a hint; this covers a lost one.
const BLOCKED_POLL: Duration = Duration::from_secs(60);

/// The shortest wait that a reconciler may ask for, so that one that always asks for another run at once cannot
/// occupy a worker for ever.
const MIN_POLL: Duration = Duration::from_millis(100);

/// A worker of a controller; clones share everything.
pub(super) struct Worker<K: Key, G: Group, R> {
    pub(super) controller: &'static str,
    pub(super) kind_of: fn(&K) -> &'static str,
    pub(super) queue: WorkQueue<K, G>,
    pub(super) reconciler: Arc<R>,
    pub(super) metrics: ControllerMetrics,
    pub(super) history: Arc<History<K>>,
    pub(super) environs: Environs,
    pub(super) run_limit: Duration,
    pub(super) stop: CancellationToken,
}

/// A run that found this process fenced off.
pub(super) struct Fence<K, E> {
    pub(super) key: K,
    pub(super) error: E,
}

/// How one call of the reconciler ended.
enum Ended<E> {
    Answered(Outcome),
    Failed(E),
    Panicked(String),
    TimedOut,
}

/// What follows from it.
enum Verdict<E> {
    Finish(After),
    RunAgain,
    Fence(E),
}

impl<K: Key + Display, G: Group, R: Reconciler<K>> Worker<K, G, R> {
    /// Works until the queue is closed, or until a run is fenced.
    pub(super) async fn run(self) -> Option<Fence<K, R::Error>> {
        while let Some(lease) = self.queue.next().await {
            let _active = self.metrics.active();
            self.metrics.waited(lease.waited());
            let began = self.environs.clock.now();
            let served = self.serve(&lease).await;
            self.metrics.worked(self.environs.clock.now().saturating_duration_since(began));
            match served {
                Ok(after) => lease.finish(after),
                Err(error) => return Some(Fence { key: lease.key().clone(), error }),
            }
        }
        None
    }

    /// Runs one key until the answer is final.
    async fn serve(&self, lease: &Lease<K, G>) -> Result<After, R::Error> {
        let key = lease.key();
        if lease.priority().is_change() {
            self.history.forget(key);
        }
        let mut conflicts = 0;
        loop {
            let pass = Pass::new(&self.environs.entropy, lease.priority(), self.stop.clone());
            let trigger = lease.priority();
            let span = tracing::info_span!("reconcile", controller = self.controller, %key, reconcile_id = %pass.id(), %trigger);
            let _shown = self.metrics.running(CurrentRun {
                controller: self.controller,
                key: key.to_string(),
                id: pass.id(),
                trigger,
                since: self.environs.clock.wall(),
            });
            let started = self.environs.clock.now();
            let ended = self.attempt(key, &pass).instrument(span.clone()).await;
            let took = self.environs.clock.now().saturating_duration_since(started);
            match span.in_scope(|| self.judge(key, ended, took, conflicts)) {
                Verdict::Finish(after) => return Ok(after),
                Verdict::RunAgain if self.stop.is_cancelled() => return Ok(After::Done),
                Verdict::RunAgain => conflicts += 1,
                Verdict::Fence(error) => return Err(error),
            }
        }
    }

    /// Calls the reconciler once; whatever it does, this returns.
    async fn attempt(&self, key: &K, pass: &Pass) -> Ended<R::Error> {
        // Asserting unwind safety: after a panic nothing of the run is used again except the reconciler, which is
        // shared between threads and so already has to keep its state sound when one of them dies.
        let run = AssertUnwindSafe(async {
            // On the heap, so that each of hundreds of idle workers does not keep room for what a run holds.
            let answer = Box::pin(self.reconciler.reconcile(key, pass));
            tokio::select! {
                biased;
                answer = answer => match answer {
                    Ok(outcome) => Ended::Answered(outcome),
                    Err(error) => Ended::Failed(error),
                },
                () = self.environs.clock.sleep(self.run_limit) => Ended::TimedOut,
            }
        });
        run.catch_unwind().await.unwrap_or_else(|payload| Ended::Panicked(fault::panic_message(&*payload)))
    }

    /// Counts and logs how a run ended, and decides what follows.
    fn judge(&self, key: &K, ended: Ended<R::Error>, took: Duration, conflicts: u32) -> Verdict<R::Error> {
        let (label, verdict) = match ended {
            Ended::Answered(Outcome::AwaitChange) => {
                self.history.forget(key);
                (RunLabel::Success, Verdict::Finish(After::Done))
            }
            Ended::Answered(Outcome::RequeueAfter(wait)) => {
                self.history.forget(key);
                (RunLabel::RequeueAfter, Verdict::Finish(After::Poll(wait.max(MIN_POLL))))
            }
            Ended::Failed(error) => self.judge_error(key, error, conflicts),
            Ended::Panicked(panic) => {
                let wait = match self.history.panicked(key) {
                    Panicked::BackOff(wait) => {
                        tracing::error!(panic, ?wait, "the run panicked");
                        wait
                    }
                    Panicked::Quarantine(wait) => {
                        tracing::error!(panic, ?wait, "the run panicked again; the key is quarantined");
                        wait
                    }
                };
                (RunLabel::Panic, Verdict::Finish(After::BackOff(wait)))
            }
            Ended::TimedOut => {
                let wait = self.history.failed(key);
                tracing::warn!(limit = ?self.run_limit, ?wait, "the run took longer than its limit and was dropped");
                (RunLabel::Timeout, Verdict::Finish(After::BackOff(wait)))
            }
        };
        tracing::debug!(result = label.name(), ?took, "run ended");
        self.metrics.ran((self.kind_of)(key), label, took);
        verdict
    }

    fn judge_error(&self, key: &K, error: R::Error, conflicts: u32) -> (RunLabel, Verdict<R::Error>) {
        let reason = fault::chain(&error);
        match error.disposition() {
            Disposition::Retry => {
                let wait = self.history.failed(key);
                tracing::warn!(reason, ?wait, "the run failed and will be repeated");
                (RunLabel::Error, Verdict::Finish(After::BackOff(wait)))
            }
            Disposition::Conflict => {
                self.metrics.conflict();
                if conflicts < MAX_CONFLICT_RERUNS {
                    tracing::debug!(reason, conflicts, "the world moved during the run; running again");
                    return (RunLabel::Conflict, Verdict::RunAgain);
                }
                let wait = self.history.failed(key);
                tracing::warn!(reason, conflicts, ?wait, "the world keeps moving during the run");
                (RunLabel::Error, Verdict::Finish(After::BackOff(wait)))
            }
            Disposition::Blocked => {
                self.history.forget(key);
                tracing::info!(reason, "the run waits for something else");
                let wait = self.environs.entropy.stretch(BLOCKED_POLL);
                (RunLabel::Blocked, Verdict::Finish(After::Poll(wait)))
            }
            Disposition::Terminal => {
                self.history.forget(key);
                tracing::error!(reason, "the run failed and will not be repeated until something changes");
                (RunLabel::Terminal, Verdict::Finish(After::Done))
            }
            Disposition::Fenced => {
                tracing::error!(reason, "this process may no longer write");
                (RunLabel::Fenced, Verdict::Fence(error))
            }
        }
    }
}

impl<K: Key, G: Group, R> Clone for Worker<K, G, R> {
    fn clone(&self) -> Self {
        Self {
            controller: self.controller,
            kind_of: self.kind_of,
            queue: self.queue.clone(),
            reconciler: Arc::clone(&self.reconciler),
            metrics: self.metrics.clone(),
            history: Arc::clone(&self.history),
            environs: self.environs.clone(),
            run_limit: self.run_limit,
            stop: self.stop.clone(),
        }
    }
}
