//! What travels over the panel's routes and over no others.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use skep_schemas::kind::{Resources, TlsMode};
use skep_schemas::{EnvName, Host, ImageRef, OrgName, ProcessName, Region, ResourceName};

use super::LogInstance;

/// Which organisation a request is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PanelQuery {
    /// The organisation. Whoever belongs to one alone need not name it; a token of the platform has to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<OrgName>,
}

/// The same for a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PanelListQuery {
    /// The organisation. Whoever belongs to one alone need not name it; a token of the platform has to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<OrgName>,
    /// How many at most; 500 when absent, and never more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// The same for a deletion.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PanelDeleteQuery {
    /// The organisation. Whoever belongs to one alone need not name it; a token of the platform has to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<OrgName>,
    /// It is meant, however much is removed with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub confirm: bool,
}

/// The same for what is asked of one environment of an app.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PanelAppQuery {
    /// The organisation. Whoever belongs to one alone need not name it; a token of the platform has to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<OrgName>,
    /// The environment. Of an app with only one it need not be named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<ResourceName>,
}

/// The same for releases.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PanelReleaseQuery {
    /// The organisation. Whoever belongs to one alone need not name it; a token of the platform has to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<OrgName>,
    /// Those before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u32>,
    /// How many; 50 when absent, 500 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// The same for output.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PanelLogQuery {
    /// The organisation. Whoever belongs to one alone need not name it; a token of the platform has to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<OrgName>,
    /// Only of this process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessName>,
    /// Only of these instances: a number as in `web.2`, or the beginning of the id that a line carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<LogInstance>,
    /// Only lines from this instant on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// How many of the newest lines of each process; 100 when absent, 10000 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<u32>,
    /// Go on with new lines as they come.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub follow: bool,
    /// Go on where another stream ended: the last id that it gave. The header Last-Event-ID says the same, and goes before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// The variables of an environment: those of its manifest. Its app's processes may have others, and secrets are no variables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PanelConfig {
    /// By name.
    pub env: BTreeMap<EnvName, String>,
}

/// Variables to be set, and others to be removed. What is not named stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PanelConfigChange {
    /// By name; null removes.
    pub env: BTreeMap<EnvName, Option<String>>,
}

/// Fields of a spec to be changed, as a JSON merge patch (RFC 7396): what is not named stays, null removes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PanelPatch {
    /// The fields, as a manifest has them.
    pub spec: Map<String, Value>,
}

/// What holds for the platform, to be changed: what is not named stays, null switches on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PanelSettings {
    /// Which features there are, by name: true or false.
    pub features: Map<String, Value>,
}

/// A part of the catalogue to be made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PanelCatalogItem {
    /// Its name.
    pub name: ResourceName,
    /// Its spec, as a manifest has it.
    pub spec: Map<String, Value>,
}

/// In which order the buildpacks of a stack are tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PanelBuildpackOrder {
    /// All of them.
    pub buildpacks: Vec<ResourceName>,
}

/// What an environment is to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PanelDeploy {
    /// The image.
    pub image_ref: ImageRef,
}

/// An environment for an app. The fields are called as SkyPanel calls them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PanelEnvironment {
    /// The resource's name.
    pub name: ResourceName,
    /// Run only on nodes with the label `region` of this value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// Where what runs comes from.
    #[serde(default)]
    pub deploy_mode: PanelDeployMode,
    /// What one instance of each of the app's processes may use; the plan's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Resources>,
    /// Environment variables. Not for secrets.
    #[serde(default, rename = "envVars", skip_serializing_if = "BTreeMap::is_empty")]
    pub env_vars: BTreeMap<EnvName, String>,
    /// The image, in place of the app's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_ref: Option<ImageRef>,
}

/// Where what an environment runs comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PanelDeployMode {
    /// An image that is there.
    #[default]
    Image,
    /// A build, which is not there yet.
    Buildpack,
}

/// A domain for an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PanelDomain {
    /// The resource's name. When absent, it is the host's, with dashes for dots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ResourceName>,
    /// The host name.
    pub host: Host,
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

/// How many instances of a process there are to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PanelScale {
    /// How many.
    pub replicas: u32,
    /// Of which process; `web` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessName>,
}
