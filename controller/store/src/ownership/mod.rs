//! Ownership: one writer for each resource, whom nobody else overwrites.
//!
//! ```text
//! apply, delete ── is it theirs? ── yes ──> written; by a source: with its place (provenance)
//!                        └── no: SK0305, with whose it is, where it is written, and the ways out
//! set_owner, Writer::TakeOver ── a word of somebody who may write it ──> another owner
//! ```
//!
//! Whoever applies what is stored already changes nothing, and is in nobody's way. Interventions are no writes of the spec: they are columns of their
//! own, and anybody's. A change of owner changes neither spec nor generation; it is told in the audit and as an event, in the same transaction.
//!
//! The owner is a column of the resource's row (`managed_by`), read and written under that row's lock, so of two who write at once one is first and the
//! other meets an owner.

mod error;

use std::num::NonZeroU32;

use skep_schemas::{Owner, Provenance, ResourceKey, SourceRef, Uid};
use sqlx::PgConnection;
use sqlx::types::Json;

pub use self::error::{OwnershipError, Theirs, Tried};
use crate::audit::{self, Actor, Subject, Verb};
use crate::error::{Fault, Operation, StoreError};
use crate::event::{self, NewEvent, Severity};
use crate::row::{ResourceRow, org_column, resource_query};
use crate::scoped::ScopedStore;

/// In whose name a manifest is written, and so who owns the resource from then on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Writer {
    /// People and programs, through the API.
    #[default]
    Api,
    /// The same, and whoever owns the resource gives it up.
    TakeOver,
    /// A Git source.
    Git {
        /// Which.
        source: SourceRef,
        /// Where the manifest is written.
        provenance: Provenance,
    },
}

impl Writer {
    /// Whose the resource is once it is written.
    pub fn owner(&self) -> Owner {
        match self {
            Self::Api | Self::TakeOver => Owner::Api,
            Self::Git { source, .. } => Owner::Git { source: source.clone() },
        }
    }
}

/// Who owns a resource, and where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ownership {
    /// Who.
    pub owner: Owner,
    /// Where; none for what the API owns, and for what a source has not written yet.
    pub provenance: Option<Provenance>,
}

impl ScopedStore {
    /// Who owns a resource.
    pub async fn ownership(&self, key: &ResourceKey) -> Result<Ownership, StoreError> {
        let found = async { find(&mut *self.reader().await?, key).await };
        found.await.map_err(|fault| fault.during(Operation::Read))
    }

    /// Gives a resource another owner, on the word of whoever may write it. The same owner again changes nothing.
    pub async fn set_owner(
        &self,
        key: &ResourceKey,
        owner: &Owner,
        actor: &Actor,
    ) -> Result<Ownership, StoreError> {
        self.try_set_owner(key, owner, actor).await.map_err(|fault| fault.during(Operation::SetOwner))
    }

    async fn try_set_owner(
        &self,
        key: &ResourceKey,
        owner: &Owner,
        actor: &Actor,
    ) -> Result<Ownership, Fault> {
        check_reach(key, owner)?;
        let mut tx = self.begin().await?;
        let row = resource_query!(
            "WHERE r.org = $1 AND r.kind = $2 AND r.name = $3 FOR NO KEY UPDATE OF r",
            org_column(key.scope()),
            key.kind().as_str(),
            key.name().as_str()
        );
        let row = row.fetch_optional(&mut *tx).await?;
        let row = row.ok_or_else(|| StoreError::NotFound { key: key.clone() })?;
        if row.is_deleting() {
            return Err(StoreError::Deleting { key: key.clone() }.into());
        }
        if row.managed_by.0 == *owner {
            return find(&mut tx, key).await;
        }
        hand_over(&mut tx, key, &row, owner, actor).await?;
        tx.commit().await?;
        Ok(Ownership { owner: owner.clone(), provenance: None })
    }
}

/// Gives a locked row another owner, and tells so. Where it was written is not where it is written from now on.
pub(crate) async fn hand_over(
    tx: &mut PgConnection,
    key: &ResourceKey,
    row: &ResourceRow,
    owner: &Owner,
    actor: &Actor,
) -> Result<(), Fault> {
    sqlx::query!("UPDATE resource SET managed_by = $2 WHERE uid = $1", row.uid, Json(owner) as _)
        .execute(&mut *tx)
        .await?;
    sqlx::query!("DELETE FROM provenance WHERE uid = $1", row.uid).execute(&mut *tx).await?;
    audit::record(tx, actor, Verb::SetOwner, &Subject::unchanged(key, row.uid(), row.generation)).await?;
    let message = format!("{} gave it from {} to {owner}", actor.as_str(), row.managed_by.0);
    let event =
        NewEvent { severity: Severity::Normal, reason: "OwnerChanged".to_owned(), message, notice: None };
    event::record_all(tx, &[(row.uid(), None, &event)]).await
}

/// Can a resource be its at all?
pub(crate) fn check_reach(key: &ResourceKey, owner: &Owner) -> Result<(), StoreError> {
    if owner.may_own(key) {
        return Ok(());
    }
    Err(OwnershipError::OutOfReach { key: key.clone(), owner: owner.clone() }.into())
}

/// Why somebody cannot do this to what is another's: with where it is written.
pub(crate) async fn refusal(
    tx: &mut PgConnection,
    key: &ResourceKey,
    row: &ResourceRow,
    tried: Tried,
) -> Result<StoreError, Fault> {
    let theirs =
        Theirs { key: key.clone(), owner: row.managed_by.0.clone(), provenance: place(tx, row.uid()).await? };
    Ok(OwnershipError::Elsewhere { theirs, tried }.into())
}

