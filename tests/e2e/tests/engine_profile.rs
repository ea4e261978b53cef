//! The restricted profile as running containers have it, on an engine that keeps all of it and on one that does not: what the engine was told,
//! what it made of that, and what the kernel says of the process.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skep_e2e::Installation;
use skep_e2e::manifests::{documents, image, resource};
use skep_testbed::{EngineVersion, wait, wait_until};

/// `CAP_CHOWN` and `CAP_SETUID` in the kernel's numbers: bits 0 and 7.
const CHOWN_AND_SETUID: &str = "0000000000000081";
const NONE: &str = "0000000000000000";

fn platform(kind: &str, name: &str, spec: Value) -> Value {
    json!({ "apiVersion": "skep.dev/v1", "kind": kind, "metadata": { "name": name }, "spec": spec })
}

fn founding() -> String {
    let instance = json!({ "cpu": "250m", "memory": "64Mi", "pids": 64 });
    documents(&[
        platform(
            "IsolationTier",
            "shared",
            json!({ "level": "standard", "profile": { "capabilities": ["CHOWN", "SETUID"] } }),
        ),
        platform("Plan", "hobby", json!({ "instance": instance, "isolationTier": "shared" })),
        platform("Organization", "acme", json!({ "plan": "hobby" })),
        resource(
            "acme",
            "App",
            "shop",
            json!({ "source": { "image": image("hello:v1") }, "processes": { "web": { "instances": 1 } } }),
        ),
    ])
}

fn environment(name: &str, security: &Value) -> String {
    let spec = json!({ "app": "shop", "security": security, "rollout": { "deadline": "2m" } });
    documents(&[resource("acme", "Environment", name, spec)])
}

/// What the kernel says of a container's first process, by the names of `/proc/1/status`.
struct Process(String);

impl Process {
    fn of(at: &Installation, container: &str) -> Result<Self> {
        Ok(Self(at.docker(&["exec", container, "/bin/busybox", "cat", "/proc/1/status"])?))
    }

    fn has(&self, field: &str) -> &str {
        let line = self.0.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.map(str::trim).unwrap_or_default()
    }
}

/// What holds for every container.
fn check_always(at: &Installation, version: EngineVersion, container: &str) -> Result<()> {
    let inspected = at.engine_says(&format!("/containers/{container}/json"))?;
    let host = &inspected["HostConfig"];
    assert_eq!(host["CapDrop"], json!(["ALL"]), "{host:#}");
    assert_eq!(host["Privileged"], false);
    assert_eq!(host["ReadonlyRootfs"], true);
    assert_eq!(host["NanoCpus"], 250_000_000);
    assert_eq!(host["Memory"], 64 << 20);
    assert_eq!(host["PidsLimit"], 64);
    assert_eq!((&host["PidMode"], &host["UTSMode"]), (&json!(""), &json!("")));
    ensure!(host["IpcMode"] != "host" && host["Devices"].as_array().is_none_or(Vec::is_empty), "{host:#}");
    for path in host["MaskedPaths"].as_array().context("paths are masked")? {
        ensure!(path.as_str().is_some_and(|path| path.starts_with("/proc") || path.starts_with("/sys")));
    }
    let process = Process::of(at, container)?;
    // A filter is in force (2), and it is the engine's own, because nobody named another.
    assert_eq!(process.has("Seccomp"), "2", "{}", process.0);
    let options = host["SecurityOpt"].to_string();
    ensure!(!options.contains("unconfined"), "{options}");
    let said = at.cli.get("acme", "environment", "bare")?["status"]["securityNotEnforced"].clone();
    match version {
        EngineVersion::V20_10 => {
            assert_eq!(process.has("NoNewPrivs"), "0");
            ensure!(said.to_string().contains("no-new-privileges"), "{said}");
        }
        EngineVersion::V26_1 => {
            assert_eq!(process.has("NoNewPrivs"), "1");
            assert_eq!(said, Value::Null);
        }
    }
    let exec = |command: &[&str]| {
        let all = [&["exec", container, "/bin/busybox"], command].concat();
        Ok::<_, anyhow::Error>(at.engine.docker(&all)?.status.success())
    };
    ensure!(!exec(&["touch", "/written"])?, "the root file system can be written to");
    ensure!(!exec(&["mount", "-t", "tmpfs", "x", "/tmp"])?, "something can be mounted");
    Ok(())
}

