//! Stopping: one request, seen by everyone, and a wait for all work that was started under it.
//!
//! The binary owns a [`Shutdown`], connects it to signals, and gives clones to whatever runs. `begin` only asks; the
//! work ends itself when it sees the request. `drain` waits for that, but not for ever.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A request to stop, and the work that must end before the process may. Clones are the same request.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    token: CancellationToken,
    tracker: TaskTracker,
}

/// What became of the work when draining.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// All of it ended.
    Clean,
    /// The deadline came first.
    DeadlinePassed {
        /// How many tasks were still running.
        left: usize,
    },
}

impl Shutdown {
    /// A shutdown that nobody has requested yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Requests the stop. Safe to repeat.
    pub fn begin(&self) {
        self.token.cancel();
    }

    /// Whether the stop has been requested.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Completes once the stop has been requested.
    pub async fn requested(&self) {
        self.token.cancelled().await;
    }

    /// A token that is cancelled with this shutdown but can also be cancelled alone.
    #[must_use]
    pub fn child_token(&self) -> CancellationToken {
        self.token.child_token()
    }

    /// Starts work that [`Shutdown::drain`] waits for.
    pub fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tracker.spawn(work)
    }

    /// Requests the stop and waits for all spawned work, for at most `deadline`.
    pub async fn drain(&self, deadline: Duration) -> Drained {
        self.begin();
        self.tracker.close();
        match tokio::time::timeout(deadline, self.tracker.wait()).await {
            Ok(()) => Drained::Clean,
            Err(_) => Drained::DeadlinePassed { left: self.tracker.len() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn draining_waits_for_work_that_heeds_the_request_and_gives_up_on_work_that_does_not() {
        let shutdown = Shutdown::new();
        let polite = shutdown.clone();
        shutdown.spawn(async move {
            polite.requested().await;
            tokio::time::sleep(Duration::from_secs(3)).await;
        });
        assert_eq!(shutdown.drain(Duration::from_secs(2)).await, Drained::DeadlinePassed { left: 1 });
        assert_eq!(shutdown.drain(Duration::from_secs(2)).await, Drained::Clean);
    }
}
