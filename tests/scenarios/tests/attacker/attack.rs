//! Manifests that work, and hostile things to put into them.

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use skep_scenarios::dice::Dice;

fn document(org: &str, kind: &str, name: &str, spec: Value) -> Value {
    let metadata = if org.is_empty() { json!({"name": name}) } else { json!({"org": org, "name": name}) };
    json!({"apiVersion": "skep.dev/v1", "kind": kind, "metadata": metadata, "spec": spec})
}

/// What the platform wrote, and another organisation.
pub(crate) fn founding() -> Vec<Value> {
    let plan = json!({"instance": {"cpu": "1", "memory": "512Mi", "pids": 256}, "maxInstances": 5});
    let mut guarded = plan.clone();
    guarded["isolationTier"] = json!("guarded");
    let huge = json!({"instance": {"cpu": "64", "memory": "64Gi", "pids": 32768}});
    let tier = json!({"level": "enhanced", "pool": "gold", "profile": {"capabilities": ["CHOWN", "SETUID"]}});
    let theirs = json!({"app": "shop", "processes": {"web": {"ports": [{"name": "http", "port": 80}]}}});
    vec![
        document("", "IsolationTier", "guarded", tier),
        document("", "Plan", "small", guarded),
        document("", "Plan", "plain", plan),
        document("", "Plan", "huge", huge),
        document("", "Organization", "acme", json!({"plan": "small"})),
        document("", "Organization", "globex", json!({"plan": "plain"})),
        document("globex", "App", "shop", json!({"source": {"image": "shop:1"}, "processes": {"web": {}}})),
        document("globex", "Environment", "prod", theirs),
        document("globex", "Domain", "www", json!({"host": "www.globex.test", "environment": "prod"})),
    ]
}

/// What a tenant may write, each field that could be abused once.
pub(crate) fn harmless() -> Vec<Value> {
    let web = json!({
        "instances": 1,
        "entrypoint": ["/bin/serve"],
        "command": ["serve"],
        "workingDir": "/srv",
        "env": {"MODE": "quiet"},
        "ports": [{"name": "http", "port": 8080}],
        "healthCheck": {"command": ["check"]},
        "resources": {"cpu": "500m", "memory": "128Mi", "pids": 64},
        "volumes": [{"name": "data", "path": "/data"}],
    });
    let app = json!({"description": "sells", "source": {"image": "shop:1"}, "processes": {"web": web}});
    let environment = json!({
        "app": "shop",
        "plan": "small",
        "region": "eu",
        "env": {"LOG": "info"},
        "secrets": [{"name": "db", "file": "password", "env": "DB_PASSWORD"}],
        "security": {"user": 1000, "writableRoot": false},
        "processes": {"web": {"env": {"EXTRA": "1"}}},
    });
    vec![
        document("acme", "App", "shop", app),
        document("acme", "Secret", "db", json!({"value": "a value"})),
        document("acme", "Environment", "prod", environment),
        document("acme", "Domain", "www", json!({"host": "www.acme.test", "environment": "prod"})),
    ]
}

/// Hostile manifests, and what is hostile in them.
pub(crate) struct Attempt {
    pub(crate) manifests: Vec<Value>,
    pub(crate) hostile: Vec<String>,
}

impl Attempt {
    pub(crate) fn new(dice: &mut Dice) -> Result<Self> {
        let mut attempt = Self { manifests: harmless(), hostile: Vec::new() };
        // Whoever is root may ask for capabilities, and for a plan.
        if dice.roll(2)? == 0 {
            let (asked, plan) = (*dice.pick(&CAPABILITIES)?, *dice.pick(&PLANS)?);
            let environment = attempt.manifests.get_mut(2).context("the environment")?;
            environment["spec"]["security"] = json!({"capabilities": [asked], "writableRoot": false});
            environment["spec"]["plan"] = json!(plan);
            attempt.hostile.push(format!("it asks for {asked} and plan {plan}"));
        }
        // Where tenants may write what they like, the reader lets nearly everything through.
        if dice.roll(2)? == 0 {
            for (at, pointer) in FREE {
                let manifest = attempt.manifests.get_mut(at).context("a manifest")?;
                let text = *dice.pick(&TEXTS)?;
                *manifest.pointer_mut(pointer).with_context(|| format!("{pointer} is there"))? = json!(text);
                attempt.hostile.push(format!("manifest {at}: {pointer} = {text:?}"));
            }
            // And one thing where they may not.
            if dice.roll(3)? > 0 {
                return Ok(attempt);
            }
        }
        for _ in 0..=dice.roll(3)? {
            let at = dice.roll(attempt.manifests.len())?;
            let manifest = attempt.manifests.get_mut(at).context("a manifest")?;
            // Values get further than fields, so there are more of them.
            let done = if dice.roll(5)? == 0 { inject(manifest, dice)? } else { replace(manifest, dice)? };
            attempt.hostile.push(format!("manifest {at}: {done}"));
        }
        Ok(attempt)
    }
}

