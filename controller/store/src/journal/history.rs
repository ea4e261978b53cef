//! What was done for a resource lately: for people who want to know what happened, when, and how long it took.

use jiff::Timestamp;
use skep_planner::{Cost, ObjectKind, ObjectRef};
use skep_schemas::{Generation, Uid};

use super::{PlanId, StepState};
use crate::error::{Fault, Operation, StoreError};
use crate::scoped::ScopedStore;
use crate::time::Time;

/// The most plans that are told at once.
pub const PLANS_MAX: u32 = 100;

/// How a plan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanOutcome {
    /// It is under way.
    Open,
    /// Every step had its effect.
    Done,
    /// A step did not, and those after it were not tried.
    Stopped,
    /// The controller ended before the plan did.
    Interrupted,
}

impl PlanOutcome {
    fn from_column(word: Option<&str>) -> Option<Self> {
        match word {
            None => Some(Self::Open),
            Some("done") => Some(Self::Done),
            Some("stopped") => Some(Self::Stopped),
            Some("interrupted") => Some(Self::Interrupted),
            Some(_) => None,
        }
    }
}

/// A plan as it was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanHistory {
    /// The plan.
    pub id: PlanId,
    /// The pass that made it.
    pub reconcile_id: Option<String>,
    /// For which generation of the spec.
    pub generation: Generation,
    /// The release that it made.
    pub release: Option<u32>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// How it ended.
    pub outcome: PlanOutcome,
    /// Its steps, in order.
    pub steps: Vec<StepHistory>,
}

/// A step of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepHistory {
    /// On which object.
    pub object: ObjectRef,
    /// What was done, as the journal writes it: `createService`.
    pub op: String,
    /// Why.
    pub why: String,
    /// What it costs; none when it was written by a version that says it in another way.
    pub cost: Option<Cost>,
    /// How far it came.
    pub state: StepState,
    /// Why it did not succeed.
    pub problem: Option<String>,
    /// When its call was about to be made.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

impl ScopedStore {
    /// The latest plans for a resource, newest first.
    pub async fn plans(&self, uid: Uid, limit: u32) -> Result<Vec<PlanHistory>, StoreError> {
        self.try_plans(uid, limit.min(PLANS_MAX)).await.map_err(|fault| fault.during(Operation::Read))
    }

    async fn try_plans(&self, uid: Uid, limit: u32) -> Result<Vec<PlanHistory>, Fault> {
        let rows = sqlx::query!(
            r#"SELECT p.id, p.reconcile_id, p.generation, p.release, p.created_at AS "created_at: Time",
                      p.finished_at AS "plan_finished_at: Time", p.outcome, s.object_kind, s.object_name, s.state, s.why AS problem,
                      s.step->'op'->>'op' AS "op!", s.step->>'why' AS "why!", s.step->'cost' AS cost,
                      s.started_at AS "started_at: Time", s.finished_at AS "finished_at: Time"
               FROM (SELECT * FROM plan WHERE uid = $1 ORDER BY id DESC LIMIT $2) p
               JOIN plan_step s ON s.plan = p.id ORDER BY p.id DESC, s.index"#,
            uid.uuid(),
            i64::from(limit)
        )
        .fetch_all(&mut *self.reader().await?)
        .await?;
        let mut plans: Vec<PlanHistory> = Vec::new();
        for row in rows {
            let corrupt = |why: &str| StoreError::corrupt(format!("plan {}", row.id), why);
            let kind =
                ObjectKind::from_word(&row.object_kind).ok_or_else(|| corrupt("unknown object kind"))?;
            let step = StepHistory {
                object: ObjectRef::new(kind, row.object_name),
                op: row.op,
                why: row.why,
                cost: row.cost.and_then(|cost| serde_json::from_value(cost).ok()),
                state: StepState::from_word(&row.state).ok_or_else(|| corrupt("unknown state"))?,
                problem: row.problem,
                started_at: row.started_at.map(|at| at.0),
                finished_at: row.finished_at.map(|at| at.0),
            };
            match plans.last_mut() {
                Some(plan) if plan.id == PlanId(row.id) => plan.steps.push(step),
                _ => plans.push(PlanHistory {
                    id: PlanId(row.id),
                    reconcile_id: row.reconcile_id,
                    generation: Generation::new(row.generation),
                    release: row.release.and_then(|release| u32::try_from(release).ok()),
                    created_at: row.created_at.0,
                    finished_at: row.plan_finished_at.map(|at| at.0),
                    outcome: PlanOutcome::from_column(row.outcome.as_deref())
                        .ok_or_else(|| corrupt("unknown outcome"))?,
                    steps: vec![step],
                }),
            }
        }
        Ok(plans)
    }
}
