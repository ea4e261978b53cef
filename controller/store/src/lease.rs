//! Leases: who does the work, and the fence that keeps a former holder from writing.
//!
//! All times are the database's. A lease saves work and protects Postgres; correctness never depends on it, because the
//! Swarm cannot check an epoch. A holder stops by its own clock well before the lease can pass to another, and if it does
//! not, its writes find the epoch moved.
//!
//! A write holds its lease's row until it commits, in a way that a change of hands conflicts with and a renewal does not
//! (see the migration of the members): a lease is renewed on time however slow the writes under it are. Several leases
//! change in the order of their names, so that two members never wait for each other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sqlx::{Executor, PgConnection, Postgres};

use crate::error::{Fault, Operation, StoreError};
use crate::store::Store;

/// The channel that tells members that leases became free.
pub(crate) const RELEASED: &str = "skep_leases";

/// The right to write, valid until the lease has another holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    name: String,
    epoch: i64,
    /// The pass in whose name is written, as logs and traces call it.
    pass: Option<String>,
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

    /// The same right, exercised by one pass: what is recorded under it carries the pass's id.
    #[must_use]
    pub fn in_pass(&self, id: impl std::fmt::Display) -> Self {
        Self { pass: Some(id.to_string()), ..self.clone() }
    }

    /// The pass in whose name is written.
    pub fn pass(&self) -> Option<&str> {
        self.pass.as_deref()
    }

    /// Fails if the lease has moved on. Holds it in place until the transaction ends: a takeover waits for the write, or
    /// the write for the takeover, and then it fails.
    ///
    /// A process that is stopped in the middle of its transaction must not hold the lease for long, so such a transaction
    /// may be idle for a few seconds only; the statement sets that on its way.
    pub(crate) async fn check(&self, tx: &mut PgConnection) -> Result<(), Fault> {
        let held = sqlx::query_scalar!(
            "SELECT set_config('idle_in_transaction_session_timeout', '4s', true) FROM lease
             WHERE name = $1 AND epoch = $2 FOR KEY SHARE",
            self.name,
            self.epoch
        );
        match held.fetch_optional(tx).await? {
            Some(_) => Ok(()),
            None => Err(self.lost().into()),
        }
    }

    /// The same for several leases at once, in the order of their names: fails if one of them has moved on. From here on the transaction
    /// waits for locks no longer than said, if that is said.
    pub(crate) async fn check_all<'a>(
        tx: &mut PgConnection,
        fences: impl Iterator<Item = &'a Self>,
        lock_timeout: Option<Duration>,
    ) -> Result<(), Fault> {
        let distinct: BTreeMap<(&str, i64), &Self> =
            fences.map(|fence| ((fence.name.as_str(), fence.epoch), fence)).collect();
        let names: Vec<String> = distinct.keys().map(|(name, _)| (*name).to_owned()).collect();
        let epochs: Vec<i64> = distinct.keys().map(|(_, epoch)| *epoch).collect();
        let held = sqlx::query!(
            r#"SELECT lease.name, lease.epoch, set_config('idle_in_transaction_session_timeout', '4s', true) AS "idle",
                   set_config('lock_timeout', coalesce($3, current_setting('lock_timeout')), true) AS "lock"
               FROM lease JOIN unnest($1::text[], $2::bigint[]) AS mine (name, epoch) USING (name, epoch)
               ORDER BY lease.name FOR KEY SHARE OF lease"#,
            &names,
            &epochs,
            lock_timeout.map(|timeout| format!("{}ms", timeout.as_millis()))
        );
        let held = held.fetch_all(tx).await?;
        let held: BTreeSet<(&str, i64)> = held.iter().map(|row| (row.name.as_str(), row.epoch)).collect();
        match distinct.into_iter().find(|(lease, _)| !held.contains(lease)) {
            None => Ok(()),
            Some((_, fence)) => Err(fence.lost().into()),
        }
    }

    fn lost(&self) -> StoreError {
        StoreError::Fenced { name: self.name.clone(), epoch: self.epoch }
    }
}

/// Takes those of the leases that are free or have expired. One whose former holder is still writing is left for later.
pub(crate) async fn take<'c>(
    connection: impl Executor<'c, Database = Postgres>,
    names: &[String],
    holder: &str,
    ttl: Duration,
) -> Result<Vec<Fence>, Fault> {
    let taken = sqlx::query_as!(
        Fence,
        r#"WITH expired AS (
               SELECT name FROM lease WHERE name = ANY($1) AND expires_at < clock_timestamp()
               ORDER BY name FOR UPDATE SKIP LOCKED
           ), taken AS (
               UPDATE lease SET holder = $2, epoch = lease.epoch + 1,
                   expires_at = clock_timestamp() + make_interval(secs => $3)
               FROM expired WHERE lease.name = expired.name
               RETURNING lease.name, lease.epoch
           ), made AS (
               INSERT INTO lease (name, holder, epoch, expires_at)
               SELECT wanted, $2, 1, clock_timestamp() + make_interval(secs => $3)
               FROM unnest($1) AS wanted WHERE NOT EXISTS (SELECT FROM lease WHERE name = wanted) ORDER BY wanted
               ON CONFLICT DO NOTHING
               RETURNING name, epoch
           )
           SELECT name AS "name!", epoch AS "epoch!", NULL::text AS pass FROM taken
           UNION ALL SELECT name, epoch, NULL FROM made ORDER BY 1"#,
        names,
        holder,
        ttl.as_secs_f64()
    );
    Ok(taken.fetch_all(connection).await?)
}

/// Gives leases up and tells the other members. Those that have moved on are left alone.
pub(crate) async fn release<'c>(
    connection: impl Executor<'c, Database = Postgres>,
    fences: &[Fence],
) -> Result<(), Fault> {
    let (names, epochs) = columns(fences);
    sqlx::query!(
        r#"WITH held AS (
               SELECT lease.name FROM lease JOIN unnest($1::text[], $2::bigint[]) AS mine (name, epoch) USING (name, epoch)
               ORDER BY lease.name FOR UPDATE OF lease
           ), released AS (
               UPDATE lease SET holder = '', expires_at = '-infinity', epoch = lease.epoch + 1
               FROM held WHERE lease.name = held.name
           )
           SELECT pg_notify($3, '') AS "told""#,
        &names,
        &epochs,
        RELEASED
    )
    .fetch_all(connection)
    .await?;
    Ok(())
}

/// Names and epochs as a statement takes them.
pub(crate) fn columns(fences: &[Fence]) -> (Vec<String>, Vec<i64>) {
    fences.iter().map(|fence| (fence.name.clone(), fence.epoch)).unzip()
}

impl Store {
    /// Takes a lease that is free or has expired; `None` while another holder has it.
    pub async fn acquire_lease(
        &self,
        name: &str,
        holder: &str,
        ttl: Duration,
    ) -> Result<Option<Fence>, StoreError> {
        let taken = take(self.pool(), &[name.to_owned()], holder, ttl).await;
        Ok(taken.map_err(|fault| fault.during(Operation::Lease))?.pop())
    }

    /// Gives a lease up, so that another can take it at once. Nothing happens if it has moved on.
    pub async fn release_lease(&self, fence: &Fence) -> Result<(), StoreError> {
        release(self.pool(), std::slice::from_ref(fence))
            .await
            .map_err(|fault| fault.during(Operation::Lease))
    }
}
