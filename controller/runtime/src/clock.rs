//! Time as a parameter: a monotonic clock to wait by, a wall clock to write down.
//!
//! Everything in this crate that waits asks a [`Clock`] both for the time and for the sleep, so a test can own time
//! completely. [`SystemClock`] follows tokio's time and therefore also its pausing; [`ManualClock`] moves only when
//! told, wall time included.

use std::fmt::Debug;
use std::time::{Duration, SystemTime};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::watch;

/// A point of monotonic time.
pub type Instant = tokio::time::Instant;

/// The longest relative sleep; longer ones are shortened. A year means "never" to a process, and cannot overflow a sum of
/// times as `Duration::MAX` for "no limit" would.
pub(crate) const LONGEST_SLEEP: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A source of time.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The monotonic time: never goes back, means nothing outside this process.
    fn now(&self) -> Instant;

    /// The wall time: for people and records, never for measuring or waiting.
    fn wall(&self) -> SystemTime;

    /// Completes once [`Clock::now`] has reached `at`.
    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()>;

    /// Completes after `duration`, or after a year if that is shorter.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.sleep_until(self.now() + duration.min(LONGEST_SLEEP))
    }
}

/// The machine's clocks. Under tokio's paused time the monotonic half is paused with it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()> {
        tokio::time::sleep_until(at).boxed()
    }
}

/// A clock that stands still until [`ManualClock::advance`]. Clones share the same time.
#[derive(Clone, Debug)]
pub struct ManualClock {
    origin: Instant,
    wall_origin: SystemTime,
    now: watch::Sender<Instant>,
}

impl ManualClock {
    /// A clock whose wall time starts at `wall`.
    #[must_use]
    pub fn starting_at(wall: SystemTime) -> Self {
        let origin = Instant::now();
        Self { origin, wall_origin: wall, now: watch::Sender::new(origin) }
    }

    /// Moves time forward and wakes every sleeper that is due.
    pub fn advance(&self, by: Duration) {
        self.now.send_modify(|now| *now += by);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        *self.now.borrow()
    }

    fn wall(&self) -> SystemTime {
        self.wall_origin + (self.now() - self.origin)
    }

    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()> {
        let mut now = self.now.subscribe();
        async move {
            if now.wait_for(|now| *now >= at).await.is_err() {
                // The last handle of the clock is gone: time will never reach `at`, so neither does this sleep.
                std::future::pending::<()>().await;
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_wakes_a_sleeper_only_when_its_time_has_come() {
        let clock = ManualClock::starting_at(SystemTime::UNIX_EPOCH);
        let mut sleep = clock.sleep(Duration::from_secs(10));
        clock.advance(Duration::from_secs(9));
        assert!(futures::poll!(&mut sleep).is_pending());
        clock.advance(Duration::from_secs(1));
        sleep.await;
        assert_eq!(clock.wall(), SystemTime::UNIX_EPOCH + Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_duration_is_a_sleep_and_not_an_overflow() {
        assert!(futures::poll!(SystemClock.sleep(Duration::MAX)).is_pending());
    }
}
