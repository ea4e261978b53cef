//! The guard: the one place that every plan passes on its way to the executor, in every process.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use skep_planner::safety::{self, Brake, Claim, FoundObject, HoldReason, HoldScope, InForce, Removals};
use skep_planner::{Blocked, InstanceId, Plan};
use skep_runtime::{Activator, Clock, First, Gather, GatherBounds, Instant, Unanswered};
use skep_store::{Hold, Snapshot, Store, StoreError};
use skep_swarm::SwarmApi;

use super::{HoldsInForce, SafetySettings, look};
use crate::clock;
use crate::error::chain;

/// How long a look at the claim is believed: the longest that two instances can write at once after one has taken over.
const CLAIM_BELIEVED_FOR: Duration = Duration::from_secs(5);

/// How long a list of the Swarm that the periodic look has made may be used by the survey that it asks for: about as long as an engine
/// that is busy takes for such a list.
const LENT_FOR: Duration = Duration::from_secs(2);

/// Plans that come at the same time are held against the same holds. A read that hangs is given up, and each reads by itself.
const READ_TOGETHER: GatherBounds =
    GatherBounds { together: 256, at_once: 1, within: Duration::from_secs(10) };

/// Lets plans pass, or takes out of them what must not be done now.
pub(crate) struct Guard {
    store: Store,
    /// The holds, read for several at once; none when that failed.
    read: Gather<(), Option<Arc<[Hold]>>>,
    swarm: Arc<dyn SwarmApi>,
    instance: InstanceId,
    settings: SafetySettings,
    in_force: HoldsInForce,
    /// When the claim was last seen to be ours; never when it was not.
    claimed: Mutex<Option<Instant>>,
    clock: Arc<dyn Clock>,
    /// Asks for a survey before its time.
    survey: Activator,
    /// What the periodic look has found, since then; for one survey.
    lent: Mutex<Option<(Instant, Vec<FoundObject>)>>,
}

impl Guard {
    /// A guard that lets nothing pass before it has seen the claim.
    pub(crate) fn new(
        store: Store,
        swarm: Arc<dyn SwarmApi>,
        instance: InstanceId,
        settings: SafetySettings,
        in_force: HoldsInForce,
        survey: Activator,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (claimed, lent) = (Mutex::new(None), Mutex::new(None));
        let from = store.clone();
        let read = Gather::new(READ_TOGETHER, First::InItsFuture, move |asked: Vec<()>| {
            let store = from.clone();
            async move {
                let holds = store.holds().await.ok().map(Arc::<[Hold]>::from);
                vec![holds; asked.len()]
            }
        });
        Self { store, read, swarm, instance, settings, in_force, claimed, clock, survey, lent }
    }

    /// What is decided about safety here.
    pub(crate) const fn settings(&self) -> SafetySettings {
        self.settings
    }

    /// The time by which holds, claims and orphans are judged.
    pub(super) fn now(&self) -> Timestamp {
        clock::wall(&*self.clock)
    }

    /// The holds as they were last seen.
    pub(crate) const fn in_force(&self) -> &HoldsInForce {
        &self.in_force
    }

    /// Asks for a survey now.
    pub(crate) fn want_survey(&self) {
        self.survey.activate();
    }

    /// Asks for a survey now, by this list if it comes to it at once.
    pub(crate) fn survey_by(&self, found: Vec<FoundObject>, listed: Instant) {
        *self.lent.lock().unwrap_or_else(PoisonError::into_inner) = Some((listed, found));
        self.want_survey();
    }

    /// The list that was lent, if it is not too old.
    pub(super) fn take_lent(&self) -> Option<Vec<FoundObject>> {
        let lent = self.lent.lock().unwrap_or_else(PoisonError::into_inner).take();
        lent.filter(|(listed, _)| self.clock.now() - *listed < LENT_FOR).map(|(_, found)| found)
    }

