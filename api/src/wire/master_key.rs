//! The master key: which one is in force, and what is still wrapped by others. Keys go by names that tell nothing about them.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skep_schemas::Uid;

/// How things stand with master keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MasterKeyView {
    /// The key that wraps new data keys and signs the audit.
    pub in_force: String,
    /// Since when.
    pub since: Timestamp,
    /// The own key of the server that answers.
    pub own: String,
    /// The keys that wrapped what there is, and those that the server has.
    pub keys: Vec<MasterKeyUse>,
    /// Organisations whose secrets the server cannot open because it lacks the key, the first hundred.
    pub closed: Vec<ClosedOrganization>,
}

/// How much a master key is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MasterKeyUse {
    /// The key.
    pub id: String,
    /// How many organisations' data keys it wrapped.
    pub organizations: u64,
    /// Does the server have it?
    pub held: bool,
}

/// An organisation whose secrets the server cannot open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClosedOrganization {
    /// The organisation.
    pub organization: String,
    /// The master key that wrapped its data key.
    pub master_key: String,
}

/// A batch of a rotation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RotateMasterKey {
    /// The key to put in force and to wrap with; the own key of the server that answers, if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Where the batch begins: `next` of the answer before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Uid>,
}

/// What a batch came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MasterKeyRotation {
    /// The key in force.
    pub in_force: String,
    /// Did it come into force with this request?
    pub began: bool,
    /// How many data keys were wrapped anew.
    pub rewrapped: u64,
    /// How many are wrapped by other keys still.
    pub left: u64,
    /// Organisations of this batch whose data key the server cannot open.
    pub closed: Vec<ClosedOrganization>,
    /// Where the next batch begins; absent after the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Uid>,
}
