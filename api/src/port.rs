//! What the API needs from the controller: previews, logs, health and a nudge.
//!
//! The API never talks to the Swarm. What only the controller can answer goes through [`ControlPlane`]; everything else is
//! in the store; what is asked in a tenant's name comes with the store as far as that tenant reaches.

mod idle;

use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use jiff::Timestamp;
use skep_planner::checkup::Check;
use skep_schemas::diagnostic::Diagnostics;
use skep_schemas::{Manifest, OrgName, ProcessName, ResourceKey};
use skep_store::{Actor, ScopedStore, Writer};

pub use self::idle::IdleControl;
use crate::wire::{
    AdoptView, Binding, ComponentHealth, LogEvent, LogInstance, LogPlace, MetricsView, PreviewView,
    RegionList, TasksView,
};

/// A set of changes whose outcome is asked for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PreviewRequest {
    /// Would be applied. Whatever is not here stays as it is.
    pub manifests: Vec<Manifest>,
    /// In whose name.
    pub writer: Writer,
    /// Would be deleted.
    pub deletions: Vec<ResourceKey>,
}

/// Which output is asked for, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRequest {
    /// Only of this process.
    pub process: Option<ProcessName>,
    /// Of this run, instead of the processes.
    pub run: Option<u32>,
    /// Only of these instances.
    pub instance: Option<LogInstance>,
    /// Only from this instant on.
    pub since: Option<Timestamp>,
    /// How many of the newest lines of each process.
    pub tail: u32,
    /// Whether to go on with new lines as they come.
    pub follow: bool,
    /// Where another stream ended, to go on there.
    pub after: Option<LogPlace>,
}

/// Which regions are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RegionRequest {
    /// Those that have nodes for this organisation; all when absent.
    pub org: Option<OrgName>,
    /// Whether to name the nodes.
    pub with_nodes: bool,
}

/// One thing that a stream of output tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogItem {
    /// What is told.
    pub event: LogEvent,
    /// Where a reader goes on who has this and all before it.
    pub place: Option<LogPlace>,
}

/// Output as it comes: of an environment's processes, and of whatever else prints. It ends by itself unless it is followed.
///
/// Guarantees of whoever gives one: it is read as it is asked for and holds no more than its bound; what is lost of it is told as a
/// gap.
pub type LogItems = BoxStream<'static, Result<LogItem, PortError>>;

/// The controller, as the API sees it.
#[async_trait]
pub trait ControlPlane: Send + Sync + 'static {
    /// What would happen, by the planner that the reconcile loop uses. Writes nothing.
    async fn preview(&self, store: &ScopedStore, request: PreviewRequest) -> Result<PreviewView, PortError>;

    /// What has moved since a plan was made, one sentence each.
    async fn moved(&self, store: &ScopedStore, binding: &Binding) -> Result<Vec<String>, PortError>;

    /// The output of an environment's processes.
    async fn logs(
        &self,
        store: &ScopedStore,
        environment: &ResourceKey,
        request: LogRequest,
    ) -> Result<LogItems, PortError>;

    /// What the instances of an environment use, as far as it can be read from here.
    async fn metrics(&self, store: &ScopedStore, environment: &ResourceKey)
    -> Result<MetricsView, PortError>;

    /// The components that must work for the server to be of use, apart from the database. Must not block: it is asked by
    /// anyone, without a token.
    fn readiness(&self) -> Vec<ComponentHealth>;

    /// What the process is doing right now. Must not block.
    fn tasks(&self) -> TasksView;

    /// What adopting the objects under a resource's names that Skep did not make would do; done unless it is a dry run.
    async fn adopt(&self, key: &ResourceKey, actor: &Actor, dry_run: bool) -> Result<AdoptView, PortError>;

    /// The holds that are in force, in a few words each. Must not block: it is asked for with every answer.
    fn on_hold(&self) -> Vec<String>;

    /// Weighs what is due to be removed, now that something was deleted: too much comes on hold before it is carried out.
    async fn weigh_removals(&self) -> Result<(), PortError>;

    /// How long an orphan stays before it is collected.
    fn orphan_grace(&self) -> Duration;

    /// A hold was confirmed.
    async fn hold_confirmed(&self) -> Result<(), PortError>;

    /// The regions of the nodes, by one look at them.
    async fn regions(&self, store: &ScopedStore, request: RegionRequest) -> Result<RegionList, PortError>;

    /// What of the cluster weakens what tenants are promised, by one look at it.
    async fn checkup(&self) -> Result<Vec<Check>, PortError>;

    /// These were written just now. A hint that saves the time until the store tells it; nothing depends on it.
    fn wake(&self, keys: &[ResourceKey]);
}

/// Why the controller could not answer.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// The Docker engine does not answer.
    #[error("the Docker engine does not answer")]
    EngineUnavailable {
        /// What it said instead; logged, not sent.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// As many readers of output are connected to the engine as may be.
    #[error("as many services are followed as the server allows")]
    TooManyReaders,
    /// There is no such resource.
    #[error("{key} does not exist")]
    NotFound {
        /// Which.
        key: ResourceKey,
    },
    /// The manifests cannot be planned.
    #[error("the manifests cannot be planned")]
    Invalid {
        /// Why not, one by one.
        diagnostics: Diagnostics,
    },
    /// The store refuses the manifests, or does not answer.
    #[error("the store refuses")]
    Store {
        /// What it said.
        #[source]
        source: skep_store::StoreError,
    },
    /// A fault of ours.
    #[error("the controller failed")]
    Internal {
        /// What happened; logged, not sent.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
