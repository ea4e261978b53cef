//! Bringing a database to this version's schema, and finding out whether it is the one we think it is.

use sqlx::migrate::{MigrateError, Migrator};

use crate::error::{Fault, Operation, StoreError};
use crate::master_keys;
use crate::store::Store;

static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

impl Store {
    /// Runs the migrations that are missing, at most once however many processes start, and checks that the database fits:
    /// it must not be newer than this version, and the master key in force must be among ours. A database that was restored (into another
    /// database or over its own tables) or moved gets a new epoch, so that readers which followed the old one list again,
    /// and so that the claim on the Swarm is looked into. The role that tenants' requests run as is made if it is missing.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        MIGRATOR.run(self.pool()).await.map_err(|error| match error {
            MigrateError::VersionMissing(found) => StoreError::NewerDatabase { found, known: newest_known() },
            error => StoreError::Migrate(error),
        })?;
        self.check().await.map_err(|fault| fault.during(Operation::Setup))
    }

    async fn check(&self) -> Result<(), Fault> {
        let mut tx = self.pool().begin().await?;
        sqlx::query!(
            "UPDATE cluster_rev SET epoch = gen_random_uuid(), origin = here.origin
             FROM (SELECT concat_ws(':', s.system_identifier, c.timeline_id, d.oid, 'cluster_rev'::regclass::oid) AS origin
                   FROM pg_control_system() s, pg_control_checkpoint() c, pg_database d
                   WHERE d.datname = current_database()) here
             WHERE cluster_rev.origin <> here.origin"
        )
        .execute(&mut *tx)
        .await?;
        master_keys::check(&mut tx, self.master_keys()).await?;
        // What belongs to the server and not to the database: a restored one may have come without it.
        let asked = sqlx::query_scalar!("SELECT establish_tenants()").fetch_one(&mut *tx).await?;
        tx.commit().await?;
        match asked {
            None => Ok(()),
            Some(statement) => Err(StoreError::TenantRoleMissing { statement }.into()),
        }
    }
}

fn newest_known() -> i64 {
    MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or_default()
}