/// A source's resource, where it is written, and whether the document is another than was stored.
pub(crate) struct Stamp<'a> {
    pub(crate) uid: Uid,
    pub(crate) provenance: &'a Provenance,
    pub(crate) changed: bool,
}

/// Notes where resources are written. What stands where it stood, and says what it said, is left as it is: the same sync again writes nothing.
pub(crate) async fn stamp(tx: &mut PgConnection, stamps: &[Stamp<'_>]) -> Result<(), Fault> {
    if stamps.is_empty() {
        return Ok(());
    }
    let uids: Vec<_> = stamps.iter().map(|stamp| stamp.uid.uuid()).collect();
    let commits: Vec<String> = stamps.iter().map(|stamp| stamp.provenance.commit.to_string()).collect();
    let paths: Vec<String> = stamps.iter().map(|stamp| stamp.provenance.path.to_string()).collect();
    let lines: Vec<i64> = stamps.iter().map(|stamp| i64::from(stamp.provenance.line.get())).collect();
    let changed: Vec<bool> = stamps.iter().map(|stamp| stamp.changed).collect();
    sqlx::query!(
        r#"INSERT INTO provenance AS p (uid, commit, path, line)
           SELECT t.uid, t.commit, t.path, t.line
           FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::boolean[]) AS t (uid, commit, path, line, changed)
           WHERE t.changed OR NOT EXISTS (
               SELECT FROM provenance was WHERE (was.uid, was.path, was.line) = (t.uid, t.path, t.line))
           ON CONFLICT (uid) DO UPDATE SET commit = excluded.commit, path = excluded.path, line = excluded.line"#,
        &uids,
        &commits,
        &paths,
        &lines,
        &changed
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// What a deletion would take along of others, in an organisation whose rows the caller has locked. The API takes along what the organisation's own
/// sources own: they go with it, and nobody is left to maintain that. A Git source takes along what is its own.
pub(crate) async fn check_contents(
    tx: &mut PgConnection,
    organization: &ResourceKey,
    deleter: &Owner,
) -> Result<(), Fault> {
    /// The most resources that are named.
    const NAMED_MAX: i64 = 5;
    let others = sqlx::query!(
        r#"SELECT r.kind, r.name, r.managed_by AS "managed_by: Json<Owner>", p.commit AS "commit?", p.path AS "path?", p.line AS "line?",
                  count(*) OVER () AS "count!"
           FROM resource r LEFT JOIN provenance p ON p.uid = r.uid
           WHERE r.org = $1 AND r.deletion_requested_at IS NULL AND r.managed_by <> $2
             AND NOT ($3 AND coalesce(r.managed_by->'source'->>'org' = $1, false))
           ORDER BY r.kind, r.name LIMIT $4"#,
        organization.name().as_str(),
        Json(deleter) as _,
        *deleter == Owner::Api,
        NAMED_MAX
    );
    let others = others.fetch_all(tx).await?;
    let Some(count) = others.first().map(|first| first.count) else { return Ok(()) };
    let mut named = Vec::with_capacity(others.len());
    for row in others {
        let key = crate::row::key_of_columns(organization.name().as_str(), &row.kind, &row.name)?;
        let place = PlaceRow { commit: row.commit, path: row.path, line: row.line };
        let provenance = place.read(&key)?;
        named.push(Theirs { owner: row.managed_by.0, provenance, key });
    }
    let (key, deleter) = (organization.clone(), deleter.clone());
    Err(OwnershipError::Below { key, deleter, named, count }.into())
}

async fn find(connection: &mut PgConnection, key: &ResourceKey) -> Result<Ownership, Fault> {
    let row = sqlx::query!(
        r#"SELECT r.managed_by AS "managed_by: Json<Owner>", p.commit AS "commit?", p.path AS "path?", p.line AS "line?"
           FROM resource r LEFT JOIN provenance p ON p.uid = r.uid WHERE r.org = $1 AND r.kind = $2 AND r.name = $3"#,
        org_column(key.scope()),
        key.kind().as_str(),
        key.name().as_str()
    );
    let row = row.fetch_optional(connection).await?;
    let row = row.ok_or_else(|| StoreError::NotFound { key: key.clone() })?;
    let place = PlaceRow { commit: row.commit, path: row.path, line: row.line };
    Ok(Ownership { owner: row.managed_by.0, provenance: place.read(key)? })
}

async fn place(connection: &mut PgConnection, uid: Uid) -> Result<Option<Provenance>, Fault> {
    let row = sqlx::query_as!(
        PlaceRow,
        r#"SELECT commit AS "commit?", path AS "path?", line AS "line?" FROM provenance WHERE uid = $1"#,
        uid.uuid()
    );
    let row = row.fetch_optional(connection).await?;
    Ok(row.map(|row| row.read(&uid)).transpose()?.flatten())
}

/// A row of `provenance`, if there is one.
struct PlaceRow {
    commit: Option<String>,
    path: Option<String>,
    line: Option<i64>,
}

impl PlaceRow {
    fn read(self, of: &dyn std::fmt::Display) -> Result<Option<Provenance>, StoreError> {
        let (Some(commit), Some(path), Some(line)) = (self.commit, self.path, self.line) else {
            return Ok(None);
        };
        let corrupt = |why: &dyn std::fmt::Display| StoreError::corrupt(format!("provenance of {of}"), why);
        let line = u32::try_from(line).ok().and_then(NonZeroU32::new);
        Ok(Some(Provenance {
            commit: commit.parse().map_err(|why| corrupt(&why))?,
            path: path.parse().map_err(|why| corrupt(&why))?,
            line: line.ok_or_else(|| corrupt(&"there is no such line"))?,
        }))
    }
}
