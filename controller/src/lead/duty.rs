//! Duties of the whole cluster: work that is not about one organisation and that one member at a time does.
//!
//! A duty is a background task in every process, and performs its work only in the one that holds the lease `cluster`, under that
//! lease's fence. Whoever takes the lease rings all duties' bells. A duty is dropped in the middle when the lease is given
//! back or lost, like any pass; the next holder begins anew.

use std::error::Error;
use std::sync::Arc;

use skep_runtime::{BackgroundTask, TaskContext, TaskReport};
use skep_store::Fence;

use super::held::Held;
use super::term::TermOver;

/// A duty of the cluster.
pub(crate) trait ClusterDuty: Send + 'static {
    /// Why it could not be performed.
    type Error: Error + Send + Sync + 'static;

    /// Performs what is due. Writes that need a fence are made under this one.
    fn perform(&mut self, fence: &Fence) -> impl Future<Output = Result<TaskReport, Self::Error>> + Send;
}

/// The background task that performs a duty while this process holds the cluster's lease.
pub(crate) struct OfCluster<D> {
    duty: D,
    held: Arc<Held>,
}

impl<D: ClusterDuty> OfCluster<D> {
    /// A task for this duty.
    pub(crate) const fn new(duty: D, held: Arc<Held>) -> Self {
        Self { duty, held }
    }

    /// Performs the duty if it is this process'.
    pub(crate) async fn perform(&mut self) -> Result<TaskReport, D::Error> {
        let Some(turn) = self.held.enter_cluster() else {
            return Ok(TaskReport::did("another process does this"));
        };
        let performed = turn.term().hold(self.duty.perform(turn.fence())).await;
        performed.unwrap_or_else(|TermOver| Ok(TaskReport::did("the lease passed on")))
    }
}

impl<D: ClusterDuty> BackgroundTask for OfCluster<D> {
    type Error = D::Error;

    async fn activate(&mut self, _: &TaskContext) -> Result<TaskReport, D::Error> {
        self.perform().await
    }
}
