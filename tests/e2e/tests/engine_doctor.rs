//! The doctor at a real cluster: what is wrong with the test bed's engine is found, what is put right is not found any more.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;
use skep_e2e::Installation;
use skep_testbed::EngineVersion;

/// The outcome of each check of the cluster, and its findings.
fn examined(at: &Installation) -> Result<BTreeMap<String, (String, String)>> {
    let answer = at.cli.run(&["doctor", "--section", "cluster", "-o", "json"])?;
    // A test bed is no place to be proud of.
    assert_eq!(answer.code, 1, "{}{}", answer.out, answer.err);
    let report: Value = serde_json::from_str(&answer.out).with_context(|| answer.out.clone())?;
    let checks = report["checks"].as_array().context("there are checks")?;
    let text = |check: &Value, field: &str| check[field].as_str().unwrap_or_default().to_owned();
    Ok(checks
        .iter()
        .map(|check| (text(check, "id"), (text(check, "outcome"), check["findings"].to_string())))
        .collect())
}

fn what_is_put_right_is_not_found_any_more(version: EngineVersion) -> Result<()> {
    let at = Installation::start(version)?;
    let outcome = |id: &str| -> Result<(String, String)> {
        examined(&at)?.get(id).cloned().with_context(|| format!("there is no check {id}"))
    };
    let found = examined(&at)?;
    let said = |id: &str| found.get(id).map_or(("missing", ""), |(outcome, why)| (outcome, why));
    for (id, finding) in [
        ("cluster.managers", "1 of the 1 nodes manage"),
        ("cluster.autolock", "managers unlock themselves"),
        ("cluster.userns-remap", "maps no users"),
        ("cluster.engine-releases", "CVE-2025-54410"),
        ("cluster.engine-socket", "skep-edge_traefik has "),
        ("cluster.traefik-release", "does not say its release"),
        ("cluster.limits", "skep-edge_traefik"),
    ] {
        let (outcome, findings) = said(id);
        assert!(outcome == "fail" && findings.contains(finding), "{id}: {outcome} {findings}");
    }
    for id in [
        "cluster.certificates",
        "cluster.seccomp",
        "cluster.engine-exposure",
        "cluster.insecure-registries",
        "cluster.authorization-plugins",
        "cluster.experimental",
        "cluster.host-directories",
        "cluster.capabilities",
        "cluster.unconfined",
        "cluster.host-network",
        "cluster.traefik-dashboard",
    ] {
        assert_eq!(said(id).0, "pass", "{id}: {found:#?}");
    }
    assert_eq!(said("cluster.encrypted-networks").0, "skip", "nothing travels on one node: {found:#?}");

    at.docker(&["swarm", "update", "--autolock", "--cert-expiry", "8760h"])?;
    assert_eq!(outcome("cluster.autolock")?.0, "pass");
    let (certificates, findings) = outcome("cluster.certificates")?;
    assert!(certificates == "fail" && findings.contains("365 days"), "{certificates} {findings}");

    let bind = "type=bind,source=/etc,target=/host";
    at.docker(&[
        "service",
        "create",
        "--detach",
        "--name",
        "nosy",
        "--mount",
        bind,
        "--cap-add",
        "SYS_ADMIN",
        "anchor:1",
    ])?;
    for (id, finding) in [
        ("cluster.host-directories", "service nosy mounts /etc"),
        ("cluster.capabilities", "service nosy has SYS_ADMIN"),
        ("cluster.limits", "service nosy has not"),
    ] {
        let (outcome, findings) = outcome(id)?;
        assert!(outcome == "fail" && findings.contains(finding), "{id}: {outcome} {findings}");
    }
    Ok(())
}

#[test]
fn what_is_put_right_is_not_found_any_more_on_20_10() -> Result<()> {
    what_is_put_right_is_not_found_any_more(EngineVersion::V20_10)
}

#[test]
fn what_is_put_right_is_not_found_any_more_on_26_1() -> Result<()> {
    what_is_put_right_is_not_found_any_more(EngineVersion::V26_1)
}
