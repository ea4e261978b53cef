//! The audit as it is served: whose entries one sees, what a denial leaves, and the chain, computed again from what is sent alone.

use anyhow::Result;
use skep_api::wire::{AuditChainView, AuditList, AuditOutcome};
use skep_schemas::Role;
use skep_store::Sealed;

use crate::support::{Answer, Server, manifest};

const APP: &str = "{source: {image: shop:1}, processes: {web: {}}}";

fn read<T: serde::de::DeserializeOwned>(answer: &Answer) -> Result<T> {
    assert_eq!(answer.status, 200, "{answer:?}");
    Ok(serde_json::from_str(&answer.text())?)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chain_can_be_computed_again_from_what_is_served() -> Result<()> {
    let server = Server::with_org("acme").await?;
    for name in ["shop", "b\u{fc}cher"] {
        let path = "/v1/orgs/acme/apps/shop";
        let spec =
            format!("{{description: \"{name}\", source: {{image: shop:1}}, processes: {{web: {{}}}}}}");
        assert!(server.put(path, &manifest("App", "shop", &spec)).await?.status < 300);
    }
    server.token_of(Some("acme"), "ci", Role::Deployer).await?;
    assert!(server.delete("/v1/orgs/acme/apps/shop").await?.status < 300);
    let Sealed::At(sealed) = server.store.seal_audit().await? else { panic!("nothing was sealed") };
    let mut previous = None;
    let (mut after, mut seen) = (0, 0);
    loop {
        let page: AuditChainView =
            read(&server.get(&format!("/v1/audit/chain?after={after}&limit=2")).await?)?;
        let mut link = previous.take().unwrap_or_else(|| page.floor_link.clone());
        if page.items.is_empty() {
            assert_eq!((page.position, &page.link), (after, &link));
            break;
        }
        for entry in &page.items {
            after += 1;
            link = hex::encode(entry.link_after(&hex::decode(&link)?, after));
            assert_eq!(entry.link.as_ref(), Some(&link), "{entry:?}");
            for seal in page.seals.iter().filter(|seal| seal.position == after) {
                assert!(seal.is_genuine(&page.instance) && seal.link == link, "{seal:?}");
                assert!(!seal.is_genuine("another"), "a seal is of one installation");
                seen += 1;
            }
        }
        previous = Some(link);
    }
    assert!(after >= 5 && sealed == after && seen >= 1, "{after} entries, {seen} seals");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_sees_its_own_entries_and_only_its_admins_do() -> Result<()> {
    let server = Server::with_org("acme").await?;
    server.put("/v1/organizations/globex", &manifest("Organization", "globex", "{}")).await?;
    for org in ["acme", "globex"] {
        let path = format!("/v1/orgs/{org}/apps/shop");
        assert_eq!(server.put(&path, &manifest("App", "shop", APP)).await?.status, 201);
    }
    let admin = server.token_of(Some("acme"), "admin", Role::Admin).await?;
    let found: AuditList = read(&server.ask(&admin, "GET", "/v1/orgs/acme/audit", None).await?)?;
    assert!(found.items.len() >= 2, "{found:?}");
    assert!(found.items.iter().all(|entry| entry.org.as_deref() == Some("acme")), "{found:?}");
    let made = found.items.iter().find(|entry| entry.kind == "App").unwrap();
    assert_eq!((made.verb.as_str(), made.acting_as.as_deref()), ("create", Some("owner of the platform")));
    assert!(made.request_id.is_some() && made.after.is_some());
    for path in ["/v1/audit", "/v1/audit/chain"] {
        assert_eq!(server.ask(&admin, "GET", path, None).await?.status, 403, "{path}");
    }
    let deployer = server.token_of(Some("acme"), "deployer", Role::Deployer).await?;
    assert_eq!(server.ask(&deployer, "GET", "/v1/orgs/acme/audit", None).await?.status, 403);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_denied_is_told_with_where_it_aimed_and_a_flood_of_it_is_not_written_down() -> Result<()> {
    let server = Server::with_org("acme").await?;
    let viewer = server.token_of(Some("acme"), "viewer", Role::Viewer).await?;
    for (method, path, status) in [
        ("DELETE", "/v1/orgs/acme/apps/shop", 403),
        ("GET", "/v1/orgs/globex/apps", 404),
        ("GET", "/v1/holds", 403),
    ] {
        assert_eq!(server.ask(&viewer, method, path, None).await?.status, status, "{method} {path}");
    }
    let search = "/v1/audit?outcome=denied&actor=acme/viewer";
    let found: AuditList = read(&server.get(search).await?)?;
    let told: Vec<_> = found
        .items
        .iter()
        .map(|entry| (entry.verb.as_str(), entry.org.as_deref(), entry.kind.as_str(), entry.outcome))
        .collect();
    assert_eq!(
        told,
        [
            ("read", None, "", AuditOutcome::Denied),
            ("read", Some("globex"), "", AuditOutcome::Denied),
            ("delete", Some("acme"), "App", AuditOutcome::Denied),
        ]
    );
    for _ in 0..100 {
        assert_eq!(server.ask(&viewer, "GET", "/v1/holds", None).await?.status, 403);
    }
    let found: AuditList = read(&server.get(&format!("{search}&limit=1000")).await?)?;
    assert!((30..40).contains(&found.items.len()), "{} of 103 are written down", found.items.len());
    let metrics = server.get("/metrics").await?.text().to_owned();
    assert!(metrics.contains(r#"skep_http_denied_total{written="no"}"#), "{metrics}");
    Ok(())
}
