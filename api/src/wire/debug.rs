//! What the server is doing right now: background tasks, followers, queues, passes under way, leases. For administrators who want
//! to know why something does not happen; nothing here is stable enough to build on.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Everything that runs in one server.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TasksView {
    /// Work that happens again and again.
    pub tasks: Vec<TaskView>,
    /// Loops that follow something for as long as they can.
    pub followers: Vec<FollowerView>,
    /// The queues of keys.
    pub queues: Vec<QueueView>,
    /// The passes that are under way, oldest first.
    pub reconciles: Vec<ReconcileView>,
    /// The leases that this server holds.
    pub leases: Vec<LeaseView>,
}

/// A background task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskView {
    /// Its name.
    pub name: String,
    /// What it does now: waiting, running, stopped.
    pub state: String,
    /// Since when it runs, or until when it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Its period, in seconds.
    pub every_seconds: f64,
    /// How many activations have ended.
    pub activations: u64,
    /// How many of the latest failed in a row.
    pub failures_in_row: u32,
    /// The latest that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<ActivationView>,
}

/// An activation of a background task that has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActivationView {
    /// When it began.
    pub started: Timestamp,
    /// How long it took.
    pub seconds: f64,
    /// What made it happen: start, timer, activator, retry.
    pub cause: String,
    /// How it ended: done, failed, panicked, timedOut.
    pub result: String,
    /// What it did, or why it failed.
    pub message: String,
}

/// A loop that follows something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FollowerView {
    /// What it follows.
    pub name: String,
    /// Since when without a break; absent while it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// How often it began again.
    pub restarts: u64,
    /// Why it last ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_end: Option<String>,
}

/// A queue of keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueueView {
    /// The controller that it belongs to.
    pub controller: String,
    /// Keys that could run now, by priority.
    pub ready: BTreeMap<String, u64>,
    /// Keys that wait for their time.
    pub waiting: u64,
    /// Keys that run.
    pub running: u64,
    /// Wake-ups refused because it was full.
    pub refused: u64,
}

/// A pass that is under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReconcileView {
    /// The controller.
    pub controller: String,
    /// The key.
    pub key: String,
    /// The pass, as the log and the journal name it.
    pub reconcile_id: String,
    /// What woke the key, at its most urgent.
    pub trigger: String,
    /// Since when.
    pub since: Timestamp,
    /// For how long.
    pub age_seconds: f64,
}

/// A lease that is held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeaseView {
    /// Its name.
    pub name: String,
    /// Under which epoch.
    pub epoch: i64,
    /// Since when.
    pub since: Timestamp,
}
