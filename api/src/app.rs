//! What the server is made of, shared by all requests.

use std::ops::Deref;
use std::sync::Arc;

use axum::body::Bytes;
use prometheus_client::registry::Registry;
use skep_store::Store;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::denials::Denials;
use crate::drift_feed::DriftFeed;
use crate::error::ApiError;
use crate::hub::Hub;
use crate::limits::{REQUESTS_MAX, STREAMS_MAX, WRITES_MAX};
use crate::metrics::Metrics;
use crate::port::ControlPlane;
use crate::rates::{RateLimits, Rates};

/// What the API is given.
pub struct Api {
    /// Where resources are.
    pub store: Store,
    /// The controller.
    pub control: Arc<dyn ControlPlane>,
    /// What `/metrics` shows.
    pub registry: Arc<Registry>,
    /// The API's own metrics, registered there.
    pub metrics: Metrics,
    /// How often tenants may ask.
    pub rates: RateLimits,
    /// Ends open streams, so that a server can stop.
    pub shutdown: CancellationToken,
}

/// The same with the bounds.
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) control: Arc<dyn ControlPlane>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) metrics: Metrics,
    pub(crate) shutdown: CancellationToken,
    /// Requests that are worked on.
    requests: Arc<Semaphore>,
    /// Requests whose body is in memory.
    writes: Arc<Semaphore>,
    /// Open streams.
    streams: Arc<Semaphore>,
    /// How often tenants may ask.
    pub(crate) rates: Rates,
    /// Writes down what is denied.
    pub(crate) denials: Denials,
    /// Tells watches of changes.
    pub(crate) hub: Arc<Hub>,
    /// Tells streams that the drift report has changed.
    pub(crate) drift: DriftFeed,
    /// The description of the API.
    pub(crate) openapi: Bytes,
}

/// A handle on what is shared.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

impl App {
    pub(crate) fn new(api: Api, openapi: Bytes) -> Self {
        let Api { store, control, registry, metrics, rates, shutdown } = api;
        let hub = Hub::start(store.clone(), metrics.clone(), shutdown.clone());
        let drift = DriftFeed::start(store.clone(), shutdown.clone());
        let denials = Denials::new(store.clone(), metrics.clone());
        Self(Arc::new(Shared {
            rates: Rates::new(rates),
            denials,
            hub,
            drift,
            store,
            control,
            registry,
            metrics,
            shutdown,
            requests: Arc::new(Semaphore::new(REQUESTS_MAX)),
            writes: Arc::new(Semaphore::new(WRITES_MAX)),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            openapi,
        }))
    }

    /// Waits for a place among the requests that are worked on.
    pub(crate) async fn take_request(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        self.requests.clone().acquire_owned().await.map_err(ApiError::internal)
    }

    /// Waits for a place among the requests whose body is in memory.
    pub(crate) async fn take_write(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        self.writes.clone().acquire_owned().await.map_err(ApiError::internal)
    }

    /// Takes a place among the open streams, if there is one: a stream would keep others waiting for long.
    pub(crate) fn take_stream(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        self.streams.clone().try_acquire_owned().map_err(|_| ApiError::TooManyStreams)
    }
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
