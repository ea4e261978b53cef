//! Safety: a server that is wrong about the world does nothing to it, and says so, until someone has looked.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skep_e2e::manifests::{documents, image, organization, resource};
use skep_e2e::{Cli, Installation, Options, Server};
use skep_testbed::events::Event;
use skep_testbed::{EngineVersion, Events, http, wait, wait_until};

/// How long anything may take that a server does by itself.
const SOON: Duration = Duration::from_secs(90);

fn environments(org: &str, names: impl IntoIterator<Item = String>) -> Vec<Value> {
    let app = json!({ "source": { "image": image("anchor:1") }, "processes": { "worker": {} } });
    let mut all = vec![organization(org), resource(org, "App", "crowd", app)];
    all.extend(names.into_iter().map(|name| environment(org, &name, 0)));
    all
}

fn environment(org: &str, name: &str, turn: u32) -> Value {
    let spec = json!({
        "app": "crowd", "env": { "TURN": turn.to_string() }, "processes": { "worker": { "instances": 0 } },
    });
    resource(org, "Environment", name, spec)
}

fn copies(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("copy-{number}"))
}

fn start(resync: u64) -> Result<Installation> {
    let resync = Some(Duration::from_secs(resync));
    Installation::start_with(Options { resync, ..Options::new(EngineVersion::V20_10) })
}

/// The holds in force, as `reason` and `id`.
fn holds(cli: &Cli) -> Result<Vec<(String, i64)>> {
    let answer = cli.run(&["holds", "-o", "json"])?.json()?;
    let hold = |hold: &Value| Some((hold["reason"].as_str()?.to_owned(), hold["id"].as_i64()?));
    answer["items"].as_array().into_iter().flatten().map(|one| hold(one).context("a hold")).collect()
}

fn wait_for_hold(cli: &Cli, reason: &str) -> Result<i64> {
    wait_until(&format!("a hold {reason}"), SOON, || {
        let holds = holds(cli)?;
        let found = holds.iter().find(|(found, _)| found == reason);
        found.map(|(_, id)| *id).with_context(|| format!("{holds:?}"))
    })
}

fn wait_for_no_hold(cli: &Cli) -> Result<()> {
    wait_until("holds to end", SOON, || {
        let holds = holds(cli)?;
        wait::ready(holds.is_empty(), &format!("{holds:?}"))
    })
}

fn confirm(cli: &Cli, id: i64) -> Result<()> {
    let refused = cli.run(&["confirm", &id.to_string()])?;
    ensure!(refused.code == 2, "nobody was asked, and it was confirmed: {}", refused.out);
    cli.run(&["confirm", &id.to_string(), "--yes"])?.ok().map(drop)
}

fn readyz(cli: &Cli) -> Result<http::Answer> {
    let address = cli.server().trim_start_matches("http://");
    let (host, port) = address.rsplit_once(':').context("an address")?;
    http::get(host.parse()?, port.parse()?, host, "/readyz")
}

/// The condition of a resource that is true and of that kind, as `reason` and `message`.
fn condition(cli: &Cli, org: &str, kind: &str, name: &str, wanted: &str) -> Result<(String, String)> {
    let resource = cli.get(org, kind, name)?;
    let conditions = resource["status"]["conditions"].as_array().context("it has conditions")?;
    let found = conditions.iter().find(|one| one["type"] == wanted && one["status"] == "True");
    let found = found.with_context(|| format!("{conditions:?}"))?;
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    Ok((text("reason"), text("message")))
}

fn writes(events: &Events<'_>) -> Result<Vec<Event>> {
    Ok(events.so_far()?.into_iter().filter(Event::is_write).collect())
}

fn claim(at: &Installation) -> Result<(String, String)> {
    let config = at.engine_says("/configs/skep-instance")?;
    let label = |name: &str| config["Spec"]["Labels"][name].as_str().unwrap_or_default().to_owned();
    Ok((label("skep.dev/instance"), label("skep.dev/store-epoch")))
}

