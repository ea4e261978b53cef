//! Asking that a release be cancelled. It is written into the release's row, once; the environment's reconcile gives the verdict.

use skep_planner::{ReleaseVersion, Verdict};
use skep_schemas::ResourceKey;

use crate::audit::{self, Actor, Subject, Verb};
use crate::environment;
use crate::error::{Fault, Operation, StoreError};
use crate::release::{column, verdict};
use crate::scoped::ScopedStore;

impl ScopedStore {
    /// Asks that a release be cancelled that is being rolled out. Whoever follows the changes is woken. Who asked first is who cancelled it.
    pub async fn cancel_release(
        &self,
        key: &ResourceKey,
        version: ReleaseVersion,
        actor: &Actor,
    ) -> Result<(), StoreError> {
        self.try_cancel(key, version, actor).await.map_err(|fault| fault.during(Operation::Cancel))
    }

    async fn try_cancel(
        &self,
        key: &ResourceKey,
        version: ReleaseVersion,
        actor: &Actor,
    ) -> Result<(), Fault> {
        let mut tx = self.begin().await?;
        // Verdicts are given under this lock, too.
        let locked = environment::locked(&mut tx, key).await?;
        let row = sqlx::query!(
            "SELECT verdict, reason, cancelled_by FROM release WHERE env_uid = $1 AND version = $2",
            locked.uid,
            column(version)?
        );
        let missing = || StoreError::ReleaseMissing { key: key.clone(), version };
        let row = row.fetch_optional(&mut *tx).await?.ok_or_else(missing)?;
        let went = verdict(&row.verdict, row.reason)
            .ok_or_else(|| StoreError::corrupt(format!("release {version} of {key}"), "unknown verdict"))?;
        if went != Verdict::Pending {
            return Err(StoreError::ReleaseOver { key: key.clone(), version, went: went.as_str() }.into());
        }
        if row.cancelled_by.is_some() {
            return Ok(());
        }
        let set = sqlx::query!(
            "UPDATE release SET cancelled_by = $3, cancelled_at = clock_timestamp() WHERE env_uid = $1 AND version = $2",
            locked.uid,
            column(version)?,
            actor.as_str()
        );
        set.execute(&mut *tx).await?;
        let subject = Subject::unchanged(key, locked.uid(), locked.generation);
        audit::record(&mut tx, actor, Verb::Cancel, &subject).await?;
        tx.commit().await?;
        Ok(())
    }
}
