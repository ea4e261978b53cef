//! Adoption: an object that Skep did not make is entered into the inventory, by the id that the engine gave it.

use skep_planner::InventoryEntry;
use skep_schemas::{ResourceKey, Uid};

use crate::audit::{self, Actor, Subject, Verb};
use crate::error::{Fault, Operation, StoreError, violated};
use crate::row::resource_query;
use crate::store::Store;

impl Store {
    /// Records that a resource owns these objects from now on. Refused when another one does.
    pub async fn adopt(
        &self,
        key: &ResourceKey,
        owner: Uid,
        objects: &[InventoryEntry],
        actor: &Actor,
    ) -> Result<(), StoreError> {
        self.try_adopt(key, owner, objects, actor).await.map_err(|fault| fault.during(Operation::Safety))
    }

    async fn try_adopt(
        &self,
        key: &ResourceKey,
        owner: Uid,
        objects: &[InventoryEntry],
        actor: &Actor,
    ) -> Result<(), Fault> {
        let mut tx = self.pool().begin().await?;
        let row = resource_query!("WHERE r.uid = $1 FOR UPDATE OF r", owner.uuid());
        let row = row.fetch_optional(&mut *tx).await?.ok_or(StoreError::ResourceGone { uid: owner })?;
        if row.is_deleting() {
            return Err(StoreError::Deleting { key: key.clone() }.into());
        }
        for entry in objects {
            let adopted = sqlx::query!(
                "INSERT INTO inventory (owner, kind, name, object_id) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (owner, kind, name) DO UPDATE SET object_id = excluded.object_id, sent_release = NULL",
                owner.uuid(),
                entry.object.kind.as_str(),
                entry.object.name,
                entry.id
            );
            adopted.execute(&mut *tx).await.map_err(|error| match violated(&error) {
                Some("inventory_object") => {
                    Fault::from(StoreError::ObjectTaken { object: entry.object.clone() })
                }
                _ => error.into(),
            })?;
        }
        audit::record(&mut tx, actor, Verb::Adopt, &Subject::unchanged(key, owner, row.generation)).await?;
        // What removes the resource one day has to wait for what was adopted.
        sqlx::query!(
            "UPDATE resource SET finalizers = array_append(finalizers, 'swarm')
             WHERE uid = $1 AND NOT 'swarm' = ANY (finalizers)",
            owner.uuid()
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }
}
