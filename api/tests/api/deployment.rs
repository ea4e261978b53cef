//! Deployments over the wire: the attempts at releases, and cancelling one.

use std::time::Duration;

use anyhow::Result;
use skep_api::wire::{ReleaseItem, ReleaseVerdict, ReleaseView};
use skep_planner::{Plan, Verdict};
use skep_schemas::Role;

use crate::operation::{LIVE, releasing, with_environment};

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_cancelled_while_it_is_being_rolled_out() -> Result<()> {
    let server = with_environment().await?;
    let resource = server.get(LIVE).await?.read();
    let fence = server.store.acquire_lease("test", "me", Duration::from_secs(60)).await?.unwrap();
    server.store.begin_plan(&fence, &releasing(&resource, 1, None)?).await?;
    server.store.begin_plan(&fence, &releasing(&resource, 2, Some(Verdict::Succeeded))?).await?;
    let path = |release: &str| format!("{LIVE}/releases/{release}/cancel");
    let viewer = server.token_of(Some("acme"), "viewer", Role::Viewer).await?;
    assert_eq!(server.ask(&viewer, "POST", &path("2"), None).await?.code(), "SK0403");
    // The database lets a tenant do it as well.
    let deployer = server.token_of(Some("acme"), "deployer", Role::Deployer).await?;
    let told: ReleaseItem = server.ask(&deployer, "POST", &path("2"), None).await?.read();
    assert_eq!(
        (told.verdict, told.cancelled_by.as_deref()),
        (ReleaseVerdict::Pending, Some("acme/deployer"))
    );
    let cancelled = Verdict::Cancelled { reason: "cancelled by deployer".to_owned() };
    let judged = releasing(&resource, 3, Some(cancelled))?;
    server.store.begin_plan(&fence, &Plan { release: None, ..judged }).await?;
    let told: ReleaseView = server.get(&format!("{LIVE}/releases/2")).await?.read();
    assert_eq!(told.release.verdict, ReleaseVerdict::Cancelled);
    assert_eq!(told.release.reason.as_deref(), Some("cancelled by deployer"));
    let refused = server.body("POST", &path("1"), "", "").await?;
    assert_eq!(refused.code(), "SK0602");
    assert!(refused.text().contains("is succeeded, and no longer being rolled out"), "{}", refused.text());
    for none in ["9", "99999999999"] {
        assert_eq!(server.body("POST", &path(none), "", "").await?.code(), "SK0601");
    }
    Ok(())
}
