//! Domain: a host name that is routed to a process.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Kind, KindSpec, Problems};
use crate::resource::ResourceKey;
use crate::scalar::{Host, ProcessName, ResourceName};

/// A host name that is routed to a process of an environment. A host belongs to one Domain of one organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DomainSpec {
    /// The host name.
    pub host: Host,
    /// The environment that serves it.
    pub environment: ResourceName,
    /// The process that serves it; `web` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessName>,
    /// The name of the process's port; its first port when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<ProcessName>,
    /// How clients reach it.
    #[serde(default)]
    pub tls: TlsMode,
}

/// How clients reach a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// HTTPS with a certificate that the edge obtains and renews; HTTP is redirected.
    #[default]
    Automatic,
    /// Plain HTTP.
    Off,
}

/// What is so about a domain.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DomainDetail {
    /// Where it can be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

impl DomainSpec {
    /// The process that serves it.
    pub fn process_name(&self) -> &str {
        self.process.as_ref().map_or("web", ProcessName::as_str)
    }
}

impl KindSpec for DomainSpec {
    const KIND: Kind = Kind::Domain;
    type Detail = DomainDetail;

    fn check(&self, _: &mut Problems) {}

    fn references(&self, key: &ResourceKey) -> Vec<ResourceKey> {
        key.sibling(Kind::Environment, self.environment.clone()).into_iter().collect()
    }
}
