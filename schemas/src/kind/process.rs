//! What apps and environments say about one process.
//!
//! Both use the same type: the app says what a process is (command, ports, health check), the environment how much of it
//! runs (instances, resources), and a field that the environment sets wins over the app's.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Problems;
use super::once::ScheduleSpec;
use crate::reference::ValueTemplate;
use crate::scalar::{Bytes, Cpu, Duration, EnvName, MountPath, Port, ProcessName, ResourceName};

/// The most instances of one process: a typing error must not flood a cluster.
pub const INSTANCES_MAX: u32 = 500;
/// The most processes of one app: each is a service.
const PROCESSES_MAX: usize = 20;
/// The most entries of each list of a process; keeps service specs far below the engine's limit.
const ENTRIES_MAX: usize = 64;
/// The most environment variables of one process, likewise.
pub(super) const ENV_MAX: usize = 256;
/// The longest value of an environment variable, likewise: 256 of them stay below 600 KB only with short names and values,
/// so the planner also measures the whole spec.
pub(super) const ENV_VALUE_MAX: usize = 32 * 1024;

/// One process: one Swarm service.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProcessSpec {
    /// How many instances run. When absent, the number belongs to whoever scales the service, a person or an autoscaler, and is 1
    /// until somebody does; when present, another number is drift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 500))]
    pub instances: Option<u32>,
    /// The program and its first arguments, replacing the image's entry point. Not a shell line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// The arguments, replacing the image's command. Not a shell line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// The directory in which the program starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<MountPath>,
    /// Environment variables of this process alone; they win over the environment's. `${domain.www.url}` in a value is a reference, `$${` the text `${`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<EnvName, String>,
    /// The ports that it listens on. The first is the one that domains route to, and the value of `PORT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<Vec<NamedPort>>,
    /// How to tell that an instance works. Without one an instance counts as working as soon as it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheck>,
    /// What one instance may use; the plan's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Named volumes. A process with a volume is stopped before its replacement starts, so that two never write to it at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volumes: Option<Vec<VolumeMount>>,
    /// How long an instance may take to end after it was asked to, before it is killed. 30s when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_grace_period: Option<Duration>,
    /// When it runs, again and again, each time until it ends. A process that has a schedule is no service: it has neither instances nor ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleSpec>,
    /// For how long a process that has a schedule, or the release phase, the process called `release`, may run; 1h when absent. No other has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<Duration>,
}

/// A port that a process listens on, inside the organisation's network. It is never published on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NamedPort {
    /// A name by which a domain can choose it.
    pub name: ProcessName,
    /// The number.
    pub port: Port,
}

/// How to tell that an instance works: a program inside the container that ends with status 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HealthCheck {
    /// The program and its arguments; run inside the container, without a shell.
    pub command: Vec<String>,
    /// Time between checks.
    #[serde(default = "HealthCheck::default_interval")]
    pub interval: Duration,
    /// How long one check may take.
    #[serde(default = "HealthCheck::default_timeout")]
    pub timeout: Duration,
    /// How many checks must fail in a row.
    #[serde(default = "HealthCheck::default_retries")]
    #[schemars(range(min = 1, max = 100))]
    pub retries: u32,
    /// How long failures do not count after the start.
    #[serde(default = "HealthCheck::default_start_period")]
    pub start_period: Duration,
}

impl HealthCheck {
    fn default_interval() -> Duration {
        Duration::from_secs(10)
    }

    fn default_timeout() -> Duration {
        Duration::from_secs(5)
    }

    fn default_retries() -> u32 {
        3
    }

    fn default_start_period() -> Duration {
        Duration::from_secs(10)
    }

    /// The longest time until a broken instance is known to be broken: what a roll-out has to watch for.
    pub fn verdict_after(&self) -> Duration {
        self.start_period.plus(self.interval.plus(self.timeout).times(self.retries))
    }
}

/// What one instance may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resources {
    /// CPU time.
    pub cpu: Cpu,
    /// Memory; more than that ends the instance.
    pub memory: Bytes,
    /// Processes and threads.
    #[serde(default = "Resources::default_pids")]
    #[schemars(range(min = 1, max = 32768))]
    pub pids: u32,
}

impl Resources {
    fn default_pids() -> u32 {
        256
    }

    pub(super) fn check(&self, pointer: &str, problems: &mut Problems) {
        // Docker refuses less than 6 MiB.
        const MEMORY_MIN: u64 = 6 << 20;
        if self.memory.get() < MEMORY_MIN {
            problems.push(
                format!("{pointer}/memory"),
                format!("{} is too little memory for a container", self.memory),
                "use at least `6Mi`",
            );
        }
        if self.pids == 0 || self.pids > 32_768 {
            problems.push(
                format!("{pointer}/pids"),
                "the number of processes is out of range",
                "use 1 to 32768",
            );
        }
    }
}

/// A named volume inside the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VolumeMount {
    /// The volume; one of the environment, shared by its processes.
    pub name: ResourceName,
    /// Where it appears.
    pub path: MountPath,
    /// Mount it without the right to write.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
}

