//! Stack: what images of apps are built with, and what they run on.
//!
//! It is the pair of images that Cloud Native Buildpacks calls a builder and a run image. A Stack is the platform's, and every organisation may choose from those
//! that are offered. Naming images by digest makes every build of an app the same one until the platform says otherwise.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Kind, KindSpec, Problems};
use crate::resource::{ResourceKey, Scope};
use crate::scalar::{ImageRef, ResourceName};

/// More buildpacks than any builder tries.
const BUILDPACKS_MAX: usize = 64;

/// What images of apps are built with, and what they run on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StackSpec {
    /// What it is, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The image that builds: a builder of Cloud Native Buildpacks.
    pub builder: ImageRef,
    /// The image that what was built runs on. The builder's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<ImageRef>,
    /// The Buildpacks that are tried, in this order, until one fits. The builder's own when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buildpacks: Vec<ResourceName>,
    /// It stays for what has it, and is not offered to anything new.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retired: bool,
}

/// What is so about a stack.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StackDetail {}

impl KindSpec for StackSpec {
    const KIND: Kind = Kind::Stack;
    type Detail = StackDetail;

    fn check(&self, problems: &mut Problems) {
        if self.buildpacks.len() > BUILDPACKS_MAX {
            problems.push(
                "/buildpacks",
                format!("{} buildpacks are too many", self.buildpacks.len()),
                format!("name at most {BUILDPACKS_MAX}"),
            );
        }
        let mut seen = BTreeSet::new();
        for (place, name) in self.buildpacks.iter().enumerate().filter(|(_, name)| !seen.insert(*name)) {
            problems.push(
                format!("/buildpacks/{place}"),
                format!("the buildpack `{name}` is named twice"),
                "name each once, where it is to be tried",
            );
        }
    }

    fn references(&self, _: &ResourceKey) -> Vec<ResourceKey> {
        let names: BTreeSet<&ResourceName> = self.buildpacks.iter().collect();
        let keys =
            names.into_iter().map(|name| ResourceKey::new(Scope::Platform, Kind::Buildpack, name.clone()));
        keys.flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_buildpack_has_one_place_in_the_order() {
        let spec = |names: &[&str]| -> StackSpec {
            serde_json::from_value(json!({"builder": "docker.io/heroku/builder:24", "buildpacks": names}))
                .unwrap()
        };
        let found = |spec: &StackSpec| {
            let mut problems = Problems::default();
            spec.check(&mut problems);
            problems.into_vec().into_iter().map(|problem| problem.pointer).collect::<Vec<_>>()
        };
        assert!(found(&spec(&["ruby", "node"])).is_empty());
        assert_eq!(found(&spec(&["ruby", "node", "ruby"])), ["/buildpacks/2"]);
        let names: Vec<String> = (0..=BUILDPACKS_MAX).map(|n| format!("b{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(found(&spec(&names)), ["/buildpacks"]);
        assert_eq!(spec(&["ruby", "node"]).references(&key()).len(), 2);
    }

    fn key() -> ResourceKey {
        ResourceKey::new(Scope::Platform, Kind::Stack, "heroku-24".parse().unwrap()).unwrap()
    }
}
