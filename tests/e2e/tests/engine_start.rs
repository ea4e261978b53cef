//! A server that starts over what is as wanted looks at everything and touches nothing.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use skep_e2e::manifests::{documents, image, organization, resource};
use skep_e2e::{Installation, Options, Server};
use skep_testbed::{EngineVersion, Events, wait, wait_until};

const ORGS: usize = 10;
const ENVIRONMENTS: usize = 30;
/// How long all of them may take to come about, or to be looked at, on a machine with other tests.
const PATIENCE: Duration = Duration::from_secs(300);

fn manifests() -> String {
    let app = json!({ "source": { "image": image("anchor:1") }, "processes": { "worker": {} } });
    let spec = json!({ "app": "crowd", "processes": { "worker": { "instances": 0 } } });
    let mut all: Vec<Value> = Vec::new();
    for org in (0..ORGS).map(|org| format!("tenant-{org}")) {
        all.extend([organization(&org), resource(&org, "App", "crowd", app.clone())]);
        all.extend(
            (0..ENVIRONMENTS)
                .map(|number| resource(&org, "Environment", &format!("copy-{number}"), spec.clone())),
        );
    }
    documents(&all)
}

/// Every table's rows that were ever written, but for those that say who is alive.
fn written(at: &Installation) -> Result<String> {
    at.psql(
        "SELECT relname, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_user_tables
         WHERE relname NOT IN ('lease', 'controller_member') ORDER BY relname",
    )
}

/// How many keys a server has looked at.
fn looks(server: &Server) -> usize {
    server.process.logs().lines().filter(|line| line.contains("run ended")).count()
}

#[test]
fn a_fresh_start_over_three_hundred_converged_environments_writes_nothing() -> Result<()> {
    let mut options = Options::new(EngineVersion::V26_1);
    options.resync = Some(Duration::from_secs(30));
    let mut at = Installation::start_with(options)?;
    let within = format!("{}s", PATIENCE.as_secs());
    let ready = at.cli.apply(&manifests(), &["--wait", "--timeout", &within])?;
    ready.ok().with_context(|| at.report())?;
    at.wait_for_resyncs(1)?;
    at.skep.sigterm();
    at.skep.wait_exit(PATIENCE)?;

    let before = written(&at)?;
    let events = Events::record(&at.engine)?;
    let mut fresh = at.another(&at.database)?;
    // Each organisation, its app and its environments.
    let everything = ORGS * (ENVIRONMENTS + 2);
    wait_until("the server to look at everything", PATIENCE, || {
        wait::ready(looks(&fresh) >= everything, &format!("{} looks", looks(&fresh)))
    })?;
    let others_only = format!("listed={}", ORGS * 2);
    wait_until("a regular look that leaves out what is at rest", PATIENCE, || {
        let logs = fresh.process.logs();
        let listed: Vec<&str> = logs.lines().filter(|line| line.contains("listed=")).collect();
        let leaves_out = |line: &&str| line.trim_end().ends_with(&others_only);
        wait::ready(listed.iter().any(leaves_out), &listed.join("\n"))
    })?;
    let writes: Vec<_> = events.so_far()?.into_iter().filter(skep_testbed::events::Event::is_write).collect();
    assert!(writes.is_empty(), "{writes:#?}\n{}", fresh.process.logs());
    // What a server counted is in the statistics when it has ended.
    fresh.process.sigterm();
    fresh.process.wait_exit(PATIENCE)?;
    assert_eq!(written(&at)?, before, "{}", fresh.process.logs());
    println!("{} looks, no write", looks(&fresh));
    Ok(())
}
