//! The way out: environments as a Compose file, with a note for whatever such a file cannot say.
//!
//! Each process of an environment becomes a service, which is found under the names that it has on the organisation's network. What Skep gives every
//! container without being asked (no capabilities, no new privileges, a root that cannot be written to) is written down, because nobody else gives
//! it. Values of secrets are not there: nobody can read them back, so the file names where they have to be put.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use skep_schemas::kind::{
    AppSpec, DomainSpec, EnvironmentSpec, HealthCheck, ProcessSpec, RELEASE_PHASE, RestartCondition,
    RolloutOrder, TlsMode,
};
use skep_schemas::{
    DomainField, EnvironmentField, ProcessField, ProcessName, Reference, ResourceName, ValueTemplate,
};

use crate::report::Report;

/// An environment to be exported, and what it refers to.
#[derive(Debug, Clone, Copy)]
pub struct Exported<'a> {
    /// Its name.
    pub name: &'a ResourceName,
    /// What it says.
    pub environment: &'a EnvironmentSpec,
    /// What its app says.
    pub app: &'a AppSpec,
    /// The Domains that lead to it, by name.
    pub domains: &'a BTreeMap<ResourceName, DomainSpec>,
}

/// A Compose file.
#[derive(Debug, Clone)]
pub struct Export {
    /// The file, to be written as YAML.
    pub file: Value,
    /// What is not in it, or has to be done besides, by the field of the environment.
    pub notes: Report,
}

/// Makes one file of environments.
pub fn export(project: &str, environments: &[Exported<'_>]) -> Export {
    let mut notes = Report::default();
    let (mut services, mut volumes, mut secrets) = (Map::new(), Map::new(), BTreeSet::new());
    for exported in environments {
        for (name, process) in processes(exported) {
            let at = format!("{}.processes.{name}", exported.name);
            if let Some(schedule) = &process.schedule {
                notes.refuse(
                    format!("{at}.schedule"),
                    format!("Compose has no schedules: run it `{}` by other means", schedule.recurrence()),
                );
                continue;
            }
            let service = service(exported, &name, &process, &at, &mut notes);
            services.insert(service_name(exported.name, &name), service);
            for volume in process.volumes.iter().flatten() {
                volumes.insert(format!("{}_{}", exported.name, volume.name), json!({}));
            }
        }
        secrets.extend(exported.environment.secrets.iter().map(|mount| mount.name.clone()));
    }
    let mut file = Map::new();
    file.insert("name".to_owned(), project.into());
    file.insert("services".to_owned(), Value::Object(services));
    if !volumes.is_empty() {
        file.insert("volumes".to_owned(), Value::Object(volumes));
    }
    if !secrets.is_empty() {
        let each =
            secrets.iter().map(|name| (name.to_string(), json!({ "file": format!("./secrets/{name}") })));
        for name in &secrets {
            notes.decide(
                format!("secrets.{name}"),
                format!("put its value into ./secrets/{name}: nobody can read it back from here"),
            );
        }
        file.insert("secrets".to_owned(), Value::Object(each.collect()));
    }
    Export { file: Value::Object(file), notes }
}

/// The environment's processes over those of the app, field by field.
fn processes(exported: &Exported<'_>) -> BTreeMap<ProcessName, ProcessSpec> {
    let mut all = exported.app.processes.clone();
    for (name, over) in &exported.environment.processes {
        let under = all.entry(name.clone()).or_default();
        let mut env = std::mem::take(&mut under.env);
        env.extend(over.env.clone());
        let over = over.clone();
        *under = ProcessSpec {
            instances: over.instances.or(under.instances),
            entrypoint: over.entrypoint.or(under.entrypoint.take()),
            command: over.command.or(under.command.take()),
            working_dir: over.working_dir.or(under.working_dir.take()),
            env,
            ports: over.ports.or(under.ports.take()),
            health_check: over.health_check.or(under.health_check.take()),
            resources: over.resources.or(under.resources),
            volumes: over.volumes.or(under.volumes.take()),
            stop_grace_period: over.stop_grace_period.or(under.stop_grace_period),
            schedule: over.schedule.or(under.schedule.take()),
            time_limit: over.time_limit.or(under.time_limit),
        };
    }
    all
}

/// One process of an environment is called like the environment, as it is on the network.
fn service_name(environment: &ResourceName, process: &ProcessName) -> String {
    if process.as_str() == "web" { environment.to_string() } else { format!("{environment}-{process}") }
}

fn service(
    exported: &Exported<'_>,
    name: &ProcessName,
    process: &ProcessSpec,
    at: &str,
    notes: &mut Report,
) -> Value {
    let environment = exported.environment;
    let mut service = Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            service.insert(key.to_owned(), value);
        }
    };
    let image = environment.image.as_ref().or(exported.app.source.as_ref().map(|source| &source.image));
    if image.is_none() {
        notes.decide(format!("{at}.image"), "it has no image");
    }
    put("image", image.map(|image| image.to_string().into()));
    put("entrypoint", process.entrypoint.as_ref().map(|words| words_of(words)));
    put("command", process.command.as_ref().map(|words| words_of(words)));
    put("working_dir", process.working_dir.as_ref().map(|path| path.as_str().into()));
    put("environment", variables(exported, process, at, notes));
    put(
        "expose",
        process
            .ports
            .as_ref()
            .map(|ports| ports.iter().map(|port| Value::from(port.port.get().to_string())).collect()),
    );
    put("healthcheck", process.health_check.as_ref().map(health));
    put("stop_grace_period", process.stop_grace_period.map(|period| period.to_string().into()));
    put(
        "volumes",
        process.volumes.as_ref().map(|volumes| {
            let mount = |volume: &skep_schemas::kind::VolumeMount| {
                let suffix = if volume.read_only { ":ro" } else { "" };
                Value::from(format!("{}_{}:{}{suffix}", exported.name, volume.name, volume.path))
            };
            volumes.iter().map(mount).collect()
        }),
    );
    put("secrets", secrets(environment, at, notes));
    let is_once = name.as_str() == RELEASE_PHASE;
    if is_once {
        notes.decide(at, "run it before each roll-out: `docker compose --profile release run`");
        put("profiles", Some(json!([RELEASE_PHASE])));
    }
    put("restart", Some(restart(environment, is_once).into()));
    put("networks", Some(json!({ "default": { "aliases": aliases(exported.name, name) } })));
    put("read_only", Some((!environment.security.writable_root).into()));
    put("tmpfs", (!environment.security.writable_root).then(|| json!(["/tmp"])));
    put("user", environment.security.user.map(|user| user.to_string().into()));
    put("cap_drop", Some(json!(["ALL"])));
    let capabilities = &environment.security.capabilities;
    put(
        "cap_add",
        (!capabilities.is_empty())
            .then(|| capabilities.iter().map(|capability| capability.as_str()).collect()),
    );
    put("security_opt", Some(json!(["no-new-privileges:true"])));
    put("deploy", Some(deploy(exported, name, process)));
    Value::Object(service)
}

