//! The executor: carries a plan out, and makes no choices (invariant I2).
//!
//! ```text
//! record the plan, its release, the intent of every creation and the first step as "started"     (one transaction, fenced)
//! for each step:  check the fence and journal "started", for the first already done
//!                 one call to the Swarm
//!                 journal the result
//! forget objects that were seen to be gone; let the row go when nothing is left
//! ```
//!
//! The order is what makes a crash at any point harmless: whatever may exist has an inventory entry before it exists (I3), and the
//! next pass finds it by its deterministic name (I4). A call whose effect is unknown is not repeated; the object is read again
//! first (I6). A change that lost against another writer means a new plan, never a forced write.
//!
//! When the end of a step cannot be recorded, or the pass is cut off, the journal speaks of work that nobody does any more. The next
//! plan of the resource closes it; if there is nothing left to plan, [`Executor::close_open`] does.

mod pull;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretSlice};
use skep_planner::{Op, Plan, PullAs, PullCredential, Step};
use skep_schemas::Uid;
use skep_store::{Fence, Finalized, PlanId, StepOutcome, Store, StoreError};
use skep_swarm::{Effect, RegistryAuth, SwarmApi, SwarmError};
use tracing::Instrument;

pub use pull::registry_auth;

/// Carries plans out.
#[derive(Clone)]
pub struct Executor {
    swarm: Arc<dyn SwarmApi>,
    store: Store,
    watch: Arc<dyn StepWatch>,
    /// Whose plans this process began and did not see recorded to their end. (Those of a process that ended are told by its epoch.)
    open: Arc<Mutex<BTreeSet<Uid>>>,
}

/// Is told of every step that ended, for metrics.
pub trait StepWatch: Send + Sync {
    /// A step ended so, after this long.
    fn ended(&self, step: &Step, outcome: &StepOutcome, took: Duration);
}

/// Nobody wants to know.
impl StepWatch for () {
    fn ended(&self, _: &Step, _: &StepOutcome, _: Duration) {}
}

/// Why a plan could not be carried out to the end for reasons that are not the Swarm's.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// The journal could not be written, so nothing was done after it.
    #[error("cannot record {what}")]
    Record {
        /// What was to be recorded.
        what: String,
        /// What the store said.
        #[source]
        source: StoreError,
    },
    /// The password of a credential for a registry could not be opened.
    #[error("cannot open version {} of the password of RegistryCredential/{}", .credential.version, .credential.name)]
    Password {
        /// The credential.
        credential: Box<PullCredential>,
        /// What the store said.
        #[source]
        source: StoreError,
    },
    /// A secret's value could not be opened.
    #[error("cannot open version {version} of secret {secret}")]
    Value {
        /// The Secret resource.
        secret: Uid,
        /// Which of its values.
        version: u32,
        /// What the store said.
        #[source]
        source: StoreError,
    },
}

/// How far a plan came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Execution {
    /// Every step was done.
    Done {
        /// Is the resource's row gone, because it was to be deleted and nothing was left?
        row_gone: bool,
    },
    /// The world is not as the plan assumed, or what a call did is not known: look again and plan again.
    LookAgain {
        /// What happened, in words.
        why: String,
    },
    /// A step failed.
    Failed {
        /// The object that it was about.
        object: String,
        /// Why, in words.
        why: String,
        /// May it pass by itself?
        retry: bool,
    },
}

/// What one step came to.
enum Called {
    Done { id: Option<String> },
    LookAgain { outcome: StepOutcome, why: String },
    Failed { why: String, retry: bool },
}

impl Executor {
    /// An executor for this Swarm, with its journal in this store.
    pub fn new(swarm: Arc<dyn SwarmApi>, store: Store) -> Self {
        Self { swarm, store, watch: Arc::new(()), open: Arc::default() }
    }

    /// Tells `watch` of every step.
    #[must_use]
    pub fn watched_by(mut self, watch: impl StepWatch + 'static) -> Self {
        self.watch = Arc::new(watch);
        self
    }

    /// Carries a plan out, step by step, until one does not succeed.
    pub async fn execute(&self, plan: &Plan, fence: &Fence) -> Result<Execution, ExecuteError> {
        if plan.is_quiet() {
            return Ok(Execution::Done { row_gone: false });
        }
        if plan.is_recorded() {
            self.open().insert(plan.uid);
            let stopped = self.recorded(plan, fence).await?;
            self.open().remove(&plan.uid);
            if let Some(stopped) = stopped {
                return Ok(stopped);
            }
        }
        self.store.learn(fence, plan.uid, &plan.learned).await.map_err(record("what was found"))?;
        self.store.forget(fence, plan.uid, &plan.forget).await.map_err(record("that objects are gone"))?;
        if !plan.finalized {
            return Ok(Execution::Done { row_gone: false });
        }
        match self.store.finalize(fence, plan.uid).await.map_err(record("that nothing is left"))? {
            Finalized::Removed | Finalized::Absent => {
                self.open().remove(&plan.uid);
                Ok(Execution::Done { row_gone: true })
            }
            Finalized::Held => Ok(Execution::Done { row_gone: false }),
        }
    }

