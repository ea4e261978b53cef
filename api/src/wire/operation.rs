//! What is told about running things: events, readiness, version.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ResourceRef;

/// Something that happened to a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventView {
    /// To which.
    pub resource: ResourceRef,
    /// Does it need attention?
    pub severity: EventSeverity,
    /// One word for programs.
    pub reason: String,
    /// For people.
    pub message: String,
    /// How often it happened in a row.
    pub count: i64,
    /// When it first did.
    pub first_seen: Timestamp,
    /// When it last did.
    pub last_seen: Timestamp,
    /// The pass that said so last, as the server's log and the journal of plans name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconcile_id: Option<String>,
}

/// Does an event need attention?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum EventSeverity {
    /// No.
    Normal,
    /// Yes.
    Warning,
}

/// Which events are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventQuery {
    /// How many of the newest; 100 when absent, 500 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Events, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventList {
    /// The events.
    pub items: Vec<EventView>,
}

/// Does the process live? It does if it answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Always true.
    pub alive: bool,
}

/// Can the server do its work?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Readiness {
    /// Are all components ready?
    pub ready: bool,
    /// Each.
    pub components: Vec<ComponentHealth>,
}

/// Can one component do its work?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentHealth {
    /// Its name: database, watch, engine, …
    pub name: String,
    /// Is it ready?
    pub ready: bool,
    /// What is wrong, in general words: this is told to anyone who asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Which server this is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionView {
    /// The version of the program.
    pub version: String,
    /// The version of manifests that it reads.
    pub api_version: String,
}
