//! The master keys of a process, and how one takes the place of another.
//!
//! A process has its own key and may have further ones, which open what they wrapped. Which of them is in force (wraps new data keys, signs
//! the audit) is in the database, so that it changes for all processes at once. [`Store::rotate_master_key`] puts a key in force and
//! wraps data keys anew with it, a batch at a time, each in a transaction of its own: it can stop anywhere and be called again. Values
//! are not touched and stay open to whoever has both keys.
//!
//! A key comes into force only if every controller that is alive has it, and never a second time. The key before signs the next one, so
//! that the audit's seals can be followed from one to the other.

use aws_lc_rs::signature::KeyPair;
use jiff::Timestamp;
use skep_schemas::Uid;
use sqlx::PgConnection;
use sqlx::types::Uuid;

use crate::audit::{self, Actor, AuditKey, Thing, Verb};
use crate::error::{Fault, Operation, StoreError};
use crate::seal::{MasterKey, Sealed};
use crate::store::Store;
use crate::time::Time;

/// The most keys beside its own that a process has: the one before, the one to come, and those whose change was never finished.
pub const FURTHER_KEYS_MAX: usize = 8;

/// Data keys that are wrapped anew in one transaction: a few milliseconds' work, under locks that only the deletion of such an
/// organisation waits for.
const BATCH: i64 = 100;

/// The most organisations that are named in one answer.
const NAMED_MAX: i64 = 100;

/// The master keys that a process has: its own, and others, which open what they wrapped.
#[derive(Debug, Clone)]
pub struct MasterKeys {
    own: MasterKey,
    further: Vec<MasterKey>,
}

/// More keys were given than a process takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{found} further master keys are given, and at most {FURTHER_KEYS_MAX} are taken")]
pub struct TooManyKeys {
    /// How many were given.
    pub found: usize,
}

impl From<MasterKey> for MasterKeys {
    fn from(own: MasterKey) -> Self {
        Self { own, further: Vec::new() }
    }
}

impl MasterKeys {
    /// The process' own key, and further ones.
    pub fn new(own: MasterKey, further: Vec<MasterKey>) -> Result<Self, TooManyKeys> {
        if further.len() > FURTHER_KEYS_MAX {
            return Err(TooManyKeys { found: further.len() });
        }
        Ok(Self { own, further })
    }

    /// Its own.
    pub(crate) const fn own(&self) -> &MasterKey {
        &self.own
    }

    /// All, its own first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &MasterKey> {
        std::iter::once(&self.own).chain(&self.further)
    }

    /// The one of that name.
    pub(crate) fn get(&self, id: &str) -> Option<&MasterKey> {
        self.all().find(|key| key.id() == id)
    }

    /// The names of all.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.all().map(MasterKey::id).collect()
    }

    /// The one that new data keys are wrapped with. It stays so until the transaction ends.
    pub(crate) async fn wrapping(&self, tx: &mut PgConnection) -> Result<&MasterKey, Fault> {
        let id = sqlx::query_scalar!(r#"SELECT master_key_in_force() AS "id!""#).fetch_one(tx).await?;
        Ok(self.get(&id).ok_or(StoreError::MasterKeyMissing { id })?)
    }

    /// The one that the audit is sealed with, for whoever holds the lock on the seals: it changes under that lock only.
    pub(crate) async fn sealing(&self, tx: &mut PgConnection) -> Result<&MasterKey, Fault> {
        let id = sqlx::query_scalar!(r#"SELECT master_key_id AS "id!" FROM instance"#).fetch_one(tx).await?;
        Ok(self.get(&id).ok_or(StoreError::MasterKeyMissing { id })?)
    }
}

/// How things stand with master keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterKeyStanding {
    /// The key in force.
    pub in_force: String,
    /// Since when.
    pub since: Timestamp,
    /// The server's own key.
    pub own: String,
    /// The keys that wrapped what there is, or that the server has.
    pub keys: Vec<MasterKeyUse>,
    /// Organisations whose data key was wrapped by a key that this server does not have, the first hundred.
    pub closed: Vec<ClosedOrganization>,
}

/// How much a master key is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterKeyUse {
    /// The key.
    pub id: String,
    /// How many organisations' data keys it wrapped.
    pub organizations: u64,
    /// Does this server have it?
    pub held: bool,
}

/// An organisation whose values this server cannot open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedOrganization {
    /// Its name.
    pub org: String,
    /// The master key that wrapped its data key.
    pub master_key: String,
}

/// What a call of [`Store::rotate_master_key`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The key that is in force.
    pub in_force: String,
    /// Did it come into force with this call?
    pub began: bool,
    /// How many data keys were wrapped anew.
    pub rewrapped: u64,
    /// How many are wrapped by other keys still, whether this server has these or not.
    pub left: u64,
    /// Organisations of this batch whose data key this server cannot open.
    pub closed: Vec<ClosedOrganization>,
    /// Where the next batch begins; none after the last.
    pub next: Option<Uid>,
}

