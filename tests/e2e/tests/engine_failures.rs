//! What Skep rests on goes away and comes back: the database, a node, the managers' quorum, an image. Meanwhile the status says what is
//! known and nothing is removed or made; afterwards all is well without anybody's help.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skep_e2e::manifests::Web;
use skep_e2e::{Installation, Options};
use skep_testbed::{EngineVersion, Events, wait, wait_until};

/// How often the server looks at everything in these tests.
const RESYNC: Duration = Duration::from_secs(2);
/// How long something may take to be noticed or to recover: a node is missed after some 20 seconds, and other tests run beside.
const NOTICED: Duration = Duration::from_secs(180);
/// The environment, as the API has it.
const ENVIRONMENT: &str = "/v1/orgs/acme/environments/production";

fn options() -> Options {
    Options { resync: Some(RESYNC), ..Options::new(EngineVersion::V26_1) }
}

/// Two instances that run, with a secret and without a domain.
fn deployed(at: &Installation) -> Result<Web> {
    let mut web = Web::new("acme");
    web.hosts.clear();
    web.secrets.push("key".to_owned());
    at.cli.apply_and_wait(&web.manifests())?.ok().with_context(|| at.report())?;
    Ok(web)
}

fn environment(at: &Installation) -> Result<Value> {
    at.cli.get("acme", "environment", "production")
}

/// A condition, or null.
fn condition<'a>(environment: &'a Value, kind: &str) -> &'a Value {
    let conditions = environment["status"]["conditions"].as_array();
    conditions.into_iter().flatten().find(|one| one["type"] == kind).unwrap_or(&Value::Null)
}

/// Waits until the environment is ready, with all instances running and nothing out of date.
fn wait_for_ready(at: &Installation) -> Result<()> {
    wait_until("the environment to be ready", NOTICED, || {
        let environment = environment(at)?;
        let all_run = environment["status"]["processes"]["web"]["running"] == 2;
        let well = condition(&environment, "Ready")["status"] == "True"
            && environment["status"]["lastObserved"].is_null();
        wait::ready(well && all_run, &format!("{environment:#}"))
    })
    .with_context(|| at.report())
}

/// Every service, overlay network and secret, by the id that the engine gave it.
fn ids(at: &Installation) -> Result<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for kind in ["service", "network", "secret"] {
        let overlays: &[&str] = if kind == "network" { &["--filter", "driver=overlay"] } else { &[] };
        let listed = at.docker(&[&[kind, "ls", "--format", "{{.ID}} {{.Name}}"][..], overlays].concat())?;
        all.extend(listed.lines().map(|line| format!("{kind} {line}")));
    }
    Ok(all)
}

/// What the events tell of the Swarm's desired state.
fn writes(events: &Events<'_>) -> Result<Vec<String>> {
    let all = events.so_far()?;
    let writes = all.iter().filter(|event| event.is_write());
    Ok(writes.map(|event| format!("{} {} {}", event.kind, event.name, event.action)).collect())
}

/// The same, of objects that came or went.
fn made_or_removed(events: &Events<'_>) -> Result<Vec<String>> {
    let mut writes = writes(events)?;
    writes.retain(|write| !write.ends_with(" update"));
    Ok(writes)
}

/// How many instances the engine itself says run.
fn running(at: &Installation, service: &str) -> Result<usize> {
    let args =
        ["service", "ps", "--format", "{{.CurrentState}}", "--filter", "desired-state=running", service];
    Ok(at.docker(&args)?.lines().filter(|state| state.starts_with("Running")).count())
}

#[test]
fn what_was_changed_by_hand_while_the_database_was_away_is_put_back_when_it_returns() -> Result<()> {
    let mut at = Installation::start_with(Options { own_postgres: true, ..options() })?;
    let web = deployed(&at)?;
    let before = ids(&at)?;
    let events = Events::record(&at.engine)?;

    at.postgres.stop_immediate()?;
    wait_until("the API to say that it cannot answer", NOTICED, || {
        let answer = at.api_answer(ENVIRONMENT)?;
        wait::ready(answer.status == 503, &format!("{answer:?}"))
    })?;
    at.meddle(&web.service(), |spec| {
        spec["Labels"]["team"] = json!("blue");
        Ok(())
    })?;
    let looks = || at.logs().lines().filter(|line| line.contains("cannot list the keys")).count();
    let so_far = looks();
    wait_until("the loop to try again and again", NOTICED, || {
        wait::ready(looks() >= so_far + 3, "not often enough yet")
    })?;
    // Nobody can know what is wanted, so nothing is done about the edit.
    assert_eq!(at.service(&web.service())?["Spec"]["Labels"]["team"], "blue");
    assert_eq!(ids(&at)?, before);

    at.postgres.restart()?;
    wait_until("the edit to be put back", NOTICED, || {
        let labels = &at.service(&web.service())?["Spec"]["Labels"];
        wait::ready(labels["team"].is_null(), &labels.to_string())
    })
    .with_context(|| at.report())?;
    wait_for_ready(&at)?;
    assert!(at.skep.is_running());
    assert_eq!(at.api_answer(ENVIRONMENT)?.status, 200);
    assert_eq!(ids(&at)?, before);
    assert_eq!(made_or_removed(&events)?, Vec::<String>::new());
    Ok(())
}

