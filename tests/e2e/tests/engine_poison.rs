//! One organisation has a thousand environments that cannot be deployed. Another organisation deploys as quickly as without them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use skep_e2e::Installation;
use skep_e2e::manifests::{Web, documents, organization, resource};
use skep_testbed::{EngineVersion, wait, wait_until};

/// Environments that cannot be deployed.
const POISON: usize = 1000;
/// Manifests of one request.
const BATCH: usize = 250;
/// Deploys of which the median is taken.
const DEPLOYS: usize = 3;
/// How much longer a deploy may take: waiting behind a thousand others it would be hundreds of times, and a machine that other tests
/// keep busy by turns makes it twice. What it is on a quiet one the benchmarks say.
const RATIO_MAX: f64 = 5.0;
/// How long all of them may take to be looked at once.
const PATIENCE: Duration = Duration::from_secs(180);

/// Environments of an organisation, each with an image of its own that this registry does not give.
fn poison(at: &Installation, org: &str, registry: &str) -> Result<()> {
    at.cli.apply(&documents(&[organization(org)]), &[])?.ok()?;
    for first in (0..POISON).step_by(BATCH) {
        let pairs = (first..first + BATCH).flat_map(|number| {
            let name = format!("copy-{number}");
            let source = json!({ "image": format!("{registry}/missing-{number}:1") });
            let app = json!({ "source": source, "processes": { "worker": {} } });
            let environment = json!({ "app": name, "processes": { "worker": { "instances": 1 } } });
            [resource(org, "App", &name, app), resource(org, "Environment", &name, environment)]
        });
        at.cli.apply(&documents(&pairs.collect::<Vec<Value>>()), &[])?.ok()?;
    }
    Ok(())
}

/// How long a change of the good organisation takes until it is ready.
fn deploy(at: &Installation, web: &mut Web, version: usize) -> Result<Duration> {
    web.env.insert("VERSION".to_owned(), version.to_string());
    let began = Instant::now();
    at.cli.apply_and_wait(&web.manifests())?.ok().with_context(|| at.report())?;
    Ok(began.elapsed())
}

fn median(at: &Installation, web: &mut Web, first: usize) -> Result<Duration> {
    let mut took =
        (first..first + DEPLOYS).map(|version| deploy(at, web, version)).collect::<Result<Vec<_>>>()?;
    took.sort();
    println!("  {took:?}");
    took.get(DEPLOYS / 2).copied().context("there are some")
}

/// How many environments of an organisation say that they wait for their image.
fn waiting(at: &Installation, org: &str) -> Result<usize> {
    let sql = format!(
        "SELECT count(*) FROM resource r JOIN resource_status s USING (uid)
         WHERE r.org = '{org}' AND r.kind = 'Environment' AND s.status::text ~ '(ImageUnresolved|EngineUnavailable)'"
    );
    Ok(at.psql(&sql)?.parse()?)
}

#[test]
fn a_thousand_environments_without_an_image_do_not_delay_anothers_deploy() -> Result<()> {
    let at = Installation::start(EngineVersion::V26_1)?;
    let mut web = Web::new("good");
    web.instances = 1;
    deploy(&at, &mut web, 0)?;
    println!("alone:");
    let alone = median(&at, &mut web, 1)?;

    // A registry that says no, while all of them are new and afterwards.
    poison(&at, "refused", "127.0.0.1:5000")?;
    println!("beside {POISON} whose registry says that there is no such image:");
    let refused = median(&at, &mut web, 101)?;
    wait_until("all of them to be looked at", PATIENCE, || {
        let count = waiting(&at, "refused")?;
        wait::ready(count == POISON, &format!("{count}"))
    })?;

    // A registry that takes connections and never answers, on the engine's own loopback.
    let listen = ["nc", "-lk", "-p", "5999", "-e", "/bin/sleep", "1000"];
    let sink = ["run", "--detach", "--network", "host", "127.0.0.1:5000/anchor:1"];
    at.docker(&[&sink[..], &listen[..]].concat())?;
    poison(&at, "hanging", "127.0.0.1:5999")?;
    println!("beside {POISON} more whose registry never answers:");
    let hanging = median(&at, &mut web, 201)?;

    let ratio = |with: Duration| with.as_secs_f64() / alone.as_secs_f64();
    println!("alone {alone:?}, refused x{:.2}, hanging x{:.2}", ratio(refused), ratio(hanging));
    assert!(waiting(&at, "hanging")? > 0, "none of them was looked at");
    assert!(ratio(refused) <= RATIO_MAX, "{alone:?} alone, {refused:?} beside those that are refused");
    assert!(ratio(hanging) <= RATIO_MAX, "{alone:?} alone, {hanging:?} beside those that hang");
    Ok(())
}
