//! Where environments can run, told to tenants and to the platform.

use anyhow::Result;
use serde_json::json;
use skep_schemas::Role;

use crate::panel_tenant::Tenant;

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_sees_names_of_its_regions_and_an_administrator_the_nodes() -> Result<()> {
    let acme = Tenant::new().await?;
    let eu = json!({"items": [{"name": "eu", "takesWork": true}]});
    for path in ["/v1/orgs/acme/regions", "/api/paas/locations", "/api/paas/locations?org=acme"] {
        let told = acme.ask("GET", path, None).await?;
        assert_eq!((told.status, told.json()), (200, eu.clone()), "{path}: {told:?}");
    }
    // What other organisations have for themselves is not for tenants.
    let all = acme.ask("GET", "/v1/regions", None).await?;
    assert_eq!((all.status, all.code().as_str()), (403, "SK0403"), "{all:?}");
    let theirs = acme.ask("GET", "/api/paas/locations?org=globex", None).await?;
    assert_eq!(theirs.code(), acme.ask("GET", "/v1/orgs/globex/regions", None).await?.code(), "{theirs:?}");
    assert!([403, 404].contains(&theirs.status), "{theirs:?}");

    for (path, name) in [
        ("/v1/orgs/acme/regions", "eu"),
        ("/v1/regions", "vault"),
        ("/api/paas/locations", "vault"),
        ("/api/paas/locations?org=acme", "eu"),
    ] {
        let nodes = json!({"ready": 0, "active": 0, "cpuMillis": 0, "memoryBytes": 0, "items": []});
        let with_nodes = json!({"items": [{"name": name, "takesWork": true, "nodes": nodes}]});
        assert_eq!(acme.server.get(path).await?.json(), with_nodes, "{path}");
        let viewer = acme.server.token_of(None, &format!("viewer-{}", path.len()), Role::Viewer).await?;
        let told = acme.server.ask(&viewer, "GET", path, None).await?;
        assert_eq!(told.json(), json!({"items": [{"name": name, "takesWork": true}]}), "{path}");
    }
    acme.server.control.engine_is_down.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(acme.ask("GET", "/v1/orgs/acme/regions", None).await?.code(), "SK0501");
    Ok(())
}
