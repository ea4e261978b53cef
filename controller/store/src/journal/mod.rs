//! The journal: a plan is recorded before anything of it happens, and each step before and after its effect.
//!
//! [`Store::begin_plan`] is the one transaction in which the controller's decisions become facts: the new release, the
//! verdicts, the intents in the inventory, and the steps. After a crash the journal tells what may have happened; the
//! controller does not continue it but looks at the Swarm and plans again.
//!
//! Which release was sent to a service is noted when its step starts, not when it is planned: a release that was never sent
//! must not look like one that was rolled back. A step that certainly had no effect takes the note back.

mod history;
pub(crate) mod interrupted;
mod unfinished;

use skep_planner::Plan;
use skep_schemas::{Finalizer, Generation};
use sqlx::PgConnection;

use crate::error::{Fault, Operation, StoreError};
use crate::lease::Fence;
use crate::row::finalizer_word;
use crate::store::Store;
use crate::{inventory, release};

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
        if plan.release.is_none() && plan.verdicts.is_empty() && plan.steps.is_empty() {
            return Ok(None);
        }
        self.try_begin(fence, plan).await.map_err(|fault| fault.during(Operation::BeginPlan))
    }

    async fn try_begin(&self, fence: &Fence, plan: &Plan) -> Result<Option<PlanRecord>, Fault> {
        let mut tx = self.pool().begin().await?;
        fence.check(&mut tx).await?;
        check_current(&mut tx, plan).await?;
        for change in &plan.verdicts {
            release::judge(&mut tx, plan.uid, change).await?;
        }
        if let Some(new) = &plan.release {
            release::record(&mut tx, &plan.key, plan.uid, new).await?;
        }
        if plan.steps.iter().any(|step| step.op.creates()) {
            hold(&mut tx, plan).await?;
        }
        for step in &plan.steps {
            inventory::intend(&mut tx, plan.uid, step).await?;
        }
        let record = if plan.steps.is_empty() { None } else { Some(journal(&mut tx, fence, plan).await?) };
        tx.commit().await?;
        Ok(record)
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
        self.try_finished(fence, plan, index, outcome).await.map_err(|fault| fault.during(Operation::Step))
    }

    async fn try_finished(
        &self,
        fence: &Fence,
        plan: PlanId,
        index: usize,
        outcome: &StepOutcome,
    ) -> Result<(), Fault> {
        let mut tx = self.pool().begin().await?;
        fence.check(&mut tx).await?;
        let row = sqlx::query!(
            r#"UPDATE plan_step SET state = $3, why = $4, finished_at = now() FROM plan
               WHERE plan_step.plan = $1 AND index = $2 AND state IN ('planned', 'started') AND plan.id = plan_step.plan
               RETURNING plan.uid, object_kind, object_name, prior_release, started_at IS NOT NULL AS "started!",
                         (step->'op'->>'release')::integer AS release"#,
            plan.0,
            column(plan, index)?,
            outcome.state().as_str(),
            outcome.why()
        )
        .fetch_optional(&mut *tx)
        .await?
        .ok_or_else(|| unexpected(plan, index, outcome.state()))?;
        if let StepOutcome::Done { object_id } = outcome {
            // A service is from now on compared with what was asked for; what was removed has no id any more, so that its
            // absence is not taken for somebody else's doing.
            sqlx::query!(
                "UPDATE inventory i SET object_id = $4,
                     applied = CASE WHEN i.kind = 'service' AND $4::text IS NOT NULL
                               THEN coalesce(s.step->'intended', s.step->'op'->'spec') END
                 FROM plan_step s
                 WHERE i.owner = $1 AND i.kind = $2 AND i.name = $3 AND s.plan = $5 AND s.index = $6",
                row.uid,
                row.object_kind,
                row.object_name,
                object_id.as_deref(),
                plan.0,
                column(plan, index)?
            )
            .execute(&mut *tx)
            .await?;
        }
        if row.started && row.release.is_some() && outcome.had_no_effect() {
            sqlx::query!(
                "UPDATE inventory SET sent_release = $4 WHERE owner = $1 AND kind = $2 AND name = $3",
                row.uid,
                row.object_kind,
                row.object_name,
                row.prior_release
            )
            .execute(&mut *tx)
            .await?;
        }
        let done = matches!(outcome, StepOutcome::Done { .. });
        if !done {
            sqlx::query!(
                "UPDATE plan_step SET state = 'skipped' WHERE plan = $1 AND state = 'planned'",
                plan.0
            )
            .execute(&mut *tx)
            .await?;
        }
        sqlx::query!(
            "UPDATE plan SET finished_at = now(), outcome = $2 WHERE id = $1
             AND NOT EXISTS (SELECT FROM plan_step WHERE plan = $1 AND state IN ('planned', 'started'))",
            plan.0,
            if done { "done" } else { "stopped" }
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Fails if the resource is gone or its spec has changed since the plan was made. Holds the row, so that it stays so.
async fn check_current(tx: &mut PgConnection, plan: &Plan) -> Result<(), Fault> {
    let generation = sqlx::query_scalar!(
        "SELECT generation FROM resource WHERE uid = $1 FOR NO KEY UPDATE",
        plan.uid.uuid()
    )
    .fetch_optional(tx)
    .await?
    .ok_or(StoreError::ResourceGone { uid: plan.uid })?;
    let current = Generation::new(generation);
    if current != plan.generation {
        let key = plan.key.clone();
        return Err(StoreError::PlanStale { key, planned: plan.generation, current }.into());
    }
    Ok(())
}

/// Sees to it that the row stays while objects of it may exist (invariant I12). A row that was applied has its finalizer from
/// birth; one that was written by hand gets it here, before the first effect.
async fn hold(tx: &mut PgConnection, plan: &Plan) -> Result<(), Fault> {
    sqlx::query!(
        "UPDATE resource SET finalizers = array_append(finalizers, $2) WHERE uid = $1 AND NOT finalizers @> ARRAY[$2]",
        plan.uid.uuid(),
        finalizer_word(Finalizer::Swarm)
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn journal(tx: &mut PgConnection, fence: &Fence, plan: &Plan) -> Result<PlanRecord, Fault> {
    // One reconcile per key: whatever was under way before has ended, with or without telling.
    interrupted::close_those_of(tx, plan.uid).await?;
    let release = plan.release.as_ref().map(|release| release::column(release.version)).transpose()?;
    let id = sqlx::query_scalar!(
        "INSERT INTO plan (uid, key, generation, release, lease, epoch, reconcile_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
        plan.uid.uuid(),
        plan.key.to_string(),
        plan.generation.get(),
        release,
        fence.name(),
        fence.epoch(),
        fence.pass()
    )
    .fetch_one(&mut *tx)
    .await?;
    let kinds: Vec<_> = plan.steps.iter().map(|step| step.object.kind.as_str().to_owned()).collect();
    let names: Vec<_> = plan.steps.iter().map(|step| step.object.name.clone()).collect();
    let steps = plan.steps.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>();
    let steps = steps.map_err(|why| StoreError::corrupt(format!("plan of {}", plan.key), why))?;
    sqlx::query!(
        "INSERT INTO plan_step (plan, index, object_kind, object_name, step)
         SELECT $1, t.number - 1, t.kind, t.name, t.step
         FROM unnest($2::text[], $3::text[], $4::jsonb[]) WITH ORDINALITY AS t (kind, name, step, number)",
        id,
        &kinds,
        &names,
        &steps
    )
    .execute(tx)
    .await?;
    Ok(PlanRecord { id: PlanId(id) })
}

fn column(plan: PlanId, index: usize) -> Result<i32, StoreError> {
    i32::try_from(index).map_err(|_| unexpected(plan, index, StepState::Planned))
}

const fn unexpected(plan: PlanId, index: usize, state: StepState) -> StoreError {
    StoreError::StepUnexpected { plan: plan.0, index, state: state.as_str() }
}
