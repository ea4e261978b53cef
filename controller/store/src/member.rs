//! Membership: the controllers that share the work over one database, and the leases that each of them holds.
//!
//! A member says about once a second, in one statement, that it is alive and that it keeps its leases, and learns who else is
//! alive and which leases are free. It has a connection of its own for that: a pool that is full of slow requests must not cost
//! it its leases. The connection also listens, so that a lease that is given up passes on at once. One that fails or does
//! not answer in time is replaced by the next call; nothing is repeated by itself.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};

use crate::error::{Fault, Operation, StoreError};
use crate::lease::{self, Fence};
use crate::store::Store;

/// The longest wait for a lock: renewals conflict with changes of hands only, which are single statements.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// The most other members that are told of. A fixed number of shards has no work for more.
const MEMBERS_MAX: i64 = 100;

/// One of the controllers over a database.
#[derive(Debug)]
pub struct Member {
    id: String,
    ttl: Duration,
    master_keys: Vec<String>,
    connect: PgConnectOptions,
    // None before the first call and after one that failed or was cancelled.
    connection: Option<PgListener>,
}

/// What a member learned when it said that it is alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// Those of its leases that it keeps, by name. The others have moved on.
    pub renewed: Vec<String>,
    /// The other members that are alive, by id.
    pub others: Vec<String>,
    /// Those of the leases it asked about that nobody holds.
    pub free: Vec<String>,
}

impl Store {
    /// A member with a name that no other has. It is alive, and its leases are held, for `ttl` after each call that says so.
    pub fn member(&self, id: String, ttl: Duration) -> Member {
        let connect = self.listen_options().clone().application_name("skep-member").options([
            ("statement_timeout", ttl.as_millis().to_string()),
            ("lock_timeout", LOCK_TIMEOUT.as_millis().to_string()),
        ]);
        Member { id, ttl, master_keys: self.master_keys().ids(), connect, connection: None }
    }
}

impl Member {
    /// Its name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Says that it is alive, renews its leases, and looks which of `all` are free.
    pub async fn beat(&mut self, held: &[Fence], all: &[String]) -> Result<Beat, StoreError> {
        let (names, epochs) = lease::columns(held);
        let (id, ttl) = (self.id.clone(), self.ttl.as_secs_f64());
        let master_keys = self.master_keys.clone();
        self.with(async |connection| {
            let beat = sqlx::query_as!(
                Beat,
                r#"WITH alive AS (
                       INSERT INTO controller_member (id, expires_at, master_keys)
                       VALUES ($1, clock_timestamp() + make_interval(secs => $2), $7)
                       ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at
                   ), held AS (
                       SELECT lease.name
                       FROM lease JOIN unnest($3::text[], $4::bigint[]) AS mine (name, epoch) USING (name, epoch)
                       ORDER BY lease.name FOR NO KEY UPDATE OF lease
                   ), renewed AS (
                       UPDATE lease SET expires_at = clock_timestamp() + make_interval(secs => $2)
                       FROM held WHERE lease.name = held.name
                       RETURNING lease.name
                   )
                   SELECT ARRAY(SELECT name FROM renewed ORDER BY name) AS "renewed!",
                          ARRAY(SELECT id FROM controller_member WHERE id <> $1 AND expires_at > clock_timestamp()
                                ORDER BY id LIMIT $6) AS "others!",
                          ARRAY(SELECT wanted FROM unnest($5::text[]) AS wanted
                                WHERE wanted <> ALL ($3) AND NOT EXISTS (
                                    SELECT FROM lease WHERE name = wanted AND expires_at > clock_timestamp())
                                ORDER BY wanted) AS "free!""#,
                id,
                ttl,
                &names,
                &epochs,
                all,
                MEMBERS_MAX,
                &master_keys
            );
            Ok(beat.fetch_one(connection).await?)
        })
        .await
    }

    /// Takes those of these leases that are free, for as long as a member lives.
    pub async fn take(&mut self, names: &[String]) -> Result<Vec<Fence>, StoreError> {
        let (id, ttl) = (self.id.clone(), self.ttl);
        self.with(async |connection| lease::take(connection, names, &id, ttl).await).await
    }

    /// Gives leases up. The other members are told.
    pub async fn release(&mut self, fences: &[Fence]) -> Result<(), StoreError> {
        self.with(async |connection| lease::release(connection, fences).await).await
    }

    /// Is a member no longer, and forgets those that are gone. The others take over what is free.
    pub async fn leave(&mut self) -> Result<(), StoreError> {
        let id = self.id.clone();
        self.with(async |connection| {
            let left = sqlx::query!(
                "WITH gone AS (DELETE FROM controller_member WHERE id = $1 OR expires_at < clock_timestamp())
                 SELECT pg_notify($2, '')",
                id,
                lease::RELEASED
            );
            left.fetch_all(connection).await?;
            Ok(())
        })
        .await
    }

    /// Waits until another member gave something up. Completes, too, when the connection is lost; never without one.
    pub async fn told(&mut self) {
        let Some(connection) = &mut self.connection else { return std::future::pending().await };
        if !matches!(connection.try_recv().await, Ok(Some(_))) {
            self.connection = None;
        }
    }

    /// Runs one statement. The connection is kept only if it succeeds: after anything else, a cancelled call included,
    /// its state is not known.
    async fn with<T>(
        &mut self,
        statement: impl AsyncFnOnce(&mut PgListener) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let lease = |fault: Fault| fault.during(Operation::Lease);
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.open().await.map_err(Fault::from).map_err(lease)?,
        };
        let answer = statement(&mut connection).await.map_err(lease)?;
        self.connection = Some(connection);
        Ok(answer)
    }

    async fn open(&self) -> Result<PgListener, sqlx::Error> {
        let pool = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
        let pool = pool.connect_with(self.connect.clone()).await?;
        let mut connection = PgListener::connect_with(&pool).await?;
        // A lost connection is replaced by the next call; a silent replacement would hide the loss.
        connection.eager_reconnect(false);
        connection.listen(lease::RELEASED).await?;
        Ok(connection)
    }
}
