//! A route: one row that says everything about a path and method, and the runner that holds requests to it.
//!
//! The router, the permissions and the OpenAPI document are all made from the same rows ([`crate::routes`]). A row is made from
//! a handler's own types, so a handler cannot take a parameter or give an answer that is not described, and there is no way to
//! serve a path without declaring its [`Access`].
//!
//! The order of a request: a place among those that are worked on, the token, the permission, a place among those with a
//! body, the body, the handler. What is refused early has cost little.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{RawPathParams, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use axum::{RequestPartsExt, body};
use futures::future::{BoxFuture, Future, FutureExt};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use skep_schemas::Kind;
use skep_store::{Actor, Origin};

use crate::access::{self, Access, Permission, Principal, Target};
use crate::acting::Acting;
use crate::answer::{Answer, AnswerDoc, NotServed};
use crate::app::{App, Keyed, Taken};
use crate::call::{self, Address, Call, Payload};
use crate::error::ApiError;
use crate::limits::{BODY_MAX, REQUEST_TIMEOUT, STRANGERS_BODY_MAX};
use crate::panel;
use crate::request::{Answered, Peer, RequestId};
use crate::wire::PanelQuery;

/// The methods that the API uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Put,
    Post,
    /// Only of the panel's routes: a resource is applied whole.
    Patch,
    Delete,
}

impl Verb {
    /// The key of an operation in the OpenAPI document.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Put => "put",
            Self::Post => "post",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }

    const fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Put => MethodFilter::PUT,
            Self::Post => MethodFilter::POST,
            Self::Patch => MethodFilter::PATCH,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

type Handler = Arc<dyn Fn(Admitted) -> BoxFuture<'static, Result<Response, ApiError>> + Send + Sync>;

/// One path and method.
#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) verb: Verb,
    pub(crate) path: &'static str,
    pub(crate) access: Access,
    /// The name of the operation, for generated clients.
    pub(crate) id: &'static str,
    /// What it does, in a sentence.
    pub(crate) about: &'static str,
    /// Does it read a body?
    has_body: bool,
    /// May that be a stream of YAML manifests?
    pub(crate) manifests: bool,
    pub(crate) query: fn(&mut SchemaGenerator) -> Schema,
    pub(crate) body: fn(&mut SchemaGenerator) -> Option<Schema>,
    pub(crate) answers: fn(&mut SchemaGenerator) -> Vec<AnswerDoc>,
    /// Is there something in the answer that nobody is told a second time?
    told_once: bool,
    /// What says where the request is to act.
    within: Within,
    /// Does it do anything yet?
    is_served: bool,
    handler: Handler,
}

/// What says where a request is to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Within {
    /// The path.
    Path,
    /// Whoever asks, or the query: the panel's paths name no organisation. What the permission is exercised on is of this kind.
    Organization(Kind),
    /// The platform, and with it all organisations.
    Platform,
}

/// A request that may be worked on.
struct Admitted {
    app: App,
    acting: Acting,
    address: Address,
    request: Request,
    request_id: String,
    keyed: Option<Keyed>,
}

impl Route {
    /// A row, from a handler.
    pub(crate) fn new<Q, B, A, F>(
        verb: Verb,
        path: &'static str,
        access: Access,
        id: &'static str,
        about: &'static str,
        handler: fn(Call<Q, B>) -> F,
    ) -> Self
    where
        Q: DeserializeOwned + JsonSchema + Send + 'static,
        B: Payload + 'static,
        A: Answer + 'static,
        F: Future<Output = Result<A, ApiError>> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |admitted| {
            async move {
                let Admitted { app, acting, address, request, request_id, keyed } = admitted;
                let Acting { principal, actor, store } = acting;
                let (parts, bytes) = request.into_parts();
                let query = call::query(&parts.uri)?;
                // Held until the handler is done: the parsed body is as large as the bytes.
                let most = if access == Access::Open { STRANGERS_BODY_MAX } else { BODY_MAX };
                // Who is nobody yet keeps nobody else from writing.
                let takes_place = B::EXPECTED && access != Access::Open;
                let _place = if takes_place { Some(app.take_write().await?) } else { None };
                let bytes = if B::EXPECTED { read(bytes, most).await? } else { body::Bytes::new() };
                let body = B::read(&parts.headers, bytes.clone())?;
                let headers = parts.headers;
                let call = Call { app, principal, actor, store, address, query, body, headers, request_id };
                let work = async { handler(call).await?.respond() };
                let Some(keyed) = keyed else { return work.await };
                match keyed.take(&bytes).await? {
                    Taken::Before(answer) => Ok(answer),
                    Taken::Now(ticket) => ticket.end(work.await).await,
                }
            }
            .boxed()
        });
        Self {
            verb,
            path,
            access,
            id,
            about,
            has_body: B::EXPECTED,
            manifests: B::MANIFESTS,
            query: |schemas| Q::json_schema(schemas),
            body: |schemas| B::describe(schemas),
            answers: |schemas| A::describe(schemas),
            told_once: false,
            within: Within::Path,
            is_served: true,
            handler,
        }
    }

    /// A row whose requests are all refused with the same words, once it is clear that whoever asks may ask.
    pub(crate) fn unserved(
        verb: Verb,
        path: &'static str,
        access: Access,
        id: &'static str,
        about: &'static str,
        refusal: impl Fn() -> ApiError + Send + Sync + 'static,
    ) -> Self {
        Self {
            verb,
            path,
            access,
            id,
            about,
            has_body: false,
            manifests: false,
            query: |schemas| PanelQuery::json_schema(schemas),
            body: |_| None,
            answers: |schemas| NotServed::describe(schemas),
            told_once: false,
            within: Within::Path,
            is_served: false,
            handler: Arc::new(move |_| {
                let refusal = refusal();
                async move { Err(refusal) }.boxed()
            }),
        }
    }

    /// The same, acting elsewhere than the path says.
    pub(crate) fn within(self, within: Within) -> Self {
        Self { within, ..self }
    }

    /// The same with an answer that tells something once.
    pub(crate) fn told_once(self) -> Self {
        Self { told_once: true, ..self }
    }

    /// Does it change anything, so that it may be sent with a key?
    pub(crate) fn takes_key(&self) -> bool {
        let reads = matches!(self.access, Access::Open | Access::Needs(Permission::Read));
        self.is_served && self.verb != Verb::Get && !reads
    }

    /// As the router needs it.
    pub(crate) fn method_router(&self) -> MethodRouter<App> {
        let route = self.clone();
        on(self.verb.filter(), move |State(app): State<App>, request: Request| run(app, route, request))
    }
}

