//! Deployments: the attempts at releases, and what of each took how long.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skep_schemas::ProcessName;

/// Where the attempt at a release stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DeploymentState {
    /// Nothing of it has begun.
    Queued,
    /// Its release phase runs.
    Releasing,
    /// Instances are being replaced.
    Rolling,
    /// All instances run it, and are being watched.
    Verifying,
    /// Every process runs it as it should.
    Done,
    /// It failed, and the one before runs again.
    RolledBack,
    /// It failed, and there was nothing to go back to.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
    /// A newer one took its place.
    Superseded,
}

impl DeploymentState {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Releasing => "releasing",
            Self::Rolling => "rolling",
            Self::Verifying => "verifying",
            Self::Done => "done",
            Self::RolledBack => "rolled back",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Superseded => "superseded",
        }
    }
}

/// A part of the attempt at a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum StageName {
    /// From when the release was made until something of it began.
    Queued,
    /// The release phase.
    Releasing,
    /// From the first process that it was sent to until all instances of all ran it.
    Rolling,
    /// From then until it was known how it went.
    Verifying,
}

impl StageName {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Releasing => "releasing",
            Self::Rolling => "rolling",
            Self::Verifying => "verifying",
        }
    }
}

/// When a part of the attempt at a release was, and what there is to say of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StageView {
    /// Which.
    pub stage: StageName,
    /// When it began.
    pub began_at: Timestamp,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Of `queued`: what was waited for, in the order in which that was noticed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<WaitView>,
    /// Of `releasing`: the number of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<u32>,
    /// Of `rolling`: the processes that it was sent to, in that order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<RolledView>,
}

/// Something that a release waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaitView {
    /// What, in words.
    pub why: String,
    /// Since when.
    pub since: Timestamp,
}

/// How one process came to run a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolledView {
    /// Which.
    pub process: ProcessName,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// When all instances first ran it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_at: Option<Timestamp>,
}

/// The last lines of what a release failed by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseOutputView {
    /// Whose they are: a process, or `release` for the release phase.
    pub process: ProcessName,
    /// The lines.
    pub text: String,
    /// What is missing, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<String>,
}
