//! The journal: a plan is recorded before anything of it happens, and each step before and after its effect.
//!
//! [`Store::begin_plan`] is the one transaction in which the controller's decisions become facts: the new release, the
//! verdicts, the intents in the inventory, and the steps. After a crash the journal tells what may have happened; the
//! controller does not continue it but looks at the Swarm and plans again.
//!
//! Which release was sent to a service is noted when its step starts, not when it is planned: a release that was never sent
//! must not look like one that was rolled back. A step that certainly had no effect takes the note back.

mod begin;
mod finish;
mod history;
pub(crate) mod interrupted;
mod unfinished;

use skep_planner::Plan;

use crate::error::{Fault, Operation, StoreError};
use crate::lease::Fence;
use crate::store::Store;

use begin::First;
pub(crate) use begin::{Begin, begin_all};
pub(crate) use finish::{Finish, finish_all};
pub use history::{PLANS_MAX, PlanHistory, PlanOutcome, StepHistory};
pub use unfinished::{StepState, UnfinishedPlan, UnfinishedStep};

/// Longest reason of a step's outcome; longer ones are cut.
const WHY_MAX: usize = 1024;

/// A recorded plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlanId(i64);

impl PlanId {
    /// The number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl std::fmt::Display for PlanId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What [`Store::begin_plan`] recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanRecord {
    /// By which its steps are recorded.
    pub id: PlanId,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepOutcome {
    /// It had its effect.
    Done {
        /// The engine's id of the object, if the step learned it.
        object_id: Option<String>,
    },
    /// The object had changed in the meantime; nothing happened.
    Conflict,
    /// It was refused; nothing happened.
    Failed {
        /// Why.
        why: String,
    },
    /// Nobody knows whether it had its effect.
    Unknown {
        /// Why.
        why: String,
    },
}

impl StepOutcome {
    /// The word for it.
    pub const fn as_str(&self) -> &'static str {
        self.state().as_str()
    }

    const fn state(&self) -> StepState {
        match self {
            Self::Done { .. } => StepState::Done,
            Self::Conflict => StepState::Conflict,
            Self::Failed { .. } => StepState::Failed,
            Self::Unknown { .. } => StepState::Unknown,
        }
    }

    fn why(&self) -> Option<String> {
        match self {
            Self::Failed { why } | Self::Unknown { why } => Some(why.chars().take(WHY_MAX).collect()),
            Self::Done { .. } | Self::Conflict => None,
        }
    }

    /// Is it certain that nothing happened?
    const fn had_no_effect(&self) -> bool {
        matches!(self, Self::Conflict | Self::Failed { .. })
    }
}

impl Store {
    /// Records what a plan decides and what it will do, in one transaction. `None` when it has no steps: then its release
    /// and verdicts are recorded and there is nothing to journal; a quiet plan writes nothing.
    ///
    /// Objects to forget and finalising are not part of it; see [`Store::forget`] and [`Store::finalize`].
    pub async fn begin_plan(&self, fence: &Fence, plan: &Plan) -> Result<Option<PlanRecord>, StoreError> {
        self.record_plan(fence, plan, First::Planned).await
    }

    /// The same, with the first step noted as started: whoever says so makes its call next. `None` when the plan has no steps.
    pub async fn start_plan(&self, fence: &Fence, plan: &Plan) -> Result<Option<PlanRecord>, StoreError> {
        self.record_plan(fence, plan, First::Started).await
    }

    async fn record_plan(
        &self,
        fence: &Fence,
        plan: &Plan,
        first: First,
    ) -> Result<Option<PlanRecord>, StoreError> {
        if !plan.is_recorded() {
            return Ok(None);
        }
        self.gathered().begins.ask(Begin::new(fence, plan, first)?).await
    }

    /// Notes that a step's call is about to be made.
    pub async fn step_started(&self, fence: &Fence, plan: PlanId, index: usize) -> Result<(), StoreError> {
        self.try_started(fence, plan, index).await.map_err(|fault| fault.during(Operation::Step))
    }

    async fn try_started(&self, fence: &Fence, plan: PlanId, index: usize) -> Result<(), Fault> {
        let mut tx = self.pool().begin().await?;
        fence.check(&mut tx).await?;
        let row = sqlx::query!(
            r#"UPDATE plan_step SET state = 'started', started_at = now()
               WHERE plan = $1 AND index = $2 AND state = 'planned'
               RETURNING object_kind, object_name, (step->'op'->>'release')::integer AS release"#,
            plan.0,
            column(plan, index)?
        )
        .fetch_optional(&mut *tx)
        .await?
        .ok_or_else(|| unexpected(plan, index, StepState::Started))?;
        if let Some(release) = row.release {
            sqlx::query!(
                "WITH before AS (
                     SELECT i.owner, i.kind, i.name, i.sent_release FROM inventory i
                     WHERE i.owner = (SELECT uid FROM plan WHERE id = $1) AND i.kind = $3 AND i.name = $4
                 ), kept AS (
                     UPDATE plan_step SET prior_release = before.sent_release FROM before WHERE plan = $1 AND index = $2
                 )
                 UPDATE inventory i SET sent_release = $5 FROM before
                 WHERE (i.owner, i.kind, i.name) = (before.owner, before.kind, before.name)",
                plan.0,
                column(plan, index)?,
                row.object_kind,
                row.object_name,
                release
            )
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Notes how a step ended, and the id of what it made. The plan is finished with its last step, or with the first that does not
    /// succeed: those after it are not tried.
    pub async fn step_finished(
        &self,
        fence: &Fence,
        plan: PlanId,
        index: usize,
        outcome: &StepOutcome,
    ) -> Result<(), StoreError> {
        self.gathered().finishes.ask(Finish::new(fence, plan, index, outcome)?).await
    }
}

fn column(plan: PlanId, index: usize) -> Result<i32, StoreError> {
    i32::try_from(index).map_err(|_| unexpected(plan, index, StepState::Planned))
}

const fn unexpected(plan: PlanId, index: usize, state: StepState) -> StoreError {
    StoreError::StepUnexpected { plan: plan.0, index, state: state.as_str() }
}