/// Admits a request, works on it within its time, and survives what the handler does.
async fn run(app: App, route: Route, request: Request) -> Response {
    let mut actor = Actor::new(&Principal::nobody().name);
    let work = AssertUnwindSafe(attempt(&app, &route, request, &mut actor)).catch_unwind();
    let mut response = match tokio::time::timeout(REQUEST_TIMEOUT, work).await {
        Ok(Ok(Ok(response))) => response,
        Ok(Ok(Err(error))) => {
            if let Some(denied) = error.denied() {
                app.denials.note(&actor, &denied).await;
            }
            error.into_response()
        }
        // The panic's own message went to the log when it happened.
        Ok(Err(_)) => ApiError::internal(format!("the handler of {} panicked", route.id)).into_response(),
        Err(_) => ApiError::TimedOut.into_response(),
    };
    response.extensions_mut().insert(Answered { route: route.path, principal: actor.as_str().to_owned() });
    response
}

async fn attempt(app: &App, route: &Route, request: Request, who: &mut Actor) -> Result<Response, ApiError> {
    // Whether the server lives must be told even when it is busy.
    let place = match route.access {
        Access::Open => None,
        Access::Needs(_) => Some(app.take_request().await?),
    };
    let (mut parts, body) = request.into_parts();
    let principal = match route.access {
        Access::Open => Principal::nobody(),
        Access::Needs(_) => authenticate(app, &parts.headers).await?,
    };
    let request_id = parts.extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
    let address = address(&mut parts).await.and_then(|address| match route.within {
        Within::Path | Within::Platform => Ok(address),
        Within::Organization(kind) => {
            Ok(address.of_organization(panel::organization(&principal, &parts.uri)?, kind))
        }
    });
    let asked = match (&address, route.access) {
        (Ok(address), Access::Needs(permission)) => {
            Some((permission, if route.batches() { Target::Documents } else { address.target() }))
        }
        (Err(_), _) | (_, Access::Open) => None,
    };
    let principal = match &asked {
        Some((permission, target)) => principal.acting(*permission, std::slice::from_ref(target)),
        None => principal,
    };
    let origin = Origin {
        acting_as: None,
        peer: parts.extensions.get::<Peer>().map(|peer| peer.0),
        request_id: Some(request_id.clone()),
    };
    let acting = Acting::new(app, principal, origin);
    who.clone_from(&acting.actor);
    app.rates.take(&acting.principal).map_err(|wait| ApiError::TooOften { wait })?;
    if route.access == Access::Open && route.has_body {
        app.rates.take_stranger(acting.actor.peer()).map_err(|wait| ApiError::TooOften { wait })?;
    }
    let address = address?;
    if let Some((permission, target)) = &asked {
        acting.principal.require(*permission, target)?;
    }
    let keyed =
        if route.takes_key() { Keyed::of(app, &acting.principal, &parts, route.told_once)? } else { None };
    // Those with a body have places of their own; waiting for one must not keep others from reading.
    let _place = place.filter(|_| !route.has_body);
    let request = Request::from_parts(parts, body);
    (route.handler)(Admitted { app: app.clone(), acting, address, request, request_id, keyed }).await
}

impl Route {
    /// Does the body say what it is about?
    fn batches(&self) -> bool {
        self.manifests && self.verb == Verb::Post
    }
}

/// What the path names.
async fn address(parts: &mut http::request::Parts) -> Result<Address, ApiError> {
    let path = parts.uri.path().to_owned();
    let variables: RawPathParams =
        parts.extract().await.map_err(|_| ApiError::UnknownPath { path: path.clone() })?;
    Address::read(&path, variables.iter())
}

async fn authenticate(app: &App, headers: &http::HeaderMap) -> Result<Principal, ApiError> {
    let token = access::bearer(headers)?;
    app.authenticate(&token).await?.ok_or(ApiError::Unauthorized)
}

async fn read(body: body::Body, most: usize) -> Result<body::Bytes, ApiError> {
    body::to_bytes(body, most).await.map_err(|error| {
        // Either the limit, or a client that broke off and reads no answer anyway.
        tracing::debug!(%error, "a body was not read to its end");
        ApiError::BodyTooLarge { most }
    })
}

#[cfg(test)]
mod beneath;
