//! What travels over HTTP: every request and every answer as a type, shared by server and client.
//!
//! These are views, apart from what the store holds: an answer is built field by field, so that nothing is published because
//! somebody stored it. Types that already are views (a plan's preview, a diagnostic, a condition) are used as they are.
//! Field names are camelCase; instants are RFC 3339; absent means not known or not set, never empty text.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skep_schemas::{Kind, OrgName, ResourceKey, ResourceName, Uid};

mod audit;
mod config;
mod debug;
mod deployment;
mod doctor;
mod drift;
mod feature;
mod formation;
mod journal;
mod log;
mod log_place;
mod master_key;
mod metrics;
mod notification;
mod operation;
mod owner;
mod panel;
mod people;
mod quota;
mod region;
mod release;
mod run;
mod safety;
mod schedule;
mod secret;
mod token;

pub use audit::{
    AuditChainQuery, AuditChainView, AuditKeyView, AuditList, AuditOutcome, AuditSealView, AuditSearch,
    AuditView,
};
pub use config::{ConfigChange, ConfigItem, ConfigSecret, ConfigSince, ConfigView};
pub use debug::{ActivationView, FollowerView, LeaseView, QueueView, ReconcileView, TaskView, TasksView};
pub use deployment::{DeploymentState, ReleaseOutputView, RolledView, StageName, StageView, WaitView};
pub use doctor::{CheckOutcome, CheckView, DoctorQuery, DoctorReport};
pub(crate) use drift::ending as drift_ending;
pub use drift::{
    DriftEvent, DriftList, DriftNoticed, DriftObject, DriftOutcome, DriftQuery, DriftView, PauseRequest,
};
pub use feature::{FeatureItem, FeaturesView};
pub use formation::{
    FormationView, InstancesOwner, ProcessItem, ProcessRequest, ProcessType, ScaleRequest, StopRequest,
    SuspendRequest,
};
pub use journal::{PlanEnd, PlanItem, PlanList, PlanQuery, PlanStep};
pub use log::{
    InstanceChange, InstanceState, LogEvent, LogGap, LogGapReason, LogInstance, LogLine, LogQuery, LogStream,
};
pub use log_place::LogPlace;
pub use master_key::{ClosedOrganization, MasterKeyRotation, MasterKeyUse, MasterKeyView, RotateMasterKey};
pub use metrics::{
    CpuView, InstanceMetrics, MemoryView, MetricsView, NetworkView, UnreadReason, UnreadView, UsageView,
};
pub use notification::{DeliveryList, DeliveryQuery, DeliveryState, DeliveryView, Resent, TestSent};
pub use operation::{
    ComponentHealth, EventList, EventQuery, EventSeverity, EventView, Health, Readiness, VersionView,
};
pub use owner::{OwnerRequest, OwnerView};
pub use panel::{
    PanelAppQuery, PanelBuildpackOrder, PanelCatalogItem, PanelConfig, PanelConfigChange, PanelDeleteQuery,
    PanelDeploy, PanelDeployMode, PanelDomain, PanelEnvironment, PanelListQuery, PanelLogQuery, PanelPatch,
    PanelQuery, PanelReleaseQuery, PanelScale, PanelSettings,
};
pub use people::{
    AcceptInvitation, Accepted, EndedSession, InvitationList, InvitationRequest, InvitationView,
    LeaveRequest, LoginProvider, LoginRequest, LoginView, MadeInvitation, MadeSession, MemberList,
    MemberView, PeopleQuery, PersonList, PersonRequest, PersonView, RemovedMember, RemovedPerson,
    RevokedInvitation, RoleChange, SessionList, SessionRequest, SessionView, WebLogin, WebLoginCode,
    WebLoginView,
};
pub use quota::{QuotaItem, QuotaView};
pub use region::{NodeItem, RegionList, RegionNodes, RegionView};
pub use release::{
    OneReleaseQuery, PromoteRequest, PromotionView, ReleaseContentView, ReleaseDifference, ReleaseItem,
    ReleaseList, ReleasePhaseView, ReleaseProcessView, ReleaseQuery, ReleaseScheduleView,
    ReleaseSecretVersion, ReleaseVerdict, ReleaseView, RollbackRequest, RollbackView,
};
pub use run::{RunAsked, RunList, RunOutputView, RunQuery, RunState, RunView};
pub use safety::{
    AdoptQuery, AdoptView, AdoptedObject, DeleteAnswer, DeleteBatchQuery, DeleteOutcome, DeleteQuery,
    DeleteResult, HoldList, HoldQuery, HoldView, OrphanList, OrphanView,
};
pub use schedule::{MissedView, ScheduleList, ScheduleView};
pub use secret::{
    RestoreSecret, RotateSecret, SecretObjectView, SecretOrigin, SecretReleaseView, SecretRotated,
    SecretUseView, SecretVersionList, SecretVersionView, SecretWhere,
};
pub use skep_planner::binding::Binding;
pub use skep_planner::drift::{DriftClass, Response as DriftResponse};
pub use skep_planner::view::PreviewView;
pub use skep_schemas::codes::Code;
pub use skep_schemas::diagnostic::Diagnostic;
pub use skep_schemas::resource_view::{MetaView, ResourceView};
pub use token::{GrantView, MadeToken, RevokedToken, TokenList, TokenRequest, TokenView, WhoAmI};

