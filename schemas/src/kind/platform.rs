//! Platform: what holds for all organisations.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::environment::is_default;
use super::{Kind, KindSpec, Problems};
use crate::feature::Features;
use crate::resource::ResourceKey;

/// What holds for all organisations. There is need for one, `default`; where there are several, what one of them switches off is off.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlatformSpec {
    /// Which features there are. What is switched off here, no organisation has.
    #[serde(default, skip_serializing_if = "is_default")]
    pub features: Features,
}

/// What is so about the platform.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlatformDetail {}

impl KindSpec for PlatformSpec {
    const KIND: Kind = Kind::Platform;
    type Detail = PlatformDetail;

    fn check(&self, _: &mut Problems) {}

    fn references(&self, _: &ResourceKey) -> Vec<ResourceKey> {
        Vec::new()
    }
}