fn the_profile_is_what_running_containers_have(version: EngineVersion) -> Result<()> {
    let at = Installation::start(version)?;
    at.cli.apply(&founding(), &[])?.ok()?;
    let asked = json!({ "capabilities": ["SETUID", "CHOWN"] });
    for (name, security) in [("bare", &json!({})), ("chowns", &asked), ("user", &json!({ "user": 1000 }))] {
        at.cli.apply_and_wait(&environment(name, security))?.ok().with_context(|| at.report())?;
        let container = at.container(&format!("acme_{name}_web"))?;
        check_always(&at, version, &container)?;
    }

    let process = |name: &str| Process::of(&at, &at.container(&format!("acme_{name}_web"))?);
    let chown = |name: &str| {
        let container = at.container(&format!("acme_{name}_web"))?;
        let command = ["exec", &container, "/bin/busybox", "sh", "-c", "touch /tmp/x && chown 7 /tmp/x"];
        Ok::<_, anyhow::Error>(at.engine.docker(&command)?.status.success())
    };
    for field in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(process("bare")?.has(field), NONE, "{field}");
        assert_eq!(process("user")?.has(field), NONE, "{field}");
    }
    assert_eq!(process("user")?.has("Uid"), "1000\t1000\t1000\t1000");
    ensure!(!chown("bare")?, "root gives files away without the capability");

    // What the tier allows is there, in the engine's words and in the kernel's, and nothing beside it.
    let container = at.container("acme_chowns_web")?;
    let added = at.engine_says(&format!("/containers/{container}/json"))?["HostConfig"]["CapAdd"].clone();
    assert_eq!(added, json!(["CAP_CHOWN", "CAP_SETUID"]));
    for field in ["CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(process("chowns")?.has(field), CHOWN_AND_SETUID, "{field}");
    }
    assert_eq!(process("chowns")?.has("CapAmb"), NONE);
    ensure!(chown("chowns")?, "the capability is of no use");

    // What it does not allow is refused; what no tier can allow is not even a word.
    let refused = at.cli.apply(&environment("chowns", &json!({ "capabilities": ["KILL"] })), &[])?;
    ensure!(refused.code == 2 && refused.err.contains("SK0205"), "{}{}", refused.out, refused.err);
    let refused = at.cli.apply(&environment("chowns", &json!({ "capabilities": ["SYS_ADMIN"] })), &[])?;
    ensure!(refused.code == 2 && refused.err.contains("SYS_ADMIN"), "{}{}", refused.out, refused.err);

    // A row that is written past all that is not released either.
    at.psql(
        "UPDATE resource SET spec = jsonb_set(spec, '{security}', '{\"capabilities\": [\"KILL\"]}'), generation = generation + 1
         WHERE org = 'acme' AND kind = 'Environment' AND name = 'chowns'",
    )?;
    wait_until("the environment to be stalled", Duration::from_secs(30), || {
        let status = at.cli.get("acme", "environment", "chowns")?["status"].to_string();
        wait::ready(status.contains("does not allow the capability KILL"), &status)
    })?;
    assert_eq!(process("chowns")?.has("CapEff"), CHOWN_AND_SETUID);
    Ok(())
}

#[test]
fn the_profile_is_what_running_containers_have_on_20_10() -> Result<()> {
    the_profile_is_what_running_containers_have(EngineVersion::V20_10)
}

#[test]
fn the_profile_is_what_running_containers_have_on_26_1() -> Result<()> {
    the_profile_is_what_running_containers_have(EngineVersion::V26_1)
}
