//! Surveys: when the cluster's lease is taken, after every periodic look and by its list, while something is on hold, and when a guard
//! is in doubt.

use std::collections::BTreeSet;
use std::sync::Arc;

use skep_planner::naming::InstanceId;
use skep_planner::safety::{
    Claim, Fate, Finding, FoundObject, HoldScope, Survey, Verdict, claim_spec, fate, survey, unknown,
};
use skep_planner::swarm::{Config, ConfigSpec};
use skep_runtime::TaskReport;
use skep_schemas::Uid;
use skep_store::{Census, Fence, Hold, Store, StoreError};
use skep_swarm::{SwarmApi, SwarmError};

use super::collect::Collector;
use super::entry;
use super::guard::Guard;
use super::look;
use crate::lead::ClusterDuty;
use crate::metrics::Orphans;

/// How often a claim is tried for before others are let go first.
const ATTEMPTS: u32 = 4;

/// A survey was not completed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SurveyError {
    /// The Swarm could not be read, or did not do what was asked.
    #[error("the Swarm cannot be surveyed")]
    Swarm(#[from] SwarmError),
    /// The store.
    #[error("the survey's result cannot be read or written")]
    Store(#[from] StoreError),
    /// The claim changed under each attempt.
    #[error("others keep changing the claim on the Swarm")]
    Contested,
}

/// Surveys the Swarm, in whichever process does the work of the cluster.
#[derive(Clone)]
pub(crate) struct Surveyor {
    store: Store,
    swarm: Arc<dyn SwarmApi>,
    instance: InstanceId,
    guard: Arc<Guard>,
    orphans: Orphans,
}

/// What the Swarm and the store said.
struct Picture {
    config: Option<Config>,
    claim: Option<Claim>,
    found: Vec<FoundObject>,
    census: Census,
    orphans: BTreeSet<String>,
}

impl Surveyor {
    /// A surveyor for this instance.
    pub(super) const fn new(
        store: Store,
        swarm: Arc<dyn SwarmApi>,
        instance: InstanceId,
        guard: Arc<Guard>,
        orphans: Orphans,
    ) -> Self {
        Self { store, swarm, instance, guard, orphans }
    }

    /// One survey. The holds that are in force after it.
    async fn survey(&self, fence: &Fence) -> Result<Vec<Hold>, SurveyError> {
        for _ in 0..ATTEMPTS {
            let lent = self.guard.take_lent();
            let is_lent = lent.is_some();
            let picture = self.look(lent).await?;
            let verdict = survey(&picture.input(&self.instance));
            match &verdict {
                // Whose the Swarm is must not be decided by what was there a moment ago.
                Verdict::Claim(_) | Verdict::Renew(_) | Verdict::Hold(_) if is_lent => continue,
                Verdict::Hold(finding) => self.hold(finding).await?,
                // Someone was quicker: what they wrote has to be read.
                Verdict::Claim(claim) | Verdict::Renew(claim)
                    if !self.write_claim(picture.config.as_ref(), claim).await? =>
                {
                    continue;
                }
                Verdict::Ours | Verdict::Claim(_) | Verdict::Renew(_) => {
                    self.settle(fence, HoldScope::Everything).await?;
                    entry::provide(&*self.swarm, &self.instance).await?;
                    self.look_after(fence, &picture).await?;
                }
            }
            return Ok(self.guard.holds().await?);
        }
        Err(SurveyError::Contested)
    }

    /// The Swarm first, then the store: whatever is in the first picture had its intent recorded before it was there. What the
    /// store does not know is looked for once more, because it may have been removed in between. The first picture may be one that
    /// the periodic look has just made.
    async fn look(&self, lent: Option<Vec<FoundObject>>) -> Result<Picture, SurveyError> {
        let config = look::claim(&self.swarm).await?;
        let found = match lent {
            Some(found) => found,
            None => look::objects(&self.swarm).await?,
        };
        let mut snapshot = self.store.snapshot().await?;
        let census = snapshot.census().await?;
        snapshot.discard().await?;
        let claim = config.as_ref().map(|config| Claim::read(&config.spec.labels));
        let orphans = census.orphans.iter().map(|orphan| orphan.found.id.clone()).collect();
        let mut picture = Picture { config, claim, found, census, orphans };
        let doubtful: BTreeSet<String> =
            unknown(&picture.input(&self.instance)).map(|found| found.id.clone()).collect();
        if !doubtful.is_empty() {
            let there: BTreeSet<String> =
                look::objects(&self.swarm).await?.into_iter().map(|found| found.id).collect();
            picture.found.retain(|found| !doubtful.contains(&found.id) || there.contains(&found.id));
        }
        Ok(picture)
    }

    async fn hold(&self, finding: &Finding) -> Result<(), SurveyError> {
        let hold = self.store.open_hold(finding).await?;
        self.guard.announce(&hold);
        Ok(())
    }

    /// Makes or rewrites the claim. `false` when someone else did in the meantime.
    async fn write_claim(&self, there: Option<&Config>, claim: &Claim) -> Result<bool, SurveyError> {
        let written = match there {
            None => self.swarm.create_config(&claim_spec(claim)).await.map(drop),
            Some(config) => {
                // Everything but the labels has to be as it is.
                let spec = ConfigSpec { labels: claim_spec(claim).labels, ..config.spec.clone() };
                self.swarm.update_config(&config.id, config.version, &spec).await
            }
        };
        match written {
            Ok(()) => {
                tracing::info!(instance = %claim.instance, epoch = claim.epoch, "the Swarm is claimed");
                Ok(true)
            }
            Err(SwarmError::NameTaken { .. } | SwarmError::Conflict { .. } | SwarmError::NotFound { .. }) => {
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Ends the holds of a scope that have no reason any more.
    async fn settle(&self, fence: &Fence, scope: HoldScope) -> Result<(), SurveyError> {
        for hold in self.store.holds().await?.into_iter().filter(|hold| hold.scope == scope) {
            self.store.settle_hold(fence, hold.id).await?;
            tracing::info!(hold = %hold.id, reason = %hold.finding.reason, "the hold has ended");
        }
        Ok(())
    }

    /// In a Swarm that is ours: lost entries come back, orphans are listed, the brake is pulled or let go, and orphans collected.
    async fn look_after(&self, fence: &Fence, picture: &Picture) -> Result<(), SurveyError> {
        let input = picture.input(&self.instance);
        let unknown: Vec<&FoundObject> = unknown(&input).collect();
        let uids: Vec<Uid> = unknown.iter().filter_map(|found| found.owner()).collect();
        let owners = if uids.is_empty() {
            std::collections::BTreeMap::new()
        } else {
            self.store.snapshot().await?.owners(&uids).await?
        };
        let (mut lost, mut orphans) = (Vec::new(), Vec::new());
        for found in unknown {
            let owner = found.owner();
            match (owner, fate(found, owner.and_then(|uid| owners.get(&uid)))) {
                (Some(owner), Fate::Recover) => lost.push((owner, found.clone())),
                (_, Fate::Recover | Fate::Collect) => orphans.push(found.clone()),
            }
        }
        for (owner, found) in &lost {
            tracing::warn!(object = %found.object, %owner, "an entry of the inventory was lost and is made again");
        }
        self.store.recover_inventory(fence, &lost).await?;
        self.store.record_orphans(fence, &orphans).await?;
        self.orphans.seen(orphans.len());
        for hold in self.store.holds().await? {
            if self.guard.brake_is_needless(&hold).await? {
                self.store.settle_hold(fence, hold.id).await?;
            }
        }
        self.guard.brake().await?;
        if orphans.is_empty() || !self.store.holds().await?.is_empty() {
            return Ok(());
        }
        let collector = Collector {
            store: &self.store,
            swarm: &self.swarm,
            instance: &self.instance,
            fence,
            grace: self.guard.settings().orphan_grace,
        };
        let collected = collector.collect(&self.store.orphans().await?, self.guard.now()).await?;
        self.orphans.collected(collected);
        Ok(())
    }
}

impl ClusterDuty for Surveyor {
    type Error = SurveyError;

    async fn perform(&mut self, fence: &Fence) -> Result<TaskReport, SurveyError> {
        let holds = self.survey(fence).await?;
        Ok(TaskReport::did(format!("{} holds are in force", holds.len())))
    }
}

impl Picture {
    fn input<'a>(&'a self, instance: &'a InstanceId) -> Survey<'a> {
        Survey {
            instance,
            epoch: &self.census.epoch,
            claim: self.claim.as_ref(),
            found: &self.found,
            inventory: &self.census.inventory,
            orphans: &self.orphans,
            releases: &self.census.releases,
            consents: &self.census.consents,
        }
    }
}
