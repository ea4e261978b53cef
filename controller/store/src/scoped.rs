//! The store as far as a scope reaches.
//!
//! What requests of people do goes through a [`ScopedStore`]. That of the platform uses the connections of Skep itself, which own the tables
//! and which no policy concerns. That of an organisation uses connections of a pool of its own, which have become the tenants' role
//! for as long as they live ([`as_tenant`]), and each of its transactions begins with the organisation's name: from then on the
//! database itself lets through what is the organisation's and nothing else (`migrations/0013_tenants_rows.sql`). The name lasts
//! for the transaction, however that ends, so a connection has nothing to carry from one tenant to the next. Without a name, or
//! outside of a transaction, nothing is visible.
//!
//! What only the controller does (leases, plans, opening secrets) is not here but in [`Store`](crate::Store), and cannot be asked for
//! in a tenant's name.

use std::ops::{Deref, DerefMut};

use skep_schemas::{OrgName, ResourceKey, Scope};
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use crate::master_keys::MasterKeys;

/// The store as far as a scope reaches. Cheap to clone.
#[derive(Clone)]
pub struct ScopedStore {
    reach: Reach,
    master_keys: MasterKeys,
}

/// How far, and by which connections.
#[derive(Clone)]
enum Reach {
    /// Everything, as the owner of the tables.
    All(PgPool),
    /// One organisation, or nothing, as the tenants' role.
    Tenant(PgPool, Option<OrgName>),
}

impl std::fmt::Debug for ScopedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let reach = match &self.reach {
            Reach::All(_) => "everything",
            Reach::Tenant(_, Some(org)) => org.as_str(),
            Reach::Tenant(_, None) => "nothing",
        };
        f.debug_struct("ScopedStore").field("reach", &reach).finish_non_exhaustive()
    }
}

/// A connection for one statement that reads.
pub(crate) enum Reader {
    /// As it comes.
    Plain(PoolConnection<Postgres>),
    /// In a transaction that knows its organisation, and that ends with this.
    Scoped(Transaction<'static, Postgres>),
}

impl Deref for Reader {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        match self {
            Self::Plain(connection) => connection,
            Self::Scoped(tx) => tx,
        }
    }
}

impl DerefMut for Reader {
    fn deref_mut(&mut self) -> &mut PgConnection {
        match self {
            Self::Plain(connection) => connection,
            Self::Scoped(tx) => tx,
        }
    }
}

impl ScopedStore {
    /// Everything.
    pub(crate) const fn all(pool: PgPool, master_keys: MasterKeys) -> Self {
        Self { reach: Reach::All(pool), master_keys }
    }

    /// What one organisation has; nothing, if there is none. The connections are those of the tenants' role.
    pub(crate) const fn tenant(tenants: PgPool, org: Option<OrgName>, master_keys: MasterKeys) -> Self {
        Self { reach: Reach::Tenant(tenants, org), master_keys }
    }

    /// Does it reach everything?
    pub const fn is_of_platform(&self) -> bool {
        matches!(self.reach, Reach::All(_))
    }

    /// Could this be within reach at all? For what was read by others and is handed on: the database was not asked then.
    pub fn reaches(&self, key: &ResourceKey) -> bool {
        match (&self.reach, key.scope()) {
            (Reach::All(_), _) => true,
            (Reach::Tenant(_, None), _) => false,
            (Reach::Tenant(_, Some(own)), Scope::Org(org)) => own == org,
            (Reach::Tenant(_, Some(own)), Scope::Platform) => {
                key.kind().is_of_catalog() || *key == ResourceKey::organization(own)
            }
        }
    }

    /// A connection for one statement that reads.
    pub(crate) async fn reader(&self) -> Result<Reader, sqlx::Error> {
        Ok(match &self.reach {
            Reach::All(pool) => Reader::Plain(pool.acquire().await?),
            Reach::Tenant(..) => Reader::Scoped(self.begin_with("BEGIN READ ONLY").await?),
        })
    }

    /// A transaction.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        self.begin_with("BEGIN").await
    }

    /// A transaction that begins so.
    pub(crate) async fn begin_with(
        &self,
        statement: &'static str,
    ) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        match &self.reach {
            Reach::All(pool) => pool.begin_with(statement).await,
            Reach::Tenant(pool, org) => {
                let mut tx = pool.begin_with(statement).await?;
                let org = org.as_ref().map_or("", OrgName::as_str);
                sqlx::query_scalar!("SELECT set_config('skep.reach', $1, true)", org)
                    .fetch_one(&mut *tx)
                    .await?;
                Ok(tx)
            }
        }
    }

    pub(crate) const fn master_keys(&self) -> &MasterKeys {
        &self.master_keys
    }
}

/// Makes a new connection one of the tenants' role, until it is closed. Nothing that is sent over it afterwards takes that back.
pub(crate) async fn as_tenant(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query_scalar!("SELECT set_config('role', tenant_role(), false)").fetch_one(connection).await?;
    Ok(())
}
