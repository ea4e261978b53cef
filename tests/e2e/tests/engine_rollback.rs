//! Releases that do not work: what ran before goes on, the reason is told, and nothing is tried again by itself.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use serde_json::Value;
use skep_e2e::manifests::{Web, image};
use skep_e2e::{Answer, Installation, Options};
use skep_testbed::{EngineVersion, Events, Recipe, wait, wait_until};

/// What the health check of the broken image prints.
const COMPLAINT: &str = "this version is never healthy";

fn condition<'v>(view: &'v Value, kind: &str) -> Option<&'v Value> {
    view["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

fn says(view: &Value, kind: &str, reason: &str, words: &str) -> bool {
    condition(view, kind).is_some_and(|condition| {
        condition["status"] == "True"
            && condition["reason"] == reason
            && condition["message"].as_str().is_some_and(|message| message.contains(words))
    })
}

#[test]
fn a_release_that_is_never_healthy_is_rolled_back_once_while_the_old_one_answers() -> Result<()> {
    let options = Options { resync: Some(Duration::from_secs(2)), ..Options::new(EngineVersion::V20_10) };
    let at = Installation::start_with(options)?;
    at.engine.publish(&Recipe::unhealthy("v2")?, "hello:broken")?;
    at.engine.publish(&Recipe::web("v3")?, "hello:v3")?;
    let web = Web::new("acme");
    at.cli.apply_and_wait(&web.manifests())?.ok().with_context(|| at.report())?;
    at.wait_for_status("acme.localhost", 200, Duration::from_secs(20))?;

    let broken = web.clone().with_image("hello:broken").manifests();
    let ended = thread::scope(|scope| -> Result<Answer> {
        let apply = scope.spawn(|| at.cli.apply(&broken, &["--wait", "--timeout", "5m"]));
        let mut answers = 0;
        while !apply.is_finished() {
            let answer = at.request("acme.localhost")?;
            assert!(
                answer.status == 200 && answer.body.contains("v1"),
                "after {answers} answers: {answer:?}\n{}",
                at.report()
            );
            answers += 1;
        }
        assert!(answers > 0, "the apply ended before anything was asked");
        apply.join().map_err(|_| anyhow!("the apply panicked"))?
    })?;
    assert_eq!(ended.code, 1, "{}{}\n{}", ended.out, ended.err, at.report());
    assert!(ended.err.contains(COMPLAINT), "{}", ended.err);

    let view = at.cli.get("acme", "environment", "production")?;
    assert!(says(&view, "Stalled", "RolledBack", COMPLAINT), "{view:#}");
    assert!(says(&view, "Degraded", "RolledBack", COMPLAINT), "{view:#}");
    let described = at.cli.run(&["describe", "environment", "production", "--org", "acme"])?.ok()?.out;
    assert!(described.contains("rolled back") && described.contains(COMPLAINT), "{described}");

    // Swarm may still be busy with the roll-back itself; from its end on, nothing is to be written.
    wait_until("the end of the roll-back", Duration::from_secs(60), || {
        let state = at.service(&web.service())?["UpdateStatus"]["State"].clone();
        wait::ready(state == "rollback_completed", &state.to_string())
    })?;
    let tasks = at.running_tasks(&web.service())?;
    let events = Events::record(&at.engine)?;
    at.wait_for_resyncs(4)?;
    let writes: Vec<_> = events.so_far()?.into_iter().filter(|event| event.is_write()).collect();
    assert!(writes.is_empty(), "{writes:?}\n{}", at.report());
    assert_eq!(at.running_tasks(&web.service())?, tasks);
    let view = at.cli.get("acme", "environment", "production")?;
    assert!(says(&view, "Stalled", "RolledBack", COMPLAINT), "{view:#}");
    assert_eq!(view["status"]["release"]["version"], 1, "{view:#}");
    assert!(at.request("acme.localhost")?.body.contains("v1"));

    let corrected = at.cli.apply_and_wait(&web.with_image("hello:v3").manifests())?;
    assert_eq!(corrected.code, 0, "{}{}\n{}", corrected.out, corrected.err, at.report());
    wait_until("the corrected page", Duration::from_secs(20), || {
        let page = at.request("acme.localhost")?;
        wait::ready(page.status == 200 && page.body.contains("v3"), &page.body)
    })?;
    let view = at.cli.get("acme", "environment", "production")?;
    assert!(condition(&view, "Stalled").is_none() && condition(&view, "Degraded").is_none(), "{view:#}");
    Ok(())
}

#[test]
fn a_first_release_that_is_never_healthy_fails_at_its_deadline_and_can_be_corrected() -> Result<()> {
    let env = vec![("SKEP_IMAGE_GRACE".to_owned(), "1s".to_owned())];
    let at = Installation::start_with(Options { env, ..Options::new(EngineVersion::V26_1) })?;
    let broken = at.engine.publish(&Recipe::unhealthy("v0")?, "hello:broken")?;
    let mut web = Web::new("acme").with_image("hello:broken");
    web.deadline = "15s".to_owned();
    let applied = at.cli.apply_and_wait(&web.manifests())?;
    assert_eq!(applied.code, 1, "{}{}\n{}", applied.out, applied.err, at.report());
    assert!(applied.err.contains("not done after 15s"), "{}", applied.err);
    assert!(applied.err.contains(COMPLAINT), "{}", applied.err);
    let view = at.cli.get("acme", "environment", "production")?;
    assert!(says(&view, "Stalled", "RolloutFailed", COMPLAINT), "{view:#}");

    // The short deadline is for the broken release only: a good one may take longer on a busy machine.
    web.deadline = "2m".to_owned();
    let corrected = at.cli.apply_and_wait(&web.with_image("hello:v1").manifests())?;
    assert_eq!(corrected.code, 0, "{}{}\n{}", corrected.out, corrected.err, at.report());
    at.wait_for_status("acme.localhost", 200, Duration::from_secs(20))?;
    images_go_with_the_last_release(&at, &format!("{}@{}", image("hello"), broken.digest))
}

/// A release that failed is kept as others are, and its image with it.
fn images_go_with_the_last_release(at: &Installation, image: &str) -> Result<()> {
    let is_there = || at.engine.docker(&["image", "inspect", image]).map(|answer| answer.status.success());
    assert!(is_there()?, "{}", at.report());
    at.cli.run(&["delete", "environment", "production", "--org", "acme"])?.ok()?;
    wait_until("the image that no release names to be removed", Duration::from_secs(60), || {
        wait::ready(!is_there()?, image)
    })
}
