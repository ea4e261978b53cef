//! Plans as they are carried out: which steps, on what, and how they ended.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use skep_executor::StepWatch;
use skep_planner::Step;
use skep_store::StepOutcome;

use super::{add, seconds};

/// Steps of plans. Labels: the verbs, kinds of objects and outcomes of the planner and the journal.
#[derive(Clone, Debug)]
pub struct Convergence {
    steps: Family<StepLabels, Counter>,
    step_seconds: Family<VerbLabels, Histogram, fn() -> Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StepLabels {
    verb: &'static str,
    object: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerbLabels {
    verb: &'static str,
    object: &'static str,
}

impl Convergence {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            steps: add(registry, "plan_steps", "Steps of plans by how they ended", Family::default()),
            step_seconds: add(
                registry,
                "plan_step_seconds",
                "Duration of a step, its entries in the journal included",
                Family::new_with_constructor(seconds),
            ),
        }
    }
}

impl StepWatch for Convergence {
    fn ended(&self, step: &Step, outcome: &StepOutcome, took: Duration) {
        let (verb, object) = (step.op.verb(), step.op.object_kind().as_str());
        self.steps.get_or_create(&StepLabels { verb, object, outcome: outcome.as_str() }).inc();
        self.step_seconds.get_or_create(&VerbLabels { verb, object }).observe(took.as_secs_f64());
    }
}
