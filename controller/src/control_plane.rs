//! The controller as the API sees it: previews, logs, health and wake-ups.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use skep_api::wire::{AdoptView, Binding, ComponentHealth, MetricsView, PreviewView, RegionList, TasksView};
use skep_api::{ControlPlane, LogItems, LogRequest, PortError, PreviewRequest, RegionRequest};
use skep_planner::Settings;
use skep_planner::checkup::Check;
use skep_runtime::Priority;
use skep_schemas::ResourceKey;
use skep_store::{Actor, ScopedStore, Store};

use crate::bound::{self, BoundError};
use crate::error::chain;
use crate::lead::Held;
use crate::logs::{Environment, Logs};
use crate::observe::Observer;
use crate::safety::Guard;
use crate::tasks::Works;
use crate::usage::Meter;
use crate::wake::Queue;
use crate::{adopt, checkup, preview, regions};

/// The controller, for the API.
pub(crate) struct Control {
    store: Store,
    observer: Arc<Observer>,
    settings: Arc<Settings>,
    logs: Logs,
    meter: Meter,
    guard: Arc<Guard>,
    engine: Mutex<EngineHealth>,
    held: Arc<Held>,
    queue: Queue,
    works: Works,
}

/// What looks at the Swarm.
pub(crate) struct Sight {
    /// At what there is.
    pub(crate) observer: Arc<Observer>,
    /// At what it prints.
    pub(crate) logs: Logs,
    /// At what it uses.
    pub(crate) meter: Meter,
}

/// What is known about the engine without asking it now.
enum EngineHealth {
    /// Not asked yet.
    NotAsked,
    /// It answered when it was last asked.
    Answers,
    /// It did not.
    Silent(String),
}

impl Control {
    /// A control plane over these.
    pub(crate) fn new(
        store: Store,
        sight: Sight,
        settings: Arc<Settings>,
        guard: Arc<Guard>,
        held: Arc<Held>,
        queue: Queue,
        works: Works,
    ) -> Self {
        let engine = Mutex::new(EngineHealth::NotAsked);
        let Sight { observer, logs, meter } = sight;
        Self { store, observer, settings, logs, meter, guard, engine, held, queue, works }
    }

    /// Asks the engine whether it is there, and notes the answer; why not, in words, when it is not.
    pub(crate) async fn ask_engine(&self) -> Result<(), String> {
        let answer = self.observer.swarm().ping().await.map_err(|error| chain(&error));
        self.works.metrics.engine.answered(answer.is_ok());
        let health = match &answer {
            Ok(()) => EngineHealth::Answers,
            Err(why) => EngineHealth::Silent(why.clone()),
        };
        let before =
            std::mem::replace(&mut *self.engine.lock().unwrap_or_else(PoisonError::into_inner), health);
        if answer.is_ok() && matches!(before, EngineHealth::Silent(_)) {
            // Nothing mutating is done before a survey, and one that failed waits for longer and longer.
            self.guard.want_survey();
        }
        answer
    }
}

#[async_trait]
impl ControlPlane for Control {
    async fn preview(&self, store: &ScopedStore, request: PreviewRequest) -> Result<PreviewView, PortError> {
        preview::preview(store, &self.observer, &self.settings, &self.guard, request)
            .await
            .map_err(|source| PortError::Store { source })
    }

    async fn moved(&self, store: &ScopedStore, binding: &Binding) -> Result<Vec<String>, PortError> {
        let now =
            bound::now(store, &**self.observer.swarm(), binding).await.map_err(|error| match error {
                BoundError::Store(source) => PortError::Store { source },
                BoundError::Swarm(source) => PortError::EngineUnavailable { source: Box::new(source) },
            })?;
        Ok(binding.moved(&now))
    }

    async fn logs(
        &self,
        store: &ScopedStore,
        environment: &ResourceKey,
        request: LogRequest,
    ) -> Result<LogItems, PortError> {
        let found = store.get(environment).await.map_err(|source| PortError::Store { source })?;
        let resource = found.ok_or_else(|| PortError::NotFound { key: environment.clone() })?;
        let meta = &resource.meta;
        let org = meta.key.org().ok_or_else(|| PortError::NotFound { key: environment.clone() })?.clone();
        let name = meta.key.name().clone();
        self.logs.read(Environment { uid: meta.uid, org, name, made: meta.created_at }, request).await
    }

    async fn metrics(
        &self,
        store: &ScopedStore,
        environment: &ResourceKey,
    ) -> Result<MetricsView, PortError> {
        let found = store.get(environment).await.map_err(|source| PortError::Store { source })?;
        let resource = found.ok_or_else(|| PortError::NotFound { key: environment.clone() })?;
        self.meter.read(resource.meta.uid).await
    }

    fn readiness(&self) -> Vec<ComponentHealth> {
        let engine = match &*self.engine.lock().unwrap_or_else(PoisonError::into_inner) {
            EngineHealth::Answers => None,
            EngineHealth::NotAsked => Some("it was not asked yet".to_owned()),
            EngineHealth::Silent(why) => Some(why.clone()),
        };
        let engine = ComponentHealth { name: "engine".to_owned(), ready: engine.is_none(), detail: engine };
        // A process that holds nothing answers the API all the same.
        let held = Some(self.held.describe());
        let controller = ComponentHealth { name: "controller".to_owned(), ready: true, detail: held };
        let holds = self.guard.in_force().in_words();
        let safety = ComponentHealth {
            name: "safety".to_owned(),
            // A hold on removals leaves the server of use.
            ready: !self.guard.in_force().stops_everything(),
            detail: (!holds.is_empty()).then(|| format!("on hold: {}", holds.join("; "))),
        };
        vec![engine, controller, safety]
    }

    async fn adopt(&self, key: &ResourceKey, actor: &Actor, dry_run: bool) -> Result<AdoptView, PortError> {
        adopt::adopt(&self.store, &self.observer, &self.settings, key, actor, dry_run).await
    }

    fn on_hold(&self) -> Vec<String> {
        self.guard.in_force().in_words()
    }

    async fn weigh_removals(&self) -> Result<(), PortError> {
        self.guard.brake().await.map(drop).map_err(|source| PortError::Store { source })
    }

    fn orphan_grace(&self) -> Duration {
        self.guard.settings().orphan_grace
    }

    async fn hold_confirmed(&self) -> Result<(), PortError> {
        self.guard.want_survey();
        self.guard.holds().await.map(drop).map_err(|source| PortError::Store { source })
    }

    async fn regions(&self, store: &ScopedStore, request: RegionRequest) -> Result<RegionList, PortError> {
        regions::regions(store, &**self.observer.swarm(), request).await
    }

    async fn checkup(&self) -> Result<Vec<Check>, PortError> {
        let checked = checkup::checkup(&**self.observer.swarm(), &self.settings.instance).await;
        checked.map_err(|source| PortError::EngineUnavailable { source: Box::new(source) })
    }

    fn tasks(&self) -> TasksView {
        self.works.view()
    }

    fn wake(&self, keys: &[ResourceKey]) {
        for key in keys {
            self.queue.wake(key.clone(), Priority::Change);
        }
    }
}
