//! What a change costs: `skep diff` says it before, and the engine's tasks say it afterwards.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use skep_e2e::engine_view::EDGE;
use skep_e2e::manifests::Web;
use skep_e2e::{Installation, Options};
use skep_testbed::{EngineVersion, Events, Recipe, wait_until};

/// The edge asks for its routes once a second.
const ROUTED: Duration = Duration::from_secs(20);

/// What happens to the tasks that run.
#[derive(Debug, PartialEq)]
enum Tasks {
    Stay,
    AreReplaced,
    AreJoined,
    AreFewer,
}

/// Applies a change after a look at what it is said to cost, and checks that this is what it cost.
fn change(at: &Installation, web: &Web, predicted: &[&str], expected: Tasks) -> Result<()> {
    let manifests = web.manifests();
    let before = at.running_tasks(&web.service())?;
    let diff = at.cli.diff(&manifests)?;
    assert_eq!(diff.code, 1, "{}{}", diff.out, diff.err);
    for words in predicted {
        assert!(diff.out.contains(words), "not said: {words}\n{}", diff.out);
    }
    at.cli.apply_and_wait(&manifests)?.ok().with_context(|| at.report())?;
    // An instance too many may still be ending when the others are ready.
    let after = wait_until("the wanted number of tasks", Duration::from_secs(30), || {
        let tasks = at.running_tasks(&web.service())?;
        anyhow::ensure!(tasks.len() == usize::try_from(web.instances)?, "{tasks:?}");
        Ok(tasks)
    })?;
    let stayed: BTreeSet<_> = before.intersection(&after).collect();
    let seen = match (stayed.len() == before.len(), stayed.len() == after.len()) {
        (true, true) => Tasks::Stay,
        (true, false) => Tasks::AreJoined,
        (false, true) => Tasks::AreFewer,
        (false, false) => {
            assert!(stayed.is_empty(), "some stayed: {stayed:?}");
            Tasks::AreReplaced
        }
    };
    assert_eq!(seen, expected, "{}", diff.out);
    let again = at.cli.diff(&manifests)?;
    assert_eq!(again.code, 0, "{}{}", again.out, again.err);
    Ok(())
}

#[test]
fn what_a_diff_predicts_is_what_restarts() -> Result<()> {
    let at = Installation::start(EngineVersion::V20_10)?;
    at.engine.publish(&Recipe::web("v2")?, "hello:v2")?;
    let mut web = Web::new("acme");
    let created = at.cli.diff(&web.manifests())?;
    assert_eq!(created.code, 1, "{}{}", created.out, created.err);
    assert!(created.out.contains("no tasks restart"), "{}", created.out);
    at.cli.apply_and_wait(&web.manifests())?.ok().with_context(|| at.report())?;
    let proxy = at.container(EDGE)?;

    web.env.insert("GREETING".to_owned(), "good morning {{.Node.ID}}".to_owned());
    change(&at, &web, &["rolling restart of 2 tasks", "GREETING"], Tasks::AreReplaced)?;
    let shown = at.docker(&["exec", &at.container(&web.service())?, "/bin/busybox", "env"])?;
    assert!(shown.contains("GREETING=good morning {{.Node.ID}}"), "{shown}");

    web.labels.insert("tier".to_owned(), "gold".to_owned());
    change(&at, &web, &["/metadata/labels/tier", "no tasks restart"], Tasks::Stay)?;

    web.hosts.push("second.localhost".to_owned());
    change(&at, &web, &["[no restart]", "no tasks restart", "second"], Tasks::Stay)?;
    assert!(at.wait_for_status("second.localhost", 200, ROUTED)?.body.contains("v1"));
    assert_eq!(at.container(EDGE)?, proxy, "the proxy was replaced");

    web = web.with_image("hello:v2");
    change(&at, &web, &["rolling restart of 2 tasks", "hello:v2"], Tasks::AreReplaced)?;
    assert!(at.wait_for_status("acme.localhost", 200, ROUTED)?.body.contains("v2"));

    web.instances = 3;
    change(&at, &web, &["scale 2 -> 3, no restart"], Tasks::AreJoined)?;
    web.instances = 1;
    change(&at, &web, &["scale 3 -> 1, no restart"], Tasks::AreFewer)?;
    how_much_runs_is_said_beside_the_manifests(&at, &web)?;
    assert_eq!(at.container(EDGE)?, proxy, "the proxy was replaced");
    Ok(())
}

