//! Somebody with access to the engine who changes what Skep made: the ways, and the changes made through the Docker API.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skep_testbed::http;

use crate::installation::Installation;

/// What is done to one place of a service's spec.
#[derive(Debug, Clone)]
pub enum Edit {
    /// Something is put there; what is missing on the way is made.
    Set(Value),
    /// What is there goes.
    Remove,
}

/// One way to change a service.
#[derive(Debug, Clone)]
pub struct Way {
    /// Where: a JSON pointer into the spec.
    pub at: &'static str,
    /// What.
    pub edit: Edit,
    /// Where the report must say so, if that is not the same place.
    pub reported: &'static str,
}

const fn way(at: &'static str, edit: Edit, reported: &'static str) -> Way {
    Way { at, edit, reported }
}

fn set(at: &'static str, value: Value) -> Way {
    way(at, Edit::Set(value), at)
}

fn set_reported(at: &'static str, value: Value, reported: &'static str) -> Way {
    way(at, Edit::Set(value), reported)
}

fn remove(at: &'static str) -> Way {
    way(at, Edit::Remove, at)
}

/// The ways in which the campaign changes a service: labels, template, placement, network, roll-out, scale, ports. Beginnings of
/// pointers suffice, since an object or list that is new is reported by what is in it.
pub fn ways() -> Vec<Way> {
    vec![
        set("/Labels/team", json!("blue")),
        set("/Labels/traefik.enable", json!("false")),
        remove("/Labels/traefik.enable"),
        set("/Labels/skep.dev~1release", json!("v99")),
        remove("/Labels/skep.dev~1release"),
        remove("/Labels/skep.dev~1instance"),
        set("/Labels/skep.dev~1instance", json!("somebody-else")),
        remove("/Labels/skep.dev~1uid"),
        remove("/Labels"),
        set("/Mode/Replicated/Replicas", json!(1)),
        set("/UpdateConfig/Parallelism", json!(7)),
        set("/UpdateConfig/Order", json!("stop-first")),
        set("/UpdateConfig/FailureAction", json!("continue")),
        set("/UpdateConfig/Monitor", json!(90_000_000_000_i64)),
        set("/UpdateConfig/MaxFailureRatio", json!(0.5)),
        set("/RollbackConfig/Parallelism", json!(9)),
        set("/EndpointSpec/Mode", json!("vip")),
        set("/TaskTemplate/ContainerSpec/Image", json!("127.0.0.1:5000/anchor:1")),
        set("/TaskTemplate/ContainerSpec/Labels/team", json!("blue")),
        set("/TaskTemplate/ContainerSpec/Command", json!(["/bin/other"])),
        set("/TaskTemplate/ContainerSpec/Args", json!(["--debug"])),
        set("/TaskTemplate/ContainerSpec/Dir", json!("/srv")),
        set("/TaskTemplate/ContainerSpec/User", json!("0:0")),
        set("/TaskTemplate/ContainerSpec/Groups", json!(["4"])),
        set("/TaskTemplate/ContainerSpec/Hostname", json!("box")),
        set("/TaskTemplate/ContainerSpec/TTY", json!(true)),
        set("/TaskTemplate/ContainerSpec/OpenStdin", json!(true)),
        remove("/TaskTemplate/ContainerSpec/ReadOnly"),
        set("/TaskTemplate/ContainerSpec/Init", json!(false)),
        set("/TaskTemplate/ContainerSpec/StopSignal", json!("SIGINT")),
        set("/TaskTemplate/ContainerSpec/StopGracePeriod", json!(99_000_000_000_i64)),
        set("/TaskTemplate/ContainerSpec/CapabilityAdd", json!(["CAP_SYS_ADMIN"])),
        remove("/TaskTemplate/ContainerSpec/CapabilityDrop"),
        set("/TaskTemplate/ContainerSpec/Sysctls", json!({"net.ipv4.ip_forward": "1"})),
        set("/TaskTemplate/ContainerSpec/Ulimits", json!([{"Name": "nofile", "Soft": 9, "Hard": 9}])),
        set("/TaskTemplate/ContainerSpec/Hosts", json!(["10.0.0.1 evil.example.com"])),
        set("/TaskTemplate/ContainerSpec/DNSConfig", json!({"Nameservers": ["10.0.0.53"]})),
        set("/TaskTemplate/ContainerSpec/Healthcheck/Interval", json!(77_000_000_000_i64)),
        set("/TaskTemplate/ContainerSpec/Healthcheck/Test", json!(["NONE"])),
        set(
            "/TaskTemplate/ContainerSpec/Mounts",
            json!([{"Type": "bind", "Source": "/", "Target": "/host"}]),
        ),
        remove("/TaskTemplate/ContainerSpec/Mounts"),
        remove("/TaskTemplate/ContainerSpec/Secrets"),
        set_reported(
            "/TaskTemplate/ContainerSpec/Env",
            json!(["GREETING=changed", "PORT=8080"]),
            "/TaskTemplate/ContainerSpec/Env/GREETING",
        ),
        set_reported(
            "/TaskTemplate/ContainerSpec/Env",
            json!(["GREETING=good morning", "PORT=8080", "LD_PRELOAD=/tmp/x.so"]),
            "/TaskTemplate/ContainerSpec/Env/LD_PRELOAD",
        ),
        set_reported(
            "/TaskTemplate/ContainerSpec/Env",
            json!(["GREETING=good morning"]),
            "/TaskTemplate/ContainerSpec/Env/PORT",
        ),
        set("/TaskTemplate/Resources/Limits/MemoryBytes", json!(1_i64 << 40)),
        set("/TaskTemplate/Resources/Limits/NanoCPUs", json!(2_000_000)),
        remove("/TaskTemplate/Resources/Limits/Pids"),
        set("/TaskTemplate/Resources/Reservations/MemoryBytes", json!(12_000_000)),
        set("/TaskTemplate/RestartPolicy/Condition", json!("none")),
        set("/TaskTemplate/RestartPolicy/Delay", json!(55_000_000_000_i64)),
        set("/TaskTemplate/RestartPolicy/MaxAttempts", json!(3)),
        set("/TaskTemplate/Placement/Constraints", json!(["node.role==worker"])),
        set("/TaskTemplate/Placement/MaxReplicas", json!(1)),
        set("/TaskTemplate/LogDriver", json!({"Name": "none"})),
        remove("/TaskTemplate/Networks"),
    ]
}

