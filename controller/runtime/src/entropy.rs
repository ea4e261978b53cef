//! Randomness as a parameter: jitter for waits and identities for runs, all from one seedable source.
//!
//! Equal waits end together; a thousand keys that failed together would then hit the world together, again and again.
//! Every wait in this crate is therefore spread by this source. Seeded, it makes a whole run reproducible.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A shared source of randomness; clones draw from the same stream.
#[derive(Clone, Debug)]
pub struct Entropy(Arc<Mutex<StdRng>>);

impl Entropy {
    /// A source that gives the same stream for the same seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// A source seeded by the operating system.
    #[must_use]
    pub fn from_os() -> Self {
        Self(Arc::new(Mutex::new(StdRng::from_os_rng())))
    }

    /// Uniform in `[0, span]`: spreads a crowd over the span.
    #[must_use]
    pub fn within(&self, span: Duration) -> Duration {
        // Nanoseconds in u64 reach 584 years, far beyond any delay that is let in.
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.draw(|rng| rng.random_range(0..=nanos)))
    }

    /// "Equal jitter": at least half of `wait`, never more than `wait`. Half is kept so that a wait which exists to
    /// protect something cannot come out as zero.
    #[must_use]
    pub fn shorten(&self, wait: Duration) -> Duration {
        let half = wait / 2;
        half + self.within(wait - half)
    }

    /// At least `wait`, at most a quarter more: for periods, where coming early would be a surprise.
    #[must_use]
    pub fn stretch(&self, wait: Duration) -> Duration {
        wait.saturating_add(self.within(wait / 4))
    }

    /// Sixty-four random bits, for identities.
    pub(crate) fn bits(&self) -> u64 {
        self.draw(Rng::random)
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        // A generator has no invariant that a panicking holder could have broken.
        draw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_jitter_stays_within_its_stated_bounds() {
        let entropy = Entropy::seeded(1);
        let wait = Duration::from_secs(8);
        for _ in 0..1000 {
            assert!(entropy.within(wait) <= wait);
            assert!((wait / 2..=wait).contains(&entropy.shorten(wait)));
            assert!((wait..=wait + wait / 4).contains(&entropy.stretch(wait)));
        }
        assert_eq!(entropy.within(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn equal_seeds_give_equal_streams_and_clones_share_one() {
        let (one, two) = (Entropy::seeded(7), Entropy::seeded(7));
        let first: Vec<u64> = (0..4).map(|_| one.bits()).collect();
        let shared = two.clone();
        let second: Vec<u64> = vec![two.bits(), shared.bits(), two.bits(), shared.bits()];
        assert_eq!(first, second);
    }
}
