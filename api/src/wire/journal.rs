//! What was done for a resource: its plans as they were carried out.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skep_planner::Cost;

/// Which plans are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlanQuery {
    /// How many of the newest; 10 when absent, 100 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Plans, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanList {
    /// The plans. Finished ones are kept for a week.
    pub items: Vec<PlanItem>,
}

/// A plan as it was carried out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanItem {
    /// Its number.
    pub id: i64,
    /// The pass that made it, as the server's log names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconcile_id: Option<String>,
    /// For which generation of the spec.
    pub generation: i64,
    /// The release that it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<u32>,
    /// When it was made.
    pub created_at: Timestamp,
    /// How long it took, in milliseconds; absent while it is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// How it ended.
    pub outcome: PlanEnd,
    /// Its steps, in order.
    pub steps: Vec<PlanStep>,
}

/// How a plan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PlanEnd {
    /// It is under way.
    Open,
    /// Every step had its effect.
    Done,
    /// A step did not, and those after it were not tried.
    Stopped,
    /// The controller ended before the plan did; the next plan went on from what was there.
    Interrupted,
}

/// A step of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanStep {
    /// What was done: create, update, remove, connect, disconnect.
    pub verb: String,
    /// To what sort of object.
    pub object_kind: String,
    /// To which.
    pub object: String,
    /// Why.
    pub why: String,
    /// What it cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// The same in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_text: Option<String>,
    /// How it ended: planned, started, done, conflict, failed, unknown, skipped.
    pub outcome: String,
    /// Why it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// When its call was about to be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// How long it took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}
