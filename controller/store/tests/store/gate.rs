//! Feature gates: nothing new begins behind one that is closed, what there is goes on, and no tenant opens one.

use serde_json::{Value, json};
use skep_schemas::{Feature, Kind, Manifest, Owner, ResourceKey, Scope};
use skep_store::{Confirmation, DeleteItem, Precondition, StoreError};

use crate::support::{Bed, actor, app, domain, environment, item, key, manifest, org, org_name};

fn platform(features: Value) -> Manifest {
    manifest(key("", Kind::Platform, "default"), json!({ "features": features }))
}

fn organization(features: Value) -> Manifest {
    manifest(key("", Kind::Organization, "acme"), json!({ "features": features }))
}

fn deletion(key: ResourceKey) -> DeleteItem {
    DeleteItem {
        key,
        precondition: Precondition::None,
        confirmation: Confirmation::Pending,
        deleter: Owner::Api,
    }
}

fn refusal(result: Result<impl std::fmt::Debug, StoreError>) -> String {
    match result {
        Err(error @ StoreError::FeatureClosed { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn behind_a_closed_gate_nothing_new_begins_and_what_there_is_may_be_changed_and_deleted() {
    let bed = Bed::new("gate").await;
    let shop = || app("acme", "shop", "shop:1");
    bed.apply(&[
        org("acme"),
        shop(),
        environment("acme", "live", &[]),
        domain("acme", "www", "www.acme.test"),
    ])
    .await
    .unwrap();
    bed.applied(platform(json!({"caas": false, "customDomains": false}))).await;
    let before = bed.dump();
    for (new, said) in [
        (
            app("acme", "blog", "blog:1"),
            "acme/App/blog needs the feature `caas`, which Platform/default has switched off",
        ),
        (
            environment("acme", "stage", &[]),
            "acme/Environment/stage needs the feature `caas`, which Platform/default has switched off",
        ),
        (
            domain("acme", "api", "api.acme.test"),
            "acme/Domain/api needs the feature `customDomains`, which Platform/default has switched off",
        ),
        (
            domain("acme", "www", "other.acme.test"),
            "acme/Domain/www needs the feature `customDomains`, which Platform/default has switched off",
        ),
    ] {
        assert_eq!(refusal(bed.apply(std::slice::from_ref(&new)).await), said);
        // A preview goes through the same door.
        assert_eq!(refusal(bed.store.dry_run(&[item(new)], &actor()).await), said);
    }
    // One of a batch refuses all of it.
    let built = manifest(key("acme", Kind::App, "site"), json!({"processes": {"web": {}}}));
    refusal(bed.apply(&[built.clone(), app("acme", "blog", "blog:1")]).await);
    assert_eq!(bed.dump(), before);
    bed.applied(built).await;
    bed.applied(app("acme", "shop", "shop:2")).await;
    let changed = json!({"app": "shop", "env": {"A": "b"}});
    bed.applied(manifest(key("acme", Kind::Environment, "live"), changed)).await;
    bed.applied(domain("acme", "www", "www.acme.test")).await;
    bed.store.delete_all(&[deletion(key("acme", Kind::Domain, "www"))], &actor()).await.unwrap();
    // Deleted and made again is new.
    bed.applied(platform(json!({"caas": true}))).await;
    bed.applied(environment("acme", "stage", &[])).await;
}

#[tokio::test]
async fn what_the_platform_has_closed_no_organisation_opens_and_one_organisations_gate_is_no_others() {
    let bed = Bed::new("gates").await;
    bed.apply(&[org("acme"), org("globex")]).await.unwrap();
    bed.applied(organization(json!({"caas": false}))).await;
    let said = refusal(bed.apply(&[app("acme", "shop", "shop:1")]).await);
    assert!(said.ends_with("which Organization/acme has switched off"), "{said}");
    bed.applied(app("globex", "shop", "shop:1")).await;
    bed.applied(platform(json!({"caas": false}))).await;
    bed.applied(organization(json!({"caas": true}))).await;
    let said = refusal(bed.apply(&[app("acme", "shop", "shop:1")]).await);
    assert!(said.ends_with("which Platform/default has switched off"), "{said}");
    let gates = bed.store.features(&org_name("acme")).await.unwrap();
    let closed: Vec<_> = gates.into_iter().filter_map(|gate| Some((gate.feature, gate.closed_by?))).collect();
    assert_eq!(closed, [(Feature::Caas, key("", Kind::Platform, "default"))]);
    assert!(matches!(bed.store.features(&org_name("none")).await, Err(StoreError::NotFound { .. })));
    // Who opens a gate goes through it in the same batch, and what is put back as a whole is no beginning.
    bed.apply(&[platform(json!({})), app("acme", "shop", "shop:1")]).await.unwrap();
    bed.apply(&[platform(json!({"caas": false})), app("acme", "blog", "blog:1")]).await.unwrap();
    refusal(bed.apply(&[platform(json!({"caas": false})), app("acme", "next", "next:1")]).await);
}

#[tokio::test]
async fn a_tenant_is_told_of_gates_and_opens_none() {
    let bed = Bed::new("gatetenant").await;
    bed.apply(&[organization(json!({"caas": false})), platform(json!({"caas": false}))]).await.unwrap();
    let acme = bed.store.within(Some(&Scope::Org(org_name("acme"))));
    let shop = || item(app("acme", "shop", "shop:1"));
    // The gate is seen through the tenant's own connection.
    let said = refusal(acme.apply(&[shop()], &actor()).await);
    assert!(said.ends_with("which Platform/default has switched off"), "{said}");
    assert_eq!(
        acme.features(&org_name("acme")).await.unwrap(),
        bed.store.features(&org_name("acme")).await.unwrap()
    );
    let before = bed.dump();
    for opening in [
        platform(json!({})),
        manifest(key("", Kind::Platform, "mine"), json!({})),
        organization(json!({"caas": true})),
    ] {
        for batch in [vec![item(opening.clone())], vec![item(opening.clone()), shop()]] {
            acme.apply(&batch, &actor()).await.unwrap_err();
        }
    }
    let gate = deletion(key("", Kind::Platform, "default"));
    let deleted = acme.delete_all(&[gate], &actor()).await;
    assert!(deleted.is_err() || bed.dump() == before, "{deleted:?}");
    assert_eq!(bed.dump(), before);
}
