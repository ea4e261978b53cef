//! What is told about running things and about the server.

use std::time::Duration;

use anyhow::Result;
use axum::body::Body;
use http::Request;
use skep_api::LogRequest;
use skep_api::wire::{
    EventList, LogInstance, LogLine, PlanEnd, PlanList, Readiness, ReleaseList, ReleaseVerdict, ReleaseView,
    ResourceView, TasksView, VersionView,
};
use skep_planner::{
    Cost, NewRelease, ObjectKind, ObjectRef, Op, Plan, ReleaseVersion, Step, Verdict, VerdictChange,
};
use skep_schemas::{Kind, ResourceKey, Role, Scope};
use skep_store::{Severity, StepOutcome};

use crate::support::{Server, manifest};

pub(crate) const LIVE: &str = "/v1/orgs/acme/environments/live";

pub(crate) async fn with_environment() -> Result<Server> {
    let server = Server::with_org("acme").await?;
    let text = manifest("Environment", "live", "{app: shop, image: example.com/shop}");
    assert_eq!(server.put(LIVE, &text).await?.status, 201);
    Ok(server)
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_to_anyone_and_readiness_says_what_is_missing() -> Result<()> {
    let server = Server::start().await?;
    let ask = async |path: &str| server.send(Request::get(path).body(Body::empty())?).await;
    assert_eq!(ask("/healthz").await?.json()["alive"], true);
    // The change log is found in the background.
    let mut ready: Readiness = ask("/readyz").await?.read();
    while !ready.ready {
        tokio::task::yield_now().await;
        ready = ask("/readyz").await?.read();
    }
    let names: Vec<_> = ready.components.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["database", "watch", "engine"]);
    server.control.engine_is_down.store(true, std::sync::atomic::Ordering::SeqCst);
    let answer = ask("/readyz").await?;
    let down: Readiness = answer.read();
    assert_eq!((answer.status, down.ready), (503, false));
    assert!(down.components.iter().all(|one| one.ready == (one.name != "engine")));
    assert_eq!(ask("/healthz").await?.status, 200, "the process lives all the same");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_names_a_database_that_is_gone() -> Result<()> {
    let server = Server::start().await?;
    server.store.close().await;
    let answer = server.get("/readyz").await?;
    let down: Readiness = answer.read();
    assert_eq!(answer.status, 503);
    assert!(down.components.iter().any(|one| one.name == "database" && !one.ready));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_requests_by_route() -> Result<()> {
    let server = Server::with_org("acme").await?;
    server.get("/v1/orgs/acme/apps/nothing").await?;
    server.get("/v1/nowhere/at/all/and/further").await?;
    let text = server.get("/metrics").await?.text();
    for line in [
        r#"skep_http_requests_total{method="GET",route="/v1/orgs/{org}/{kind}/{name}",status="404"} 1"#,
        r#"skep_http_requests_total{method="PUT",route="/v1/{kind}/{name}",status="201"} 1"#,
        r#"skep_http_requests_total{method="GET",route="unmatched",status="404"} 1"#,
        "skep_http_open_streams 0",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(text.contains("skep_http_request_duration_seconds_bucket") && !text.contains("nothing"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_tells_its_version_and_its_description() -> Result<()> {
    let server = Server::start().await?;
    let version: VersionView = server.get("/v1/version").await?.read();
    assert_eq!(version.api_version, "skep.dev/v1");
    assert_eq!(server.get("/openapi.json").await?.text(), skep_api::openapi::document()?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_resource_and_of_an_organisation_are_told() -> Result<()> {
    let server = with_environment().await?;
    let lease = server.store.acquire_lease("test", "me", Duration::from_secs(60)).await?;
    let uid = server.get(LIVE).await?.read::<ResourceView>().metadata.uid;
    let fence = lease.unwrap();
    for _ in 0..2 {
        server.store.record_event(&fence, uid, Severity::Warning, "CrashLoop", "exited with 1").await?;
    }
    let of_one: EventList = server.get(&format!("{LIVE}/events")).await?.read();
    assert_eq!(of_one.items.len(), 1);
    assert_eq!((of_one.items[0].reason.as_str(), of_one.items[0].count), ("CrashLoop", 2));
    let of_org: EventList = server.get("/v1/orgs/acme/events?limit=10").await?.read();
    assert_eq!(of_org, of_one);
    assert_eq!(server.get("/v1/organizations/acme/events").await?.read::<EventList>().items, []);
    assert_eq!(server.get("/v1/orgs/nobody/events").await?.code(), "SK0601");
    assert_eq!(server.get("/v1/orgs/acme/apps/none/events").await?.code(), "SK0601");
    assert_eq!(server.get("/v1/orgs/acme/events?limit=0").await?.code(), "SK0602");
    Ok(())
}

/// A plan that makes a release, and with it judges the one before.
pub(crate) fn releasing(resource: &ResourceView, version: u32, before: Option<Verdict>) -> Result<Plan> {
    let content = serde_json::from_value(serde_json::json!({
        "image": {
            "reference": "example.com/shop:1",
            "resolved": { "from": "registry", "digest": format!("sha256:{}", "a".repeat(64)) }
        },
        "processes": {},
        "secrets": [],
        "region": null,
        "restart": {},
        "security": {}
    }))?;
    let name = resource.metadata.name.clone();
    let key = ResourceKey::new(Scope::Org("acme".parse()?), Kind::Environment, name)?;
    let judged = |verdict| VerdictChange { release: ReleaseVersion::new(version - 1), verdict };
    Ok(Plan {
        release: Some(NewRelease {
            version: ReleaseVersion::new(version),
            content,
            why: "test".to_owned(),
            rollback_to: None,
            made_by: Some("ann".to_owned()),
        }),
        verdicts: before.map(judged).into_iter().collect(),
        ..Plan::empty(key, resource.metadata.uid, resource.metadata.generation)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn releases_of_an_environment_are_told_with_how_they_went() -> Result<()> {
    let server = with_environment().await?;
    assert_eq!(server.get(&format!("{LIVE}/releases")).await?.read::<ReleaseList>().items, []);
    let resource = server.get(LIVE).await?.read();
    let fence = server.store.acquire_lease("test", "me", Duration::from_secs(60)).await?.unwrap();
    server.store.begin_plan(&fence, &releasing(&resource, 1, None)?).await?;
    let failed = Verdict::Failed { reason: "port 8080 refused".to_owned() };
    server.store.begin_plan(&fence, &releasing(&resource, 2, Some(failed))?).await?;
    let told: ReleaseList = server.get(&format!("{LIVE}/releases")).await?.read();
    let short: Vec<_> =
        told.items.iter().map(|one| (one.version, one.verdict, one.reason.as_deref())).collect();
    let expected =
        [(2, ReleaseVerdict::Pending, None), (1, ReleaseVerdict::Failed, Some("port 8080 refused"))];
    assert_eq!(short, expected);
    assert_eq!(
        (told.items[0].image.as_str(), &told.items[0].digest[..8]),
        ("example.com/shop:1", "sha256:a")
    );
    let page: ReleaseList = server.get(&format!("{LIVE}/releases?limit=1")).await?.read();
    assert_eq!((page.items.len(), page.next), (1, Some(page.items[0].version)));
    let rest: ReleaseList =
        server.get(&format!("{LIVE}/releases?before={}", page.items[0].version)).await?.read();
    assert_eq!((rest.items, rest.next), (told.items[1..].to_vec(), None));
    assert_eq!(server.get(&format!("{LIVE}/releases?limit=501")).await?.code(), "SK0602");
    assert_eq!(server.get("/v1/orgs/acme/environments/none/releases").await?.code(), "SK0601");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_told_whole_and_against_another() -> Result<()> {
    let server = with_environment().await?;
    let resource = server.get(LIVE).await?.read();
    let fence = server.store.acquire_lease("test", "me", Duration::from_secs(60)).await?.unwrap();
    server.store.begin_plan(&fence, &releasing(&resource, 1, None)?).await?;
    let mut plan = releasing(&resource, 2, Some(Verdict::Succeeded))?;
    plan.release.as_mut().unwrap().content.region = Some("eu".parse()?);
    server.store.begin_plan(&fence, &plan).await?;
    let second: ReleaseView = server.get(&format!("{LIVE}/releases/2?against=1")).await?.read();
    assert_eq!((second.release.version, second.release.why.as_str()), (2, "test"));
    assert!(second.content.image.contains("@sha256:"), "{second:?}");
    let difference = second.difference.unwrap();
    let fields: Vec<&str> = difference.changes.iter().map(|change| change.pointer.as_str()).collect();
    assert_eq!((difference.against, fields), (1, vec!["/region"]), "{difference:?}");
    let first: ReleaseView = server.get(&format!("{LIVE}/releases/1")).await?.read();
    assert_eq!(first.difference, None);
    for unknown in
        ["3", "0", "-1", "4294967296", "9223372036854775807", "1?against=9", "1?against=4294967295"]
    {
        let answer = server.get(&format!("{LIVE}/releases/{unknown}")).await?;
        assert_eq!(answer.code(), "SK0601", "{unknown}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_is_given_what_another_runs_by_its_digest_and_keeps_all_else() -> Result<()> {
    let server = with_environment().await?;
    let next = manifest("Environment", "next", "{app: shop, image: example.com/shop, env: {STAGE: next}}");
    assert_eq!(server.put("/v1/orgs/acme/environments/next", &next).await?.status, 201);
    let other = manifest("Environment", "blog", "{app: blog, image: example.com/blog}");
    assert_eq!(server.put("/v1/orgs/acme/environments/blog", &other).await?.status, 201);
    let promote = async |to: &str, body: serde_json::Value| {
        let path = format!("/v1/orgs/acme/{to}/promote");
        server.body("POST", &path, "application/json", &body.to_string()).await
    };
    let from = || serde_json::json!({"from": "live"});
    assert_eq!(promote("environments/next", from()).await?.code(), "SK0601", "none has succeeded");
    let resource = server.get(LIVE).await?.read();
    let fence = server.store.acquire_lease("test", "me", Duration::from_secs(60)).await?.unwrap();
    server.store.begin_plan(&fence, &releasing(&resource, 1, None)?).await?;
    server.store.begin_plan(&fence, &releasing(&resource, 2, Some(Verdict::Succeeded))?).await?;
    let image = format!("example.com/shop:1@sha256:{}", "a".repeat(64));
    let given = promote("environments/next", from()).await?;
    assert_eq!(
        given.json(),
        serde_json::json!({"from": "live", "release": 1, "image": image, "action": "configured"})
    );
    let next: ResourceView = server.get("/v1/orgs/acme/environments/next").await?.read();
    assert_eq!(
        (next.spec["image"].as_str(), next.spec["env"]["STAGE"].as_str()),
        (Some(image.as_str()), Some("next"))
    );
    assert_eq!(promote("environments/next", from()).await?.json()["action"], "unchanged");
    let named = promote("environments/next", serde_json::json!({"from": "live", "release": 2})).await?;
    assert_eq!(named.json()["release"], 2, "one that is being rolled out can be named");
    for (to, body, code) in [
        ("environments/next", serde_json::json!({"from": "live", "release": 9}), "SK0601"),
        ("environments/next", serde_json::json!({"from": "nothing"}), "SK0601"),
        ("environments/nothing", from(), "SK0601"),
        ("environments/blog", from(), "SK0602"),
        ("apps/shop", from(), "SK0602"),
    ] {
        assert_eq!(promote(to, body.clone()).await?.code(), code, "{to} {body}");
    }
    let viewer = server.token_of(Some("acme"), "viewer", skep_schemas::Role::Viewer).await?;
    let body = Some(("application/json", from().to_string()));
    let refused = server.ask(&viewer, "POST", "/v1/orgs/acme/environments/next/promote", body).await?;
    assert_eq!(refused.code(), "SK0403");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_is_returned_to_a_former_release_and_back_to_its_manifests() -> Result<()> {
    let server = with_environment().await?;
    let ask = async |path: &str, body: serde_json::Value| {
        server.body("POST", path, "application/json", &body.to_string()).await
    };
    let (rollback, end) = (format!("{LIVE}/rollback"), format!("{LIVE}/end-rollback"));
    let to = |number: u32| serde_json::json!({ "to": number });
    assert_eq!(ask(&rollback, serde_json::json!({})).await?.code(), "SK0601", "there is no release");
    let resource: ResourceView = server.get(LIVE).await?.read();
    let fence = server.store.acquire_lease("test", "me", Duration::from_secs(60)).await?.unwrap();
    for version in 1..=3 {
        let before = (version > 1).then_some(Verdict::Succeeded);
        let mut plan = releasing(&resource, version, before)?;
        if let Some(release) = &mut plan.release {
            release.content.region = Some(format!("r{version}").parse()?);
        }
        server.store.begin_plan(&fence, &plan).await?;
    }
    let given = ask(&rollback, serde_json::json!({})).await?.json();
    assert_eq!(
        (&given["from"], &given["to"], &given["insteadOf"]),
        (&serde_json::json!(3), &serde_json::json!(2), &serde_json::json!(3))
    );
    assert_eq!(given["changes"], serde_json::json!([{"pointer": "/region", "from": "r3", "to": "r2"}]));
    assert_eq!(given["resource"]["metadata"]["rollback"]["to"], 2);
    assert_eq!(ask(&rollback, to(1)).await?.json()["insteadOf"], 3);
    let shown: ResourceView = server.get(LIVE).await?.read();
    assert_eq!(
        shown.metadata.rollback.map(|rollback| (rollback.to, rollback.by)),
        Some((1, "bootstrap".to_owned()))
    );
    assert_eq!(ask(&end, serde_json::Value::Null).await?.status, 200);
    assert_eq!(ask(&end, serde_json::Value::Null).await?.code(), "SK0602", "it is over already");
    for (path, number, code) in [
        (rollback.as_str(), 9, "SK0601"),
        (&rollback, 3, "SK0602"),
        ("/v1/orgs/acme/environments/nothing/rollback", 1, "SK0601"),
        ("/v1/orgs/acme/apps/shop/rollback", 1, "SK0602"),
    ] {
        assert_eq!(ask(path, to(number)).await?.code(), code, "{path} {number}");
    }
    let viewer = server.token_of(Some("acme"), "viewer", skep_schemas::Role::Viewer).await?;
    let body = || Some(("application/json", to(1).to_string()));
    assert_eq!(server.ask(&viewer, "POST", &rollback, body()).await?.code(), "SK0403");
    // The database lets a tenant do it as well.
    let deployer = server.token_of(Some("acme"), "deployer", skep_schemas::Role::Deployer).await?;
    assert_eq!(server.ask(&deployer, "POST", &rollback, body()).await?.json()["to"], 1);
    assert_eq!(server.ask(&deployer, "POST", &end, None).await?.status, 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_of_a_resource_are_told_with_their_pass_and_their_steps() -> Result<()> {
    let server = with_environment().await?;
    let path = format!("{LIVE}/plans");
    assert_eq!(server.get(&path).await?.read::<PlanList>().items, []);
    let resource = server.get(LIVE).await?.read();
    let fence = server.store.acquire_lease("test", "me", Duration::from_secs(60)).await?.unwrap();
    let fence = fence.in_pass("00c0ffee");
    let op = Op::RemoveNetwork { id: "n1".into() };
    let step = Step::new(ObjectRef::new(ObjectKind::Network, "net"), op, "it is not wanted", Cost::Delete);
    let plan = Plan { steps: vec![step], ..releasing(&resource, 1, None)? };
    let record = server.store.begin_plan(&fence, &plan).await?.unwrap();
    server.store.step_started(&fence, record.id, 0).await?;
    server.store.step_finished(&fence, record.id, 0, &StepOutcome::Conflict).await?;

    let told: PlanList = server.get(&path).await?.read();
    let [plan] = told.items.as_slice() else { panic!("{told:?}") };
    assert_eq!(
        (plan.reconcile_id.as_deref(), plan.release, plan.outcome),
        (Some("00c0ffee"), Some(1), PlanEnd::Stopped)
    );
    assert!(plan.duration_ms.is_some());
    let step = &plan.steps[0];
    let words = [&step.verb, &step.object_kind, &step.object, &step.why, &step.outcome].map(String::as_str);
    assert_eq!(words, ["remove", "network", "net", "it is not wanted", "conflict"]);
    assert_eq!((step.cost, step.cost_text.as_deref()), (Some(Cost::Delete), Some("delete")));
    assert!(step.duration_ms.is_some());
    assert_eq!(server.get("/v1/organizations/acme/plans").await?.read::<PlanList>().items, []);
    assert_eq!(server.get(&format!("{path}?limit=0")).await?.code(), "SK0602");
    assert_eq!(server.get("/v1/orgs/acme/environments/none/plans").await?.code(), "SK0601");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_does_is_told_to_administrators_only() -> Result<()> {
    let server = Server::start().await?;
    let told: TasksView = server.get("/debug/tasks").await?.read();
    assert_eq!((told.leases[0].name.as_str(), told.leases[0].epoch), ("controller", 7));
    let nobody = server.send(Request::get("/debug/tasks").body(Body::empty())?).await?;
    assert_eq!(nobody.status, 401);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_a_stream_with_an_end_unless_they_are_followed() -> Result<()> {
    let server = with_environment().await?;
    let query = "process=web&instance=2&since=2026-01-01T00:00:00Z";
    let mut logs = server.stream(&format!("{LIVE}/logs?{query}"), None).await?;
    let line = logs.expect().await?;
    assert_eq!(line.name, "log");
    let told = serde_json::from_value::<LogLine>(line.data)?;
    assert_eq!((told.text.as_str(), told.slot), ("hello from live\n  two", Some(2)));
    let gap = logs.expect().await?;
    assert_eq!((gap.name.as_str(), gap.data["lines"].as_u64()), ("gap", Some(7)));
    let place = gap.id;
    assert!(line.id.is_empty() && !place.is_empty(), "whoever has all of it knows where to go on");
    assert_eq!(logs.expect().await?.name, "end");
    assert_eq!(logs.next().await?, None);
    let asked: LogRequest = server.control.asked.lock().unwrap()[0].clone();
    assert_eq!((asked.tail, asked.follow, asked.process.unwrap().as_str()), (100, false, "web"));
    assert!(asked.instance == Some(LogInstance::Slot(2)) && asked.after.is_none());

    let mut followed = server.stream(&format!("{LIVE}/logs?follow=true&tail=5"), Some(&place)).await?;
    assert_eq!(followed.expect().await?.name, "log");
    let asked = server.control.asked.lock().unwrap()[1].clone();
    assert_eq!(asked.after.unwrap().newest(), Some("2026-01-02T03:04:05Z".parse()?));
    assert_eq!(followed.expect().await?.name, "gap");
    server.shutdown.cancel();
    assert_eq!(followed.next().await?, None, "a stream that was cut has no end");
    for wrong in ["tail=10001", "after=1;x", "instance=%1b%5b2J", "instance=%22%7D"] {
        assert_eq!(server.get(&format!("{LIVE}/logs?{wrong}")).await?.code(), "SK0602", "{wrong}");
    }
    assert_eq!(server.get("/v1/orgs/acme/environments/none/logs").await?.code(), "SK0601");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_plain_text_for_whoever_asks_for_that() -> Result<()> {
    let server = with_environment().await?;
    let request = server.request("GET", &format!("{LIVE}/logs")).header("accept", "text/plain, */*;q=0.1");
    let answer = server.send(request.body(Body::empty())?).await?;
    assert_eq!(
        (answer.status, &answer.headers["content-type"]),
        (200, &"text/plain; charset=utf-8".parse()?)
    );
    let text = answer.text();
    assert_eq!(
        text,
        "2026-01-02T03:04:05Z web.2 | hello from live\u{fffd}  two\n-- 7 lines are missing --\n"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_of_another_organisation_are_those_of_an_environment_that_does_not_exist() -> Result<()> {
    let server = with_environment().await?;
    let globex = manifest("Organization", "globex", "{}");
    assert_eq!(server.put("/v1/organizations/globex", &globex).await?.status, 201);
    let stranger = server.token_of(Some("globex"), "stranger", Role::Admin).await?;
    let mut answers = Vec::new();
    for name in ["live", "none"] {
        let path = format!("/v1/orgs/acme/environments/{name}/logs");
        let answer = server.ask(&stranger, "GET", &path, None).await?;
        answers.push((answer.status, answer.code()));
    }
    assert_eq!(answers[0], (404, "SK0601".to_owned()));
    assert_eq!(answers[0], answers[1]);
    assert!(server.control.asked.lock().unwrap().is_empty());
    Ok(())
}
