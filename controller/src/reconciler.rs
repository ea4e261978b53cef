//! One pass over one resource: load, look, plan, execute, look again, say what is so.
//!
//! A pass never trusts what woke it. It ends when a plan has nothing left to do, and writes the status that goes with that very
//! plan. When the world moved under a plan, another plan is made at once, a bounded number of times.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use skep_executor::{Execution, Executor};
use skep_planner::reconcile::Mode;
use skep_planner::{Blocked, Plan, Settings, Unkept};
use skep_runtime::{Classify, Disposition, Outcome, Pass, Priority, Reconciler};
use skep_schemas::{Kind, ResourceKey};
use skep_store::{Fence, NewEvent, Store, StoreError};
use skep_swarm::SwarmApi;
use tracing::Instrument;

use crate::consider::Seen;
use crate::desired::Desired;
use crate::drift;
use crate::error::{PassError, chain};
use crate::events;
use crate::lead::{Held, TermOver, Turn};
use crate::load::{Loaded, Loader};
use crate::metrics::{Board, Metrics, Readiness};
use crate::observe::Observer;
use crate::safety::Guard;
use crate::sightings::Sightings;
use crate::unchanged::Unchanged;

/// How many plans one pass makes. Making an organisation takes three (network, anchor, connection); a conflict costs one more. A pass
/// that needs more than these is made again at once, as often as conflicts are; after that somebody else never stops.
const ROUNDS_MAX: u32 = 6;

/// An environment that was just made gives way to those that wait for theirs: it is looked at again when the engine tells of what was
/// made, or after this time, behind whatever somebody changed.
const GIVE_WAY: Duration = Duration::from_millis(100);

/// Brings resources about.
pub(crate) struct ResourceReconciler {
    store: Store,
    loader: Loader,
    observer: Arc<Observer>,
    executor: Executor,
    settings: Arc<Settings>,
    held: Arc<Held>,
    unkept: Mutex<Unkept>,
    board: Board,
    drift: drift::Report,
    sightings: Arc<Sightings>,
    unchanged: Arc<Unchanged>,
    guard: Arc<Guard>,
}

/// What one round came to.
enum Round {
    /// Nothing is left to do now.
    Settled(Outcome),
    /// Something was done, or the world moved: plan again.
    Again,
}

impl ResourceReconciler {
    /// A reconciler of the keys that are held.
    pub(crate) fn new(
        store: Store,
        swarm: Arc<dyn SwarmApi>,
        observer: Arc<Observer>,
        settings: Arc<Settings>,
        held: Arc<Held>,
        metrics: Metrics,
        guard: Arc<Guard>,
    ) -> Self {
        let executor = Executor::new(swarm, store.clone()).watched_by(metrics.convergence);
        let board = metrics.board;
        let drift = drift::Report::new(store.clone(), board.clone(), metrics.drift);
        let loader = Loader::new(store.clone(), observer.clock());
        let sightings = Arc::<Sightings>::default();
        let unchanged = Unchanged::new(
            store.clone(),
            Arc::clone(&observer),
            Arc::clone(&sightings),
            Arc::clone(&guard),
            Arc::clone(&held),
        );
        Self {
            store,
            loader,
            observer,
            executor,
            settings,
            held,
            unkept: Mutex::default(),
            board,
            drift,
            sightings,
            unchanged: Arc::new(unchanged),
            guard,
        }
    }

    /// What tells the periodic look which keys need no pass.
    pub(crate) const fn unchanged(&self) -> &Arc<Unchanged> {
        &self.unchanged
    }

    async fn load(&self, key: &ResourceKey, trigger: Priority) -> Result<Option<Loaded>, PassError> {
        // The periodic look compares, so what it causes is compared with.
        let printed = trigger == Priority::Resync;
        self.loader.load(key, printed).await.map_err(|source| PassError::Load { key: key.clone(), source })
    }

