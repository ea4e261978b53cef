//! Suspensions: the platform stops all that an organisation runs, and lets it go on.
//!
//! It is a column of its own in the organisation's row, which the role of tenants may not write: an organisation does not end its own.

use jiff::Timestamp;
use skep_schemas::{Kind, ResourceKey, Stopped};
use sqlx::types::Json;

use crate::audit::{self, Actor, Subject, Verb};
use crate::error::{Fault, Operation, StoreError};
use crate::row::resource_query;
use crate::scoped::ScopedStore;

impl ScopedStore {
    /// Suspends an organisation, for a reason if one is given. One that is suspended stays so by whoever did it first.
    pub async fn suspend(
        &self,
        key: &ResourceKey,
        reason: Option<String>,
        actor: &Actor,
    ) -> Result<Stopped, StoreError> {
        let stop = Stopped { by: actor.as_str().to_owned(), since: Timestamp::now(), reason };
        let suspended = self.try_suspend(key, Some(&stop), actor).await;
        let standing = suspended.map_err(|fault| fault.during(Operation::Suspend))?;
        Ok(standing.unwrap_or(stop))
    }

    /// Lets an organisation go on. Answers the suspension that stood, if one did.
    pub async fn end_suspension(
        &self,
        key: &ResourceKey,
        actor: &Actor,
    ) -> Result<Option<Stopped>, StoreError> {
        self.try_suspend(key, None, actor).await.map_err(|fault| fault.during(Operation::Suspend))
    }

    /// Answers what stood before.
    async fn try_suspend(
        &self,
        key: &ResourceKey,
        stop: Option<&Stopped>,
        actor: &Actor,
    ) -> Result<Option<Stopped>, Fault> {
        let not_found = || StoreError::NotFound { key: key.clone() };
        if key.kind() != Kind::Organization {
            return Err(not_found().into());
        }
        let mut tx = self.begin().await?;
        let row = resource_query!(
            "WHERE r.org = '' AND r.kind = 'Organization' AND r.name = $1 FOR NO KEY UPDATE OF r",
            key.name().as_str()
        );
        let row = row.fetch_optional(&mut *tx).await?.ok_or_else(not_found)?;
        if row.is_deleting() {
            return Err(StoreError::Deleting { key: key.clone() }.into());
        }
        let standing = row.suspension.as_ref().map(|standing| standing.0.clone());
        if standing.is_some() == stop.is_some() {
            return Ok(standing);
        }
        sqlx::query!("UPDATE resource SET suspension = $2 WHERE uid = $1", row.uid, stop.map(Json) as _)
            .execute(&mut *tx)
            .await?;
        let verb = if stop.is_some() { Verb::Suspend } else { Verb::EndSuspension };
        audit::record(&mut tx, actor, verb, &Subject::unchanged(key, row.uid(), row.generation)).await?;
        tx.commit().await?;
        Ok(standing)
    }
}
