//! Organization: a tenant.

use std::net::Ipv4Addr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::environment::is_default;
use super::{Kind, KindSpec, Problems};
use crate::feature::Features;
use crate::resource::{ResourceKey, Scope};
use crate::scalar::ResourceName;

/// A tenant. Everything else of the tenant lives inside it and is removed with it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrganizationSpec {
    /// The name shown to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// What the organisation may have and how it is kept apart, and the plan of environments that name none. What is not named by it they may not
    /// name either. Without a plan nothing is limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<ResourceName>,
    /// Which features it has. What a Platform switches off it has not, whatever is said here.
    #[serde(default, skip_serializing_if = "is_default")]
    pub features: Features,
}

/// What is so about an organisation.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationDetail {
    /// Its overlay network, once it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkStatus>,
    /// The edge proxy's tasks that are connected to the network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edges: Vec<EdgeStatus>,
}

/// An organisation's network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkStatus {
    /// Its name in the Swarm.
    pub name: String,
    /// The engine's id of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its addresses, in CIDR form.
    pub subnet: String,
}

/// One task of the edge proxy on an organisation's network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EdgeStatus {
    /// The container of the task.
    pub container: String,
    /// Its address on the organisation's network.
    pub address: Ipv4Addr,
}

impl KindSpec for OrganizationSpec {
    const KIND: Kind = Kind::Organization;
    type Detail = OrganizationDetail;

    fn check(&self, problems: &mut Problems) {
        const DISPLAY_NAME_MAX: usize = 80;
        if self.display_name.as_ref().is_some_and(|name| name.chars().count() > DISPLAY_NAME_MAX) {
            problems.push(
                "/displayName",
                "the display name is too long",
                format!("use at most {DISPLAY_NAME_MAX} characters"),
            );
        }
    }

    fn references(&self, _: &ResourceKey) -> Vec<ResourceKey> {
        let plan = self.plan.clone().map(|plan| ResourceKey::new(Scope::Platform, Kind::Plan, plan));
        plan.into_iter().flatten().collect()
    }
}
