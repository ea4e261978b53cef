//! Status: what the controller reports, written only when it says something new.

use serde_json::Value;
use skep_schemas::{Generation, Uid};

use crate::error::{Fault, Operation, StoreError};
use crate::lease::Fence;
use crate::store::Store;

impl Store {
    /// Reports a status. Was it written? Not when it is what is stored already, and not when the resource is gone. Which pass says it
    /// (`reconcileId`) is no difference: a status names the pass that last changed it.
    ///
    /// Times of transitions are the caller's: it keeps the stored ones where a condition says the same, or every report is new.
    pub async fn write_status(
        &self,
        fence: &Fence,
        uid: Uid,
        observed_generation: Generation,
        status: &Value,
    ) -> Result<bool, StoreError> {
        self.try_write_status(fence, uid, observed_generation, status)
            .await
            .map_err(|fault| fault.during(Operation::Status))
    }

    async fn try_write_status(
        &self,
        fence: &Fence,
        uid: Uid,
        observed_generation: Generation,
        status: &Value,
    ) -> Result<bool, Fault> {
        let mut tx = self.pool().begin().await?;
        fence.check(&mut tx).await?;
        // The row is held so that it cannot go between the look and the write.
        let written = sqlx::query!(
            "INSERT INTO resource_status AS s (uid, observed_generation, status)
             SELECT uid, $2, $3 FROM resource WHERE uid = $1 FOR KEY SHARE
             ON CONFLICT (uid) DO UPDATE
             SET observed_generation = excluded.observed_generation, status = excluded.status, updated_at = now()
             WHERE (s.observed_generation, s.status - 'reconcileId')
                 IS DISTINCT FROM (excluded.observed_generation, excluded.status - 'reconcileId')",
            uid.uuid(),
            observed_generation.get(),
            status
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(written.rows_affected() > 0)
    }
}
