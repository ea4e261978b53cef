//! Runs: asked for, noted once, counted, and kept for a while.

use jiff::Timestamp;
use serde_json::json;
use skep_planner::{
    NewRun, Plan, RUNS_OPEN_MAX, ReleaseVersion, RunChange, RunEnd, RunNews, RunNumber, RunOutput,
    RunPurpose, Verdict,
};
use skep_schemas::{Duration, Kind, Resource, Scope};
use skep_store::{Fence, RecordedRun, Retention, RunRequest, ScopedStore, StoreError};
use tokio::task::JoinSet;

use crate::convergence::{judging, plan_of, releasing};
use crate::support::{Bed, actor, app, environment, key, manifest, org, org_name};

/// An environment that runs a release of the process `web`.
pub(crate) async fn released(bed: &Bed, fence: &Fence) -> Resource {
    let env =
        bed.apply(&[org("acme"), environment("acme", "production", &[])]).await.unwrap().remove(1).resource;
    with_web(bed, fence, &env, 1).await;
    bed.store.begin_plan(fence, &judging(&env, 1, Verdict::Succeeded)).await.unwrap();
    env
}

pub(crate) async fn with_web(bed: &Bed, fence: &Fence, env: &Resource, version: u32) {
    let mut plan = releasing(env, version, &[]);
    let process = json!({
        "entrypoint": null, "command": ["serve"], "workingDir": null, "env": {}, "ports": [], "healthCheck": null,
        "resources": {"cpu": "500m", "memory": "128Mi", "pids": 64}, "volumes": [], "stopGracePeriod": "30s",
    });
    let content = &mut plan.release.as_mut().unwrap().content;
    content.processes = [("web".parse().unwrap(), serde_json::from_value(process).unwrap())].into();
    bed.store.begin_plan(fence, &plan).await.unwrap();
}

fn migrate() -> RunRequest {
    RunRequest {
        process: None,
        command: Some(vec!["migrate".to_owned(), "--all".to_owned()]),
        resources: None,
        time_limit: Duration::from_secs(60),
    }
}

async fn ask(bed: &Bed, env: &Resource) -> Result<RecordedRun, StoreError> {
    bed.store.ask_run(&env.meta.key, &migrate(), &actor()).await
}

fn news(env: &Resource, number: u32, news: RunNews) -> Plan {
    Plan { runs: vec![RunChange { number: RunNumber::new(number), news }], ..plan_of(env, Vec::new()) }
}

pub(crate) fn ended(env: &Resource, number: u32, end: RunEnd, text: &str) -> Plan {
    let output = RunOutput { text: text.to_owned(), gap: None };
    news(env, number, RunNews::Ended { end, at: Timestamp::now(), output })
}

async fn open(bed: &Bed, env: &Resource) -> Vec<u32> {
    let runs = bed.store.snapshot().await.unwrap().open_runs(env.meta.uid).await.unwrap();
    runs.iter().map(|run| run.number.get()).collect()
}

#[tokio::test]
async fn a_run_wakes_its_environment_is_noted_and_ends_once() {
    let bed = Bed::new("run").await;
    let fence = bed.fence().await;
    let env = released(&bed, &fence).await;
    let head = bed.head();
    let asked = ask(&bed, &env).await.unwrap().run;
    assert_eq!((asked.number.get(), asked.release.get(), asked.process.as_str()), (1, 1, "web"));
    assert_eq!(asked.resources.memory.to_string(), "128Mi", "what the process may use");
    assert!(bed.head() > head, "whoever follows the changes is woken");
    // It stays in the release that ran when it was asked for, which is known to whoever plans.
    with_web(&bed, &fence, &env, 2).await;
    bed.store.begin_plan(&fence, &judging(&env, 2, Verdict::Succeeded)).await.unwrap();
    assert_eq!(ask(&bed, &env).await.unwrap().run.release.get(), 2);
    let mut snapshot = bed.store.snapshot().await.unwrap();
    let known = snapshot.releases(env.meta.uid, 1).await.unwrap();
    assert_eq!(known.iter().map(|one| one.version.get()).collect::<Vec<_>>(), [2, 1]);
    drop(snapshot);
    let head = bed.head();
    let began = RunNews::Started { at: Timestamp::now() };
    bed.store
        .begin_plan(&fence, &news(&env, 1, RunNews::Waits { why: "no network".to_owned() }))
        .await
        .unwrap();
    bed.store.begin_plan(&fence, &news(&env, 1, began)).await.unwrap();
    let failed =
        RunEnd::Failed { exit_code: Some(3), reason: "the process ended with exit code 3".to_owned() };
    bed.store.begin_plan(&fence, &ended(&env, 1, failed.clone(), "half\0way\n")).await.unwrap();
    assert_eq!(bed.head(), head, "what is noted wakes nobody");
    bed.store.begin_plan(&fence, &ended(&env, 1, RunEnd::Succeeded, "")).await.unwrap();
    let mut snapshot = bed.store.snapshot().await.unwrap();
    let run = snapshot.run(env.meta.uid, RunNumber::new(1)).await.unwrap().unwrap();
    assert_eq!(run.run.end.as_ref().map(|(end, _)| end), Some(&failed), "it stays as it was noted first");
    assert!(
        run.run.started_at.is_some() && run.run.waits.is_none() && run.made_by.as_deref() == Some("tester")
    );
    let output = snapshot.run_output(env.meta.uid, RunNumber::new(1)).await.unwrap().unwrap();
    assert_eq!(output.text, "half\u{fffd}way\n");
    let listed = snapshot.runs(env.meta.uid, None, 10).await.unwrap();
    assert_eq!(listed.iter().map(|run| run.run.number.get()).collect::<Vec<_>>(), [2, 1]);
    drop(snapshot);
    assert_eq!(open(&bed, &env).await, [2]);
    let error = bed.server.psql(&bed.url, "UPDATE run SET exit_code = 0 WHERE number = 1").unwrap_err();
    assert!(format!("{error:#}").contains("is a fact and does not change"), "{error:#}");
}

