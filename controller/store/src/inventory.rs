//! The inventory: intent before effect, and forgotten only after confirmed absence (invariant I3).

use std::collections::HashMap;
use std::net::Ipv4Addr;

use skep_planner::swarm::ServiceSpec;
use skep_planner::{InventoryEntry, Learned, ObjectKind, ObjectRef, Op, ReleaseVersion, Step};
use skep_schemas::Uid;
use sqlx::PgConnection;
use sqlx::types::{Json, Uuid};

use crate::error::{Fault, Operation, StoreError, violated};
use crate::lease::Fence;
use crate::release::stored_version;
use crate::store::Store;

impl Store {
    /// Removes entries whose objects were seen to be absent.
    pub async fn forget(&self, fence: &Fence, owner: Uid, objects: &[ObjectRef]) -> Result<(), StoreError> {
        if objects.is_empty() {
            return Ok(());
        }
        self.try_forget(fence, owner, objects).await.map_err(|fault| fault.during(Operation::Forget))
    }

    async fn try_forget(&self, fence: &Fence, owner: Uid, objects: &[ObjectRef]) -> Result<(), Fault> {
        let mut tx = self.pool().begin().await?;
        fence.check(&mut tx).await?;
        let kinds: Vec<_> = objects.iter().map(|object| object.kind.as_str().to_owned()).collect();
        let names: Vec<_> = objects.iter().map(|object| object.name.clone()).collect();
        sqlx::query!(
            "DELETE FROM inventory
             WHERE owner = $1 AND (kind, name) IN (SELECT * FROM unnest($2::text[], $3::text[]))",
            owner.uuid(),
            &kinds,
            &names
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }
}

impl Store {
    /// Notes what was found of objects that are as they should be: their ids, and the specs that they have.
    pub async fn learn(&self, fence: &Fence, owner: Uid, learned: &[Learned]) -> Result<(), StoreError> {
        if learned.is_empty() {
            return Ok(());
        }
        self.try_learn(fence, owner, learned).await.map_err(|fault| fault.during(Operation::Learn))
    }

    async fn try_learn(&self, fence: &Fence, owner: Uid, learned: &[Learned]) -> Result<(), Fault> {
        let mut tx = self.pool().begin().await?;
        fence.check(&mut tx).await?;
        for one in learned {
            sqlx::query!(
                "INSERT INTO inventory (owner, kind, name, object_id, applied, address)
                 SELECT r.uid, $2, $3, $4, $5, coalesce($6::text::inet, i.address) FROM resource r
                 LEFT JOIN inventory i ON i.owner = r.uid AND i.kind = $2 AND i.name = $3
                 WHERE r.uid = $1 FOR KEY SHARE OF r
                 ON CONFLICT (owner, kind, name) DO UPDATE
                 SET object_id = excluded.object_id, applied = coalesce(excluded.applied, inventory.applied)",
                owner.uuid(),
                one.object.kind.as_str(),
                one.object.name,
                one.id,
                one.applied.as_ref().map(Json) as _,
                one.address.map(|address| address.to_string())
            )
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

/// That Skep answers for the object of a step, as columns: one that it is about to bring about, or a service that it changes.
pub(crate) struct Intent {
    owner: Uid,
    object: ObjectRef,
    address: Option<Ipv4Addr>,
}

impl Intent {
    /// What is to be noted before a step, if anything is.
    pub(crate) fn of(owner: Uid, step: &Step) -> Option<Self> {
        if !step.op.creates() && !matches!(step.op, Op::UpdateService { .. }) {
            return None;
        }
        let address = match &step.op {
            Op::ConnectEdge { address, .. } => Some(*address),
            _ => None,
        };
        Some(Self { owner, object: step.object.clone(), address })
    }

    /// Which of its own rules the note has violated.
    fn fault(&self, error: sqlx::Error) -> Fault {
        let owner = self.owner;
        match (violated(&error), self.address) {
            (Some("inventory_address"), Some(address)) => StoreError::AddressTaken { owner, address }.into(),
            (Some("inventory_object"), _) => StoreError::ObjectTaken { object: self.object.clone() }.into(),
            (Some("inventory_owner_fkey"), _) => StoreError::ResourceGone { uid: owner }.into(),
            _ => error.into(),
        }
    }
}

/// Notes intents, together or each apart: then an error names the object that it is about.
pub(crate) async fn intend_all(tx: &mut PgConnection, intents: &[&Intent], apart: bool) -> Result<(), Fault> {
    let at_once = if apart { 1 } else { intents.len().max(1) };
    for some in intents.chunks(at_once) {
        let Some(first) = some.first() else { continue };
        intend(tx, some).await.map_err(|error| first.fault(error))?;
    }
    Ok(())
}

async fn intend(tx: &mut PgConnection, intents: &[&Intent]) -> Result<(), sqlx::Error> {
    let owners: Vec<Uuid> = intents.iter().map(|intent| intent.owner.uuid()).collect();
    let kinds: Vec<String> = intents.iter().map(|intent| intent.object.kind.as_str().to_owned()).collect();
    let names: Vec<String> = intents.iter().map(|intent| intent.object.name.clone()).collect();
    let addresses: Vec<Option<String>> =
        intents.iter().map(|intent| intent.address.map(|address| address.to_string())).collect();
    sqlx::query!(
        "INSERT INTO inventory (owner, kind, name, address)
         SELECT owner, kind, name, address::inet
         FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) AS t (owner, kind, name, address)
         ON CONFLICT (owner, kind, name) DO UPDATE SET address = excluded.address
         WHERE inventory.address IS DISTINCT FROM excluded.address",
        &owners,
        &kinds,
        &names,
        &addresses as _
    )
    .execute(tx)
    .await
    .map(drop)
}

/// What resources own, by kind and name.
pub(crate) async fn of_owners(
    tx: &mut PgConnection,
    owners: &[Uuid],
) -> Result<HashMap<Uuid, Vec<InventoryEntry>>, Fault> {
    let rows = sqlx::query!(
        r#"SELECT owner, kind, name, object_id, sent_release, host(address) AS address, applied AS "applied: Json<Box<ServiceSpec>>"
         FROM inventory WHERE owner = ANY($1) ORDER BY kind, name"#,
        owners
    )
    .fetch_all(tx)
    .await?;
    let mut found: HashMap<Uuid, Vec<InventoryEntry>> =
        owners.iter().map(|owner| (*owner, Vec::new())).collect();
    for row in rows {
        let corrupt = |why: &dyn std::fmt::Display| {
            StoreError::corrupt(format!("inventory of {}: {} {}", row.owner, row.kind, row.name), why)
        };
        let kind = ObjectKind::from_word(&row.kind).ok_or_else(|| corrupt(&"unknown kind"))?;
        let address: Option<Ipv4Addr> =
            row.address.as_deref().map(str::parse).transpose().map_err(|why| corrupt(&why))?;
        let sent_release: Option<ReleaseVersion> = row.sent_release.map(stored_version).transpose()?;
        found.entry(row.owner).or_default().push(InventoryEntry {
            owner: Uid::from_uuid(row.owner),
            object: ObjectRef::new(kind, row.name),
            id: row.object_id,
            sent_release,
            address,
            applied: row.applied.map(|applied| applied.0),
        });
    }
    Ok(found)
}
