//! A server: the API, and the controller whenever this process holds the lease.
//!
//! Several servers may run over one database. All of them answer the API; one of them reconciles. The lease decides which, only
//! to save work: every write of the controller is fenced by the lease's epoch, and the Swarm refuses changes that were computed
//! from an old version, so two that both believe to lead do no harm.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use secrecy::{ExposeSecret, SecretString};
use skep_api::Api;
use skep_planner::Settings;
use skep_runtime::{
    Controller, ControllerOptions, Entropy, Environs, QueueOptions, Shutdown, StopCause, SystemClock,
    TaskDriver,
};
use skep_schemas::{Kind, ResourceKey};
use skep_store::{Fence, Store, StoreError, StoreOptions};
use skep_swarm::{ClientOptions, EngineClient, SwarmApi, SwarmError};
use tokio::net::TcpListener;

use crate::config::{ConfigError, ServeConfig};
use crate::control_plane::Control;
use crate::error::chain;
use crate::housekeeping;
use crate::metrics::{Measured, Metrics};
use crate::observe::Observer;
use crate::reconciler::ResourceReconciler;
use crate::wake::{self, Queue, fairness_group};

/// The lease of the one that reconciles.
const LEASE: &str = "controller";
/// How long the lease outlives its holder: after a crash another takes over within this time.
const LEASE_TTL: Duration = Duration::from_secs(10);
/// How often it is renewed: two renewals may be lost before the lease is.
const LEASE_RENEW: Duration = Duration::from_secs(3);
/// How often someone who does not hold it tries to.
const LEASE_TRY: Duration = Duration::from_secs(1);
/// How long everything may take to end.
const STOP_WITHIN: Duration = Duration::from_secs(15);

