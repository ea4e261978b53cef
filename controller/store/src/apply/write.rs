//! What an apply does to one resource.

use skep_schemas::kind::GenerateSpec;
use skep_schemas::{API_VERSION, AnySpec, Finalizer, Generation, Kind, Revision, Uid};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::claim::Claims;
use super::lock::Locked;
use super::{ApplyItem, Failure, Outcome, registry};
use crate::audit::{self, Actor, Subject, Verb};
use crate::error::StoreError;
use crate::formation;
use crate::generate::{self, Occasion};
use crate::master_keys::MasterKeys;
use crate::ownership::{self, Tried, Writer};
use crate::row::{ResourceRow, finalizer_word, org_column};
use crate::secret::{self, NewValue, SecretOrigin};

/// One item on its way into the database.
pub(super) struct Write<'a> {
    pub(super) item: &'a ApplyItem,
    pub(super) actor: &'a Actor,
    pub(super) master_keys: &'a MasterKeys,
    pub(super) occasion: Occasion,
}

/// What became of an item.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written {
    pub(super) uid: Uid,
    pub(super) outcome: Outcome,
    /// Is it its writer's now?
    pub(super) is_theirs: bool,
}

impl Write<'_> {
    pub(super) async fn run(
        &self,
        tx: &mut PgConnection,
        locked: &mut Locked,
        claims: &mut Claims,
    ) -> Result<Written, Failure> {
        let key = &self.item.manifest.key;
        let row = locked.take_row(key);
        self.item.precondition.check(key, row.as_ref().map(|row| Revision::new(row.revision)))?;
        ownership::check_reach(key, &self.item.writer.owner())?;
        let org_uid = key.org().map(|org| locked.org_uid(org)).transpose()?;
        registry::check(tx, &self.item.manifest).await?;
        let written = match row {
            Some(row) if row.is_deleting() => return Err(StoreError::Deleting { key: key.clone() }.into()),
            Some(row) => self.update(tx, org_uid, &row).await?,
            None => {
                let uid = self.create(tx, org_uid).await?;
                locked.created(key, uid);
                Written { uid, outcome: Outcome::Created, is_theirs: true }
            }
        };
        if written.outcome != Outcome::Unchanged {
            formation::yield_to(tx, &self.item.manifest).await?;
            claims.note(written.uid, &self.item.manifest.spec)?;
        }
        Ok(written)
    }

    async fn create(&self, tx: &mut PgConnection, org_uid: Option<Uid>) -> Result<Uid, Failure> {
        let manifest = &self.item.manifest;
        let key = &manifest.key;
        if matches!(&manifest.spec, AnySpec::Secret(secret) if secret.value.is_none() && secret.generate.is_none())
        {
            return Err(StoreError::SecretValueMissing { key: key.clone() }.into());
        }
        let uid = Uid::generate();
        let inserted = sqlx::query!(
            "INSERT INTO resource (uid, org, kind, name, api_version, spec, labels, annotations, refs, finalizers, managed_by,
                                   changed_by, changed_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, clock_timestamp())
             ON CONFLICT ON CONSTRAINT resource_key DO NOTHING",
            uid.uuid(),
            org_column(key.scope()),
            key.kind().as_str(),
            key.name().as_str(),
            API_VERSION,
            self.spec()?,
            Json(&manifest.labels) as _,
            Json(&manifest.annotations) as _,
            &self.refs(),
            &finalizers(key.kind()),
            Json(&self.item.writer.owner()) as _,
            self.actor.as_str()
        );
        let inserted = inserted.execute(&mut *tx).await.map_err(|error| registry::fault(manifest, error))?;
        if inserted.rows_affected() == 0 {
            return Err(Failure::Raced);
        }
        if key.kind() == Kind::Organization {
            secret::ensure_key(tx, self.master_keys, uid).await?;
        }
        self.seal(tx, org_uid, uid, None).await?;
        let spec = self.spec()?;
        let subject = Subject { key, uid, generation: 1, before: None, after: Some(&spec) };
        audit::record(tx, self.actor, Verb::Create, &subject).await?;
        Ok(uid)
    }

    async fn update(
        &self,
        tx: &mut PgConnection,
        org_uid: Option<Uid>,
        row: &ResourceRow,
    ) -> Result<Written, Failure> {
        let manifest = &self.item.manifest;
        let (spec, refs) = (self.spec()?, self.refs());
        let new_value = self.seal(tx, org_uid, row.uid(), Some(row)).await?;
        let spec_changed = new_value || row.spec != spec;
        let changed =
            spec_changed || row.labels.0 != manifest.labels || row.annotations.0 != manifest.annotations;
        let is_theirs = self.owns(tx, row, changed).await?;
        // What another one wrote the same is his still. How references are read may differ from when it was written.
        if !changed && (!is_theirs || row.refs == refs) {
            let taken = is_theirs && row.managed_by.0 != self.item.writer.owner();
            let outcome = if taken { Outcome::Configured } else { Outcome::Unchanged };
            return Ok(Written { uid: row.uid(), outcome, is_theirs });
        }
        let generation = Generation::new(row.generation + i64::from(spec_changed));
        sqlx::query!(
            "UPDATE resource SET api_version = $2, spec = $3, labels = $4, annotations = $5, refs = $6,
             generation = $7, changed_by = $8, changed_at = clock_timestamp() WHERE uid = $1",
            row.uid,
            API_VERSION,
            spec,
            Json(&manifest.labels) as _,
            Json(&manifest.annotations) as _,
            &refs,
            generation.get(),
            self.actor.as_str()
        )
        .execute(&mut *tx)
        .await
        .map_err(|error| registry::fault(manifest, error))?;
        let subject = Subject {
            key: &manifest.key,
            uid: row.uid(),
            generation: generation.get(),
            before: Some(&row.spec),
            after: Some(&spec),
        };
        audit::record(tx, self.actor, Verb::Configure, &subject).await?;
        Ok(Written { uid: row.uid(), outcome: Outcome::Configured, is_theirs })
    }

    /// Is a stored resource its writer's, or becomes it by his word? What is another's, and would be changed, is refused.
    async fn owns(&self, tx: &mut PgConnection, row: &ResourceRow, changed: bool) -> Result<bool, Failure> {
        let key = &self.item.manifest.key;
        let owner = self.item.writer.owner();
        if row.managed_by.0 == owner {
            return Ok(true);
        }
        match &self.item.writer {
            Writer::TakeOver => {
                ownership::hand_over(tx, key, row, &owner, self.actor).await?;
                Ok(true)
            }
            Writer::Api | Writer::Git { .. } if !changed => Ok(false),
            writer @ (Writer::Api | Writer::Git { .. }) => {
                let tried = Tried::Write(writer.clone());
                Err(ownership::refusal(tx, key, row, tried).await?.into())
            }
        }
    }

    /// Stores the value that came with a Secret or is to be made for it, sealed, unless it is the current one. Was it new?
    async fn seal(
        &self,
        tx: &mut PgConnection,
        org_uid: Option<Uid>,
        uid: Uid,
        row: Option<&ResourceRow>,
    ) -> Result<bool, Failure> {
        let manifest = &self.item.manifest;
        let (AnySpec::Secret(spec), Some(org), Some(org_uid)) = (&manifest.spec, manifest.key.org(), org_uid)
        else {
            return Ok(false);
        };
        let made;
        let (value, origin) = match (&spec.value, spec.generate) {
            (Some(value), _) => (value, SecretOrigin::Written),
            // What was made so stays until somebody rotates it.
            (None, generate) if generate == self.generated_before(row)? => return Ok(false),
            (None, Some(generate)) => {
                made = generate::value(generate, self.occasion)?;
                (&made, SecretOrigin::Generated)
            }
            (None, None) => return Ok(false),
        };
        let owner = secret::SecretOwner { org, org_uid, name: manifest.key.name(), uid };
        let new = NewValue { value, origin, by: self.actor };
        Ok(secret::store(tx, self.master_keys, owner, new).await?.is_some())
    }

    /// How the stored spec asks for a random value. What this version cannot read is an error: another value made for it would take the
    /// place of one that is in use.
    fn generated_before(&self, row: Option<&ResourceRow>) -> Result<Option<GenerateSpec>, StoreError> {
        let Some(stored) = row.and_then(|row| row.spec.get("generate")) else { return Ok(None) };
        let read = serde_json::from_value(stored.clone());
        read.map(Some).map_err(|why| StoreError::corrupt(format!("spec of {}", self.item.manifest.key), why))
    }

    /// The spec as stored: never with a secret's value, which does not serialise.
    fn spec(&self) -> Result<serde_json::Value, StoreError> {
        let manifest = &self.item.manifest;
        manifest.spec.to_json().map_err(|why| StoreError::corrupt(format!("spec of {}", manifest.key), why))
    }

    /// The keys that the spec refers to, as text, in order.
    fn refs(&self) -> Vec<String> {
        let manifest = &self.item.manifest;
        let mut refs: Vec<_> =
            manifest.spec.references(&manifest.key).iter().map(ToString::to_string).collect();
        refs.sort();
        refs.dedup();
        refs
    }
}

/// The finalizers that a resource is born with: those with objects in the Swarm wait until these are gone (invariant I12).
fn finalizers(kind: Kind) -> Vec<String> {
    kind.has_objects().then(|| finalizer_word(Finalizer::Swarm).to_owned()).into_iter().collect()
}
