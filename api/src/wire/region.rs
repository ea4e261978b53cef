//! Regions: where environments can run, and for whoever runs the platform the nodes that are there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skep_schemas::Region;

/// The regions that there are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegionList {
    /// By name.
    pub items: Vec<RegionView>,
    /// The nodes that are in no region, or in one that no manifest can name. Only for whoever runs the platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elsewhere: Option<RegionNodes>,
    /// What of the platform the organisation names and is not there: before it is, nothing of it is placed anywhere, and no region is listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// One region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegionView {
    /// What `region` of an environment names.
    pub name: Region,
    /// Does one of its nodes take instances now?
    pub takes_work: bool,
    /// Its nodes. Only for whoever runs the platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<RegionNodes>,
}

/// Nodes, and what they have together.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegionNodes {
    /// How many answer.
    pub ready: u32,
    /// How many of those take instances.
    pub active: u32,
    /// What those that answer have, in thousandths of a core.
    pub cpu_millis: u64,
    /// The memory of those that answer, in bytes.
    pub memory_bytes: u64,
    /// Each node, by host name.
    pub items: Vec<NodeItem>,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeItem {
    /// Its id in the Swarm.
    pub id: String,
    /// Its host name.
    pub hostname: String,
    /// Whether it answers, in the Swarm's word: `ready`, `down`.
    pub state: String,
    /// Whether it takes instances, in the Swarm's word: `active`, `pause`, `drain`.
    pub availability: String,
    /// Whom it is kept for, as its label `skep.isolation` says; everybody when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<String>,
    /// What it has, in thousandths of a core.
    pub cpu_millis: u64,
    /// Its memory in bytes.
    pub memory_bytes: u64,
}
