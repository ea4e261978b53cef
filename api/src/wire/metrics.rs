//! What the instances of an environment use.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skep_schemas::ProcessName;

/// What an environment uses now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricsView {
    /// When it was read; an answer is given again for two seconds.
    pub at: Timestamp,
    /// What those instances use together that could be read.
    pub total: UsageView,
    /// How many could not be read. What they use is not in the total.
    pub unread: u32,
    /// Each instance that runs, by process and slot. A run is of the process `run`.
    pub items: Vec<InstanceMetrics>,
}

/// What one instance uses, or why that is not known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceMetrics {
    /// Its process.
    pub process: ProcessName,
    /// Its slot among the instances of the process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u64>,
    /// The short form of its task's id, as logs have it.
    pub instance: String,
    /// What it uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<UsageView>,
    /// Why that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<UnreadView>,
}

/// What is used.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageView {
    /// Processor.
    pub cpu: CpuView,
    /// Memory.
    pub memory: MemoryView,
    /// Traffic; absent without a network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkView>,
}

/// Processor time that is used.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CpuView {
    /// Cores, on average since the reading before. Absent of an instance that has just been started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<f64>,
    /// The most that may be, in cores; absent where there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// The part of the limit that is used: 1 is all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
}

/// Memory that is used, in bytes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemoryView {
    /// All that is charged, files in the page cache included.
    pub used_bytes: u64,
    /// The same without files that could be dropped at once (`inactive_file`), as `docker stats` has it.
    pub working_set_bytes: u64,
    /// The most that may be; absent where there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_bytes: Option<u64>,
    /// The part of the limit that is at work: 1 is all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
}

/// Traffic, in bytes. Since the instance was started; each second on average since the reading before.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkView {
    /// What came in.
    pub received_bytes: u64,
    /// What went out.
    pub sent_bytes: u64,
    /// What comes in each second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_each_second: Option<u64>,
    /// What goes out each second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_each_second: Option<u64>,
}

/// Why it is not known what an instance uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnreadView {
    /// In a word.
    pub reason: UnreadReason,
    /// In words.
    pub message: String,
}

/// Why it is not known what an instance uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum UnreadReason {
    /// It runs on another node than the engine that is asked.
    AnotherNode,
    /// The engine did not answer in time.
    NoAnswer,
    /// The engine could not read it.
    Failed,
    /// It ended meanwhile.
    Ended,
    /// More instances run than are read for one question.
    TooMany,
}

impl UnreadReason {
    /// In words.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::AnotherNode => "cannot be read from here: runs on another node",
            Self::NoAnswer => "the engine did not answer in time",
            Self::Failed => "the engine could not read it",
            Self::Ended => "it ended meanwhile",
            Self::TooMany => "not read: more instances run than are read at once",
        }
    }
}