/// Waits until a server has looked at everything some times more.
fn some_resyncs(server: &Server) -> Result<()> {
    let so_far = || {
        server
            .process
            .logs()
            .lines()
            .filter(|line| line.contains("resync") && line.contains("listed="))
            .count()
    };
    let wanted = so_far() + 4;
    wait_until("some resyncs", SOON, || wait::ready(so_far() >= wanted, "not often enough yet"))
}

#[test]
fn a_server_over_an_empty_database_does_nothing_to_a_swarm_of_another_until_it_is_confirmed() -> Result<()> {
    let mut at = start(1)?;
    let dozen = documents(&environments("acme", copies(12)));
    at.cli.apply_and_wait(&dozen)?.ok().with_context(|| at.report())?;
    let (instance, _) = claim(&at)?;
    assert_eq!(instance, at.psql("SELECT id FROM instance")?);
    let before = at.made_by_skep()?;
    assert!(before.len() >= 13, "{before:?}");
    at.kill()?;

    let events = Events::record(&at.engine)?;
    let empty = at.postgres.create_database("empty")?;
    let other = at.rival(&empty, &[])?;
    let id = wait_for_hold(&other.cli, "second-instance")?;
    let shown = other.cli.run(&["holds"])?.ok()?;
    assert!(shown.out.contains(&instance) && shown.out.contains("acme_copy-0_worker"), "{}", shown.out);
    let ready = readyz(&other.cli)?;
    assert_eq!(ready.status, 503, "{}", ready.body);
    assert!(ready.body.contains("second-instance"), "{}", ready.body);
    assert!(other.cli.run(&["version"])?.ok()?.err.contains("ON HOLD"));

    // Even what looks the same as what is there is not touched.
    other.cli.apply(&dozen, &[])?.ok()?;
    wait_until("a status that says so", SOON, || {
        for (kind, name) in [("organization", "acme"), ("environment", "copy-3")] {
            let (reason, message) = condition(&other.cli, "acme", kind, name, "Stalled")?;
            ensure!(reason == "SafetyHold" && message.contains(&format!("skep confirm {id}")), "{message}");
        }
        Ok(())
    })?;
    let diff = other.cli.diff(&documents(&environments("acme", copies(13))))?;
    assert!(diff.out.contains("SafetyHold"), "{}", diff.out);
    // A deletion is not carried out either.
    other.cli.run(&["delete", "environment", "copy-5", "--org", "acme"])?.ok()?;
    some_resyncs(&other)?;
    assert!(writes(&events)?.is_empty(), "{:?}", writes(&events)?);
    assert_eq!(at.made_by_skep()?, before);

    // Confirmed, it goes on with what is its own; what the other made is still not touched.
    confirm(&other.cli, id)?;
    wait_for_no_hold(&other.cli)?;
    assert_ne!(claim(&at)?.0, instance);
    let globex = documents(&environments("globex", copies(1)));
    other.cli.apply_and_wait(&globex)?.ok().with_context(|| other.process.logs())?;
    let now = at.made_by_skep()?;
    assert!(now.is_superset(&before) && now.contains("globex_copy-0_worker"), "{now:?}");
    let (reason, _) = condition(&other.cli, "acme", "organization", "acme", "Stalled")?;
    assert_eq!(reason, "ForeignObject");
    assert_eq!(readyz(&other.cli)?.status, 200);

    // The former one, alive again, is the second now.
    let events = Events::record(&at.engine)?;
    let former = at.rival(&at.database, &[])?;
    wait_for_hold(&former.cli, "second-instance")?;
    former.cli.apply(&documents(&[environment("acme", "copy-0", 1)]), &[])?.ok()?;
    wait_until("a status that says so", SOON, || {
        let (reason, message) = condition(&former.cli, "acme", "environment", "copy-0", "Stalled")?;
        wait::ready(reason == "SafetyHold", &message)
    })?;
    assert!(writes(&events)?.is_empty(), "{:?}", writes(&events)?);
    Ok(())
}

