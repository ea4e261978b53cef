//! The machinery of a reconciliation loop, without a single domain word.
//!
//! Something happens somewhere (a write, an event, a timer) and *wakes a key*. The [`WorkQueue`] holds each key once,
//! remembers only how urgent it is and when it is due, and hands it to one of the workers of a [`Controller`], which
//! calls the caller's [`Reconciler`]. What woke the key is not passed on: a run reads the world afresh, so a lost,
//! doubled or reordered wake-up can cost time but never correctness.
//!
//! Guarantees, each with a test of that name:
//! - one run per key at a time; a key woken during its run is run exactly once more;
//! - urgent keys first, keys of different fairness groups in turn, and no group holds more than its share of workers;
//! - failing keys back off to at most a minute, and a change ends the wait at once;
//! - a panic is contained in the key or task that caused it;
//! - every queue, delay, wait and message has a bound, stated beside the constant.
//!
//! Work that has no keys (a reader of a feed, a sweeper) is a [`BackgroundTask`]: it takes no input, is woken by its
//! timer or its [`Activator`], and shows what it did last in a [`TaskStatus`].
//!
//! Time comes from a [`Clock`] and randomness from [`Entropy`], both given by the caller, so every order of events can
//! be reproduced in a test.

mod backoff;
mod clock;
mod controller;
mod entropy;
mod fault;
mod gather;
mod metrics;
mod queue;
mod reconcile;
mod shutdown;
mod task;

pub use backoff::{Backoff, BackoffPolicy};
pub use clock::{Clock, Instant, ManualClock, SystemClock};
pub use controller::{
    Controller, ControllerOptions, Environs, MAX_CONFLICT_RERUNS, PANICS_BEFORE_QUARANTINE, StopCause,
    Stopped,
};
pub use entropy::Entropy;
pub use gather::{First, Gather, GatherBounds, Unanswered};
pub use metrics::{CurrentRun, Metrics};
pub use queue::{
    After, Group, Key, Lease, MAX_DELAY, MAX_KEYS, Priority, QueueOptions, QueueStats, Woken, WorkQueue,
};
pub use reconcile::{Classify, Disposition, Outcome, Pass, ReconcileId, Reconciler};
pub use shutdown::{Drained, Shutdown};
pub use task::{
    ActivationCause, ActivationResult, Activator, BackgroundTask, LastActivation, TaskContext, TaskDriver,
    TaskReport, TaskSpec, TaskState, TaskStatus,
};
