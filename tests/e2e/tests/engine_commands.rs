//! The commands that look at what runs, against a real server, and manifests that are refused.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use skep_e2e::Installation;
use skep_e2e::manifests::{documents, image, organization, resource};
use skep_testbed::{EngineVersion, Recipe};

const SHOWN: Duration = Duration::from_secs(60);

#[test]
fn what_happens_can_be_watched_and_a_bad_document_stops_its_whole_batch() -> Result<()> {
    let at = Installation::start(EngineVersion::V20_10)?;
    let script = "#!/bin/sh\necho 'one line to out'\necho 'one line to err' >&2\nexec /bin/idle\n";
    let talks = Recipe::busybox()?.file("bin/app", 0o755, script).change(r#"CMD ["/bin/app"]"#);
    at.engine.publish(&talks, "talks:1")?;
    let app = json!({ "source": { "image": image("talks:1") }, "processes": { "worker": {} } });
    let good = [
        organization("acme"),
        resource("acme", "App", "talker", app),
        resource("acme", "Environment", "production", json!({ "app": "talker" })),
    ];

    // The third document is wrong, so the first two are not applied either.
    let bad = "---\napiVersion: skep.dev/v1\nkind: Environment\nmetadata: {org: acme, name: broken}\nspec:\n  app: talker\n  replicas: 3\n";
    let file = at.cli.file("batch.yaml", &(documents(&good[..2]) + bad))?;
    let lines = std::fs::read_to_string(&file)?;
    let line = 1 + lines.lines().position(|line| line.contains("replicas")).context("it is there")?;
    let refused = at.cli.run(&["apply", "-f", &file])?;
    assert_eq!(refused.code, 2, "{}{}", refused.out, refused.err);
    assert!(refused.err.contains("error[SK0104]"), "{}", refused.err);
    assert!(refused.err.contains(&format!("batch.yaml:{line}:3")), "{}", refused.err);
    assert!(refused.err.contains("help"), "{}", refused.err);
    // So does what is wrong with a value, and what only the server can know.
    let dangling =
        resource("acme", "Domain", "shop", json!({ "host": "not a host", "environment": "production" }));
    let refused = at.cli.apply(&documents(&[good[0].clone(), dangling]), &[])?;
    assert_eq!(refused.code, 2, "{}{}", refused.out, refused.err);
    let homeless = resource("nobody", "App", "talker", json!({ "source": { "image": image("talks:1") } }));
    let refused = at.cli.apply(&documents(&[good[0].clone(), homeless]), &[])?;
    assert_eq!(refused.code, 2, "{}{}", refused.out, refused.err);
    assert_eq!(at.psql("SELECT count(*) FROM resource")?, "0", "something was applied");
    assert_eq!(at.psql("SELECT count(*) FROM change_log")?, "0");

    at.cli.apply(&documents(&good[..2]), &[])?.ok()?;
    let mut watch = at.cli.start(&["get", "environments", "--org", "acme", "--watch"])?;
    let wait = ["wait", "environment", "production", "--org", "acme", "--for", "ready", "--timeout", "5m"];
    let mut waiting = at.cli.start(&wait)?;
    at.cli.apply(&documents(&good), &[])?.ok()?;
    let ended = waiting.wait_exit(SHOWN)?;
    assert_eq!(ended.code(), Some(0), "{}\n{}", waiting.logs(), at.report());
    watch.wait_for_line(SHOWN, |line| line.contains("production") && line.contains("Ready"))?;

    let mut follow = at.cli.start(&["logs", "production", "--org", "acme", "--follow"])?;
    follow.wait_for_line(SHOWN, |line| line.starts_with("worker.") && line.ends_with("| one line to out"))?;
    follow.wait_for_line(SHOWN, |line| line.ends_with("| one line to err"))?;
    assert!(follow.is_running(), "a followed log does not end by itself: {}", follow.logs());
    let once = at.cli.run(&["logs", "production", "--org", "acme", "--process", "worker"])?.ok()?;
    assert!(once.out.contains("one line to out") && once.out.contains("one line to err"), "{}", once.out);

    let events = at.cli.run(&["events", "environment", "production", "--org", "acme"])?.ok()?.out;
    assert!(events.contains("release 1") || events.contains("v1"), "{events}");
    let overall = at.cli.run(&["events", "--org", "acme"])?.ok()?.out;
    assert!(overall.contains("production") && overall.contains("acme"), "{overall}");

    let made = at.cli.run(&["token", "create", "ci", "--org", "acme", "--role", "deployer"])?.ok()?;
    let tenant = at.cli.with_token(made.out.trim());
    assert_eq!(tenant.run(&["whoami"])?.ok()?.out, "acme/ci, deployer of acme\n");
    // What a preview reads and rehearses is the organisation's own, so it comes out as it does for the platform.
    let more = json!({ "app": "talker", "env": { "LANGUAGE": "en" } });
    let file =
        at.cli.file("more.yaml", &documents(&[resource("acme", "Environment", "production", more)]))?;
    let [own, platform] = [&tenant, &at.cli].map(|cli| cli.run(&["diff", "-f", &file]));
    let (own, platform) = (own?, platform?);
    assert!(own.out.contains("LANGUAGE"), "{}{}", own.out, own.err);
    assert_eq!((own.code, own.out), (platform.code, platform.out));
    let logs = tenant.run(&["logs", "production", "--org", "acme", "--process", "worker"])?.ok()?;
    assert!(logs.out.contains("one line to out"), "{}", logs.out);
    let plan = at.cli.file("plan.json", "")?;
    tenant.run(&["plan", "-f", &file, "-o", &plan])?.ok()?;
    // A binding says what its sender wants to know. Of what is not his nothing is told, not even that it is there.
    let mut bound: Value = serde_json::from_str(&std::fs::read_to_string(&plan)?)?;
    let objects = bound["binding"]["objects"].as_array_mut().context("it is bound to objects")?;
    objects.push(json!({ "kind": "network", "name": "ingress" }));
    let prying = at.cli.file("prying.json", &bound.to_string())?;
    let refused = at.cli.run(&["apply", "--plan", &prying])?;
    assert!(refused.code != 0 && refused.err.contains("SK0306"), "{}{}", refused.out, refused.err);
    tenant.run(&["apply", "--plan", &prying])?.ok()?;
    assert!(tenant.run(&["get", "apps", "--org", "acme"])?.ok()?.out.contains("talker"));
    let elsewhere = tenant.run(&["get", "apps", "--org", "globex"])?;
    assert_eq!(elsewhere.code, 2, "{}{}", elsewhere.out, elsewhere.err);
    assert!(elsewhere.err.contains("Organization/globex does not exist"), "{}", elsewhere.err);
    at.cli.run(&["token", "revoke", "ci", "--org", "acme"])?.ok()?;
    assert_eq!(tenant.run(&["whoami"])?.code, 2, "a revoked token is none");

    at.cli
        .run(&["delete", "environment", "production", "--org", "acme", "--wait", "--timeout", "5m"])?
        .ok()?;
    watch.wait_for_line(SHOWN, |line| line.contains("production is gone"))?;
    let wait = ["wait", "environment", "production", "--org", "acme", "--for", "ready", "--timeout", "1s"];
    let in_vain = at.cli.run(&wait)?;
    assert_eq!(in_vain.code, 1, "{}{}", in_vain.out, in_vain.err);
    Ok(())
}