    /// Records the plan and carries its steps out. `Some` when it ends before the last.
    async fn recorded(&self, plan: &Plan, fence: &Fence) -> Result<Option<Execution>, ExecuteError> {
        let recorded = self.store.start_plan(fence, plan).await.map_err(record("the plan"))?;
        for (index, step) in plan.steps.iter().enumerate() {
            // A plan with steps is always journaled.
            let Some(recorded) = &recorded else { break };
            let span = tracing::info_span!("step", plan = %recorded.id, verb = step.op.verb(), object = %step.object);
            if let Some(stopped) = self.step(fence, recorded.id, index, step).instrument(span).await? {
                return Ok(Some(stopped));
            }
        }
        Ok(None)
    }

    /// Closes what an earlier pass over a resource left open in the journal, when this one finds nothing to do. Asks the store only if
    /// there is something.
    pub async fn close_open(&self, uid: Uid, fence: &Fence) -> Result<(), ExecuteError> {
        if !self.open().contains(&uid) {
            return Ok(());
        }
        self.store.close_open(fence, uid).await.map_err(record("how an earlier plan ended"))?;
        self.open().remove(&uid);
        Ok(())
    }

    fn open(&self) -> MutexGuard<'_, BTreeSet<Uid>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One step: journal, call, journal. `Some` when the plan ends here.
    async fn step(
        &self,
        fence: &Fence,
        plan: PlanId,
        index: usize,
        step: &Step,
    ) -> Result<Option<Execution>, ExecuteError> {
        let object = step.object.to_string();
        let began = Instant::now();
        // The first was noted as started with the plan itself.
        if index > 0 {
            self.store.step_started(fence, plan, index).await.map_err(record(&object))?;
        }
        let (outcome, stopped) = match self.call(step).await? {
            Called::Done { id } => {
                let changed: Vec<&str> = step.changes.iter().map(|change| change.pointer.as_str()).collect();
                tracing::info!(verb = step.op.verb(), object, why = step.why, cost = %step.cost, ?changed, "step done");
                (StepOutcome::Done { object_id: id }, None)
            }
            Called::LookAgain { outcome, why } => {
                tracing::info!(verb = step.op.verb(), object, why, "the plan is out of date");
                (outcome, Some(Execution::LookAgain { why }))
            }
            Called::Failed { why, retry } => {
                tracing::warn!(verb = step.op.verb(), object, why, retry, "step failed");
                (
                    StepOutcome::Failed { why: why.clone() },
                    Some(Execution::Failed { object: object.clone(), why, retry }),
                )
            }
        };
        self.store.step_finished(fence, plan, index, &outcome).await.map_err(record(&object))?;
        self.watch.ended(step, &outcome, began.elapsed());
        Ok(stopped)
    }

    async fn call(&self, step: &Step) -> Result<Called, ExecuteError> {
        let answer = match &step.op {
            Op::CreateNetwork { spec } => {
                self.swarm.create_network(spec).await.map(|id| Some(id.to_string()))
            }
            Op::RemoveNetwork { id } => self.swarm.remove_network(id).await.map(|()| None),
            Op::CreateSecret { spec, secret, version } => {
                let value = self.value(*secret, *version).await?;
                self.swarm.create_secret(spec, &value).await.map(|id| Some(id.to_string()))
            }
            Op::UpdateSecret { id, version, spec } => {
                self.swarm.update_secret(id, *version, spec).await.map(|()| Some(id.to_string()))
            }
            Op::RemoveSecret { id } => self.swarm.remove_secret(id).await.map(|()| None),
            Op::CreateService { spec, pull, .. } => {
                let auth = self.auth(pull).await?;
                self.swarm.create_service(spec, Some(&auth)).await.map(|id| Some(id.to_string()))
            }
            Op::UpdateService { id, version, spec, pull, .. } => {
                let auth = self.auth(pull).await?;
                let updated = self.swarm.update_service(id, *version, spec, Some(&auth)).await;
                updated.map(|()| Some(id.to_string()))
            }
            Op::RemoveService { id } => self.swarm.remove_service(id).await.map(|()| None),
            Op::ConnectEdge { network, container, address } => self
                .swarm
                .connect_network(network, container, *address)
                .await
                .map(|()| Some(container.to_string())),
            Op::DisconnectEdge { network, container } => {
                self.swarm.disconnect_network(network, container, true).await.map(|()| None)
            }
        };
        Ok(match answer {
            Ok(id) => Called::Done { id },
            Err(error) => judge(step, &error),
        })
    }

