//! Another value for a secret, without its manifest: a new one, or a former one again. Either is a new version, and the environments that
//! name the secret take it up by releases of their own. A value that a Git source's manifest holds is changed there.

use skep_schemas::kind::{SecretSpec, SecretValue};
use skep_schemas::{Kind, Owner, ResourceKey, Uid};
use sqlx::PgConnection;

use crate::apply::lock_org;
use crate::audit::{self, Actor, Subject, Verb};
use crate::error::{Fault, Operation, StoreError};
use crate::generate::{self, Occasion};
use crate::ownership::{self, Tried, Writer};
use crate::row::{ResourceRow, resource_query};
use crate::scoped::ScopedStore;
use crate::secret::{self, NewValue, SecretOrigin, SecretOwner};
use crate::store::Store;

/// What a secret was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotated {
    /// The new version.
    pub version: u32,
}

/// What a secret is to have.
enum Wanted<'a> {
    /// This value, or another random one.
    New(Option<&'a SecretValue>),
    /// The value of this version.
    Former(u32, &'a SecretValue),
}

impl ScopedStore {
    /// Gives a secret another value: this one, or another random one if its value is made at random.
    pub async fn rotate_secret(
        &self,
        key: &ResourceKey,
        value: Option<&SecretValue>,
        actor: &Actor,
    ) -> Result<Rotated, StoreError> {
        let done = self.try_rotate(key, &Wanted::New(value), actor).await;
        done.map_err(|fault| fault.during(Operation::RotateSecret))
    }

    async fn try_rotate(
        &self,
        key: &ResourceKey,
        wanted: &Wanted<'_>,
        actor: &Actor,
    ) -> Result<Rotated, Fault> {
        let missing = || StoreError::NotFound { key: key.clone() };
        let org = key.org().filter(|_| key.kind() == Kind::Secret).ok_or_else(missing)?;
        let mut tx = self.begin().await?;
        // In the order in which applies lock.
        let org_uid = lock_org(&mut tx, org, false).await?.ok_or_else(missing)?;
        let row = locked(&mut tx, key).await?.ok_or_else(missing)?;
        if row.is_deleting() {
            return Err(StoreError::Deleting { key: key.clone() }.into());
        }
        let generated = spec(key, &row)?.generate;
        // A value that is made at random is part of no manifest, and changing it is nobody's to undo.
        if generated.is_none() && row.managed_by.0 != Owner::Api {
            return Err(ownership::refusal(&mut tx, key, &row, Tried::Write(Writer::Api)).await?.into());
        }
        let made;
        let (value, origin, verb) = match wanted {
            Wanted::New(given) => match (given, generated) {
                (Some(_), Some(_)) => return Err(StoreError::SecretGenerated { key: key.clone() }.into()),
                (None, None) => return Err(StoreError::SecretNotGenerated { key: key.clone() }.into()),
                (Some(value), None) => (*value, SecretOrigin::Written, Verb::RotateSecret),
                (None, Some(generate)) => {
                    made = generate::value(generate, Occasion::Write)?;
                    (&made, SecretOrigin::Generated, Verb::RotateSecret)
                }
            },
            Wanted::Former(from, value) => {
                (*value, SecretOrigin::Restored { from: *from }, Verb::RestoreSecret)
            }
        };
        let owner = SecretOwner { org, org_uid, name: key.name(), uid: row.uid() };
        let stored =
            secret::store(&mut tx, self.master_keys(), owner, NewValue { value, origin, by: actor }).await?;
        let version = stored.ok_or_else(|| StoreError::SecretValueSame { key: key.clone() })?;
        // The value is part of what is wanted, though not of the spec as it is stored.
        let generation = row.generation + 1;
        let written = sqlx::query!(
            "UPDATE resource SET generation = $2, changed_by = $3, changed_at = clock_timestamp() WHERE uid = $1",
            row.uid,
            generation,
            actor.as_str()
        );
        written.execute(&mut *tx).await?;
        audit::record(&mut tx, actor, verb, &Subject::unchanged(key, row.uid(), generation)).await?;
        tx.commit().await?;
        Ok(Rotated { version })
    }
}

impl Store {
    /// Makes a former value of a secret the current one again. The secret is looked for and written as far as `scoped` reaches; only
    /// opening the value takes more than that, and what was opened goes nowhere but into the new version.
    pub async fn restore_secret(
        &self,
        scoped: &ScopedStore,
        key: &ResourceKey,
        version: u32,
        actor: &Actor,
    ) -> Result<Rotated, StoreError> {
        let found = scoped.get(key).await?;
        let uid: Uid = found.ok_or_else(|| StoreError::NotFound { key: key.clone() })?.meta.uid;
        let history = scoped.secret_history(key).await?;
        if !history.is_some_and(|history| history.versions.iter().any(|known| known.version == version)) {
            return Err(StoreError::SecretVersionMissing { key: key.clone(), version });
        }
        let value = self.open_secret(uid, version).await?;
        let done = scoped.try_rotate(key, &Wanted::Former(version, &value), actor).await;
        done.map_err(|fault| fault.during(Operation::RotateSecret))
    }
}

async fn locked(tx: &mut PgConnection, key: &ResourceKey) -> Result<Option<ResourceRow>, Fault> {
    let row = resource_query!(
        "WHERE r.org = $1 AND r.kind = 'Secret' AND r.name = $2 FOR NO KEY UPDATE OF r",
        key.org().map(|org| org.as_str()),
        key.name().as_str()
    );
    Ok(row.fetch_optional(tx).await?)
}

fn spec(key: &ResourceKey, row: &ResourceRow) -> Result<SecretSpec, StoreError> {
    serde_json::from_value(row.spec.clone()).map_err(|why| StoreError::corrupt(key.to_string(), why))
}
