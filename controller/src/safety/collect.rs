//! Collecting orphans: what nobody looks after is removed after its grace period.
//!
//! Each is looked at once more, by its id, right before it goes: it must still be ours, and the inventory must still not know it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use skep_planner::ObjectKind;
use skep_planner::naming::{InstanceId, LABEL_INSTANCE, LABEL_ROLE, ROLE_EDGE};
use skep_planner::safety::removal_order;
use skep_planner::swarm::{Labels, NetworkId, SecretId, ServiceId};
use skep_store::{Fence, Orphan, Store};
use skep_swarm::{By, LabelFilter, SwarmApi, SwarmError};

use super::surveyor::SurveyError;

/// How many orphans one survey collects; the rest waits for the next. A mass of them should not hold up what surveys are for.
const COLLECTED_MAX: usize = 100;

/// What orphans are collected with.
pub(super) struct Collector<'a> {
    pub(super) store: &'a Store,
    pub(super) swarm: &'a Arc<dyn SwarmApi>,
    pub(super) instance: &'a InstanceId,
    pub(super) fence: &'a Fence,
    pub(super) grace: Duration,
}

impl Collector<'_> {
    /// Removes what is past its grace period. How many went.
    pub(super) async fn collect(&self, orphans: &[Orphan], now: Timestamp) -> Result<u64, SurveyError> {
        let age = |orphan: &Orphan| now.duration_since(orphan.first_seen_at);
        let grace = jiff::SignedDuration::try_from(self.grace).unwrap_or(jiff::SignedDuration::MAX);
        let mut due: Vec<&Orphan> = orphans.iter().filter(|orphan| age(orphan) >= grace).collect();
        due.sort_by_key(|orphan| removal_order(orphan.found.object.kind));
        let mut collected = 0;
        for orphan in due.into_iter().take(COLLECTED_MAX) {
            if !self.store.may_collect(self.fence, &orphan.found.object).await? {
                continue;
            }
            let object = orphan.found.object.to_string();
            match self.remove(orphan).await {
                Ok(Removed::Gone) => {
                    tracing::warn!(object, id = orphan.found.id, since = %orphan.first_seen_at, "orphan collected");
                    self.store.forget_orphan(&orphan.found.id).await?;
                    collected += 1;
                }
                Ok(Removed::NotOurs) => tracing::info!(object, "an orphan is not ours any more"),
                // What it is used by goes first, now or with the next survey.
                Err(SwarmError::InUse { message, .. }) => {
                    tracing::info!(object, message, "an orphan is in use")
                }
                Err(source) => return Err(source.into()),
            }
        }
        Ok(collected)
    }

    async fn remove(&self, orphan: &Orphan) -> Result<Removed, SwarmError> {
        let id = orphan.found.id.as_str();
        let removed = match orphan.found.object.kind {
            ObjectKind::Service | ObjectKind::Run => {
                let id = ServiceId::from(id);
                match self.swarm.inspect_service(By::Id(&id)).await? {
                    None => return Ok(Removed::Gone),
                    Some(service) if !self.is_ours(&service.spec.labels) => return Ok(Removed::NotOurs),
                    Some(_) => self.swarm.remove_service(&id).await,
                }
            }
            // A secret's labels cannot have changed: nobody can edit them and keep the id.
            ObjectKind::Secret => self.swarm.remove_secret(&SecretId::from(id)).await,
            ObjectKind::Network => {
                let id = NetworkId::from(id);
                self.detach_edge(&id).await?;
                self.swarm.remove_network(&id).await
            }
            // Never recorded: it has no labels of its own.
            ObjectKind::EdgeAttachment => return Ok(Removed::Gone),
        };
        match removed {
            Ok(()) | Err(SwarmError::NotFound { .. }) => Ok(Removed::Gone),
            Err(error) => Err(error),
        }
    }

    /// A network that is removed while an edge task is connected leaves a remnant on that node that nothing can remove.
    async fn detach_edge(&self, network: &NetworkId) -> Result<(), SwarmError> {
        let of_edge = LabelFilter::any().with(LABEL_ROLE, ROLE_EDGE);
        for container in self.swarm.list_containers(&of_edge).await? {
            let attached = |one: &&skep_planner::swarm::AttachedNetwork| one.network_id == *network;
            if container.network_settings.networks.values().find(attached).is_none() {
                continue;
            }
            match self.swarm.disconnect_network(network, &container.id, true).await {
                Ok(()) | Err(SwarmError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn is_ours(&self, labels: &Labels) -> bool {
        labels.get(LABEL_INSTANCE).is_some_and(|instance| instance == self.instance.as_str())
    }
}

enum Removed {
    Gone,
    NotOurs,
}