/// A `$` begins a variable in Compose.
fn text(value: &str) -> Value {
    value.replace('$', "$$").into()
}

fn words_of(words: &[String]) -> Value {
    words.iter().map(|word| text(word)).collect()
}

fn variables(exported: &Exported<'_>, process: &ProcessSpec, at: &str, notes: &mut Report) -> Option<Value> {
    let mut all = exported.environment.env.clone();
    all.extend(process.env.clone());
    let known = known(exported);
    let mut found = Map::new();
    // Skep says it without being asked; a program may rely on it.
    if let Some(port) = process.ports.iter().flatten().next() {
        found.insert("PORT".to_owned(), port.port.get().to_string().into());
    }
    for (name, value) in all {
        match ValueTemplate::parse(&value).ok().and_then(|template| template.resolved(&known)) {
            Some(plain) => found.insert(name.to_string(), text(&plain)),
            None => {
                notes.decide(
                    format!("{at}.env.{name}"),
                    "it refers to something of Skep: write what that stands for",
                );
                found.insert(name.to_string(), text(&value))
            }
        };
    }
    (!found.is_empty()).then(|| Value::Object(found))
}

/// What references in variables stand for. A host that is reached without encryption has the scheme that says so.
fn known(exported: &Exported<'_>) -> BTreeMap<Reference, String> {
    let mut known = BTreeMap::new();
    known.insert(Reference::Environment { field: EnvironmentField::Name }, exported.name.to_string());
    for (process, spec) in processes(exported) {
        let host = format!("{process}.{}.internal", exported.name);
        known.insert(Reference::Process { process: process.clone(), field: ProcessField::Host }, host);
        if let Some(port) = spec.ports.iter().flatten().next() {
            known.insert(
                Reference::Process { process, field: ProcessField::Port },
                port.port.get().to_string(),
            );
        }
    }
    for (domain, spec) in exported.domains {
        let scheme = if spec.tls == TlsMode::Off { "http" } else { "https" };
        let of = |field| Reference::Domain { domain: domain.clone(), field };
        known.insert(of(DomainField::Host), spec.host.to_string());
        known.insert(of(DomainField::Url), format!("{scheme}://{}", spec.host));
    }
    known
}