    /// Takes out of a plan what must not be done now, and says why in it.
    pub(crate) async fn restrain(&self, plan: &mut Plan) -> Result<(), StoreError> {
        if plan.is_quiet() && plan.blocked.is_empty() {
            return Ok(());
        }
        let mut holds = self.holds().await?;
        // Those on everything come first, and nothing is left for the others to say then.
        if holds.first().is_none_or(|hold| hold.scope == HoldScope::Removals)
            && let Err(why) = self.ground().await?
        {
            // Nobody knows whose the Swarm is: as when nothing could be read.
            let unknown = InForce { id: None, scope: HoldScope::Everything, why: String::new() };
            safety::restrain(plan, &unknown);
            plan.blocked = vec![Blocked::Unobserved { what: "whose this Swarm is".to_owned(), why }];
            return Ok(());
        }
        if holds.is_empty() && plan.steps.iter().any(|step| step.op.removes()) {
            holds.extend(self.brake().await?);
        }
        if let Some(hold) = holds.first() {
            safety::restrain(plan, &hold.in_force());
        }
        Ok(())
    }

    /// What would be to be removed if this snapshot came true: for previews.
    pub(crate) async fn removals_of(&self, snapshot: &mut Snapshot) -> Result<Removals, StoreError> {
        snapshot.removals(self.settings.limits, self.settings.orphan_grace).await
    }

    /// The hold that is in force, or that would be with so much to be removed.
    pub(crate) async fn foresee(&self, removals: &Removals) -> Result<Option<InForce>, StoreError> {
        // Over the connections of Skep itself: who asks for a preview may be a tenant, and holds are the platform's.
        if let Some(hold) = self.store.holds().await?.first() {
            return Ok(Some(hold.in_force()));
        }
        Ok(match safety::brake(self.settings.limits, removals) {
            Brake::Clear => None,
            Brake::Pull(finding) => {
                Some(InForce { id: None, scope: finding.reason.scope(), why: finding.why })
            }
        })
    }

    /// Weighs what is due to be removed. The hold, if it is too much.
    pub(crate) async fn brake(&self) -> Result<Option<Hold>, StoreError> {
        let SafetySettings { limits, orphan_grace } = self.settings;
        let removals = self.store.removals(limits, orphan_grace).await?;
        let Brake::Pull(finding) = safety::brake(limits, &removals) else { return Ok(None) };
        let hold = self.store.open_hold(&finding).await?;
        self.announce(&hold);
        self.holds().await?;
        Ok(Some(hold))
    }

    /// Says once that a hold is in force.
    pub(super) fn announce(&self, hold: &Hold) {
        if !self.in_force.has(hold.id) {
            let Hold { id, scope, finding, .. } = hold;
            tracing::warn!(hold = %id, %scope, reason = %finding.reason, why = finding.why, "on hold");
        }
    }

    /// Is nothing due any more of what the brake has stopped?
    pub(super) async fn brake_is_needless(&self, hold: &Hold) -> Result<bool, StoreError> {
        let SafetySettings { limits, orphan_grace } = self.settings;
        Ok(hold.finding.reason == HoldReason::TooManyRemovals
            && self.store.removals(limits, orphan_grace).await?.due == 0)
    }

    /// Reads the holds and posts them.
    pub(crate) async fn holds(&self) -> Result<Vec<Hold>, StoreError> {
        let holds = match self.read.ask(()).await {
            Ok(Some(holds)) => holds.to_vec(),
            Ok(None) | Err(Unanswered) => self.store.holds().await?,
        };
        self.in_force.post(holds.clone());
        Ok(holds)
    }

    /// Is the Swarm ours, by a survey in this epoch of the store? In words why not.
    async fn ground(&self) -> Result<Result<(), String>, StoreError> {
        let seen = *self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.is_some_and(|at| self.clock.now() - at < CLAIM_BELIEVED_FOR) {
            return Ok(Ok(()));
        }
        let looked = self.clock.now();
        let ours = Claim { instance: self.instance.clone(), epoch: self.store.epoch().await? };
        let found = match look::claim(&self.swarm).await {
            Ok(found) => found.map(|config| Claim::read(&config.spec.labels)),
            Err(error) => return Ok(Err(chain(&error))),
        };
        let is_ours = found.as_ref() == Some(&ours);
        *self.claimed.lock().unwrap_or_else(PoisonError::into_inner) = is_ours.then_some(looked);
        if is_ours {
            return Ok(Ok(()));
        }
        self.want_survey();
        Ok(Err(match found {
            None => "nobody has claimed it yet".to_owned(),
            Some(_) => "it is claimed, but not by this instance over this database".to_owned(),
        }))
    }
}
