//! The plans that were carried out for a resource.

use jiff::Timestamp;
use skep_store::{PLANS_MAX, PlanHistory, PlanOutcome, StepHistory};

use crate::answer::Document;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::limits::PLANS_DEFAULT;
use crate::wire::{PlanEnd, PlanItem, PlanList, PlanQuery, PlanStep};

pub(super) async fn list(call: Call<PlanQuery>) -> Result<Document<PlanList>, ApiError> {
    let key = call.address.key()?;
    let limit = call::limit(call.query.limit, PLANS_DEFAULT, PLANS_MAX)?;
    let store = &call.store;
    let resource = store.get(&key).await?.ok_or(ApiError::NotFound { key })?;
    let plans = store.plans(resource.meta.uid, limit).await?;
    Ok(Document(PlanList { items: plans.into_iter().map(item).collect() }))
}

fn item(plan: PlanHistory) -> PlanItem {
    PlanItem {
        id: plan.id.get(),
        reconcile_id: plan.reconcile_id,
        generation: plan.generation.get(),
        release: plan.release,
        created_at: plan.created_at,
        duration_ms: plan.finished_at.map(|end| millis(plan.created_at, end)),
        outcome: match plan.outcome {
            PlanOutcome::Open => PlanEnd::Open,
            PlanOutcome::Done => PlanEnd::Done,
            PlanOutcome::Stopped => PlanEnd::Stopped,
            PlanOutcome::Interrupted => PlanEnd::Interrupted,
        },
        steps: plan.steps.into_iter().map(step).collect(),
    }
}

fn step(step: StepHistory) -> PlanStep {
    // The journal writes `createService`; the verb is what comes before the object.
    let verb = step.op.chars().take_while(char::is_ascii_lowercase).collect();
    PlanStep {
        verb,
        object_kind: step.object.kind.to_string(),
        object: step.object.name,
        why: step.why,
        cost_text: step.cost.as_ref().map(ToString::to_string),
        cost: step.cost,
        outcome: step.state.as_str().to_owned(),
        problem: step.problem,
        started_at: step.started_at,
        duration_ms: step.started_at.zip(step.finished_at).map(|(start, end)| millis(start, end)),
    }
}

/// Zero when a clock was set back in between.
fn millis(start: Timestamp, end: Timestamp) -> u64 {
    u64::try_from(end.duration_since(start).as_millis()).unwrap_or_default()
}
