//! Differences between what was converged and what is live: how many are open, how they ended, and how fast.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::add;

/// Seconds from the first sight of a drift to its correction: from one pass to many rounds with backoff.
const SECONDS: [f64; 11] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0];

/// Drift. Classes, policies and outcomes are enums of the planner, which give their own words for the labels.
#[derive(Clone, Debug)]
pub struct Drift {
    open: Family<OpenLabels, Gauge>,
    ended: Family<EndedLabels, Counter>,
    correction: Histogram,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OpenLabels {
    class: &'static str,
    policy: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndedLabels {
    class: &'static str,
    outcome: &'static str,
}

impl Drift {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            open: add(
                registry,
                "drift_objects",
                "Objects that differ now from what was converged, by class of drift and policy",
                Family::default(),
            ),
            ended: add(registry, "drift", "Drifts that ended, by class and outcome", Family::default()),
            correction: add(
                registry,
                "drift_correction_seconds",
                "Time from the first sight of a drift to its correction",
                Histogram::new(SECONDS),
            ),
        }
    }

    /// So many objects of a class differ now and are treated by that policy.
    pub fn open(&self, class: &'static str, policy: &'static str, objects: i64) {
        self.open.get_or_create(&OpenLabels { class, policy }).set(objects);
    }

    /// A drift ended.
    pub fn ended(&self, class: &'static str, outcome: &'static str) {
        self.ended.get_or_create(&EndedLabels { class, outcome }).inc();
    }

    /// A drift was corrected, so long after it was first seen.
    pub fn corrected(&self, class: &'static str, after: Duration) {
        self.ended(class, "corrected");
        self.correction.observe(after.as_secs_f64());
    }
}
