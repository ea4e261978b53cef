//! Secrets beyond their manifests: rotated, restored and told about, and no value in any answer.

use anyhow::Result;
use serde_json::{Value, json};
use skep_api::wire::{SecretOrigin, SecretRotated, SecretVersionList, SecretWhere};
use skep_schemas::Role;

use crate::support::{Answer, Server, manifest};

const DB: &str = "/v1/orgs/acme/secrets/db";
const KEY: &str = "/v1/orgs/acme/secrets/key";

async fn server() -> Result<Server> {
    let server = Server::with_org("acme").await?;
    assert_eq!(server.put(DB, &manifest("Secret", "db", "{value: canary-one}")).await?.status, 201);
    assert_eq!(server.put(KEY, &manifest("Secret", "key", "{generate: {}}")).await?.status, 201);
    server.control.woken.lock().unwrap().clear();
    Ok(server)
}

async fn post(server: &Server, path: &str, body: &Value) -> Result<Answer> {
    server.body("POST", path, "application/json", &body.to_string()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_rotated_and_returned_to_and_its_history_told_without_a_value() -> Result<()> {
    let server = server().await?;
    let answers = [
        post(&server, &format!("{DB}/rotate"), &json!({ "value": "canary-two" })).await?,
        post(&server, &format!("{DB}/restore"), &json!({ "version": 1 })).await?,
        post(&server, &format!("{KEY}/rotate"), &json!({})).await?,
    ];
    let versions: Vec<u32> = answers.iter().map(|answer| answer.read::<SecretRotated>().version).collect();
    assert_eq!(versions, [2, 3, 2]);
    let rotated: SecretRotated = answers[2].read();
    assert_eq!(rotated.resource.metadata.generation.get(), 2);
    let woken = server.control.woken.lock().unwrap().clone();
    assert_eq!(woken, ["acme/Secret/db", "acme/Secret/db", "acme/Secret/key"]);
    let told = server.get(&format!("{DB}/versions")).await?;
    let list: SecretVersionList = told.read();
    let origins: Vec<_> =
        list.items.iter().map(|item| (item.version, item.current, item.origin, item.restored_from)).collect();
    let (written, restored) = (SecretOrigin::Written, SecretOrigin::Restored);
    assert_eq!(origins, [(3, true, restored, Some(1)), (2, false, written, None), (1, false, written, None)]);
    assert!(list.items.iter().all(|item| item.made_by.as_deref() == Some("bootstrap")));
    let used = server.get(&format!("{DB}/where")).await?;
    let SecretWhere { current, environments, uses, objects } = used.read();
    assert_eq!((current, environments.len(), uses.len(), objects.len()), (Some(3), 0, 0, 0));
    let digest =
        server.postgres.psql(&server.database, "SELECT encode(digest, 'hex') FROM secret_version LIMIT 1")?;
    for answer in answers.iter().chain([&told, &used]) {
        assert!(!answer.text().contains("canary") && !answer.text().contains(digest.trim()), "{answer:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_rotated_is_refused_in_words_that_quote_no_value() -> Result<()> {
    let server = server().await?;
    let cases = [
        (format!("{DB}/rotate"), json!({}), "not made at random"),
        (format!("{DB}/rotate"), json!({ "value": "canary-one" }), "has this value already"),
        (format!("{DB}/rotate"), json!({ "value": "" }), "0 bytes"),
        (format!("{DB}/rotate"), json!("canary-three"), "column"),
        (format!("{DB}/rotate"), json!({ "value": { "canary-three": "canary-three" } }), "column"),
        (format!("{DB}/rotate"), json!({ "canary-three": "canary-three" }), "column"),
        (format!("{KEY}/rotate"), json!({ "value": "canary-three" }), "made at random"),
        (format!("{DB}/restore"), json!({ "version": 1 }), "has this value already"),
        (format!("{DB}/restore"), json!({ "version": 7 }), "version 7"),
        (format!("{DB}/restore"), json!({}), "version"),
    ];
    for (path, body, said) in cases {
        let answer = post(&server, &path, &body).await?;
        assert_eq!(answer.code(), "SK0602", "{path} {body}: {answer:?}");
        assert!(answer.text().contains(said), "{path} {body}: {answer:?}");
        assert!(!answer.text().contains("canary"), "{path} {body}: {answer:?}");
    }
    let unknown = "/v1/orgs/acme/secrets/no";
    let (rotate, restore) = (format!("{unknown}/rotate"), format!("{unknown}/restore"));
    let missing = [
        post(&server, &rotate, &json!({ "value": "x" })).await?,
        post(&server, &restore, &json!({ "version": 1 })).await?,
        server.get(&format!("{unknown}/versions")).await?,
        server.get(&format!("{unknown}/where")).await?,
    ];
    assert!(missing.iter().all(|answer| answer.code() == "SK0601"), "{missing:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_write_a_secret_may_rotate_it_and_whoever_may_read_it_sees_its_history() -> Result<()> {
    let server = server().await?;
    for (role, status) in [(Role::Viewer, 403), (Role::Deployer, 200)] {
        let token = server.token_of(Some("acme"), role.as_str(), role).await?;
        let rotated = server
            .ask(&token, "POST", &format!("{KEY}/rotate"), Some(("application/json", "{}".to_owned())))
            .await?;
        assert_eq!(rotated.status, status, "{role}: {rotated:?}");
        let versions = server.ask(&token, "GET", &format!("{KEY}/versions"), None).await?;
        assert_eq!(versions.status, 200, "{role}: {versions:?}");
    }
    Ok(())
}
