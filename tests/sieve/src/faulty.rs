//! A Swarm at which one call goes wrong.
//!
//! [`Faulty`] stands between a loop and the simulated Swarm. It gives each mutating call a number, keeps a record of what had an
//! effect, and lets happen what was ordered at the [`Switch`]: at most one thing, at one number. Crashes and pauses need somebody
//! who drops or holds the pass, so they are announced ([`Switch::interrupted`]) and the call does not come back.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretSlice;
use skep_planner::swarm::{
    Config, ConfigId, ConfigSpec, Container, ContainerId, ContainerStats, ContainerSummary, Network,
    NetworkCreate, NetworkId, Node, Secret, SecretId, SecretSpec, Service, ServiceId, ServiceSpec, Task,
    Version,
};
use skep_simulator::{SimSwarm, Swarm};
use skep_swarm::{
    By, EngineInfo, HintStream, LabelFilter, LogLineStream, LogQuery, LogTarget, RegistryAuth, ResolvedImage,
    SwarmApi, SwarmError, TaskFilter, Verb,
};
use tokio::sync::{Notify, oneshot};

use crate::call::{self, Call};
use crate::conflict;
use crate::fault::{Fault, Kind};

/// The most mutations that what is read can be behind.
const HISTORY_MAX: usize = 4;

/// How long stale answers last, by the Swarm's clock. A manager that lags for longer is not one that answers.
const STALE_FOR: Duration = Duration::from_secs(3);

/// How long a call is said to have waited that never got an answer.
const WAITED: Duration = Duration::from_secs(30);

/// A mutating call that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its verb.
    pub verb: Verb,
    /// Its object, as `service acme_prod_web`.
    pub object: String,
    /// Did it have its effect?
    pub effect: bool,
}

/// Something that the driver of a loop has to act on.
pub(crate) enum Interruption {
    /// The process has ended.
    Crashed,
    /// It stands still at a call.
    Paused(Box<Paused>),
}

/// A call that was made and is still under way.
pub(crate) struct Paused {
    call: Call,
    answer: oneshot::Sender<Result<String, SwarmError>>,
}

impl Paused {
    /// Lets it go through.
    pub(crate) async fn let_through(self, swarm: &Faulty) {
        let result = swarm.carry_out(&self.call).await;
        // Nobody waits for it if the pass was dropped in the meantime.
        drop(self.answer.send(result));
    }
}

#[derive(Default)]
struct State {
    fault: Option<Fault>,
    calls: usize,
    fired: bool,
    made: Vec<Made>,
    history: VecDeque<Swarm>,
    stale: Option<(SimSwarm, jiff::Timestamp)>,
    interruption: Option<Interruption>,
    /// What somebody else made and takes away again.
    foreign: Vec<Call>,
}

/// What is to go wrong, and what was done so far.
#[derive(Default)]
pub(crate) struct Switch {
    state: Mutex<State>,
    bell: Notify,
}

impl Switch {
    /// Counts from nothing; this goes wrong.
    pub(crate) fn order(&self, fault: Option<Fault>) {
        *self.state() = State { fault, ..State::default() };
    }

    /// Did it come to what was ordered?
    pub(crate) fn fired(&self) -> bool {
        self.state().fired
    }

    /// The calls so far.
    pub(crate) fn made(&self) -> Vec<Made> {
        self.state().made.clone()
    }

    /// Completes when the driver has to act.
    pub(crate) async fn interrupted(&self) -> Interruption {
        loop {
            if let Some(interruption) = self.state().interruption.take() {
                return interruption;
            }
            self.bell.notified().await;
        }
    }

    /// The process ends, here and now.
    pub(crate) fn crash(&self) {
        self.interrupt(Interruption::Crashed);
    }

    /// From now on everything that is read is as it is.
    pub(crate) fn refresh(&self) {
        self.state().stale = None;
    }

    /// Has somebody else made what is to be taken away again?
    pub(crate) fn has_foreign(&self) -> bool {
        !self.state().foreign.is_empty()
    }

    /// The calls that take away what somebody else made.
    pub(crate) fn take_foreign(&self) -> Vec<Call> {
        std::mem::take(&mut self.state().foreign)
    }

