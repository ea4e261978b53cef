//! What environments use, told by native and by panel routes.

use std::sync::atomic::Ordering;

use anyhow::Result;
use serde_json::json;
use skep_schemas::Role;

use crate::panel_tenant::Tenant;

#[tokio::test(flavor = "multi_thread")]
async fn what_an_environment_uses_is_told_by_its_name_and_by_uid() -> Result<()> {
    let acme = Tenant::new().await?;
    let (live, app) = (acme.uid("environments/live").await?, acme.uid("apps/shop").await?);
    let viewer = acme.server.token_of(Some("acme"), "viewer", Role::Viewer).await?;
    let paths = [
        "/v1/orgs/acme/environments/live/metrics".to_owned(),
        format!("/api/paas/environments/{live}/metrics"),
        format!("/api/caas/containers/{live}/metrics"),
        format!("/api/paas/applications/{app}/metrics"),
    ];
    for path in &paths {
        let told = acme.server.ask(&viewer, "GET", path, None).await?;
        assert_eq!(told.status, 200, "{path}: {told:?}");
        let item = &told.json()["items"][0];
        assert_eq!((&item["instance"], item.get("usage")), (&json!("live"), None), "{path}");
        let unread =
            json!({"reason": "anotherNode", "message": "cannot be read from here: runs on another node"});
        assert_eq!((&item["unread"], &told.json()["unread"]), (&unread, &json!(1)), "{path}");
    }
    // Another organisation's is what is not there.
    acme.server
        .put("/v1/organizations/globex", &crate::support::manifest("Organization", "globex", "{}"))
        .await?;
    let other = acme.server.token_of(Some("globex"), "owner", Role::Owner).await?;
    for path in &paths {
        let refused = acme.server.ask(&other, "GET", path, None).await?;
        assert!([403, 404].contains(&refused.status), "{path}: {refused:?}");
    }
    let none = acme.ask("GET", "/v1/orgs/acme/environments/nonesuch/metrics", None).await?;
    assert_eq!(none.status, 404, "{none:?}");
    acme.server.control.engine_is_down.store(true, Ordering::SeqCst);
    let down = acme.ask("GET", &paths[0], None).await?;
    assert_eq!((down.status, down.code().as_str()), (503, "SK0501"), "{down:?}");
    Ok(())
}
