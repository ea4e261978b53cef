//! The chain of entries, its end, and seals on it.
//!
//! The database links entries ([`migrations`](crate::migrate), 0011): the digest of each covers its content and the digest before.
//! Here the chain is read page by page, for whoever computes it again, and sealed: a signature over the number and digest of the
//! last entry, with a key that is derived from the master key in force. Whoever can write the database but has no master key can make a
//! chain that fits, and no seal that fits it. A copy of a seal that is kept elsewhere also shows that the end was cut off.

use aws_lc_rs::signature::KeyPair;
use jiff::Timestamp;
use sqlx::{Connection, PgConnection};

use super::search::{AuditEntry, EntryRow, entry_query};
use crate::error::{Fault, Operation, StoreError};
use crate::store::Store;
use crate::time::Time;

/// The most entries that are read at once.
pub const AUDIT_PAGE_MAX: u32 = 1000;

/// The most keys of seals that are told of: of a master key that changes each week, those of twenty years.
const AUDIT_KEYS_MAX: i64 = 1000;

/// The two ends of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditHead {
    /// The number of the last entry; none was made when it is zero.
    pub position: i64,
    /// Its digest.
    pub link: Vec<u8>,
    /// The number of the last entry that need not be kept and is gone.
    pub floor_position: i64,
    /// Its digest, with which the oldest entry was linked.
    pub floor_link: Vec<u8>,
}

/// A signed place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditSeal {
    /// The number of the entry.
    pub position: i64,
    /// Its digest.
    pub link: Vec<u8>,
    /// When it was sealed.
    pub sealed_at: Timestamp,
    /// The Ed25519 key to check it with.
    pub public_key: Vec<u8>,
    /// The signature over [`AuditSeal::message`].
    pub signature: Vec<u8>,
}

impl AuditSeal {
    /// What is signed: the installation, the number and the digest.
    pub fn message(instance: &str, position: i64, link: &[u8]) -> String {
        format!("skep.dev/audit-seal/v1/{instance}/{position}/{}", hex::encode(link))
    }
}

/// A key that seals were made with, and what vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditKey {
    /// The Ed25519 key.
    pub public_key: Vec<u8>,
    /// The number of the last entry before it came into force.
    pub after_position: i64,
    /// The key before it; none for the first.
    pub endorsed_by: Option<Vec<u8>>,
    /// The signature of the key before over [`AuditKey::message`].
    pub endorsement: Option<Vec<u8>>,
}

impl AuditKey {
    /// What the key before signs: the installation, the place in the chain from which on the next one counts, and the next one.
    pub fn message(instance: &str, after_position: i64, public_key: &[u8]) -> String {
        format!("skep.dev/audit-key/v1/{instance}/{after_position}/{}", hex::encode(public_key))
    }
}

/// A part of the chain as it was at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditChain {
    /// Its ends.
    pub head: AuditHead,
    /// Entries, the oldest first, without a gap.
    pub entries: Vec<AuditEntry>,
    /// The seals on these entries and on the one before them.
    pub seals: Vec<AuditSeal>,
    /// The keys of all seals, in the order in which they came into force.
    pub keys: Vec<AuditKey>,
}

/// What came of sealing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sealed {
    /// Nothing was done since the last seal.
    Nothing,
    /// The end of the chain, at this number.
    At(i64),
    /// The chain is not what was sealed at this number: somebody changed it. It is not sealed any further.
    Broken(i64),
}

impl Store {
    /// Entries after this number, at most so many, with the ends of the chain and the seals on it.
    pub async fn audit_chain(&self, after: i64, limit: u32) -> Result<AuditChain, StoreError> {
        self.try_chain(after, limit.min(AUDIT_PAGE_MAX)).await.map_err(|fault| fault.during(Operation::Audit))
    }

