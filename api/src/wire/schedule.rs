//! Schedules of an environment: when they run next, how the last run went, and what was missed.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skep_schemas::kind::ScheduleSpec;
use skep_schemas::{Duration, ProcessName, Stopped};

use super::RunView;

/// The schedules of an environment.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleList {
    /// Those of the newest release that succeeded, by process. What is still being rolled out starts nothing.
    pub items: Vec<ScheduleView>,
}

/// One schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleView {
    /// The process.
    pub process: ProcessName,
    /// When it runs.
    pub schedule: ScheduleSpec,
    /// For how long a run of it may.
    pub time_limit: Duration,
    /// The release in which it runs.
    pub release: u32,
    /// When it is time again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
    /// Somebody stopped it: its times are missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
    /// Since when it has been followed, and what was missed is counted. Absent until a controller has seen it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// How many times were missed since then.
    pub missed: u64,
    /// The last of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_missed: Option<MissedView>,
    /// Its newest run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<RunView>,
}

/// A time at which a process should have run and did not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MissedView {
    /// When it would have been.
    pub at: Timestamp,
    /// Why it was missed.
    pub why: String,
}
