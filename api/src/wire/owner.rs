//! Who owns a resource.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skep_schemas::{Owner, Provenance};

/// Who owns a resource, and where it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnerView {
    /// Who writes its manifest, and deletes it.
    pub managed_by: Owner,
    /// Where in the source's repository it is written; absent for what the API owns, and for what the source has not written yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<Provenance>,
}

/// Who is to own a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OwnerRequest {
    /// Who writes its manifest, and deletes it, from now on.
    pub managed_by: Owner,
}
