//! The server is killed in the middle of things and started again. Nothing is made twice, nothing is left over, everything is done.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use skep_e2e::Installation;
use skep_e2e::manifests::{Web, documents, image, organization, resource};
use skep_testbed::{EngineVersion, wait, wait_until};

/// How long a restarted server may take to be at work again: until the lease of the dead one has run out, and some.
const RECOVERY: Duration = Duration::from_secs(60);

/// How many environments are applied at once: all of them are under way together.
const BATCH: usize = 40;
/// How often the server has to be killed when a batch is half made; and the most batches for that, as it may be done before it is killed.
const HALF_WAY: u32 = 3;
const BATCHES_MAX: usize = 12;

/// Numbers that look like chance and are the same in every run (Knuth's constants).
struct Dice(u64);

impl Dice {
    fn between(&mut self, low: usize, high: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        low + usize::try_from(self.0 >> 33).unwrap_or_default() % (high - low)
    }
}

/// How many steps the server has carried out in this life.
fn steps(at: &Installation) -> usize {
    at.skep.logs().lines().filter(|line| line.contains("step done")).count()
}

/// Kills the server as soon as it has carried out so many steps in this life, and starts it again.
fn crash_after(at: &mut Installation, wanted: usize) -> Result<()> {
    wait_until("some steps to be done", RECOVERY, || wait::ready(steps(at) >= wanted, "not so many yet"))
        .with_context(|| at.report())?;
    at.kill()?;
    at.restart()
}

/// A batch of environments. One in ten has an instance.
fn batch(number: usize) -> Vec<Value> {
    let environment = |copy: usize| {
        let instances = u32::from(copy.is_multiple_of(10));
        let spec = json!({ "app": "crowd", "processes": { "worker": { "instances": instances } } });
        resource("acme", "Environment", &format!("copy-{number}-{copy}"), spec)
    };
    (0..BATCH).map(environment).collect()
}

#[test]
fn environments_come_about_once_each_although_the_server_is_killed_again_and_again() -> Result<()> {
    let mut at = Installation::start(EngineVersion::V20_10)?;
    let seed = 20_261_120;
    let mut dice = Dice(seed);
    let app = json!({ "source": { "image": image("anchor:1") }, "processes": { "worker": {} } });
    at.cli
        .apply_and_wait(&documents(&[organization("acme"), resource("acme", "App", "crowd", app)]))?
        .ok()?;
    let (mut applied, mut half_way) = (Vec::new(), 0);
    for number in 0..BATCHES_MAX {
        applied.extend(batch(number));
        let before = steps(&at);
        at.cli.apply(&documents(&batch(number)), &[])?.ok()?;
        crash_after(&mut at, before + dice.between(1, 6))
            .with_context(|| format!("seed {seed}\n{}", at.report()))?;
        half_way += u32::from(at.services()?.len() < 1 + applied.len());
        if half_way == HALF_WAY {
            break;
        }
    }
    assert_eq!(half_way, HALF_WAY, "seed {seed}: otherwise the server was faster than its end");
    let manifests = documents(&applied);
    let began = Instant::now();
    let ready = at.cli.apply_and_wait(&manifests)?;
    assert_eq!(ready.code, 0, "seed {seed}\n{}\n{}", ready.err, at.report());
    println!("ready {:?} after the last kill", began.elapsed());
    assert!(!ready.out.contains("configured") && !ready.out.contains("created"), "{}", ready.out);

    let names = applied.iter().filter_map(|environment| environment["metadata"]["name"].as_str());
    let mut expected: BTreeSet<String> = names.map(|name| format!("acme_{name}_worker")).collect();
    expected.insert("skep-anchor-acme".to_owned());
    assert_eq!(at.services()?, expected, "seed {seed}\n{}", at.report());
    let recorded = at.psql("SELECT name FROM inventory WHERE kind = 'service'")?;
    assert_eq!(recorded.lines().map(str::to_owned).collect::<BTreeSet<_>>(), expected, "seed {seed}");
    // Where a crash came between an effect and its record, the id is not known. None may be wrong.
    let services = at.engine_says("/services")?;
    let ids: BTreeSet<&str> =
        services.as_array().into_iter().flatten().filter_map(|service| service["ID"].as_str()).collect();
    let known =
        at.psql("SELECT object_id FROM inventory WHERE kind = 'service' AND object_id IS NOT NULL")?;
    assert!(known.lines().all(|id| ids.contains(id)), "seed {seed}: {known}\n{ids:?}");
    let networks = at.docker(&["network", "ls", "--quiet", "--filter", "name=skep-acme"])?;
    assert_eq!(networks.lines().count(), 1, "{networks}");
    let releases =
        at.psql("SELECT count(*), min(version), max(version), min(verdict), max(verdict) FROM release")?;
    assert_eq!(releases, format!("{}|1|1|succeeded|succeeded", applied.len()), "seed {seed}");
    let running = at.docker(&["ps", "--quiet", "--filter", "label=skep.dev/kind=Environment"])?;
    assert_eq!(running.lines().count(), applied.len() / 10, "{running}");
    Ok(())
}

#[test]
fn a_deleted_organization_leaves_nothing_behind_even_if_the_server_is_killed_half_way() -> Result<()> {
    let mut at = Installation::start(EngineVersion::V26_1)?;
    let mut web = Web::new("acme");
    web.instances = 1;
    let secret = json!({ "value": "a value that goes with its organisation" });
    let manifests = web.manifests() + &documents(&[resource("acme", "Secret", "token", secret)]);
    let empty = at.made_by_skep()?;
    assert!(empty.is_empty(), "{empty:?}");

    // Undisturbed, then killed after its first step, then after a few.
    for killed_after in [None, Some(1), Some(3)] {
        at.cli.apply_and_wait(&manifests)?.ok().with_context(|| at.report())?;
        at.wait_for_status("acme.localhost", 200, Duration::from_secs(20))?;
        assert!(at.made_by_skep()?.len() >= 5, "{:?}", at.made_by_skep()?);
        match killed_after {
            None => drop(at.cli.run(&["delete", "organization", "acme", "--wait", "--timeout", "5m"])?.ok()?),
            Some(more) => {
                let before = steps(&at);
                at.cli.run(&["delete", "organization", "acme"])?.ok()?;
                crash_after(&mut at, before + more)?;
                let wait = ["wait", "organization", "acme", "--for", "deleted", "--timeout", "5m"];
                let gone = at.cli.run(&wait)?;
                assert_eq!(gone.code, 0, "{}{}\n{}", gone.out, gone.err, at.report());
            }
        }
        // The containers of removed services take a moment to end, but the networks must be gone for good.
        wait_until("nothing to be left", Duration::from_secs(30), || {
            let left = at.made_by_skep()?;
            wait::ready(left.is_empty(), &format!("{left:?}"))
        })
        .with_context(|| format!("killed after {killed_after:?}\n{}", at.report()))?;
        let rows = at.psql(
            "SELECT (SELECT count(*) FROM resource), (SELECT count(*) FROM inventory), (SELECT count(*) FROM release),
                    (SELECT count(*) FROM domain_claim), (SELECT count(*) FROM secret_version)",
        )?;
        assert_eq!(rows, "0|0|0|0|0", "killed after {killed_after:?}");
        at.wait_for_status("acme.localhost", 404, Duration::from_secs(20))?;
    }
    Ok(())
}