#[test]
fn a_node_that_dies_is_named_and_its_instances_come_up_elsewhere() -> Result<()> {
    let mut at = Installation::start_with(Options { nodes: (2, 1), ..options() })?;
    let web = deployed(&at)?;
    assert_eq!(at.containers(&web.service())?.len(), 1, "one instance on each node");
    let before = ids(&at)?;
    let events = Events::record(&at.engine)?;

    at.others.first_mut().context("a worker")?.power_off()?;
    // Told when the manager misses the node, and over soon after: the event stays.
    wait_until("the status to tell of the node", NOTICED, || {
        let told = at.cli.run(&["events", "--org", "acme"])?.ok()?.out;
        wait::ready(told.contains("web runs 1 of 2 (node-2 is down)"), &told)
    })
    .with_context(|| at.report())?;
    wait_for_ready(&at)?;
    assert_eq!(at.containers(&web.service())?.len(), 2, "both on the node that is left");
    assert_eq!(ids(&at)?, before);
    assert_eq!(writes(&events)?, Vec::<String>::new(), "this is for the Swarm to do");

    // The node's return changes nothing either.
    at.others.first_mut().context("a worker")?.power_on()?;
    wait_until("the node to be back", NOTICED, || {
        let states = at.docker(&["node", "ls", "--format", "{{.Status}}"])?;
        wait::ready(states.lines().all(|state| state == "Ready"), &states)
    })?;
    at.wait_for_resyncs(1)?;
    wait_for_ready(&at)?;
    assert_eq!(writes(&events)?, Vec::<String>::new());
    Ok(())
}

#[test]
fn without_a_quorum_the_status_is_unknown_and_what_was_asked_for_is_done_when_it_returns() -> Result<()> {
    let mut at = Installation::start_with(Options { nodes: (2, 2), ..options() })?;
    let mut web = deployed(&at)?;
    let before = ids(&at)?;
    let events = Events::record(&at.engine)?;

    at.others.first_mut().context("a second manager")?.power_off()?;
    wait_until("the environment to be unknown", NOTICED, || {
        let environment = environment(&at)?;
        let unknown = condition(&environment, "Ready")["status"] == "Unknown";
        wait::ready(unknown, &format!("{environment:#}"))?;
        ensure!(environment["status"]["lastObserved"].is_string(), "{environment:#}");
        ensure!(environment["status"]["processes"]["web"]["running"] == 2, "{environment:#}");
        Ok(())
    })
    .with_context(|| at.report())?;
    assert!(at.docker(&["service", "ls"]).is_err(), "the Swarm has no leader");

    // What is asked for now is kept, and the loop goes on trying.
    web.env.insert("ASKED".to_owned(), "without a quorum".to_owned());
    at.cli.apply(&web.manifests(), &[])?.ok()?;
    at.wait_for_resyncs(2)?;
    // A pass that had begun when the leader was lost may still wait for the engine's answer.
    wait_until("the organisation to be unknown", NOTICED, || {
        let organization = at.cli.run(&["get", "organization", "acme", "-o", "json"])?.json()?;
        wait::ready(condition(&organization, "Ready")["status"] == "Unknown", &format!("{organization:#}"))
    })
    .with_context(|| at.report())?;
    assert_eq!(condition(&environment(&at)?, "Ready")["status"], "Unknown");
    assert!(at.skep.is_running());

    at.others.first_mut().context("a second manager")?.power_on()?;
    wait_until("what was asked for to be done", NOTICED, || {
        let env = at.service(&web.service())?["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"].to_string();
        wait::ready(env.contains("ASKED=without a quorum"), &env)
    })
    .with_context(|| at.report())?;
    wait_for_ready(&at)?;
    assert_eq!(ids(&at)?, before);
    assert_eq!(made_or_removed(&events)?, Vec::<String>::new());
    Ok(())
}

#[test]
fn an_image_that_disappears_leaves_what_runs_alone_and_is_told_when_it_is_missed() -> Result<()> {
    let at = Installation::start_with(options())?;
    let web = deployed(&at)?;
    let before = ids(&at)?;
    let events = Events::record(&at.engine)?;
    let pinned = environment(&at)?["status"]["release"]["image"].as_str().context("an image")?.to_owned();

    // Gone from the registry, and the engine has no name for it any more.
    at.engine.withdraw("hello")?;
    let named = at.docker(&[
        "image",
        "inspect",
        "--format",
        "{{join .RepoTags \" \"}} {{join .RepoDigests \" \"}}",
        &pinned,
    ])?;
    for name in named.split_whitespace() {
        at.docker(&["image", "rm", "--force", name])?;
    }
    let tasks = at.running_tasks(&web.service())?;
    at.wait_for_resyncs(2)?;
    assert_eq!(at.running_tasks(&web.service())?, tasks);
    wait_for_ready(&at)?;

    // An instance ends, and the next one has no image to start from.
    at.docker(&["rm", "--force", &at.container(&web.service())?])?;
    wait_until("the missing image to be told", NOTICED, || {
        let environment = environment(&at)?;
        let degraded = condition(&environment, "Degraded");
        let words = degraded["message"].as_str().unwrap_or_default();
        let told = words.contains("web runs 1 of 2") && words.contains("image not found on any node");
        wait::ready(degraded["status"] == "True" && told, &format!("{environment:#}"))
    })
    .with_context(|| at.report())?;
    assert_eq!(running(&at, &web.service())?, 1, "the other instance stays");

    at.engine.restore("hello")?;
    wait_for_ready(&at)?;
    assert_eq!(running(&at, &web.service())?, 2);
    assert_eq!(ids(&at)?, before);
    assert_eq!(writes(&events)?, Vec::<String>::new(), "this is for the Swarm to do");
    Ok(())
}
