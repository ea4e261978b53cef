//! How often a tenant may ask: no token and no organisation takes the server from the others.
//!
//! Each request of an organisation's token takes from two budgets, the token's and its organisation's; each of a person from the person's and
//! from that of the organisation that it is made in. A budget fills at a steady rate up
//! to a burst; a request that finds it empty is refused with the time until it is not, before its body is read and before the
//! database is asked for anything but the token. Tokens of the platform are the operator's own and have no budget: they are
//! bounded like everyone by the places that there are ([`crate::limits`]).

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use skep_schemas::{OrgName, Scope};

use crate::access::Principal;

/// After so many budgets, those that are full again are forgotten: they are what a new one would be.
const TIDY_AFTER: usize = 4096;

/// A steady rate, and how much more may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second.
    pub per_second: NonZeroU32,
    /// Requests at once.
    pub burst: NonZeroU32,
}

/// What tenants may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimits {
    /// One token.
    pub token: Rate,
    /// All tokens of one organisation together.
    pub org: Rate,
}

impl RateLimits {
    /// A person with a console and a pipeline that applies a directory notice nothing of it; a loop without a pause does. An
    /// organisation has a tenth of what one small server answers (`docs/benchmarks.md`).
    pub const USUAL: Self = Self { token: rate(20, 200), org: rate(60, 600) };
}

const fn at_least_one(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

const fn rate(per_second: u32, burst: u32) -> Rate {
    Rate { per_second: at_least_one(per_second), burst: at_least_one(burst) }
}

/// How often a person may log in: more often than people and their scripts do, and so seldom that sessions of others in that name
/// are not pushed out one after the other unseen.
const LOGINS: Rate = Rate { per_second: at_least_one(1), burst: at_least_one(10) };

/// How often somebody who is nobody yet may send the end of a login, by where it comes from: behind a proxy that is everybody.
const STRANGERS: Rate = Rate { per_second: at_least_one(5), burst: at_least_one(50) };

/// The budgets.
pub(crate) struct Rates {
    strangers: DefaultKeyedRateLimiter<Option<IpAddr>>,
    logins: DefaultKeyedRateLimiter<String>,
    /// By the name that the audit knows a token by: the organisation's stands in it.
    tokens: DefaultKeyedRateLimiter<String>,
    orgs: DefaultKeyedRateLimiter<OrgName>,
    clock: DefaultClock,
}

impl Rates {
    pub(crate) fn new(limits: RateLimits) -> Self {
        let quota = |rate: Rate| Quota::per_second(rate.per_second).allow_burst(rate.burst);
        Self {
            strangers: RateLimiter::keyed(quota(STRANGERS)),
            logins: RateLimiter::keyed(quota(LOGINS)),
            tokens: RateLimiter::keyed(quota(limits.token)),
            orgs: RateLimiter::keyed(quota(limits.org)),
            clock: DefaultClock::default(),
        }
    }

    /// Takes the end of one login from an address. An error says how long to wait.
    pub(crate) fn take_stranger(&self, peer: Option<IpAddr>) -> Result<(), Duration> {
        self.take_from(&self.strangers, &peer)
    }

    /// Takes one login from a person. An error says how long to wait.
    pub(crate) fn take_login(&self, principal: &Principal) -> Result<(), Duration> {
        self.take_from(&self.logins, &principal.name)
    }

    /// Takes one request from whoever asks. An error says how long to wait.
    pub(crate) fn take(&self, principal: &Principal) -> Result<(), Duration> {
        let org = match principal.grant.as_ref().map(|grant| &grant.reach) {
            Some(Scope::Platform) => return Ok(()),
            Some(Scope::Org(org)) => Some(org),
            // Nobody, and a person who asks for what is nobody's organisation in particular.
            None => None,
        };
        // The health checks are everybody's.
        if !principal.is_nobody() {
            self.take_from(&self.tokens, &principal.name)?;
        }
        org.map_or(Ok(()), |org| self.take_from(&self.orgs, org))
    }

    /// Takes one from a budget. An error says how long to wait.
    fn take_from<K: Hash + Eq + Clone>(
        &self,
        budgets: &DefaultKeyedRateLimiter<K>,
        key: &K,
    ) -> Result<(), Duration> {
        if budgets.len() > TIDY_AFTER {
            budgets.retain_recent();
        }
        let taken = budgets.check_key(key);
        taken.map_err(|until: governor::NotUntil<_>| until.wait_time_from(self.clock.now()))
    }
}

#[cfg(test)]
mod tests {
    use skep_schemas::Role;

    use super::*;
    use skep_store::Grant;

    fn token(org: Option<&str>, name: &str) -> Principal {
        let reach = org.map_or(Scope::Platform, |org| Scope::Org(org.parse().unwrap()));
        Principal::bearer(name.to_owned(), Grant { reach, role: Role::Viewer })
    }

    #[test]
    fn a_token_that_asks_too_often_waits_and_no_other_does() {
        let rates = Rates::new(RateLimits { token: rate(1, 3), org: rate(1, 1000) });
        let greedy = token(Some("acme"), "acme/greedy");
        assert!((0..3).all(|_| rates.take(&greedy).is_ok()));
        let wait = rates.take(&greedy).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1), "{wait:?}");
        assert_eq!(rates.take(&token(Some("acme"), "acme/modest")), Ok(()));
    }

    #[test]
    fn an_organisation_with_many_tokens_has_one_budget_and_others_and_the_platform_have_theirs() {
        let rates = Rates::new(RateLimits { token: rate(1, 1000), org: rate(1, 4) });
        let asked = |org: Option<&str>, number: u32| rates.take(&token(org, &format!("t{number}")));
        assert_eq!((0..10).filter(|number| asked(Some("acme"), *number).is_ok()).count(), 4);
        assert_eq!(asked(Some("globex"), 0), Ok(()));
        assert!((0..1000).all(|number| asked(None, number).is_ok()));
    }
}
