//! What the server is made of, shared by all requests.
//!
//! The store as a whole stays here. A handler is given it as far as whoever asks reaches ([`App::store_of`]), over connections that the
//! database holds to that, and cannot take another.

mod keyed;

use std::ops::Deref;
use std::sync::Arc;

use axum::body::Bytes;
use jiff::Timestamp;
use prometheus_client::registry::Registry;
use secrecy::SecretString;
use skep_schemas::{ResourceKey, Role, Scope};
use skep_store::{
    Actor, Grant, Person, Rotated, ScopedStore, SessionId, SessionInfo, Store, StoreError, Subject,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

pub(crate) use self::keyed::{Keyed, Taken};
use crate::access::{Own, Principal};
use crate::denials::Denials;
use crate::drift_feed::DriftFeed;
use crate::error::ApiError;
use crate::hub::Hub;
use crate::limits::{LOGIN_PAUSE, LOGINS_MAX, REQUESTS_MAX, STREAMS_MAX, WRITES_MAX};
use crate::log_share::LogShares;
use crate::metrics::Metrics;
use crate::port::ControlPlane;
use crate::rates::{RateLimits, Rates};
use crate::vouch::{Issuers, Refusal, Vouched};
use crate::wire::{LoginProvider, WebLogin, WebLoginCode};

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
    /// Who vouches for people.
    pub issuers: Arc<Issuers>,
    /// How often tenants may ask.
    pub rates: RateLimits,
    /// Ends open streams, so that a server can stop.
    pub shutdown: CancellationToken,
}

/// The same with the bounds.
pub(crate) struct Shared {
    store: Store,
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
    /// Logins on pages that a provider is asked about: whoever sends them is nobody yet.
    logins: Semaphore,
    /// Who vouches for people.
    issuers: Arc<Issuers>,
    /// How often tenants may ask.
    pub(crate) rates: Rates,
    /// How much output is told to whom.
    pub(crate) log_shares: LogShares,
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
        let Api { store, control, registry, metrics, issuers, rates, shutdown } = api;
        let hub = Hub::start(store.clone(), metrics.clone(), shutdown.clone());
        let drift = DriftFeed::start(store.clone(), shutdown.clone());
        let denials = Denials::new(store.clone(), metrics.clone());
        Self(Arc::new(Shared {
            rates: Rates::new(rates),
            log_shares: LogShares::new(),
            issuers,
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
            logins: Semaphore::new(LOGINS_MAX),
            openapi,
        }))
    }

    /// Who a token stands for; `None` for one that is not valid.
    pub(crate) async fn authenticate(&self, token: &SecretString) -> Result<Option<Principal>, ApiError> {
        if Issuers::is_one(token) {
            return self.vouched_for(token).await.map(Some);
        }
        Ok(self.store.authenticate(token).await?.map(Principal::from))
    }

    /// Who a token of somebody else stands for.
    async fn vouched_for(&self, token: &SecretString) -> Result<Principal, ApiError> {
        let vouched = self.issuers.verify(token).await.map_err(|refusal| {
            tracing::info!(%refusal, "a token of somebody else was refused");
            unavailable_or(refusal, ApiError::Unauthorized)
        })?;
        self.principal_of(vouched).await
    }

    /// Who logged in on a page.
    pub(crate) async fn redeem(&self, login: &WebLoginCode) -> Result<Principal, ApiError> {
        let _place = self.logins.try_acquire().map_err(|_| ApiError::TooOften { wait: LOGIN_PAUSE })?;
        let vouched = self.issuers.redeem(login).await.map_err(|refusal| {
            tracing::info!(%refusal, "a login on a page was refused");
            let problem = "the identity provider does not confirm this login";
            unavailable_or(refusal, ApiError::invalid(problem, "log in again"))
        })?;
        self.principal_of(vouched).await
    }

    async fn principal_of(&self, vouched: Vouched) -> Result<Principal, ApiError> {
        let subject = Subject {
            issuer: &vouched.issuer,
            subject: &vouched.subject,
            email: &vouched.email,
            display_name: vouched.display_name.as_deref(),
        };
        let by = Actor::new(&vouched.issuer);
        let (person, grants) = self.store.person_vouched_for(subject, &by).await?;
        Ok(Principal::vouched(vouched.issuer, person, grants, vouched.grants))
    }

    /// The store as far as a principal reaches; nobody reaches anything.
    pub(crate) fn store_of(&self, principal: &Principal) -> ScopedStore {
        self.store.within(principal.grant.as_ref().map(|grant| &grant.reach))
    }

    /// All of the store, for a principal of the platform.
    pub(crate) fn platform_store(&self, principal: &Principal) -> Result<&Store, ApiError> {
        let of_platform = principal.grant.as_ref().is_some_and(|grant| grant.reach == Scope::Platform);
        of_platform
            .then_some(&self.store)
            .ok_or_else(|| ApiError::internal("what is the platform's was asked for in another's name"))
    }

    /// What a person does for himself concerns no organisation that he is in already, so it is asked of all of the store, and only in that
    /// person's name.
    pub(crate) async fn accept_invitation(
        &self,
        person: &Person,
        code: &SecretString,
        by: &Actor,
    ) -> Result<Option<Grant>, StoreError> {
        self.store.accept_invitation(person, code, by).await
    }

    /// Ends a membership of whoever asks.
    pub(crate) async fn leave(&self, own: &Own, reach: &Scope, by: &Actor) -> Result<(), StoreError> {
        let store = self.store.within(Some(reach));
        // Nobody is above himself.
        store.remove_member(reach, &own.person.email, Role::Owner, by).await
    }

    /// Where people log in.
    pub(crate) fn login(&self) -> Option<LoginProvider> {
        self.issuers.login()
    }

    /// Where people log in on the pages.
    pub(crate) async fn web_login(&self) -> Result<Option<WebLogin>, ApiError> {
        let described = self.issuers.web_login().await;
        described.map_err(|refusal| ApiError::IssuerUnavailable { cause: refusal.into() })
    }

    /// Makes a session of whoever asks.
    pub(crate) async fn log_in(
        &self,
        own: &Own,
        origin: &str,
        expires_at: Timestamp,
        by: &Actor,
    ) -> Result<SecretString, StoreError> {
        self.store.start_session(&own.person, origin, expires_at, by).await
    }

    /// The sessions of whoever asks.
    pub(crate) async fn sessions(&self, own: &Own) -> Result<Vec<SessionInfo>, StoreError> {
        self.store.sessions(own.person.id).await
    }

    /// Ends one of them. Was there one?
    pub(crate) async fn end_session(&self, own: &Own, id: SessionId, by: &Actor) -> Result<bool, StoreError> {
        self.store.end_session(own.person.id, id, by).await
    }

    /// Makes a former value of a secret that the store reaches the current one again. The value goes from the store to the store.
    pub(crate) async fn restore_secret(
        &self,
        store: &ScopedStore,
        key: &ResourceKey,
        version: u32,
        actor: &Actor,
    ) -> Result<Rotated, StoreError> {
        self.store.restore_secret(store, key, version, actor).await
    }

    /// Does the database answer?
    pub(crate) async fn reach_database(&self) -> Result<(), StoreError> {
        self.store.ping().await
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

/// Whoever could not be asked has not refused.
fn unavailable_or(refusal: Refusal, refused: ApiError) -> ApiError {
    if refusal.is_transient() { ApiError::IssuerUnavailable { cause: refusal.into() } } else { refused }
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
