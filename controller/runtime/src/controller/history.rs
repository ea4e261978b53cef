//! What is remembered of a key between its runs: only failures in a row.
//!
//! A key has a record exactly while it is backing off or running after having backed off, so there are never more
//! records than keys in the queue. A restart forgets everything, which at worst retries sooner.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::backoff::BackoffPolicy;
use crate::entropy::Entropy;
use crate::queue::Key;

/// A key that panicked this often in a row is quarantined. Once may be a rare race and twice bad luck; the third time
/// it is the code meeting this key's state, and running it again would only fill the log.
pub const PANICS_BEFORE_QUARANTINE: u32 = 3;

/// How long a quarantined key rests unless it changes: long enough to be cheap, short enough that a new version of
/// what it depends on is noticed the same hour.
pub(super) const QUARANTINE: Duration = Duration::from_secs(10 * 60);

/// Failures in a row by key.
#[derive(Debug)]
pub(super) struct History<K> {
    policy: BackoffPolicy,
    entropy: Entropy,
    records: Mutex<HashMap<K, Record>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Record {
    failures: u32,
    panics: u32,
}

/// What follows a panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Panicked {
    BackOff(Duration),
    Quarantine(Duration),
}

impl<K: Key> History<K> {
    pub(super) fn new(policy: BackoffPolicy, entropy: Entropy) -> Self {
        Self { policy, entropy, records: Mutex::new(HashMap::new()) }
    }

    /// Forgets a key's failures: it succeeded or changed, or will not be retried by backoff.
    pub(super) fn forget(&self, key: &K) {
        self.lock().remove(key);
    }

    /// Counts a failure and returns how long the key must rest.
    pub(super) fn failed(&self, key: &K) -> Duration {
        let failures = self.count(key, |_| 0).failures;
        self.policy.delay(failures, &self.entropy)
    }

    /// Counts a failure by panic and returns how long the key must rest.
    pub(super) fn panicked(&self, key: &K) -> Panicked {
        let record = self.count(key, |panics| panics.saturating_add(1));
        if record.panics >= PANICS_BEFORE_QUARANTINE {
            Panicked::Quarantine(self.entropy.stretch(QUARANTINE))
        } else {
            Panicked::BackOff(self.policy.delay(record.failures, &self.entropy))
        }
    }

    fn count(&self, key: &K, panics: impl FnOnce(u32) -> u32) -> Record {
        let mut records = self.lock();
        let record = records.entry(key.clone()).or_default();
        record.failures = record.failures.saturating_add(1);
        record.panics = panics(record.panics);
        *record
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Record>> {
        // Records are independent of each other, so a panicking holder leaves nothing half done.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_panics_in_a_row_lead_to_quarantine() {
        let history = History::new(BackoffPolicy::default(), Entropy::seeded(5));
        assert!(matches!(history.panicked(&1), Panicked::BackOff(_)));
        assert!(matches!(history.panicked(&1), Panicked::BackOff(_)));
        history.failed(&1);
        assert!(matches!(history.panicked(&1), Panicked::BackOff(_)));
        assert!(matches!(history.panicked(&1), Panicked::BackOff(_)));
        assert!(matches!(history.panicked(&1), Panicked::Quarantine(rest) if rest >= QUARANTINE));
        assert!(matches!(history.panicked(&2), Panicked::BackOff(_)));
        history.forget(&1);
        assert!(history.failed(&1) <= Duration::from_millis(500));
    }
}
