//! The periodic look at everything: the safety net under lost hints.
//!
//! The first listing wakes all keys at once, at the lowest priority: this is how a controller starts. Every later one
//! spreads its keys over the interval, so that ten thousand keys cause a trickle and not a burst every few minutes. They come in small
//! bunches, because what runs of one moment ask for can be answered together, and that is most of what a look costs.

use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::Environs;
use crate::backoff::{Backoff, BackoffPolicy};
use crate::fault;
use crate::queue::{Group, Key, Priority, Woken, WorkQueue};

/// How many keys come due at once: about as many as run at once, so that none of them waits for long.
const BUNCH: usize = 32;

type Listing<K> = BoxFuture<'static, Result<Vec<K>, Box<dyn Error + Send + Sync>>>;

/// A resync that has not been started.
pub(super) struct Resync<K> {
    pub(super) controller: &'static str,
    pub(super) interval: Duration,
    pub(super) list: Box<dyn Fn() -> Listing<K> + Send + Sync>,
}

impl<K: Key> Resync<K> {
    /// Runs until it is dropped.
    pub(super) async fn run<G: Group>(
        self,
        queue: WorkQueue<K, G>,
        environs: Environs,
        policy: BackoffPolicy,
        limit: Duration,
    ) {
        let mut backoff = Backoff::new(policy, environs.entropy.clone());
        let mut spread = Duration::ZERO;
        loop {
            let wait = match self.keys(&environs, limit).await {
                Ok(keys) => {
                    self.enqueue(keys, spread, &queue, &environs);
                    backoff.reset();
                    spread = self.interval;
                    self.interval
                }
                Err(error) => {
                    let wait = backoff.failed().min(self.interval);
                    tracing::warn!(
                        controller = self.controller,
                        error,
                        ?wait,
                        "cannot list the keys to resync"
                    );
                    wait
                }
            };
            environs.clock.sleep(wait).await;
        }
    }

    async fn keys(&self, environs: &Environs, limit: Duration) -> Result<Vec<K>, String> {
        let listing = AssertUnwindSafe(async {
            tokio::select! {
                keys = (self.list)() => keys.map_err(|error| fault::chain(&*error)),
                () = environs.clock.sleep(limit) => Err(format!("no answer within {limit:?}")),
            }
        });
        let caught = listing.catch_unwind().await;
        caught.unwrap_or_else(|payload| Err(fault::panic_message(&*payload)))
    }

    fn enqueue<G: Group>(
        &self,
        keys: Vec<K>,
        spread: Duration,
        queue: &WorkQueue<K, G>,
        environs: &Environs,
    ) {
        let (listed, mut refused) = (keys.len(), 0_usize);
        let mut keys = keys.into_iter().peekable();
        let mut before: u32 = 0;
        // Each bunch somewhere in its own part of the interval.
        let part = spread / u32::try_from(listed.div_ceil(BUNCH)).unwrap_or(u32::MAX).max(1);
        while keys.peek().is_some() {
            let at = part * before + environs.entropy.within(part);
            before = before.saturating_add(1);
            for key in keys.by_ref().take(BUNCH) {
                match queue.wake(key, Priority::Resync, at) {
                    Woken::Refused => refused += 1,
                    Woken::Added | Woken::Merged | Woken::Held | Woken::Closed => {}
                }
            }
        }
        tracing::debug!(controller = self.controller, listed, "resync");
        if refused > 0 {
            tracing::error!(
                controller = self.controller,
                refused,
                "the queue is full; these keys wait for a resync"
            );
        }
    }
}
