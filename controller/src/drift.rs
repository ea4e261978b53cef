//! Keeping the drift report: what a plan found that nobody asked for is noted before anything is done about it, and again when it
//! was put right, so that a crash between the two loses neither.

use std::collections::BTreeSet;

use skep_planner::{ObjectRef, Plan};
use skep_runtime::Priority;
use skep_store::{Corrected, Fence, Noticed, Store, StoreError};

use crate::consider::Seen;

/// Notes what differs now, and what does not any more.
pub(crate) async fn note(
    store: &Store,
    fence: &Fence,
    seen: &Seen,
    plan: &Plan,
    trigger: Priority,
) -> Result<(), StoreError> {
    let standing = seen.stance().is_some_and(|stance| stance.standing);
    if plan.drift.is_empty() && !standing {
        return Ok(());
    }
    let noted = store.note_drift(fence, &plan.key, plan.uid, noticed(trigger), &plan.drift).await?;
    if noted.new > 0 {
        for drift in &plan.drift {
            tracing::warn!(object = %drift.object, pointer = drift.pointer, class = %drift.class,
                response = %drift.response, trigger = trigger.name(), "somebody else changed what is ours");
        }
    }
    Ok(())
}

/// Notes what a plan that was carried out has put right.
pub(crate) async fn corrected(
    store: &Store,
    fence: &Fence,
    plan: &Plan,
) -> Result<Vec<Corrected>, StoreError> {
    if plan.drift.is_empty() {
        return Ok(Vec::new());
    }
    let done: BTreeSet<&ObjectRef> = plan
        .steps
        .iter()
        .map(|step| &step.object)
        .chain(plan.learned.iter().map(|learned| &learned.object))
        .collect();
    let done: Vec<ObjectRef> = done.into_iter().cloned().collect();
    store.drift_corrected(fence, plan.uid, &done).await
}

const fn noticed(trigger: Priority) -> Noticed {
    match trigger {
        Priority::Hint => Noticed::Event,
        Priority::Resync => Noticed::Resync,
        Priority::Retry | Priority::Change | Priority::Urgent => Noticed::Change,
    }
}
