//! Resources to look at again once the Swarm's manager has heard what a node's engine said at once.
//!
//! An engine tells of a container as soon as something happens to it. The manager hears of it from the node's agent, and its
//! dispatcher gathers such reports for a tenth of a second before it writes them (swarmkit, `manager/dispatcher/dispatcher.go`,
//! `maxBatchInterval`). Whoever looks in between finds the task as it was, and without another event would find out at the next
//! resync only: a container that was killed is not spoken of again before its replacement is made, seconds later.
//!
//! A delayed wake-up of the queue would not do: it merges with the one that the event has caused, which is earlier.
//!
//! So a resource whose container was spoken of is woken again, soon after the manager usually knows and once more for when it was
//! slow. Times are rounded up to slots, so that a hundred events of one second are few looks, and so that there are never more
//! than [`AFTER`]'s longest over [`SLOT`] sets of keys.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use skep_schemas::ResourceKey;
use tokio::time::Instant;

/// When to look again, counted from an event.
const AFTER: [Duration; 2] = [Duration::from_millis(150), Duration::from_secs(1)];

/// Looks in the same slot are one.
const SLOT: Duration = Duration::from_millis(50);

/// Who is to be looked at again, and when.
pub(super) struct Reported {
    /// What slots are counted from.
    since: Instant,
    due: BTreeMap<u32, BTreeSet<ResourceKey>>,
}

impl Default for Reported {
    fn default() -> Self {
        Self { since: Instant::now(), due: BTreeMap::new() }
    }
}

impl Reported {
    /// Something happened to a container of this resource now.
    pub(super) fn expect(&mut self, key: ResourceKey, now: Instant) {
        for after in AFTER {
            let slot = slot(now.duration_since(self.since) + after);
            self.due.entry(slot).or_default().insert(key.clone());
        }
    }

    /// Waits for the next slot in which somebody is to be looked at, and takes them out. Without any, for ever. Nothing is lost when
    /// the wait is given up.
    pub(super) async fn next(&mut self) -> BTreeSet<ResourceKey> {
        match self.due.first_key_value() {
            None => std::future::pending().await,
            Some((slot, _)) => tokio::time::sleep_until(self.since + SLOT * *slot).await,
        }
        self.due.pop_first().map(|(_, keys)| keys).unwrap_or_default()
    }
}

/// The first slot that begins at this time or later. A process that listens for six years without a break sees one look too early.
fn slot(time: Duration) -> u32 {
    u32::try_from(time.as_millis().div_ceil(SLOT.as_millis())).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use skep_schemas::{Kind, Scope};

    use super::*;

    fn key(name: &str) -> ResourceKey {
        ResourceKey::new(Scope::Platform, Kind::Organization, name.parse().unwrap()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_spoken_of_is_looked_at_when_the_manager_knows_and_once_more() {
        let mut reported = Reported::default();
        let at = Instant::now();
        reported.expect(key("live"), at);
        for after in AFTER {
            assert_eq!(reported.next().await, BTreeSet::from([key("live")]));
            let waited = at.elapsed();
            assert!(waited >= after && waited < after + 2 * SLOT, "{waited:?}");
        }
        assert!(reported.due.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_of_events_is_few_looks_and_each_is_followed_by_one_in_time() {
        let mut reported = Reported::default();
        let begun = Instant::now();
        let mut last = begun;
        for _ in 0..1000 {
            tokio::time::advance(Duration::from_millis(1)).await;
            last = Instant::now();
            reported.expect(key("live"), last);
            reported.expect(key("still"), last);
        }
        let mut looks = Vec::new();
        while !reported.due.is_empty() {
            assert_eq!(reported.next().await, BTreeSet::from([key("live"), key("still")]));
            looks.push(Instant::now());
        }
        let longest = AFTER.into_iter().max().unwrap_or_default();
        let most = (begun.elapsed().as_millis() / SLOT.as_millis()) + 1;
        assert!(u128::try_from(looks.len()).unwrap() <= most, "{} looks", looks.len());
        assert!(looks.last().is_some_and(|look| *look >= last + longest));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_given_up_loses_nobody() {
        let mut reported = Reported::default();
        reported.expect(key("live"), Instant::now());
        let given_up = tokio::time::timeout(Duration::from_millis(10), reported.next()).await;
        assert!(given_up.is_err());
        assert_eq!(reported.next().await, BTreeSet::from([key("live")]));
    }
}
