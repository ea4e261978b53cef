//! Images of a registry that asks for a password: who has it runs them, who has not does not, and another password reaches what runs.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use skep_e2e::manifests::{Web, documents, resource};
use skep_e2e::{Installation, Options};
use skep_testbed::registry::locked;
use skep_testbed::{EngineVersion, wait, wait_until};

/// How long a status may take to say something new.
const SOON: Duration = Duration::from_secs(60);
/// A password that is none.
const WRONG: &str = "canary-that-opens-nothing";

fn web(org: &str, instances: u32) -> Web {
    let image = format!("{}/hello:v1", locked::HOST);
    Web { image, instances, ..Web::new(org) }
}

/// A credential for a registry, with a Secret of this value.
fn credential(registry: &str, password: &str) -> String {
    let spec =
        json!({ "registry": registry, "username": locked::USERNAME, "password": { "secret": "pull" } });
    documents(&[
        resource("acme", "RegistryCredential", "locked", spec),
        resource("acme", "Secret", "pull", json!({ "value": password })),
    ])
}

/// Waits until an organisation's environment says this of itself.
fn says(at: &Installation, org: &str, words: &[&str]) -> Result<String> {
    wait_until(&format!("{org} to say {words:?}"), SOON, || {
        let status = at.cli.get(org, "environment", "production")?["status"].to_string();
        wait::ready(words.iter().all(|word| status.contains(word)), &status)?;
        Ok(status)
    })
    .with_context(|| at.report())
}

/// Changes the password, and says what the command answered.
fn rotate(at: &Installation, password: &str) -> Result<String> {
    let answer = at.cli.run_with_input(&["secrets", "--org", "acme", "rotate", "pull"], password)?.ok()?;
    Ok(answer.out + &answer.err)
}

/// The mark of the credential that a service was last given.
fn mark(at: &Installation, service: &str) -> Result<Option<String>> {
    let service = at.service(service)?;
    Ok(service["Spec"]["Labels"]["skep.dev/registry-credential"].as_str().map(str::to_owned))
}

/// Waits until the service was given another credential than this one.
fn given_another(at: &Installation, service: &str, former: Option<&str>) -> Result<Option<String>> {
    wait_until("the service to be given another credential", SOON, || {
        let now = mark(at, service)?;
        wait::ready(now.as_deref() != former, &format!("{now:?}"))?;
        Ok(now)
    })
    .with_context(|| at.report())
}

/// The nodes that run a service.
fn nodes(at: &Installation, service: &str) -> Result<BTreeSet<String>> {
    let running = ["service", "ps", "--filter", "desired-state=running", "--format", "{{.Node}}", service];
    Ok(at.docker(&running)?.lines().map(str::to_owned).collect())
}

