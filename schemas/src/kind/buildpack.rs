//! Buildpack: what recognises the code of one language or framework, and makes it run.
//!
//! Buildpacks are published as images. A Buildpack is the platform's; a Stack says in which order those that it names are tried.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Kind, KindSpec, Problems};
use crate::resource::ResourceKey;
use crate::scalar::ImageRef;

/// What recognises the code of one language or framework, and makes it run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BuildpackSpec {
    /// What it recognises, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The image that it is published as; its tag is its version.
    pub image: ImageRef,
    /// It stays for what has it, and is not offered to anything new.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retired: bool,
}

/// What is so about a buildpack.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BuildpackDetail {}

impl KindSpec for BuildpackSpec {
    const KIND: Kind = Kind::Buildpack;
    type Detail = BuildpackDetail;

    fn check(&self, _: &mut Problems) {}

    fn references(&self, _: &ResourceKey) -> Vec<ResourceKey> {
        Vec::new()
    }
}
