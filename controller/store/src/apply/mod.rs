//! Apply: manifests become desired state, a whole batch in one transaction.
//!
//! Locks are taken in the same order by everyone, so that batches in opposite orders wait for each other instead of
//! deadlocking: organisations by name, then existing rows by key ([`lock`]), then new rows by key, then hosts by name
//! ([`claim`]), and last, by the commit itself, the revision counter. Whether an organisation may have so much is decided in [`crate::quota`],
//! what a batch does to one resource in [`write`]; values of secrets are sealed in [`crate::secret`].
//!
//! An item that changes nothing writes nothing, whoever owns the resource; another is refused unless it is its writer's ([`crate::ownership`]).
//! Optimistic writers name the revision that they have read.

mod claim;
mod lock;
mod registry;
mod write;

use std::collections::BTreeSet;

use skep_schemas::{Manifest, Owner, Resource, ResourceKey, Revision};
use sqlx::PgConnection;

use crate::audit::Actor;
use crate::delete::{self, DeleteItem};
use crate::error::{Fault, Operation, StoreError, must_run_again};
use crate::generate::Occasion;
use crate::ownership::{self, Stamp, Writer};
use crate::row::{ResourceRow, resource_query};
use crate::safety::Confirmation;
use crate::scoped::ScopedStore;
use crate::snapshot::Snapshot;
use crate::{gate, policy, quota};
use lock::Locked;
pub(crate) use lock::lock_org;

/// The most items of one batch: all of them are locked at once.
pub const APPLY_MAX: usize = 1000;

/// Another writer may create the same resource between our look and our write, or change what a rehearsal looks at. Each
/// attempt loses only if that happens again, so more than a few means something else is wrong.
const ATTEMPTS: u32 = 5;

/// What must hold for a write to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precondition {
    /// Nothing.
    #[default]
    None,
    /// The resource does not exist.
    MustNotExist,
    /// The resource is at this revision.
    Revision(Revision),
}

impl Precondition {
    /// Does it hold for what is stored?
    pub(crate) fn check(self, key: &ResourceKey, found: Option<Revision>) -> Result<(), StoreError> {
        match (self, found) {
            (Self::None, _) | (Self::MustNotExist, None) => Ok(()),
            (Self::MustNotExist, Some(_)) => Err(StoreError::AlreadyExists { key: key.clone() }),
            (Self::Revision(expected), found) if found == Some(expected) => Ok(()),
            (Self::Revision(expected), found) => {
                Err(StoreError::RevisionConflict { key: key.clone(), expected, found })
            }
        }
    }
}

/// One manifest to apply.
#[derive(Debug, Clone, PartialEq)]
pub struct ApplyItem {
    /// What is wanted.
    pub manifest: Manifest,
    /// What must hold.
    pub precondition: Precondition,
    /// In whose name.
    pub writer: Writer,
}

/// What an apply did to one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It is new.
    Created,
    /// It changed.
    Configured,
    /// It was so already.
    Unchanged,
}

/// One resource after an apply.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// As stored; never with a secret's value.
    pub resource: Resource,
    /// What happened to it.
    pub outcome: Outcome,
}

impl ScopedStore {
    /// Applies a batch. The answers are in the order of the items.
    pub async fn apply(&self, items: &[ApplyItem], actor: &Actor) -> Result<Vec<Applied>, StoreError> {
        let order = in_key_order(items)?;
        for _ in 0..ATTEMPTS {
            match self.try_apply(items, &order, actor).await {
                Ok(applied) => return Ok(applied),
                Err(failure) => failure.lost_a_race()?,
            }
        }
        Err(StoreError::Raced)
    }

    async fn try_apply(
        &self,
        items: &[ApplyItem],
        order: &[usize],
        actor: &Actor,
    ) -> Result<Vec<Applied>, Failure> {
        let mut tx = self.begin().await?;
        let mut applied = self.write_batch(&mut tx, items, order, actor, Occasion::Write).await?;
        let stamped = unstamped(&mut tx).await?;
        tx.commit().await?;
        if let Some(seq) = stamped {
            let revision = self.stamp(seq).await?;
            for changed in applied.iter_mut().filter(|one| one.outcome != Outcome::Unchanged) {
                changed.resource.meta.revision = revision;
            }
        }
        Ok(applied)
    }

    /// Tells what [`ScopedStore::apply`] would answer now, errors included, and changes nothing. New resources have revision 0.
    pub async fn dry_run(&self, items: &[ApplyItem], actor: &Actor) -> Result<Vec<Applied>, StoreError> {
        let order = in_key_order(items)?;
        for _ in 0..ATTEMPTS {
            match self.try_dry_run(items, &order, actor).await {
                Ok(applied) => return Ok(applied),
                Err(failure) => failure.lost_a_race()?,
            }
        }
        Err(StoreError::Raced)
    }

    async fn try_dry_run(
        &self,
        items: &[ApplyItem],
        order: &[usize],
        actor: &Actor,
    ) -> Result<Vec<Applied>, Failure> {
        let mut tx = self.begin().await?;
        let applied = self.write_batch(&mut tx, items, order, actor, Occasion::Rehearsal).await?;
        tx.rollback().await?;
        Ok(applied)
    }

