//! What the panel's routes do, as far as they are served: the same as the native ones, by uid, in one organisation.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use skep_api::wire::{ReleaseList, ResourceView};
use skep_planner::Verdict;
use skep_schemas::Role;

use crate::operation::releasing;
use crate::panel_tenant::{ITS, PLAN, Tenant, names};
use crate::support::{Answer, Server, manifest};

#[tokio::test(flavor = "multi_thread")]
async fn resources_are_listed_and_read_by_uid() -> Result<()> {
    let acme = Tenant::new().await?;
    for (list, native, name) in [
        ("/api/paas/apps", "apps/shop", "shop"),
        ("/api/paas/applications", "apps/shop", "shop"),
        ("/api/paas/domains", "domains/www", "www"),
        ("/api/caas/domains", "domains/www", "www"),
        ("/api/caas/containers", "environments/live", "live"),
    ] {
        assert_eq!(names(&acme.ask("GET", list, None).await?), [name], "{list}");
        let view = acme.native(native).await?;
        let one = acme.ask("GET", &format!("{list}/{}", view.metadata.uid), None).await?;
        assert_eq!(
            (one.read::<ResourceView>(), one.etag()),
            (view.clone(), format!("\"{}\"", view.metadata.revision))
        );
        let platform = acme.server.get(list).await?;
        assert_eq!(
            (platform.status, platform.code().as_str()),
            (400, "SK0602"),
            "a token of the platform names one"
        );
        assert_eq!(names(&acme.server.get(&format!("{list}?org=acme")).await?), [name], "{list}");
        assert_eq!(acme.ask("GET", &format!("{list}?limit=0"), None).await?.code(), "SK0602");
    }
    assert_eq!(names(&acme.ask("GET", "/api/caas/registries", None).await?), ["ghcr"]);
    assert_eq!(names(&acme.ask("GET", "/api/caas/policies/images", None).await?), ["images"]);
    assert_eq!(names(&acme.ask("GET", "/api/caas/policies/network", None).await?), Vec::<String>::new());

    acme.server.put("/v1/orgs/acme/apps/blog", &manifest("App", "blog", ITS[0].3)).await?;
    let first = acme.ask("GET", "/api/paas/apps?limit=1", None).await?;
    assert_eq!(names(&first), ["blog"]);
    let next = format!("/api/paas/apps?limit=1&cursor={}", first.json()["next"].as_str().unwrap());
    assert_eq!(names(&acme.ask("GET", &next, None).await?), ["shop"]);

    acme.server.put("/v1/plans/hobby", &manifest("Plan", "hobby", PLAN)).await?;
    let plans = acme.ask("GET", "/api/paas/plans", None).await?;
    assert_eq!(names(&plans), ["hobby"], "plans are for all to choose from");
    let uid = plans.json()["items"][0]["metadata"]["uid"].as_str().unwrap().to_owned();
    let one = acme.ask("GET", &format!("/api/paas/plans/{uid}"), None).await?;
    assert_eq!(one.read::<ResourceView>().metadata.name.as_str(), "hobby");
    for (kind, plural, spec) in CATALOG.into_iter().filter(|(kind, ..)| *kind != "Plan") {
        acme.server.put(&format!("/v1/{plural}/first"), &manifest(kind, "first", spec)).await?;
        assert_eq!(
            names(&acme.ask("GET", &format!("/api/paas/{plural}"), None).await?),
            ["first"],
            "{plural}"
        );
        assert_eq!(names(&acme.ask("GET", &format!("/v1/{plural}"), None).await?), ["first"], "{plural}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_are_deleted_by_uid() -> Result<()> {
    let acme = Tenant::new().await?;
    let deployer = acme.server.token_of(Some("acme"), "deployer", Role::Deployer).await?;
    for (list, native, spec) in [
        ("/api/paas/apps", "apps/gone", ITS[0]),
        ("/api/paas/applications", "apps/gone", ITS[0]),
        (
            "/api/paas/domains",
            "domains/gone",
            ("", "Domain", "", "{host: gone.acme.test, environment: live}"),
        ),
        (
            "/api/caas/domains",
            "domains/gone",
            ("", "Domain", "", "{host: gone.acme.test, environment: live}"),
        ),
        ("/api/paas/environments", "environments/gone", ITS[1]),
        ("/api/caas/containers", "environments/gone", ITS[1]),
    ] {
        let native_path = format!("/v1/orgs/acme/{native}");
        let (_, kind, _, spec) = spec;
        // What is marked is gone when the controller says so, which nobody does here.
        let name = format!("gone-{}", list.rsplit('/').take(2).collect::<Vec<_>>().join("-"));
        let native_path = native_path.replace("gone", &name);
        let spec = spec.replace("gone.", &format!("{name}."));
        let made = acme.server.put(&native_path, &manifest(kind, &name, &spec)).await?;
        assert_eq!(made.status, 201, "{made:?}");
        let path = format!("{list}/{}", made.read::<ResourceView>().metadata.uid);
        assert_eq!(acme.server.ask(&deployer, "DELETE", &path, None).await?.code(), "SK0403", "{path}");
        let deleted = acme.ask("DELETE", &format!("{path}?confirm=true"), None).await?;
        assert!([202, 204].contains(&deleted.status), "{path}: {deleted:?}");
        let left = acme.server.get(&native_path).await?;
        let is_marked = left.status == 200 && left.json()["metadata"]["deletionRequestedAt"].is_string();
        assert!(left.status == 404 || is_marked, "{path}: {left:?}");
    }
    assert_eq!(acme.native("apps/shop").await?.metadata.deletion_requested_at, None);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn releases_are_told_and_an_environment_is_returned_to_one_of_them() -> Result<()> {
    let acme = Tenant::new().await?;
    let (live, resource) = (acme.live().await?, acme.native("environments/live").await?);
    let releases = format!("{live}/releases");
    assert_eq!(acme.ask("GET", &releases, None).await?.read::<ReleaseList>().items, []);
    let fence = acme.server.store.acquire_lease("test", "me", Duration::from_secs(60)).await?.unwrap();
    for version in 1..=3 {
        let mut plan = releasing(&resource, version, (version > 1).then_some(Verdict::Succeeded))?;
        plan.release.as_mut().unwrap().content.region = Some(format!("r{version}").parse()?);
        acme.server.store.begin_plan(&fence, &plan).await?;
    }
    let native = acme.server.get("/v1/orgs/acme/environments/live/releases?limit=2").await?.json();
    assert_eq!(native["items"].as_array().unwrap().len(), 2);
    for path in [&releases, &format!("{live}/deployments")] {
        assert_eq!(acme.ask("GET", &format!("{path}?limit=2"), None).await?.json(), native, "{path}");
    }
    for (path, to) in [(format!("{releases}/1/rollback"), 1), (format!("{live}/rollback/2"), 2)] {
        let given = acme.ask("POST", &path, None).await?;
        assert_eq!((given.status, &given.json()["to"]), (200, &json!(to)), "{path}: {given:?}");
        assert_eq!(acme.native("environments/live").await?.metadata.rollback.map(|back| back.to), Some(to));
    }
    for (version, code) in [("9", "SK0601"), ("-1", "SK0601"), ("3", "SK0602"), ("x", "SK0607")] {
        let refused = acme.ask("POST", &format!("{releases}/{version}/rollback"), None).await?;
        assert_eq!(refused.code(), code, "{version}: {refused:?}");
    }
    let viewer = acme.server.token_of(Some("acme"), "viewer", Role::Viewer).await?;
    let refused = acme.server.ask(&viewer, "POST", &format!("{releases}/1/rollback"), None).await?;
    assert_eq!(refused.code(), "SK0403");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn deployments_are_told_and_an_environment_is_returned_to_one_of_them() -> Result<()> {
    let acme = Tenant::new().await?;
    let resource = acme.native("environments/live").await?;
    let fence = acme.server.store.acquire_lease("test", "me", Duration::from_secs(60)).await?.unwrap();
    for version in 1..=2 {
        let mut plan = releasing(&resource, version, (version > 1).then_some(Verdict::Succeeded))?;
        plan.release.as_mut().unwrap().content.region = Some(format!("r{version}").parse()?);
        acme.server.store.begin_plan(&fence, &plan).await?;
    }
    let native: ReleaseList = acme.server.get("/v1/orgs/acme/environments/live/releases").await?.read();
    let app = acme.uid("apps/shop").await?;
    for path in
        [format!("/api/paas/apps/{app}/deployments"), format!("/api/paas/applications/{app}/deployments")]
    {
        assert_eq!(acme.ask("GET", &path, None).await?.read::<ReleaseList>(), native, "{path}");
    }
    let uid = native.items[1].uid.unwrap();
    let one = format!("/api/paas/deployments/{uid}");
    let told = acme.ask("GET", &one, None).await?.json();
    assert_eq!((&told["release"]["version"], &told["release"]["state"]), (&json!(1), &json!("done")));
    let given = acme.ask("POST", &format!("{one}/rollback"), None).await?;
    assert_eq!((given.status, &given.json()["to"]), (200, &json!(1)), "{given:?}");
    let other = "/api/paas/deployments/7c9e6679-7425-40de-944b-e07fc1f90ae7";
    for path in [other.to_owned(), format!("{other}x")] {
        assert_eq!(acme.ask("GET", &path, None).await?.code(), "SK0601", "{path}");
        assert_eq!(acme.ask("POST", &format!("{path}/rollback"), None).await?.code(), "SK0601", "{path}");
    }
    let viewer = acme.server.token_of(Some("acme"), "viewer", Role::Viewer).await?;
    let refused = acme.server.ask(&viewer, "POST", &format!("{one}/rollback"), None).await?;
    assert_eq!(refused.code(), "SK0403");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_run_once() -> Result<()> {
    let acme = Tenant::new().await?;
    let (live, resource) = (acme.live().await?, acme.native("environments/live").await?);
    let asked = json!({"process": "web", "command": ["migrate"]});
    let path = format!("{live}/runs");
    assert_eq!(acme.ask("POST", &path, Some(asked.clone())).await?.code(), "SK0601", "there is no release");
    let fence = acme.server.store.acquire_lease("test", "me", Duration::from_secs(60)).await?.unwrap();
    acme.server.store.begin_plan(&fence, &releasing(&resource, 1, None)?).await?;
    let refused = acme.ask("POST", &path, Some(asked)).await?;
    assert!(refused.text().contains("has no process web"), "{refused:?}");
    let native = acme.server.get("/v1/orgs/acme/environments/live/runs").await?;
    assert_eq!(native.json()["items"], json!([]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_environment_prints_is_told() -> Result<()> {
    let acme = Tenant::new().await?;
    let uid = acme.uid("environments/live").await?;
    for path in [format!("/api/paas/environments/{uid}/logs"), format!("/api/caas/containers/{uid}/logs")] {
        let mut logs = acme.server.stream_as(&acme.owner, &format!("{path}?process=web&tail=5")).await?;
        let line = logs.expect().await?;
        assert_eq!((line.name.as_str(), &line.data["text"]), ("log", &json!("hello from live\n  two")));
        assert_eq!(logs.expect().await?.name, "gap");
        assert_eq!(logs.expect().await?.name, "end");
        assert_eq!(acme.ask("GET", &format!("{path}?tail=10001"), None).await?.code(), "SK0602");
        let viewer = acme.server.token_of(Some("acme"), &format!("v{}", path.len()), Role::Viewer).await?;
        assert_eq!(acme.server.ask(&viewer, "GET", &path, None).await?.code(), "SK0403");
    }
    let asked = acme.server.control.asked.lock().unwrap().clone();
    assert!(asked.iter().all(|asked| asked.tail == 5 && asked.process.is_some()), "{asked:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platform_sees_the_apps_of_all_organisations_and_deletes_plans() -> Result<()> {
    let acme = Tenant::new().await?;
    let server = &acme.server;
    server.put("/v1/organizations/globex", &manifest("Organization", "globex", "{}")).await?;
    server.put("/v1/orgs/globex/apps/theirs", &manifest("App", "theirs", ITS[0].3)).await?;
    for path in ["/api/admin/paas/apps", "/api/admin/paas/applications"] {
        assert_eq!(names(&server.get(path).await?), ["shop", "theirs"], "{path}");
        assert_eq!(acme.ask("GET", path, None).await?.code(), "SK0403", "{path}");
    }
    server.put("/v1/plans/hobby", &manifest("Plan", "hobby", PLAN)).await?;
    let uid = server.get("/v1/plans/hobby").await?.read::<ResourceView>().metadata.uid;
    let path = format!("/api/admin/paas/plans/{uid}?confirm=true");
    assert_eq!(acme.ask("DELETE", &path, None).await?.code(), "SK0403");
    assert!([202, 204].contains(&server.delete(&path).await?.status));
    Ok(())
}

/// Kinds of the catalogue, with a spec of each.
const CATALOG: [(&str, &str, &str); 4] = [
    ("Buildpack", "buildpacks", r#"{"image": "docker.io/paketobuildpacks/nodejs"}"#),
    ("Stack", "stacks", r#"{"builder": "docker.io/heroku/builder:24", "buildpacks": ["nodejs", "ruby"]}"#),
    ("Template", "templates", r#"{"description": "Anything"}"#),
    ("Plan", "plans", r#"{"instance": {"cpu": "1", "memory": "1Gi"}}"#),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_is_made_changed_and_deleted_by_the_platform() -> Result<()> {
    let acme = Tenant::new().await?;
    let server = &acme.server;
    let platform = async |method: &str, path: &str, body: Option<&Value>| {
        let body = body.map(|body| ("application/json", body.to_string()));
        server.ask(&server.token, method, path, body).await
    };
    for (kind, plural, spec) in CATALOG {
        let list = format!("/api/admin/paas/{plural}");
        let spec: Value = serde_json::from_str(spec)?;
        let body = json!({"name": "made", "spec": spec});
        assert_eq!(acme.ask("POST", &list, Some(body.clone())).await?.code(), "SK0403", "{plural}");
        let made = platform("POST", &list, Some(&body)).await?;
        assert_eq!(made.status, 201, "{plural}: {}", made.json());
        assert_eq!(platform("POST", &list, Some(&body)).await?.code(), "SK0307", "{plural}");
        let made = made.read::<ResourceView>();
        assert_eq!((made.kind.as_str(), made.metadata.name.as_str()), (kind, "made"));
        let one = format!("{list}/{}", made.metadata.uid);
        let patch = json!({"spec": {"description": "changed"}});
        assert_eq!(acme.ask("PATCH", &one, Some(patch.clone())).await?.code(), "SK0403", "{plural}");
        let changed = platform("PATCH", &one, Some(&patch)).await?;
        let description = changed.json()["spec"]["description"].clone();
        assert_eq!((changed.status, description), (200, json!("changed")), "{plural}");
        if plural == "stacks" {
            let reorder = format!("{one}/buildpacks/reorder");
            let order = json!({"buildpacks": ["ruby", "nodejs"]});
            let reordered = platform("POST", &reorder, Some(&order)).await?;
            assert_eq!(reordered.json()["spec"]["buildpacks"], order["buildpacks"]);
            let twice = json!({"buildpacks": ["ruby", "ruby"]});
            assert_eq!(platform("POST", &reorder, Some(&twice)).await?.status, 422);
        }
        if plural != "plans" {
            assert_eq!(server.get(&one).await?.json()["spec"]["description"], "changed");
            assert_eq!(names(&server.get(&list).await?), ["made"], "{plural}");
            assert_eq!(acme.ask("GET", &list, None).await?.code(), "SK0403", "{plural}");
        }
        assert_eq!(acme.ask("DELETE", &one, None).await?.code(), "SK0403", "{plural}");
        assert!([202, 204].contains(&server.delete(&one).await?.status), "{plural}");
    }
    Ok(())
}

/// An answer without what is a request's own.
fn told(answer: &Answer) -> Value {
    let mut body = answer.json();
    body.as_object_mut().unwrap().remove("requestId");
    json!({ "status": answer.status, "body": body })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_organisation_has_is_answered_like_the_uid_of_nothing() -> Result<()> {
    let acme = Tenant::new().await?;
    let server = &acme.server;
    server.put("/v1/organizations/globex", &manifest("Organization", "globex", "{}")).await?;
    let globex = server.token_of(Some("globex"), "owner", Role::Owner).await?;
    let document: Value = serde_json::from_str(&skep_api::openapi::document()?)?;
    let mut asked = 0;
    let dump = |server: &Server| server.postgres.dump(&server.database);
    let is_own = |line: &&str| !["\\\\x", "restrict", "audit_id_seq"].iter().any(|word| line.contains(word));
    let before: Vec<String> = dump(server)?.lines().filter(is_own).map(str::to_owned).collect();
    let mut uids = Vec::new();
    for (plural, _, name, _) in ITS {
        uids.push(acme.uid(&format!("{plural}/{name}")).await?.to_string());
    }
    for (template, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let is_served = operation["responses"].get("501").is_none();
            let by_uid = template.starts_with("/api/") && template.contains("{uid}");
            if !is_served || !by_uid || template.starts_with("/api/admin/") {
                continue;
            }
            let body = match (method.as_str(), template.rsplit('/').next().unwrap()) {
                ("patch", "config") => Some(json!({"env": {"EVIL": "1"}})),
                ("patch", _) => Some(json!({"spec": {"region": "evil"}})),
                ("put", _) => Some(json!({"spec": {}})),
                ("post", "environments") => Some(json!({"name": "evil"})),
                ("post", "runs") => Some(json!({"command": ["evil"]})),
                ("post", "deploy") => Some(json!({"image_ref": "evil:1"})),
                ("post", "scale") => Some(json!({"replicas": 9})),
                ("post", "domains") => Some(json!({"host": "evil.globex.test"})),
                _ => None,
            };
            let ask = async |uid: &str, query: &str| {
                let path = template.replace("{uid}", uid).replace("{version}", "1");
                let body = body.as_ref().map(|body| ("application/json", body.to_string()));
                server.ask(&globex, &method.to_uppercase(), &format!("{path}{query}"), body).await
            };
            let nothing = ask("01970000-0000-7000-8000-000000000000", "").await?;
            assert_eq!(
                (nothing.status, nothing.code().as_str()),
                (404, "SK0601"),
                "{method} {template}: {nothing:?}"
            );
            assert_eq!(told(&ask("no-uid", "").await?), told(&nothing), "{method} {template}");
            for uid in &uids {
                let theirs = ask(uid, "").await?;
                assert_eq!(told(&theirs), told(&nothing), "{method} {template}");
                assert_eq!(ask(uid, "?org=acme").await?.status, 404, "{method} {template}");
                asked += 1;
            }
            // A token of the platform that names the one does not reach into the other.
            let body = body.as_ref().map(|body| ("application/json", body.to_string()));
            let path = template.replace("{uid}", &uids[1]).replace("{version}", "1");
            let (method, path) = (method.to_uppercase(), format!("{path}?org=globex"));
            let elsewhere = server.ask(&server.token, &method, &path, body);
            assert_eq!(told(&elsewhere.await?), told(&nothing), "{method} {template}");
        }
    }
    assert!(asked > 100, "{asked}");
    let after: Vec<String> = dump(server)?.lines().filter(is_own).map(str::to_owned).collect();
    assert_eq!(before, after, "nothing was written");
    Ok(())
}
