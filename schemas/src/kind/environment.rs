//! Environment: one running copy of an app.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::isolation_tier::Capability;
use super::process::{ProcessSpec, check_env, check_processes, check_unique};
use super::{Kind, KindSpec, Problems};
use crate::resource::{ResourceKey, Scope};
use crate::scalar::{Duration, EnvName, FileName, ImageRef, ProcessName, Region, ResourceName};

/// One running copy of an app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnvironmentSpec {
    /// The app that it runs.
    pub app: ResourceName,
    /// The image, in place of the app's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageRef>,
    /// What it may use. The organisation's plan when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<ResourceName>,
    /// Run only on nodes with the label `region` of this value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// Environment variables of all its processes. Not for secrets: everyone who may read the environment sees them.
    /// `${domain.www.url}` in a value is a reference, `$${` the text `${`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<EnvName, String>,
    /// Secrets that all its processes read as files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretMount>,
    /// Its processes by type, over those of the app.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub processes: BTreeMap<ProcessName, ProcessSpec>,
    /// How a new release replaces the running one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rollout: RolloutSpec,
    /// What happens when an instance ends.
    #[serde(default, skip_serializing_if = "is_default")]
    pub restart: RestartSpec,
    /// What its containers may do, within the restricted profile that always holds.
    #[serde(default, skip_serializing_if = "is_default")]
    pub security: SecuritySpec,
}

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Where processes find secrets.
pub const SECRETS_DIRECTORY: &str = "/run/secrets";

/// A secret as a file under `/run/secrets`, and perhaps as a variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretMount {
    /// The Secret.
    pub name: ResourceName,
    /// The file name under `/run/secrets`; the Secret's name when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileName>,
    /// An environment variable that its processes get the value in as well, for programs that cannot read files. It is set when a
    /// process starts and stands in no spec, and wins over `env`. Each process then has to say its `entrypoint`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<EnvName>,
}

impl SecretMount {
    /// The file name under `/run/secrets`.
    pub fn file_name(&self) -> &str {
        self.file.as_ref().map_or(self.name.as_str(), FileName::as_str)
    }
}

/// How a new release replaces the running one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RolloutSpec {
    /// How many instances are replaced at a time.
    #[serde(default = "RolloutSpec::default_parallelism")]
    #[schemars(range(min = 1, max = 500))]
    pub parallelism: u32,
    /// Which comes first: starting the new instance or stopping the old one.
    #[serde(default)]
    pub order: RolloutOrder,
    /// How long it may take as a whole before it counts as failed.
    #[serde(default = "RolloutSpec::default_deadline")]
    pub deadline: Duration,
}

impl RolloutSpec {
    fn default_parallelism() -> u32 {
        1
    }

    fn default_deadline() -> Duration {
        Duration::from_secs(600)
    }
}

impl Default for RolloutSpec {
    fn default() -> Self {
        Self {
            parallelism: Self::default_parallelism(),
            order: RolloutOrder::default(),
            deadline: Self::default_deadline(),
        }
    }
}

/// Which comes first when an instance is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RolloutOrder {
    /// Start-first, unless a volume forbids two instances at once.
    #[default]
    Auto,
    /// Start the new instance first: no gap in service.
    StartFirst,
    /// Stop the old instance first: never two at once.
    StopFirst,
}

/// What happens when an instance ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RestartSpec {
    /// When another instance takes its place.
    #[serde(default)]
    pub condition: RestartCondition,
    /// How long to wait before that.
    #[serde(default = "RestartSpec::default_delay")]
    pub delay: Duration,
}

impl RestartSpec {
    fn default_delay() -> Duration {
        Duration::from_secs(5)
    }
}

impl Default for RestartSpec {
    fn default() -> Self {
        Self { condition: RestartCondition::default(), delay: Self::default_delay() }
    }
}

/// When another instance takes the place of one that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RestartCondition {
    /// Always.
    #[default]
    Any,
    /// Only after a failure.
    OnFailure,
    /// Never.
    None,
}

