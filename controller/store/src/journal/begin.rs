//! The transaction in which plans become facts, for one plan or several at once.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::Value;
use skep_planner::Plan;
use skep_schemas::{Finalizer, Generation, ResourceKey, Rollback, Uid};
use sqlx::PgConnection;
use sqlx::types::{Json, Uuid};

use super::{PlanId, PlanRecord, StepState, interrupted};
use crate::error::{Fault, StoreError};
use crate::gathered::{Answers, Fenced, Writing};
use crate::inventory::{self, Intent};
use crate::last_lines::{self, LinesRow};
use crate::lease::Fence;
use crate::release::{self, NewRow, VerdictRow};
use crate::row::finalizer_word;
use crate::run::{self, NewsRow, PhaseRow};
use crate::schedule::{self, ScheduleRow};

/// How the first step of a plan is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    /// As planned, like the others.
    Planned,
    /// As started: its call is made next.
    Started,
}

/// A plan to be recorded, as columns.
pub(crate) struct Begin {
    fence: Fence,
    uid: Uid,
    key: ResourceKey,
    generation: Generation,
    release: Option<NewRow>,
    /// Since when the rollback stands that the plan knows of.
    rollback: Option<Timestamp>,
    ends_rollback: bool,
    verdicts: Vec<VerdictRow>,
    last_lines: Option<LinesRow>,
    runs: Vec<NewsRow>,
    phase: Option<PhaseRow>,
    schedules: Vec<ScheduleRow>,
    creates: bool,
    intents: Vec<Intent>,
    steps: Vec<StepRow>,
    first: First,
}

struct StepRow {
    kind: &'static str,
    name: String,
    step: Value,
    /// The release that it sends.
    release: Option<i32>,
}

impl Begin {
    pub(super) fn new(fence: &Fence, plan: &Plan, first: First) -> Result<Self, StoreError> {
        let corrupt = |why| StoreError::corrupt(format!("plan of {}", plan.key), why);
        let mut steps = Vec::with_capacity(plan.steps.len());
        for step in &plan.steps {
            let release = step.op.sends_release().map(release::column).transpose()?;
            let (kind, name) = (step.object.kind.as_str(), step.object.name.clone());
            steps.push(StepRow { kind, name, step: serde_json::to_value(step).map_err(corrupt)?, release });
        }
        Ok(Self {
            fence: fence.clone(),
            uid: plan.uid,
            key: plan.key.clone(),
            generation: plan.generation,
            release: plan
                .release
                .as_ref()
                .map(|new| release::new_row(&plan.key, plan.uid, new))
                .transpose()?,
            rollback: plan.rollback,
            ends_rollback: plan.ends_rollback,
            verdicts: release::verdict_rows(&plan.key, plan.uid, &plan.verdicts, plan.noted.as_ref())?,
            last_lines: plan
                .last_lines
                .as_ref()
                .map(|kept| last_lines::lines_row(plan.uid, kept))
                .transpose()?,
            runs: run::news_rows(plan.uid, &plan.runs),
            phase: plan.phase.as_ref().map(|phase| run::phase_row(plan.uid, phase)).transpose()?,
            schedules: schedule::rows(&plan.key, plan.uid, &plan.schedules)?,
            creates: plan.steps.iter().any(|step| step.op.creates()),
            intents: plan.steps.iter().filter_map(|step| Intent::of(plan.uid, step)).collect(),
            steps,
            first,
        })
    }

    fn starts(&self) -> Option<&StepRow> {
        self.steps.first().filter(|_| self.first == First::Started)
    }
}

impl Fenced for Begin {
    fn fence(&self) -> &Fence {
        &self.fence
    }
}

/// Records these plans. Those whose resource moved on are told so.
pub(crate) fn begin_all<'a>(
    tx: &'a mut PgConnection,
    begins: &'a [Begin],
) -> Writing<'a, Option<PlanRecord>> {
    Box::pin(begin(tx, begins))
}

