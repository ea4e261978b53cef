//! A secret that an application serves is rotated under traffic: no request fails, the new value is served, the former one is gone. And a
//! former release returns under traffic as it was: its image, its config, and the value that the secret had then.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skep_e2e::Installation;
use skep_e2e::manifests::{Web, documents, resource};
use skep_testbed::{EngineVersion, Recipe, wait, wait_until};

const HOST: &str = "acme.localhost";
/// Where the application shows the secret.
const SHOWN: &str = "/cgi-bin/token";
const PER_SECOND: u32 = 50;
/// How long an instance goes on serving after it was asked to stop.
const DRAIN: Duration = Duration::from_secs(10);
/// The first value of the secret that comes with manifests.
const WRITTEN: &str = "canary-written";

/// An application that shows its secret, and whose instances go on serving while they are being replaced.
fn recipe() -> Result<Recipe> {
    let show = "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\ncat /run/secrets/token\n";
    Ok(Recipe::web_that_drains("v1", DRAIN)?.file("www/cgi-bin/token", 0o755, show))
}

/// The manifests with the secret `token` made like this.
fn manifests(token: &Value) -> String {
    manifests_of(&ran_first(), token)
}

/// The image and the variable that are rolled out first.
fn ran_first() -> Web {
    let env = [("GREETING".to_owned(), "good morning".to_owned())].into();
    Web { env, ..Web::new("acme") }.with_image("shows:1")
}

fn manifests_of(web: &Web, token: &Value) -> String {
    let mut web = Web { secrets: vec!["token".to_owned()], ..web.clone() };
    web.stop_grace_period = Some("40s".to_owned());
    let secret = resource("acme", "Secret", "token", token.clone());
    // Of two documents of one name in a batch neither would be accepted.
    let others = web.manifests();
    let others = others.split("---\n").filter(|document| !document.contains("\"kind\": \"Secret\""));
    format!("{}{}", others.collect::<Vec<_>>().join("---\n"), documents(&[secret]))
}

/// The objects of the secret in the Swarm.
fn objects(at: &Installation) -> Result<BTreeSet<String>> {
    let names = at.docker(&["secret", "ls", "--format", "{{.Name}}"])?;
    Ok(names.lines().map(str::to_owned).collect())
}

fn served(at: &Installation) -> Result<String> {
    let container = at.container("acme_production_web")?;
    at.docker(&["exec", &container, "/bin/busybox", "cat", "/run/secrets/token"])
}

fn secrets(at: &Installation, args: &[&str]) -> Result<Value> {
    at.cli.run(&[&["secrets", "--org", "acme"], args, &["-o", "json"]].concat())?.json()
}

/// Rotates under traffic, by a command that waits for all of it, and says which value is served then.
fn rotated(at: &Installation, command: &[&str], input: &str) -> Result<String> {
    let (before, former) = (objects(at)?, served(at)?);
    ensure!(before.len() == 1, "{before:?}");
    let traffic = at.traffic_of(HOST, SHOWN, PER_SECOND)?;
    let args = [&["secrets", "--org", "acme"], command, &["--wait", "--timeout", "5m"]].concat();
    let answer = at.cli.run_with_input(&args, input)?.ok().with_context(|| at.report())?;
    let after = objects(at)?;
    let counted = traffic.end().with_context(|| at.report())?;
    let now = served(at)?;
    println!(
        "{command:?}: {} requests in {:?}, none failed; {}",
        counted.answered,
        counted.took,
        answer.err.lines().filter(|line| line.contains("waiting")).collect::<Vec<_>>().join("; ")
    );
    ensure!(after.len() == 1 && after.is_disjoint(&before), "{before:?} became {after:?}");
    ensure!(now != former, "the former value is served still");
    ensure!(counted.bodies == BTreeSet::from([former.clone(), now.clone()]), "other values were served");
    let rate = counted.answered / counted.took.as_secs().max(1);
    ensure!(rate >= u64::from(PER_SECOND) * 8 / 10, "only {rate} requests a second");
    for value in [&former, &now] {
        ensure!(!answer.out.contains(value) && !answer.err.contains(value), "the command shows a value");
    }
    Ok(now)
}