impl Installation {
    /// Changes a service as anybody with the engine's socket can, however often its version moves meanwhile.
    pub fn meddle(&self, service: &str, change: impl Fn(&mut Value) -> Result<()>) -> Result<()> {
        for _ in 0..20 {
            let mut live = self.service(service)?;
            change(&mut live["Spec"])?;
            let (id, version) = (live["ID"].as_str().context("an id")?, &live["Version"]["Index"]);
            let path = format!("/services/{id}/update?version={version}");
            let answer = http::send_unix(&self.engine.socket(), "POST", &path, &live["Spec"].to_string())?;
            if answer.body.contains("update out of sequence") {
                continue;
            }
            ensure!(answer.status == 200, "{path}: {}", answer.body);
            return Ok(());
        }
        anyhow::bail!("{service} changed all the time")
    }

    /// Any request to the engine that changes something.
    pub fn ask_engine(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let json = if body.is_null() { String::new() } else { body.to_string() };
        let answer = http::send_unix(&self.engine.socket(), method, path, &json)?;
        ensure!((200..300).contains(&answer.status), "{method} {path}: {} {}", answer.status, answer.body);
        Ok(serde_json::from_str(&answer.body).unwrap_or_default())
    }
}

/// Does an edit to a spec.
pub fn edit(spec: &mut Value, way: &Way) -> Result<()> {
    let (parent, last) = way.at.rsplit_once('/').context("a pointer")?;
    let last = last.replace("~1", "/").replace("~0", "~");
    let mut at = spec;
    for part in parent.split('/').skip(1) {
        at = &mut at[part.replace("~1", "/").replace("~0", "~").as_str()];
    }
    match &way.edit {
        Edit::Set(value) => at[last.as_str()] = value.clone(),
        Edit::Remove => {
            at.as_object_mut()
                .context("an object")?
                .remove(&last)
                .with_context(|| format!("nothing at {}", way.at))?;
        }
    }
    Ok(())
}