/// Fields that Docker, Compose, Kubernetes or Traefik have.
fn fields() -> Vec<(&'static str, Value)> {
    vec![
        ("privileged", json!(true)),
        ("mounts", json!([{"type": "bind", "source": "/", "target": "/host"}])),
        (
            "Mounts",
            json!([{"Type": "bind", "Source": "/var/run/docker.sock", "Target": "/var/run/docker.sock"}]),
        ),
        (
            "volumes",
            json!([{"name": "data", "path": "/d", "driverOpts": {"type": "none", "o": "bind", "device": "/"}}]),
        ),
        ("volumes", json!(["/:/host:rw"])),
        ("binds", json!(["/:/host"])),
        ("hostNetwork", json!(true)),
        ("network", json!("host")),
        ("networks", json!(["host", "skep-globex"])),
        ("networkMode", json!("host")),
        ("pid", json!("host")),
        ("ipc", json!("host")),
        ("capAdd", json!(["SYS_ADMIN"])),
        ("capabilities", json!({"add": ["ALL"]})),
        ("CapabilityAdd", json!(["CAP_SYS_ADMIN"])),
        ("securityContext", json!({"privileged": true})),
        ("security_opt", json!(["seccomp=unconfined"])),
        ("devices", json!(["/dev/sda"])),
        ("sysctls", json!({"kernel.core_pattern": "|/bin/sh"})),
        ("labels", json!({"traefik.http.routers.x.rule": "Host(`www.globex.test`)"})),
        ("deploy", json!({"labels": {"traefik.enable": "true"}})),
        ("placement", json!({"constraints": ["node.role==manager"]})),
        ("endpointSpec", json!({"ports": [{"PublishedPort": 22, "TargetPort": 22}]})),
        ("configs", json!([{"source": "other"}])),
        ("runtime", json!("plugin")),
        ("Privileges", json!({"NoNewPrivileges": false})),
        ("logDriver", json!({"name": "syslog"})),
        ("hostname", json!("{{.Node.Hostname}}")),
        ("extraHosts", json!(["metadata:169.254.169.254"])),
        ("__proto__", json!({"privileged": true})),
    ]
}

/// Texts that mean something to somebody further on.
const TEXTS: [&str; 46] = [
    "/",
    "/..",
    "/data/../..",
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/proc",
    "/proc/sys",
    "/sys",
    "/dev",
    "/etc",
    "/etc/passwd",
    "/run/secrets",
    "/run/secrets/password",
    "../../etc/passwd",
    "..",
    ".",
    "data,src=/,dst=/host,type=bind",
    "/data:/host:rw",
    "{{.Node.ID}}",
    "/{{.Node.Hostname}}",
    "{{ env \"HOME\" }}",
    "{{{{.Service.Labels}}}}",
    "x{{/* */}}y",
    "a.test`) || Host(`www.globex.test",
    "a.test`) || PathPrefix(`/",
    "www.globex.test",
    "WWW.globex.test",
    "www.globex.test.",
    "*",
    "*.test",
    "{any:.+}",
    "a.test\n",
    "a.test\u{0000}b",
    "a.test,www.globex.test",
    "skep-globex",
    "globex_prod_web",
    "host",
    "$(id)",
    "; rm -rf /",
    "`id`",
    "node.role==manager",
    "eu || node.role==manager",
    "eu==eu",
    "root",
    "0:0",
    "\u{202e}txt",
];

/// Capabilities, of which the tier of the organisation allows two.
const CAPABILITIES: [&str; 14] = [
    "CHOWN",
    "SETUID",
    "KILL",
    "SETGID",
    "SYS_CHROOT",
    "NET_RAW",
    "MKNOD",
    "SYS_ADMIN",
    "NET_ADMIN",
    "SYS_PTRACE",
    "SYS_MODULE",
    "ALL",
    "CAP_CHOWN",
    "chown",
];

/// Plans, of which the organisation's is one.
const PLANS: [&str; 4] = ["small", "plain", "huge", "nowhere"];

