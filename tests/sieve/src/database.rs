//! A database in which time stands still until it is told to go on, and which can be put back to an earlier state in
//! milliseconds.
//!
//! - *Time.* `now()` and `clock_timestamp()` of the schema `public` stand before those of `pg_catalog`, for the migrations as well,
//!   so that defaults of columns are bound to them. They read a sequence: setting it needs no transaction, leaves nothing behind,
//!   and is seen by every connection at once.
//! - *States.* A state is a copy of each table in a schema of its own. Putting it back deletes and copies rows with triggers off.
//!   That is some milliseconds, where a new database with its migrations is half a second.

use std::collections::BTreeMap;
use std::str::FromStr;

use anyhow::{Context, Result};
use jiff::Timestamp;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, Row};

use skep_store::{MasterKey, Store, StoreOptions};

/// Rows that are put back leave dead ones behind; after so many times they are removed, before they cost more than that.
const RESTORES_PER_VACUUM: u32 = 40;

/// What the leases are kept in: written all the time, and no part of what a run comes to.
const OF_MEMBERS: [&str; 2] = ["lease", "controller_member"];

/// One connection of a store: passes happen one at a time, and statements have to come in one order.
const POOL_SIZE: u32 = 1;

/// A database with its own time.
pub struct Database {
    url: String,
    key: MasterKey,
    admin: PgConnection,
    tables: Vec<String>,
    sequences: Vec<String>,
    restores: u32,
}

impl Database {
    /// Sets the database at `url` up, which has to be new and empty.
    pub async fn new(url: &str, start: Timestamp) -> Result<Self> {
        let url = format!("{url}?sslmode=disable");
        let mut admin = PgConnectOptions::from_str(&url)?.disable_statement_logging().connect().await?;
        let name: String = sqlx::query_scalar("SELECT current_database()").fetch_one(&mut admin).await?;
        // Only a search path that names pg_catalog puts anything before it.
        let own_time = format!(
            "ALTER DATABASE {name} SET search_path = public, pg_catalog;
             SET search_path = public, pg_catalog;
             CREATE SEQUENCE virtual_time MINVALUE 0;
             CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql STABLE AS
                 $$ SELECT 'epoch'::timestamptz + last_value * interval '1 microsecond' FROM virtual_time $$;
             CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql STABLE AS
                 $$ SELECT 'epoch'::timestamptz + last_value * interval '1 microsecond' FROM virtual_time $$;"
        );
        run(&mut admin, own_time).await?;
        let key = MasterKey::generate().context("no master key")?;
        let mut database = Self { url, key, admin, tables: Vec::new(), sequences: Vec::new(), restores: 0 };
        database.set_time(start).await?;
        let store = database.connect().await?;
        store.migrate().await?;
        store.close().await;
        // Parents before children, for those who read it; with triggers off the order does not matter.
        database.tables = names(
            &mut database.admin,
            "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
             AND relname <> '_sqlx_migrations' ORDER BY oid",
        )
        .await?;
        database.sequences = names(
            &mut database.admin,
            "SELECT relname::text FROM pg_class WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace
             AND relname <> 'virtual_time' ORDER BY oid",
        )
        .await?;
        Ok(database)
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A store on it.
    pub async fn connect(&self) -> Result<Store> {
        // Nobody cuts these connections, so they need not be asked.
        let options = StoreOptions { ask_before_use: false, ..self.options() };
        Ok(Store::connect(&self.url, options).await?)
    }

    /// A store on it by way of another address.
    pub(crate) async fn connect_to(&self, url: &str) -> Result<Store> {
        Ok(Store::connect(url, self.options()).await?)
    }

    fn options(&self) -> StoreOptions {
        StoreOptions { pool_size: POOL_SIZE, ..StoreOptions::new(self.key.clone()) }
    }

    /// It is this time now.
    pub async fn set_time(&mut self, now: Timestamp) -> Result<()> {
        run(&mut self.admin, format!("SELECT setval('virtual_time', {})", now.as_microsecond())).await
    }

    /// Keeps everything as it is now under this name.
    pub async fn keep(&mut self, name: &str) -> Result<()> {
        let mut sql = format!("DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name};");
        for table in &self.tables {
            sql += &format!("CREATE TABLE {name}.{table} AS TABLE public.{table};");
        }
        for sequence in &self.sequences {
            sql += &format!(
                "CREATE TABLE {name}.seq_{sequence} AS SELECT last_value, is_called FROM public.{sequence};"
            );
        }
        run(&mut self.admin, sql).await
    }

    /// Puts everything back as it was kept under this name.
    pub async fn restore(&mut self, name: &str) -> Result<()> {
        let mut sql = "SET session_replication_role = replica;".to_owned();
        for table in &self.tables {
            sql += &format!(
                "DELETE FROM public.{table};
                 INSERT INTO public.{table} OVERRIDING SYSTEM VALUE SELECT * FROM {name}.{table};"
            );
        }
        for sequence in &self.sequences {
            sql += &format!(
                "SELECT setval('public.{sequence}', last_value, is_called) FROM {name}.seq_{sequence};"
            );
        }
        run(&mut self.admin, sql).await?;
        self.restores += 1;
        if self.restores.is_multiple_of(RESTORES_PER_VACUUM) {
            run(&mut self.admin, format!("VACUUM {}", self.tables.join(", "))).await?;
        }
        Ok(())
    }

    /// What has been written, for comparing: differs if any row but those of leases and members was made, changed or removed.
    pub async fn written(&mut self) -> Result<BTreeMap<String, String>> {
        let parts: Vec<String> = self
            .tables
            .iter()
            .filter(|table| !OF_MEMBERS.contains(&table.as_str()))
            .map(|table| {
                format!(
                    "SELECT '{table}' AS name, coalesce(string_agg(ctid::text || xmin::text, ' ' ORDER BY ctid), '') AS rows
                     FROM public.{table}"
                )
            })
            .collect();
        let rows =
            sqlx::query(sqlx::AssertSqlSafe(parts.join(" UNION ALL "))).fetch_all(&mut self.admin).await?;
        rows.iter().map(|row| Ok((row.try_get("name")?, row.try_get("rows")?))).collect()
    }

    /// The rows of a query, each as JSON.
    pub async fn rows(&mut self, query: &str) -> Result<Vec<serde_json::Value>> {
        let query = format!("SELECT to_jsonb(row) FROM ({query}) row");
        Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_all(&mut self.admin).await?)
    }

    /// Runs statements as a person with `psql` would.
    pub async fn run(&mut self, sql: &str) -> Result<()> {
        run(&mut self.admin, sql.to_owned()).await
    }

    /// Closes the connection that all of this goes by.
    pub async fn close(self) -> Result<()> {
        Ok(self.admin.close().await?)
    }
}

async fn run(admin: &mut PgConnection, sql: String) -> Result<()> {
    let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(admin).await;
    done.map(drop).context("the database refuses a statement of the harness")
}

async fn names(admin: &mut PgConnection, query: &'static str) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar(query).fetch_all(admin).await?)
}
