//! What an operator sees: metrics that move, plans with timings, what the server is doing, and how old what is known is while the
//! engine is away.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use skep_e2e::manifests::Web;
use skep_e2e::{Installation, Options, binary};
use skep_testbed::{EngineVersion, Prometheus, http, wait, wait_until};

/// How long the loop may take to notice that the engine went or came: a few looks, on a machine busy with other tests.
const NOTICED: Duration = Duration::from_secs(120);

fn ready(environment: &Value) -> &str {
    let conditions = environment["status"]["conditions"].as_array();
    let found = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
    found.and_then(|ready| ready["status"].as_str()).unwrap_or_default()
}

#[test]
fn an_operator_sees_what_was_done_what_is_done_and_how_old_what_is_known_is() -> Result<()> {
    let options = Options { resync: Some(Duration::from_secs(2)), ..Options::new(EngineVersion::V26_1) };
    let mut at = Installation::start_with(options)?;
    let created = r#"skep_plan_steps_total{verb="create",object="service",outcome="done"}"#;
    let environments = r#"skep_resources{kind="Environment",ready="true"}"#;
    assert_eq!((at.metric(created)?, at.metric(environments)?), (0.0, 0.0));
    let web = Web::new("acme");
    at.cli.apply_and_wait(&web.manifests())?.ok().with_context(|| at.report())?;

    // Metrics: an anchor and a service were made, and every write was heard of.
    assert_eq!(at.metric(created)?, 2.0);
    assert_eq!(at.metric(environments)?, 1.0);
    assert_eq!(at.metric("skep_engine_reachable")?, 1.0);
    assert_eq!(at.metric("skep_own_writes_without_event_total")?, 0.0);
    assert!(at.metric("skep_event_lag_seconds_count")? > 0.0);
    assert!(at.metric("skep_watch_lag_seconds_count")? > 0.0);
    assert!(at.metric(r#"skep_swarm_call_seconds_count{verb="create_service",result="ok"}"#)? >= 2.0);

    // Plans: what was done, how long it took, and the pass, which the log and the status name as well.
    let described = at.cli.run(&["describe", "environment", "production", "--org", "acme"])?.ok()?.out;
    let line = described.lines().find(|line| line.contains("create service acme_production_web"));
    assert!(line.is_some_and(|line| line.contains("done in")), "{described}");
    let plans: Value = serde_json::from_str(&at.api("/v1/orgs/acme/environments/production/plans")?)?;
    let id = plans["items"][0]["reconcileId"].as_str().context("a plan names its pass")?;
    assert!(described.contains(id), "{described}");
    assert!(at.logs().lines().any(|line| line.contains(id)), "{id}");
    let environment = at.cli.get("acme", "environment", "production")?;
    assert!(environment["status"]["reconcileId"].is_string(), "{environment:#}");
    assert!(environment["status"]["lastObserved"].is_null(), "{environment:#}");

    // What the server is doing: for administrators only.
    let doing: Value = serde_json::from_str(&at.api("/debug/tasks")?)?;
    let named =
        |list: &str, name: &str| doing[list].as_array().into_iter().flatten().any(|one| one["name"] == name);
    assert!(named("tasks", "engine") && named("followers", "engine-events"), "{doing:#}");
    assert!(doing["leases"].as_array().is_some_and(|leases| !leases.is_empty()), "{doing:#}");
    let address = at.api_address()?;
    assert_eq!(http::get(address.ip(), address.port(), "skep", "/debug/tasks")?.status, 401);

    // Prometheus evaluates every rule on what the server really shows.
    let rules = binary::workspace().join("manifests/observability/alerts.yaml");
    let prometheus = Prometheus::start(address, at.cli.token(), &rules)?;
    wait_until("Prometheus to evaluate all rules", NOTICED, || {
        let answer = prometheus.api("/api/v1/rules")?;
        let groups = answer["data"]["groups"].as_array().context("there are groups")?;
        let rules = || groups.iter().flat_map(|group| group["rules"].as_array().into_iter().flatten());
        let well = rules().count() > 20 && rules().all(|rule| rule["health"] == "ok");
        wait::ready(well, &format!("{answer:#}"))
    })?;
    let alert = |name: &str| -> Result<bool> {
        let answer = prometheus.api(&format!("/api/v1/query?query=ALERTS%7Balertname%3D%22{name}%22%7D"))?;
        Ok(answer["data"]["result"].as_array().is_some_and(|alerts| !alerts.is_empty()))
    };
    wait_until("Prometheus to scrape the server", NOTICED, || {
        let up = prometheus.api("/api/v1/query?query=up")?;
        wait::ready(up["data"]["result"][0]["value"][1] == "1", &format!("{up:#}"))
    })?;
    assert!(!alert("SkepEngineUnreachable")?);

    // The engine goes: nothing is known any more, and the status says as of when it speaks, and goes on saying that.
    at.engine.node_mut().kill_engine()?;
    let away = wait_until("the environment to be unknown", NOTICED, || {
        let environment = at.cli.get("acme", "environment", "production")?;
        wait::ready(ready(&environment) == "Unknown", &format!("{environment:#}"))?;
        Ok(environment)
    })?;
    let last_observed = away["status"]["lastObserved"].as_str().context("it says since when")?.to_owned();
    let table = at.cli.run(&["get", "environments", "--org", "acme"])?.ok()?.out;
    assert!(table.contains("last seen"), "{table}");
    let described = at.cli.run(&["describe", "environment", "production", "--org", "acme"])?.ok()?.out;
    assert!(described.contains(&last_observed), "{described}");
    wait_until("the alert to be pending", NOTICED, || {
        wait::ready(at.metric("skep_engine_reachable")? == 0.0 && alert("SkepEngineUnreachable")?, "not yet")
    })?;
    at.wait_for_resyncs(2)?;
    let later = at.cli.get("acme", "environment", "production")?;
    assert_eq!(later["status"], away["status"], "a status does not change while nothing new is known");

    // It comes back, and all is well by itself.
    at.engine.node_mut().start_engine()?;
    wait_until("the environment to be ready", NOTICED, || {
        let environment = at.cli.get("acme", "environment", "production")?;
        let well = ready(&environment) == "True" && environment["status"]["lastObserved"].is_null();
        wait::ready(well, &format!("{environment:#}"))
    })
    .with_context(|| at.report())?;
    wait_until("the alert to be over", NOTICED, || {
        wait::ready(!alert("SkepEngineUnreachable")?, "it is still there")
    })
}
