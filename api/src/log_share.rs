//! How much output is told at once: no organisation, and no flood of lines, takes the server from the others.
//!
//! Whoever reads has a share of his organisation's: of its open streams, and of the lines that are told in a second. Who has used the
//! lines up waits; what is printed meanwhile is told as a gap by what buffers it. Whoever runs the platform is bounded by the server's
//! streams alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use skep_schemas::{OrgName, Scope};

use crate::access::Principal;
use crate::error::ApiError;
use crate::limits::{LOG_FOLLOWERS_MAX, LOG_LINES_BURST, LOG_LINES_PER_SECOND};

/// After so many budgets, those that are full again are forgotten.
const TIDY_AFTER: usize = 4096;

/// The shares of all organisations.
pub(crate) struct LogShares(Arc<Shares>);

struct Shares {
    open: Mutex<HashMap<OrgName, usize>>,
    lines: DefaultKeyedRateLimiter<Option<OrgName>>,
    clock: DefaultClock,
}

/// The right to one stream of output.
pub(crate) struct LogShare {
    org: Option<OrgName>,
    shares: Arc<Shares>,
}

impl LogShares {
    pub(crate) fn new() -> Self {
        let quota = Quota::per_second(LOG_LINES_PER_SECOND).allow_burst(LOG_LINES_BURST);
        Self(Arc::new(Shares {
            open: Mutex::default(),
            lines: RateLimiter::keyed(quota),
            clock: DefaultClock::default(),
        }))
    }

    /// Takes a stream for whoever asks, if his organisation has one left.
    pub(crate) fn take(&self, principal: &Principal) -> Result<LogShare, ApiError> {
        let org = match principal.grant.as_ref().map(|grant| &grant.reach) {
            Some(Scope::Org(org)) => Some(org.clone()),
            Some(Scope::Platform) | None => None,
        };
        let shares = Arc::clone(&self.0);
        if let Some(org) = &org {
            let mut open = shares.open.lock().unwrap_or_else(PoisonError::into_inner);
            let count = open.entry(org.clone()).or_default();
            if *count >= LOG_FOLLOWERS_MAX {
                return Err(ApiError::TooManyFollowers);
            }
            *count += 1;
        }
        Ok(LogShare { org, shares })
    }
}

impl LogShare {
    /// Waits until one more line may be told.
    pub(crate) async fn line(&self) {
        let Shares { lines, clock, .. } = &*self.shares;
        if lines.len() > TIDY_AFTER {
            lines.retain_recent();
        }
        while let Err(until) = lines.check_key(&self.org) {
            tokio::time::sleep(until.wait_time_from(clock.now())).await;
        }
    }
}

impl Drop for LogShare {
    fn drop(&mut self) {
        let Some(org) = &self.org else { return };
        let mut open = self.shares.open.lock().unwrap_or_else(PoisonError::into_inner);
        match open.get_mut(org) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(open.remove(org)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use skep_schemas::Role;
    use skep_store::Grant;

    use super::*;

    fn of(reach: Scope) -> Principal {
        Principal::bearer("reader".to_owned(), Grant { reach, role: Role::Viewer })
    }

    fn org(name: &str) -> Scope {
        Scope::Org(name.parse().unwrap())
    }

    #[test]
    fn one_organisations_readers_leave_streams_to_others_and_get_back_what_they_close() {
        let shares = LogShares::new();
        let mut open: Vec<LogShare> =
            (0..LOG_FOLLOWERS_MAX).map(|_| shares.take(&of(org("acme"))).unwrap()).collect();
        assert!(matches!(shares.take(&of(org("acme"))), Err(ApiError::TooManyFollowers)));
        assert!(shares.take(&of(org("globex"))).is_ok() && shares.take(&of(Scope::Platform)).is_ok());
        open.pop();
        assert!(shares.take(&of(org("acme"))).is_ok());
        drop(open);
        assert!(shares.0.open.lock().unwrap().is_empty(), "who is gone is forgotten");
    }

    #[tokio::test]
    async fn who_has_used_the_lines_of_a_second_waits_and_others_do_not() {
        let shares = LogShares::new();
        let greedy = shares.take(&of(org("acme"))).unwrap();
        let before = Instant::now();
        // Two fifths of a second's lines beyond what may come at once.
        for _ in 0..LOG_LINES_BURST.get() + LOG_LINES_PER_SECOND.get() * 2 / 5 {
            greedy.line().await;
        }
        assert!(before.elapsed() >= Duration::from_millis(399), "{:?}", before.elapsed());
        shares.take(&of(org("globex"))).unwrap().line().await;
    }
}
