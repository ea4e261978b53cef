//! Plans that nobody carries out any more: closed as what they are, so that the journal does not tell of work that is none.
//!
//! One pass at a time works on a resource, and only under the newest epoch of its lease. So whatever is open when the resource gets
//! its next plan, when a pass finds nothing left to do, when its row goes, or under an epoch that its lease has left, was cut off.
//! Of a step that had been started nobody knows whether it had its effect; those after it were not tried.

use skep_schemas::Uid;
use sqlx::PgConnection;
use sqlx::types::Uuid;

use crate::error::{Fault, Operation, StoreError};
use crate::lease::Fence;
use crate::store::Store;

/// What is said of a step whose answer nobody waited for.
const WHY: &str = "the controller ended, or lost the database, before the outcome was recorded";
/// The most plans that are closed at once: far more than one process has under way. What is left is closed by the next plan.
const CLOSED_MAX: i64 = 10_000;

impl Store {
    /// Closes the plans that former holders of any lease left open; the fence is that of whoever looks after the whole cluster. How
    /// many were there?
    pub async fn close_interrupted(&self, fence: &Fence) -> Result<u64, StoreError> {
        self.try_close(fence).await.map_err(|fault| fault.during(Operation::Step))
    }

    /// Closes whatever is open of a resource that no pass is at work on but the one that asks.
    pub async fn close_open(&self, fence: &Fence, uid: Uid) -> Result<(), StoreError> {
        self.try_close_open(fence, uid).await.map_err(|fault| fault.during(Operation::Step))
    }

    async fn try_close_open(&self, fence: &Fence, uid: Uid) -> Result<(), Fault> {
        let mut tx = self.pool().begin().await?;
        fence.check(&mut tx).await?;
        close_those_of(&mut tx, &[uid.uuid()]).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn try_close(&self, fence: &Fence) -> Result<u64, Fault> {
        let mut tx = self.pool().begin().await?;
        fence.check(&mut tx).await?;
        let open = sqlx::query_scalar!(
            "SELECT p.id FROM plan p JOIN lease l ON l.name = p.lease
             WHERE p.finished_at IS NULL AND p.epoch < l.epoch ORDER BY p.id LIMIT $1",
            CLOSED_MAX
        )
        .fetch_all(&mut *tx)
        .await?;
        close(&mut tx, &open).await?;
        tx.commit().await?;
        Ok(u64::try_from(open.len()).unwrap_or(u64::MAX))
    }
}

/// Closes whatever is open of these resources.
pub(crate) async fn close_those_of(tx: &mut PgConnection, uids: &[Uuid]) -> Result<(), Fault> {
    let open = sqlx::query_scalar!("SELECT id FROM plan WHERE uid = ANY($1) AND finished_at IS NULL", uids)
        .fetch_all(&mut *tx)
        .await?;
    if open.is_empty() { Ok(()) } else { close(tx, &open).await }
}

async fn close(tx: &mut PgConnection, plans: &[i64]) -> Result<(), Fault> {
    sqlx::query!(
        "UPDATE plan_step SET state = CASE state WHEN 'started' THEN 'unknown' ELSE 'skipped' END,
                why = CASE state WHEN 'started' THEN $2 END, finished_at = now()
         WHERE plan = ANY($1) AND state IN ('planned', 'started')",
        plans,
        WHY
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!("UPDATE plan SET finished_at = now(), outcome = 'interrupted' WHERE id = ANY($1)", plans)
        .execute(tx)
        .await?;
    Ok(())
}
