//! Keeping the drift report: what a plan found that nobody asked for is noted before anything is done about it, and again when it
//! was put right, so that a crash between the two loses neither. What is noted is what the metrics count, and the board shows what
//! stands since the last look.

use std::collections::BTreeSet;

use skep_planner::drift::{self, Drift, Response};
use skep_planner::{ObjectRef, Plan};
use skep_runtime::Priority;
use skep_store::{Corrected, Fence, Looked, Noticed, Store, StoreError};

use crate::consider::Seen;
use crate::metrics::{self, Board};

/// Where drift is noted, counted and shown.
pub(crate) struct Report {
    store: Store,
    board: Board,
    metrics: metrics::Drift,
}

impl Report {
    /// Notes go into the store; what stands is on the board.
    pub(crate) const fn new(store: Store, board: Board, metrics: metrics::Drift) -> Self {
        Self { store, board, metrics }
    }

    /// Notes what differs now, and what does not any more.
    pub(crate) async fn note(
        &self,
        fence: &Fence,
        seen: &Seen,
        plan: &Plan,
        trigger: Priority,
    ) -> Result<(), StoreError> {
        let standing = seen.stance().is_some_and(|stance| stance.standing);
        let looked = if drift::is_complete(plan) { Looked::AtEverything } else { Looked::InPart };
        if !plan.drift.is_empty() || standing {
            let noticed = noticed(trigger);
            let noted =
                self.store.note_drift(fence, &plan.key, plan.uid, noticed, looked, &plan.drift).await?;
            self.metrics.noted(&noted);
            if noted.new > 0 {
                for drift in &plan.drift {
                    tracing::warn!(object = %drift.object, pointer = drift.pointer, class = %drift.class,
                        response = %drift.response, trigger = trigger.name(), "somebody else changed what is ours");
                }
            }
        }
        if looked == Looked::AtEverything {
            self.board.differs(&plan.key, &plan.drift);
        }
        Ok(())
    }

    /// Notes what a plan that was carried out has put right.
    pub(crate) async fn corrected(&self, fence: &Fence, plan: &Plan) -> Result<Vec<Corrected>, StoreError> {
        if plan.drift.is_empty() {
            return Ok(Vec::new());
        }
        let done: BTreeSet<&ObjectRef> = plan
            .steps
            .iter()
            .map(|step| &step.object)
            .chain(plan.learned.iter().map(|learned| &learned.object))
            .collect();
        let objects: Vec<ObjectRef> = done.iter().copied().cloned().collect();
        let corrected = self.store.drift_corrected(fence, plan.uid, &objects).await?;
        self.metrics.corrected(&corrected);
        let stands = |drift: &&Drift| drift.response != Response::Correct || !done.contains(&drift.object);
        self.board.differs(&plan.key, plan.drift.iter().filter(stands));
        Ok(corrected)
    }

    /// The resource is gone, and with it everything that still differed: the store has ended it along with the resource.
    pub(crate) fn ended(&self, plan: &Plan) {
        plan.drift.iter().for_each(|drift| self.metrics.ended(drift.class));
    }
}

const fn noticed(trigger: Priority) -> Noticed {
    match trigger {
        Priority::Hint => Noticed::Event,
        Priority::Resync => Noticed::Resync,
        Priority::Retry | Priority::Change | Priority::Urgent => Noticed::Change,
    }
}
