//! The features that an organisation has.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skep_schemas::Feature;

/// The features that an organisation has, and those that it has not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FeaturesView {
    /// Each feature.
    pub items: Vec<FeatureItem>,
}

/// A feature for an organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FeatureItem {
    /// Its name.
    pub feature: Feature,
    /// May something new that needs it begin?
    pub on: bool,
    /// The resource that has switched it off; only the platform writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switched_off_by: Option<String>,
}
