//! Secrets beyond their manifests: which values they had, where these are used, and other values in their place. No value is ever told,
//! and no digest of one: whoever can guess should have nothing to compare a guess with.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skep_schemas::kind::SecretValue;
use skep_schemas::resource_view::ResourceView;
use skep_schemas::{ProcessName, ResourceName};

use super::release::ReleaseVerdict;

/// The values that a secret had, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretVersionList {
    /// Those that are kept.
    pub items: Vec<SecretVersionView>,
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretVersionView {
    /// Counts the values.
    pub version: u32,
    /// Is it the one that new releases take?
    pub current: bool,
    /// Where it came from.
    pub origin: SecretOrigin,
    /// Of which version it is the value again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_from: Option<u32>,
    /// When it was stored.
    pub created_at: Timestamp,
    /// The token that it was stored with; not known of values from before that was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_by: Option<String>,
    /// The releases that have it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub releases: Vec<SecretReleaseView>,
}

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SecretOrigin {
    /// Somebody wrote it.
    Written,
    /// It was made at random.
    Generated,
    /// It is a former one again.
    Restored,
}

/// A release that has a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretReleaseView {
    /// The environment.
    pub environment: ResourceName,
    /// The release.
    pub release: u32,
    /// How it went.
    pub verdict: ReleaseVerdict,
}

/// Where a secret is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretWhere {
    /// The version that new releases take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<u32>,
    /// The environments whose spec names it.
    pub environments: Vec<ResourceName>,
    /// The releases that have it, by environment, newest first.
    pub uses: Vec<SecretUseView>,
    /// The objects in the Swarm that hold its values.
    pub objects: Vec<SecretObjectView>,
}

/// A release that has the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretUseView {
    /// The environment.
    pub environment: ResourceName,
    /// The release.
    pub release: u32,
    /// How it went.
    pub verdict: ReleaseVerdict,
    /// Which value it has.
    pub version: u32,
    /// The object in the Swarm that holds it.
    pub object: String,
    /// The file that the processes read, under `/run/secrets`.
    pub file: String,
    /// The processes of the release.
    pub processes: Vec<ProcessName>,
    /// Those of them that were last told to run this release.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub running: Vec<ProcessName>,
    /// Does the value have to stay in the Swarm for it? So it is for the newest release, for the one that is being rolled out, and for the
    /// newest that succeeded.
    pub needed: bool,
}

/// An object in the Swarm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretObjectView {
    /// Its name.
    pub name: String,
    /// The newest version with this value; absent when it is not kept any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
}

/// Another value for a secret. It has no `Serialize`: a value is never sent by accident.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RotateSecret {
    /// The value; absent for a secret whose value is made at random.
    #[serde(default)]
    pub value: Option<SecretValue>,
}

/// A former value for a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RestoreSecret {
    /// The version that has it.
    pub version: u32,
}

/// What a secret was given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRotated {
    /// The new version.
    pub version: u32,
    /// The secret as it is now.
    pub resource: ResourceView,
}
