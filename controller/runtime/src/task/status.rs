//! What a background task does and did last, for a debug page.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Why a task was activated. Shown to people; never to the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivationCause {
    /// The driver started.
    Start,
    /// The period, or the earlier time that the task asked for, has passed.
    Timer,
    /// The activator was used.
    Activator,
    /// The backoff after a failure has passed.
    Retry,
}

/// How an activation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActivationResult {
    /// It did this.
    Done(String),
    /// It failed: the error and its causes.
    Failed(String),
    /// It panicked with this message.
    Panicked(String),
    /// It took longer than its limit and was dropped.
    TimedOut,
}

/// The last completed activation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastActivation {
    /// Why it happened.
    pub cause: ActivationCause,
    /// When it began.
    pub started: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// How it ended.
    pub result: ActivationResult,
}

/// What a task does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// Waits until this time, or for its activator.
    Waiting {
        /// When it will be activated at the latest.
        until: SystemTime,
    },
    /// Runs.
    Running {
        /// Since when.
        since: SystemTime,
        /// Why.
        cause: ActivationCause,
    },
    /// Ended with the process's shutdown.
    Stopped,
}

/// A background task as shown to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskStatus {
    /// The task's name.
    pub name: &'static str,
    /// Its period.
    pub every: Duration,
    /// What it does now.
    pub state: TaskState,
    /// How many activations have ended.
    pub activations: u64,
    /// How many of the latest activations failed in a row, by whatever way.
    pub failures_in_row: u32,
    /// The latest ended activation.
    pub last: Option<LastActivation>,
}

/// The status of one task, shared between its loop and its readers.
#[derive(Clone, Debug)]
pub(super) struct StatusCell(Arc<Mutex<TaskStatus>>);

impl StatusCell {
    pub(super) fn new(name: &'static str, every: Duration, now: SystemTime) -> Self {
        let state = TaskState::Waiting { until: now };
        Self(Arc::new(Mutex::new(TaskStatus {
            name,
            every,
            state,
            activations: 0,
            failures_in_row: 0,
            last: None,
        })))
    }

    pub(super) fn read(&self) -> TaskStatus {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn update(&self, update: impl FnOnce(&mut TaskStatus)) {
        update(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
