//! Holds, orphans, and deletions that belong together.

use std::sync::atomic::Ordering;

use anyhow::Result;
use serde_json::json;
use skep_api::wire::ON_HOLD;
use skep_planner::safety::{Finding, HoldReason};

use crate::support::{Server, manifest};

fn finding() -> Finding {
    Finding {
        reason: HoldReason::TooManyRemovals,
        subject: String::new(),
        why: "60 of 60 managed objects would be removed".to_owned(),
        evidence: vec!["acme/App/shop".to_owned()],
    }
}

#[tokio::test]
async fn a_hold_is_listed_confirmed_once_and_then_history() -> Result<()> {
    let server = Server::start().await?;
    let id = server.store.open_hold(&finding()).await?.id;
    server.control.holds.lock().unwrap().push(format!("{id} on removals: too-many-removals"));
    let listed = server.get("/v1/holds").await?;
    assert_eq!(listed.headers[ON_HOLD], format!("{id} on removals: too-many-removals").as_str());
    let item = &listed.json()["items"][0];
    assert_eq!((&item["reason"], &item["scope"]), (&json!("too-many-removals"), &json!("removals")));
    assert_eq!(item["evidence"], json!(["acme/App/shop"]));

    let confirmed = server.body("POST", &format!("/v1/holds/{id}/confirm"), "application/json", "{}").await?;
    assert_eq!(confirmed.status, 200, "{confirmed:?}");
    assert_eq!(confirmed.json()["confirmedBy"], "bootstrap");
    let after = server.get("/v1/holds").await?;
    assert_eq!(after.json()["items"], json!([]));
    assert!(!after.headers.contains_key(ON_HOLD));
    assert_eq!(server.get("/v1/holds?all=true").await?.json()["items"][0]["id"], id.get());
    for gone in [format!("/v1/holds/{id}/confirm"), "/v1/holds/77/confirm".to_owned()] {
        assert_eq!(server.body("POST", &gone, "application/json", "{}").await?.status, 400);
    }
    assert_eq!(server.body("POST", "/v1/holds/seven/confirm", "application/json", "{}").await?.status, 404);
    Ok(())
}

#[tokio::test]
async fn deletions_of_a_batch_are_weighed_together_and_told_one_by_one() -> Result<()> {
    let server = Server::with_org("acme").await?;
    for name in ["one", "two"] {
        let app = manifest("App", name, "{source: {image: 'shop:1'}}");
        server.put(&format!("/v1/orgs/acme/apps/{name}"), &app).await?;
    }
    let names = ["one", "two", "three"].map(|name| json!({"org": "acme", "kind": "App", "name": name}));
    let body = json!({ "delete": names }).to_string();
    let deleted = server.body("POST", "/v1/delete?confirm=true", "application/json", &body).await?;
    assert_eq!(deleted.status, 200, "{deleted:?}");
    let outcomes: Vec<_> = (0..3).map(|n| deleted.json()["results"][n]["outcome"].clone()).collect();
    assert_eq!(outcomes, ["deleted", "deleted", "absent"]);
    assert_eq!(server.control.weighed.load(Ordering::SeqCst), 1);
    let documents = json!({ "documents": [], "delete": [] }).to_string();
    assert!(server.body("POST", "/v1/delete", "application/json", &documents).await?.status >= 400);
    Ok(())
}

#[tokio::test]
async fn an_orphan_is_told_with_its_owner_and_when_it_goes() -> Result<()> {
    let server = Server::start().await?;
    server.postgres.psql(
        &server.database,
        r#"INSERT INTO orphan (object_id, kind, name, labels, first_seen_at) VALUES ('s1', 'service', 'acme_shop_web',
           '{"skep.dev/org": "acme", "skep.dev/kind": "Environment", "skep.dev/name": "shop"}', '2026-01-02T03:04:05Z')"#,
    )?;
    let item = &server.get("/v1/orphans").await?.json()["items"][0];
    assert_eq!(item["owner"], "acme/Environment/shop");
    assert_eq!(item["collectedAfter"], "2026-01-02T04:04:05Z");
    Ok(())
}
