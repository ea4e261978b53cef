//! A server: the API, and a controller that works on its share of the organisations.
//!
//! Several servers may run over one database. All of them answer the API, and all of them reconcile: see [`lead`](crate::lead).

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use secrecy::{ExposeSecret, SecretString};
use skep_api::{Api, RateLimits};
use skep_outbound::{Outbound, OutboundSetupError};
use skep_runtime::{ControllerOptions, Entropy, Environs, QueueOptions, Shutdown, SystemClock};
use skep_store::{Store, StoreError, StoreOptions};
use skep_swarm::{ClientOptions, EngineClient, SwarmApi, SwarmError};
use tokio::net::TcpListener;

use crate::assembly::{Assembly, Ground};
use crate::config::{ConfigError, ServeConfig};
use crate::lead::Lead;
use crate::logs::Loki;
use crate::notify::{self, Deliver};
use crate::wake;
use crate::{housekeeping, left_images};

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
    /// TLS, of what asks hosts that tenants name.
    #[error("no client for HTTPS can be made")]
    Outbound(#[source] OutboundSetupError),
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
    let store = connect(&config).await?;
    let client =
        EngineClient::new(config.engine()?, ClientOptions::default()).await.map_err(ServeError::Engine)?;
    serve(config, store, Arc::new(client), stop, started).await
}

/// The same over a Swarm that is given, whatever the configuration says of an engine: for a harness whose Swarm is its own.
pub async fn run_over(
    swarm: Arc<dyn SwarmApi>,
    config: ServeConfig,
    stop: impl Future<Output = ()> + Send + 'static,
    started: impl FnOnce(Started),
) -> Result<(), ServeError> {
    let store = connect(&config).await?;
    serve(config, store, swarm, stop, started).await
}

async fn serve(
    config: ServeConfig,
    store: Store,
    swarm: Arc<dyn SwarmApi>,
    stop: impl Future<Output = ()> + Send + 'static,
    started: impl FnOnce(Started),
) -> Result<(), ServeError> {
    let shutdown = Shutdown::new();
    let instance = store.instance_id().await.map_err(during("reading the instance's id"))?;
    let settings = config.settings(instance)?;
    let outbound = Outbound::new(settings.reach.clone()).map_err(ServeError::Outbound)?;
    let loki = config.loki.map(Loki::new).transpose().map_err(ServeError::Outbound)?.map(Arc::new);
    let environs = Environs { clock: Arc::new(SystemClock), entropy: Entropy::from_os() };
    let options = ControllerOptions::default();
    let work = wake::work(QueueOptions::for_workers(options.workers), &environs);
    let into = work.clone();
    let put = move |key, priority| {
        into.wake(key, priority, Duration::ZERO);
    };
    let ground = Ground {
        store: store.clone(),
        swarm,
        settings,
        outbound,
        trusted_root: config.trusted_root,
        loki,
        safety: config.safety,
        environs,
        shutdown: shutdown.clone(),
    };
    let mut registry = Registry::default();
    let Assembly { swarm, held, queue, reconciler, safety, control, tasks, metrics } =
        Assembly::new(&ground, &mut registry, put);
    if let Some(grace) = config.image_grace {
        left_images::start(&tasks, &store, &swarm, &safety.guard, grace);
    }
    let mut duties =
        housekeeping::start(&tasks, &store, &control, &held, &metrics.own_writes, safety, config.resync);
    let clock = Arc::clone(&ground.environs.clock);
    duties.push(notify::start(&tasks, &held, Deliver::new(ground.outbound.clone(), store.clone(), clock)));
    let lead = Lead {
        store: store.clone(),
        swarm,
        held,
        queue,
        work,
        reconciler,
        duties,
        options,
        metrics,
        environs: ground.environs,
        resync: config.resync,
    };
    let api = Api {
        store: store.clone(),
        control,
        metrics: skep_api::Metrics::register(&mut registry),
        registry: Arc::new(registry),
        issuers: config.issuers,
        rates: RateLimits::USUAL,
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
    shutdown.spawn(lead.run(shutdown.clone()));
    let served = skep_api::serve(listener, router, config.serve, shutdown.child_token()).await;
    shutdown.begin();
    shutdown.drain(STOP_WITHIN).await;
    store.close().await;
    served.map_err(ServeError::Api)
}

async fn connect(config: &ServeConfig) -> Result<Store, ServeError> {
    let store = Store::connect(config.database_url.expose_secret(), StoreOptions::new(config.keys.clone()))
        .await
        .map_err(during("connecting"))?;
    store.migrate().await.map_err(during("migrating"))?;
    tell_master_key(&store).await?;
    Ok(store)
}

/// What the operator has to know of master keys when a server starts: organisations without the key to them are served, but for their
/// secrets.
async fn tell_master_key(store: &Store) -> Result<(), ServeError> {
    let standing = store.master_key_standing().await.map_err(during("reading the master key's state"))?;
    for closed in &standing.closed {
        tracing::error!(
            organization = closed.org,
            master_key = closed.master_key,
            "this organisation's secrets cannot be opened: the master key that wrapped its data key is not given"
        );
    }
    if standing.own != standing.in_force {
        tracing::info!(
            in_force = standing.in_force,
            own = standing.own,
            "another master key than this server's own is in force; `skep master-key rotate` changes that"
        );
    }
    Ok(())
}

fn during(what: &'static str) -> impl FnOnce(StoreError) -> ServeError {
    move |source| ServeError::Store { what, source }
}
