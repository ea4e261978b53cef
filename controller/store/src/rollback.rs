//! Rollbacks: an environment is returned to a former release, and back to what its manifests ask for.
//!
//! What is written is what is asked of the loop, with what the manifests asked for at that moment, so that the loop can tell when they ask for
//! something else. Refused is at once what could never come about: a release that is not kept, one with a value of a secret that is gone, and more
//! than the organisation's quota. Locks are taken in the order of an apply: the organisation, then the row.

use std::collections::BTreeMap;

use jiff::Timestamp;
use skep_planner::{ReleaseContent, ReleaseVersion};
use skep_schemas::{Generation, Kind, OrgName, ResourceKey, Rollback, Scope};
use sqlx::PgConnection;
use sqlx::types::{Json, Uuid};

use crate::apply::lock_org;
use crate::audit::{self, Actor, Subject, Verb};
use crate::environment;
use crate::error::{Fault, Operation, StoreError};
use crate::quota;
use crate::release::{column, stored_version};
use crate::row::ResourceRow;
use crate::scoped::ScopedStore;
use crate::secret::version_of;

impl ScopedStore {
    /// Returns an environment to a release. Whoever follows the changes is woken.
    pub async fn roll_back(
        &self,
        key: &ResourceKey,
        to: ReleaseVersion,
        actor: &Actor,
    ) -> Result<Rollback, StoreError> {
        self.try_roll_back(key, to, actor).await.map_err(|fault| fault.during(Operation::RollBack))
    }

    async fn try_roll_back(
        &self,
        key: &ResourceKey,
        to: ReleaseVersion,
        actor: &Actor,
    ) -> Result<Rollback, Fault> {
        let missing = || StoreError::ReleaseMissing { key: key.clone(), version: to };
        let mut tx = self.begin().await?;
        let org = environment::org_of(key)?;
        let counted = quota::is_limited(&mut tx, org).await?;
        lock_org(&mut tx, org, counted).await?;
        let row = environment::locked(&mut tx, key).await?;
        let newest = newest(&mut tx, row.uid).await?.ok_or_else(missing)?;
        let content = content(&mut tx, row.uid, to).await?.ok_or_else(missing)?;
        values_are_there(&mut tx, org, &content).await?;
        if counted {
            quota::check_return(&mut tx, org, key, content).await?;
        }
        let standing = row.rollback.as_ref().map(|rollback| rollback.0.instead_of);
        let rollback = Rollback {
            to: to.get(),
            // From one return to the next, what the manifests ask for is the same.
            instead_of: standing.unwrap_or(newest.get()),
            generation: Generation::new(row.generation),
            app_generation: app_generation(&mut tx, key, &row).await?,
            by: actor.as_str().to_owned(),
            since: Timestamp::now(),
        };
        let set =
            sqlx::query!("UPDATE resource SET rollback = $2 WHERE uid = $1", row.uid, Json(&rollback) as _);
        set.execute(&mut *tx).await?;
        record(&mut tx, key, &row, Verb::RollBack, actor).await?;
        tx.commit().await?;
        Ok(rollback)
    }

    /// Lets an environment be what its manifests ask for again. Answers the rollback that stood, if one did.
    pub async fn end_rollback(
        &self,
        key: &ResourceKey,
        actor: &Actor,
    ) -> Result<Option<Rollback>, StoreError> {
        self.try_end_rollback(key, actor).await.map_err(|fault| fault.during(Operation::RollBack))
    }

    async fn try_end_rollback(&self, key: &ResourceKey, actor: &Actor) -> Result<Option<Rollback>, Fault> {
        let mut tx = self.begin().await?;
        let org = environment::org_of(key)?;
        lock_org(&mut tx, org, false).await?;
        let row = environment::locked(&mut tx, key).await?;
        let Some(standing) = &row.rollback else { return Ok(None) };
        let set = sqlx::query!("UPDATE resource SET rollback = NULL WHERE uid = $1", row.uid);
        set.execute(&mut *tx).await?;
        record(&mut tx, key, &row, Verb::EndRollback, actor).await?;
        tx.commit().await?;
        Ok(Some(standing.0.clone()))
    }
}

async fn record(
    tx: &mut PgConnection,
    key: &ResourceKey,
    row: &ResourceRow,
    verb: Verb,
    actor: &Actor,
) -> Result<(), Fault> {
    let subject = Subject::unchanged(key, row.uid(), row.generation);
    Ok(audit::record(tx, actor, verb, &subject).await?)
}

async fn newest(tx: &mut PgConnection, env: Uuid) -> Result<Option<ReleaseVersion>, Fault> {
    let newest = sqlx::query_scalar!("SELECT max(version) FROM release WHERE env_uid = $1", env);
    Ok(newest.fetch_one(tx).await?.map(stored_version).transpose()?)
}

async fn content(
    tx: &mut PgConnection,
    env: Uuid,
    version: ReleaseVersion,
) -> Result<Option<ReleaseContent>, Fault> {
    let content = sqlx::query_scalar!(
        r#"SELECT content AS "content: Json<ReleaseContent>" FROM release WHERE env_uid = $1 AND version = $2"#,
        env,
        column(version)?
    );
    Ok(content.fetch_optional(tx).await?.map(|content| content.0))
}

/// Fails if a value that the release has is not kept any more, because its Secret was deleted.
async fn values_are_there(
    tx: &mut PgConnection,
    org: &OrgName,
    content: &ReleaseContent,
) -> Result<(), Fault> {
    let named: BTreeMap<&str, u32> =
        content.secrets.iter().map(|secret| (secret.name.as_str(), secret.version)).collect();
    let names: Vec<String> = named.keys().map(|name| (*name).to_owned()).collect();
    let rows = sqlx::query!(
        "SELECT r.name, v.version FROM resource r JOIN secret_version v ON v.uid = r.uid
         WHERE r.org = $1 AND r.kind = 'Secret' AND r.name = ANY($2) AND r.deletion_requested_at IS NULL",
        org.as_str(),
        &names
    );
    let mut kept = Vec::new();
    for row in rows.fetch_all(tx).await? {
        kept.push((row.name, version_of(row.version)?));
    }
    let is_kept = |name: &str, version| kept.iter().any(|(known, kept)| known == name && *kept == version);
    match content.secrets.iter().find(|secret| !is_kept(secret.name.as_str(), secret.version)) {
        None => Ok(()),
        Some(gone) => {
            let scope = Scope::Org(org.clone());
            let key = ResourceKey::new(scope, Kind::Secret, gone.name.clone());
            let key = key.map_err(|why| StoreError::corrupt(format!("secret {}", gone.name), why))?;
            Err(StoreError::SecretVersionMissing { key, version: gone.version }.into())
        }
    }
}

async fn app_generation(
    tx: &mut PgConnection,
    key: &ResourceKey,
    row: &ResourceRow,
) -> Result<Option<Generation>, Fault> {
    let app = row.spec.get("app").and_then(serde_json::Value::as_str);
    let generation = sqlx::query_scalar!(
        "SELECT generation FROM resource WHERE org = $1 AND kind = 'App' AND name = $2",
        key.org().map(|org| org.as_str()),
        app
    );
    Ok(generation.fetch_optional(tx).await?.map(Generation::new))
}