async fn begin(tx: &mut PgConnection, begins: &[Begin]) -> Answers<Option<PlanRecord>> {
    let rows = held(tx, begins).await?;
    let current: Vec<Result<(), StoreError>> =
        begins.iter().map(|begin| check_current(begin, rows.get(&begin.uid.uuid()))).collect();
    let going: Vec<&Begin> =
        begins.iter().zip(&current).filter(|(_, is)| is.is_ok()).map(|(begin, _)| begin).collect();
    let verdicts: Vec<&VerdictRow> = going.iter().flat_map(|begin| &begin.verdicts).collect();
    release::judge_all(tx, &verdicts).await?;
    let lines: Vec<&LinesRow> = going.iter().filter_map(|begin| begin.last_lines.as_ref()).collect();
    last_lines::keep_all(tx, &lines).await?;
    let news: Vec<&NewsRow> = going.iter().flat_map(|begin| &begin.runs).collect();
    run::note_all(tx, &news).await?;
    let releases: Vec<&NewRow> = going.iter().filter_map(|begin| begin.release.as_ref()).collect();
    release::record_all(tx, &releases).await?;
    let phases: Vec<&PhaseRow> = going.iter().filter_map(|begin| begin.phase.as_ref()).collect();
    run::begin_all(tx, &phases).await?;
    let schedules: Vec<&ScheduleRow> = going.iter().flat_map(|begin| &begin.schedules).collect();
    schedule::decide_all(tx, &schedules).await?;
    end_rollbacks(tx, &going).await?;
    hold(tx, &going).await?;
    // Of one plan it is told which object somebody else has; of several each is recorded again by itself.
    let apart = begins.len() == 1;
    let intents: Vec<&Intent> = going.iter().flat_map(|begin| &begin.intents).collect();
    inventory::intend_all(tx, &intents, apart).await?;
    let recorded = journal(tx, &going).await?;
    let record = |(begin, current): (&Begin, Result<(), StoreError>)| {
        current.map(|()| recorded.get(&begin.uid.uuid()).map(|id| PlanRecord { id: PlanId(*id) }))
    };
    Ok(begins.iter().zip(current).map(record).collect())
}

/// What of a resource's row a plan was made for.
struct Held {
    generation: i64,
    rollback: Option<Timestamp>,
}

/// Holds the resources' rows in the order that everyone keeps, so that they stay as they are.
async fn held(tx: &mut PgConnection, begins: &[Begin]) -> Result<HashMap<Uuid, Held>, Fault> {
    let uids: Vec<Uuid> = begins.iter().map(|begin| begin.uid.uuid()).collect();
    let rows = sqlx::query!(
        r#"SELECT uid, generation, rollback AS "rollback: Json<Rollback>" FROM resource
           WHERE uid = ANY($1) ORDER BY org, kind, name FOR NO KEY UPDATE"#,
        &uids
    );
    let held = |rollback: Option<Json<Rollback>>, generation| Held {
        generation,
        rollback: rollback.map(|rollback| rollback.0.since),
    };
    let rows = rows.fetch_all(tx).await?.into_iter();
    Ok(rows.map(|row| (row.uid, held(row.rollback, row.generation))).collect())
}

/// Fails if the resource is gone, if its spec has changed since the plan was made, or if what would be recorded is about another rollback.
fn check_current(begin: &Begin, held: Option<&Held>) -> Result<(), StoreError> {
    let held = held.ok_or(StoreError::ResourceGone { uid: begin.uid })?;
    let current = Generation::new(held.generation);
    if current != begin.generation {
        return Err(StoreError::PlanStale { key: begin.key.clone(), planned: begin.generation, current });
    }
    let about_rollback = begin.release.is_some() || begin.ends_rollback;
    if about_rollback && begin.rollback != held.rollback {
        return Err(StoreError::RollbackStale { key: begin.key.clone() });
    }
    Ok(())
}

/// Ends the rollbacks of environments whose manifests ask for something else by now.
async fn end_rollbacks(tx: &mut PgConnection, begins: &[&Begin]) -> Result<(), Fault> {
    let over = begins.iter().filter(|begin| begin.ends_rollback);
    let uids: Vec<Uuid> = over.map(|begin| begin.uid.uuid()).collect();
    if !uids.is_empty() {
        let ended = sqlx::query!("UPDATE resource SET rollback = NULL WHERE uid = ANY($1)", &uids);
        ended.execute(tx).await?;
    }
    Ok(())
}

