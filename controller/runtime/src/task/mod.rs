//! Background tasks: work without keys that happens again and again.
//!
//! A [`BackgroundTask`] takes no input. It is activated by its timer or by its [`Activator`], and in both cases does
//! the same: look at the world and do what is due. It never learns why it was activated, keeps no list of things to do
//! and does not retry by itself; the next activation is the retry. So there is one code path, it runs all the time, and
//! an activation lost or doubled does no harm.
//!
//! The [`TaskDriver`] guarantees: one activation of a task at a time; activations during one are merged into exactly
//! one more; periods are spread by jitter; a failure is repeated with backoff, which activations do not shorten; a panic
//! is contained, and the task is made anew, since its state may be broken; an activation has a time limit.
//! What each task did last, and does now, is a [`TaskStatus`].

mod activator;
mod driver;
mod status;

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use activator::Activator;
pub use driver::TaskDriver;
pub use status::{ActivationCause, ActivationResult, LastActivation, TaskState, TaskStatus};

use crate::clock::LONGEST_SLEEP;
use crate::fault;

/// The time limit of an activation unless the task has its own: far beyond a healthy one, and short enough that a hung
/// connection does not stop a task for good.
const DEFAULT_LIMIT: Duration = Duration::from_secs(5 * 60);

/// Work that happens again and again and takes no input.
pub trait BackgroundTask: Send + 'static {
    /// Why an activation failed.
    type Error: Error + Send + Sync + 'static;

    /// Does what is due. May be dropped at any await when its time limit passes.
    fn activate(
        &mut self,
        context: &TaskContext,
    ) -> impl Future<Output = Result<TaskReport, Self::Error>> + Send;
}

/// The circumstances of an activation.
#[derive(Clone, Debug)]
pub struct TaskContext {
    stop: CancellationToken,
}

impl TaskContext {
    /// Whether the process is stopping: begin nothing long.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Completes once the process is stopping. A long activation must heed it: the driver does not cut it off.
    pub async fn stopping(&self) {
        self.stop.cancelled().await;
    }
}

/// What an activation did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskReport {
    summary: String,
    again_within: Option<Duration>,
}

impl TaskReport {
    /// There was nothing to do.
    #[must_use]
    pub fn idle() -> Self {
        Self::did("nothing to do")
    }

    /// A line for the debug page; a very long one is cut.
    #[must_use]
    pub fn did(summary: impl Into<String>) -> Self {
        Self { summary: fault::bounded(summary.into()), again_within: None }
    }

    /// What was done, in words.
    #[must_use]
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// Asks for the next activation earlier than the timer would bring it.
    #[must_use]
    pub fn again_within(mut self, wait: Duration) -> Self {
        self.again_within = Some(wait);
        self
    }
}

/// A task's name and limits.
#[derive(Clone, Debug)]
pub struct TaskSpec {
    name: &'static str,
    every: Duration,
    limit: Duration,
    activator: Activator,
}

impl TaskSpec {
    /// A task activated at the start and then at this period (at most a year).
    #[must_use]
    pub fn new(name: &'static str, every: Duration) -> Self {
        Self { name, every: every.min(LONGEST_SLEEP), limit: DEFAULT_LIMIT, activator: Activator::new() }
    }

    /// Sets the time limit of one activation.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Uses an activator made before the task, so that tasks can activate each other.
    #[must_use]
    pub fn activated_by(mut self, activator: &Activator) -> Self {
        self.activator = activator.clone();
        self
    }
}
