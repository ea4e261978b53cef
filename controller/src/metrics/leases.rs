//! Who reconciles: the leases that this process holds or waits for.
//!
//! A lease that is known and not held is shown as such, so that "nobody holds it" is a sum over all processes that is zero.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::add;

/// The leases of this process. Their names are the program's own (one per shard), so the label is bounded by the number of shards.
#[derive(Clone, Debug)]
pub struct Leases {
    epoch: Family<LeaseLabels, Gauge>,
    held: Family<LeaseLabels, Gauge>,
    taken: Family<LeaseLabels, Counter>,
    now: Arc<Mutex<BTreeMap<String, HeldLease>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LeaseLabels {
    lease: String,
}

/// A lease that this process holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldLease {
    /// Its name.
    pub name: String,
    /// Under which epoch.
    pub epoch: i64,
    /// Since when.
    pub since: Timestamp,
}

impl Leases {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            epoch: add(
                registry,
                "lease_epoch",
                "Epoch under which this process last held a lease; 0 before the first time",
                Family::default(),
            ),
            held: add(
                registry,
                "lease_held",
                "1 while this process holds a lease, else 0",
                Family::default(),
            ),
            taken: add(registry, "lease_acquired", "Times that this process took a lease", Family::default()),
            now: Arc::default(),
        }
    }

    /// This process would take the lease.
    pub fn known(&self, name: &str) {
        let labels = LeaseLabels { lease: name.to_owned() };
        let _shown = self.epoch.get_or_create(&labels);
        let _shown = self.held.get_or_create(&labels);
        let _shown = self.taken.get_or_create(&labels);
    }

    /// This process took the lease.
    pub fn taken(&self, name: &str, epoch: i64) {
        let labels = LeaseLabels { lease: name.to_owned() };
        self.epoch.get_or_create(&labels).set(epoch);
        self.held.get_or_create(&labels).set(1);
        self.taken.get_or_create(&labels).inc();
        let held = HeldLease { name: name.to_owned(), epoch, since: Timestamp::now() };
        self.now.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), held);
    }

    /// This process no longer holds the lease.
    pub fn lost(&self, name: &str) {
        self.held.get_or_create(&LeaseLabels { lease: name.to_owned() }).set(0);
        self.now.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// The leases that it holds now, by name.
    pub fn held(&self) -> Vec<HeldLease> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