#[test]
fn an_instance_whose_claim_is_taken_over_while_it_works_stops_within_seconds() -> Result<()> {
    let at = start(60)?;
    at.cli.apply_and_wait(&documents(&environments("acme", copies(2))))?.ok().with_context(|| at.report())?;
    let empty = at.postgres.create_database("rival")?;
    let rival = at.rival(&empty, &[])?;
    let id = wait_for_hold(&rival.cli, "second-instance")?;
    confirm(&rival.cli, id)?;
    wait_for_no_hold(&rival.cli)?;
    // A look at the claim is believed for some seconds, and the next survey is far away: changes are what makes it look.
    let mut turn = 0;
    wait_until("a change to be held", SOON, || {
        turn += 1;
        at.cli.apply(&documents(&[environment("acme", "copy-0", turn)]), &[])?.ok()?;
        let holds = holds(&at.cli)?;
        wait::ready(!holds.is_empty(), "no hold yet")
    })?;
    let events = Events::record(&at.engine)?;
    at.cli.apply(&documents(&[environment("acme", "copy-1", 1)]), &[])?.ok()?;
    wait_until("a status that says so", SOON, || {
        let (reason, message) = condition(&at.cli, "acme", "environment", "copy-1", "Stalled")?;
        wait::ready(reason == "SafetyHold", &message)
    })?;
    assert!(writes(&events)?.is_empty(), "{:?}", writes(&events)?);
    Ok(())
}

#[test]
fn a_database_that_lost_what_the_swarm_has_is_held_and_one_that_lost_nothing_is_not() -> Result<()> {
    let mut at = start(1)?;
    at.cli.apply_and_wait(&documents(&environments("acme", copies(2))))?.ok().with_context(|| at.report())?;

    // A failover that lost nothing: another epoch, and the loop goes on.
    let (instance, epoch) = claim(&at)?;
    at.kill()?;
    at.psql("UPDATE cluster_rev SET origin = 'elsewhere'")?;
    at.restart()?;
    wait_until("the claim to have the new epoch", SOON, || {
        let now = claim(&at)?;
        wait::ready(now.0 == instance && now.1 != epoch, &format!("{now:?}"))
    })?;
    at.cli.apply_and_wait(&documents(&environments("acme", copies(3))))?.ok().with_context(|| at.report())?;
    assert_eq!(holds(&at.cli)?, []);
    assert_eq!(at.psql("SELECT count(*) FROM hold")?, "0");

    // A backup, and then more work than it knows of.
    let dump = at.cli.file("backup.sql", &at.postgres.dump(&at.database)?)?;
    at.cli
        .apply_and_wait(&documents(&[environment("acme", "copy-0", 1), environment("acme", "copy-7", 0)]))?
        .ok()?;
    let before = at.made_by_skep()?;
    at.kill()?;
    let restored = at.postgres.create_database("restored")?;
    at.postgres.run_file(&restored, dump.as_ref())?;
    let events = Events::record(&at.engine)?;
    let server = at.rival(&restored, &[("SKEP_ORPHAN_GRACE", "1h")])?;
    let id = wait_for_hold(&server.cli, "restored-database")?;
    let shown = server.cli.run(&["holds"])?.ok()?;
    assert!(shown.out.contains("acme_copy-0_worker runs v2, the newest known is v1"), "{}", shown.out);
    assert!(shown.out.contains("service acme_copy-7_worker is not known"), "{}", shown.out);
    some_resyncs(&server)?;
    assert!(writes(&events)?.is_empty(), "{:?}", writes(&events)?);
    assert_eq!(at.made_by_skep()?, before);

    confirm(&server.cli, id)?;
    wait_for_no_hold(&server.cli)?;
    wait_until("the known release to run", SOON, || {
        let service = at.service("acme_copy-0_worker")?;
        wait::ready(
            service["Spec"]["Labels"]["skep.dev/release"] == "v1",
            &service["Spec"]["Labels"].to_string(),
        )
    })?;
    let orphans = server.cli.run(&["orphans", "-o", "json"])?.json()?;
    assert_eq!(orphans["items"][0]["name"], "acme_copy-7_worker", "{orphans}");
    assert_eq!(orphans["items"][0]["owner"], "acme/Environment/copy-7", "{orphans}");
    assert!(at.services()?.contains("acme_copy-7_worker"));
    Ok(())
}