    /// An organisation needs a subnet before it can be planned; the store gives each one its own.
    async fn allocate(&self, fence: &Fence, desired: &mut Desired) -> Result<(), PassError> {
        let Desired::Organization(organization) = desired else { return Ok(()) };
        let meta = &organization.organization.meta;
        if organization.subnet.is_some() || meta.is_deleting() {
            return Ok(());
        }
        match self.store.allocate_subnet(fence, meta.uid, &self.settings.pool, &[]).await {
            Ok(subnet) => organization.subnet = Some(subnet),
            // Said as a blocked plan.
            Err(StoreError::SubnetsExhausted) => {}
            Err(source) => return Err(PassError::Load { key: meta.key.clone(), source }),
        }
        Ok(())
    }

    async fn round(&self, fence: &Fence, loaded: Loaded, pass: &Pass) -> Result<Round, PassError> {
        let Loaded { mut desired, rows } = loaded;
        self.allocate(fence, &mut desired).await?;
        let seen = Seen::look(&self.observer, &self.settings, Mode::Act, desired).await;
        let now = self.observer.now();
        let mut plan = seen.plan(&self.settings, Mode::Act, now);
        self.unkept().hold_back(&mut plan, seen.meta().retried_at);
        let restrained = self.guard.restrain(&mut plan).await;
        restrained.map_err(|source| PassError::Load { key: plan.key.clone(), source })?;
        let noted = self.drift.note(fence, &seen, &plan, pass.trigger()).await;
        noted.map_err(|source| PassError::Record { key: plan.key.clone(), source })?;
        if plan.is_quiet() {
            self.unkept().kept(&plan.key);
            let closed = self.executor.close_open(plan.uid, fence).await;
            closed.map_err(|source| PassError::Execute { key: plan.key.clone(), source })?;
            return self.settle(fence, &seen, rows, &plan, now).await.map(Round::Settled);
        }
        let key = plan.key.clone();
        let executed = self.executor.execute(&plan, fence).await;
        match executed.map_err(|source| PassError::Execute { key: key.clone(), source })? {
            Execution::Done { row_gone: true } => {
                self.drift.ended(&plan);
                self.gone(&key);
                Ok(Round::Settled(Outcome::AwaitChange))
            }
            Execution::Done { row_gone: false } => {
                self.unkept().done(&plan, seen.meta().retried_at);
                let corrected = self.drift.corrected(fence, &plan).await;
                let corrected = corrected.map_err(|source| PassError::Record { key, source })?;
                let mut told = events::of_corrected(&corrected);
                told.extend(events::of_plan(&plan, self.settings.edge.drain.is_some()));
                self.tell(fence, &seen, told).await?;
                let made = plan.steps.iter().any(|step| step.op.creates());
                if made && plan.key.kind() == Kind::Environment {
                    return Ok(Round::Settled(Outcome::RequeueAfter(GIVE_WAY)));
                }
                Ok(Round::Again)
            }
            Execution::LookAgain { why } => {
                tracing::debug!(why, "planning again");
                Ok(Round::Again)
            }
            Execution::Failed { object, why, retry } => {
                plan.blocked.push(Blocked::StepFailed { object, why: why.clone(), retried: retry });
                plan.steps.clear();
                self.settle(fence, &seen, rows, &plan, now).await?;
                if retry {
                    Err(PassError::StepFailed { key, why })
                } else {
                    Ok(Round::Settled(Outcome::AwaitChange))
                }
            }
        }
    }

