//! The master key changes while two servers deploy and an application answers: nothing fails, and afterwards the former key is not needed.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skep_e2e::manifests::Web;
use skep_e2e::{Cli, Installation, Options, Server};
use skep_testbed::{EngineVersion, Process, Recipe, wait, wait_until};

/// The installation's own key is `KEY` of `skep_e2e::installation`; this one takes its place.
const NEW: &str = "f0e1d2c3b4a5968778695a4b3c2d1e0f00112233445566778899aabbccddeeff";
/// How long a server may take to end, with passes under way.
const STOP: Duration = Duration::from_secs(60);
/// The end of the audit is sealed once a minute.
const SEALED: Duration = Duration::from_secs(180);

/// A file with a key, as `skep serve` wants it.
fn key_file(at: &Installation, name: &str, key: &str) -> Result<String> {
    let path = at.cli.file(name, key)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(path)
}

fn stop(process: &mut Process) -> Result<()> {
    process.sigterm();
    let status = process.wait_exit(STOP)?;
    ensure!(status.success(), "the server ended with {status}");
    Ok(())
}

/// An application whose instances go on serving while they are being replaced, with a secret.
fn manifests(value: &str) -> String {
    let mut web = Web { secrets: vec!["token".to_owned()], ..Web::new("acme") };
    web = web.with_image("drains:1");
    web.stop_grace_period = Some("60s".to_owned());
    web.manifests().replace("a value of no importance", value)
}

/// The secret as the application has it.
fn deployed(at: &Installation, cli: &Cli, value: &str) -> Result<()> {
    cli.apply_and_wait(&manifests(value))?.ok().with_context(|| at.report())?;
    let container = at.container("acme_production_web")?;
    let read = at.docker(&["exec", &container, "/bin/busybox", "cat", "/run/secrets/token"])?;
    ensure!(read == value, "it reads {read}");
    Ok(())
}

fn standing(cli: &Cli) -> Result<Value> {
    cli.run(&["master-key", "status", "-o", "json"])?.json()
}

/// On one engine: what changes is between the servers and the database, and no engine hears of it.
#[test]
fn the_master_key_changes_while_everything_goes_on_on_26_1() -> Result<()> {
    let mut at = Installation::start_with(Options::new(EngineVersion::V26_1))?;
    at.engine.publish(&Recipe::web_that_drains("v1", Duration::from_secs(20))?, "drains:1")?;
    let old = key_file(&at, "old.key", skep_e2e::installation::KEY)?;
    let new = key_file(&at, "new.key", NEW)?;
    deployed(&at, &at.cli, "canary-one")?;
    let verify = ["audit", "verify", "--remember", &at.cli.file("remembered.json", "")?];
    std::fs::remove_file(verify[3])?;
    at.wait_for_seals(1, SEALED)?;
    at.cli.run(&verify)?.ok()?;
    let traffic = at.traffic("acme.localhost")?;

    // A second server has the new key beside the old one; the first does not, so it does not come into force.
    let mut second = at.rival(&at.database, &[("SKEP_FURTHER_KEY_FILES", &new)])?;
    let before = standing(&second.cli)?;
    let former = before["inForce"].as_str().context("a key is in force")?.to_owned();
    let next = before["keys"].as_array().context("keys")?.iter().find(|key| key["id"] != former.as_str());
    let next = next.context("the new key is listed")?["id"].as_str().context("an id")?.to_owned();
    let refused = second.cli.run(&["master-key", "rotate", "--to", &next])?;
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.err.contains("not every server has master key"), "{refused:?}");

    // The first server gets it as its own, and both keys change hands while both deploy.
    stop(&mut at.skep)?;
    at.restart_with(&[("SKEP_KEY", NEW), ("SKEP_FURTHER_KEY_FILES", &old)])?;
    deployed(&at, &second.cli, "canary-two")?;
    let rotated = std::thread::scope(|scope| -> Result<Value> {
        let deploys = scope.spawn(|| -> Result<()> {
            deployed(&at, &at.cli, "canary-three")?;
            deployed(&at, &second.cli, "canary-four")
        });
        let rotated = at.cli.run(&["master-key", "rotate", "-o", "json"])?.json();
        deploys.join().map_err(|_| anyhow::anyhow!("the deploys panicked"))??;
        rotated
    })?;
    assert_eq!((&rotated["inForce"], &rotated["left"]), (&json!(next), &json!(0)), "{rotated}");
    assert_eq!((&rotated["began"], &rotated["rewrapped"]), (&json!(true), &json!(1)), "{rotated}");

    // Nobody needs the former one any more, and it opens nothing.
    let Server { process, .. } = &mut second;
    stop(process)?;
    stop(&mut at.skep)?;
    at.restart_with(&[("SKEP_KEY", NEW)])?;
    deployed(&at, &at.cli, "canary-five")?;
    let after = standing(&at.cli)?;
    assert_eq!((&after["inForce"], &after["own"]), (&json!(next), &json!(next)), "{after}");
    assert_eq!(after["keys"].as_array().map(Vec::len), Some(1), "{after}");
    let mut with_old = at.serve_command()?;
    with_old.env("SKEP_KEY", skep_e2e::installation::KEY).stdin(Stdio::null());
    let output = with_old.output()?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains(&format!("master key {next} is in force")), "{told}");

    let counted = traffic.end()?;
    println!("{} requests answered, none failed", counted.answered);
    at.wait_for_seals(2, SEALED)?;
    let verified = at.cli.run(&verify)?;
    assert_eq!(verified.code, 0, "{verified:?}");
    for secret in ["canary", NEW, skep_e2e::installation::KEY] {
        assert!(!at.logs().contains(secret), "the log holds {secret}");
    }
    Ok(())
}

trait Seals {
    fn wait_for_seals(&self, keys: usize, within: Duration) -> Result<()>;
}

impl Seals for Installation {
    /// Waits until the audit has been sealed with so many keys.
    fn wait_for_seals(&self, keys: usize, within: Duration) -> Result<()> {
        wait_until(&format!("seals of {keys} keys"), within, || {
            let found = self.psql("SELECT count(DISTINCT public_key) FROM audit_seal")?;
            wait::ready(found == keys.to_string(), &found)
        })
    }
}
