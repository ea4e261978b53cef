//! Which images an organisation's environments may run.

use skep_schemas::kind::{ImagePolicySpec, PlanSpec};
use skep_schemas::{ImagePattern, ImageRef, Registry, ResourceName};

use super::Violation;

/// Rules with the name of whoever set them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRules {
    /// As `ImagePolicy/default` or `Plan/hobby`.
    pub policy: String,
    /// The rules.
    pub spec: ImagePolicySpec,
}

/// All rules that an organisation's images are under: those of its plan, and its own policies.
pub fn rules<'a>(
    plan: Option<(&ResourceName, &PlanSpec)>,
    policies: impl IntoIterator<Item = (&'a ResourceName, &'a ImagePolicySpec)>,
) -> Vec<ImageRules> {
    let of_plan = plan.and_then(|(name, plan)| {
        let spec = plan.images.clone()?;
        Some(ImageRules { policy: format!("Plan/{name}"), spec })
    });
    let own = |(name, spec): (&ResourceName, &ImagePolicySpec)| ImageRules {
        policy: format!("ImagePolicy/{name}"),
        spec: spec.clone(),
    };
    of_plan.into_iter().chain(policies.into_iter().map(own)).collect()
}

/// What of an image each of the rules does not allow; at most one violation for each.
pub fn violations(rules: &[ImageRules], image: &ImageRef) -> Vec<Violation> {
    let violation = |rules: &ImageRules| {
        let why = refusal(&rules.spec, image)?;
        Some(Violation { policy: rules.policy.clone(), why, enforcement: rules.spec.enforcement })
    };
    rules.iter().filter_map(violation).collect()
}

fn refusal(rules: &ImagePolicySpec, image: &ImageRef) -> Option<String> {
    let (name, registry) = (image.full_name(), image.registry());
    let blocked = rules.blocked.iter().find(|pattern| pattern.matches(&name));
    let is_unknown = |known: &Vec<Registry>| known.iter().all(|known| known.as_str() != registry);
    let is_unmatched = |allowed: &Vec<ImagePattern>| !allowed.iter().any(|pattern| pattern.matches(&name));
    let refusals = [
        blocked.map(|pattern| format!("{name} is blocked by {pattern}")),
        rules
            .registries
            .as_ref()
            .filter(|known| is_unknown(known))
            .map(|_| format!("{registry} is not among the registries")),
        rules
            .allowed
            .as_ref()
            .filter(|allowed| is_unmatched(allowed))
            .map(|_| format!("no pattern allows {name}")),
        (rules.require_digest && image.digest().is_none())
            .then(|| "it is not named by its digest".to_owned()),
    ];
    let refusals: Vec<String> = refusals.into_iter().flatten().collect();
    (!refusals.is_empty()).then(|| format!("image {image}: {}", refusals.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn said(rules: Value, image: &str) -> Option<String> {
        refusal(&serde_json::from_value(rules).unwrap(), &image.parse().unwrap())
    }

    #[test]
    fn each_rule_says_what_it_does_not_allow_and_no_spelling_gets_around_it() {
        let known = json!({"registries": ["ghcr.io", "docker.io"]});
        assert_eq!(said(known.clone(), "ghcr.io/acme/shop:1"), None);
        for image in ["nginx", "library/nginx:1", "docker.io/nginx", "index.docker.io/library/nginx"] {
            assert_eq!(said(known.clone(), image), None, "{image}");
            assert!(said(json!({"blocked": ["docker.io/library/nginx"]}), image).is_some(), "{image}");
            assert!(said(json!({"allowed": ["ghcr.io/*"]}), image).is_some(), "{image}");
        }
        assert_eq!(
            said(known.clone(), "quay.io/acme/shop:1").unwrap(),
            "image quay.io/acme/shop:1: quay.io is not among the registries"
        );
        assert!(said(known.clone(), "ghcr.io:444/acme/shop").is_some());
        assert!(said(known, "localhost/acme/shop").is_some());
        assert_eq!(
            said(json!({"allowed": ["ghcr.io/acme/*"], "blocked": ["*/miner"]}), "ghcr.io/acme/miner:2")
                .unwrap(),
            "image ghcr.io/acme/miner:2: ghcr.io/acme/miner is blocked by */miner"
        );
        let digest = format!("shop@sha256:{}", "a".repeat(64));
        assert_eq!(said(json!({"requireDigest": true}), &digest), None);
        assert_eq!(
            said(json!({"requireDigest": true}), "shop:1").unwrap(),
            "image shop:1: it is not named by its digest"
        );
        assert_eq!(
            said(json!({"registries": ["ghcr.io"], "requireDigest": true}), "shop:1").unwrap(),
            "image shop:1: docker.io is not among the registries, it is not named by its digest"
        );
        assert_eq!(said(json!({}), "anything"), None);
        assert!(said(json!({"registries": []}), "anything").is_some());
    }
}