/// Checks the processes of an app or an environment; pointers are relative to the spec.
pub(super) fn check_processes(processes: &BTreeMap<ProcessName, ProcessSpec>, problems: &mut Problems) {
    if processes.len() > PROCESSES_MAX {
        problems.push(
            "/processes",
            format!("{} processes are too many", processes.len()),
            format!("use at most {PROCESSES_MAX}"),
        );
    }
    for (name, process) in processes {
        let pointer = format!("/processes/{name}");
        process.check(&pointer, problems);
        process.check_once(name, &pointer, problems);
    }
}

/// Checks environment variables; pointers are relative to the spec.
pub(super) fn check_env(pointer: &str, env: &BTreeMap<EnvName, String>, problems: &mut Problems) {
    if env.len() > ENV_MAX {
        problems.push(
            pointer,
            format!("{} variables are too many", env.len()),
            format!("use at most {ENV_MAX}"),
        );
    }
    for (name, value) in env {
        if value.len() > ENV_VALUE_MAX {
            problems.push(
                format!("{pointer}/{name}"),
                format!("the value is {} bytes long", value.len()),
                format!("use at most {ENV_VALUE_MAX} bytes; put larger data into a Secret or a volume"),
            );
        }
        if value.contains('\0') {
            problems.push(
                format!("{pointer}/{name}"),
                "the value contains a NUL character",
                "remove it: no process can receive one",
            );
        }
        if let Err(wrong) = ValueTemplate::parse(value) {
            problems.push_references(&format!("{pointer}/{name}"), wrong);
        }
    }
}

impl ProcessSpec {
    fn check(&self, pointer: &str, problems: &mut Problems) {
        if self.instances.is_some_and(|n| n > INSTANCES_MAX) {
            problems.push(
                format!("{pointer}/instances"),
                "too many instances",
                format!("use at most {INSTANCES_MAX}"),
            );
        }
        check_env(&format!("{pointer}/env"), &self.env, problems);
        for (field, argv) in [("entrypoint", &self.entrypoint), ("command", &self.command)] {
            if let Some(argv) = argv {
                check_argv(&format!("{pointer}/{field}"), argv, problems);
            }
        }
        if let Some(check) = &self.health_check {
            check.check(&format!("{pointer}/healthCheck"), problems);
        }
        if let Some(resources) = &self.resources {
            resources.check(&format!("{pointer}/resources"), problems);
        }
        if let Some(ports) = &self.ports {
            check_unique(
                &format!("{pointer}/ports"),
                "name",
                "port name",
                ports.iter().map(|p| p.name.as_str()),
                problems,
            );
        }
        if let Some(volumes) = &self.volumes {
            check_unique(
                &format!("{pointer}/volumes"),
                "path",
                "path",
                volumes.iter().map(|v| v.path.as_str()),
                problems,
            );
        }
    }
}

impl HealthCheck {
    fn check(&self, pointer: &str, problems: &mut Problems) {
        if self.command.is_empty() {
            problems.push(
                format!("{pointer}/command"),
                "the health check has no program",
                "name a program that ends with status 0 when the instance works",
            );
        }
        check_argv(&format!("{pointer}/command"), &self.command, problems);
        // The engine refuses intervals and time-outs below 1 ms other than 0, and takes 0 as its own default.
        for (field, value) in [("interval", self.interval), ("timeout", self.timeout)] {
            if value < Duration::from_secs(1) {
                problems.push(
                    format!("{pointer}/{field}"),
                    format!("{value} is too short"),
                    "use at least `1s`",
                );
            }
        }
        if self.retries == 0 || self.retries > 100 {
            problems.push(
                format!("{pointer}/retries"),
                "the number of retries is out of range",
                "use 1 to 100",
            );
        }
    }
}

fn check_argv(pointer: &str, argv: &[String], problems: &mut Problems) {
    if argv.len() > ENTRIES_MAX {
        problems.push(
            pointer,
            format!("{} arguments are too many", argv.len()),
            format!("use at most {ENTRIES_MAX}"),
        );
    }
    for (i, argument) in argv.iter().enumerate() {
        if argument.contains('\0') {
            problems.push(
                format!("{pointer}/{i}"),
                "the argument contains a NUL character",
                "remove it: no program can receive one",
            );
        }
    }
}

/// Notes every second use of a value in a list whose entries must differ in one field.
pub(super) fn check_unique<'a>(
    pointer: &str,
    field: &str,
    what: &str,
    values: impl Iterator<Item = &'a str>,
    problems: &mut Problems,
) {
    let mut seen = BTreeSet::new();
    let mut count = 0;
    for (i, value) in values.enumerate() {
        count = i + 1;
        if !seen.insert(value) {
            problems.push(
                format!("{pointer}/{i}/{field}"),
                format!("the {what} `{value}` is used twice"),
                "use each only once",
            );
        }
    }
    if count > ENTRIES_MAX {
        problems.push(pointer, format!("{count} entries are too many"), format!("use at most {ENTRIES_MAX}"));
    }
}
