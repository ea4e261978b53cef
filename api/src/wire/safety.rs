//! Holds, orphans, and deletions of several resources at once.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skep_planner::safety::{HoldReason, HoldScope};
use skep_schemas::OrgName;
use skep_schemas::resource_view::ResourceView;

use super::{PreviewView, ResourceRef};

/// Something that is not done before someone confirms it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HoldView {
    /// Its number.
    pub id: i64,
    /// What it looks like: `second-instance`, `restored-database` or `too-many-removals`.
    #[schemars(with = "String")]
    pub reason: HoldReason,
    /// What is not done: `everything`, or only `removals`.
    #[schemars(with = "String")]
    pub scope: HoldScope,
    /// What was found, in words.
    pub why: String,
    /// The first pieces of it, one by one.
    pub evidence: Vec<String>,
    /// What confirming it does.
    pub on_confirm: String,
    /// Since when.
    pub since: Timestamp,
    /// When it was confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<Timestamp>,
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_by: Option<String>,
    /// When it ended; absent while it is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Timestamp>,
}

/// Holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HoldList {
    /// The holds.
    pub items: Vec<HoldView>,
}

/// Which holds are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HoldQuery {
    /// Those that ended as well, newest first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
}

/// An object in the Swarm that Skep made and nothing refers to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrphanView {
    /// What sort of object: network, secret or service.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The engine's id of it.
    pub id: String,
    /// The resource that it was made for, as its labels say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// When it was first seen.
    pub first_seen_at: Timestamp,
    /// When it will be removed at the earliest.
    pub collected_after: Timestamp,
}

/// Orphans, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrphanList {
    /// The orphans.
    pub items: Vec<OrphanView>,
}

/// How a deletion is meant.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeleteQuery {
    /// It is meant, however much is removed with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub confirm: bool,
}

/// How an adoption is meant.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AdoptQuery {
    /// Look and answer as if, and make nothing its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// How deletions are meant.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeleteBatchQuery {
    /// The organisation of references that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<OrgName>,
    /// They are meant, however much is removed with them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub confirm: bool,
}

/// What became of deletions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeleteAnswer {
    /// One for each resource, in their order.
    pub results: Vec<DeleteResult>,
}

/// What became of one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeleteResult {
    /// Which resource.
    pub resource: ResourceRef,
    /// What became of it.
    pub outcome: DeleteOutcome,
    /// It, if it is still there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<Box<ResourceView>>,
}

/// What became of a resource that was to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DeleteOutcome {
    /// There was none.
    Absent,
    /// It is gone.
    Deleted,
    /// It is gone as soon as nothing of it is left in the Swarm.
    Requested,
}

impl fmt::Display for DeleteOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "does not exist",
            Self::Deleted => "deleted",
            Self::Requested => "deletion requested",
        })
    }
}

/// What adopting the foreign objects of a resource would do, or did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdoptView {
    /// The objects under the resource's names that Skep did not make.
    pub objects: Vec<AdoptedObject>,
    /// What would then be done to them: the difference from what is live to what is wanted, and what it costs.
    pub preview: PreviewView,
    /// Were they adopted? Not when nothing is there to adopt, when one cannot be, and when it was only asked.
    pub adopted: bool,
}

/// An object that Skep did not make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdoptedObject {
    /// What sort of object: network or service.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The engine's id of it.
    pub id: String,
    /// Why it cannot be adopted, if it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfit: Option<String>,
}
