//! Orphans: seen first, seen last, collected.

use jiff::Timestamp;
use skep_planner::safety::FoundObject;
use skep_planner::swarm::Labels;
use skep_planner::{ObjectKind, ObjectRef};
use skep_schemas::Uid;
use sqlx::PgConnection;
use sqlx::types::{Json, Uuid};

use crate::error::{Fault, Operation, StoreError};
use crate::lease::Fence;
use crate::snapshot::Snapshot;
use crate::store::Store;
use crate::time::Time;

/// The most objects that are entered into the inventory again at a time; the rest follows with the next survey.
pub const RECOVERED_MAX: usize = 1000;

/// An object of ours that the inventory does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// The object.
    pub found: FoundObject,
    /// When it was first seen.
    pub first_seen_at: Timestamp,
    /// Has someone confirmed that it goes?
    pub confirmed: bool,
}

pub(super) async fn all(tx: &mut PgConnection) -> Result<Vec<Orphan>, Fault> {
    let rows = sqlx::query!(
        r#"SELECT object_id, kind, name, labels AS "labels: Json<Labels>", first_seen_at AS "first_seen_at: Time",
                  confirmed FROM orphan ORDER BY first_seen_at, kind, name, object_id"#
    );
    let mut orphans = Vec::new();
    for row in rows.fetch_all(tx).await? {
        let kind = ObjectKind::from_word(&row.kind)
            .ok_or_else(|| StoreError::corrupt(format!("orphan {}", row.object_id), "unknown kind"))?;
        let object = ObjectRef::new(kind, row.name);
        orphans.push(Orphan {
            found: FoundObject { object, id: row.object_id, labels: row.labels.0 },
            first_seen_at: row.first_seen_at.0,
            confirmed: row.confirmed,
        });
    }
    Ok(orphans)
}

impl Snapshot {
    /// The orphans that the last survey saw, oldest first.
    pub async fn orphans(&mut self) -> Result<Vec<Orphan>, StoreError> {
        all(self.connection()).await.map_err(fault)
    }
}

impl Store {
    /// The orphans that the last survey saw, oldest first.
    pub async fn orphans(&self) -> Result<Vec<Orphan>, StoreError> {
        self.snapshot().await?.orphans().await
    }

    /// Records what a survey saw: new orphans from now on, those that are no longer there not any more.
    pub async fn record_orphans(&self, fence: &Fence, seen: &[FoundObject]) -> Result<(), StoreError> {
        self.try_record_orphans(fence, seen).await.map_err(fault)
    }

    async fn try_record_orphans(&self, fence: &Fence, seen: &[FoundObject]) -> Result<(), Fault> {
        let mut tx = self.pool().begin().await?;
        fence.check(&mut tx).await?;
        let ids: Vec<String> = seen.iter().map(|found| found.id.clone()).collect();
        sqlx::query!("DELETE FROM orphan WHERE object_id <> ALL($1)", &ids).execute(&mut *tx).await?;
        for found in seen {
            sqlx::query!(
                "INSERT INTO orphan (object_id, kind, name, labels) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (object_id) DO NOTHING",
                found.id,
                found.object.kind.as_str(),
                found.object.name,
                Json(&found.labels) as _
            )
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// May this orphan be removed now? Not when its name has come into the inventory in the meantime.
    pub async fn may_collect(&self, fence: &Fence, orphan: &ObjectRef) -> Result<bool, StoreError> {
        self.try_may_collect(fence, orphan).await.map_err(fault)
    }

    async fn try_may_collect(&self, fence: &Fence, orphan: &ObjectRef) -> Result<bool, Fault> {
        let mut tx = self.pool().begin().await?;
        fence.check(&mut tx).await?;
        let known = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM inventory WHERE kind = $1 AND name = $2) AS "known!""#,
            orphan.kind.as_str(),
            orphan.name
        );
        Ok(!known.fetch_one(&mut *tx).await?)
    }

    /// Forgets an orphan that was collected.
    pub async fn forget_orphan(&self, id: &str) -> Result<(), StoreError> {
        let forgotten =
            sqlx::query!("DELETE FROM orphan WHERE object_id = $1", id).execute(self.pool()).await;
        forgotten.map(drop).map_err(|error| fault(error.into()))
    }

    /// Enters objects into the inventory again whose owners look after them: their entries were lost.
    pub async fn recover_inventory(
        &self,
        fence: &Fence,
        objects: &[(Uid, FoundObject)],
    ) -> Result<(), StoreError> {
        if objects.is_empty() {
            return Ok(());
        }
        self.try_recover(fence, objects).await.map_err(fault)
    }

    async fn try_recover(&self, fence: &Fence, objects: &[(Uid, FoundObject)]) -> Result<(), Fault> {
        let mut tx = self.pool().begin().await?;
        fence.check(&mut tx).await?;
        for (owner, found) in objects.iter().take(RECOVERED_MAX) {
            let owner: Uuid = owner.uuid();
            // The owner may be gone, and the name may have come back in the meantime: both mean that there is nothing to do.
            sqlx::query!(
                "INSERT INTO inventory (owner, kind, name, object_id, sent_release)
                 SELECT uid, $2, $3, $4, $5 FROM resource WHERE uid = $1 ON CONFLICT DO NOTHING",
                owner,
                found.object.kind.as_str(),
                found.object.name,
                found.id,
                found.release().and_then(|release| i32::try_from(release.get()).ok())
            )
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

fn fault(fault: Fault) -> StoreError {
    fault.during(Operation::Safety)
}
