//! App: what is built and released.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::once::RELEASE_PHASE;
use super::process::{ProcessSpec, check_processes};
use super::{Kind, KindSpec, Problems};
use crate::resource::ResourceKey;
use crate::scalar::{ImageRef, ProcessName};

/// What is built and released.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AppSpec {
    /// What it is, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where its image comes from. An environment may name another image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<AppSource>,
    /// Its processes by type. An environment inherits them, and may override each field and add processes of its own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub processes: BTreeMap<ProcessName, ProcessSpec>,
}

/// Where an app's image comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AppSource {
    /// An image that exists already. Its tag is resolved to a digest when a release is made.
    pub image: ImageRef,
}

/// What is so about an app.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppDetail {}

impl KindSpec for AppSpec {
    const KIND: Kind = Kind::App;
    type Detail = AppDetail;

    fn check(&self, problems: &mut Problems) {
        check_processes(&self.processes, problems);
        // An environment may limit what its app has a schedule for; there is nobody behind an app.
        let unlimited = |(name, process): &(&ProcessName, &ProcessSpec)| {
            process.time_limit.is_some() && process.schedule.is_none() && name.as_str() != RELEASE_PHASE
        };
        for (name, _) in self.processes.iter().filter(unlimited) {
            problems.push(
                format!("/processes/{name}/timeLimit"),
                "only what runs once has a time limit",
                format!("remove it, or give the process a `schedule`; what runs before each roll-out is the process `{RELEASE_PHASE}`"),
            );
        }
    }

    fn references(&self, _: &ResourceKey) -> Vec<ResourceKey> {
        Vec::new()
    }
}