/// Sees to it that rows stay while objects of them may exist (invariant I12). A row that was applied has its finalizer from
/// birth; one that was written by hand gets it here, before the first effect.
async fn hold(tx: &mut PgConnection, begins: &[&Begin]) -> Result<(), Fault> {
    let uids: Vec<Uuid> = begins.iter().filter(|begin| begin.creates).map(|begin| begin.uid.uuid()).collect();
    if uids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE resource SET finalizers = array_append(finalizers, $2)
         WHERE uid = ANY($1) AND NOT finalizers @> ARRAY[$2]",
        &uids,
        finalizer_word(Finalizer::Swarm)
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Records the plans that have steps, and the steps: the numbers of the plans by resource.
async fn journal(tx: &mut PgConnection, begins: &[&Begin]) -> Result<HashMap<Uuid, i64>, Fault> {
    let with_steps: Vec<&&Begin> = begins.iter().filter(|begin| !begin.steps.is_empty()).collect();
    if with_steps.is_empty() {
        return Ok(HashMap::new());
    }
    let uids: Vec<Uuid> = with_steps.iter().map(|begin| begin.uid.uuid()).collect();
    // One reconcile per key: whatever was under way before has ended, with or without telling.
    interrupted::close_those_of(tx, &uids).await?;
    let keys: Vec<String> = with_steps.iter().map(|begin| begin.key.to_string()).collect();
    let generations: Vec<i64> = with_steps.iter().map(|begin| begin.generation.get()).collect();
    let releases: Vec<Option<i32>> =
        with_steps.iter().map(|begin| begin.release.as_ref().map(|new| new.version)).collect();
    let leases: Vec<String> = with_steps.iter().map(|begin| begin.fence.name().to_owned()).collect();
    let epochs: Vec<i64> = with_steps.iter().map(|begin| begin.fence.epoch()).collect();
    let passes: Vec<Option<String>> =
        with_steps.iter().map(|begin| begin.fence.pass().map(str::to_owned)).collect();
    let plans = sqlx::query!(
        "INSERT INTO plan (uid, key, generation, release, lease, epoch, reconcile_id)
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::integer[], $5::text[], $6::bigint[], $7::text[])
         RETURNING id, uid",
        &uids,
        &keys,
        &generations,
        &releases as _,
        &leases,
        &epochs,
        &passes as _
    );
    let plans: HashMap<Uuid, i64> =
        plans.fetch_all(&mut *tx).await?.into_iter().map(|row| (row.uid, row.id)).collect();
    record_steps(tx, &with_steps, &plans).await?;
    Ok(plans)
}

async fn record_steps(
    tx: &mut PgConnection,
    begins: &[&&Begin],
    plans: &HashMap<Uuid, i64>,
) -> Result<(), Fault> {
    let mut columns = Columns::default();
    for begin in begins {
        // Every plan with steps was just given a number.
        let Some(plan) = plans.get(&begin.uid.uuid()) else { continue };
        let starting = usize::from(begin.starts().is_some());
        for (index, step) in begin.steps.iter().enumerate() {
            let state = if index < starting { StepState::Started } else { StepState::Planned };
            columns.plans.push(*plan);
            columns.indexes.push(super::column(PlanId(*plan), index)?);
            columns.owners.push(begin.uid.uuid());
            columns.kinds.push(step.kind.to_owned());
            columns.names.push(step.name.clone());
            columns.steps.push(step.step.clone());
            columns.states.push(state.as_str().to_owned());
            columns.sent.push(step.release.filter(|_| state == StepState::Started));
        }
    }
    let Columns { plans, indexes, owners, kinds, names, steps, states, sent } = columns;
    // What was sent before is kept in the step, for when the step turns out to have had no effect.
    sqlx::query!(
        "WITH new AS (
             SELECT * FROM unnest($1::bigint[], $2::integer[], $3::uuid[], $4::text[], $5::text[], $6::jsonb[], $7::text[], $8::integer[])
                 AS t (plan, index, owner, kind, name, step, state, sent)
         ), noted AS (
             UPDATE inventory i SET sent_release = new.sent FROM new
             WHERE new.sent IS NOT NULL AND (i.owner, i.kind, i.name) = (new.owner, new.kind, new.name)
         )
         INSERT INTO plan_step (plan, index, object_kind, object_name, step, state, started_at, prior_release)
         SELECT new.plan, new.index, new.kind, new.name, new.step, new.state,
                CASE new.state WHEN 'started' THEN now() END,
                CASE WHEN new.sent IS NOT NULL THEN before.sent_release END
         FROM new LEFT JOIN inventory before ON (before.owner, before.kind, before.name) = (new.owner, new.kind, new.name)",
        &plans,
        &indexes,
        &owners,
        &kinds,
        &names,
        &steps,
        &states,
        &sent as _
    )
    .execute(tx)
    .await?;
    Ok(())
}

#[derive(Default)]
struct Columns {
    plans: Vec<i64>,
    indexes: Vec<i32>,
    owners: Vec<Uuid>,
    kinds: Vec<String>,
    names: Vec<String>,
    steps: Vec<Value>,
    states: Vec<String>,
    sent: Vec<Option<i32>>,
}