/// The content type of a stream of YAML documents.
pub const YAML: &str = "application/yaml";
/// The content type of problem answers.
pub const PROBLEM_JSON: &str = "application/problem+json";
/// The content type of streams.
pub const EVENT_STREAM: &str = "text/event-stream";
/// The header that says what is on hold, in answers.
pub const ON_HOLD: &str = "skep-on-hold";
/// The header that names a request, in answers and in the server's log.
pub const REQUEST_ID: &str = "x-request-id";

/// A client's own key of a write: sent again with it, the write is done once.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Says that an answer is that to an earlier request with the same key.
pub const IDEMPOTENCY_REPLAYED: &str = "idempotency-replayed";

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceList {
    /// The resources, by organisation and name.
    pub items: Vec<ResourceView>,
    /// Where to go on; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Where a watch begins that misses nothing that came after this page. Of several pages, the first one's counts.
    pub watch_from: String,
}

/// Which part of a list is wanted, and whether to go on watching it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListQuery {
    /// Only resources with these labels: `key=value`, `key!=value`, `key`, `!key`, separated by commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<String>,
    /// How many at most; 500 when absent, and never more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Answer with a stream of changes instead of a page.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub watch: bool,
    /// With `watch`: where to begin, such as the `watchFrom` of a list or the id of an event. Absent: everything that exists
    /// comes first, as `added` events with a `bookmark` after them. The header `Last-Event-ID` goes before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

/// How a write is meant.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WriteQuery {
    /// Check and answer as if, and write nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// What a Git source owns becomes the API's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub take_over: bool,
}

/// How a batch is meant.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BatchQuery {
    /// The organisation of documents that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<OrgName>,
    /// Check and answer as if, and write nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// What a Git source owns becomes the API's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub take_over: bool,
}

/// A batch in its JSON form. The YAML form is a stream of documents.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Batch {
    /// The manifests.
    #[serde(default)]
    pub documents: Vec<serde_json::Value>,
    /// For plans only: resources that would be deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub delete: Vec<ResourceRef>,
    /// For an apply: refuse it unless everything that the plan was made from is as it was then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<Binding>,
}

/// Documents may hold the values of secrets, so only their number is shown.
impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("documents", &self.documents.len())
            .field("delete", &self.delete)
            .field("binding", &self.binding)
            .finish()
    }
}

/// The address of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourceRef {
    /// The organisation; absent for platform kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<OrgName>,
    /// The kind.
    pub kind: Kind,
    /// The name.
    pub name: ResourceName,
}

impl From<&ResourceKey> for ResourceRef {
    fn from(key: &ResourceKey) -> Self {
        Self { org: key.org().cloned(), kind: key.kind(), name: key.name().clone() }
    }
}

/// What a batch did, or would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplyAnswer {
    /// Was nothing written because that was asked for?
    pub dry_run: bool,
    /// One for each document, in their order.
    pub results: Vec<ApplyResult>,
}

/// What became of one document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplyResult {
    /// What was done.
    pub action: ApplyAction,
    /// The resource as it is now.
    pub resource: ResourceView,
}

/// What was done with a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ApplyAction {
    /// The resource is new.
    Created,
    /// It was there, and spec, labels, annotations or owner changed.
    Configured,
    /// Nothing changed.
    Unchanged,
}

impl fmt::Display for ApplyAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
        })
    }
}

/// One event of a watch. Its SSE `event` is the type; its SSE `id`, to be sent back as `Last-Event-ID`, is opaque.
///
/// A watch that cannot go on says so in an event `problem` whose data is a [`Problem`], and ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "type")]
pub enum WatchEvent {
    /// It did not match before: it is new, or its labels changed.
    Added {
        /// The resource as it is now.
        resource: Box<ResourceView>,
    },
    /// Spec, metadata or status changed.
    Modified {
        /// The resource as it is now.
        resource: Box<ResourceView>,
    },
    /// It is gone, or does not match any longer.
    Deleted {
        /// The address that was in use.
        resource: ResourceRef,
        /// The identity that ended.
        uid: Uid,
    },
    /// Everything up to here has been sent.
    Bookmark {},
}

impl WatchEvent {
    /// The SSE `event`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Added { .. } => "added",
            Self::Modified { .. } => "modified",
            Self::Deleted { .. } => "deleted",
            Self::Bookmark {} => "bookmark",
        }
    }
}

/// What went wrong, in the form of RFC 9457.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Names the sort of problem: `urn:skep:error:SKnnnn`.
    #[serde(rename = "type")]
    pub problem_type: String,
    /// The sort of problem in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong in this case.
    pub detail: String,
    /// The code; `skep explain` documents it.
    pub code: Code,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Each problem of the manifests that were sent, with its place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Diagnostic>,
    /// The id of the request, to be found in the server's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}
