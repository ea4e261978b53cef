//! The end of a resource: its finalizer goes when the inventory says that nothing is left, and the row with it.

use skep_schemas::{Finalizer, Kind, Uid};

use crate::error::{Fault, Operation, StoreError};
use crate::journal::interrupted;
use crate::lease::Fence;
use crate::row::{finalizer_word, resource_query};
use crate::store::Store;

/// What finalising did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finalized {
    /// The row is gone now.
    Removed,
    /// It was gone already.
    Absent,
    /// The row stays: another finalizer holds it.
    Held,
}

impl Store {
    /// Takes away the Swarm's finalizer and removes the row if it was the last. Refused while the inventory has objects of the
    /// resource, while an organisation has resources, and when nobody asked for deletion.
    pub async fn finalize(&self, fence: &Fence, uid: Uid) -> Result<Finalized, StoreError> {
        self.try_finalize(fence, uid).await.map_err(|fault| fault.during(Operation::Finalize))
    }

    async fn try_finalize(&self, fence: &Fence, uid: Uid) -> Result<Finalized, Fault> {
        let mut tx = self.pool().begin().await?;
        fence.check(&mut tx).await?;
        let row =
            resource_query!("WHERE r.uid = $1 FOR UPDATE OF r", uid.uuid()).fetch_optional(&mut *tx).await?;
        let Some(row) = row else { return Ok(Finalized::Absent) };
        if !row.is_deleting() {
            return Err(StoreError::NotDeleting { uid }.into());
        }
        let objects =
            sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM inventory WHERE owner = $1"#, uid.uuid())
                .fetch_one(&mut *tx)
                .await?;
        if objects > 0 {
            return Err(StoreError::StillOwns { uid, objects }.into());
        }
        if row.key()?.kind() == Kind::Organization {
            let resources =
                sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM resource WHERE org = $1"#, row.name)
                    .fetch_one(&mut *tx)
                    .await?;
            if resources > 0 {
                return Err(StoreError::OrgNotEmpty { org: row.name, resources }.into());
            }
        }
        let left = sqlx::query_scalar!(
            r#"UPDATE resource SET finalizers = array_remove(finalizers, $2) WHERE uid = $1
               RETURNING cardinality(finalizers) AS "left!""#,
            uid.uuid(),
            finalizer_word(Finalizer::Swarm)
        )
        .fetch_one(&mut *tx)
        .await?;
        if left == 0 {
            // No pass comes after this one that would find a plan left open.
            interrupted::close_those_of(&mut tx, &[uid.uuid()]).await?;
            sqlx::query!("DELETE FROM resource WHERE uid = $1", uid.uuid()).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(if left == 0 { Finalized::Removed } else { Finalized::Held })
    }
}