    /// Applies a batch and asks for deletions in a transaction that never commits, and opens a view from inside of it: what
    /// the store would be. Deletions of what does not exist are ignored. Read what is needed and discard the view: until
    /// then, writers of the same resources wait.
    pub async fn rehearse(
        &self,
        items: &[ApplyItem],
        deletions: &[ResourceKey],
        actor: &Actor,
    ) -> Result<(Vec<Applied>, Snapshot), StoreError> {
        let order = in_key_order(items)?;
        if deletions.len() > APPLY_MAX {
            return Err(StoreError::TooMany { what: "deletions", found: deletions.len(), limit: APPLY_MAX });
        }
        for _ in 0..ATTEMPTS {
            match self.try_rehearse(items, &order, deletions, actor).await {
                Ok(rehearsed) => return Ok(rehearsed),
                Err(failure) => failure.lost_a_race()?,
            }
        }
        Err(StoreError::Raced)
    }

    async fn try_rehearse(
        &self,
        items: &[ApplyItem],
        order: &[usize],
        deletions: &[ResourceKey],
        actor: &Actor,
    ) -> Result<(Vec<Applied>, Snapshot), Failure> {
        let mut tx = self.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
        let applied = self.write_batch(&mut tx, items, order, actor, Occasion::Rehearsal).await?;
        for key in deletions {
            let item = DeleteItem {
                key: key.clone(),
                precondition: Precondition::None,
                confirmation: Confirmation::Pending,
                deleter: Owner::Api,
            };
            delete::mark(&mut tx, &item, actor).await?;
        }
        Ok((applied, Snapshot::of(tx).await?))
    }

    async fn write_batch(
        &self,
        tx: &mut PgConnection,
        items: &[ApplyItem],
        order: &[usize],
        actor: &Actor,
        occasion: Occasion,
    ) -> Result<Vec<Applied>, Failure> {
        let limited = quota::limited(tx, items).await?;
        let mut locked = Locked::take(tx, items, &limited, self.master_keys()).await?;
        for org in &limited {
            quota::check(tx, org, items).await?;
        }
        gate::check(tx, items, |key| locked.spec(key)).await?;
        policy::check(tx, items, |key| locked.spec(key)).await?;
        let mut written = Vec::with_capacity(items.len());
        let mut stamps = Vec::new();
        let mut claims = claim::Claims::default();
        for &index in order {
            let Some(item) = items.get(index) else { continue };
            let write = write::Write { item, actor, master_keys: self.master_keys(), occasion };
            let done = write.run(tx, &mut locked, &mut claims).await?;
            if let Writer::Git { provenance, .. } = &item.writer
                && done.is_theirs
            {
                let changed = done.outcome != Outcome::Unchanged;
                stamps.push(Stamp { uid: done.uid, provenance, changed });
            }
            written.push((index, done));
        }
        claims.settle(tx).await?;
        ownership::stamp(tx, &stamps).await?;
        Ok(read_back(tx, written).await?)
    }

    /// The revision that the commit gave to a transaction, by one row that it logged.
    async fn stamp(&self, seq: i64) -> Result<Revision, Fault> {
        let revision =
            sqlx::query_scalar!(r#"SELECT revision AS "revision!" FROM change_log WHERE seq = $1"#, seq);
        Ok(Revision::new(revision.fetch_one(&mut *self.reader().await?).await?))
    }
}

/// Why an attempt ended without a result.
enum Failure {
    /// Someone else created a resource that was to be created here.
    Raced,
    Fault(Fault),
}

impl Failure {
    /// Is the whole transaction worth running again, because it lost against another that writes the same?
    fn lost_a_race(self) -> Result<(), StoreError> {
        match self {
            Self::Raced => Ok(()),
            Self::Fault(Fault::Sql(error)) if must_run_again(&error) => Ok(()),
            Self::Fault(fault) => Err(fault.during(Operation::Apply)),
        }
    }
}

impl<E: Into<Fault>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

/// The items' indices in the order of their keys, in which they are written.
fn in_key_order(items: &[ApplyItem]) -> Result<Vec<usize>, StoreError> {
    if items.len() > APPLY_MAX {
        return Err(StoreError::TooMany { what: "manifests", found: items.len(), limit: APPLY_MAX });
    }
    let mut seen = BTreeSet::new();
    for item in items {
        if !seen.insert(&item.manifest.key) {
            return Err(StoreError::DuplicateKey { key: item.manifest.key.clone() });
        }
    }
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|&index| items.get(index).map(|item| &item.manifest.key));
    Ok(order)
}

/// A row that this transaction logged and that its commit will stamp; none when it changed nothing.
async fn unstamped(tx: &mut PgConnection) -> Result<Option<i64>, Fault> {
    let seq = sqlx::query_scalar!("SELECT max(seq) FROM change_log WHERE revision IS NULL");
    Ok(seq.fetch_one(tx).await?)
}

/// The written resources as they are now, in the order of the items.
async fn read_back(
    tx: &mut PgConnection,
    mut outcomes: Vec<(usize, write::Written)>,
) -> Result<Vec<Applied>, Fault> {
    let uids: Vec<_> = outcomes.iter().map(|(_, written)| written.uid.uuid()).collect();
    let rows = resource_query!("WHERE r.uid = ANY($1)", &uids).fetch_all(tx).await?;
    let mut rows: std::collections::HashMap<_, ResourceRow> =
        rows.into_iter().map(|row| (row.uid(), row)).collect();
    outcomes.sort_by_key(|(index, _)| *index);
    let mut applied = Vec::with_capacity(outcomes.len());
    for (_, written) in outcomes {
        let row = rows.remove(&written.uid).ok_or(StoreError::ResourceGone { uid: written.uid })?;
        applied.push(Applied { resource: row.into_resource()?, outcome: written.outcome });
    }
    Ok(applied)
}