/// Scale, restart, stop and start, with one instance to begin with: what they do to the tasks, and that they make no release.
fn how_much_runs_is_said_beside_the_manifests(at: &Installation, web: &Web) -> Result<()> {
    let ask = |args: &[&str]| {
        let mut all = vec!["--org", "acme"];
        all.extend_from_slice(args);
        at.cli.run(&all)
    };
    let waiting = |args: &[&str]| {
        let all: Vec<&str> = args.iter().copied().chain(["--wait", "--timeout", "5m"]).collect();
        ask(&all)?.ok().with_context(|| at.report())
    };
    let tasks = |count: usize| {
        wait_until("the wanted number of tasks", Duration::from_secs(60), || {
            let tasks = at.running_tasks(&web.service())?;
            anyhow::ensure!(tasks.len() == count, "{tasks:?}");
            Ok(tasks)
        })
    };
    let releases = || at.psql("SELECT count(*) FROM release");
    let refused = ask(&["scale", "production", "web=3"])?;
    assert_eq!(refused.code, 2, "{}{}", refused.out, refused.err);
    assert!(
        refused.err.contains("acme/Environment/production says that process web has 1 instances"),
        "{}",
        refused.err
    );
    let manifests = web.manifests_without_number();
    at.cli.apply_and_wait(&manifests)?.ok().with_context(|| at.report())?;
    let (before, made) = (tasks(1)?, releases()?);

    let scaled = waiting(&["scale", "production", "web=3"])?;
    assert!(scaled.out.contains("bootstrap: 3"), "{}", scaled.out);
    let three = tasks(3)?;
    assert!(before.is_subset(&three), "{before:?} {three:?}");
    at.docker(&["service", "scale", "--detach", &format!("{}=1", web.service())])?;
    // Whoever scales in the engine is told that this number is somebody's.
    wait_until("the drift", Duration::from_secs(60), || {
        let drift = ask(&["drift", "--all"])?;
        anyhow::ensure!(drift.out.contains("/Mode/Replicated/Replicas"), "{}{}", drift.out, drift.err);
        Ok(())
    })?;
    let three = tasks(3)?;

    waiting(&["restart", "production", "web"])?;
    let new = tasks(3)?;
    assert!(new.is_disjoint(&three), "{three:?} {new:?}");

    let stopped = waiting(&["stop", "production", "--reason", "the night"])?;
    assert!(stopped.out.contains("the night"), "{}", stopped.out);
    tasks(0)?;
    at.cli.apply_and_wait(&manifests)?.ok().with_context(|| at.report())?;
    let view = at.cli.get("acme", "environment", "production")?;
    let conditions = view["status"]["conditions"].to_string();
    assert!(
        conditions.contains("stopped by bootstrap at") && !conditions.contains("Stalled"),
        "{conditions}"
    );
    assert!(at.running_tasks(&web.service())?.is_empty());
    waiting(&["start", "production"])?;
    tasks(3)?;

    ask(&["suspend", "acme", "--reason", "the bill is open"])?.ok()?;
    tasks(0)?;
    ask(&["suspend", "acme", "--end"])?.ok()?;
    tasks(3)?;
    assert_eq!(releases()?, made, "none of it is a release");
    Ok(())
}

#[test]
fn the_same_manifests_again_and_many_looks_at_them_write_nothing() -> Result<()> {
    let options = Options { resync: Some(Duration::from_secs(1)), ..Options::new(EngineVersion::V26_1) };
    let at = Installation::start_with(options)?;
    let examples = at.examples("hello");
    at.cli
        .run(&["apply", "-f", &examples, "--wait", "--timeout", "5m"])?
        .ok()
        .with_context(|| at.report())?;
    let facts = || {
        at.psql(
            "SELECT (SELECT max(revision) FROM change_log), (SELECT sum(generation) FROM resource),
                    (SELECT count(*) FROM release), (SELECT count(*) FROM plan)",
        )
    };
    at.wait_for_resyncs(1)?;
    let before = facts()?;
    let events = Events::record(&at.engine)?;

    let again = at.cli.run(&["apply", "-f", &examples, "--wait", "--timeout", "5m"])?.ok()?;
    assert_eq!(again.out.lines().filter(|line| line.ends_with(" unchanged")).count(), 6, "{}", again.out);
    at.wait_for_resyncs(3)?;

    let writes: Vec<_> = events.so_far()?.into_iter().filter(|event| event.is_write()).collect();
    assert!(writes.is_empty(), "{writes:?}");
    assert_eq!(facts()?, before, "revision, generations, releases, plans");
    Ok(())
}
