//! Differences between what was converged and what is live: how they ended, and how fast. How many stand is on the
//! [`Board`](super::Board).

use std::time::Duration;

use jiff::SignedDuration;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use skep_planner::drift::{DriftClass, Response};
use skep_store::{Corrected, DriftOutcome, Noted};

use super::add;

/// Seconds from the first sight of a drift to its correction: from one pass to many rounds with backoff.
const SECONDS: [f64; 11] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0];

/// The outcome of what is given up: the word for that in the report. It stands on, and is counted again when it ends.
const GIVEN_UP: &str = Response::GiveUp.as_str();

/// What became of drift.
#[derive(Clone, Debug)]
pub struct Drift {
    outcomes: Family<OutcomeLabels, Counter>,
    correction: Family<ClassLabels, Histogram, fn() -> Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    class: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClassLabels {
    class: &'static str,
}

impl Drift {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let drift = Self {
            outcomes: add(
                registry,
                "drift",
                "Drifts that were corrected, were given up or ended otherwise, by class and outcome",
                Family::default(),
            ),
            correction: add(
                registry,
                "drift_correction_seconds",
                "Time from the first sight of a drift to its correction",
                Family::new_with_constructor(|| Histogram::new(SECONDS)),
            ),
        };
        drift.show();
        drift
    }

    /// Everything begins at zero and not with its first time, or the first would be no increase to whoever scrapes.
    fn show(&self) {
        for class in DriftClass::ALL {
            for outcome in DriftOutcome::ALL.map(DriftOutcome::as_str).into_iter().chain([GIVEN_UP]) {
                let _shown = self.counter(class, outcome);
            }
            let _shown = self.correction.get_or_create(&ClassLabels { class: class.as_str() });
        }
    }

    fn counter(&self, class: DriftClass, outcome: &'static str) -> Counter {
        self.outcomes.get_or_create_owned(&OutcomeLabels { class: class.as_str(), outcome })
    }

    /// A look found what does not differ any more, and what is given up from now on.
    pub fn noted(&self, noted: &Noted) {
        for ended in &noted.ended {
            match ended.outcome {
                DriftOutcome::Corrected => self.was_corrected(ended.class, ended.after),
                DriftOutcome::Ended => self.ended(ended.class),
            }
        }
        for class in &noted.given_up {
            self.counter(*class, GIVEN_UP).inc();
        }
    }

    /// These were put right.
    pub fn corrected(&self, corrected: &[Corrected]) {
        for one in corrected {
            self.was_corrected(one.class, one.after);
        }
    }

    /// One ended without having been put right.
    pub fn ended(&self, class: DriftClass) {
        self.counter(class, DriftOutcome::Ended.as_str()).inc();
    }

    fn was_corrected(&self, class: DriftClass, after: SignedDuration) {
        self.counter(class, DriftOutcome::Corrected.as_str()).inc();
        // A clock of the database that was set back makes it no time at all.
        let after = Duration::try_from(after).unwrap_or_default();
        self.correction.get_or_create(&ClassLabels { class: class.as_str() }).observe(after.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use skep_store::Ended;

    use super::*;

    #[test]
    fn a_correction_counts_with_its_time_wherever_it_is_noted_and_giving_up_counts_by_its_word() {
        let mut registry = Registry::default();
        let drift = Drift::register(&mut registry);
        let (class, after) = (DriftClass::Modified, SignedDuration::from_secs(3));
        let ended = |outcome| Ended { class, outcome, after };
        drift.noted(&Noted {
            new: 1,
            ended: vec![ended(DriftOutcome::Corrected), ended(DriftOutcome::Ended)],
            given_up: vec![DriftClass::Missing],
        });
        let object = skep_planner::ObjectRef::new(skep_planner::ObjectKind::Service, "web");
        drift.corrected(&[Corrected { object, pointer: String::new(), class, after }]);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for sample in [
            r#"drift_total{class="modified",outcome="corrected"} 2"#,
            r#"drift_total{class="modified",outcome="ended"} 1"#,
            r#"drift_total{class="modified",outcome="give-up"} 0"#,
            r#"drift_total{class="missing",outcome="give-up"} 1"#,
            r#"drift_correction_seconds_sum{class="modified"} 6.0"#,
            r#"drift_correction_seconds_count{class="modified"} 2"#,
        ] {
            assert!(text.lines().any(|line| line == sample), "{sample} is not in\n{text}");
        }
    }
}
