//! Leases: who does the work, and the fence that keeps a former holder from writing.
//!
//! All times are the database's. A lease saves work and protects Postgres; correctness never depends on it, because the
//! Swarm cannot check an epoch. A holder stops by its own clock well before the lease can pass to another, and if it does
//! not, its writes find the epoch moved.

use std::time::Duration;

use sqlx::PgConnection;

use crate::error::{Fault, Operation, StoreError};
use crate::store::Store;

/// The right to write, valid until the lease has another holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    name: String,
    epoch: i64,
}

impl Fence {
    /// The lease.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Rises with every change of hands.
    pub const fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Fails if the lease has moved on. Holds it in place until the transaction ends: a takeover waits for the write, or
    /// the write for the takeover, and then it fails.
    pub(crate) async fn check(&self, tx: &mut PgConnection) -> Result<(), Fault> {
        let held = sqlx::query_scalar!(
            "SELECT 1 FROM lease WHERE name = $1 AND epoch = $2 FOR SHARE",
            self.name,
            self.epoch
        );
        match held.fetch_optional(tx).await? {
            Some(_) => Ok(()),
            None => Err(self.lost().into()),
        }
    }

    fn lost(&self) -> StoreError {
        StoreError::Fenced { name: self.name.clone(), epoch: self.epoch }
    }
}

impl Store {
    /// Takes a lease that is free or has expired; `None` while another holder has it.
    pub async fn acquire_lease(
        &self,
        name: &str,
        holder: &str,
        ttl: Duration,
    ) -> Result<Option<Fence>, StoreError> {
        let epoch = sqlx::query_scalar!(
            "INSERT INTO lease (name, holder, epoch, expires_at)
             VALUES ($1, $2, 1, clock_timestamp() + make_interval(secs => $3))
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, epoch = lease.epoch + 1,
                 expires_at = clock_timestamp() + make_interval(secs => $3)
             WHERE lease.expires_at < clock_timestamp()
             RETURNING epoch",
            name,
            holder,
            ttl.as_secs_f64()
        )
        .fetch_optional(self.pool())
        .await
        .map_err(lease_fault)?;
        Ok(epoch.map(|epoch| Fence { name: name.to_owned(), epoch }))
    }

    /// Keeps a lease for another while.
    pub async fn renew_lease(&self, fence: &Fence, ttl: Duration) -> Result<(), StoreError> {
        let renewed = sqlx::query!(
            "UPDATE lease SET expires_at = clock_timestamp() + make_interval(secs => $3)
             WHERE name = $1 AND epoch = $2",
            fence.name,
            fence.epoch,
            ttl.as_secs_f64()
        )
        .execute(self.pool())
        .await
        .map_err(lease_fault)?;
        if renewed.rows_affected() == 0 { Err(fence.lost()) } else { Ok(()) }
    }

    /// Gives a lease up, so that another can take it at once. Nothing happens if it has moved on.
    pub async fn release_lease(&self, fence: &Fence) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE lease SET holder = '', expires_at = '-infinity', epoch = epoch + 1 WHERE name = $1 AND epoch = $2",
            fence.name,
            fence.epoch
        )
        .execute(self.pool())
        .await
        .map(drop)
        .map_err(lease_fault)
    }
}

fn lease_fault(error: sqlx::Error) -> StoreError {
    Fault::from(error).during(Operation::Lease)
}
