//! Runs background tasks, each in a loop of its own.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use tracing::Instrument;

use super::status::{ActivationCause, ActivationResult, LastActivation, StatusCell, TaskState, TaskStatus};
use super::{Activator, BackgroundTask, TaskContext, TaskReport, TaskSpec};
use crate::backoff::{Backoff, BackoffPolicy};
use crate::controller::Environs;
use crate::fault;
use crate::shutdown::Shutdown;

/// Starts background tasks and knows what they do; clones are the same driver.
#[derive(Clone, Debug)]
pub struct TaskDriver {
    environs: Environs,
    shutdown: Shutdown,
    /// One cell per started task, so bounded by the program's text.
    cells: Arc<Mutex<Vec<StatusCell>>>,
}

impl TaskDriver {
    /// A driver whose tasks end with `shutdown`; draining it waits for them.
    #[must_use]
    pub fn new(environs: Environs, shutdown: Shutdown) -> Self {
        Self { environs, shutdown, cells: Arc::default() }
    }

    /// Starts a task. `make` makes it, now and again after every panic.
    pub fn start<T, M>(&self, spec: TaskSpec, make: M) -> Activator
    where
        T: BackgroundTask,
        M: FnMut() -> T + Send + 'static,
    {
        let activator = spec.activator.clone();
        let cell = StatusCell::new(spec.name, spec.every, self.environs.clock.wall());
        self.cells.lock().unwrap_or_else(PoisonError::into_inner).push(cell.clone());
        let backoff = Backoff::new(BackoffPolicy::default(), self.environs.entropy.clone());
        let context = TaskContext { stop: self.shutdown.child_token() };
        let span = tracing::info_span!("task", name = spec.name);
        let task =
            TaskLoop { spec, make, task: None, cell, backoff, context, environs: self.environs.clone() };
        self.shutdown.spawn(task.run().instrument(span));
        activator
    }

    /// What every task does and did last, in the order they were started.
    #[must_use]
    pub fn statuses(&self) -> Vec<TaskStatus> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner).iter().map(StatusCell::read).collect()
    }
}

struct TaskLoop<T, M> {
    spec: TaskSpec,
    make: M,
    /// Empty before the first activation and after a panic.
    task: Option<T>,
    cell: StatusCell,
    backoff: Backoff,
    context: TaskContext,
    environs: Environs,
}

/// What to wait for before the next activation.
enum Rest {
    /// The time or the activator.
    Idle(Duration),
    /// The time alone: an activation must not hurry a task that fails.
    BackOff(Duration),
}

impl<T: BackgroundTask, M: FnMut() -> T + Send> TaskLoop<T, M> {
    async fn run(mut self) {
        let mut cause = ActivationCause::Start;
        while !self.context.is_stopping() {
            let rest = self.activate(cause).await;
            match self.rest(rest).await {
                Some(next) => cause = next,
                None => break,
            }
        }
        self.cell.update(|status| status.state = TaskState::Stopped);
    }

    /// One activation, from start to its entry in the status.
    async fn activate(&mut self, cause: ActivationCause) -> Rest {
        let clock = Arc::clone(&self.environs.clock);
        let (started, began) = (clock.wall(), clock.now());
        self.cell.update(|status| status.state = TaskState::Running { since: started, cause });
        let result = self.attempt().await;
        let took = clock.now().saturating_duration_since(began);
        let (result, rest) = match result {
            Ok(report) => {
                self.backoff.reset();
                let period = self.environs.entropy.stretch(self.spec.every);
                let wait = report.again_within.map_or(period, |again| again.min(period));
                tracing::debug!(?cause, ?took, summary = report.summary, "task activated");
                (ActivationResult::Done(report.summary), Rest::Idle(wait))
            }
            Err(fault) => {
                let wait = self.backoff.failed();
                tracing::warn!(?cause, ?took, ?wait, ?fault, "task failed");
                (fault, Rest::BackOff(wait))
            }
        };
        let failures_in_row = self.backoff.failures();
        self.cell.update(|status| {
            status.activations += 1;
            status.failures_in_row = failures_in_row;
            status.last = Some(LastActivation { cause, started, took, result });
        });
        rest
    }

    async fn attempt(&mut self) -> Result<TaskReport, ActivationResult> {
        let (task, make, context) = (&mut self.task, &mut self.make, &self.context);
        let limit = self.environs.clock.sleep(self.spec.limit);
        // Asserting unwind safety: a task that panicked is thrown away below.
        let activation = AssertUnwindSafe(async move {
            let task = task.get_or_insert_with(make);
            tokio::select! {
                biased;
                report = task.activate(context) => {
                    report.map_err(|error| ActivationResult::Failed(fault::chain(&error)))
                }
                () = limit => Err(ActivationResult::TimedOut),
            }
        });
        activation.catch_unwind().await.unwrap_or_else(|payload| {
            self.task = None;
            Err(ActivationResult::Panicked(fault::panic_message(&*payload)))
        })
    }

    /// Waits for the next activation; `None` when the process stops.
    async fn rest(&mut self, rest: Rest) -> Option<ActivationCause> {
        let (Rest::Idle(wait) | Rest::BackOff(wait)) = rest;
        let until = self.environs.clock.wall() + wait;
        self.cell.update(|status| status.state = TaskState::Waiting { until });
        let timer = self.environs.clock.sleep(wait);
        match rest {
            Rest::Idle(_) => tokio::select! {
                biased;
                () = self.context.stopping() => None,
                () = self.spec.activator.activated() => Some(ActivationCause::Activator),
                () = timer => Some(ActivationCause::Timer),
            },
            Rest::BackOff(_) => tokio::select! {
                biased;
                () = self.context.stopping() => None,
                () = timer => Some(ActivationCause::Retry),
            },
        }
    }
}
