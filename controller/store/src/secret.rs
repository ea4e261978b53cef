//! Values of secrets, stored sealed and opened only by name.

use std::collections::BTreeMap;

use skep_schemas::kind::SecretValue;
use skep_schemas::{Changed, OrgName, ResourceName, Revision, Uid};
use sqlx::PgConnection;

use crate::audit::Actor;
use crate::error::{Fault, Operation, StoreError};
use crate::master_keys::MasterKeys;
use crate::row::changed;
use crate::seal::{DataKey, Place, Sealed};
use crate::store::Store;
use crate::time::Time;

/// What is known of a secret's newest value without opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretCurrent {
    /// The Secret resource.
    pub uid: Uid,
    /// Counts the values that it has had.
    pub version: u32,
    /// The keyed digest of the value, in hexadecimal: what Swarm objects are named by.
    pub digest: String,
    /// Has deletion been asked for?
    pub deleting: bool,
    /// The transaction that last wrote the resource.
    pub revision: Revision,
    /// Who gave it this value, and when; none for one from before that was noted.
    pub made: Option<Changed>,
}

/// Whose value is written.
pub(crate) struct SecretOwner<'a> {
    pub(crate) org: &'a OrgName,
    pub(crate) org_uid: Uid,
    pub(crate) name: &'a ResourceName,
    pub(crate) uid: Uid,
}

/// A value that is written, and how it came about.
pub(crate) struct NewValue<'a> {
    pub(crate) value: &'a SecretValue,
    pub(crate) origin: SecretOrigin,
    pub(crate) by: &'a Actor,
}

/// Where a value of a secret came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretOrigin {
    /// Somebody wrote it: in a manifest, or to rotate the secret.
    Written,
    /// It was made at random.
    Generated,
    /// It is a former one again.
    Restored {
        /// Of which version.
        from: u32,
    },
}

impl SecretOrigin {
    const fn word(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Generated => "generated",
            Self::Restored { .. } => "restored",
        }
    }

    const fn from(self) -> Option<u32> {
        match self {
            Self::Restored { from } => Some(from),
            Self::Written | Self::Generated => None,
        }
    }

    /// From its columns.
    pub(crate) fn of_columns(word: &str, from: Option<i32>) -> Option<Self> {
        match (word, from) {
            ("written", None) => Some(Self::Written),
            ("generated", None) => Some(Self::Generated),
            ("restored", Some(from)) => u32::try_from(from).ok().map(|from| Self::Restored { from }),
            _ => None,
        }
    }
}

impl Store {
    /// Opens one value of a secret.
    pub async fn open_secret(&self, uid: Uid, version: u32) -> Result<SecretValue, StoreError> {
        self.open(uid, version).await.map_err(|fault| fault.during(Operation::OpenSecret))
    }

    async fn open(&self, uid: Uid, version: u32) -> Result<SecretValue, Fault> {
        let unreadable = |why| StoreError::SecretUnreadable { uid, version, why };
        let number = i32::try_from(version).map_err(|_| unreadable("there is no such version"))?;
        let mut connection = self.pool().acquire().await?;
        let row = sqlx::query!(
            r#"SELECT r.org, r.name, o.uid AS org_uid, v.nonce, v.ciphertext
               FROM secret_version v
               JOIN resource r ON r.uid = v.uid
               JOIN resource o ON o.org = '' AND o.kind = 'Organization' AND o.name = r.org
               WHERE v.uid = $1 AND v.version = $2"#,
            uid.uuid(),
            number
        )
        .fetch_optional(&mut *connection)
        .await?
        .ok_or_else(|| unreadable("there is no such version"))?;
        let key = data_key(&mut connection, self.master_keys(), Uid::from_uuid(row.org_uid)).await?;
        let place = Place { org: &row.org, name: &row.name, uid, version: number };
        let sealed = Sealed { nonce: row.nonce, ciphertext: row.ciphertext };
        Ok(key
            .open(&place, &sealed)
            .ok_or_else(|| unreadable("it was sealed for another place or with another key"))?)
    }
}

/// Stores a value as the next version, unless it equals the current one. The version, if it was stored.
pub(crate) async fn store(
    tx: &mut PgConnection,
    master_keys: &MasterKeys,
    owner: SecretOwner<'_>,
    new: NewValue<'_>,
) -> Result<Option<u32>, Fault> {
    let key = data_key(tx, master_keys, owner.org_uid).await?;
    let digest = key.digest(owner.name.as_str(), new.value);
    let current = sqlx::query!(
        "SELECT version, digest FROM secret_version WHERE uid = $1 ORDER BY version DESC LIMIT 1",
        owner.uid.uuid()
    )
    .fetch_optional(&mut *tx)
    .await?;
    if current.as_ref().is_some_and(|current| current.digest == digest) {
        return Ok(None);
    }
    let version = current.map_or(0, |current| current.version).saturating_add(1);
    let place = Place { org: owner.org.as_str(), name: owner.name.as_str(), uid: owner.uid, version };
    let sealed = key.seal(&place, new.value)?;
    let column = |number: u32| i32::try_from(number).map_err(|why| StoreError::corrupt("a version", why));
    sqlx::query!(
        "INSERT INTO secret_version (uid, version, nonce, ciphertext, digest, origin, restored_from, made_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        owner.uid.uuid(),
        version,
        sealed.nonce,
        sealed.ciphertext,
        digest,
        new.origin.word(),
        new.origin.from().map(column).transpose()?,
        new.by.as_str()
    )
    .execute(tx)
    .await?;
    Ok(Some(version_of(version)?))
}