    fn unkept(&self) -> MutexGuard<'_, Unkept> {
        self.unkept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the status, and says when to look again.
    async fn settle(
        &self,
        fence: &Fence,
        seen: &Seen,
        rows: Option<u64>,
        plan: &Plan,
        now: Timestamp,
    ) -> Result<Outcome, PassError> {
        let meta = seen.meta();
        let key = || meta.key.clone();
        let mut assessed = seen
            .assess(&self.settings, plan, now)
            .map_err(|source| PassError::Encode { key: key(), source })?;
        self.board.set(&meta.key, assessed.ready, plan.blocked.iter().map(Blocked::reason));
        assessed.stamp(fence.pass(), self.sightings.look(plan, seen.recorded_status(), now));
        let events = events::of_status(meta.key.kind(), seen.recorded_status(), &assessed.json);
        let written = self
            .store
            .write_status_and_tell(
                fence,
                meta.uid,
                assessed.generation,
                assessed.json,
                events,
                plan.noted.as_ref(),
            )
            .await;
        written.map_err(|source| PassError::Record { key: key(), source })?;
        if let Some(why) = seen.image_unanswered() {
            return Err(PassError::ImageUnanswered { key: key(), why: why.to_owned() });
        }
        let unpaused = seen.paused_until().map(|until| until.duration_since(now).unsigned_abs());
        let recheck = assessed.recheck.into_iter().chain(unpaused).min();
        let is_as_wanted = plan.is_quiet() && plan.blocked.is_empty() && plan.drift.is_empty();
        if is_as_wanted
            && assessed.ready == Readiness::Ready
            && recheck.is_none()
            && let Some(sight) = seen.sight()
        {
            self.unchanged.rests(&meta.key, rows, sight, now);
        }
        Ok(recheck.map_or(Outcome::AwaitChange, Outcome::RequeueAfter))
    }

    fn gone(&self, key: &ResourceKey) {
        self.board.gone(key);
        self.sightings.gone(key);
        self.unchanged.gone(key);
    }

    async fn tell(&self, fence: &Fence, seen: &Seen, events: Vec<NewEvent>) -> Result<(), PassError> {
        let meta = seen.meta();
        let told = self.store.record_events(fence, meta.uid, events).await;
        told.map_err(|source| PassError::Record { key: meta.key.clone(), source })
    }
}

impl ResourceReconciler {
    /// Plans and acts until nothing is left to do now.
    async fn pass(&self, key: &ResourceKey, pass: &Pass, turn: &Turn) -> Result<Outcome, PassError> {
        let fence = turn.fence().in_pass(pass.id());
        self.unchanged.begins(key);
        for round in 0..ROUNDS_MAX {
            if pass.is_stopping() || !turn.term().is_open() {
                return Ok(Outcome::AwaitChange);
            }
            let Some(loaded) = self.load(key, pass.trigger()).await? else {
                self.gone(key);
                return Ok(Outcome::AwaitChange);
            };
            let span = tracing::info_span!("round", round, generation = loaded.desired.generation().get());
            match self.round(&fence, loaded, pass).instrument(span).await {
                Ok(Round::Settled(outcome)) => return Ok(outcome),
                Ok(Round::Again) => {}
                Err(error) => {
                    tracing::debug!(error = chain(&error), "pass ends");
                    return Err(error);
                }
            }
        }
        Err(PassError::Unsettled { key: key.clone(), rounds: ROUNDS_MAX })
    }
}

impl Reconciler<ResourceKey> for ResourceReconciler {
    type Error = PassError;

    /// A pass happens within the term of the key's shard. Once that is over the pass is dropped, and the next holder of
    /// the shard looks at the key.
    async fn reconcile(&self, key: &ResourceKey, pass: &Pass) -> Result<Outcome, PassError> {
        let Some(turn) = self.held.enter(key) else { return Ok(Outcome::AwaitChange) };
        match turn.term().hold(self.pass(key, pass, &turn)).await {
            Ok(Err(error)) if error.disposition() == Disposition::Fenced => {
                tracing::warn!(error = chain(&error), "another process works on this shard now");
                turn.term().end();
                Ok(Outcome::AwaitChange)
            }
            Ok(outcome) => outcome,
            Err(TermOver) => {
                tracing::info!("the shard passed on during the pass");
                Ok(Outcome::AwaitChange)
            }
        }
    }
}
