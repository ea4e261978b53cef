//! How long to wait before trying again.
//!
//! A [`BackoffPolicy`] maps a number of failures in a row to a wait: doubling from the base to the cap, shortened by
//! equal jitter. It remembers nothing; a [`Backoff`] adds the count for a single loop. A controller keeps the counts of
//! its keys itself and uses the same policy.

use std::time::Duration;

use crate::entropy::Entropy;

/// Waits that double with every failure in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffPolicy {
    /// The longest possible wait after the first failure.
    pub base: Duration,
    /// The longest possible wait after any number of failures.
    pub cap: Duration,
}

impl Default for BackoffPolicy {
    /// Half a second hides a hiccup; a minute is the longest a repaired world should go unnoticed.
    fn default() -> Self {
        Self { base: Duration::from_millis(500), cap: Duration::from_secs(60) }
    }
}

impl BackoffPolicy {
    /// The longest wait after `failures` failures in a row (counted from 1).
    #[must_use]
    pub fn ceiling(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1);
        let factor = 2_u32.checked_pow(doublings).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }

    /// The wait after `failures` failures in a row: between half the ceiling and the ceiling.
    #[must_use]
    pub fn delay(&self, failures: u32, entropy: &Entropy) -> Duration {
        entropy.shorten(self.ceiling(failures))
    }
}

/// The backoff of one loop: counts its failures in a row.
#[derive(Clone, Debug)]
pub struct Backoff {
    policy: BackoffPolicy,
    entropy: Entropy,
    failures: u32,
}

impl Backoff {
    /// A backoff that has seen no failure.
    #[must_use]
    pub fn new(policy: BackoffPolicy, entropy: Entropy) -> Self {
        Self { policy, entropy, failures: 0 }
    }

    /// Counts a failure and returns how long to wait before the next attempt.
    pub fn failed(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.policy.delay(self.failures, &self.entropy)
    }

    /// Forgets all failures: after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Failures in a row so far.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_doubles_from_the_base_and_never_exceeds_the_cap() {
        let policy = BackoffPolicy::default();
        let ceilings: Vec<u64> =
            (1..=9).map(|n| u64::try_from(policy.ceiling(n).as_millis()).unwrap()).collect();
        assert_eq!(ceilings, [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
        let entropy = Entropy::seeded(3);
        for failures in [1, 2, 31, 32, 33, 1000, u32::MAX] {
            let delay = policy.delay(failures, &entropy);
            assert!(delay <= policy.cap);
            assert!(delay >= policy.ceiling(failures) / 2);
        }
    }

    #[test]
    fn a_reset_starts_again_at_the_base() {
        let mut backoff = Backoff::new(BackoffPolicy::default(), Entropy::seeded(3));
        for _ in 0..20 {
            backoff.failed();
        }
        assert!(backoff.failed() >= Duration::from_secs(30));
        backoff.reset();
        assert!(backoff.failed() <= Duration::from_millis(500));
    }
}
