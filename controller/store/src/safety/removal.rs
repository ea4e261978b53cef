//! Removals: what is due, what was removed a moment ago, and what someone has confirmed.

use std::time::Duration;

use skep_planner::safety::{RemovalLimits, Removals};
use skep_schemas::Uid;
use sqlx::PgConnection;

use crate::audit::Actor;
use crate::error::{Fault, Operation, StoreError};
use crate::snapshot::Snapshot;
use crate::store::Store;

/// How many owners of what is due are named.
const EXAMPLES: i32 = 20;

/// Has whoever asks for a deletion said that it is meant, however much goes with it?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Confirmation {
    /// No: the brake counts it.
    #[default]
    Pending,
    /// Yes: the brake does not.
    Given,
}

impl Store {
    /// What is to be removed. An orphan is due after its grace period.
    pub async fn removals(
        &self,
        limits: RemovalLimits,
        orphan_grace: Duration,
    ) -> Result<Removals, StoreError> {
        let mut connection = self.pool().acquire().await.map_err(|error| fault(error.into()))?;
        count(&mut connection, limits, orphan_grace).await.map_err(fault)
    }
}

impl Snapshot {
    /// What is to be removed, as this moment has it: in a rehearsal, what would be.
    pub async fn removals(
        &mut self,
        limits: RemovalLimits,
        orphan_grace: Duration,
    ) -> Result<Removals, StoreError> {
        count(self.connection(), limits, orphan_grace).await.map_err(fault)
    }
}

async fn count(
    tx: &mut PgConnection,
    limits: RemovalLimits,
    orphan_grace: Duration,
) -> Result<Removals, Fault> {
    let row = sqlx::query!(
        // A function, because a tenant's preview asks as well, and all that is to be removed is not the tenant's to see.
        r#"SELECT managed AS "managed!", due AS "due!", recent AS "recent!", examples AS "examples!" FROM removals($1, $2, $3)"#,
        limits.window.as_secs_f64(),
        orphan_grace.as_secs_f64(),
        EXAMPLES
    )
    .fetch_one(tx)
    .await?;
    let number = |count: i64| u64::try_from(count).unwrap_or(0);
    Ok(Removals {
        managed: number(row.managed),
        due: number(row.due),
        recent: number(row.recent),
        examples: row.examples,
    })
}

/// Confirms everything that a resource owns, now and until it is gone.
pub(crate) async fn confirm_all_of(tx: &mut PgConnection, owner: Uid, actor: &Actor) -> Result<(), Fault> {
    sqlx::query!(
        "INSERT INTO confirmed_removal (owner, confirmed_by) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        owner.uuid(),
        actor.as_str()
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Confirms what is due now: whole resources that are being deleted, single services of others, and the orphans that are listed.
pub(super) async fn confirm_due(tx: &mut PgConnection, actor: &Actor) -> Result<(), Fault> {
    sqlx::query!(
        "INSERT INTO confirmed_removal (owner, confirmed_by)
         SELECT uid, $1 FROM resource WHERE deletion_requested_at IS NOT NULL ON CONFLICT DO NOTHING",
        actor.as_str()
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        r#"INSERT INTO confirmed_removal (owner, kind, name, confirmed_by)
           SELECT owner, kind, name, $1 FROM due_removal ON CONFLICT DO NOTHING"#,
        actor.as_str()
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!("UPDATE orphan SET confirmed = true WHERE NOT confirmed").execute(&mut *tx).await?;
    Ok(())
}

fn fault(fault: Fault) -> StoreError {
    fault.during(Operation::Safety)
}
