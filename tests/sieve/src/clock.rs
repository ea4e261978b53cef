//! The world's time as one process sees it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use skep_runtime::{Clock, Instant};
use tokio::sync::watch;

/// The time of a world. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct WorldTime {
    start: Timestamp,
    origin: Instant,
    now: watch::Sender<Timestamp>,
}

impl WorldTime {
    /// Time that begins at `start`.
    pub(crate) fn starting_at(start: Timestamp) -> Self {
        Self { start, origin: Instant::now(), now: watch::Sender::new(start) }
    }

    /// The time now.
    pub(crate) fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    /// When it began.
    pub(crate) const fn start(&self) -> Timestamp {
        self.start
    }

    /// It is this time now.
    pub(crate) fn set(&self, now: Timestamp) {
        self.now.send_replace(now);
    }

    /// The clocks of a machine in this world.
    pub(crate) fn machine(&self) -> MachineClock {
        MachineClock { time: self.clone(), stood: Arc::default() }
    }
}

/// The clocks of one machine. The one on the wall is the world's; the monotonic one does not count the time for which the machine
/// stood still.
#[derive(Clone, Debug)]
pub(crate) struct MachineClock {
    time: WorldTime,
    stood: Arc<Mutex<Duration>>,
}

impl MachineClock {
    /// The machine stood still for so long.
    pub(crate) fn stood_still(&self, so_long: Duration) {
        *self.stood.lock().unwrap_or_else(PoisonError::into_inner) += so_long;
    }

    fn instant(&self, at: Timestamp) -> Instant {
        let passed = at.duration_since(self.time.start).unsigned_abs();
        let stood = *self.stood.lock().unwrap_or_else(PoisonError::into_inner);
        self.time.origin + passed.saturating_sub(stood)
    }
}

impl Clock for MachineClock {
    fn now(&self) -> Instant {
        self.instant(self.time.now())
    }

    fn wall(&self) -> SystemTime {
        SystemTime::from(self.time.now())
    }

    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()> {
        let (clock, mut now) = (self.clone(), self.time.now.subscribe());
        async move {
            if now.wait_for(|now| clock.instant(*now) >= at).await.is_err() {
                // The world is gone.
                std::future::pending::<()>().await;
            }
        }
        .boxed()
    }
}
