//! What the panel's routes change: manifests, one place at a time.

use anyhow::Result;
use secrecy::SecretString;
use serde_json::{Value, json};
use skep_api::wire::{FeaturesView, ResourceView};
use skep_schemas::{Feature, Role};

use crate::panel_tenant::{PLAN, Tenant, names};
use crate::support::manifest;

#[tokio::test(flavor = "multi_thread")]
async fn variables_are_set_and_removed_over_what_was_read() -> Result<()> {
    let acme = Tenant::new().await?;
    let config = format!("{}/config", acme.live().await?);
    let env = async || -> Result<Value> { Ok(acme.ask("GET", &config, None).await?.json()["env"].clone()) };
    assert_eq!(env().await?, json!({"STAGE": "live", "DEBUG": "1"}));
    let change = json!({"env": {"DEBUG": null, "COLOUR": "blue", "NOTHING": null}});
    let changed = acme.ask("PATCH", &config, Some(change.clone())).await?;
    let expected = json!({"STAGE": "live", "COLOUR": "blue"});
    assert_eq!((changed.status, &changed.json()["env"]), (200, &expected), "{changed:?}");
    assert_eq!(env().await?, expected);
    let native = acme.native("environments/live").await?;
    assert_eq!((&native.spec["env"], &native.spec["app"]), (&expected, &json!("shop")), "all else stays");
    assert!(acme.server.control.woken.lock().unwrap().contains(&"acme/Environment/live".to_owned()));
    // The same again is no change.
    assert_eq!(acme.ask("PATCH", &config, Some(change.clone())).await?.status, 200);
    assert_eq!(acme.native("environments/live").await?.metadata.revision, native.metadata.revision);
    for (wrong, code) in [
        (json!({"env": {"1X": "no name"}}), "SK0602"),
        (json!({"env": {"A": 1}}), "SK0602"),
        (json!({"environment": {}}), "SK0602"),
        (json!([]), "SK0602"),
    ] {
        let refused = acme.ask("PATCH", &config, Some(wrong.clone())).await?;
        assert_eq!((refused.status, refused.code().as_str()), (400, code), "{wrong}: {refused:?}");
    }
    assert_eq!(env().await?, expected);
    let viewer = acme.server.token_of(Some("acme"), "viewer", Role::Viewer).await?;
    assert_eq!(acme.server.ask(&viewer, "GET", &config, None).await?.status, 200);
    let body = Some(("application/json", change.to_string()));
    assert_eq!(acme.server.ask(&viewer, "PATCH", &config, body).await?.code(), "SK0403");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_is_given_another_image() -> Result<()> {
    let acme = Tenant::new().await?;
    let uid = acme.uid("environments/live").await?;
    for (index, of) in ["/api/paas/environments", "/api/caas/containers"].into_iter().enumerate() {
        let path = format!("{of}/{uid}/deploy");
        let image = format!("example.com/shop:{index}");
        let given = acme.ask("POST", &path, Some(json!({ "image_ref": image }))).await?;
        assert_eq!((given.status, &given.json()["spec"]["image"]), (200, &json!(image)), "{given:?}");
        let native = acme.native("environments/live").await?;
        assert_eq!((&native.spec["image"], &native.spec["env"]["STAGE"]), (&json!(image), &json!("live")));
        for wrong in [json!({}), json!({"image_ref": "no image"}), json!({"gitSha": "abc"})] {
            assert_eq!(acme.ask("POST", &path, Some(wrong.clone())).await?.code(), "SK0602", "{wrong}");
        }
        assert_eq!(acme.native("environments/live").await?.metadata.revision, native.metadata.revision);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_are_changed_by_uid_with_their_manifests() -> Result<()> {
    let acme = Tenant::new().await?;
    let put = async |token: &SecretString, path: &str, manifest: String| {
        acme.server.ask(token, "PUT", path, Some(("application/yaml", manifest))).await
    };
    acme.server
        .put("/v1/orgs/acme/environments/next", &manifest("Environment", "next", "{app: shop}"))
        .await?;
    let app = format!("/api/paas/applications/{}", acme.uid("apps/shop").await?);
    let domain = format!("/api/paas/domains/{}", acme.uid("domains/www").await?);
    for (path, native, kind, name, spec, field) in [
        (&app, "apps/shop", "App", "shop", "{description: a shop}", "description"),
        (&domain, "domains/www", "Domain", "www", "{host: www.acme.test, environment: next}", "environment"),
    ] {
        let changed = put(&acme.owner, path, manifest(kind, name, spec)).await?;
        assert_eq!(changed.status, 200, "{path}: {changed:?}");
        let view: ResourceView = changed.read();
        assert_eq!(view.spec[field], acme.native(native).await?.spec[field]);
        assert!(["a shop", "next"].contains(&view.spec[field].as_str().unwrap()), "{view:?}");
        let elsewhere = put(&acme.owner, path, manifest(kind, "other", spec)).await?;
        assert_eq!(elsewhere.code(), "SK0606", "{path}: a uid is no way to another name");
        let refused = put(&acme.owner, path, manifest(kind, name, "{what: no}")).await?;
        assert_eq!(refused.status, 422, "{path}: {refused:?}");
    }
    acme.server.put("/v1/plans/hobby", &manifest("Plan", "hobby", PLAN)).await?;
    let plan = acme.server.get("/v1/plans/hobby").await?.read::<ResourceView>().metadata.uid;
    let (path, wanted) = (format!("/api/admin/paas/plans/{plan}"), PLAN.replace("}}", "}, maxInstances: 3}"));
    assert_eq!(put(&acme.owner, &path, manifest("Plan", "hobby", &wanted)).await?.code(), "SK0403");
    let changed = put(&acme.server.token, &path, manifest("Plan", "hobby", &wanted)).await?;
    assert_eq!((changed.status, &changed.json()["spec"]["maxInstances"]), (200, &json!(3)), "{changed:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_is_changed_by_a_merge_patch() -> Result<()> {
    let acme = Tenant::new().await?;
    let live = acme.live().await?;
    let patch = json!({"spec": {"region": "eu", "env": {"DEBUG": null, "COLOUR": "blue"}}});
    let changed = acme.ask("PATCH", &live, Some(patch.clone())).await?;
    assert_eq!(changed.status, 200, "{changed:?}");
    let native = acme.native("environments/live").await?;
    let expected = json!({"app": "shop", "region": "eu", "env": {"STAGE": "live", "COLOUR": "blue"}});
    assert_eq!((&native.spec, &changed.json()["spec"]), (&expected, &expected));
    for (wrong, code) in [
        (json!({"spec": {"regoin": "eu"}}), "SK0104"),
        (json!({"spec": {"app": null}}), "SK0106"),
        (json!({"spec": {"app": 7}}), "SK0107"),
        (json!({"spec": []}), "SK0602"),
        (json!({"region": "eu"}), "SK0602"),
    ] {
        let refused = acme.ask("PATCH", &live, Some(wrong.clone())).await?;
        assert_eq!(refused.code(), code, "{wrong}: {refused:?}");
    }
    assert_eq!(acme.native("environments/live").await?.metadata.revision, native.metadata.revision);
    let viewer = acme.server.token_of(Some("acme"), "viewer", Role::Viewer).await?;
    let body = Some(("application/json", patch.to_string()));
    assert_eq!(acme.server.ask(&viewer, "PATCH", &live, body).await?.code(), "SK0403");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_of_an_app_is_created_of_what_the_panel_sends() -> Result<()> {
    let acme = Tenant::new().await?;
    let path = format!("/api/paas/apps/{}/environments", acme.uid("apps/shop").await?);
    let sent = json!({
        "name": "next", "region": "eu", "deploy_mode": "image", "image_ref": "example.com/shop:2",
        "limits": {"cpu": "250m", "memory": "64Mi"}, "envVars": {"STAGE": "next"}
    });
    let made = acme.ask("POST", &path, Some(sent.clone())).await?;
    assert_eq!(made.status, 201, "{made:?}");
    let native = acme.native("environments/next").await?;
    assert_eq!(made.read::<ResourceView>(), native);
    let expected = json!({
        "app": "shop", "region": "eu", "image": "example.com/shop:2", "env": {"STAGE": "next"},
        "processes": {"web": {"resources": {"cpu": "250m", "memory": "64Mi", "pids": 256}}}
    });
    assert_eq!(native.spec, expected);
    assert_eq!(acme.ask("POST", &path, Some(json!({"name": "bare"}))).await?.status, 201);
    for (wrong, status, code) in [
        (sent, 409, "SK0307"),
        (json!({"name": "built", "deploy_mode": "buildpack"}), 501, "SK0611"),
        (json!({"name": "No"}), 400, "SK0602"),
        (json!({"name": "more", "planId": "x"}), 400, "SK0602"),
    ] {
        let refused = acme.ask("POST", &path, Some(wrong.clone())).await?;
        assert_eq!((refused.status, refused.code().as_str()), (status, code), "{wrong}: {refused:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn domains_of_an_environment_are_created_and_listed() -> Result<()> {
    let acme = Tenant::new().await?;
    acme.server
        .put("/v1/orgs/acme/environments/next", &manifest("Environment", "next", "{app: shop}"))
        .await?;
    let (live, next) = (acme.uid("environments/live").await?, acme.uid("environments/next").await?);
    let of_live = format!("/api/paas/environments/{live}/domains");
    let of_next = format!("/api/caas/containers/{next}/domains");
    assert_eq!(names(&acme.ask("GET", &of_live, None).await?), ["www"]);
    assert_eq!(names(&acme.ask("GET", &of_next, None).await?), Vec::<String>::new());
    let made = acme.ask("POST", &of_next, Some(json!({"host": "next.acme.test", "tls": "off"}))).await?;
    assert_eq!(made.status, 201, "{made:?}");
    let domain: ResourceView = made.read();
    assert_eq!(domain.metadata.name.as_str(), "next-acme-test");
    assert_eq!(domain.spec, json!({"host": "next.acme.test", "environment": "next", "tls": "off"}));
    let named = json!({"name": "api", "host": "api.acme.test", "process": "web", "port": "http"});
    assert_eq!(acme.ask("POST", &of_live, Some(named)).await?.status, 201);
    assert_eq!(names(&acme.ask("GET", &of_live, None).await?), ["api", "www"]);
    assert_eq!(names(&acme.ask("GET", &of_next, None).await?), ["next-acme-test"]);
    for (wrong, status, code) in [
        (json!({"name": "api", "host": "further.acme.test"}), 409, "SK0307"),
        (json!({"name": "other", "host": "www.acme.test"}), 409, "SK0303"),
        (json!({"host": "no host"}), 400, "SK0602"),
        (json!({"hostname": "new.acme.test"}), 400, "SK0602"),
    ] {
        let refused = acme.ask("POST", &of_live, Some(wrong.clone())).await?;
        assert_eq!((refused.status, refused.code().as_str()), (status, code), "{wrong}: {refused:?}");
    }
    assert_eq!(names(&acme.ask("GET", "/api/paas/domains", None).await?), ["api", "next-acme-test", "www"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_is_closed_and_opened_by_the_platform_and_by_nobody_else() -> Result<()> {
    const SETTINGS: &str = "/api/admin/paas/settings";
    let acme = Tenant::new().await?;
    let off = json!({"features": {"customDomains": false, "caas": false}});
    let refused = acme.ask("PUT", SETTINGS, Some(off.clone())).await?;
    assert_eq!((refused.status, refused.code().as_str()), (403, "SK0403"));
    let set =
        async |body: Value| acme.server.body("PUT", SETTINGS, "application/json", &body.to_string()).await;
    assert_eq!(set(off).await?.status, 201);
    for wrong in
        [json!({"features": {"domains": false}}), json!({"features": {"paas": 1}}), json!({"gates": {}})]
    {
        assert!([400, 422].contains(&set(wrong).await?.status));
    }

    let features: FeaturesView = acme.ask("GET", "/v1/orgs/acme/features", None).await?.read();
    let closed = features.items.iter().filter(|item| !item.on);
    let closed: Vec<_> = closed.map(|item| (item.feature, item.switched_off_by.as_deref())).collect();
    let by = Some("Platform/default");
    assert_eq!(closed, [(Feature::Caas, by), (Feature::CustomDomains, by)]);

    // The panel's routes, native ones and batches are refused alike, previews too, and name the gate.
    let domains = format!("{}/domains", acme.live().await?);
    let new = manifest("Domain", "new", "{host: new.acme.test, environment: live}");
    let refusals = [
        acme.ask("POST", &domains, Some(json!({"host": "new.acme.test"}))).await?,
        acme.server.put("/v1/orgs/acme/domains/new", &new).await?,
        acme.server
            .ask(&acme.owner, "POST", "/v1/apply?org=acme", Some(("application/yaml", new.clone())))
            .await?,
    ];
    for refused in refusals {
        assert_eq!((refused.status, refused.code().as_str()), (403, "SK0402"), "{refused:?}");
        assert!(
            refused
                .text()
                .contains("needs the feature `customDomains`, which Platform/default has switched off")
        );
    }

    // Nothing that a tenant can write opens it.
    for (method, path, body) in [
        ("PUT", "/v1/platforms/default", manifest("Platform", "default", "{}")),
        ("PUT", "/v1/platforms/mine", manifest("Platform", "mine", "{}")),
        ("PUT", "/v1/organizations/acme", manifest("Organization", "acme", "{features: {caas: true}}")),
        ("DELETE", "/v1/platforms/default", String::new()),
    ] {
        let body = (!body.is_empty()).then_some(("application/yaml", body));
        let refused = acme.server.ask(&acme.owner, method, path, body).await?;
        assert_eq!((refused.status, refused.code().as_str()), (403, "SK0403"), "{method} {path}");
    }

    // What there is goes on, and may be changed; opened again, something new begins.
    let changed = manifest("Domain", "www", "{host: www.acme.test, environment: live, tls: off}");
    assert_eq!(acme.server.put("/v1/orgs/acme/domains/www", &changed).await?.status, 200);
    let deploy = format!("{}/deploy", acme.live().await?);
    let deployed = acme.ask("POST", &deploy, Some(json!({"image_ref": "shop:2"}))).await?;
    assert_eq!(deployed.status, 200, "{deployed:?}");
    assert_eq!(set(json!({"features": {"customDomains": true}})).await?.status, 200);
    assert_eq!(acme.ask("POST", &domains, Some(json!({"host": "new.acme.test"}))).await?.status, 201);
    let still = acme
        .server
        .put("/v1/orgs/acme/apps/blog", &manifest("App", "blog", "{source: {image: blog:1}}"))
        .await?;
    assert_eq!(still.code(), "SK0402", "the other gate stayed as it was");
    Ok(())
}