#[test]
fn removing_most_of_what_there_is_waits_for_a_word_while_everything_else_goes_on() -> Result<()> {
    let at = start(1)?;
    let everything = environments("acme", copies(60));
    at.cli.apply_and_wait(&documents(&everything))?.ok().with_context(|| at.report())?;
    let workers = |at: &Installation| -> Result<BTreeSet<String>> {
        Ok(at.services()?.into_iter().filter(|name| name.starts_with("acme_copy")).collect())
    };
    assert_eq!(workers(&at)?.len(), 60);

    let file = at.cli.file("all.yaml", &documents(&everything[2..]))?;
    let deleted = at.cli.run(&["delete", "-f", &file])?.ok()?;
    assert_eq!(deleted.out.lines().filter(|line| line.ends_with("deletion requested")).count(), 60);
    assert!(deleted.err.contains("on hold") && deleted.err.contains("skep confirm"), "{}", deleted.err);
    let id = wait_for_hold(&at.cli, "too-many-removals")?;
    let (reason, _) = wait_until("a status that says so", SOON, || {
        condition(&at.cli, "acme", "environment", "copy-9", "Stalled")
    })?;
    assert_eq!(reason, "SafetyHold");
    assert_eq!(readyz(&at.cli)?.status, 200, "a hold on removals leaves the server of use");

    at.cli
        .apply_and_wait(&documents(&environments("globex", copies(2))))?
        .ok()
        .with_context(|| at.report())?;
    at.wait_for_resyncs(2)?;
    assert_eq!(workers(&at)?.len(), 60, "nothing is removed");

    confirm(&at.cli, id)?;
    wait_until("the confirmed removals", SOON, || {
        let left = workers(&at)?;
        wait::ready(left.is_empty(), &format!("{left:?}"))
    })?;
    assert_eq!(holds(&at.cli)?, []);
    let audit = at.psql("SELECT verb, kind, name FROM audit WHERE verb = 'confirm'")?;
    assert_eq!(audit, format!("confirm|Hold|{id}"));
    assert!(at.services()?.contains("globex_copy-0_worker"));
    Ok(())
}

#[test]
fn what_nothing_refers_to_is_listed_and_then_collected_and_what_is_wanted_comes_back() -> Result<()> {
    let mut at = start(1)?;
    at.cli.apply_and_wait(&documents(&environments("acme", copies(2))))?.ok().with_context(|| at.report())?;
    let instance = format!("skep.dev/instance={}", claim(&at)?.0);
    let owner = "skep.dev/uid=00000000-0000-4000-8000-000000000001";
    let image = image("anchor:1");
    at.docker(&["network", "create", "-d", "overlay", "--label", &instance, "--label", owner, "lost-net"])?;
    let service =
        ["service", "create", "--detach", "--replicas", "0", "--network", "lost-net", "--name", "lost-web"];
    at.docker(&[&service[..], &["--label", &instance, "--label", owner, &image]].concat())?;
    // One that Skep did not make, and one whose entry was lost.
    at.docker(&["service", "create", "--detach", "--replicas", "0", "--name", "foreign", &image])?;
    at.psql("DELETE FROM inventory WHERE name = 'acme_copy-1_worker'")?;
    let listed = |cli: &Cli| -> Result<BTreeSet<String>> {
        let orphans = cli.run(&["orphans", "-o", "json"])?.json()?;
        let names = orphans["items"].as_array().into_iter().flatten();
        Ok(names.filter_map(|one| one["name"].as_str()).map(str::to_owned).collect())
    };
    wait_until("the orphans to be listed", SOON, || {
        let names = listed(&at.cli)?;
        wait::ready(
            names == BTreeSet::from(["lost-net".to_owned(), "lost-web".to_owned()]),
            &format!("{names:?}"),
        )
    })?;
    wait_until("the lost entry to come back", SOON, || {
        let entries = at.psql("SELECT count(*) FROM inventory WHERE name = 'acme_copy-1_worker'")?;
        wait::ready(entries == "1", &entries)
    })?;
    at.wait_for_resyncs(2)?;
    assert!(at.services()?.contains("lost-web"), "the grace period is a day");

    // First seen before the restart counts; the grace period is over.
    at.psql("UPDATE orphan SET first_seen_at = now() - interval '2 days'")?;
    at.kill()?;
    let events = Events::record(&at.engine)?;
    let again = at.rival(&at.database, &[])?;
    wait_until("the orphans to be collected", SOON, || {
        let names = listed(&again.cli)?;
        wait::ready(names.is_empty(), &format!("{names:?}"))
    })
    .with_context(|| again.process.logs())?;
    let removed: Vec<String> = writes(&events)?
        .into_iter()
        .filter(|event| event.action == "remove")
        .map(|event| event.kind)
        .collect();
    assert_eq!(removed, ["service", "network"]);
    let services = at.services()?;
    assert!(services.contains("foreign") && services.contains("acme_copy-1_worker"), "{services:?}");
    assert!(!services.contains("lost-web"), "{services:?}");
    assert!(again.process.logs().contains("orphan collected"));
    Ok(())
}