#[tokio::test]
async fn somebody_may_stop_a_run_that_is_not_over() {
    let bed = Bed::new("runstop").await;
    let fence = bed.fence().await;
    let env = released(&bed, &fence).await;
    ask(&bed, &env).await.unwrap();
    let (key, one) = (&env.meta.key, RunNumber::new(1));
    let head = bed.head();
    assert!(bed.store.stop_run(key, one, &actor()).await.unwrap());
    assert!(bed.head() > head);
    assert!(!bed.store.stop_run(key, one, &actor()).await.unwrap(), "once is enough");
    assert!(!bed.store.stop_run(key, RunNumber::new(9), &actor()).await.unwrap());
    let runs = bed.store.snapshot().await.unwrap().open_runs(env.meta.uid).await.unwrap();
    assert_eq!(runs[0].stopped_by.as_deref(), Some("tester"));
    let verbs = "SELECT string_agg(verb, ' ' ORDER BY id) FROM audit WHERE verb LIKE '%run'";
    assert_eq!(bed.sql(verbs), "run stop-run");
}

#[tokio::test]
async fn a_run_needs_a_release_a_process_and_room() {
    let bed = Bed::new("runroom").await;
    let fence = bed.fence().await;
    let env =
        bed.apply(&[org("acme"), environment("acme", "production", &[])]).await.unwrap().remove(1).resource;
    assert!(matches!(ask(&bed, &env).await, Err(StoreError::NothingRuns { .. })));
    with_web(&bed, &fence, &env, 1).await;
    let other = RunRequest { process: Some("worker".parse().unwrap()), ..migrate() };
    let error = bed.store.ask_run(&env.meta.key, &other, &actor()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "release v1 of acme/Environment/production has no process worker; it has web"
    );
    let none = key("acme", Kind::Environment, "none");
    assert!(matches!(bed.store.ask_run(&none, &migrate(), &actor()).await, Err(StoreError::NotFound { .. })));
    // Asked for at once, there are as many as there may be.
    let mut asking = JoinSet::new();
    for _ in 0..RUNS_OPEN_MAX + 3 {
        let (store, key) = (bed.store.clone(), env.meta.key.clone());
        asking.spawn(async move { store.ask_run(&key, &migrate(), &actor()).await });
    }
    let answers = asking.join_all().await;
    let refused =
        answers.iter().filter(|answer| matches!(answer, Err(StoreError::TooManyRuns { .. }))).count();
    assert_eq!((refused, open(&bed, &env).await.len()), (3, RUNS_OPEN_MAX));
}

#[tokio::test]
async fn a_tenant_asks_for_runs_of_its_own_environments_within_its_quota() {
    let bed = Bed::new("runtenant").await;
    let fence = bed.fence().await;
    let quota = json!({"instance": {"cpu": "1", "memory": "1Gi"}, "quota": {"instances": 3}});
    bed.applied(manifest(key("", Kind::Plan, "small"), quota)).await;
    let env = released(&bed, &fence).await;
    bed.applied(manifest(key("", Kind::Organization, "acme"), json!({"plan": "small"}))).await;
    bed.applied(app("acme", "shop", "shop:1")).await;
    let shop = json!({"app": "shop", "processes": {"web": {"instances": 2}}});
    bed.applied(manifest(key("acme", Kind::Environment, "production"), shop)).await;
    let within = |org: &str| bed.store.within(Some(&Scope::Org(org_name(org))));
    let (acme, globex) = (within("acme"), within("globex"));
    let refused = globex.ask_run(&env.meta.key, &migrate(), &actor()).await;
    assert!(matches!(refused, Err(StoreError::NotFound { .. })), "{refused:?}");
    acme.ask_run(&env.meta.key, &migrate(), &actor()).await.unwrap();
    let refused = acme.ask_run(&env.meta.key, &migrate(), &actor()).await;
    assert!(matches!(refused, Err(StoreError::QuotaExceeded { .. })), "{refused:?}");
    let seen = async |store: &ScopedStore| {
        store.snapshot().await.unwrap().runs(env.meta.uid, None, 9).await.unwrap()
    };
    assert_eq!((seen(&acme).await.len(), seen(&globex).await.len()), (1, 0));
    assert!(acme.stop_run(&env.meta.key, RunNumber::new(1), &actor()).await.unwrap());
    let elsewhere = globex.stop_run(&env.meta.key, RunNumber::new(1), &actor()).await;
    assert!(matches!(elsewhere, Err(StoreError::NotFound { .. })), "{elsewhere:?}");
}

