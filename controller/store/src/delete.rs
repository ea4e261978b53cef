//! Deletion: a mark first, and the row goes when nothing of it is left in the Swarm.
//!
//! A resource without finalizers goes at once. Several deletions are one transaction, so that the brake (`skep_planner::safety`)
//! sees all of them before the first is carried out. Deleting an organisation marks everything in it in the same transaction; the
//! organisation's own row goes last, by [`Store::finalize`](crate::Store::finalize).

use skep_schemas::{Kind, Owner, Resource, ResourceKey, Revision, Uid};
use sqlx::PgConnection;

use crate::apply::{APPLY_MAX, Precondition};
use crate::audit::{self, Actor, Subject, Verb};
use crate::error::{Fault, Operation, StoreError};
use crate::ownership::{self, Tried};
use crate::row::{ResourceRow, org_column, resource_query};
use crate::safety::{Confirmation, confirm_all_of};
use crate::scoped::ScopedStore;

/// One resource that is to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteItem {
    /// Which.
    pub key: ResourceKey,
    /// What must be so for it to be deleted.
    pub precondition: Precondition,
    /// Is it meant, however much goes with it?
    pub confirmation: Confirmation,
    /// In whose name: nobody deletes what another one owns.
    pub deleter: Owner,
}

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

impl ScopedStore {
    /// Asks for the deletion of a resource. Asking again changes nothing.
    pub async fn delete(
        &self,
        key: &ResourceKey,
        precondition: Precondition,
        actor: &Actor,
    ) -> Result<Deletion, StoreError> {
        let confirmation = Confirmation::Pending;
        let item = DeleteItem { key: key.clone(), precondition, confirmation, deleter: Owner::Api };
        let mut deletions = self.delete_all(&[item], actor).await?;
        Ok(deletions.pop().unwrap_or(Deletion::Absent))
    }

    /// Asks for several deletions, all of them or none. What became of each is told in the order of the items.
    pub async fn delete_all(&self, items: &[DeleteItem], actor: &Actor) -> Result<Vec<Deletion>, StoreError> {
        if items.len() > APPLY_MAX {
            return Err(StoreError::TooMany { what: "deletions", found: items.len(), limit: APPLY_MAX });
        }
        self.try_delete_all(items, actor).await.map_err(|fault| fault.during(Operation::Delete))
    }

    async fn try_delete_all(&self, items: &[DeleteItem], actor: &Actor) -> Result<Vec<Deletion>, Fault> {
        let mut tx = self.begin().await?;
        lock_all(&mut tx, items).await?;
        let mut marks = Vec::with_capacity(items.len());
        for item in items {
            marks.push(mark(&mut tx, item, actor).await?);
        }
        tx.commit().await?;
        let mut deletions = Vec::with_capacity(marks.len());
        for mark in marks {
            deletions.push(match mark {
                Mark::Absent => Deletion::Absent,
                Mark::Removed => Deletion::Removed,
                Mark::There(row) => Deletion::Marked(Box::new(row.into_resource()?)),
                Mark::New(uid) => {
                    // Its revision is known only now. Gone already: the controller was quick.
                    let row = resource_query!("WHERE r.uid = $1", uid.uuid());
                    match row.fetch_optional(&mut *self.reader().await?).await? {
                        None => Deletion::Removed,
                        Some(row) => Deletion::Marked(Box::new(row.into_resource()?)),
                    }
                }
            });
        }
        Ok(deletions)
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
pub(crate) async fn mark(tx: &mut PgConnection, item: &DeleteItem, actor: &Actor) -> Result<Mark, Fault> {
    let DeleteItem { key, precondition, confirmation, deleter } = item;
    let row = lock(tx, key).await?;
    precondition.check(key, row.as_ref().map(|row| Revision::new(row.revision)))?;
    let Some(row) = row else { return Ok(Mark::Absent) };
    if !row.is_deleting() {
        check_owners(tx, key, &row, deleter).await?;
    }
    if *confirmation == Confirmation::Given {
        confirm(tx, key, row.uid(), actor).await?;
    }
    if row.is_deleting() {
        return Ok(Mark::There(Box::new(row)));
    }
    let subject =
        Subject { key, uid: row.uid(), generation: row.generation, before: Some(&row.spec), after: None };
    audit::record(tx, actor, Verb::Delete, &subject).await?;
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

/// Does a resource, with everything that goes with it, belong to whoever deletes it? Locks what goes with it.
async fn check_owners(
    tx: &mut PgConnection,
    key: &ResourceKey,
    row: &ResourceRow,
    deleter: &Owner,
) -> Result<(), Fault> {
    if row.managed_by.0 != *deleter {
        let tried = Tried::Delete(deleter.clone());
        return Err(ownership::refusal(tx, key, row, tried).await?.into());
    }
    if key.kind() == Kind::Organization {
        lock_contents(tx, key.name().as_str()).await?;
        ownership::check_contents(tx, key, deleter).await?;
    }
    Ok(())
}

/// Takes all rows of a batch in the order in which everyone locks rows.
async fn lock_all(tx: &mut PgConnection, items: &[DeleteItem]) -> Result<(), Fault> {
    let column = |of: fn(&ResourceKey) -> &str| items.iter().map(|item| of(&item.key).to_owned()).collect();
    let orgs: Vec<String> = column(|key| org_column(key.scope()));
    let kinds: Vec<String> = column(|key| key.kind().as_str());
    let names: Vec<String> = column(|key| key.name().as_str());
    sqlx::query!(
        "SELECT uid FROM resource
         WHERE (org, kind, name) IN (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]))
         ORDER BY org, kind, name FOR UPDATE",
        &orgs,
        &kinds,
        &names
    )
    .fetch_all(tx)
    .await?;
    Ok(())
}

/// Notes that a deletion is meant, with everything that goes with it.
async fn confirm(tx: &mut PgConnection, key: &ResourceKey, uid: Uid, actor: &Actor) -> Result<(), Fault> {
    confirm_all_of(tx, uid, actor).await?;
    if key.kind() != Kind::Organization {
        return Ok(());
    }
    let contents = sqlx::query_scalar!("SELECT uid FROM resource WHERE org = $1", key.name().as_str());
    for uid in contents.fetch_all(&mut *tx).await? {
        confirm_all_of(tx, Uid::from_uuid(uid), actor).await?;
    }
    Ok(())
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

/// Locks everything in an organisation, whose row the caller has locked: nothing can be added meanwhile.
async fn lock_contents(tx: &mut PgConnection, org: &str) -> Result<(), Fault> {
    // In the order in which everyone locks rows.
    sqlx::query!("SELECT uid FROM resource WHERE org = $1 ORDER BY org, kind, name FOR UPDATE", org)
        .fetch_all(&mut *tx)
        .await?;
    Ok(())
}

/// Marks or removes everything in an organisation, all of which the caller has locked. How many resources stay for now?
async fn delete_contents(tx: &mut PgConnection, org: &str, actor: &Actor) -> Result<i64, Fault> {
    sqlx::query!(
        "INSERT INTO audit (actor, acting_as, peer, request_id, verb, uid, org, kind, name, generation, before)
         SELECT $2, $3, $4, $5, 'delete', uid, org, kind, name, generation, spec_digest(spec) FROM resource
         WHERE org = $1 AND deletion_requested_at IS NULL ORDER BY kind, name",
        org,
        actor.as_str(),
        actor.acting_as(),
        actor.peer().map(|peer| peer.to_string()),
        actor.request_id()
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