/// What containers may do, within the restricted profile: no capabilities but those that are asked for and allowed, no new privileges, the
/// default system call filter, no host paths, limits on CPU, memory and processes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecuritySpec {
    /// Let processes write to the image's file system. Otherwise only `/tmp` and volumes can be written to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub writable_root: bool,
    /// The numeric user to run as; the image's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub user: Option<u32>,
    /// Capabilities that root in the container keeps. Only those that the IsolationTier of the organisation's plan allows.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub capabilities: BTreeSet<Capability>,
}

impl SecuritySpec {
    /// Checks what stands under `/security`.
    pub(super) fn check(&self, problems: &mut Problems) {
        if self.user == Some(0) {
            problems.push("/security/user", "user 0 is root", "name another user, or leave the image's");
        }
        if self.user.is_some() && !self.capabilities.is_empty() {
            problems.push(
                "/security/capabilities",
                "only root has capabilities, and `user` names another user",
                "ask for none, or leave `user` out and let the image begin as root",
            );
        }
    }
}

/// What is so about an environment.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentDetail {
    /// The release that runs, or that is being rolled out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseStatus>,
    /// Each process.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub processes: BTreeMap<ProcessName, ProcessStatus>,
    /// Where it can be reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Domains that name it and cannot be routed to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unrouted: Vec<UnroutedDomain>,
    /// Parts of the security profile that this cluster's engine cannot enforce.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub security_not_enforced: Vec<String>,
}

/// A domain that cannot be routed to an environment that it names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnroutedDomain {
    /// The Domain.
    pub domain: String,
    /// Why not, in words.
    pub why: String,
}

/// A release, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseStatus {
    /// Its number in the environment.
    pub version: u32,
    /// The image with its digest.
    pub image: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// The number of the release to which it is a return.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_to: Option<u32>,
}

/// What is so about one process.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProcessStatus {
    /// Instances wanted.
    pub desired: u32,
    /// Instances running and healthy.
    pub running: u32,
    /// Instances running and healthy that are of the wanted release.
    pub updated: u32,
    /// The service in the Swarm.
    pub service: String,
    /// Why the last instance that failed did so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<TaskError>,
}

/// Why an instance failed, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskError {
    /// The reason.
    pub message: String,
    /// When it was seen by the engine.
    pub at: Timestamp,
}

impl EnvironmentSpec {
    /// A variable has one value: a secret's, or one that everybody may read.
    fn check_secret_variables(&self, problems: &mut Problems) {
        let mut seen = BTreeSet::new();
        for (i, mount) in self.secrets.iter().enumerate() {
            let Some(name) = &mount.env else { continue };
            let in_process = |process: &&ProcessSpec| process.env.contains_key(name);
            let found = if !seen.insert(name) {
                "another secret"
            } else if self.env.contains_key(name)
                || self.processes.values().any(|process| in_process(&process))
            {
                "`env`"
            } else {
                continue;
            };
            problems.push(
                format!("/secrets/{i}/env"),
                format!("{found} sets the variable `{name}` as well"),
                "set it in one place",
            );
        }
    }
}

impl KindSpec for EnvironmentSpec {
    const KIND: Kind = Kind::Environment;
    type Detail = EnvironmentDetail;

    fn check(&self, problems: &mut Problems) {
        check_env("/env", &self.env, problems);
        check_processes(&self.processes, problems);
        check_unique("/secrets", "file", "file", self.secrets.iter().map(SecretMount::file_name), problems);
        self.check_secret_variables(problems);
        if self.rollout.parallelism == 0 {
            problems.push("/rollout/parallelism", "0 would replace all instances at once", "use at least 1");
        }
        if self.rollout.deadline < Duration::from_secs(10) {
            problems.push(
                "/rollout/deadline",
                format!("{} is too short for any container to start", self.rollout.deadline),
                "use at least `10s`",
            );
        }
        self.security.check(problems);
    }

    fn references(&self, key: &ResourceKey) -> Vec<ResourceKey> {
        let secrets: BTreeSet<_> = self.secrets.iter().map(|mount| &mount.name).collect();
        let plan = self.plan.clone().map(|plan| ResourceKey::new(Scope::Platform, Kind::Plan, plan));
        key.sibling(Kind::App, self.app.clone())
            .into_iter()
            .chain(secrets.into_iter().filter_map(|name| key.sibling(Kind::Secret, name.clone())))
            .chain(plan.into_iter().flatten())
            .collect()
    }
}
