//! ImagePolicy: which images an organisation's environments may run.
//!
//! All policies of an organisation hold together, and with them the rules that the platform puts into the organisation's plan
//! ([`super::PlanSpec::images`]): an image must be allowed by each. So whoever writes a policy can only narrow what the platform allows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Kind, KindSpec, Problems};
use crate::resource::ResourceKey;
use crate::scalar::{ImagePattern, PublicKey, Registry};

/// More than anyone lists by hand; a pattern with a star covers many.
const ENTRIES_MAX: usize = 100;
/// Each is looked for among the signatures of each image; more than a few are keys that nobody took back.
const SIGNERS_MAX: usize = 10;

/// Which images may run. Names are compared in full: `nginx` is `docker.io/library/nginx`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImagePolicySpec {
    /// The registries that images may come from. Any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registries: Option<Vec<Registry>>,
    /// The names that images may have. Any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed: Option<Vec<ImagePattern>>,
    /// The names that no image may have, whatever else allows them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocked: Vec<ImagePattern>,
    /// Images must be named by their digest, so that nobody can put another in the place of the one that was looked at.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub require_digest: bool,
    /// Images must be signed, as `cosign sign` does, by one of these. The digest that is released is the one that must be signed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub require_signature: Vec<Signer>,
    /// What happens to an image that is not allowed.
    #[serde(default)]
    pub enforcement: Enforcement,
}

/// Somebody whose signature counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Signer {
    /// The public key of whoever signs: the content of `cosign.pub`.
    pub key: PublicKey,
}

/// What happens to what a policy does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Enforcement {
    /// It runs, and the environment says that it is against the policy.
    Report,
    /// It is not released. What runs already goes on, and the environment says so.
    #[default]
    Block,
    /// It is not released, and what runs already is stopped until the policy allows it or another image is released.
    Stop,
}

/// What is so about an image policy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImagePolicyDetail {}

impl ImagePolicySpec {
    pub(super) fn check_at(&self, pointer: &str, problems: &mut Problems) {
        let lists = [
            ("registries", self.registries.as_ref().map(Vec::len)),
            ("allowed", self.allowed.as_ref().map(Vec::len)),
            ("blocked", Some(self.blocked.len())),
        ];
        for (field, length) in lists {
            let length = length.unwrap_or_default();
            if length > ENTRIES_MAX {
                problems.push(
                    format!("{pointer}/{field}"),
                    format!("{length} are more than the {ENTRIES_MAX} that a policy may list"),
                    "cover several with a `*`",
                );
            }
        }
        let signers = self.require_signature.len();
        if signers > SIGNERS_MAX {
            problems.push(
                format!("{pointer}/requireSignature"),
                format!("{signers} are more than the {SIGNERS_MAX} signers that a policy may name"),
                "leave out the keys that no longer sign",
            );
        }
    }
}

impl KindSpec for ImagePolicySpec {
    const KIND: Kind = Kind::ImagePolicy;
    type Detail = ImagePolicyDetail;

    fn check(&self, problems: &mut Problems) {
        self.check_at("", problems);
    }

    fn references(&self, _: &ResourceKey) -> Vec<ResourceKey> {
        Vec::new()
    }
}
