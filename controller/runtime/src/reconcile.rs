//! What a caller of the controller provides: a reconciler, and errors that say what to do about them.
//!
//! A reconciler gets a key and a [`Pass`], nothing else. It is never told why it runs: whatever woke the key may be
//! stale, merged with other wake-ups or wrong, so it must read the world and act on that alone.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::entropy::Entropy;
use crate::queue::Priority;

/// Brings one key's part of the world towards what is wanted, one pass at a time.
pub trait Reconciler<K>: Send + Sync + 'static {
    /// Why a pass failed; it must say what to do next.
    type Error: Classify + Error + Send + Sync + 'static;

    /// One pass. It may be dropped at any await (time limit, shutdown deadline), so every effect must be safe to repeat
    /// or be recorded before it happens.
    fn reconcile(&self, key: &K, pass: &Pass) -> impl Future<Output = Result<Outcome, Self::Error>> + Send;
}

/// What a pass that did not fail asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing to do until something changes (or the next resync).
    AwaitChange,
    /// Look again after this time, or earlier if the key is woken.
    RequeueAfter(Duration),
}

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// It may pass by itself: run again with backoff.
    Retry,
    /// The world moved during the pass: run again at once, it is nobody's fault.
    Conflict,
    /// Something else must happen first: wait for a wake-up, and look slowly in between.
    Blocked,
    /// It cannot pass until the input changes: wait for that.
    Terminal,
    /// This process may no longer write: stop the whole controller.
    Fenced,
}

/// An error that knows what to do about itself.
pub trait Classify {
    /// What the controller should do.
    fn disposition(&self) -> Disposition;
}

/// Names one pass in logs and records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReconcileId(u64);

impl fmt::Display for ReconcileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The circumstances of one pass.
#[derive(Clone, Debug)]
pub struct Pass {
    id: ReconcileId,
    trigger: Priority,
    stop: CancellationToken,
}

impl Pass {
    pub(crate) fn new(entropy: &Entropy, trigger: Priority, stop: CancellationToken) -> Self {
        Self { id: ReconcileId(entropy.bits()), trigger, stop }
    }

    /// A pass outside of any controller: for tools and tests that drive a reconciler themselves.
    #[must_use]
    pub fn detached(entropy: &Entropy, trigger: Priority) -> Self {
        Self::new(entropy, trigger, CancellationToken::new())
    }

    /// The identity of this pass.
    #[must_use]
    pub fn id(&self) -> ReconcileId {
        self.id
    }

    /// The most urgent of what woke the key: for records and logs. What is done must not depend on it.
    #[must_use]
    pub fn trigger(&self) -> Priority {
        self.trigger
    }

    /// Whether the controller is stopping: begin nothing long.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Completes once the controller is stopping.
    pub async fn stopping(&self) {
        self.stop.cancelled().await;
    }
}
