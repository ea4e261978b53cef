//! The controller as the API sees it: previews, logs, health and wake-ups.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use skep_api::wire::{ComponentHealth, LogQuery, PreviewView};
use skep_api::{ControlPlane, LogLines, PortError, PreviewRequest};
use skep_planner::Settings;
use skep_runtime::{Priority, Shutdown};
use skep_schemas::ResourceKey;
use skep_store::Store;
use skep_swarm::SwarmApi;

use crate::error::chain;
use crate::observe::Observer;
use crate::wake::Queue;
use crate::{logs, preview};

/// How often the engine is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(5);

/// The controller, for the API.
pub(crate) struct Control {
    store: Store,
    swarm: Arc<dyn SwarmApi>,
    observer: Arc<Observer>,
    settings: Arc<Settings>,
    engine: Mutex<EngineHealth>,
    queue: Mutex<Option<Queue>>,
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
        swarm: Arc<dyn SwarmApi>,
        observer: Arc<Observer>,
        settings: Arc<Settings>,
    ) -> Self {
        Self {
            store,
            swarm,
            observer,
            settings,
            engine: Mutex::new(EngineHealth::NotAsked),
            queue: Mutex::new(None),
        }
    }

    /// From now on this queue is where keys are woken; none while another process leads.
    pub(crate) fn lead_with(&self, queue: Option<Queue>) {
        *self.queue.lock().unwrap_or_else(PoisonError::into_inner) = queue;
    }

    /// Keeps asking the engine whether it is there, until shutdown.
    pub(crate) async fn watch_engine(self: Arc<Self>, shutdown: Shutdown) {
        loop {
            let health = match self.swarm.ping().await {
                Ok(()) => EngineHealth::Answers,
                Err(error) => EngineHealth::Silent(chain(&error)),
            };
            *self.engine.lock().unwrap_or_else(PoisonError::into_inner) = health;
            tokio::select! {
                () = tokio::time::sleep(PING_EVERY) => {}
                () = shutdown.requested() => return,
            }
        }
    }
}

#[async_trait]
impl ControlPlane for Control {
    async fn preview(&self, request: PreviewRequest) -> Result<PreviewView, PortError> {
        preview::preview(&self.store, &self.observer, &self.settings, request.manifests, &request.deletions)
            .await
            .map_err(|source| PortError::Store { source })
    }

    async fn logs(&self, environment: &ResourceKey, query: LogQuery) -> Result<LogLines, PortError> {
        let found = self.store.get(environment).await.map_err(|source| PortError::Store { source })?;
        let resource = found.ok_or_else(|| PortError::NotFound { key: environment.clone() })?;
        logs::lines(Arc::clone(&self.swarm), resource.meta.uid, query).await
    }

    fn readiness(&self) -> Vec<ComponentHealth> {
        let engine = match &*self.engine.lock().unwrap_or_else(PoisonError::into_inner) {
            EngineHealth::Answers => None,
            EngineHealth::NotAsked => Some("it was not asked yet".to_owned()),
            EngineHealth::Silent(why) => Some(why.clone()),
        };
        vec![ComponentHealth { name: "engine".to_owned(), ready: engine.is_none(), detail: engine }]
    }

    fn wake(&self, keys: &[ResourceKey]) {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = &*queue {
            for key in keys {
                queue.wake(key.clone(), Priority::Change, Duration::ZERO);
            }
        }
    }
}
