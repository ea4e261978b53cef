//! The handle to the database.

use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use skep_planner::InstanceId;
use skep_schemas::{OrgName, Scope};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool};

use crate::error::{Fault, Operation, StoreError};
use crate::gathered::Gathered;
use crate::options::StoreOptions;
use crate::scoped::{self, ScopedStore};

/// How long a connection that answered is trusted to be there still.
const TRUSTED_FOR: Duration = Duration::from_millis(20);

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

/// The store, with everything in it: for the controller, and what the platform may ask ([`ScopedStore`], as which it can be used). Cheap to
/// clone; all clones share their connections.
#[derive(Clone)]
pub struct Store {
    pool: PgPool,
    all: ScopedStore,
    // Connections of the tenants' role. None is opened before a tenant asks.
    tenants: PgPool,
    // Connections for LISTEN: without the limits of the others, outside the pool, because one is held for ever.
    listen: PgConnectOptions,
    gathered: Arc<Gathered>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("connections", &self.pool.size()).finish_non_exhaustive()
    }
}

impl Deref for Store {
    type Target = ScopedStore;

    fn deref(&self) -> &ScopedStore {
        &self.all
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
        let trusted_for = if options.ask_before_use { TRUSTED_FOR } else { Duration::MAX };
        let connections = |most| {
            PgPoolOptions::new()
                .max_connections(most)
                .acquire_timeout(options.acquire_timeout)
                .test_before_acquire(false)
                .before_acquire(move |connection, meta| {
                    Box::pin(answers(connection, meta.idle_for, trusted_for))
                })
        };
        let tenants = connections(options.tenant_pool_size)
            .after_connect(|connection, _| Box::pin(scoped::as_tenant(connection)))
            .connect_lazy_with(limited.clone().application_name("skep-tenants"));
        let pool = connections(options.pool_size).connect_with(limited).await.map_err(StoreError::Connect)?;
        let gathered = Arc::new(Gathered::new(&pool));
        let listen = base.application_name("skep-watch");
        let all = ScopedStore::all(pool.clone(), options.master_keys);
        Ok(Self { pool, all, tenants, listen, gathered })
    }

    /// The store as far as that reaches; nothing is reached without a scope.
    pub fn within(&self, reach: Option<&Scope>) -> ScopedStore {
        match reach {
            Some(Scope::Platform) => self.all.clone(),
            Some(Scope::Org(org)) => self.tenant(Some(org.clone())),
            None => self.tenant(None),
        }
    }

    fn tenant(&self, org: Option<OrgName>) -> ScopedStore {
        ScopedStore::tenant(self.tenants.clone(), org, self.all.master_keys().clone())
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
        let mut all = Connections { used: 0, idle: 0, max: 0 };
        for pool in [&self.pool, &self.tenants] {
            let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
            all.used += pool.size().saturating_sub(idle);
            all.idle += idle;
            all.max += pool.options().get_max_connections();
        }
        all
    }

    /// Closes all connections, waiting for those in use.
    pub async fn close(&self) {
        self.tenants.close().await;
        self.pool.close().await;
    }

    pub(crate) const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Where passes' writes meet.
    pub(crate) fn gathered(&self) -> &Gathered {
        &self.gathered
    }

    pub(crate) const fn listen_options(&self) -> &PgConnectOptions {
        &self.listen
    }
}

/// May a connection be used that was idle so long? One in steady use has just answered; to ask it again first would double the round
/// trips. Any other is asked, so that one that broke meanwhile costs nobody an error.
async fn answers(
    connection: &mut PgConnection,
    idle_for: Duration,
    trusted_for: Duration,
) -> Result<bool, sqlx::Error> {
    if idle_for < trusted_for {
        return Ok(true);
    }
    Ok(connection.ping().await.is_ok())
}

fn milliseconds(duration: Duration) -> String {
    duration.as_millis().to_string()
}
