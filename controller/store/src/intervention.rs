//! Interventions: what people ask of the loop about one resource without changing what they want of it: pause, resume, try again.

use jiff::Timestamp;
use skep_schemas::{Pause, ResourceKey, Uid};
use sqlx::types::Json;

use crate::audit::{self, Actor, Subject, Verb};
use crate::error::{Fault, Operation, StoreError};
use crate::row::org_column;
use crate::scoped::ScopedStore;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intervention {
    /// Change nothing, for this reason, until then.
    Pause {
        /// Why.
        reason: String,
        /// When it ends by itself.
        until: Option<Timestamp>,
    },
    /// Go on.
    Resume,
    /// Try again what was given up: a failed release, a field that was fought over.
    Retry,
}

impl ScopedStore {
    /// Records an intervention; whoever follows the changes is woken.
    pub async fn intervene(
        &self,
        key: &ResourceKey,
        intervention: &Intervention,
        actor: &Actor,
    ) -> Result<(), StoreError> {
        self.try_intervene(key, intervention, actor).await.map_err(|fault| fault.during(Operation::Intervene))
    }

    async fn try_intervene(
        &self,
        key: &ResourceKey,
        intervention: &Intervention,
        actor: &Actor,
    ) -> Result<(), Fault> {
        let mut tx = self.begin().await?;
        let row = sqlx::query!(
            "SELECT uid, generation FROM resource WHERE org = $1 AND kind = $2 AND name = $3 FOR NO KEY UPDATE",
            org_column(key.scope()),
            key.kind().as_str(),
            key.name().as_str()
        );
        let row = row.fetch_optional(&mut *tx).await?;
        let row = row.ok_or_else(|| StoreError::NotFound { key: key.clone() })?;
        let verb = match intervention {
            Intervention::Pause { reason, until } => {
                let pause = Pause {
                    reason: reason.clone(),
                    by: actor.as_str().to_owned(),
                    since: Timestamp::now(),
                    until: *until,
                };
                let set =
                    sqlx::query!("UPDATE resource SET pause = $2 WHERE uid = $1", row.uid, Json(&pause) as _);
                set.execute(&mut *tx).await?;
                Verb::Pause
            }
            Intervention::Resume => {
                sqlx::query!("UPDATE resource SET pause = NULL WHERE uid = $1", row.uid)
                    .execute(&mut *tx)
                    .await?;
                Verb::Resume
            }
            Intervention::Retry => {
                sqlx::query!("UPDATE resource SET retried_at = clock_timestamp() WHERE uid = $1", row.uid)
                    .execute(&mut *tx)
                    .await?;
                // What was given up counts as new from here on.
                sqlx::query!(
                    "UPDATE drift SET ended_at = clock_timestamp(), outcome = 'ended'
                     WHERE owner = $1 AND ended_at IS NULL AND response = 'give-up'",
                    row.uid
                )
                .execute(&mut *tx)
                .await?;
                Verb::Retry
            }
        };
        let subject = Subject::unchanged(key, Uid::from_uuid(row.uid), row.generation);
        audit::record(&mut tx, actor, verb, &subject).await?;
        tx.commit().await?;
        Ok(())
    }
}
