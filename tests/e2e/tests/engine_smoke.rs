//! The whole path once, on both engines: manifests in, a page out, everything removed.

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use skep_e2e::Installation;
use skep_testbed::{EngineVersion, Events, wait, wait_until};

const ENVIRONMENT: &str = "hello/Environment/production";

fn the_example_is_served(version: EngineVersion) -> Result<Installation> {
    let installation = Installation::start(version)?;
    let examples = installation.examples("hello");

    let applied = installation.cli.run(&["apply", "-f", &examples, "--wait", "--timeout", "5m"])?;
    assert_eq!(applied.code, 0, "{}{}\n{}", applied.out, applied.err, installation.report());

    let page = installation.wait_for_status("hello.localhost", 200, Duration::from_secs(30))?;
    assert!(page.body.contains("v1"), "{}", page.body);

    let events = Events::record(&installation.engine)?;
    let again = installation.cli.run(&["apply", "-f", &examples, "--wait", "--timeout", "5m"])?.ok()?;
    assert!(again.out.contains("unchanged"), "{}", again.out);
    let writes: Vec<_> = events.so_far()?.into_iter().filter(|event| event.is_write()).collect();
    assert!(writes.is_empty(), "{writes:?}");
    a_command_is_run(&installation)?;
    what_runs_is_measured(&installation)?;
    Ok(installation)
}

fn what_runs_is_measured(at: &Installation) -> Result<()> {
    // An engine that is busy may not answer in the time that a reading has, which is then told.
    let items = wait_until("a reading of every instance", Duration::from_secs(20), || {
        let metrics = at.cli.run(&["top", ENVIRONMENT, "-o", "json"])?.json()?;
        let items = metrics["items"].as_array().cloned().unwrap_or_default();
        wait::ready(!items.is_empty() && metrics["unread"] == 0, &metrics.to_string())?;
        Ok(items)
    })?;
    for usage in items.iter().map(|item| &item["usage"]) {
        let (cpu, memory) = (&usage["cpu"], &usage["memory"]);
        assert!(cpu["cores"].is_number() && cpu["share"].is_number(), "{usage}");
        let bytes = |of: &str| memory[of].as_u64().unwrap_or_default();
        let in_order =
            bytes("workingSetBytes") <= bytes("usedBytes") && bytes("usedBytes") <= bytes("limitBytes");
        assert!(bytes("usedBytes") > 0 && in_order, "{usage}");
        assert!(usage["network"]["receivedBytes"].is_number(), "{usage}");
    }
    Ok(())
}

/// What it prints comes back, and so does its exit code; its service goes.
fn a_command_is_run(at: &Installation) -> Result<()> {
    let script = "echo $GREETING; sleep 1; echo two; exit 3";
    let ended = at.cli.run(&["run", ENVIRONMENT, "--", "/bin/sh", "-c", script])?;
    assert_eq!(
        (ended.code, ended.out.as_str()),
        (3, "Hello from Skep\ntwo\n"),
        "{}\n{}",
        ended.err,
        at.report()
    );
    assert!(ended.err.contains("run 1 failed: the process ended with exit code 3"), "{}", ended.err);
    wait_until("the end of its service", Duration::from_secs(20), || {
        let left = at.services()?.into_iter().find(|name| name.contains("_run_"));
        wait::ready(left.is_none(), &format!("{left:?}"))
    })
}

fn runs(at: &Installation, number: u32) -> Result<Value> {
    at.cli.run(&["runs", ENVIRONMENT, &number.to_string(), "-o", "json"])?.json()
}

#[test]
fn the_example_is_served_on_20_10() -> Result<()> {
    the_example_is_served(EngineVersion::V20_10).map(drop)
}

#[test]
fn the_example_is_served_on_26_1_and_a_run_survives_a_restart_and_ends_at_its_limit() -> Result<()> {
    let mut at = the_example_is_served(EngineVersion::V26_1)?;
    let script = "echo before; sleep 8; echo after";
    at.cli.run(&["run", ENVIRONMENT, "--detach", "--", "/bin/sh", "-c", script])?.ok()?;
    wait_until("the run", Duration::from_secs(30), || {
        let run = runs(&at, 2)?;
        wait::ready(run["state"] == "running", &run.to_string())
    })?;
    at.kill()?;
    at.restart()?;
    wait_until("the end of the run", Duration::from_secs(60), || {
        let run = runs(&at, 2)?;
        wait::ready(run["state"] == "succeeded", &run.to_string())
    })?;
    let shown = at.cli.run(&["runs", ENVIRONMENT, "2"])?.ok()?.out;
    assert!(shown.ends_with("\nbefore\nafter\n"), "{shown}");

    let script = "echo begun; sleep 600";
    let ended = at.cli.run(&["run", ENVIRONMENT, "--time-limit", "3s", "--", "/bin/sh", "-c", script])?;
    assert_eq!((ended.code, ended.out.as_str()), (125, "begun\n"), "{}\n{}", ended.err, at.report());
    assert!(ended.err.contains("run 3 timed out: it ran for longer than its limit of 3s"), "{}", ended.err);
    Ok(())
}
