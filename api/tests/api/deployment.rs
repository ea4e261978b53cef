//! Deployments over the wire: the attempts at releases, and cancelling one.

use std::time::Duration;

use anyhow::Result;
use skep_api::wire::{ReleaseItem, ReleaseOutputView, ReleaseVerdict, ReleaseView, ResourceView};
use skep_planner::plan::KeptLines;
use skep_planner::{LastLines, Plan, ReleaseVersion, RunOutput, Verdict};
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

#[tokio::test(flavor = "multi_thread")]
async fn what_a_release_failed_by_is_read_by_those_who_may_read_logs_and_by_nobody_else() -> Result<()> {
    const CANARY: &str = "canary-4711";
    let server = with_environment().await?;
    let resource: ResourceView = server.get(LIVE).await?.read();
    let fence = server.store.acquire_lease("test", "me", Duration::from_secs(60)).await?.unwrap();
    server.store.begin_plan(&fence, &releasing(&resource, 1, None)?).await?;
    let output = RunOutput { text: format!("starting\npassword {CANARY}\n"), gap: None };
    let lines = LastLines { process: "web".parse()?, output };
    let kept = KeptLines { release: ReleaseVersion::FIRST, lines };
    let failed = Verdict::Failed { reason: "process web: the process ended with exit code 3".to_owned() };
    let judged = Plan { release: None, last_lines: Some(kept), ..releasing(&resource, 2, Some(failed))? };
    assert!(!format!("{judged:?}").contains(CANARY), "nor does a plan show it");
    server.store.begin_plan(&fence, &judged).await?;
    let path = format!("{LIVE}/releases/1/output");
    let deployer = server.token_of(Some("acme"), "deployer", Role::Deployer).await?;
    let told: ReleaseOutputView = server.ask(&deployer, "GET", &path, None).await?.read();
    assert_eq!((told.process.as_str(), told.text.lines().last()), ("web", Some("password canary-4711")));
    let release: ReleaseView = server.get(&format!("{LIVE}/releases/1")).await?.read();
    let panel = format!("/api/paas/deployments/{}/logs?org=acme", release.release.uid.unwrap());
    assert_eq!(server.ask(&deployer, "GET", &panel, None).await?.read::<ReleaseOutputView>(), told);
    let viewer = server.token_of(Some("acme"), "viewer", Role::Viewer).await?;
    for path in [&path, &panel] {
        assert_eq!(server.ask(&viewer, "GET", path, None).await?.code(), "SK0403", "{path}");
    }
    for path in ["", "/releases", "/releases/1", "/events"] {
        let seen = server.get(&format!("{LIVE}{path}")).await?;
        assert!(!seen.text().contains(CANARY), "{path}");
    }
    assert!(!server.get("/metrics").await?.text().contains(CANARY));
    server.store.begin_plan(&fence, &releasing(&resource, 2, None)?).await?;
    for none in ["2", "9"] {
        assert_eq!(server.get(&format!("{LIVE}/releases/{none}/output")).await?.code(), "SK0601", "{none}");
    }
    Ok(())
}