    async fn auth(&self, pull: &PullAs) -> Result<RegistryAuth, ExecuteError> {
        match pull {
            PullAs::Nobody => Ok(RegistryAuth::nobody()),
            PullAs::Credential(credential) => {
                let opened = registry_auth(&self.store, credential).await;
                opened.map_err(|source| ExecuteError::Password { credential: credential.clone(), source })
            }
        }
    }

    async fn value(&self, secret: Uid, version: u32) -> Result<SecretSlice<u8>, ExecuteError> {
        let value = self.store.open_secret(secret, version).await.map_err(|source| ExecuteError::Value {
            secret,
            version,
            source,
        })?;
        Ok(SecretSlice::from(value.expose_secret().as_bytes().to_vec()))
    }
}

/// What an error of the Swarm means for the plan.
fn judge(step: &Step, error: &SwarmError) -> Called {
    let why = words(error);
    match error {
        // What is to be removed is gone: that is what was wanted.
        SwarmError::NotFound { .. } if step.op.removes() => Called::Done { id: None },
        // Made already, by an earlier attempt whose answer was lost, or by someone else: reading tells.
        SwarmError::NameTaken { .. } | SwarmError::Conflict { .. } | SwarmError::NotFound { .. } => {
            Called::LookAgain { outcome: StepOutcome::Conflict, why }
        }
        error if error.effect() == Effect::Unknown => {
            Called::LookAgain { outcome: StepOutcome::Unknown { why: why.clone() }, why }
        }
        SwarmError::Invalid { .. } => Called::Failed { why, retry: false },
        _ => Called::Failed { why, retry: true },
    }
}

fn words(error: &SwarmError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}

fn record(what: &str) -> impl FnOnce(StoreError) -> ExecuteError {
    let what = what.to_owned();
    move |source| ExecuteError::Record { what, source }
}

#[cfg(test)]
mod tests {
    use skep_planner::swarm::{NetworkCreate, NetworkId, ServiceId, ServiceSpec, Version};
    use skep_planner::{Cost, ObjectKind, ObjectRef};
    use skep_swarm::{Call, Verb};

    use super::*;

    fn step(op: Op) -> Step {
        Step {
            object: ObjectRef::new(ObjectKind::Service, "acme_shop_web"),
            op,
            why: "test".to_owned(),
            changes: Vec::new(),
            cost: Cost::NoRestart,
            intended: None,
        }
    }

    fn update() -> Step {
        step(Op::UpdateService {
            id: ServiceId::from("s1"),
            version: Version { index: 7 },
            spec: Box::new(ServiceSpec::default()),
            release: None,
            pull: PullAs::Nobody,
        })
    }

    fn create() -> Step {
        step(Op::CreateNetwork { spec: Box::new(NetworkCreate::default()) })
    }

    fn call(verb: Verb) -> Call {
        Call::on(verb, "x")
    }

    #[test]
    fn what_is_to_be_removed_and_is_gone_was_removed() {
        let gone =
            SwarmError::NotFound { call: call(Verb::RemoveNetwork), message: "no such network".to_owned() };
        let remove = step(Op::RemoveNetwork { id: NetworkId::from("n1") });
        assert!(matches!(judge(&remove, &gone), Called::Done { id: None }));
    }

    #[test]
    fn a_lost_race_is_planned_again_and_recorded_as_without_effect() {
        let conflict = SwarmError::Conflict { call: call(Verb::UpdateService) };
        assert!(matches!(
            judge(&update(), &conflict),
            Called::LookAgain { outcome: StepOutcome::Conflict, .. }
        ));
        let taken = SwarmError::NameTaken { call: call(Verb::CreateNetwork), message: "exists".to_owned() };
        assert!(matches!(judge(&create(), &taken), Called::LookAgain { outcome: StepOutcome::Conflict, .. }));
    }

    #[test]
    fn a_call_whose_answer_was_lost_is_unknown_and_never_repeated_blindly() {
        let after = std::time::Duration::from_secs(30);
        let lost = SwarmError::Timeout { call: call(Verb::CreateNetwork), after, sent: true };
        assert!(matches!(
            judge(&create(), &lost),
            Called::LookAgain { outcome: StepOutcome::Unknown { .. }, .. }
        ));
        let never_sent = SwarmError::Timeout { call: call(Verb::CreateNetwork), after, sent: false };
        assert!(matches!(judge(&create(), &never_sent), Called::Failed { retry: true, .. }));
    }

    #[test]
    fn what_the_engine_refuses_for_good_is_not_tried_again() {
        let refused = SwarmError::Invalid { call: call(Verb::CreateService), message: "bad".to_owned() };
        assert!(matches!(judge(&create(), &refused), Called::Failed { retry: false, .. }));
        let in_use = SwarmError::InUse { call: call(Verb::RemoveNetwork), message: "in use".to_owned() };
        assert!(matches!(judge(&create(), &in_use), Called::Failed { retry: true, .. }));
    }
}
