//! Deletion: a mark first, and the row goes when nothing of it is left in the Swarm.
//!
//! A resource without finalizers goes at once. Deleting an organisation marks everything in it in the same transaction; the
//! organisation's own row goes last, by [`Store::finalize`](crate::Store::finalize).

use skep_schemas::{Kind, Resource, ResourceKey, Revision, Uid};
use sqlx::PgConnection;

use crate::apply::Precondition;
use crate::audit::{self, Actor, Verb};
use crate::error::{Fault, Operation, StoreError};
use crate::row::{ResourceRow, org_column, resource_query};
use crate::store::Store;

/// What became of a resource that was to be deleted.
#[derive(Debug, Clone, PartialEq)]
pub enum Deletion {
    /// There was none.
    Absent,
    /// It is gone.
    Removed,
    /// It is marked, and goes when its finalizers are gone.
    Marked(Box<Resource>),
}

impl Store {
    /// Asks for the deletion of a resource. Asking again changes nothing.
    pub async fn delete(
        &self,
        key: &ResourceKey,
        precondition: Precondition,
        actor: &Actor,
    ) -> Result<Deletion, StoreError> {
        self.try_delete(key, precondition, actor).await.map_err(|fault| fault.during(Operation::Delete))
    }

    async fn try_delete(
        &self,
        key: &ResourceKey,
        precondition: Precondition,
        actor: &Actor,
    ) -> Result<Deletion, Fault> {
        let mut tx = self.pool().begin().await?;
        match mark(&mut tx, key, precondition, actor).await? {
            Mark::Absent => Ok(Deletion::Absent),
            Mark::There(row) => Ok(Deletion::Marked(Box::new(row.into_resource()?))),
            Mark::Removed => {
                tx.commit().await?;
                Ok(Deletion::Removed)
            }
            Mark::New(uid) => {
                tx.commit().await?;
                // Its revision is known only now. Gone already: the controller was quick.
                let row = resource_query!("WHERE r.uid = $1", uid.uuid()).fetch_optional(self.pool()).await?;
                row.map_or(Ok(Deletion::Removed), |row| Ok(Deletion::Marked(Box::new(row.into_resource()?))))
            }
        }
    }
}

/// What a transaction did about a deletion.
pub(crate) enum Mark {
    /// There is no such resource.
    Absent,
    /// It was marked before.
    There(Box<ResourceRow>),
    /// It is marked now.
    New(Uid),
    /// It had no reason to stay.
    Removed,
}

/// Marks a resource in the caller's transaction, or removes it if nothing holds it.
pub(crate) async fn mark(
    tx: &mut PgConnection,
    key: &ResourceKey,
    precondition: Precondition,
    actor: &Actor,
) -> Result<Mark, Fault> {
    let row = lock(tx, key).await?;
    precondition.check(key, row.as_ref().map(|row| Revision::new(row.revision)))?;
    let Some(row) = row else { return Ok(Mark::Absent) };
    if row.is_deleting() {
        return Ok(Mark::There(Box::new(row)));
    }
    audit::record(tx, actor, Verb::Delete, key, row.uid(), row.generation).await?;
    let waits_for_others =
        key.kind() == Kind::Organization && delete_contents(tx, key.name().as_str(), actor).await? > 0;
    if row.finalizers.is_empty() && !waits_for_others {
        sqlx::query!("DELETE FROM resource WHERE uid = $1", row.uid).execute(tx).await?;
        return Ok(Mark::Removed);
    }
    sqlx::query!("UPDATE resource SET deletion_requested_at = now() WHERE uid = $1", row.uid)
        .execute(tx)
        .await?;
    Ok(Mark::New(row.uid()))
}

async fn lock(tx: &mut PgConnection, key: &ResourceKey) -> Result<Option<ResourceRow>, Fault> {
    let row = resource_query!(
        "WHERE r.org = $1 AND r.kind = $2 AND r.name = $3 FOR UPDATE OF r",
        org_column(key.scope()),
        key.kind().as_str(),
        key.name().as_str()
    );
    Ok(row.fetch_optional(tx).await?)
}

/// Marks or removes everything in an organisation, whose row the caller has locked: nothing can be added meanwhile. How many
/// resources stay for now?
async fn delete_contents(tx: &mut PgConnection, org: &str, actor: &Actor) -> Result<i64, Fault> {
    // In the order in which everyone locks rows.
    sqlx::query!("SELECT uid FROM resource WHERE org = $1 ORDER BY org, kind, name FOR UPDATE", org)
        .fetch_all(&mut *tx)
        .await?;
    sqlx::query!(
        "INSERT INTO audit (actor, verb, uid, org, kind, name, generation)
         SELECT $2, 'delete', uid, org, kind, name, generation FROM resource
         WHERE org = $1 AND deletion_requested_at IS NULL ORDER BY kind, name",
        org,
        actor.as_str()
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!("DELETE FROM resource WHERE org = $1 AND cardinality(finalizers) = 0", org)
        .execute(&mut *tx)
        .await?;
    sqlx::query!(
        "UPDATE resource SET deletion_requested_at = now() WHERE org = $1 AND deletion_requested_at IS NULL",
        org
    )
    .execute(&mut *tx)
    .await?;
    let left = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM resource WHERE org = $1"#, org);
    Ok(left.fetch_one(tx).await?)
}
