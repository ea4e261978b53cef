//! The variables of an environment: where they come from, and changes of them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skep_schemas::{EnvName, FileName, ProcessName, ResourceName, Revision};

/// The variables that all processes of an environment get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigView {
    /// Of which revision of the environment they are.
    pub revision: Revision,
    /// The variables of its manifest, by name.
    pub items: Vec<ConfigItem>,
    /// Secrets that its processes read. Their values are told by nobody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<ConfigSecret>,
}

/// A variable of an environment's manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigItem {
    /// Its name.
    pub name: EnvName,
    /// Its value as the manifest has it: `${…}` is a reference.
    pub value: String,
    /// What its processes get for it, where that is not the same; none while no release has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<String>,
    /// Since which release its processes get this value; none while no release has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<ConfigSince>,
    /// Processes that say another value themselves, which wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overridden_by: Vec<ProcessName>,
}

/// The first release with a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigSince {
    /// Its number.
    pub release: u32,
    /// Whose change made it; none for one from before that was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When it was made.
    pub at: Timestamp,
    /// Is it the oldest one that was looked at, so that the value may be older?
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub or_earlier: bool,
}

/// A secret that an environment's processes read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigSecret {
    /// The Secret.
    pub secret: ResourceName,
    /// Its file under `/run/secrets`; the Secret's name when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileName>,
    /// The variable that has the value as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<EnvName>,
}

/// Variables to be set, and others to be removed. What is not named stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfigChange {
    /// By name; null removes.
    pub env: BTreeMap<EnvName, Option<String>>,
}
