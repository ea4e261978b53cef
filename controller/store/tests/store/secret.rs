//! Secrets: sealed on the way in, opened only by name, equal values found without opening them.

use secrecy::ExposeSecret;
use skep_schemas::Generation;
use skep_store::{MasterKey, Outcome, StoreError};

use crate::support::{Bed, connect, environment, org, org_name, secret};

const CANARY: &str = "canary-4711-never-in-the-open";

#[tokio::test]
async fn a_value_is_nowhere_in_a_dump_in_no_common_encoding() {
    let bed = Bed::new("canary").await;
    bed.apply(&[org("acme"), secret("acme", "db", Some(CANARY)), environment("acme", "production", &["db"])])
        .await
        .unwrap();
    bed.applied(secret("acme", "db", Some(&format!("{CANARY}-2")))).await;
    let dump = bed.server.dump(&bed.url).unwrap();
    assert!(dump.contains("production"), "the dump has the data");
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    // The base64 of a text without its first and last groups is the same wherever it stands at this offset.
    for trace in [CANARY, &hex, "Y2FuYXJ5LTQ3MTEtbmV2ZXItaW4tdGhlLW9wZW", "never-in-the-open"] {
        assert!(!dump.contains(trace), "{trace}");
    }
    let key = bed.master_key.to_text();
    assert!(!dump.contains(key.expose_secret()));
}

#[tokio::test]
async fn a_value_reads_back_by_version_and_only_a_new_one_makes_a_version() {
    let bed = Bed::new("versions").await;
    let made = bed.apply(&[org("acme"), secret("acme", "db", Some("one"))]).await.unwrap().remove(1);
    let uid = made.resource.meta.uid;
    assert_eq!(made.resource.spec.to_json().unwrap(), serde_json::json!({}));
    let same = bed.apply(&[secret("acme", "db", Some("one"))]).await.unwrap().remove(0);
    let kept = bed.apply(&[secret("acme", "db", None)]).await.unwrap().remove(0);
    assert_eq!((same.outcome, kept.outcome), (Outcome::Unchanged, Outcome::Unchanged));
    let changed = bed.apply(&[secret("acme", "db", Some("two"))]).await.unwrap().remove(0);
    assert_eq!(changed.outcome, Outcome::Configured);
    assert_eq!(changed.resource.meta.generation, Generation::new(2));
    for (version, value) in [(1, "one"), (2, "two")] {
        assert_eq!(bed.store.open_secret(uid, version).await.unwrap().expose_secret(), value);
    }
    let current = bed.store.snapshot().await.unwrap().secret_current(&org_name("acme")).await.unwrap();
    let current = &current["db"];
    assert_eq!((current.uid, current.version, current.digest.len(), current.deleting), (uid, 2, 64, false));
    let error = bed.store.open_secret(uid, 3).await.unwrap_err();
    assert!(matches!(error, StoreError::SecretUnreadable { version: 3, .. }), "{error:?}");
}

#[tokio::test]
async fn a_ciphertext_that_was_moved_to_another_row_does_not_open() {
    let bed = Bed::new("moved").await;
    let made = bed
        .apply(&[
            org("acme"),
            org("other"),
            secret("acme", "db", Some("one")),
            secret("acme", "mail", Some("two")),
            secret("other", "db", Some("three")),
        ])
        .await
        .unwrap();
    let uid = |index: usize| made[index].resource.meta.uid;
    for (from, to) in [(2, 3), (2, 4)] {
        bed.sql(&format!(
            "UPDATE secret_version t SET nonce = f.nonce, ciphertext = f.ciphertext FROM secret_version f
             WHERE t.uid = '{}' AND f.uid = '{}'",
            uid(to),
            uid(from)
        ));
        let error = bed.store.open_secret(uid(to), 1).await.unwrap_err();
        assert!(matches!(error, StoreError::SecretUnreadable { .. }), "{error:?}");
        assert!(!format!("{error:?} {error}").contains("one"));
    }
    // Neither does another organisation's key open it.
    bed.sql(
        "UPDATE organization_key t SET nonce = f.nonce, wrapped_key = f.wrapped_key FROM organization_key f
             WHERE t.org_uid <> f.org_uid",
    );
    let error = bed.store.open_secret(uid(2), 1).await.unwrap_err();
    assert!(matches!(error, StoreError::KeyUnreadable { .. }), "{error:?}");
    bed.sql("DELETE FROM organization_key");
    let error = bed.store.open_secret(uid(2), 1).await.unwrap_err();
    assert!(matches!(error, StoreError::KeyMissing { .. }), "{error:?}");
}

#[tokio::test]
async fn another_master_key_is_found_at_the_start() {
    let bed = Bed::new("master").await;
    connect(&bed.url, &bed.master_key).await.migrate().await.unwrap();
    let other = connect(&bed.url, &MasterKey::generate().unwrap()).await;
    let error = other.migrate().await.unwrap_err();
    assert!(matches!(error, StoreError::WrongMasterKey { .. }), "{error:?}");
}
