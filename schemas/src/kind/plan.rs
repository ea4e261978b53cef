//! Plan: what an environment may use.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::process::Resources;
use super::{Kind, KindSpec, Problems};
use crate::resource::ResourceKey;

/// What an environment may use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlanSpec {
    /// What it is for, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What one instance gets when its process asks for nothing, and the most that it may ask for.
    pub instance: Resources,
    /// The most instances of one process. Unlimited when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_instances: Option<u32>,
}

/// What is so about a plan.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanDetail {}

impl KindSpec for PlanSpec {
    const KIND: Kind = Kind::Plan;
    type Detail = PlanDetail;

    fn check(&self, problems: &mut Problems) {
        self.instance.check("/instance", problems);
    }

    fn references(&self, _: &ResourceKey) -> Vec<ResourceKey> {
        Vec::new()
    }
}
