//! The transaction in which results become facts, for one step or several at once.

use std::collections::HashSet;

use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::{PlanId, StepOutcome, column, unexpected};
use crate::error::{Fault, StoreError};
use crate::gathered::{Answers, Fenced, Writing};
use crate::lease::Fence;

/// A step that ended, as columns.
pub(crate) struct Finish {
    fence: Fence,
    plan: PlanId,
    index: i32,
    outcome: StepOutcome,
}

impl Finish {
    pub(super) fn new(
        fence: &Fence,
        plan: PlanId,
        index: usize,
        outcome: &StepOutcome,
    ) -> Result<Self, StoreError> {
        Ok(Self { fence: fence.clone(), plan, index: column(plan, index)?, outcome: outcome.clone() })
    }

    fn is_done(&self) -> bool {
        matches!(self.outcome, StepOutcome::Done { .. })
    }

    fn unexpected(&self) -> StoreError {
        unexpected(self.plan, usize::try_from(self.index).unwrap_or(usize::MAX), self.outcome.state())
    }
}

impl Fenced for Finish {
    fn fence(&self) -> &Fence {
        &self.fence
    }
}

/// Records how these steps ended. Of one that nobody had begun that is told.
pub(crate) fn finish_all<'a>(tx: &'a mut PgConnection, finishes: &'a [Finish]) -> Writing<'a, ()> {
    Box::pin(finish(tx, finishes))
}

async fn finish(tx: &mut PgConnection, finishes: &[Finish]) -> Answers<()> {
    let ended = end(tx, finishes).await?;
    let is_ended = |finish: &&Finish| ended.iter().any(|step| step.is_of(finish));
    learn(tx, finishes, &ended).await?;
    take_back(tx, finishes, &ended).await?;
    let closing: Vec<&Finish> = finishes.iter().filter(is_ended).collect();
    close(tx, &closing).await?;
    let told = |finish: &Finish| if is_ended(&finish) { Ok(()) } else { Err(finish.unexpected()) };
    Ok(finishes.iter().map(told).collect())
}

/// A step that was waited for, as the journal has it.
struct Ended {
    plan: i64,
    index: i32,
    uid: Uuid,
    kind: String,
    name: String,
    prior_release: Option<i32>,
    /// It was started, and sent a release.
    sent: bool,
}

impl Ended {
    fn is_of(&self, finish: &Finish) -> bool {
        (self.plan, self.index) == (finish.plan.0, finish.index)
    }
}

async fn end(tx: &mut PgConnection, finishes: &[Finish]) -> Result<Vec<Ended>, Fault> {
    let plans: Vec<i64> = finishes.iter().map(|finish| finish.plan.0).collect();
    let indexes: Vec<i32> = finishes.iter().map(|finish| finish.index).collect();
    let states: Vec<String> =
        finishes.iter().map(|finish| finish.outcome.state().as_str().to_owned()).collect();
    let whys: Vec<Option<String>> = finishes.iter().map(|finish| finish.outcome.why()).collect();
    let ended = sqlx::query_as!(
        Ended,
        r#"UPDATE plan_step s SET state = t.state, why = t.why, finished_at = now()
           FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::text[]) AS t (plan, index, state, why)
           JOIN plan ON plan.id = t.plan
           WHERE s.plan = t.plan AND s.index = t.index AND s.state IN ('planned', 'started')
           RETURNING s.plan, s.index, plan.uid, s.object_kind AS kind, s.object_name AS name, s.prior_release,
               s.started_at IS NOT NULL AND s.step->'op'->>'release' IS NOT NULL AS "sent!""#,
        &plans,
        &indexes,
        &states,
        &whys as _
    );
    Ok(ended.fetch_all(tx).await?)
}

/// Notes the ids of what was made. A service is from now on compared with what was asked for; what was removed has no id any more, so
/// that its absence is not taken for somebody else's doing.
async fn learn(tx: &mut PgConnection, finishes: &[Finish], ended: &[Ended]) -> Result<(), Fault> {
    let (mut plans, mut indexes, mut owners, mut ids) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for finish in finishes {
        let StepOutcome::Done { object_id } = &finish.outcome else { continue };
        let Some(step) = ended.iter().find(|step| step.is_of(finish)) else { continue };
        plans.push(step.plan);
        indexes.push(step.index);
        owners.push(step.uid);
        ids.push(object_id.clone());
    }
    if plans.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE inventory i SET object_id = t.id,
             applied = CASE WHEN i.kind = 'service' AND t.id IS NOT NULL
                       THEN coalesce(s.step->'intended', s.step->'op'->'spec') END
         FROM unnest($1::bigint[], $2::integer[], $3::uuid[], $4::text[]) AS t (plan, index, owner, id)
         JOIN plan_step s ON s.plan = t.plan AND s.index = t.index
         WHERE i.owner = t.owner AND i.kind = s.object_kind AND i.name = s.object_name",
        &plans,
        &indexes,
        &owners,
        &ids as _
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Takes back the note of what was sent, of steps that certainly had no effect.
async fn take_back(tx: &mut PgConnection, finishes: &[Finish], ended: &[Ended]) -> Result<(), Fault> {
    for finish in finishes.iter().filter(|finish| finish.outcome.had_no_effect()) {
        let Some(step) = ended.iter().find(|step| step.is_of(finish) && step.sent) else { continue };
        sqlx::query!(
            "UPDATE inventory SET sent_release = $4 WHERE owner = $1 AND kind = $2 AND name = $3",
            step.uid,
            step.kind,
            step.name,
            step.prior_release
        )
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// Closes the plans whose last step that was, or whose step did not succeed: those after it are not tried.
async fn close(tx: &mut PgConnection, finishes: &[&Finish]) -> Result<(), Fault> {
    let (done, stopped): (Vec<&Finish>, Vec<&Finish>) =
        finishes.iter().copied().partition(|finish| finish.is_done());
    let ids = |finishes: &[&Finish]| {
        let distinct: HashSet<i64> = finishes.iter().map(|finish| finish.plan.0).collect();
        distinct.into_iter().collect::<Vec<i64>>()
    };
    let stopped = ids(&stopped);
    if !stopped.is_empty() {
        sqlx::query!(
            "UPDATE plan_step SET state = 'skipped' WHERE plan = ANY($1) AND state = 'planned'",
            &stopped
        )
        .execute(&mut *tx)
        .await?;
    }
    for (plans, outcome) in [(ids(&done), "done"), (stopped, "stopped")] {
        if plans.is_empty() {
            continue;
        }
        // Counted plan by plan: as a join the server reads all steps there are, by statistics from when there were few.
        sqlx::query!(
            "UPDATE plan SET finished_at = now(), outcome = $2 WHERE id = ANY($1)
             AND (SELECT count(*) FROM plan_step WHERE plan = plan.id AND state IN ('planned', 'started')) = 0",
            &plans,
            outcome
        )
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}
