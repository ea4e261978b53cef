//! The doctor: what does not open is named, and nothing of any value is told.

use std::sync::atomic::Ordering;

use anyhow::Result;
use skep_api::wire::{CheckOutcome, CheckView, DoctorReport};
use skep_schemas::Role;

use crate::support::{INTERNAL, Server, manifest};

const CANARY: &str = "canary-that-no-doctor-tells";

/// More secrets than one step looks at.
const SECRETS: usize = 130;

/// All steps of an examination, and their text.
async fn examined(server: &Server, from: &str) -> Result<(Vec<CheckView>, String)> {
    let (mut checks, mut told, mut path) = (Vec::new(), String::new(), from.to_owned());
    for _ in 0..20 {
        let answer = server.get(&path).await?;
        assert_eq!(answer.status, 200, "{answer:?}");
        told.push_str(&answer.text());
        let report: DoctorReport = answer.read();
        checks.extend(report.checks);
        match report.next {
            Some(next) => path = format!("/v1/doctor?after={next}"),
            None => return Ok((checks, told)),
        }
    }
    panic!("it does not end: {path}");
}

fn of<'c>(checks: &'c [CheckView], id: &str) -> Vec<&'c CheckView> {
    checks.iter().filter(|check| check.id == id).collect()
}

fn findings(checks: &[CheckView], id: &str) -> Vec<String> {
    of(checks, id).iter().flat_map(|check| check.findings.clone()).collect()
}

async fn server() -> Result<Server> {
    let server = Server::with_org("acme").await?;
    server.put("/v1/organizations/globex", &manifest("Organization", "globex", "{}")).await?;
    let mut all = String::new();
    for number in 0..SECRETS {
        let org = if number % 2 == 0 { "acme" } else { "globex" };
        let spec = format!("{{value: {CANARY}-{number}}}");
        let named = format!("metadata: {{org: {org}, name: key-{number}}}");
        let secret = manifest("Secret", "x", &spec).replace("metadata: {name: x}", &named);
        all.push_str(&format!("---\n{secret}"));
    }
    assert_eq!(server.post("/v1/apply", &all).await?.status, 200);
    Ok(server)
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_opens_passes_and_is_counted() -> Result<()> {
    let server = server().await?;
    let (checks, told) = examined(&server, "/v1/doctor").await?;
    assert!(checks.iter().all(|check| check.outcome == CheckOutcome::Pass), "{checks:#?}");
    let looked_at = |id: &str| of(&checks, id).iter().map(|check| check.looked_at).sum::<u64>();
    assert_eq!(looked_at("secrets.values"), u64::try_from(SECRETS)?);
    assert_eq!((looked_at("secrets.data-keys"), looked_at("secrets.master-key")), (2, 2));
    assert!(of(&checks, "secrets.values").len() > 1, "it took several steps");
    assert!(!told.contains(CANARY), "{told}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_open_is_told_by_organisation_secret_and_version_and_nothing_of_any_value() -> Result<()>
{
    let server = server().await?;
    let sql = |sql: &str| server.postgres.psql(&server.database, sql);
    let of_secret =
        |name: &str| format!("(SELECT uid FROM resource WHERE kind = 'Secret' AND name = '{name}')");
    for name in ["key-0", "key-128"] {
        let damage = "ciphertext = set_byte(ciphertext, 3, (get_byte(ciphertext, 3) + 1) % 256)";
        sql(&format!("UPDATE secret_version SET {damage} WHERE uid = {}", of_secret(name)))?;
    }
    sql(&format!("UPDATE secret_version SET digest = '\\x00' WHERE uid = {}", of_secret("key-2")))?;
    sql(&format!("DELETE FROM secret_version WHERE uid = {}", of_secret("key-4")))?;
    sql("UPDATE organization_key SET master_key_id = 'ffff000011112222' WHERE org_uid = (
             SELECT uid FROM resource WHERE kind = 'Organization' AND name = 'globex')")?;
    let (checks, told) = examined(&server, "/v1/doctor?section=secrets").await?;
    let keys = findings(&checks, "secrets.data-keys");
    assert!(
        matches!(keys.as_slice(), [key] if key.starts_with("Organization/globex: ") && key.contains("ffff000011112222")),
        "{keys:?}"
    );
    assert_eq!(
        findings(&checks, "secrets.master-key"),
        ["1 data keys are wrapped by master key ffff000011112222, which the server does not have"]
    );
    let mut values = findings(&checks, "secrets.values");
    values.retain(|finding| !finding.starts_with("globex/"));
    values.sort();
    let damaged = "it was damaged, or sealed for another place or with another key";
    assert_eq!(
        values,
        [
            format!("acme/Secret/key-0 version 1: {damaged}"),
            format!("acme/Secret/key-128 version 1: {damaged}"),
            "acme/Secret/key-2 version 1: its digest is that of another value".to_owned(),
            "acme/Secret/key-4: the secret has no value".to_owned(),
        ]
    );
    assert_eq!(findings(&checks, "secrets.values").len(), 4 + SECRETS / 2);
    let failed = checks.iter().filter(|check| check.outcome == CheckOutcome::Fail);
    assert!(failed.clone().all(|check| check.why.is_some() && check.fix.is_some()), "{checks:#?}");
    assert!(!told.contains(CANARY), "{told}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_controller_finds_in_the_cluster_is_told_with_why_what_helps_and_who_else_asks_for_it()
-> Result<()> {
    let server = Server::with_org("acme").await?;
    let look = || examined(&server, "/v1/doctor?section=cluster");
    let (checks, _) = look().await?;
    assert_eq!(of(&checks, "cluster.autolock")[0].outcome, CheckOutcome::Pass, "{checks:#?}");
    server.control.ailments.lock().unwrap().push("managers unlock themselves".to_owned());
    let (checks, _) = look().await?;
    let [check] = checks.as_slice() else { panic!("{checks:#?}") };
    assert_eq!(
        (check.outcome, check.benchmark.as_deref()),
        (CheckOutcome::Fail, Some("CIS Docker Benchmark 1.7, 7.5"))
    );
    assert_eq!(
        (check.why.as_deref(), check.fix.as_deref()),
        (Some("their key lies beside their log"), Some("lock them"))
    );
    assert_eq!(check.findings, ["managers unlock themselves"]);
    server.control.engine_is_down.store(true, Ordering::SeqCst);
    let (checks, told) = look().await?;
    assert_eq!(of(&checks, "cluster.engine")[0].outcome, CheckOutcome::Fail, "{checks:#?}");
    assert!(!told.contains(INTERNAL), "{told}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_is_for_the_platforms_administrators_and_takes_no_nonsense() -> Result<()> {
    let server = Server::with_org("acme").await?;
    for (org, role, status) in [
        (Some("acme"), Role::Owner, 403),
        (None, Role::Viewer, 403),
        (None, Role::Deployer, 403),
        (None, Role::Admin, 200),
    ] {
        let token = server.token_of(org, &format!("{role}-{}", status), role).await?;
        let answer = server.ask(&token, "GET", "/v1/doctor", None).await?;
        assert_eq!(answer.status, status, "{role} {org:?}: {answer:?}");
    }
    for query in ["section=nothing", "after=secrets", "after=nothing:", "after=secrets:values/x/1", "x=1"] {
        let answer = server.get(&format!("/v1/doctor?{query}")).await?;
        assert_eq!((answer.status, answer.code().as_str()), (400, "SK0602"), "{query}: {answer:?}");
    }
    Ok(())
}