fn a_secret_is_rotated_under_traffic(version: EngineVersion) -> Result<Installation> {
    let at = Installation::start(version)?;
    at.engine.publish(&recipe()?, "shows:1")?;
    let generated = manifests(&json!({ "generate": { "length": 48 } }));
    at.cli.apply_and_wait(&generated)?.ok().with_context(|| at.report())?;
    let first = served(&at)?;
    assert_eq!(first.len(), 48);
    // Applied again, it is the same; and nobody is shown what it is.
    let again = at.cli.apply(&generated, &[])?.ok()?;
    assert!(again.out.lines().all(|line| line.contains("unchanged")), "{again:?}");
    assert_eq!(at.cli.diff(&generated)?.code, 0);

    let second = rotated(&at, &["rotate", "token"], "")?;
    assert_eq!(second.len(), 48);
    let third = rotated(&at, &["restore", "token", "1"], "")?;
    assert_eq!(third, first, "version 1 is what it was");

    let told = secrets(&at, &["versions", "token"])?;
    let versions: Vec<_> =
        told["items"].as_array().context("items")?.iter().map(|item| &item["version"]).collect();
    assert_eq!(versions, [3, 2, 1], "{told}");
    assert_eq!(
        (&told["items"][0]["origin"], &told["items"][0]["restoredFrom"]),
        (&json!("restored"), &json!(1))
    );
    let used = secrets(&at, &["where", "token"])?;
    assert_eq!(used["uses"][0]["version"], 3, "{used}");
    assert_eq!(used["uses"][0]["running"], json!(["web"]), "{used}");
    assert_eq!(used["objects"].as_array().map(Vec::len), Some(1), "{used}");

    // A secret whose value comes with its manifest takes the new one from standard input.
    at.cli.apply_and_wait(&manifests(&json!({ "value": WRITTEN })))?.ok().with_context(|| at.report())?;
    assert_eq!(served(&at)?, WRITTEN);
    let refused = at.cli.run_with_input(&["secrets", "--org", "acme", "rotate", "token"], "")?;
    assert!(refused.code == 2 && refused.err.contains("standard input is empty"), "{refused:?}");
    until_one_object_is_left(&at)?;
    assert_eq!(rotated(&at, &["rotate", "token"], "canary-by-hand")?, "canary-by-hand");

    let everything =
        [at.logs(), told.to_string(), used.to_string(), at.postgres.dump(&at.database)?].concat();
    for value in [&first, &second, &WRITTEN.to_owned(), &"canary-by-hand".to_owned()] {
        assert!(!everything.contains(value.as_str()), "a value is where it must not be");
    }
    Ok(at)
}

/// What runs: the image, the variable, and the value that is served.
fn running(at: &Installation) -> Result<(String, String, String)> {
    let container = at.container("acme_production_web")?;
    let image = at.docker(&["inspect", "--format", "{{.Config.Image}}", &container])?;
    let env = at.docker(&["inspect", "--format", "{{join .Config.Env \"\\n\"}}", &container])?;
    let greeting = env.lines().find(|line| line.starts_with("GREETING=")).context("GREETING")?;
    Ok((image.trim().to_owned(), greeting.to_owned(), served(at)?))
}

/// Returns under traffic, by a command that waits for it.
fn returned(at: &Installation, args: &[&str]) -> Result<String> {
    let traffic = at.traffic_of(HOST, SHOWN, PER_SECOND)?;
    let command =
        [&["rollback", "acme/Environment/production"], args, &["--wait", "--timeout", "5m"]].concat();
    let answer = at.cli.run(&command)?.ok().with_context(|| at.report())?;
    let counted = traffic.end().with_context(|| at.report())?;
    println!("rollback {args:?}: {} requests in {:?}, none failed", counted.answered, counted.took);
    Ok(answer.out)
}

/// What ran first runs again after the secret was rotated, and image and config were changed.
fn the_first_release_returns(at: &Installation) -> Result<()> {
    let first = at.cli.run(&["release", "acme/Environment/production", "v1", "-o", "json"])?.json()?;
    let newest = || -> Result<Value> {
        Ok(at.cli.run(&["releases", "acme/Environment/production", "-o", "json"])?.json()?["items"][0]
            .clone())
    };
    at.engine.publish(&recipe()?.file("www/new", 0o644, "new"), "shows:2")?;
    let env = [("GREETING".to_owned(), "good night".to_owned())].into();
    let web = Web { env, ..Web::new("acme") }.with_image("shows:2");
    let changed = manifests_of(&web, &json!({ "value": "canary-later" }));
    at.cli.apply_and_wait(&changed)?.ok().with_context(|| at.report())?;
    let later = running(at)?;
    let from = newest()?["version"].as_u64().context("a version")?;
    assert!(from > 5 && later.1 == "GREETING=good night" && later.2 == "canary-later", "v{from}: {later:?}");

    let told = returned(at, &["v1"])?;
    assert!(told.starts_with(&format!("acme/Environment/production returns from v{from} to v1\n")), "{told}");
    let (image, greeting, value) = running(at)?;
    assert_eq!(Some(image.as_str()), first["content"]["image"].as_str());
    assert_eq!((greeting.as_str(), value.len()), ("GREETING=good morning", 48), "the random value of v1");
    assert_ne!(image, later.0);
    let returned_to = newest()?;
    assert_eq!((&returned_to["rollbackTo"], &returned_to["verdict"]), (&json!(1), &json!("succeeded")));
    // What the manifests ask for is what they asked for: applying them again changes nothing.
    at.cli.apply_and_wait(&changed)?.ok()?;
    assert_eq!(running(at)?, (image, greeting, value));

    returned(at, &["--end"])?;
    assert_eq!(running(at)?, later);
    Ok(())
}

/// A roll-out that is over lets go of the former value a moment later.
fn until_one_object_is_left(at: &Installation) -> Result<()> {
    wait_until("one object", Duration::from_secs(60), || {
        let found = objects(at)?;
        wait::ready(found.len() == 1, &format!("{found:?}"))
    })
}

#[test]
fn a_secret_is_rotated_under_traffic_on_20_10() -> Result<()> {
    a_secret_is_rotated_under_traffic(EngineVersion::V20_10).map(drop)
}

#[test]
fn a_secret_is_rotated_and_a_former_release_returns_under_traffic_on_26_1() -> Result<()> {
    the_first_release_returns(&a_secret_is_rotated_under_traffic(EngineVersion::V26_1)?)
}
