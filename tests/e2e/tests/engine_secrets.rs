//! The restricted profile as the engine has it, and secrets: a file in the container and a variable of its process, and nowhere else.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use skep_e2e::{Installation, Options};
use skep_testbed::{EngineVersion, http};

/// A value that occurs nowhere by chance.
const CANARY: &str = "canary-7f3a91c2-tweets-at-midnight";
/// Another, that it is not changed to.
const OTHER: &str = "canary-0be5d1aa-sings-at-noon";

/// The example with a value of ours in place of its secret, which the process takes as a variable as well.
fn example(at: &Installation, value: &str) -> Result<String> {
    let mut text = String::new();
    for name in ["organization", "plan", "app", "secret", "environment", "domain"] {
        let path = format!("{}/{name}.yaml", at.examples("hello"));
        text += "---\n";
        text += &std::fs::read_to_string(&path).with_context(|| path)?;
    }
    for (ours, theirs) in [
        (value, "not-a-real-secret"),
        ("- name: greeting\n      env: PASSWORD\n", "- name: greeting\n"),
        ("      instances: 2\n      entrypoint: [/bin/serve]\n", "      instances: 2\n"),
    ] {
        assert!(text.contains(theirs), "the example is another one now: {text}");
        text = text.replace(theirs, ours);
    }
    Ok(text)
}

/// The service is as restricted as the engine can store.
fn check_profile(spec: &Value) -> String {
    let template = &spec["TaskTemplate"];
    let container = &template["ContainerSpec"];
    let limits = &template["Resources"]["Limits"];
    assert_eq!(limits["NanoCPUs"], 250_000_000);
    assert_eq!(limits["MemoryBytes"], 64 << 20);
    assert_eq!(limits["Pids"], 64);
    assert_eq!(container["CapabilityDrop"], json!(["ALL"]));
    assert_eq!(container["CapabilityAdd"], Value::Null);
    assert_eq!(container["ReadOnly"], true);
    let mounts = container["Mounts"].as_array().cloned().unwrap_or_default();
    assert_eq!(mounts.len(), 1, "{mounts:?}");
    assert_eq!((&mounts[0]["Type"], &mounts[0]["Target"]), (&json!("tmpfs"), &json!("/tmp")));
    let image = container["Image"].as_str().unwrap_or_default();
    assert!(image.starts_with("127.0.0.1:5000/hello:v1@sha256:"), "{image}");
    for (label, value) in
        [("org", "hello"), ("kind", "Environment"), ("name", "production"), ("process", "web")]
    {
        assert_eq!(spec["Labels"][format!("skep.dev/{label}")], value);
    }
    assert!(spec["Labels"]["skep.dev/uid"].is_string() && spec["Labels"]["skep.dev/instance"].is_string());
    assert_eq!(spec["EndpointSpec"]["Ports"], Value::Null);
    let secrets = container["Secrets"].as_array().cloned().unwrap_or_default();
    assert_eq!(secrets.len(), 1, "{secrets:?}");
    assert_eq!(secrets[0]["File"]["Name"], "greeting");
    secrets[0]["SecretName"].as_str().unwrap_or_default().to_owned()
}

/// Everything that a person or a program may come to see.
fn everything(at: &Installation, manifests: &str) -> Result<Vec<(String, String)>> {
    let mut seen = vec![("the database".to_owned(), at.postgres.dump(&at.database)?)];
    for list in
        ["/services", "/tasks", "/secrets", "/configs", "/networks", "/nodes", "/containers/json?all=1"]
    {
        seen.push((format!("GET {list}"), at.engine_says(list)?.to_string()));
    }
    let container = at.container("hello_production_web")?;
    let inspected = at.engine_says(&format!("/containers/{container}/json"))?;
    seen.push(("a container".to_owned(), inspected.to_string()));
    seen.push(("the engine's log".to_owned(), at.engine.log()));

    let same = at.cli.file("same.yaml", manifests)?;
    let other = at.cli.file("other.yaml", &manifests.replace(CANARY, OTHER))?;
    let mut commands: Vec<Vec<String>> = Vec::new();
    for (file, format) in
        [(&same, "text"), (&other, "text"), (&same, "json"), (&other, "json"), (&other, "yaml")]
    {
        for command in ["diff", "plan"] {
            commands.push([command, "-f", file, "-o", format].map(str::to_owned).to_vec());
        }
    }
    commands.push(["apply", "-f", &same, "-o", "json"].map(str::to_owned).to_vec());
    commands.push(["apply", "-f", &other, "--dry-run", "-o", "yaml"].map(str::to_owned).to_vec());
    for kind in ["organization/hello", "plan/hello-small"] {
        commands.push(["get", kind, "-o", "json"].map(str::to_owned).to_vec());
        commands.push(["describe", kind].map(str::to_owned).to_vec());
    }
    for address in
        ["hello/app/hello", "hello/secret/greeting", "hello/environment/production", "hello/domain/hello"]
    {
        for format in ["json", "yaml", "wide"] {
            commands.push(["get", address, "-o", format].map(str::to_owned).to_vec());
        }
        commands.push(["describe", address].map(str::to_owned).to_vec());
    }
    commands.push(["get", "secrets", "--org", "hello", "-o", "json"].map(str::to_owned).to_vec());
    commands.push(["events", "--org", "hello", "-o", "json"].map(str::to_owned).to_vec());
    for command in commands {
        let answer = at.cli.run(&command)?;
        assert!(answer.code < 2, "{command:?}: {}", answer.err);
        assert!(answer.out.len() + answer.err.len() > 10, "{command:?} says nothing");
        seen.push((command.join(" "), answer.out + &answer.err));
    }
    // What is wrong with a manifest is told without its lines.
    for wrong in [
        manifests.replace(&format!("value: {CANARY}"), &format!("valeu: {CANARY}")),
        manifests.replace(&format!("value: {CANARY}"), &format!("value: {{nested: {CANARY}}}")),
        manifests.replace(&format!("value: {CANARY}"), &format!("value: \"{CANARY}")),
    ] {
        let answer = at.cli.apply(&wrong, &[])?;
        assert_eq!(answer.code, 2, "{}{}", answer.out, answer.err);
        seen.push(("a refusal".to_owned(), answer.out + &answer.err));
    }
    seen.push(("the server's log".to_owned(), at.skep.logs()));
    Ok(seen)
}

