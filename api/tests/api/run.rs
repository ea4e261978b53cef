//! Runs over the wire: asked for, listed, stopped, and what they printed.

use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use skep_api::wire::{ResourceView, RunList, RunOutputView, RunState, RunView, ScheduleList};
use skep_planner::{
    Missed, NewRun, Plan, ReleaseVersion, RunChange, RunEnd, RunNews, RunNumber, RunOutput, ScheduleChange,
    ScheduleDecision, Verdict,
};
use skep_schemas::Role;

use crate::operation::{LIVE, releasing, with_environment};
use crate::support::Server;

/// A server with an environment that runs a release of `web` and `worker`.
async fn released() -> Result<(Server, skep_store::Fence, Plan)> {
    let server = with_environment().await?;
    let resource: ResourceView = server.get(LIVE).await?.read();
    let fence = server.store.acquire_lease("test", "me", Duration::from_secs(60)).await?.unwrap();
    let mut plan = releasing(&resource, 1, None)?;
    let process = serde_json::json!({
        "entrypoint": null, "command": ["serve"], "workingDir": null, "env": {}, "ports": [], "healthCheck": null,
        "resources": {"cpu": "500m", "memory": "128Mi", "pids": 64}, "volumes": [], "stopGracePeriod": "30s",
    });
    if let Some(release) = &mut plan.release {
        for name in ["web", "worker"] {
            release.content.processes.insert(name.parse()?, serde_json::from_value(process.clone())?);
        }
    }
    server.store.begin_plan(&fence, &plan).await?;
    let judged = releasing(&resource, 2, Some(Verdict::Succeeded))?;
    server.store.begin_plan(&fence, &Plan { release: None, ..judged.clone() }).await?;
    Ok((server, fence, Plan { release: None, verdicts: Vec::new(), ..judged }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_asked_for_told_of_and_stopped() -> Result<()> {
    let (server, fence, quiet) = released().await?;
    let runs = format!("{LIVE}/runs");
    let ask = async |body: serde_json::Value| {
        server.body("POST", &runs, "application/json", &body.to_string()).await
    };
    let asked: RunView =
        ask(serde_json::json!({"process": "worker", "command": ["migrate"], "timeLimit": "10m"}))
            .await?
            .read();
    assert_eq!((asked.number, asked.release, asked.state), (1, 1, RunState::Starting));
    assert_eq!((asked.process.as_str(), asked.made_by.as_deref()), ("worker", Some("bootstrap")));
    let second: RunView = ask(serde_json::json!({})).await?.read();
    assert_eq!((second.number, second.process.as_str(), second.command), (2, "web", None));
    let listed: RunList = server.get(&runs).await?.read();
    assert_eq!(listed.items.iter().map(|run| run.number).collect::<Vec<_>>(), [2, 1]);
    let page: RunList = server.get(&format!("{runs}?limit=1")).await?.read();
    assert_eq!((page.items.len(), page.next), (1, Some(2)));
    assert_eq!(server.get(&format!("{runs}/1/output")).await?.code(), "SK0602", "it is not over");
    let end = RunEnd::Failed { exit_code: Some(3), reason: "the process ended with exit code 3".to_owned() };
    let output = RunOutput { text: "half way\n".to_owned(), gap: None };
    let news = RunNews::Ended { end, at: asked.created_at, output };
    let change = RunChange { number: RunNumber::new(1), news };
    server.store.begin_plan(&fence, &Plan { runs: vec![change], ..quiet }).await?;
    let over: RunView = server.get(&format!("{runs}/1")).await?.read();
    assert_eq!((over.state, over.exit_code), (RunState::Failed, Some(3)));
    assert_eq!(over.reason.as_deref(), Some("the process ended with exit code 3"));
    let told: RunOutputView = server.get(&format!("{runs}/1/output")).await?.read();
    assert_eq!(told.text, "half way\n");
    let stop = async |number: u32| server.body("POST", &format!("{runs}/{number}/stop"), "", "").await;
    assert_eq!(stop(2).await?.read::<RunView>().state, RunState::Starting, "it will be stopped by the loop");
    assert_eq!(stop(1).await?.read::<RunView>().state, RunState::Failed, "it was over");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_run_is_refused_with_what_to_do() -> Result<()> {
    let (server, ..) = released().await?;
    let runs = format!("{LIVE}/runs");
    for (body, problem) in [
        (serde_json::json!({"process": "cron"}), "no process cron; it has web, worker"),
        (serde_json::json!({"timeLimit": "48h"}), "48h is no time that a run may have"),
        (serde_json::json!({"command": vec!["x"; 300]}), "too long"),
        (serde_json::json!({"command": ["a\0b"]}), "NUL"),
    ] {
        let refused = server.body("POST", &runs, "application/json", &body.to_string()).await?;
        assert_eq!(refused.code(), "SK0602");
        assert!(refused.text().contains(problem), "{}", refused.text());
    }
    for path in
        ["/v1/orgs/acme/environments/none/runs".to_owned(), format!("{runs}/9"), format!("{runs}/9/output")]
    {
        assert_eq!(server.get(&path).await?.code(), "SK0601", "{path}");
    }
    let body = || Some(("application/json", "{}".to_owned()));
    let viewer = server.token_of(Some("acme"), "viewer", Role::Viewer).await?;
    assert_eq!(server.ask(&viewer, "POST", &runs, body()).await?.code(), "SK0403");
    // The database lets a tenant do it as well, and nobody else's.
    let deployer = server.token_of(Some("acme"), "deployer", Role::Deployer).await?;
    assert_eq!(server.ask(&deployer, "POST", &runs, body()).await?.read::<RunView>().number, 1);
    assert_eq!(server.ask(&deployer, "POST", &format!("{runs}/1/stop"), None).await?.status, 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_are_told_with_what_comes_next_how_the_last_went_and_what_was_missed() -> Result<()> {
    let server = with_environment().await?;
    let listed = format!("{LIVE}/schedules");
    assert_eq!(server.get(&listed).await?.read::<ScheduleList>().items, [], "nothing has run yet");
    let resource: ResourceView = server.get(LIVE).await?.read();
    let fence = server.store.acquire_lease("test", "me", Duration::from_secs(60)).await?.unwrap();
    let mut plan = releasing(&resource, 1, None)?;
    let scheduled = serde_json::json!({
        "process": {
            "entrypoint": null, "command": ["report"], "workingDir": null, "env": {}, "ports": [], "healthCheck": null,
            "resources": {"cpu": "500m", "memory": "128Mi", "pids": 64}, "volumes": [], "stopGracePeriod": "30s",
        },
        "schedule": {"cron": "* * * * *", "timeZone": "Europe/Berlin", "concurrency": "Forbid"}, "timeLimit": "1h",
    });
    if let Some(release) = &mut plan.release {
        release.content.schedules.insert("report".parse()?, serde_json::from_value(scheduled)?);
    }
    server.store.begin_plan(&fence, &plan).await?;
    assert_eq!(server.get(&listed).await?.read::<ScheduleList>().items, [], "it has not succeeded yet");
    let judged = releasing(&resource, 2, Some(Verdict::Succeeded))?;
    server.store.begin_plan(&fence, &Plan { release: None, ..judged.clone() }).await?;
    let quiet = Plan { release: None, verdicts: Vec::new(), ..judged };
    let deciding = async |decision| {
        let change = ScheduleChange { process: "report".parse()?, decision };
        server.store.begin_plan(&fence, &Plan { schedules: vec![change], ..quiet.clone() }).await?;
        anyhow::Ok(())
    };
    let recurrence = "* * * * * Europe/Berlin".to_owned();
    let [began, slot]: [Timestamp; 2] = ["2026-11-22T03:00:00Z".parse()?, "2026-11-22T03:02:00Z".parse()?];
    deciding(ScheduleDecision::Begins { recurrence: recurrence.clone(), at: began }).await?;
    let (resources, time_limit) =
        (serde_json::from_value(serde_json::json!({"cpu": "1", "memory": "64Mi"}))?, "1h".parse()?);
    let run = Some(NewRun { release: ReleaseVersion::new(1), resources, time_limit });
    let missed = Some(Missed { count: 1, newest: "2026-11-22T03:01:00Z".parse()?, why: "away".to_owned() });
    deciding(ScheduleDecision::Passes { known: (recurrence, began), slot, run, missed }).await?;
    let one = server.get(&listed).await?.read::<ScheduleList>().items.remove(0);
    assert_eq!((one.process.as_str(), one.release, one.since, one.missed), ("report", 1, Some(began), 1));
    assert_eq!(one.last_missed.map(|missed| missed.why).as_deref(), Some("away"));
    assert!(one.next.is_some_and(|next| next > Timestamp::now()));
    let last = one.last_run.unwrap();
    assert_eq!((last.purpose.as_str(), last.slot, last.state), ("schedule", Some(slot), RunState::Starting));
    let shown: serde_json::Value = server.get(&format!("{LIVE}/processes")).await?.json();
    let report = shown["items"].as_array().unwrap().iter().find(|item| item["name"] == "report").unwrap();
    assert_eq!((&report["type"], &report["wanted"]), (&"cron".into(), &0.into()));
    assert_eq!(
        report["instances"],
        serde_json::json!({"by": "schedule", "recurrence": "* * * * * Europe/Berlin"})
    );
    // By hand it runs as any process does.
    let asked =
        server.body("POST", &format!("{LIVE}/runs"), "application/json", r#"{"process": "report"}"#).await?;
    assert_eq!(asked.read::<RunView>().purpose, "one-off");
    let released: serde_json::Value = server.get(&format!("{LIVE}/releases/1")).await?.json();
    assert_eq!(released["content"]["schedules"]["report"]["schedule"]["concurrency"], "Forbid");
    Ok(())
}