/// A server did not start, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database.
    #[error("the database cannot be used: {what}")]
    Store {
        /// What was tried.
        what: &'static str,
        /// What the store said.
        #[source]
        source: StoreError,
    },
    /// The engine's client.
    #[error("the engine cannot be used")]
    Engine(#[source] SwarmError),
    /// The address.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The API's description is not JSON: a fault of ours.
    #[error("the API cannot describe itself")]
    Describe(#[source] serde_json::Error),
    /// The API.
    #[error("the API cannot be served")]
    Api(#[source] skep_api::ServeError),
}

/// What is worth telling the operator once a server runs.
pub struct Started {
    /// Where the API listens.
    pub address: std::net::SocketAddr,
    /// The first administrator's token, on the first start only. It is shown once and stored as a hash.
    pub bootstrap_token: Option<SecretString>,
}

/// Applies the database's migrations.
pub async fn migrate(config: &ServeConfig) -> Result<(), ServeError> {
    connect(config).await.map(drop)
}

/// Runs a server until `stop` completes; then requests and running passes end within a bound.
pub async fn run(
    config: ServeConfig,
    stop: impl Future<Output = ()> + Send + 'static,
    started: impl FnOnce(Started),
) -> Result<(), ServeError> {
    let shutdown = Shutdown::new();
    let store = connect(&config).await?;
    let instance = store.instance_id().await.map_err(during("reading the instance's id"))?;
    let settings = Arc::new(config.settings(instance)?);
    let client =
        EngineClient::new(config.engine()?, ClientOptions::default()).await.map_err(ServeError::Engine)?;
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let (engine, own_writes) = (metrics.engine.clone(), metrics.own_writes.clone());
    let swarm: Arc<dyn SwarmApi> = Arc::new(Measured::new(Arc::new(client), engine, own_writes));
    let observer = Arc::new(Observer::new(Arc::clone(&swarm)));
    let control = Arc::new(Control::new(
        store.clone(),
        Arc::clone(&swarm),
        Arc::clone(&observer),
        Arc::clone(&settings),
        metrics.clone(),
    ));
    let environs = Environs { clock: Arc::new(SystemClock), entropy: Entropy::from_os() };
    let tasks = Arc::new(TaskDriver::new(environs.clone(), shutdown.clone()));
    let connections = store.clone();
    Metrics::watch(&mut registry, move || connections.connections(), Arc::clone(&tasks));
    let leader = Leader {
        store: store.clone(),
        swarm,
        observer,
        settings,
        control: Arc::clone(&control),
        metrics: metrics.clone(),
        environs,
        resync: config.resync,
    };
    let api = Api {
        store: store.clone(),
        control: control.clone(),
        metrics: skep_api::Metrics::register(&mut registry),
        registry: Arc::new(registry),
        shutdown: shutdown.child_token(),
    };
    let router = skep_api::router(api).map_err(ServeError::Describe)?;
    let listen = |source| ServeError::Listen { address: config.listen, source };
    let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let bootstrap_token = store.bootstrap_token().await.map_err(during("making the first token"))?;
    started(Started { address, bootstrap_token });

    let asked = shutdown.clone();
    shutdown.spawn(async move {
        tokio::select! {
            () = stop => asked.begin(),
            () = asked.requested() => {}
        }
    });
    housekeeping::start(&tasks, &store, &control, &metrics.own_writes);
    shutdown.spawn(leader.run(shutdown.clone()));
    let served = skep_api::serve(listener, router, config.serve, shutdown.child_token()).await;
    shutdown.begin();
    shutdown.drain(STOP_WITHIN).await;
    store.close().await;
    served.map_err(ServeError::Api)
}

async fn connect(config: &ServeConfig) -> Result<Store, ServeError> {
    let store = Store::connect(config.database_url.expose_secret(), StoreOptions::new(config.key.clone()))
        .await
        .map_err(during("connecting"))?;
    store.migrate().await.map_err(during("migrating"))?;
    Ok(store)
}

fn during(what: &'static str) -> impl FnOnce(StoreError) -> ServeError {
    move |source| ServeError::Store { what, source }
}

/// Reconciles while this process holds the lease.
struct Leader {
    store: Store,
    swarm: Arc<dyn SwarmApi>,
    observer: Arc<Observer>,
    settings: Arc<Settings>,
    control: Arc<Control>,
    metrics: Metrics,
    environs: Environs,
    resync: Duration,
}

impl Leader {
    async fn run(self, shutdown: Shutdown) {
        let holder = skep_schemas::Uid::generate().to_string();
        self.metrics.leases.known(LEASE);
        while !shutdown.is_requested() {
            match self.store.acquire_lease(LEASE, &holder, LEASE_TTL).await {
                Ok(Some(fence)) => {
                    tracing::info!(epoch = fence.epoch(), "reconciling");
                    self.metrics.leases.taken(LEASE, fence.epoch());
                    self.lead(&fence, &shutdown).await;
                    self.metrics.leases.lost(LEASE);
                    self.metrics.board.retain(|_| false);
                    if let Err(error) = self.store.release_lease(&fence).await {
                        tracing::debug!(error = chain(&error), "the lease runs out by itself");
                    }
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(error = chain(&error), "cannot ask for the lease"),
            }
            tokio::select! {
                () = tokio::time::sleep(LEASE_TRY) => {}
                () = shutdown.requested() => {}
            }
        }
    }

    /// Reconciles until shutdown, or until the lease is lost.
    async fn lead(&self, fence: &Fence, shutdown: &Shutdown) {
        let term = Shutdown::new();
        let options = ControllerOptions::default();
        let queue: Queue = Queue::new(
            QueueOptions::for_workers(options.workers),
            Arc::clone(&self.environs.clock),
            fairness_group,
        );
        let reconciler = ResourceReconciler::new(
            self.store.clone(),
            Arc::clone(&self.swarm),
            Arc::clone(&self.observer),
            Arc::clone(&self.settings),
            fence.clone(),
            self.metrics.clone(),
        );
        let keys = self.store.clone();
        let controller = Controller::new(
            "resource",
            options,
            queue.clone(),
            reconciler,
            self.environs.clone(),
            self.metrics.runtime.clone(),
        )
        .with_kinds(Kind::ALL.iter().map(|kind| kind.as_str()).collect(), |key: &ResourceKey| {
            key.kind().as_str()
        })
        .with_resync(self.resync, move || {
            let store = keys.clone();
            async move { wake::all_keys(&store).await }
        });
        self.control.lead_with(Some(queue.clone()));
        term.spawn(wake::follow_store(self.store.clone(), queue.clone(), self.metrics.clone(), term.clone()));
        term.spawn(wake::follow_engine(
            Arc::clone(&self.swarm),
            self.store.clone(),
            queue,
            self.metrics.clone(),
            term.clone(),
        ));
        term.spawn(renew(self.store.clone(), fence.clone(), term.clone()));
        let stopped = tokio::select! {
            stopped = controller.run(&term) => stopped,
            () = async { shutdown.requested().await; term.begin(); std::future::pending().await } => return,
        };
        if let StopCause::Fenced { key, error } = stopped.cause {
            tracing::warn!(%key, error = chain(&error), "another process reconciles now");
        }
        self.control.lead_with(None);
        term.begin();
        term.drain(STOP_WITHIN).await;
    }
}

/// Keeps the lease, and ends the term when it cannot: a holder that cannot reach the database must stop before its lease runs out.
async fn renew(store: Store, fence: Fence, term: Shutdown) {
    let mut renewed = tokio::time::Instant::now();
    loop {
        tokio::select! {
            () = tokio::time::sleep(LEASE_RENEW) => {}
            () = term.requested() => return,
        }
        match store.renew_lease(&fence, LEASE_TTL).await {
            Ok(()) => renewed = tokio::time::Instant::now(),
            Err(StoreError::Fenced { .. }) => {
                tracing::warn!("the lease was lost");
                term.begin();
                return;
            }
            Err(error) => tracing::warn!(error = chain(&error), "cannot renew the lease"),
        }
        if renewed.elapsed() + LEASE_RENEW > LEASE_TTL {
            tracing::warn!("the lease cannot be renewed in time");
            term.begin();
            return;
        }
    }
}