fn secrets(environment: &EnvironmentSpec, at: &str, notes: &mut Report) -> Option<Value> {
    let mount = |mount: &skep_schemas::kind::SecretMount| {
        if let Some(variable) = &mount.env {
            let why = format!("Compose gives secrets to programs as files alone; {variable} is not set");
            notes.refuse(format!("{at}.secrets.{}", mount.name), why);
        }
        json!({ "source": mount.name, "target": mount.file_name() })
    };
    let all: Vec<Value> = environment.secrets.iter().map(mount).collect();
    (!all.is_empty()).then_some(Value::Array(all))
}

fn health(check: &HealthCheck) -> Value {
    let mut test = vec![Value::from("CMD")];
    test.extend(check.command.iter().map(|word| text(word)));
    json!({
        "test": test,
        "interval": check.interval.to_string(),
        "timeout": check.timeout.to_string(),
        "retries": check.retries,
        "start_period": check.start_period.to_string(),
    })
}

fn restart(environment: &EnvironmentSpec, is_once: bool) -> &'static str {
    match environment.restart.condition {
        _ if is_once => "no",
        RestartCondition::Any => "always",
        RestartCondition::OnFailure => "on-failure",
        RestartCondition::None => "no",
    }
}

/// The names that the process has on the organisation's network.
fn aliases(environment: &ResourceName, process: &ProcessName) -> Vec<String> {
    let long = format!("{process}.{environment}.internal");
    if process.as_str() == "web" { vec![format!("{environment}.internal"), long] } else { vec![long] }
}

fn deploy(exported: &Exported<'_>, name: &ProcessName, process: &ProcessSpec) -> Value {
    let environment = exported.environment;
    let mut deploy = Map::new();
    if let Some(instances) = process.instances {
        deploy.insert("replicas".to_owned(), instances.into());
    }
    if let Some(resources) = process.resources {
        let cpus = format!("{}.{:03}", resources.cpu.millis() / 1000, resources.cpu.millis() % 1000);
        let limits =
            json!({ "cpus": cpus, "memory": resources.memory.get().to_string(), "pids": resources.pids });
        deploy.insert("resources".to_owned(), json!({ "limits": limits }));
    }
    let condition = match environment.restart.condition {
        _ if name.as_str() == RELEASE_PHASE => "none",
        RestartCondition::Any => "any",
        RestartCondition::OnFailure => "on-failure",
        RestartCondition::None => "none",
    };
    let delay = environment.restart.delay.to_string();
    deploy.insert("restart_policy".to_owned(), json!({ "condition": condition, "delay": delay }));
    let mut update = json!({ "parallelism": environment.rollout.parallelism, "failure_action": "rollback" });
    let order = match environment.rollout.order {
        RolloutOrder::Auto if process.volumes.as_ref().is_none_or(Vec::is_empty) => "start-first",
        RolloutOrder::StartFirst => "start-first",
        RolloutOrder::Auto | RolloutOrder::StopFirst => "stop-first",
    };
    update["order"] = order.into();
    deploy.insert("update_config".to_owned(), update);
    if let Some(region) = &environment.region {
        deploy.insert(
            "placement".to_owned(),
            json!({ "constraints": [format!("node.labels.region == {region}")] }),
        );
    }
    let labels = labels(exported, name, process);
    if !labels.is_empty() {
        deploy.insert("labels".to_owned(), Value::Object(labels));
    }
    Value::Object(deploy)
}

/// What a Traefik beside it has to be told of its Domains.
fn labels(exported: &Exported<'_>, name: &ProcessName, process: &ProcessSpec) -> Map<String, Value> {
    let mut labels = Map::new();
    for (domain, spec) in exported.domains {
        if spec.environment != *exported.name || spec.process_name() != name.as_str() {
            continue;
        }
        let ports = process.ports.as_deref().unwrap_or_default();
        let named =
            |port: &&skep_schemas::kind::NamedPort| spec.port.as_ref().is_none_or(|name| port.name == *name);
        let Some(port) = ports.iter().find(named) else { continue };
        let router = format!("traefik.http.routers.{domain}");
        labels.insert("traefik.enable".to_owned(), "true".into());
        labels.insert(format!("{router}.rule"), format!("Host(`{}`)", spec.host).into());
        if spec.tls == TlsMode::Automatic {
            labels.insert(format!("{router}.tls"), "true".into());
        }
        labels.insert(format!("{router}.service"), domain.as_str().into());
        let server = format!("traefik.http.services.{domain}.loadbalancer.server.port");
        labels.insert(server, port.port.get().to_string().into());
    }
    labels
}
