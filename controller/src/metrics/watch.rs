//! The store: changes on their way to the queue, and the connections in use.

use std::fmt;
use std::sync::atomic::Ordering;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use skep_store::{Connections, Page, WatchStats};

use super::{add, seconds};

/// The controller's own reader of the change log.
#[derive(Clone, Debug)]
pub struct WatchMetrics {
    lag: Histogram,
    behind: Gauge,
    relists: Counter,
    failures: Counter,
    changes: Counter,
}

impl WatchMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            lag: add(
                registry,
                "watch_lag_seconds",
                "Age of the oldest change of a page when it woke its keys, by the database's clock",
                seconds(),
            ),
            behind: add(
                registry,
                "watch_revisions_behind",
                "Transactions that were committed and not yet read when the last page came",
                Gauge::default(),
            ),
            relists: add(
                registry,
                "watch_relists",
                "Times that everything had to be listed, because changes may have been missed",
                Counter::default(),
            ),
            failures: add(
                registry,
                "watch_failures",
                "Times that the change log could not be read",
                Counter::default(),
            ),
            changes: add(registry, "watch_changes", "Changes read from the change log", Counter::default()),
        }
    }

    /// A page was read and has woken its keys.
    pub fn page(&self, page: &Page) {
        self.lag.observe(page.oldest.as_secs_f64());
        let behind = page.head.get().saturating_sub(page.cursor.revision().get());
        self.behind.set(behind);
        self.changes.inc_by(u64::try_from(page.changes.len()).unwrap_or(u64::MAX));
    }

    /// What a watch counted so far. A new watch counts from zero, which is what a counter may do.
    pub fn stats(&self, stats: WatchStats) {
        self.relists.inner().store(stats.relists, Ordering::Relaxed);
        self.failures.inner().store(stats.failures, Ordering::Relaxed);
    }
}

/// Reads the pool of connections when scraped.
pub(super) struct Pool(Box<dyn Fn() -> Connections + Send + Sync>);

impl Pool {
    pub(super) fn new(connections: impl Fn() -> Connections + Send + Sync + 'static) -> Self {
        Self(Box::new(connections))
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pool")
    }
}

impl Collector for Pool {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let usage = (self.0)();
        let help = "Open connections to the database by whether they are in use";
        let mut family = encoder.encode_descriptor("store_connections", help, None, MetricType::Gauge)?;
        for (state, count) in [("used", usage.used), ("idle", usage.idle)] {
            family.encode_family(&[("state", state)])?.encode_gauge(&i64::from(count))?;
        }
        let help = "The most connections that this process may open";
        let mut family = encoder.encode_descriptor("store_connections_max", help, None, MetricType::Gauge)?;
        family.encode_gauge(&i64::from(usage.max))
    }
}