    async fn try_chain(&self, after: i64, limit: u32) -> Result<AuditChain, Fault> {
        let mut connection = self.pool().acquire().await?;
        // One view of all three, or an entry that is made meanwhile looks like one that was added to the end.
        let mut tx = connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let head = head(&mut tx).await?;
        let rows = entry_query!("WHERE position > $1 ORDER BY position LIMIT $2", after, i64::from(limit));
        let rows = rows.fetch_all(&mut *tx).await?;
        let entries: Vec<AuditEntry> = rows.into_iter().map(EntryRow::into_entry).collect();
        let last = entries.last().and_then(|entry| entry.position).unwrap_or(after);
        let seals = sqlx::query_as!(
            SealRow,
            r#"SELECT position, link, sealed_at AS "sealed_at: _", public_key, signature
               FROM audit_seal WHERE position BETWEEN $1 AND $2 ORDER BY position LIMIT $3"#,
            after,
            last,
            i64::from(AUDIT_PAGE_MAX) + 1
        );
        let seals = seals.fetch_all(&mut *tx).await?.into_iter().map(SealRow::into_seal).collect();
        let keys = sqlx::query_as!(
            AuditKey,
            "SELECT k.audit_key AS public_key, k.after_position, e.audit_key AS \"endorsed_by?\", k.endorsement
             FROM master_key k LEFT JOIN master_key e ON e.id = k.endorsed_by ORDER BY k.since, k.after_position LIMIT $1",
            AUDIT_KEYS_MAX
        );
        let keys = keys.fetch_all(&mut *tx).await?;
        tx.rollback().await?;
        Ok(AuditChain { head, entries, seals, keys })
    }

    /// Seals the end of the chain, if it moved since the last time, after a look at whether the place that was sealed last is still
    /// what it was.
    pub async fn seal_audit(&self) -> Result<Sealed, StoreError> {
        let instance = self.instance_id().await?;
        self.try_seal(instance.as_str()).await.map_err(|fault| fault.during(Operation::Audit))
    }

    async fn try_seal(&self, instance: &str) -> Result<Sealed, Fault> {
        let mut tx = self.pool().begin().await?;
        // Of several processes one seals; the others find nothing new afterwards.
        sqlx::query!("LOCK TABLE audit_seal IN SHARE ROW EXCLUSIVE MODE").execute(&mut *tx).await?;
        let head = head(&mut tx).await?;
        let last = sqlx::query!(
            "SELECT s.position, s.link AS sealed, a.link AS \"found?\" FROM audit_seal s LEFT JOIN audit a USING (position)
             ORDER BY s.position DESC LIMIT 1"
        );
        if let Some(last) = last.fetch_optional(&mut *tx).await? {
            let found = if last.position == head.floor_position {
                Some(&head.floor_link)
            } else {
                last.found.as_ref()
            };
            // An entry that need not be kept any longer may be gone.
            let is_kept = last.position >= head.floor_position;
            if last.position > head.position || (is_kept && found != Some(&last.sealed)) {
                return Ok(Sealed::Broken(last.position));
            }
            if last.position == head.position {
                return Ok(Sealed::Nothing);
            }
        }
        if head.position == 0 {
            return Ok(Sealed::Nothing);
        }
        let signer = self.master_keys().sealing(&mut tx).await?.audit_signer()?;
        let signature = signer.sign(AuditSeal::message(instance, head.position, &head.link).as_bytes());
        sqlx::query!(
            "INSERT INTO audit_seal (position, link, public_key, signature) VALUES ($1, $2, $3, $4)",
            head.position,
            head.link,
            signer.public_key().as_ref(),
            signature.as_ref()
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(Sealed::At(head.position))
    }
}

struct SealRow {
    position: i64,
    link: Vec<u8>,
    sealed_at: Time,
    public_key: Vec<u8>,
    signature: Vec<u8>,
}

impl SealRow {
    fn into_seal(self) -> AuditSeal {
        let Self { position, link, sealed_at, public_key, signature } = self;
        AuditSeal { position, link, sealed_at: sealed_at.0, public_key, signature }
    }
}

async fn head(connection: &mut PgConnection) -> Result<AuditHead, Fault> {
    let head =
        sqlx::query_as!(AuditHead, "SELECT position, link, floor_position, floor_link FROM audit_head");
    Ok(head.fetch_one(connection).await?)
}
