//! Plan: what an environment may use, and what an organisation may have.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::image_policy::ImagePolicySpec;
use super::process::Resources;
use super::{Kind, KindSpec, Problems};
use crate::resource::{ResourceKey, Scope};
use crate::scalar::{Bytes, Cpu, ResourceName};

/// What an environment may use, and what an organisation may have.
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
    /// The most that an organisation of this plan may have, all its environments together. Unlimited when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
    /// Which images an organisation of this plan may run; its own ImagePolicies can only narrow that. Any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<ImagePolicySpec>,
    /// What the network of an organisation of this plan is like. With a way out and not encrypted when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkRules>,
    /// How an organisation of this plan is kept apart from others: an IsolationTier. On nodes that are everybody's and without
    /// capabilities when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation_tier: Option<ResourceName>,
    /// The plans that environments of an organisation of this plan may name besides this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment_plans: Vec<ResourceName>,
}

/// What the network of an organisation is like. Nothing of it can change in place: when a plan says otherwise than before, networks
/// are made anew as soon as their organisations have no environment, and until then the organisations say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetworkRules {
    /// Whether containers may open connections to anything but each other. They are reached through the edge either way.
    #[serde(default, skip_serializing_if = "Egress::is_allow")]
    pub egress: Egress,
    /// Whether what containers on different nodes say to each other is encrypted on its way (IPsec between the nodes).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub encrypted: bool,
}

/// Whether containers may open connections to the outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Egress {
    /// To the Internet, and to the nodes as anybody outside may.
    #[default]
    Allow,
    /// Not at all: neither the Internet, nor the nodes, nor a cloud's metadata service, nor any resolver but the organisation's own.
    Deny,
}

impl Egress {
    const fn is_allow(&self) -> bool {
        matches!(self, Self::Allow)
    }
}

/// The most that an organisation may have. What is not named is unlimited, except for links; what is being deleted counts until it is gone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Quota {
    /// Apps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apps: Option<u32>,
    /// Environments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environments: Option<u32>,
    /// Domains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domains: Option<u32>,
    /// Secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<u32>,
    /// Volumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volumes: Option<u32>,
    /// Instances of all processes. A process whose number is left to whoever scales it counts as one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<u32>,
    /// CPU of all instances.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    /// Memory of all instances.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
    /// Processes and threads of all instances.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pids: Option<u32>,
    /// Links with other organisations, those that its NetworkPolicies offer and those that they use. None when absent: here what is not
    /// named is not allowed, because a link leads into another organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<u32>,
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
        if let Some(images) = &self.images {
            images.check_at("/images", problems);
            if images.scan.as_ref().is_some_and(|scan| scan.secret.is_some()) {
                problems.push(
                    "/images/scan/secret",
                    "a Plan is the platform's, and Secrets are of organisations",
                    "leave it out, and let the scanner be reached by the servers alone",
                );
            }
        }
    }

    fn references(&self, _: &ResourceKey) -> Vec<ResourceKey> {
        let tier = self.isolation_tier.clone();
        let tier = tier.map(|tier| ResourceKey::new(Scope::Platform, Kind::IsolationTier, tier));
        tier.into_iter().flatten().collect()
    }
}
