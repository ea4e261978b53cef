//! Credentials for registries: one for each registry of an organisation, however rows are written.

use std::sync::Arc;

use serde_json::json;
use skep_schemas::{Kind, Manifest};
use skep_store::{Deletion, Precondition, StoreError};

use crate::support::{Bed, actor, key, manifest, org, secret};

fn credential(org: &str, name: &str, registry: &str) -> Manifest {
    let spec = json!({"registry": registry, "username": "robot", "password": {"secret": "token"}});
    manifest(key(org, Kind::RegistryCredential, name), spec)
}

#[tokio::test]
async fn an_organisation_has_one_credential_for_a_registry_and_is_told_which() {
    let bed = Bed::new("registry").await;
    bed.apply(&[org("acme"), org("globex"), credential("acme", "ghcr", "ghcr.io")]).await.unwrap();
    let batch = [secret("acme", "token", Some("a value")), credential("acme", "again", "ghcr.io")];
    let error = bed.apply(&batch).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::RegistryTaken { key, by: Some(by), .. } if *key == batch[1].key && by == "ghcr"),
        "{error:?}"
    );
    assert_eq!(
        error.to_string(),
        "acme/RegistryCredential/again is for ghcr.io, and so is RegistryCredential/ghcr"
    );
    assert_eq!(bed.store.get(&batch[0].key).await.unwrap(), None, "nothing of the batch is done");
    let twice = [credential("acme", "one", "quay.io"), credential("acme", "two", "quay.io")];
    assert!(matches!(bed.apply(&twice).await.unwrap_err(), StoreError::RegistryTaken { .. }));
    // Another organisation has its own, the same credential may be written again, and what was given up is free.
    bed.apply(&[credential("globex", "ghcr", "ghcr.io"), credential("acme", "ghcr", "ghcr.io")])
        .await
        .unwrap();
    bed.applied(credential("acme", "ghcr", "registry.acme.test:5000")).await;
    bed.applied(credential("acme", "again", "ghcr.io")).await;
    let again = key("acme", Kind::RegistryCredential, "again");
    let deleted = bed.store.delete(&again, Precondition::None, &actor()).await.unwrap();
    assert_eq!(deleted, Deletion::Removed);
    bed.applied(credential("acme", "ghcr", "ghcr.io")).await;
}

#[tokio::test]
async fn of_many_credentials_for_a_registry_at_once_one_is_written() {
    let bed = Arc::new(Bed::new("registries").await);
    bed.apply(&[org("acme")]).await.unwrap();
    let writers: Vec<_> = (0..8)
        .map(|n| {
            let bed = bed.clone();
            tokio::spawn(async move { bed.apply(&[credential("acme", &format!("c-{n}"), "ghcr.io")]).await })
        })
        .collect();
    let mut written = 0;
    for writer in writers {
        match writer.await.unwrap() {
            Ok(_) => written += 1,
            Err(error) => assert!(matches!(error, StoreError::RegistryTaken { .. }), "{error:?}"),
        }
    }
    assert_eq!(
        (written, bed.sql("SELECT count(*) FROM resource WHERE kind = 'RegistryCredential'")),
        (1, "1".to_owned())
    );
}
