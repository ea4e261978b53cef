//! The holds as they were last seen in this process.

use std::sync::{Mutex, PoisonError};

use prometheus_client::metrics::gauge::Gauge;
use skep_planner::safety::HoldScope;
use skep_store::{Hold, HoldId};

/// The holds as they were last seen.
#[derive(Debug)]
pub(crate) struct HoldsInForce {
    holds: Mutex<Vec<Hold>>,
    count: Gauge,
}

impl HoldsInForce {
    /// None seen yet; this metric tells how many there are.
    pub(crate) fn new(count: Gauge) -> Self {
        Self { holds: Mutex::default(), count }
    }

    /// These are in force now.
    pub(crate) fn post(&self, holds: Vec<Hold>) {
        self.count.set(i64::try_from(holds.len()).unwrap_or(i64::MAX));
        *self.holds.lock().unwrap_or_else(PoisonError::into_inner) = holds;
    }

    /// Was this one seen?
    pub(crate) fn has(&self, id: HoldId) -> bool {
        let holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        holds.iter().any(|hold| hold.id == id)
    }

    /// What is in force, each in a few words.
    pub(crate) fn in_words(&self) -> Vec<String> {
        let holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        holds.iter().map(|hold| format!("{} on {}: {}", hold.id, hold.scope, hold.finding.reason)).collect()
    }

    /// Is everything on hold?
    pub(crate) fn stops_everything(&self) -> bool {
        let holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        holds.iter().any(|hold| hold.scope == HoldScope::Everything)
    }
}
