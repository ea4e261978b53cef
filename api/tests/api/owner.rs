//! Who owns a resource: told, given to another, and what is refused to everybody else.

use anyhow::Result;
use serde_json::{Value, json};
use skep_api::wire::{OwnerView, Problem};
use skep_schemas::{Kind, Owner, ResourceKey, Role, Scope, SourceRef};
use skep_store::{Actor, ApplyItem, Precondition, Writer};

use crate::panel_tenant::{PLAN, Tenant};
use crate::support::manifest;

const APP: &str = "/v1/orgs/acme/apps/shop";
const OWNER: &str = "/v1/orgs/acme/apps/shop/owner";

fn web() -> Result<SourceRef> {
    Ok(SourceRef { org: Some("acme".parse()?), name: "web".parse()? })
}

fn app(image: &str) -> String {
    manifest("App", "shop", &format!("{{source: {{image: '{image}'}}, processes: {{web: {{}}}}}}"))
}

/// Acme, whose App shop its Git source web has written.
async fn synced() -> Result<Tenant> {
    let acme = Tenant::new().await?;
    let store = &acme.server.store;
    let key = ResourceKey::new(Scope::Org("acme".parse()?), Kind::App, "shop".parse()?)?;
    let mut read = skep_schemas::Batch::new(skep_schemas::ReadOptions { default_org: Some("acme".parse()?) });
    read.add_yaml("shop.yaml", &app("shop:1"));
    let manifest = read.finish().unwrap().remove(0).manifest;
    let actor = Actor::new("GitSource acme/web");
    store.set_owner(&key, &Owner::Git { source: web()? }, &Actor::new("ann")).await?;
    let provenance = json!({"commit": "0a".repeat(20), "path": "deploy/shop.yaml", "line": 12});
    let writer = Writer::Git { source: web()?, provenance: serde_json::from_value(provenance)? };
    store.apply(&[ApplyItem { manifest, precondition: Precondition::None, writer }], &actor).await?;
    Ok(acme)
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_a_resource_is_is_told_with_where_it_is_written_and_changed_by_whoever_may_write_it()
-> Result<()> {
    let acme = synced().await?;
    let told: OwnerView = acme.ask("GET", OWNER, None).await?.read();
    assert_eq!(told.managed_by, Owner::Git { source: web()? });
    assert_eq!(told.written.unwrap().to_string(), "deploy/shop.yaml:12 at commit 0a0a0a0a0a0a");
    let before = acme.native("apps/shop").await?;
    assert_eq!(before.metadata.managed_by, told.managed_by);

    acme.server.control.woken.lock().unwrap().clear();
    let given = acme.ask("PUT", OWNER, Some(json!({"managedBy": {"by": "api"}}))).await?;
    assert_eq!((given.status, given.json()), (200, json!({"managedBy": {"by": "api"}})));
    let after = acme.native("apps/shop").await?;
    assert_eq!((&after.spec, after.metadata.generation), (&before.spec, before.metadata.generation));
    assert!(acme.server.control.woken.lock().unwrap().is_empty(), "there is nothing to plan");
    let events = acme.ask("GET", &format!("{APP}/events"), None).await?.text();
    assert!(events.contains("owner gave it from GitSource acme/web to the API"), "{events}");
    let audit = acme.ask("GET", "/v1/orgs/acme/audit", None).await?.text();
    assert!(audit.contains("\"set-owner\""), "{audit}");

    let to = |source: Value| json!({"managedBy": {"by": "git", "source": source}});
    for (source, status) in [
        (json!({"org": "acme", "name": "web"}), 200),
        (json!({"name": "infra"}), 200),
        (json!({"org": "globex", "name": "web"}), 400),
        (json!({"org": "acme", "name": "web", "more": 1}), 400),
        (json!("web"), 400),
    ] {
        assert_eq!(acme.ask("PUT", OWNER, Some(to(source.clone()))).await?.status, status, "{source}");
    }
    // Of a kind that a deployer does not write he does not say whose it is.
    let deployer = acme.server.token_of(Some("acme"), "deployer", Role::Deployer).await?;
    let body = || Some(("application/json", json!({"managedBy": {"by": "api"}}).to_string()));
    let policy = "/v1/orgs/acme/imagepolicies/images/owner";
    assert_eq!(acme.server.ask(&deployer, "PUT", policy, body()).await?.status, 403);
    assert_eq!(acme.server.ask(&deployer, "PUT", OWNER, body()).await?.status, 200);
    assert_eq!(
        acme.ask("PUT", "/v1/organizations/acme/owner", Some(to(json!({"name": "infra"})))).await?.status,
        403
    );
    assert_eq!(acme.ask("GET", "/v1/orgs/acme/apps/none/owner", None).await?.status, 404);

    // A plan is the platform's, and so are the sources that own one.
    acme.server.put("/v1/plans/small", &manifest("Plan", "small", PLAN)).await?;
    let plan = "/v1/plans/small/owner";
    let set = |source: Value| {
        acme.server.body("PUT", plan, "application/json", Box::leak(to(source).to_string().into_boxed_str()))
    };
    assert_eq!(set(json!({"name": "infra"})).await?.status, 200);
    assert_eq!(set(json!({"org": "acme", "name": "web"})).await?.status, 400);
    assert!(acme.server.get(plan).await?.text().contains("\"infra\""));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_source_owns_is_refused_with_the_line_of_the_document_and_three_ways_out() -> Result<()> {
    let acme = synced().await?;
    let before = acme.native("apps/shop").await?.metadata.revision;
    let batch = format!("{}---\n{}", manifest("Secret", "db", "{value: x}"), app("shop:2"));
    let apply = |query: &str| format!("/v1/apply?org=acme{query}");
    for dry in ["", "&dryRun=true"] {
        let refused = acme.server.post(&apply(dry), &batch).await?;
        assert_eq!((refused.status, refused.code().as_str()), (409, "SK0305"), "{refused:?}");
        let problem: Problem = refused.read();
        assert_eq!(
            problem.detail,
            "GitSource acme/web maintains acme/App/shop, in deploy/shop.yaml:12 at commit 0a0a0a0a0a0a"
        );
        let help = problem.help.clone().unwrap();
        for way in ["in the repository", "skep owner acme/App/shop --set api", "skep apply --take-over"] {
            assert!(help.contains(way), "{help}");
        }
        let place = &problem.diagnostics[0];
        assert_eq!((place.source.as_deref(), place.line), (Some("body"), Some(6)), "{problem:?}");
    }
    assert_eq!(acme.server.put(APP, &app("shop:2")).await?.code(), "SK0305");
    let deleted = acme.server.delete(APP).await?;
    assert_eq!((deleted.status, deleted.code().as_str()), (409, "SK0305"));
    assert!(deleted.text().contains("remove it from the repository"), "{deleted:?}");
    let delete = json!({"delete": [{"org": "acme", "kind": "App", "name": "shop"}]});
    assert_eq!(acme.ask("POST", "/v1/delete", Some(delete)).await?.code(), "SK0305");
    // The same document is nobody's conflict.
    let same = acme.server.put(APP, &app("shop:1")).await?;
    assert_eq!((same.status, acme.native("apps/shop").await?.metadata.revision), (200, before));

    // In a dry run the word changes nothing, and then both are done at once.
    assert_eq!(acme.server.post(&apply("&takeOver=true&dryRun=true"), &batch).await?.status, 200);
    assert_eq!(acme.native("apps/shop").await?.metadata.revision, before);
    let taken = acme.server.post(&apply("&takeOver=true"), &batch).await?;
    assert_eq!(taken.status, 200, "{taken:?}");
    let now = acme.native("apps/shop").await?;
    assert_eq!((&now.metadata.managed_by, &now.spec["source"]["image"]), (&Owner::Api, &json!("shop:2")));
    assert_eq!(acme.server.put(APP, &app("shop:3")).await?.status, 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_write_takes_over_too_and_an_adoption_does_not() -> Result<()> {
    let acme = synced().await?;
    let taken = acme.server.put(&format!("{APP}?takeOver=true"), &app("shop:2")).await?;
    assert_eq!(taken.status, 200, "{taken:?}");
    assert_eq!(acme.native("apps/shop").await?.metadata.managed_by, Owner::Api);
    let adopted = acme.server.post("/v1/orgs/acme/environments/live/adopt?takeOver=true", "").await?;
    assert_eq!(adopted.status, 400, "{adopted:?}");
    Ok(())
}