#[test]
fn what_someone_else_made_is_adopted_after_a_look_and_keeps_its_id() -> Result<()> {
    let at = start(1)?;
    let image = image("anchor:1");
    let create = |name: &str, mode: &str| {
        at.docker(&[
            "service", "create", "--detach", "--mode", mode, "--name", name, "--env", "BY=hand", &image,
        ])
    };
    at.docker(&["service", "create", "--detach", "--replicas", "0", "--name", "acme_copy-0_worker", &image])?;
    create("acme_copy-1_worker", "global")?;
    let before = at.service("acme_copy-0_worker")?;
    at.cli.apply(&documents(&environments("acme", copies(2))), &[])?.ok()?;
    for name in ["copy-0", "copy-1"] {
        let (reason, _) = wait_until("the objects to be foreign", SOON, || {
            condition(&at.cli, "acme", "environment", name, "Stalled")
        })?;
        assert_eq!(reason, "ForeignObject");
    }

    let adopt = |name: &str, args: &[&str]| {
        at.cli.run(&[&["adopt", "environment", name, "--org", "acme"], args].concat())
    };
    let shown = adopt("copy-0", &["--dry-run"])?.ok()?;
    for words in [
        "service acme_copy-0_worker",
        "can be adopted",
        "~ service acme_copy-0_worker",
        "/TaskTemplate/",
        "TURN",
    ] {
        assert!(shown.out.contains(words), "not said: {words}\n{}", shown.out);
    }
    assert_eq!(adopt("copy-0", &[])?.code, 2, "nobody was asked");
    assert_eq!(at.service("acme_copy-0_worker")?["Version"], before["Version"]);
    let unfit = adopt("copy-1", &["--yes"])?;
    assert!(unfit.code == 1 && unfit.out.contains("cannot be changed"), "{}{}", unfit.out, unfit.err);

    adopt("copy-0", &["--yes"])?.ok()?;
    wait_until("the adopted service to be what is wanted", SOON, || {
        let service = at.service("acme_copy-0_worker")?;
        let labels = &service["Spec"]["Labels"];
        wait::ready(labels["skep.dev/instance"] == claim(&at)?.0.as_str(), &labels.to_string())
    })
    .with_context(|| at.report())?;
    assert_eq!(at.service("acme_copy-0_worker")?["ID"], before["ID"]);
    wait_until("the environment to say so", SOON, || {
        condition(&at.cli, "acme", "environment", "copy-0", "Ready")
    })?;
    assert_eq!(at.psql("SELECT kind, name FROM audit WHERE verb = 'adopt'")?, "Environment|copy-0");
    let nothing = adopt("copy-0", &["--yes"])?.ok()?;
    assert!(nothing.err.contains("nothing to adopt"), "{}", nothing.err);
    let secret = resource("acme", "Secret", "token", json!({ "value": "a value" }));
    at.cli.apply_and_wait(&documents(&[secret]))?.ok()?;
    let refused = at.cli.run(&["adopt", "secret", "token", "--org", "acme", "--yes"])?;
    assert!(refused.code == 1 && refused.out.contains("cannot be read"), "{}{}", refused.out, refused.err);
    Ok(())
}
