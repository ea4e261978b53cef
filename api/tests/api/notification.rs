//! Messages of Notifications over the wire: listed, sent again, and a test.

use std::time::Duration;

use anyhow::Result;
use skep_api::wire::{DeliveryList, DeliveryState, Resent, TestSent};
use skep_schemas::Role;
use skep_store::Attempt;

use crate::support::Server;

const OPS: &str = "/v1/orgs/acme/notifications/ops";

async fn with_notification() -> Result<Server> {
    let server = Server::with_org("acme").await?;
    let manifest = "apiVersion: skep.dev/v1\nkind: Notification\nmetadata: {org: acme, name: ops}\nspec:\n  webhook: {url: https://hooks.acme.test/skep, secret: key}\n";
    assert_eq!(server.put(OPS, manifest).await?.status, 201);
    Ok(server)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_is_sent_given_up_listed_as_dead_and_sent_again_by_hand() -> Result<()> {
    let server = with_notification().await?;
    let post = async |path: &str| server.body("POST", &format!("{OPS}/{path}"), "", "").await;
    let sent: TestSent = post("test").await?.read();
    let listed: DeliveryList = server.get(&format!("{OPS}/deliveries")).await?.read();
    assert_eq!(listed.items.len(), 1);
    let first = &listed.items[0];
    assert_eq!((&first.message_id, first.state), (&sent.message_id, DeliveryState::Waiting));
    assert_eq!(first.body["type"], "notification.test");
    let fence = server.store.acquire_lease("test", "me", Duration::from_secs(60)).await?.unwrap();
    let claimed = server.store.claim_notifications(&fence, 1).await?.remove(0);
    assert_eq!((claimed.message_id.to_string(), claimed.secret), (sent.message_id.clone(), None));
    let dead = Attempt::Dead { why: "status 410".to_owned(), pause: Duration::from_secs(300) };
    server.store.note_notification(&fence, &claimed, &dead).await?;
    let dead = async || -> Result<Vec<i64>> {
        let list: DeliveryList = server.get(&format!("{OPS}/deliveries?state=dead")).await?.read();
        Ok(list.items.into_iter().map(|item| item.id).collect())
    };
    assert_eq!(dead().await?, [first.id]);
    assert_eq!(post(&format!("deliveries/{}/retry", first.id)).await?.read::<Resent>().messages, 1);
    assert!(dead().await?.is_empty());
    // It is due at once, under the same id, and counts its attempts anew.
    let again = server.store.claim_notifications(&fence, 1).await?.remove(0);
    assert_eq!((again.message_id, again.attempts), (claimed.message_id, 0));
    server.store.note_notification(&fence, &again, &Attempt::Delivered).await?;
    assert_eq!(post(&format!("deliveries/{}/retry", first.id)).await?.status, 404, "it was taken");
    assert_eq!(post("deliveries/retry").await?.read::<Resent>().messages, 0);
    let all: DeliveryList = server.get(&format!("{OPS}/deliveries?limit=1")).await?.read();
    assert_eq!((all.items[0].state, all.next), (DeliveryState::Delivered, Some(first.id)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_may_write_a_notification_sends_with_it_and_only_notifications_send() -> Result<()> {
    let server = with_notification().await?;
    let deployer = server.token_of(Some("acme"), "deployer", Role::Deployer).await?;
    let viewer = server.token_of(Some("acme"), "viewer", Role::Viewer).await?;
    for path in ["test", "deliveries/retry", "deliveries/1/retry"] {
        let answer = server.ask(&deployer, "POST", &format!("{OPS}/{path}"), None).await?;
        assert_eq!(answer.status, 403, "{path}");
    }
    assert_eq!(server.ask(&viewer, "GET", &format!("{OPS}/deliveries"), None).await?.status, 200);
    let other = server.get("/v1/orgs/acme/apps/shop/deliveries").await?;
    assert_eq!((other.status, other.code()), (400, "SK0602".to_owned()));
    assert_eq!(server.get("/v1/orgs/acme/notifications/none/deliveries").await?.status, 404);
    assert_eq!(server.body("POST", &format!("{OPS}/deliveries/99/retry"), "", "").await?.status, 404);
    Ok(())
}
