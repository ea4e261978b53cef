//! Plans in files: bound to what they were made from, refused when that has moved, and not written when they could never be carried
//! out.

use anyhow::{Context, Result};
use serde_json::json;
use skep_e2e::Installation;
use skep_e2e::manifests::{Web, documents, resource};
use skep_testbed::EngineVersion;

#[test]
fn a_plan_is_carried_out_unless_the_world_has_moved() -> Result<()> {
    let at = Installation::start(EngineVersion::V26_1)?;
    let mut web = Web::new("acme");
    web.instances = 1;
    at.cli.apply_and_wait(&web.manifests())?.ok().with_context(|| at.report())?;
    let file = at.cli.file("plan.json", "")?;
    let plan = |web: &Web| {
        let manifests = at.cli.file("planned.yaml", &web.manifests())?;
        at.cli.run(&["plan", "-f", manifests.as_str(), "-o", file.as_str()])?.ok()
    };
    let carry_out = || at.cli.run(&["apply", "--plan", file.as_str(), "--wait", "--timeout", "5m"]);

    // Nothing has moved: it is carried out, and only once.
    web.env.insert("ONE".to_owned(), "1".to_owned());
    let said = plan(&web)?.out;
    assert!(said.contains("rolling restart of 1 task") && said.contains("skep apply --plan"), "{said}");
    carry_out()?.ok().with_context(|| at.report())?;
    let again = carry_out()?;
    assert!(again.code == 2 && again.err.contains("SK0306"), "{again:?}");

    // Somebody changes the service behind it. A policy leaves the change alone, so that it still is there.
    let report = documents(&[resource("acme", "DriftPolicy", "report", json!({ "mode": "report" }))]);
    at.cli.apply_and_wait(&report)?.ok()?;
    web.env.insert("TWO".to_owned(), "2".to_owned());
    plan(&web)?;
    at.meddle(&web.service(), |spec| {
        spec["Labels"]["team"] = json!("blue");
        Ok(())
    })?;
    let moved = carry_out()?;
    assert!(moved.code == 2 && moved.err.contains("service acme_production_web was changed"), "{moved:?}");

    // Somebody applies something else first.
    plan(&web)?;
    let mut other = web.clone();
    other.env.insert("THREE".to_owned(), "3".to_owned());
    at.cli.apply_and_wait(&other.manifests())?.ok().with_context(|| at.report())?;
    let moved = carry_out()?;
    assert!(moved.code == 2 && moved.err.contains("acme/Environment/production was changed"), "{moved:?}");
    let env = at.cli.get("acme", "environment", "production")?["spec"]["env"].clone();
    assert_eq!(env, json!({"ONE": "1", "TWO": "2", "THREE": "3"}), "nothing of a refused plan is applied");
    Ok(())
}

#[test]
fn what_can_never_be_is_refused_when_it_is_planned() -> Result<()> {
    let at = Installation::start(EngineVersion::V20_10)?;
    let base = Web::new("acme");
    at.cli.apply_and_wait(&base.manifests())?.ok().with_context(|| at.report())?;
    let plan = |documents_of: &[serde_json::Value]| {
        let manifests = at.cli.file("planned.yaml", &documents(documents_of))?;
        let file = at.cli.file("refused.json", "untouched")?;
        let answer = at.cli.run(&["plan", "-f", manifests.as_str(), "-o", file.as_str()])?;
        assert_eq!(std::fs::read_to_string(&file)?, "untouched", "{answer:?}");
        anyhow::ensure!(answer.code == 2, "{answer:?}");
        Ok(answer.err)
    };
    let environment = |name: &str, spec: serde_json::Value| {
        let mut whole = json!({ "app": "shop" });
        whole.as_object_mut().context("an object")?.extend(spec.as_object().cloned().unwrap_or_default());
        Ok::<_, anyhow::Error>(resource("acme", "Environment", name, whole))
    };

    let huge = json!({ "processes": { "web": { "resources": { "cpu": "100m", "memory": "9000Gi" } } } });
    let said = plan(&[environment("huge", huge)?])?;
    assert!(said.contains("process web"), "{said}");

    let said = plan(&[environment("away", json!({ "region": "atlantis" }))?])?;
    assert!(said.contains("atlantis"), "{said}");

    let said = plan(&[environment("unread", json!({ "secrets": [{ "name": "nothing" }] }))?])?;
    assert!(said.contains("secret nothing does not exist"), "{said}");

    let host = json!({ "host": "acme.localhost", "environment": "production", "tls": "off" });
    let said = plan(&[resource("acme", "Domain", "second", host)])?;
    assert!(said.contains("SK0303") && said.contains("planned.yaml"), "{said}");

    let tight = json!({ "apiVersion": "skep.dev/v1", "kind": "Plan", "metadata": { "name": "tight" },
        "spec": { "instance": { "cpu": "100m", "memory": "16Mi" }, "maxInstances": 1 } });
    let said = plan(&[
        tight,
        environment("many", json!({ "plan": "tight", "processes": { "web": { "instances": 3 } } }))?,
    ])?;
    assert!(said.contains("the plan allows"), "{said}");
    Ok(())
}