impl Store {
    /// Which master keys are needed, and for how much.
    pub async fn master_key_standing(&self) -> Result<MasterKeyStanding, StoreError> {
        self.standing().await.map_err(|fault| fault.during(Operation::MasterKey))
    }

    async fn standing(&self) -> Result<MasterKeyStanding, Fault> {
        let mut tx = self.pool().begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let in_force = sqlx::query!(
            r#"SELECT k.id, k.since AS "since: Time" FROM instance i JOIN master_key k ON k.id = i.master_key_id"#
        )
        .fetch_one(&mut *tx)
        .await?;
        let held = self.master_keys().ids();
        let used = sqlx::query!(
            r#"SELECT coalesce(u.id, h.id) AS "id!", coalesce(u.organizations, 0) AS "organizations!"
               FROM (SELECT master_key_id AS id, count(*) AS organizations FROM organization_key GROUP BY 1) u
               FULL JOIN (SELECT DISTINCT unnest($1::text[]) AS id) h ON h.id = u.id
               ORDER BY 1"#,
            &held
        );
        let used = used.fetch_all(&mut *tx).await?;
        let keys = used.into_iter().map(|row| MasterKeyUse {
            held: held.contains(&row.id),
            id: row.id,
            organizations: u64::try_from(row.organizations).unwrap_or_default(),
        });
        let keys = keys.collect();
        let closed = sqlx::query_as!(
            ClosedOrganization,
            "SELECT r.name AS org, k.master_key_id AS master_key FROM organization_key k JOIN resource r ON r.uid = k.org_uid
             WHERE k.master_key_id <> ALL ($1) ORDER BY r.name LIMIT $2",
            &held,
            NAMED_MAX
        );
        let closed = closed.fetch_all(&mut *tx).await?;
        tx.rollback().await?;
        let own = self.master_keys().own().id();
        Ok(MasterKeyStanding { in_force: in_force.id, since: in_force.since.0, own, keys, closed })
    }

    /// Puts a key in force, the process' own if none is named, and wraps a batch of data keys anew with it. Call it again with what it
    /// answers until there is no next batch. What is done is done, whatever becomes of later calls.
    pub async fn rotate_master_key(
        &self,
        to: Option<&str>,
        after: Option<Uid>,
        actor: &Actor,
    ) -> Result<Rotation, StoreError> {
        let own = self.master_keys().own().id();
        let to = to.unwrap_or(&own);
        self.rotate(to, after, actor).await.map_err(|fault| fault.during(Operation::MasterKey))
    }

    async fn rotate(&self, to: &str, after: Option<Uid>, actor: &Actor) -> Result<Rotation, Fault> {
        let missing = || StoreError::MasterKeyMissing { id: to.to_owned() };
        let key = self.master_keys().get(to).ok_or_else(missing)?;
        let mut tx = self.pool().begin().await?;
        let began = self.put_in_force(&mut tx, key).await?;
        let after = after.map_or_else(Uuid::nil, |uid| uid.uuid());
        let (rewrapped, closed, next) = self.rewrap(&mut tx, key, after).await?;
        let left = sqlx::query_scalar!(
            r#"SELECT count(*) AS "left!" FROM organization_key WHERE master_key_id <> $1"#,
            to
        );
        let left = u64::try_from(left.fetch_one(&mut *tx).await?).unwrap_or_default();
        if began || rewrapped > 0 {
            let thing = Thing { org: None, kind: "MasterKey", name: to };
            audit::record_thing(&mut tx, actor, Verb::RotateMasterKey, &thing).await?;
        }
        tx.commit().await?;
        Ok(Rotation { in_force: to.to_owned(), began, rewrapped, left, closed, next })
    }

