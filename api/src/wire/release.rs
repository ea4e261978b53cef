//! Releases: what an environment ran, and what is different between two of them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skep_planner::FieldChange;
use skep_schemas::kind::{
    HealthCheck, NamedPort, Resources, RestartSpec, ScheduleSpec, SecuritySpec, VolumeMount,
};
use skep_schemas::{Duration, EnvName, MountPath, ProcessName, Region, ResourceName, Uid};

use super::{ApplyAction, DeploymentState, ResourceView, StageView};

/// One release of an environment, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseItem {
    /// Its number.
    pub version: u32,
    /// By which the panel's paths name it as a deployment; none for one from before there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<Uid>,
    /// The image as it was written.
    pub image: String,
    /// What that stood for.
    pub digest: String,
    /// Its processes.
    pub processes: BTreeSet<ProcessName>,
    /// What is different from the one before, in a few words.
    pub why: String,
    /// The release to which it is a return.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_to: Option<u32>,
    /// Whose change made it: the author of what was written last of all that it is made of, or who asked for the rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_by: Option<String>,
    /// How it went.
    pub verdict: ReleaseVerdict,
    /// Where the attempt at it stands.
    pub state: DeploymentState,
    /// What of it took how long; empty for one from before that was noted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<StageView>,
    /// Who asked that it be cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled_by: Option<String>,
    /// Why it failed, or who cancelled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was known how it went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Timestamp>,
}

/// How a release went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ReleaseVerdict {
    /// Being rolled out.
    Pending,
    /// Every process ran it as it should.
    Succeeded,
    /// It failed, and the one before runs again.
    RolledBack,
    /// It failed, and there was nothing to go back to.
    Failed,
    /// A newer one took its place before it was done.
    Superseded,
    /// Somebody cancelled it before it was done.
    Cancelled,
}

impl ReleaseVerdict {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::RolledBack => "rolled back",
            Self::Failed => "failed",
            Self::Superseded => "superseded",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Which releases are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReleaseQuery {
    /// Those before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u32>,
    /// How many; 50 when absent, 500 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Releases, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseList {
    /// The releases.
    pub items: Vec<ReleaseItem>,
    /// Where the next page begins: the `before` of its query. Absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u32>,
}

/// Against which release one is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OneReleaseQuery {
    /// The number of another release of the environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<u32>,
}

/// One release with everything that it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseView {
    /// In short.
    pub release: ReleaseItem,
    /// Everything that its instances depend on.
    pub content: ReleaseContentView,
    /// What is different from the release that was asked for as well: from that one to this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<ReleaseDifference>,
}

/// What is different between two releases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseDifference {
    /// The other one.
    pub against: u32,
    /// Each field of `content` that differs, with its value in the other and in this.
    pub changes: Vec<FieldChange>,
}

/// What a release runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseContentView {
    /// The image that instances are given, by its digest where a registry has it.
    pub image: String,
    /// The processes, with everything merged that app, environment and plan said.
    pub processes: BTreeMap<ProcessName, ReleaseProcessView>,
    /// What runs once before they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_phase: Option<ReleasePhaseView>,
    /// What runs by a schedule.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub schedules: BTreeMap<ProcessName, ReleaseScheduleView>,
    /// What the references in variables stood for when it was made, such as `domain.www.url`. The variables above have it as text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub references: BTreeMap<String, String>,
    /// The secrets that all of them read, by the file that each appears as. No value is here.
    pub secrets: BTreeMap<String, ReleaseSecretVersion>,
    /// Where they run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// What happens when an instance ends.
    pub restart: RestartSpec,
    /// What their containers may do.
    pub security: SecuritySpec,
}

/// What runs again and again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseScheduleView {
    /// What runs.
    pub process: ReleaseProcessView,
    /// When.
    pub schedule: ScheduleSpec,
    /// For how long it may.
    pub time_limit: Duration,
}

/// One process of a release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseProcessView {
    /// In place of the image's entry point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// In place of the image's command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Where the program starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<MountPath>,
    /// All variables.
    pub env: BTreeMap<EnvName, String>,
    /// The ports that it listens on.
    pub ports: Vec<NamedPort>,
    /// How to tell that an instance works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheck>,
    /// What one instance may use.
    pub resources: Resources,
    /// Named volumes.
    pub volumes: Vec<VolumeMount>,
    /// How long an instance may take to end.
    pub stop_grace_period: Duration,
}

/// What runs once before the processes of a release do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleasePhaseView {
    /// What runs.
    pub process: ReleaseProcessView,
    /// For how long it may.
    pub time_limit: Duration,
}

/// One secret of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseSecretVersion {
    /// The Secret.
    pub name: ResourceName,
    /// Which of its values.
    pub version: u32,
    /// The variable that it is in as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<EnvName>,
}

/// What an environment is to be given from another one of its app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PromoteRequest {
    /// The environment that has it.
    pub from: ResourceName,
    /// Which of its releases; the newest that succeeded when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<u32>,
}

/// What an environment was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PromotionView {
    /// Whose release it is.
    pub from: ResourceName,
    /// Its number there.
    pub release: u32,
    /// The image, by its digest.
    pub image: String,
    /// Is it new to the environment, or did its manifest say it already?
    pub action: ApplyAction,
}

/// To which release an environment is to be returned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RollbackRequest {
    /// Its number; when absent, the newest that succeeded before what runs now and that ran something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u32>,
}

/// What an environment is returned to. The loop makes the release, and says in the environment's status how it goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RollbackView {
    /// The number of its newest release until now.
    pub from: u32,
    /// The number of the release whose content it gets.
    pub to: u32,
    /// The number of the release whose content its manifests ask for.
    pub instead_of: u32,
    /// What is different then. A secret that is given a new value from now on has that one.
    pub changes: Vec<FieldChange>,
    /// The environment.
    pub resource: ResourceView,
}