/// A version, from its column.
pub(crate) fn version_of(column: i32) -> Result<u32, StoreError> {
    u32::try_from(column).map_err(|why| StoreError::corrupt("a version of a secret", why))
}

/// The newest value of every secret of an organisation, by name.
pub(crate) async fn current(
    tx: &mut PgConnection,
    org: &OrgName,
) -> Result<BTreeMap<ResourceName, SecretCurrent>, Fault> {
    let rows = sqlx::query!(
        r#"SELECT DISTINCT ON (r.name) r.name, r.uid, r.revision, r.deletion_requested_at IS NOT NULL AS "deleting!", v.version, v.digest, v.made_by,
                  v.created_at AS "created_at: Time"
           FROM resource r JOIN secret_version v ON v.uid = r.uid
           WHERE r.org = $1 AND r.kind = 'Secret' ORDER BY r.name, v.version DESC"#,
        org.as_str()
    )
    .fetch_all(tx)
    .await?;
    let mut secrets = BTreeMap::new();
    for row in rows {
        let name = row.name.parse().map_err(|why| StoreError::corrupt(format!("secret {}", row.uid), why))?;
        let version = u32::try_from(row.version)
            .map_err(|why| StoreError::corrupt(format!("secret {}", row.uid), why))?;
        secrets.insert(
            name,
            SecretCurrent {
                uid: Uid::from_uuid(row.uid),
                version,
                digest: hex::encode(row.digest),
                deleting: row.deleting,
                revision: Revision::new(row.revision),
                made: changed(row.made_by, Some(row.created_at)),
            },
        );
    }
    Ok(secrets)
}

/// The values of a secret that are kept: version and digest, newest first.
pub(crate) async fn kept(tx: &mut PgConnection, uid: Uid) -> Result<Vec<(u32, String)>, Fault> {
    let rows = sqlx::query!(
        "SELECT version, digest FROM secret_version WHERE uid = $1 ORDER BY version DESC",
        uid.uuid()
    );
    let rows = rows.fetch_all(tx).await?.into_iter();
    Ok(rows
        .map(|row| Ok((version_of(row.version)?, hex::encode(row.digest))))
        .collect::<Result<_, StoreError>>()?)
}

/// An organisation's data key.
pub(crate) async fn data_key(
    tx: &mut PgConnection,
    master_keys: &MasterKeys,
    org_uid: Uid,
) -> Result<DataKey, Fault> {
    let row = sqlx::query!(
        "SELECT nonce, wrapped_key, master_key_id FROM organization_key WHERE org_uid = $1",
        org_uid.uuid()
    );
    let row = row.fetch_optional(tx).await?.ok_or(StoreError::KeyMissing { org_uid })?;
    let wrapped = Sealed { nonce: row.nonce, ciphertext: row.wrapped_key };
    let Some(master_key) = master_keys.get(&row.master_key_id) else {
        return Err(StoreError::KeyClosed { org_uid, master_key: row.master_key_id }.into());
    };
    Ok(master_key.unwrap(org_uid, &wrapped).ok_or(StoreError::KeyUnreadable { org_uid })?)
}

/// Gives an organisation its data key, if it has none. Of two writers who find none, one makes it, and the other waits.
pub(crate) async fn ensure_key(
    tx: &mut PgConnection,
    master_keys: &MasterKeys,
    org_uid: Uid,
) -> Result<(), Fault> {
    let found = sqlx::query_scalar!("SELECT 1 FROM organization_key WHERE org_uid = $1", org_uid.uuid());
    if found.fetch_optional(&mut *tx).await?.is_some() {
        return Ok(());
    }
    let master_key = master_keys.wrapping(&mut *tx).await?;
    let wrapped = master_key.wrap(org_uid, &DataKey::generate()?)?;
    sqlx::query!(
        "INSERT INTO organization_key (org_uid, nonce, wrapped_key, master_key_id) VALUES ($1, $2, $3, $4)
         ON CONFLICT (org_uid) DO NOTHING",
        org_uid.uuid(),
        wrapped.nonce,
        wrapped.ciphertext,
        master_key.id()
    )
    .execute(tx)
    .await?;
    Ok(())
}
