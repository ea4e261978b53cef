//! How much of an environment runs: shown with who says so, scaled, restarted, stopped and started, and suspended with its organisation.

use anyhow::Result;
use serde_json::{Value, json};
use skep_schemas::Role;

use crate::panel_tenant::Tenant;
use crate::support::{Answer, Server, manifest};

const LIVE: &str = "/v1/orgs/acme/environments/live";
const APP: &str = "{source: {image: example.com/shop}, processes: {web: {ports: [{name: http, port: 80}], command: [serve]}, worker: {instances: 2}}}";

async fn with_environment() -> Result<Server> {
    let server = Server::with_org("acme").await?;
    server.put("/v1/orgs/acme/apps/shop", &manifest("App", "shop", APP)).await?;
    assert_eq!(server.put(LIVE, &manifest("Environment", "live", "{app: shop}")).await?.status, 201);
    server.control.woken.lock().unwrap().clear();
    Ok(server)
}

async fn ask(server: &Server, path: &str, body: Value) -> Result<Answer> {
    server.body("POST", path, "application/json", &body.to_string()).await
}

/// One process of what was answered.
fn process(answer: &Answer, name: &str) -> Value {
    let items = answer.json()["items"].as_array().cloned().unwrap_or_else(|| panic!("{answer:?}"));
    items.into_iter().find(|item| item["name"] == name).unwrap_or_else(|| panic!("{answer:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_scaled_by_who_may_and_shown_with_who_said_it() -> Result<()> {
    let server = with_environment().await?;
    let (scale, processes) = (format!("{LIVE}/scale"), format!("{LIVE}/processes"));
    let shown = server.get(&processes).await?;
    let web = process(&shown, "web");
    assert_eq!(
        (&web["type"], &web["command"], &web["wanted"]),
        (&json!("web"), &json!(["serve"]), &json!(1))
    );
    assert_eq!(web["instances"], json!({"by": "engine"}));
    let worker = process(&shown, "worker");
    assert_eq!((&worker["type"], &worker["wanted"]), (&json!("worker"), &json!(2)));
    assert_eq!(worker["instances"]["resource"]["kind"], "App");
    let given = ask(&server, &scale, json!({"processes": {"web": 3}})).await?;
    let web = process(&given, "web");
    assert_eq!((&web["wanted"], &web["instances"]["who"]), (&json!(3), &json!("bootstrap")));
    assert_eq!(given.json()["resource"]["metadata"]["formation"]["scale"]["web"]["instances"], 3);
    assert_eq!(server.control.woken.lock().unwrap().clone(), ["acme/Environment/live"]);
    for (body, code, words) in [
        (
            json!({"processes": {"worker": 3}}),
            "SK0310",
            "acme/App/shop says that process worker has 2 instances",
        ),
        (
            json!({"processes": {"web": 4}, "owner": "autoscaler"}),
            "SK0310",
            "is a person's: bootstrap said it",
        ),
        (json!({"processes": {"none": 4}}), "SK0602", "it has web, worker"),
        (json!({"processes": {"web": 4000}}), "SK0203", "no process has more than 500"),
        (json!({"processes": {}}), "SK0602", "no process is named"),
        (json!({"processes": {"web": -1}}), "SK0602", "numbers of instances"),
    ] {
        let refused = ask(&server, &scale, body.clone()).await?;
        assert_eq!(refused.code(), code, "{body}: {refused:?}");
        assert!(refused.json()["detail"].as_str().unwrap().contains(words), "{body}: {refused:?}");
    }
    assert_eq!(
        ask(&server, "/v1/orgs/acme/apps/shop/scale", json!({"processes": {"web": 1}})).await?.code(),
        "SK0602"
    );
    let viewer = server.token_of(Some("acme"), "viewer", Role::Viewer).await?;
    let body = || Some(("application/json", json!({"processes": {"web": 2}}).to_string()));
    assert_eq!(server.ask(&viewer, "POST", &scale, body()).await?.code(), "SK0403");
    assert_eq!(server.ask(&viewer, "GET", &processes, None).await?.status, 200);
    // The database lets a tenant do it as well.
    let deployer = server.token_of(Some("acme"), "deployer", Role::Deployer).await?;
    let given = server.ask(&deployer, "POST", &scale, body()).await?;
    assert_eq!(process(&given, "web")["instances"]["who"], "acme/deployer");
    let back = ask(&server, &scale, json!({"processes": {"web": null}})).await?;
    assert_eq!(process(&back, "web")["instances"], json!({"by": "engine"}));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_is_restarted_stopped_and_started_by_who_may_deploy() -> Result<()> {
    let server = with_environment().await?;
    let deployer = server.token_of(Some("acme"), "deployer", Role::Deployer).await?;
    let viewer = server.token_of(Some("acme"), "viewer", Role::Viewer).await?;
    let body = |value: Value| Some(("application/json", value.to_string()));
    let as_deployer = async |verb: &str, value: Value| {
        server.ask(&deployer, "POST", &format!("{LIVE}/{verb}"), body(value)).await
    };
    for verb in ["restart", "stop", "start"] {
        let refused = server.ask(&viewer, "POST", &format!("{LIVE}/{verb}"), body(json!({}))).await?;
        assert_eq!(refused.code(), "SK0403", "{verb}");
        assert_eq!(as_deployer(verb, json!({"process": "none"})).await?.code(), "SK0602", "{verb}");
    }
    as_deployer("restart", json!({})).await?;
    let given = as_deployer("restart", json!({"process": "web"})).await?;
    assert_eq!(process(&given, "web")["restarted"]["by"], "acme/deployer");
    assert_eq!(given.json()["resource"]["metadata"]["generation"], 1, "the spec is as it was");
    let given = as_deployer("stop", json!({"reason": " the night "})).await?;
    let worker = process(&given, "worker");
    assert_eq!((&worker["wanted"], &worker["stopped"]["reason"]), (&json!(0), &json!("the night")));
    assert_eq!(
        as_deployer("start", json!({"process": "web"})).await?.code(),
        "SK0602",
        "it is stopped as a whole"
    );
    // Manifests start nothing.
    server.put(LIVE, &manifest("Environment", "live", "{app: shop, env: {A: b}}")).await?;
    assert_eq!(process(&server.get(&format!("{LIVE}/processes")).await?, "web")["wanted"], 0);
    let given = as_deployer("start", json!({})).await?;
    assert_eq!(
        (process(&given, "web")["wanted"].clone(), process(&given, "worker")["wanted"].clone()),
        (json!(1), json!(2))
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_is_suspended_by_the_platform_and_its_owner_cannot_end_that() -> Result<()> {
    let server = with_environment().await?;
    let acme = "/v1/organizations/acme";
    let owner = server.token_of(Some("acme"), "owner", Role::Owner).await?;
    let body = || Some(("application/json", "{}".to_owned()));
    assert_eq!(server.ask(&owner, "POST", &format!("{acme}/suspend"), body()).await?.code(), "SK0403");
    let given = ask(&server, &format!("{acme}/suspend"), json!({"reason": "the bill is open"})).await?;
    assert_eq!(given.json()["metadata"]["suspension"]["reason"], "the bill is open");
    let refused = server.ask(&owner, "POST", &format!("{acme}/end-suspension"), None).await?;
    assert_eq!(refused.code(), "SK0403");
    let shown = server.ask(&owner, "GET", &format!("{LIVE}/processes"), None).await?;
    assert_eq!(
        (&shown.json()["suspended"]["by"], &process(&shown, "worker")["wanted"]),
        (&json!("bootstrap"), &json!(0))
    );
    assert_eq!(
        server.body("POST", &format!("{acme}/end-suspension"), "application/json", "").await?.status,
        200
    );
    let again = server.body("POST", &format!("{acme}/end-suspension"), "application/json", "").await?;
    assert_eq!(again.code(), "SK0602", "it is over already");
    assert_eq!(ask(&server, "/v1/plans/none/suspend", json!({})).await?.code(), "SK0602");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_are_shown_scaled_and_restarted_by_uid() -> Result<()> {
    let acme = Tenant::new().await?;
    let (live, uid) = (acme.live().await?, acme.uid("environments/live").await?);
    let container = format!("/api/caas/containers/{uid}");
    let scaled = acme.ask("POST", &format!("{container}/scale"), Some(json!({"replicas": 3}))).await?;
    let web = process(&scaled, "web");
    assert_eq!((&web["wanted"], &web["instances"]["owner"]), (&json!(3), &json!("panel")), "{scaled:?}");
    let restarted = acme.ask("POST", &format!("{container}/restart"), None).await?;
    assert_eq!(process(&restarted, "web")["restarted"]["count"], 1, "{restarted:?}");
    let shown = acme.ask("GET", &format!("{live}/processes"), None).await?;
    assert_eq!(process(&shown, "web")["wanted"], 3, "{shown:?}");
    let wrong = acme.ask("POST", &format!("{container}/scale"), Some(json!({"replicas": "many"}))).await?;
    assert_eq!(wrong.code(), "SK0602");
    let viewer = acme.server.token_of(Some("acme"), "viewer", Role::Viewer).await?;
    let body = Some(("application/json", json!({"replicas": 1}).to_string()));
    let refused = acme.server.ask(&viewer, "POST", &format!("{container}/scale"), body).await?;
    assert_eq!(refused.code(), "SK0403");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_scaled_and_restarted_where_it_runs() -> Result<()> {
    let acme = Tenant::new().await?;
    let uid = acme.uid("apps/shop").await?;
    for (replicas, of) in [(2, "/api/paas/apps"), (4, "/api/paas/applications")] {
        let body = json!({"replicas": replicas, "process": "web"});
        let scaled = acme.ask("POST", &format!("{of}/{uid}/scale"), Some(body)).await?;
        assert_eq!(process(&scaled, "web")["wanted"], replicas, "{scaled:?}");
        let restarted = acme.ask("POST", &format!("{of}/{uid}/restart"), None).await?;
        assert_eq!(process(&restarted, "web")["restarted"]["count"], replicas / 2, "{restarted:?}");
    }
    let next = manifest("Environment", "next", "{app: shop}");
    acme.server.put("/v1/orgs/acme/environments/next", &next).await?;
    let restart = format!("/api/paas/apps/{uid}/restart");
    let several = acme.ask("POST", &restart, None).await?;
    assert_eq!(several.code(), "SK0602");
    assert!(several.json()["detail"].as_str().unwrap().ends_with("live, next"), "{several:?}");
    let named = acme.ask("POST", &format!("{restart}?environment=next"), None).await?;
    assert_eq!(named.json()["resource"]["metadata"]["name"], "next");
    assert_eq!(acme.ask("POST", &format!("{restart}?environment=none"), None).await?.code(), "SK0601");
    Ok(())
}
