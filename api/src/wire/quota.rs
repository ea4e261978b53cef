//! What an organisation has, against what its plan lets it have.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skep_schemas::ResourceName;

/// What an organisation has and may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuotaView {
    /// The organisation's plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<ResourceName>,
    /// Each thing that is counted.
    pub items: Vec<QuotaItem>,
}

/// How much there is of something, and may be. Amounts are written as manifests write them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuotaItem {
    /// Of what: the name of a field of a plan's `quota`.
    pub of: String,
    /// How much is asked for.
    pub used: String,
    /// The most that may be; unlimited when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// Is it more than may be? That comes of a plan that became smaller; nothing can be added then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exceeded: bool,
}
