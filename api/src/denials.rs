//! What is denied is told in the audit, at a bounded pace.
//!
//! A denial costs the server a row, and whoever has a token can ask for what he may not have as often as he likes. So each token has
//! so many rows at once and so many a minute; what goes beyond is refused like the rest, counted, and not written down.

use std::num::NonZeroU32;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use skep_store::{Actor, Denied, Store};

use crate::metrics::Metrics;

/// Rows that one token may cause at once, and then each minute: enough to see what somebody tries, and half a gigabyte a year at
/// the very worst.
const ROWS: NonZeroU32 = NonZeroU32::new(30).expect("thirty is not zero");

/// After so many denials the tokens that have not been heard of are forgotten.
const TIDY_AFTER: usize = 1024;

/// Writes denials down.
pub(crate) struct Denials {
    pace: DefaultKeyedRateLimiter<String>,
    store: Store,
    metrics: Metrics,
}

impl Denials {
    pub(crate) fn new(store: Store, metrics: Metrics) -> Self {
        Self { pace: RateLimiter::keyed(Quota::per_minute(ROWS)), store, metrics }
    }

    /// Writes a denial down, unless this actor's are too many. That it could not be written does not change the answer.
    pub(crate) async fn note(&self, actor: &Actor, denied: &Denied) {
        if self.pace.len() > TIDY_AFTER {
            self.pace.retain_recent();
        }
        let is_written = self.pace.check_key(&actor.as_str().to_owned()).is_ok();
        self.metrics.denied(is_written);
        if !is_written {
            return;
        }
        if let Err(error) = self.store.record_denied(actor, denied).await {
            tracing::error!(actor = actor.as_str(), %error, "a denial could not be written down");
        }
    }
}