    fn interrupt(&self, interruption: Interruption) {
        self.state().interruption = Some(interruption);
        self.bell.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The Swarm as a loop sees it.
#[derive(Clone)]
pub(crate) struct Faulty {
    live: SimSwarm,
    switch: Arc<Switch>,
}

impl Faulty {
    /// This Swarm, with what is ordered at the switch.
    pub(crate) const fn new(live: SimSwarm, switch: Arc<Switch>) -> Self {
        Self { live, switch }
    }

    /// What is read now: the Swarm, or what it was.
    fn seen(&self) -> SimSwarm {
        let now = self.live.with(|swarm| swarm.now());
        let mut state = self.switch.state();
        match &state.stale {
            Some((stale, until)) if now < *until => stale.clone(),
            _ => {
                state.stale = None;
                self.live.clone()
            }
        }
    }

    async fn mutate(&self, call: Call) -> Result<String, SwarmError> {
        let fault = {
            let mut state = self.switch.state();
            let number = state.calls;
            state.calls += 1;
            state.stale = None;
            let fault = state.fault.filter(|fault| fault.kind.is_of_call() && fault.point == number);
            state.fired |= fault.is_some();
            fault
        };
        match fault {
            None => self.carry_out(&call).await,
            Some(fault) => self.go_wrong(fault, call).await,
        }
    }

    async fn go_wrong(&self, fault: Fault, call: Call) -> Result<String, SwarmError> {
        match fault.kind {
            Kind::CrashBefore => {
                self.note(&call, false).await;
                self.end().await
            }
            Kind::CrashAfter => {
                // What comes of it nobody learns.
                drop(self.carry_out(&call).await);
                self.end().await
            }
            Kind::Refused => {
                self.note(&call, false).await;
                let source = std::sync::Arc::new(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
                Err(SwarmError::Unavailable { call: plain(&call), sent: false, source })
            }
            Kind::LostCall => {
                self.note(&call, false).await;
                Err(SwarmError::Timeout { call: plain(&call), after: WAITED, sent: true })
            }
            Kind::LostReply => {
                drop(self.carry_out(&call).await);
                Err(SwarmError::Timeout { call: plain(&call), after: WAITED, sent: true })
            }
            Kind::Conflict => {
                let undo = conflict::meddle(&call, &self.live).await;
                self.switch.state().foreign.extend(undo);
                self.carry_out(&call).await
            }
            Kind::StaleByOne | Kind::StaleByTwo | Kind::StaleByFour => {
                let answer = self.carry_out(&call).await;
                let until = self.live.with(|swarm| swarm.now()) + STALE_FOR;
                let mut state = self.switch.state();
                let back = fault.stale_by().unwrap_or(1).min(state.history.len());
                let then = state.history.iter().rev().nth(back.saturating_sub(1)).cloned();
                state.stale = then.map(|then| (SimSwarm::new(then), until));
                answer
            }
            Kind::Takeover | Kind::LateCall => {
                let (answer, comes) = oneshot::channel();
                self.switch.interrupt(Interruption::Paused(Box::new(Paused { call, answer })));
                match comes.await {
                    Ok(answer) => answer,
                    Err(_) => std::future::pending().await,
                }
            }
            Kind::DroppedEvent
            | Kind::LostStatement
            | Kind::LostAnswer
            | Kind::CrashBeforeStatement
            | Kind::CrashAfterStatement => self.carry_out(&call).await,
        }
    }

    /// The process ends: the driver drops the pass, so this does not come back.
    async fn end(&self) -> Result<String, SwarmError> {
        self.switch.crash();
        std::future::pending().await
    }

    /// Makes the call, and notes whether it had its effect.
    async fn carry_out(&self, call: &Call) -> Result<String, SwarmError> {
        let object = call.object(&self.live).await;
        {
            let mut state = self.switch.state();
            if state.fault.and_then(Fault::stale_by).is_some() {
                state.history.push_back(self.live.snapshot());
                if state.history.len() > HISTORY_MAX {
                    state.history.pop_front();
                }
            }
        }
        let answer = call.send(&self.live).await;
        let made = Made { verb: call.verb(), object, effect: answer.is_ok() };
        self.switch.state().made.push(made);
        answer
    }

    async fn note(&self, call: &Call, effect: bool) {
        let object = call.object(&self.live).await;
        self.switch.state().made.push(Made { verb: call.verb(), object, effect });
    }
}

fn plain(call: &Call) -> skep_swarm::Call {
    skep_swarm::Call::plain(call.verb())
}

#[async_trait]
impl SwarmApi for Faulty {
    async fn ping(&self) -> Result<(), SwarmError> {
        self.live.ping().await
    }

    async fn info(&self) -> Result<EngineInfo, SwarmError> {
        self.live.info().await
    }

    async fn list_services(&self, filter: &LabelFilter) -> Result<Vec<Service>, SwarmError> {
        self.seen().list_services(filter).await
    }

    async fn inspect_service(&self, service: By<'_, ServiceId>) -> Result<Option<Service>, SwarmError> {
        self.seen().inspect_service(service).await
    }

    async fn create_service(
        &self,
        spec: &ServiceSpec,
        _: Option<&RegistryAuth>,
    ) -> Result<ServiceId, SwarmError> {
        self.mutate(Call::CreateService(Box::new(spec.clone()))).await.map(ServiceId::from)
    }

    async fn update_service(
        &self,
        id: &ServiceId,
        version: Version,
        spec: &ServiceSpec,
        _: Option<&RegistryAuth>,
    ) -> Result<(), SwarmError> {
        self.mutate(Call::UpdateService(id.clone(), version, Box::new(spec.clone()))).await.map(drop)
    }

    async fn remove_service(&self, id: &ServiceId) -> Result<(), SwarmError> {
        self.mutate(Call::RemoveService(id.clone())).await.map(drop)
    }

    async fn list_tasks(&self, filter: &TaskFilter) -> Result<Vec<Task>, SwarmError> {
        self.seen().list_tasks(filter).await
    }

    async fn list_nodes(&self) -> Result<Vec<Node>, SwarmError> {
        self.seen().list_nodes().await
    }

    async fn list_networks(&self, filter: &LabelFilter) -> Result<Vec<Network>, SwarmError> {
        self.seen().list_networks(filter).await
    }

    async fn inspect_network(&self, network: By<'_, NetworkId>) -> Result<Option<Network>, SwarmError> {
        self.seen().inspect_network(network).await
    }

    async fn create_network(&self, network: &NetworkCreate) -> Result<NetworkId, SwarmError> {
        self.mutate(Call::CreateNetwork(Box::new(network.clone()))).await.map(NetworkId::from)
    }

    async fn remove_network(&self, id: &NetworkId) -> Result<(), SwarmError> {
        self.mutate(Call::RemoveNetwork(id.clone())).await.map(drop)
    }

    async fn connect_network(
        &self,
        network: &NetworkId,
        container: &ContainerId,
        address: Ipv4Addr,
    ) -> Result<(), SwarmError> {
        self.mutate(Call::ConnectNetwork(network.clone(), container.clone(), address)).await.map(drop)
    }

    async fn disconnect_network(
        &self,
        network: &NetworkId,
        container: &ContainerId,
        force: bool,
    ) -> Result<(), SwarmError> {
        self.mutate(Call::DisconnectNetwork(network.clone(), container.clone(), force)).await.map(drop)
    }

    async fn list_secrets(&self, filter: &LabelFilter) -> Result<Vec<Secret>, SwarmError> {
        self.seen().list_secrets(filter).await
    }

    async fn create_secret(
        &self,
        spec: &SecretSpec,
        value: &SecretSlice<u8>,
    ) -> Result<SecretId, SwarmError> {
        self.mutate(Call::CreateSecret(spec.clone(), call::copy(value))).await.map(SecretId::from)
    }

    async fn inspect_secret(&self, secret: By<'_, SecretId>) -> Result<Option<Secret>, SwarmError> {
        self.seen().inspect_secret(secret).await
    }

    async fn update_secret(
        &self,
        id: &SecretId,
        version: Version,
        spec: &SecretSpec,
    ) -> Result<(), SwarmError> {
        self.mutate(Call::UpdateSecret(id.clone(), version, spec.clone())).await.map(drop)
    }

    async fn remove_secret(&self, id: &SecretId) -> Result<(), SwarmError> {
        self.mutate(Call::RemoveSecret(id.clone())).await.map(drop)
    }

    async fn inspect_config(&self, config: By<'_, ConfigId>) -> Result<Option<Config>, SwarmError> {
        self.seen().inspect_config(config).await
    }

    async fn create_config(&self, spec: &ConfigSpec) -> Result<ConfigId, SwarmError> {
        self.mutate(Call::CreateConfig(spec.clone())).await.map(ConfigId::from)
    }

    async fn update_config(
        &self,
        id: &ConfigId,
        version: Version,
        spec: &ConfigSpec,
    ) -> Result<(), SwarmError> {
        self.mutate(Call::UpdateConfig(id.clone(), version, spec.clone())).await.map(drop)
    }

    async fn remove_config(&self, id: &ConfigId) -> Result<(), SwarmError> {
        self.mutate(Call::RemoveConfig(id.clone())).await.map(drop)
    }

    async fn list_containers(&self, filter: &LabelFilter) -> Result<Vec<ContainerSummary>, SwarmError> {
        self.seen().list_containers(filter).await
    }

    async fn inspect_container(&self, container: &ContainerId) -> Result<Option<Container>, SwarmError> {
        self.seen().inspect_container(container).await
    }

    async fn container_stats(&self, container: &ContainerId) -> Result<Option<ContainerStats>, SwarmError> {
        self.seen().container_stats(container).await
    }

    async fn resolve_image(
        &self,
        reference: &str,
        auth: Option<&RegistryAuth>,
    ) -> Result<ResolvedImage, SwarmError> {
        self.live.resolve_image(reference, auth).await
    }

    async fn remove_image(&self, reference: &str) -> Result<(), SwarmError> {
        self.live.remove_image(reference).await
    }

    async fn logs(&self, target: &LogTarget, query: &LogQuery) -> Result<LogLineStream, SwarmError> {
        self.live.logs(target, query).await
    }

    async fn events(&self) -> Result<HintStream, SwarmError> {
        self.live.events().await
    }
}
