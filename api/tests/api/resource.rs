//! One resource, and lists.

use anyhow::Result;
use axum::body::Body;
use skep_api::wire::{ResourceList, ResourceView};

use crate::support::{Server, labelled, manifest};

const SHOP: &str = "/v1/orgs/acme/apps/shop";

fn shop(description: &str) -> String {
    manifest("App", "shop", &format!("{{description: {description}}}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_is_created_read_changed_and_deleted() -> Result<()> {
    let server = Server::with_org("acme").await?;
    let created = server.put(SHOP, &shop("one")).await?;
    assert_eq!(created.status, 201, "{created:?}");
    let read = server.get(SHOP).await?;
    assert_eq!((read.status, read.json()), (200, created.json()));
    assert_eq!(read.etag(), created.etag());
    let view: ResourceView = read.read();
    assert_eq!((view.metadata.generation.get(), view.spec["description"].as_str()), (1, Some("one")));

    let same = server.put(SHOP, &shop("one")).await?;
    assert_eq!((same.status, same.json()), (200, created.json()), "an equal manifest changes nothing");
    let changed = server.put(SHOP, &shop("two")).await?;
    let view: ResourceView = changed.read();
    assert_eq!((changed.status, view.metadata.generation.get()), (200, 2));
    assert_ne!(changed.etag(), created.etag());

    assert_eq!(server.delete(SHOP).await?.status, 204, "nothing of an app is in the Swarm");
    assert_eq!((server.get(SHOP).await?.code().as_str(), server.delete(SHOP).await?.status), ("SK0601", 404));
    let woken = server.control.woken.lock().unwrap().clone();
    assert!(woken.iter().filter(|key| *key == "acme/App/shop").count() >= 3, "{woken:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_still_be_in_the_swarm_is_marked_and_stays_until_it_is_clean() -> Result<()> {
    let server = Server::with_org("acme").await?;
    server.put(SHOP, &shop("one")).await?;
    let path = "/v1/orgs/acme/environments/shop";
    server.put(path, &manifest("Environment", "shop", "{app: shop, image: example.com/shop}")).await?;
    let deleted = server.delete(path).await?;
    let view: ResourceView = deleted.read();
    assert_eq!(deleted.status, 202);
    assert!(view.metadata.deletion_requested_at.is_some() && !view.metadata.finalizers.is_empty());
    assert_eq!(server.get(path).await?.status, 200);
    assert_eq!(server.delete(path).await?.status, 202, "asking again changes nothing");
    let again =
        server.put(path, &manifest("Environment", "shop", "{app: shop, image: example.com/shop:2}")).await?;
    assert_eq!((again.status, again.code().as_str()), (409, "SK0304"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_of_a_request_are_kept_or_answered_with_412() -> Result<()> {
    let server = Server::with_org("acme").await?;
    let put = async |name: &str, value: &str, description: &str| {
        let request =
            server.request("PUT", SHOP).header("content-type", "application/yaml").header(name, value);
        server.send(request.body(Body::from(shop(description)))?).await
    };
    assert_eq!(put("If-Match", "*", "none").await?.code(), "SK0302", "it does not exist");
    assert_eq!(put("If-Match", "\"1\"", "none").await?.status, 412);
    let first = put("If-None-Match", "*", "one").await?;
    assert_eq!(first.status, 201);
    assert_eq!(put("If-None-Match", "*", "other").await?.status, 412, "it exists");
    let second = put("If-Match", &first.etag(), "two").await?;
    assert_eq!(second.status, 200);
    for stale in [first.etag(), "\"x\"".to_owned(), format!("W/{}", second.etag())] {
        assert_eq!(put("If-Match", &stale, "lost").await?.status, 412, "{stale}");
    }
    assert_eq!(put("If-Match", "*", "three").await?.status, 200);
    for (name, value) in [("If-None-Match", "\"1\""), ("If-Match", "\"1\", \"2\"")] {
        assert_eq!(put(name, value, "odd").await?.status, 400, "{name}: {value}");
    }
    let delete = async |value: &str| {
        let request = server.request("DELETE", SHOP).header("If-Match", value);
        server.send(request.body(Body::empty())?).await
    };
    assert_eq!(delete(&second.etag()).await?.status, 412);
    let now = server.get(SHOP).await?;
    assert_eq!(now.json()["spec"]["description"], "three");
    assert_eq!(delete(&now.etag()).await?.status, 204);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn body_and_url_must_name_the_same_resource() -> Result<()> {
    let server = Server::with_org("acme").await?;
    for wrong in [
        manifest("App", "other", "{}"),
        manifest("Environment", "shop", "{app: shop, image: example.com/x}"),
        "apiVersion: skep.dev/v1\nkind: App\nmetadata: {org: other, name: shop}\nspec: {}\n".to_owned(),
    ] {
        assert_eq!(server.put(SHOP, &wrong).await?.code(), "SK0606", "{wrong}");
    }
    let two = format!("{}---\n{}", shop("one"), manifest("App", "other", "{}"));
    assert_eq!(server.put(SHOP, &two).await?.status, 400);
    assert_eq!(server.body("PUT", SHOP, "text/plain", &shop("one")).await?.code(), "SK0605");
    assert_eq!(server.get(SHOP).await?.status, 404);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_answers_as_if_and_writes_nothing() -> Result<()> {
    let server = Server::with_org("acme").await?;
    let path = format!("{SHOP}?dryRun=true");
    assert_eq!(server.put(&path, &shop("one")).await?.status, 201);
    assert_eq!(server.get(SHOP).await?.status, 404);
    let real = server.put(SHOP, &shop("one")).await?;
    assert_eq!(server.put(&path, &shop("two")).await?.json()["spec"]["description"], "two");
    assert_eq!(server.get(SHOP).await?.json(), real.json());
    let missing = server.put("/v1/orgs/nobody/apps/shop?dryRun=true", &shop("one")).await?;
    assert_eq!((missing.status, missing.code().as_str()), (404, "SK0202"), "it finds what a real one would");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_comes_in_pages_that_cover_it_exactly_once() -> Result<()> {
    let server = Server::with_org("acme").await?;
    server.put("/v1/organizations/beta", &manifest("Organization", "beta", "{}")).await?;
    for name in ["a", "b", "c", "d", "e"] {
        server.put(&format!("/v1/orgs/acme/apps/{name}"), &manifest("App", name, "{}")).await?;
    }
    server.put("/v1/orgs/beta/apps/z", &manifest("App", "z", "{}")).await?;
    let names = async |path: &str| -> Result<(Vec<String>, Option<String>)> {
        let page: ResourceList = server.get(path).await?.read();
        let names = page.items.iter().map(|item| item.metadata.name.to_string()).collect();
        Ok((names, page.next))
    };
    let mut all = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let cursor = next.map(|next| format!("&cursor={next}")).unwrap_or_default();
        let (page, following) = names(&format!("/v1/apps?limit=2{cursor}")).await?;
        assert!(page.len() <= 2);
        all.extend(page);
        next = following;
        if next.is_none() {
            break;
        }
    }
    assert_eq!(all, ["a", "b", "c", "d", "e", "z"], "over all organisations");
    assert_eq!(names("/v1/orgs/acme/apps").await?.0, ["a", "b", "c", "d", "e"]);
    assert_eq!(names("/v1/orgs/beta/apps").await?.0, ["z"]);
    assert_eq!(names("/v1/organizations").await?.0, ["acme", "beta"]);
    for wrong in [
        "/v1/apps?limit=0",
        "/v1/apps?limit=501",
        "/v1/apps?cursor=x",
        "/v1/apps?cursor=acme/Secret/x",
        "/v1/orgs/acme/apps?cursor=beta/App/a",
        "/v1/apps?labelSelector=%3D",
        "/v1/apps?since=1",
        "/v1/apps?nothing=1",
        "/v1/orgs/acme/organizations",
        "/v1/orgs/Acme/apps",
    ] {
        assert_eq!(server.get(wrong).await?.code(), "SK0602", "{wrong}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_selector_selects() -> Result<()> {
    let server = Server::with_org("acme").await?;
    for (name, labels) in
        [("a", "{tier: web}"), ("b", "{tier: web, canary: yes1}"), ("c", "{tier: db}"), ("d", "{}")]
    {
        server.put(&format!("/v1/orgs/acme/apps/{name}"), &labelled("App", name, labels, "{}")).await?;
    }
    for (selector, expected) in [
        ("tier%3Dweb", &["a", "b"][..]),
        ("tier!%3Dweb", &["c", "d"]),
        ("tier", &["a", "b", "c"]),
        ("!tier", &["d"]),
        ("tier%3Dweb,!canary", &["a"]),
        ("", &["a", "b", "c", "d"]),
    ] {
        let page: ResourceList =
            server.get(&format!("/v1/orgs/acme/apps?labelSelector={selector}")).await?.read();
        let names: Vec<_> = page.items.iter().map(|item| item.metadata.name.as_str().to_owned()).collect();
        assert_eq!(names, expected, "{selector}");
    }
    Ok(())
}
