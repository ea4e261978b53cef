//! ImagePolicy: which images an organisation's environments may run.
//!
//! All policies of an organisation hold together, and with them the rules that the platform puts into the organisation's plan
//! ([`super::PlanSpec::images`]): an image must be allowed by each. So whoever writes a policy can only narrow what the platform allows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Kind, KindSpec, Problems, Signer};
use crate::resource::ResourceKey;
use crate::scalar::{Duration, HookUrl, ImagePattern, Registry, ResourceName};

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
    /// A scanner has to say yes to an image before it is released, and is asked again from time to time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan: Option<ScanHook>,
    /// What happens to an image that is not allowed.
    #[serde(default)]
    pub enforcement: Enforcement,
}

/// A scanner, and how it is asked. While it does not answer, or is not done, nothing is released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScanHook {
    /// Where it is asked.
    pub url: HookUrl,
    /// The Secret of the organisation with whose value requests are signed (Standard Webhooks), so that the scanner knows who asks. Not
    /// signed when absent. Not in a Plan, which has no Secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<ResourceName>,
    /// How long its yes counts. What is still there then is asked about again.
    #[serde(default = "ScanHook::default_max_age")]
    pub max_age: Duration,
}

impl ScanHook {
    /// Shorter, and a release could wait for a yes that is too old when it comes.
    const MAX_AGE_MIN: Duration = Duration::from_secs(60);

    fn default_max_age() -> Duration {
        Duration::from_secs(24 * 3600)
    }
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
                "leave out those that no longer sign",
            );
        }
        if let Some(scan) = self.scan.as_ref().filter(|scan| scan.max_age < ScanHook::MAX_AGE_MIN) {
            problems.push(
                format!("{pointer}/scan/maxAge"),
                format!(
                    "after {} the scanner would be asked again before anything is released",
                    scan.max_age
                ),
                format!("use at least `{}`", ScanHook::MAX_AGE_MIN),
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

    fn references(&self, key: &ResourceKey) -> Vec<ResourceKey> {
        let secret = self.scan.as_ref().and_then(|scan| scan.secret.clone());
        secret.and_then(|secret| key.sibling(Kind::Secret, secret)).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn found(scan: Value) -> Vec<String> {
        let spec: ImagePolicySpec = serde_json::from_value(json!({ "scan": scan })).unwrap();
        let mut problems = Problems::default();
        spec.check(&mut problems);
        problems.into_vec().into_iter().map(|problem| problem.pointer).collect()
    }

    #[test]
    fn a_yes_counts_for_a_day_if_nobody_says_otherwise_and_never_for_less_than_a_minute() {
        let url = "https://scanner.acme.test/skep";
        let hook: ScanHook = serde_json::from_value(json!({ "url": url })).unwrap();
        assert_eq!(hook.max_age.to_string(), "24h");
        assert!(found(json!({ "url": url, "maxAge": "60s" })).is_empty());
        assert_eq!(found(json!({ "url": url, "maxAge": "59s" })), ["/scan/maxAge"]);
    }

    #[test]
    fn what_signs_the_requests_is_never_part_of_it() {
        for secret in [json!({ "value": "hunter2" }), json!("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")] {
            let json = json!({ "url": "https://scanner.acme.test/skep", "secret": secret });
            assert!(serde_json::from_value::<ScanHook>(json).is_err());
        }
    }
}
