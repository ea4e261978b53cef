//! What was under way when the process ended: for people who want to know, not for the controller to continue.

use skep_planner::{ObjectKind, ObjectRef};
use skep_schemas::{Generation, ResourceKey, Uid};

use super::PlanId;
use crate::error::{Fault, Operation, StoreError};
use crate::row::key_of_text;
use crate::store::Store;

/// The most plans that are told: as many as can have been under way, and more.
const UNFINISHED_MAX: i64 = 1000;

/// A plan whose last step was never recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedPlan {
    /// The plan.
    pub id: PlanId,
    /// For which resource.
    pub uid: Uid,
    /// Its key.
    pub key: ResourceKey,
    /// For which generation of its spec.
    pub generation: Generation,
    /// The epoch of the lease under which it was made.
    pub epoch: i64,
    /// Its steps, in order.
    pub steps: Vec<UnfinishedStep>,
}

/// A step of such a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedStep {
    /// On which object.
    pub object: ObjectRef,
    /// The operation, as the journal writes it.
    pub op: String,
    /// How far it came.
    pub state: StepState,
}

macro_rules! states {
    ($($(#[$doc:meta])* $name:ident => $word:literal,)*) => {
        /// How far a step came.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum StepState {
            $($(#[$doc])* $name,)*
        }

        impl StepState {
            /// The word for it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            pub(super) fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$name),)* _ => None }
            }
        }
    };
}

states! {
    /// Its turn has not come.
    Planned => "planned",
    /// Its call was about to be made.
    Started => "started",
    /// It had its effect.
    Done => "done",
    /// The object had changed.
    Conflict => "conflict",
    /// It was refused.
    Failed => "failed",
    /// Nobody knows.
    Unknown => "unknown",
    /// It was not tried.
    Skipped => "skipped",
}

impl Store {
    /// Plans that were begun and never finished, oldest first.
    pub async fn journal_unfinished(&self) -> Result<Vec<UnfinishedPlan>, StoreError> {
        self.try_unfinished().await.map_err(|fault| fault.during(Operation::Read))
    }

    async fn try_unfinished(&self) -> Result<Vec<UnfinishedPlan>, Fault> {
        let rows = sqlx::query!(
            r#"SELECT p.id, p.uid, p.key, p.generation, p.epoch, s.object_kind, s.object_name, s.state,
                      s.step->'op'->>'op' AS "op!"
               FROM (SELECT * FROM plan WHERE finished_at IS NULL ORDER BY id LIMIT $1) p
               JOIN plan_step s ON s.plan = p.id ORDER BY p.id, s.index"#,
            UNFINISHED_MAX
        )
        .fetch_all(self.pool())
        .await?;
        let mut plans: Vec<UnfinishedPlan> = Vec::new();
        for row in rows {
            let corrupt = |why: &str| StoreError::corrupt(format!("plan {}", row.id), why);
            let kind =
                ObjectKind::from_word(&row.object_kind).ok_or_else(|| corrupt("unknown object kind"))?;
            let step = UnfinishedStep {
                object: ObjectRef::new(kind, row.object_name),
                op: row.op,
                state: StepState::from_word(&row.state).ok_or_else(|| corrupt("unknown state"))?,
            };
            match plans.last_mut() {
                Some(plan) if plan.id == PlanId(row.id) => plan.steps.push(step),
                _ => plans.push(UnfinishedPlan {
                    id: PlanId(row.id),
                    uid: Uid::from_uuid(row.uid),
                    key: key_of_text(&row.key).ok_or_else(|| corrupt("unknown resource key"))?,
                    generation: Generation::new(row.generation),
                    epoch: row.epoch,
                    steps: vec![step],
                }),
            }
        }
        Ok(plans)
    }
}