/// Where a tenant may write any text: of which of the [`harmless`] manifests, and where.
const FREE: [(usize, &str); 8] = [
    (0, "/spec/processes/web/entrypoint/0"),
    (0, "/spec/processes/web/command/0"),
    (0, "/spec/processes/web/env/MODE"),
    (0, "/spec/processes/web/healthCheck/command/0"),
    (0, "/spec/description"),
    (1, "/spec/value"),
    (2, "/spec/env/LOG"),
    (2, "/spec/processes/web/env/EXTRA"),
];

/// What is put in place of any value.
fn values() -> Vec<Value> {
    let mut values: Vec<Value> = TEXTS.iter().map(|text| json!(text)).collect();
    values.extend([
        json!(0),
        json!(-1),
        json!(22),
        json!(65535),
        json!(65536),
        json!(500),
        json!(4_294_967_296_u64),
        json!(1e300),
        json!(null),
        json!(true),
        json!([]),
        json!({}),
        json!("1024"),
        json!("1048576Gi"),
        json!("x".repeat(70_000)),
        json!(["sh", "-c", "mount /dev/sda /mnt"]),
        json!({"LD_PRELOAD": "/x.so", "DOCKER_HOST": "tcp://manager:2375", "A": "{{.Task.Name}}"}),
    ]);
    values
}

/// Labels and annotations that belong to others.
const LABELS: [&str; 7] = [
    "skep.dev/uid",
    "skep.dev/instance",
    "traefik.enable",
    "traefik.http.routers.x.rule",
    "com.docker.stack.namespace",
    "traefik.http.middlewares.x.basicauth.users",
    "a`b",
];

/// Puts a field somewhere that does not belong there.
fn inject(manifest: &mut Value, dice: &mut Dice) -> Result<String> {
    if dice.roll(4)? == 0 {
        let label = *dice.pick(&LABELS)?;
        let place = *dice.pick(&["labels", "annotations"])?;
        let metadata = manifest.get_mut("metadata").and_then(Value::as_object_mut).context("metadata")?;
        metadata.insert(place.to_owned(), json!({label: "Host(`www.globex.test`)"}));
        return Ok(format!("{place} {label}"));
    }
    let fields = fields();
    let (name, value) = dice.pick(&fields)?;
    let mut places = Vec::new();
    objects(manifest, "", &mut places);
    let place = dice.pick(&places)?.clone();
    let object = manifest.pointer_mut(&place).and_then(Value::as_object_mut).context("an object")?;
    object.insert((*name).to_owned(), value.clone());
    Ok(format!("{place}/{name} = {value}"))
}

/// Puts a value, or the key of a map, in place of another.
fn replace(manifest: &mut Value, dice: &mut Dice) -> Result<String> {
    let mut places = Vec::new();
    leaves(manifest.get("spec").unwrap_or(&Value::Null), "/spec", &mut places);
    places.push("/metadata/name".to_owned());
    places.push("/metadata/org".to_owned());
    let place = dice.pick(&places)?.clone();
    let values = values();
    let value = dice.pick(&values)?.clone();
    let is_map = ["/env/", "/processes/"].iter().any(|map| place.contains(map));
    if is_map
        && dice.roll(3)? == 0
        && let Value::String(text) = &value
    {
        let (parent, old) = place.rsplit_once('/').context("a pointer")?;
        if let Some(map) = manifest.pointer_mut(parent).and_then(Value::as_object_mut) {
            rename(map, &old.replace("~1", "/").replace("~0", "~"), text);
            return Ok(format!("{parent}: {old} is called {text:?}"));
        }
    }
    *manifest.pointer_mut(&place).context("a value")? = value.clone();
    let shown: String = value.to_string().chars().take(80).collect();
    Ok(format!("{place} = {shown}"))
}

fn rename(map: &mut Map<String, Value>, old: &str, new: &str) {
    if let Some(value) = map.remove(old) {
        map.insert(new.to_owned(), value);
    }
}

/// A name in a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn objects(value: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(object) = value.as_object() {
        found.push(at.to_owned());
        for (name, value) in object {
            objects(value, &format!("{at}/{}", escaped(name)), found);
        }
    }
    for (i, value) in value.as_array().into_iter().flatten().enumerate() {
        objects(value, &format!("{at}/{i}"), found);
    }
}

fn leaves(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            object.iter().for_each(|(name, value)| leaves(value, &format!("{at}/{}", escaped(name)), found))
        }
        Value::Array(array) => {
            array.iter().enumerate().for_each(|(i, value)| leaves(value, &format!("{at}/{i}"), found));
        }
        _ => found.push(at.to_owned()),
    }
}