fn who_has_the_password_runs_the_image_and_another_one_restarts_nothing(
    version: EngineVersion,
) -> Result<()> {
    let at =
        Installation::start_with(Options { locked_registry: true, nodes: (2, 1), ..Options::new(version) })?;
    let acme = web("acme", 1);
    let service = acme.service();
    let mut told = String::new();

    // Nobody, then somebody with a wrong password.
    at.cli.apply(&acme.manifests(), &[])?.ok()?;
    told += &says(&at, "acme", &["RegistryDenied", "to just anybody", "apply a RegistryCredential"])?;
    at.cli.apply(&credential(locked::HOST, WRONG), &[])?.ok()?;
    told += &says(&at, "acme", &["RegistryDenied", "to RegistryCredential/locked", "skep secrets rotate"])?;
    ensure!(!at.services()?.contains(&service), "a service was made without the right password");

    told += &rotate(&at, locked::PASSWORD)?;
    told += &says(&at, "acme", &["Converged"])?;
    let first = at.running_tasks(&service)?;
    let given = mark(&at, &service)?.context("the service says which credential it was given")?;

    // The node has the image now. That is nobody's permission.
    at.cli.apply(&web("globex", 1).manifests(), &[])?.ok()?;
    told += &says(&at, "globex", &["RegistryDenied", "to just anybody"])?;
    ensure!(!at.services()?.contains("globex_production_web"), "another organisation runs the image");

    // A credential that is only planned with is not used, whatever registry it names.
    let elsewhere = credential("127.0.0.1:5009", locked::PASSWORD);
    let mut stranger = web("acme", 1);
    stranger.image = "127.0.0.1:5009/hello:v1".to_owned();
    let planned = at.cli.diff(&format!("{}{elsewhere}", stranger.manifests()))?;
    ensure!(planned.out.contains("RegistryCredential/locked is not applied yet"), "{planned:?}");
    told += &(planned.out + &planned.err);
    let second = documents(&[resource(
        "acme",
        "RegistryCredential",
        "again",
        json!({ "registry": locked::HOST, "username": "robot-2", "password": { "secret": "pull" } }),
    )]);
    let refused = at.cli.apply(&second, &[])?;
    ensure!(refused.code != 0 && refused.err.contains("SK0309"), "{refused:?}");
    ensure!(refused.err.contains("RegistryCredential/locked"), "{refused:?}");

    // Another password is given to what runs, and restarts nothing. This one is wrong, which the pull of the other node shows. (A node that has
    // pulled an image once does not have to ask for it again, even after the image was removed.)
    told += &rotate(&at, WRONG)?;
    let wrong = given_another(&at, &service, Some(&given))?;
    at.cli.apply(&web("acme", 2).manifests(), &[])?.ok()?;
    wait_until("an instance to be refused its image", SOON, || {
        let tasks = at.docker(&[
            "service",
            "ps",
            "--no-trunc",
            "--format",
            "{{.CurrentState}} {{.Error}}",
            &service,
        ])?;
        let refused = |line: &str| line.starts_with("Rejected") && line.contains("No such image");
        wait::ready(tasks.lines().any(refused), &tasks)
    })
    .with_context(|| at.report())?;
    // Swarm starts it on the node that has the image, in the end.
    told += &says(&at, "acme", &["Converged", "\"running\":2"])?;
    ensure!(at.running_tasks(&service)?.is_superset(&first), "an instance was replaced");
    ensure!(nodes(&at, &service)?.len() == 1, "a node pulled with a wrong password");

    // The right one again, with the line end that came with it.
    told += &rotate(&at, &format!("{}\n", locked::PASSWORD))?;
    given_another(&at, &service, wrong.as_deref())?;
    at.cli.apply(&web("acme", 3).manifests(), &[])?.ok()?;
    told += &says(&at, "acme", &["Converged", "\"running\":3"])?;
    let now = at.running_tasks(&service)?;
    ensure!(now.len() == 3 && now.is_superset(&first), "{first:?} became {now:?}");
    ensure!(nodes(&at, &service)?.len() == 2, "the other node did not pull: {}", at.report());

    // Without the credential nothing says who it is any more.
    at.cli.run(&["delete", "acme/registrycredential/locked"])?.ok()?;
    let last = mark(&at, &service)?;
    if last.is_some() {
        ensure!(given_another(&at, &service, last.as_deref())?.is_none(), "it was given another");
    }
    ensure!(at.running_tasks(&service)? == now, "an instance was replaced");

    for (place, text) in everything(&at, told)? {
        for password in [locked::PASSWORD, WRONG] {
            ensure!(!text.contains(password), "{place} has a password:\n{text}");
        }
    }
    Ok(())
}

/// Everything that a person or a program may come to see.
fn everything(at: &Installation, told: String) -> Result<Vec<(&'static str, String)>> {
    let mut seen = vec![
        ("what commands and statuses said", told),
        ("the database", at.postgres.dump(&at.database)?),
        ("the server's log", at.logs()),
        ("the engine's log", at.engine.log()),
    ];
    for list in ["/services", "/tasks", "/secrets", "/containers/json?all=1"] {
        seen.push((list, at.engine_says(list)?.to_string()));
    }
    for list in ["registrycredentials", "secrets"] {
        let answer = at.cli.run(&["get", list, "--org", "acme", "-o", "json"])?;
        seen.push((list, answer.out + &answer.err));
    }
    let events = at.cli.run(&["events", "--org", "acme", "-o", "json"])?;
    seen.push(("events", events.out + &events.err));
    Ok(seen)
}

#[test]
fn who_has_the_password_runs_the_image_and_another_one_restarts_nothing_on_20_10() -> Result<()> {
    who_has_the_password_runs_the_image_and_another_one_restarts_nothing(EngineVersion::V20_10)
}

#[test]
fn who_has_the_password_runs_the_image_and_another_one_restarts_nothing_on_26_1() -> Result<()> {
    who_has_the_password_runs_the_image_and_another_one_restarts_nothing(EngineVersion::V26_1)
}