fn the_profile_holds_and_the_secret_stays_secret(version: EngineVersion) -> Result<()> {
    // Objects of former values go when their secret is next looked at.
    let at =
        Installation::start_with(Options { resync: Some(Duration::from_secs(5)), ..Options::new(version) })?;
    let manifests = example(&at, CANARY)?;
    at.cli.apply_and_wait(&manifests)?.ok().with_context(|| at.report())?;

    let service = at.service("hello_production_web")?;
    let object = check_profile(&service["Spec"]);
    let digest = object.strip_prefix("hello_greeting_").context("named after its content")?;
    assert!(digest.len() == 12 && digest.chars().all(|c| c.is_ascii_hexdigit()), "{object}");

    let container = at.container("hello_production_web")?;
    let read = |path: &str| at.docker(&["exec", &container, "/bin/busybox", "cat", path]);
    assert_eq!(read("/run/secrets/greeting")?, CANARY);
    // The entry program has become the process's own, as the first of the container.
    let environment = read("/proc/1/environ")?;
    assert!(environment.split('\0').any(|entry| entry == format!("PASSWORD={CANARY}")), "{environment:?}");
    assert!(!read("/proc/1/cmdline")?.contains("skep"), "the entry program is there still");
    let process = read("/proc/1/status")?;
    assert!(process.contains("CapEff:\t0000000000000000"), "{process}");
    let write = |path: &str| at.engine.docker(&["exec", &container, "/bin/busybox", "touch", path]);
    assert!(!write("/written")?.status.success(), "the root file system can be written to");
    assert!(write("/tmp/written")?.status.success(), "/tmp cannot be written to");

    let status = at.cli.get("hello", "environment", "production")?["status"].clone();
    let privileges = &service["Spec"]["TaskTemplate"]["ContainerSpec"]["Privileges"];
    match version {
        EngineVersion::V20_10 => {
            let said = status["securityNotEnforced"].to_string();
            assert!(said.contains("no-new-privileges"), "{status:#}");
        }
        EngineVersion::V26_1 => {
            assert_eq!(privileges["NoNewPrivileges"], true, "{privileges}");
            assert!(process.contains("NoNewPrivs:\t1"), "{process}");
            assert_eq!(status["securityNotEnforced"], Value::Null, "{status:#}");
        }
    }

    let address = at.cli.server().strip_prefix("http://").context("it is plain HTTP")?.to_owned();
    let (host, port) = address.rsplit_once(':').context("it has a port")?;
    let open = http::get(host.parse()?, port.parse()?, &address, "/v1/orgs/hello/secrets/greeting")?;
    assert_eq!(open.status, 401, "{open:?}");

    for (place, text) in everything(&at, &manifests)? {
        for value in [CANARY, OTHER] {
            assert!(!text.contains(value), "{place} holds the secret's value:\n{text}");
            for encoded in [hex(value), base64(value)] {
                assert!(
                    !text.to_lowercase().contains(&encoded.to_lowercase()),
                    "{place} holds it encoded:\n{text}"
                );
            }
        }
    }

    // Another value is another object: the tasks get it, and the old one goes once nobody needs it.
    at.cli.apply_and_wait(&manifests.replace(CANARY, OTHER))?.ok().with_context(|| at.report())?;
    let container = at.container("hello_production_web")?;
    assert_eq!(at.docker(&["exec", &container, "/bin/busybox", "cat", "/run/secrets/greeting"])?, OTHER);
    skep_testbed::wait_until("the former value's object to go", Duration::from_secs(90), || {
        let names = at.docker(&["secret", "ls", "--format", "{{.Name}}"])?;
        skep_testbed::wait::ready(!names.contains(&object) && names.lines().count() == 1, &names)
    })
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// As much of the standard encoding as does not depend on what follows.
fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |bits: u32| char::from(DIGITS[usize::try_from(bits & 63).unwrap_or_default()]);
    let whole = text.as_bytes().chunks_exact(3);
    whole
        .flat_map(|three| {
            let bits = three.iter().fold(0, |bits: u32, byte| bits << 8 | u32::from(*byte));
            [18, 12, 6, 0].map(|shift| digit(bits >> shift))
        })
        .collect()
}

#[test]
fn the_profile_holds_and_the_secret_stays_secret_on_20_10() -> Result<()> {
    the_profile_holds_and_the_secret_stays_secret(EngineVersion::V20_10)
}

#[test]
fn the_profile_holds_and_the_secret_stays_secret_on_26_1() -> Result<()> {
    the_profile_holds_and_the_secret_stays_secret(EngineVersion::V26_1)
}