#[tokio::test]
async fn runs_that_are_over_are_kept_for_a_while_and_the_newest_always() {
    let bed = Bed::new("runkeep").await;
    let fence = bed.fence().await;
    let env = released(&bed, &fence).await;
    ask(&bed, &env).await.unwrap();
    bed.store.begin_plan(&fence, &ended(&env, 1, RunEnd::Succeeded, "")).await.unwrap();
    bed.sql(
        "INSERT INTO run (env_uid, number, purpose, release, process, resources, time_limit_seconds, outcome, ended_at, output)
         SELECT env_uid, n, purpose, release, process, resources, time_limit_seconds, outcome, now() - interval '40 days', output
         FROM run, generate_series(2, 150) n WHERE number = 1",
    );
    assert_eq!(bed.store.sweep(&Retention::USUAL).await.unwrap().runs, 49);
    assert_eq!(bed.sql("SELECT min(number) || ' ' || max(number) FROM run WHERE number > 1"), "51 150");
    let users = bed.store.snapshot().await.unwrap().secret_versions_in_use(&org_name("acme")).await.unwrap();
    assert!(users.is_empty());
}

#[tokio::test]
async fn a_release_phase_begins_once_with_its_release_and_wakes_nobody() {
    let bed = Bed::new("runphase").await;
    let fence = bed.fence().await;
    let env = released(&bed, &fence).await;
    let resources = serde_json::from_value(json!({"cpu": "1", "memory": "64Mi"})).unwrap();
    let phase = |version| NewRun {
        release: ReleaseVersion::new(version),
        resources,
        time_limit: Duration::from_secs(60),
    };
    let begins = |version| Plan { phase: Some(phase(version)), ..releasing(&env, version, &[]) };
    let head = bed.head();
    bed.store.begin_plan(&fence, &begins(2)).await.unwrap();
    // After a crash it is planned again by itself.
    bed.store.begin_plan(&fence, &Plan { phase: Some(phase(2)), ..plan_of(&env, Vec::new()) }).await.unwrap();
    assert_eq!(bed.head(), head);
    let known = async || bed.store.snapshot().await.unwrap().open_runs(env.meta.uid).await.unwrap();
    let told =
        async || known().await.iter().map(|run| (run.number.get(), run.end.is_some())).collect::<Vec<_>>();
    assert_eq!(told().await, [(1, false)]);
    let run = known().await.remove(0);
    assert_eq!((run.purpose, run.process.as_str(), run.release.get()), (RunPurpose::Release, "release", 2));
    // Whoever plans is told how that of the newest release ended, and of none before it.
    bed.store.begin_plan(&fence, &ended(&env, 1, RunEnd::Succeeded, "migrated\n")).await.unwrap();
    assert_eq!(told().await, [(1, true)]);
    bed.store.begin_plan(&fence, &begins(3)).await.unwrap();
    assert_eq!(told().await, [(2, false)]);
    let made =
        bed.store.snapshot().await.unwrap().run(env.meta.uid, RunNumber::new(2)).await.unwrap().unwrap();
    assert_eq!(made.made_by.as_deref(), Some("ann"), "whose change made the release");
    // Without it, that of a release that is still pending would run again. That of a former one goes.
    bed.store.begin_plan(&fence, &ended(&env, 2, RunEnd::Succeeded, "")).await.unwrap();
    bed.sql(
        "INSERT INTO run (env_uid, number, purpose, release, process, resources, time_limit_seconds, outcome, ended_at, output)
         SELECT env_uid, n, 'one-off', release, process, resources, time_limit_seconds, outcome, ended_at, output
         FROM run, generate_series(3, 1010) n WHERE number = 2",
    );
    bed.store.begin_plan(&fence, &judging(&env, 2, Verdict::Superseded)).await.unwrap();
    bed.store.sweep(&Retention::USUAL).await.unwrap();
    assert_eq!(bed.sql("SELECT string_agg(number::text, ' ') FROM run WHERE purpose = 'release'"), "2");
}
