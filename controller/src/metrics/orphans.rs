//! Orphans: how many there are, and how many were collected.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::add;

/// Objects of ours that the inventory does not know.
#[derive(Clone, Debug)]
pub struct Orphans {
    seen: Gauge,
    collected: Counter,
}

impl Orphans {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            seen: add(
                registry,
                "orphans",
                "Objects of ours that the inventory does not know, as the last survey saw them",
                Gauge::default(),
            ),
            collected: add(
                registry,
                "orphans_collected",
                "Orphans that were removed after their grace period",
                Counter::default(),
            ),
        }
    }

    /// So many were seen.
    pub fn seen(&self, count: usize) {
        self.seen.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// So many were removed.
    pub fn collected(&self, count: u64) {
        self.collected.inc_by(count);
    }
}
