//! Migrations: idempotent, safe to run by many at once, and never backwards.

use skep_store::{MasterKey, StoreError};
use skep_testbed::Postgres;

use crate::support::{Bed, connect};

#[tokio::test]
async fn processes_that_start_together_migrate_once_and_agree_who_they_are() {
    let server = Postgres::shared().unwrap();
    let url = server.create_database("together").unwrap();
    let key = MasterKey::generate().unwrap();
    let starting = (0..4).map(|_| {
        let (url, key) = (url.clone(), key.clone());
        tokio::spawn(async move {
            let store = connect(&url, &key).await;
            store.migrate().await.unwrap();
            store.ping().await.unwrap();
            store.instance_id().await.unwrap()
        })
    });
    let mut ids = Vec::new();
    for process in starting.collect::<Vec<_>>() {
        ids.push(process.await.unwrap());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(ids[0].as_str().len(), 12);
}

#[tokio::test]
async fn a_database_from_a_newer_version_is_refused() {
    let bed = Bed::new("newer").await;
    bed.sql(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (9999, 'from the future', true, '', 0)",
    );
    let error = bed.store.migrate().await.unwrap_err();
    assert!(matches!(error, StoreError::NewerDatabase { found: 9999, .. }), "{error:?}");
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_a_transient_error() {
    let bed = Bed::new("gone").await;
    let name = bed.url.rsplit('/').next().unwrap().to_owned();
    // Each is waited for: one that is still to end would answer once more.
    let kill = format!(
        "SELECT count(pg_terminate_backend(pid, 30000)) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid()"
    );
    let mut snapshot = bed.store.snapshot().await.unwrap();
    bed.sql(&kill);
    let error = snapshot.get(&crate::support::key("", skep_schemas::Kind::Plan, "x")).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    bed.store.ping().await.unwrap();
}
