//! DriftPolicy: what happens when somebody else changes what Skep made.
//!
//! The policy that names an environment takes the place of the organisation's for that environment; where there is none at all,
//! drift is corrected. Of several policies for the same target the first by name holds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Kind, KindSpec, Problems};
use crate::resource::ResourceKey;
use crate::scalar::{FieldPointer, ResourceName};

/// More fields than anyone lists by hand; a policy that ignores more says `mode: ignore`.
const IGNORED_MAX: usize = 100;

/// What happens when somebody else changes what Skep made in the Swarm.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DriftPolicySpec {
    /// The environment that it is for. The whole organisation when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<ResourceName>,
    /// What is done about a difference.
    #[serde(default)]
    pub mode: DriftMode,
    /// Fields that are left to others whatever the mode: JSON pointers as `skep drift` prints them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<FieldPointer>,
}

/// What is done about a difference that nobody asked for in a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DriftMode {
    /// It is put back and reported.
    #[default]
    Correct,
    /// It is reported and left as it is, also by later releases that do not touch the field.
    Report,
    /// It is left as it is; the report lists it as ignored.
    Ignore,
}

/// What is so about a drift policy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftPolicyDetail {}

impl KindSpec for DriftPolicySpec {
    const KIND: Kind = Kind::DriftPolicy;
    type Detail = DriftPolicyDetail;

    fn check(&self, problems: &mut Problems) {
        if self.ignore.len() > IGNORED_MAX {
            problems.push(
                "/ignore",
                format!(
                    "{} fields are more than the {IGNORED_MAX} that a policy may list",
                    self.ignore.len()
                ),
                "name a field above them: a pointer covers everything beneath it",
            );
        }
    }

    fn references(&self, key: &ResourceKey) -> Vec<ResourceKey> {
        self.environment.iter().filter_map(|name| key.sibling(Kind::Environment, name.clone())).collect()
    }
}
