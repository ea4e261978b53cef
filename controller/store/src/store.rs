//! The handle to the database.

use std::str::FromStr;
use std::time::Duration;

use skep_planner::InstanceId;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::error::{Fault, Operation, StoreError};
use crate::options::StoreOptions;
use crate::seal::MasterKey;

/// The connections of a process to its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// Those in use.
    pub used: u32,
    /// Those that are open and wait for use.
    pub idle: u32,
    /// The most that there may be.
    pub max: u32,
}

/// The store. Cheap to clone; all clones share one pool of connections.
#[derive(Clone)]
pub struct Store {
    pool: PgPool,
    // Connections for LISTEN: without the limits of the others, outside the pool, because one is held for ever.
    listen: PgConnectOptions,
    master_key: MasterKey,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("connections", &self.pool.size()).finish_non_exhaustive()
    }
}

impl Store {
    /// Connects. Reads and writes nothing yet; see [`Store::migrate`].
    pub async fn connect(url: &str, options: StoreOptions) -> Result<Self, StoreError> {
        let base = PgConnectOptions::from_str(url).map_err(StoreError::Url)?;
        let limited = base.clone().application_name("skep").options([
            ("statement_timeout", milliseconds(options.statement_timeout)),
            ("lock_timeout", milliseconds(options.lock_timeout)),
            ("idle_in_transaction_session_timeout", milliseconds(options.idle_in_transaction_timeout)),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(options.pool_size)
            .acquire_timeout(options.acquire_timeout)
            .test_before_acquire(options.ask_before_use)
            .connect_with(limited)
            .await
            .map_err(StoreError::Connect)?;
        Ok(Self { pool, listen: base.application_name("skep-watch"), master_key: options.master_key })
    }

    /// Is the database there?
    pub async fn ping(&self) -> Result<(), StoreError> {
        let answer = sqlx::query_scalar!("SELECT 1").fetch_one(&self.pool).await;
        answer.map(drop).map_err(|source| Fault::from(source).during(Operation::Ping))
    }

    /// Which Skep the database belongs to.
    pub async fn instance_id(&self) -> Result<InstanceId, StoreError> {
        let id = sqlx::query_scalar!("SELECT id FROM instance").fetch_one(&self.pool).await;
        id.map(InstanceId::new).map_err(|source| Fault::from(source).during(Operation::Setup))
    }

    /// How many connections are open, and how many are in use.
    pub fn connections(&self) -> Connections {
        let idle = u32::try_from(self.pool.num_idle()).unwrap_or(u32::MAX);
        let used = self.pool.size().saturating_sub(idle);
        Connections { used, idle, max: self.pool.options().get_max_connections() }
    }

    /// Closes all connections, waiting for those in use.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    pub(crate) const fn pool(&self) -> &PgPool {
        &self.pool
    }

    pub(crate) const fn listen_options(&self) -> &PgConnectOptions {
        &self.listen
    }

    pub(crate) const fn master_key(&self) -> &MasterKey {
        &self.master_key
    }
}

fn milliseconds(duration: Duration) -> String {
    duration.as_millis().to_string()
}