    /// Makes a key the one in force, if it is not. Is it from now on?
    async fn put_in_force(&self, tx: &mut PgConnection, key: &MasterKey) -> Result<bool, Fault> {
        let id = key.id();
        let instance =
            sqlx::query!(r#"SELECT id, master_key_id AS "master_key_id!" FROM instance FOR NO KEY UPDATE"#);
        let instance = instance.fetch_one(&mut *tx).await?;
        if instance.master_key_id == id {
            return Ok(false);
        }
        let replaced = sqlx::query_scalar!("SELECT 1 FROM master_key WHERE id = $1", id);
        if replaced.fetch_optional(&mut *tx).await?.is_some() {
            return Err(StoreError::MasterKeyReplaced { id }.into());
        }
        let without = sqlx::query_scalar!(
            "SELECT id FROM controller_member WHERE expires_at > clock_timestamp() AND $1 <> ALL (master_keys)
             ORDER BY id LIMIT $2",
            id,
            NAMED_MAX
        );
        let without = without.fetch_all(&mut *tx).await?;
        if !without.is_empty() {
            return Err(StoreError::MasterKeyNotEverywhere { id, without }.into());
        }
        let before = instance.master_key_id;
        let former = self.master_keys().get(&before);
        let former = former.ok_or_else(|| StoreError::MasterKeyMissing { id: before.clone() })?;
        // From here on nobody seals the audit before this has ended, so the former key signs nothing after the place that it names.
        sqlx::query!("LOCK TABLE audit_seal IN SHARE ROW EXCLUSIVE MODE").execute(&mut *tx).await?;
        let position = sqlx::query_scalar!("SELECT position FROM audit_head").fetch_one(&mut *tx).await?;
        let signer = key.audit_signer()?;
        let audit_key = signer.public_key().as_ref();
        let message = AuditKey::message(&instance.id, position, audit_key);
        let endorsement = former.audit_signer()?.sign(message.as_bytes());
        sqlx::query!(
            "INSERT INTO master_key (id, audit_key, after_position, endorsed_by, endorsement) VALUES ($1, $2, $3, $4, $5)",
            id,
            audit_key,
            position,
            before,
            endorsement.as_ref()
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query!("UPDATE instance SET master_key_id = $1", id).execute(tx).await?;
        Ok(true)
    }

    /// Wraps one batch of data keys anew. How many, whose could not be opened, and where the next batch begins.
    async fn rewrap(
        &self,
        tx: &mut PgConnection,
        key: &MasterKey,
        after: Uuid,
    ) -> Result<(u64, Vec<ClosedOrganization>, Option<Uid>), Fault> {
        let id = key.id();
        let rows = sqlx::query!(
            "SELECT k.org_uid, k.nonce, k.wrapped_key, k.master_key_id, r.name
             FROM organization_key k JOIN resource r ON r.uid = k.org_uid
             WHERE k.master_key_id <> $1 AND k.org_uid > $2 ORDER BY k.org_uid LIMIT $3 FOR NO KEY UPDATE OF k",
            id,
            after,
            BATCH
        );
        let rows = rows.fetch_all(&mut *tx).await?;
        let is_full = i64::try_from(rows.len()).is_ok_and(|found| found == BATCH);
        let next = rows.last().filter(|_| is_full).map(|row| Uid::from_uuid(row.org_uid));
        let (mut orgs, mut nonces, mut wrapped, mut closed) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for row in rows {
            let org_uid = Uid::from_uuid(row.org_uid);
            let sealed = Sealed { nonce: row.nonce, ciphertext: row.wrapped_key };
            let opened = self.master_keys().get(&row.master_key_id);
            let Some(data_key) = opened.and_then(|former| former.unwrap(org_uid, &sealed)) else {
                closed.push(ClosedOrganization { org: row.name, master_key: row.master_key_id });
                continue;
            };
            let anew = key.wrap(org_uid, &data_key)?;
            orgs.push(row.org_uid);
            nonces.push(anew.nonce);
            wrapped.push(anew.ciphertext);
        }
        let done = sqlx::query!(
            "UPDATE organization_key k SET nonce = anew.nonce, wrapped_key = anew.wrapped_key, master_key_id = $1
             FROM unnest($2::uuid[], $3::bytea[], $4::bytea[]) AS anew (org_uid, nonce, wrapped_key)
             WHERE k.org_uid = anew.org_uid",
            id,
            &orgs,
            &nonces,
            &wrapped
        );
        let done = done.execute(tx).await?.rows_affected();
        Ok((done, closed, next))
    }
}

/// Finds out which key is in force when a process starts, and whether the process has it. The first process of a new database puts its own
/// in force.
pub(crate) async fn check(tx: &mut PgConnection, keys: &MasterKeys) -> Result<(), Fault> {
    let own = keys.own().id();
    // Written once: a start changes nothing.
    sqlx::query!("UPDATE instance SET master_key_id = $1 WHERE master_key_id IS NULL", own)
        .execute(&mut *tx)
        .await?;
    let instance = sqlx::query!(r#"SELECT id, master_key_id AS "master_key_id!" FROM instance"#)
        .fetch_one(&mut *tx)
        .await?;
    let Some(key) = keys.get(&instance.master_key_id) else {
        let instance_id = skep_planner::InstanceId::new(instance.id);
        return Err(StoreError::WrongMasterKey { instance: instance_id, id: instance.master_key_id }.into());
    };
    let signer = key.audit_signer()?;
    sqlx::query!(
        "INSERT INTO master_key (id, audit_key) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING",
        key.id(),
        signer.public_key().as_ref()
    )
    .execute(tx)
    .await?;
    Ok(())
}
