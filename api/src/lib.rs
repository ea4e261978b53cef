//! The HTTP API: routes, admission, problem+json, watch streams and OpenAPI.
//!
//! ```text
//! bytes ─> server ─> request ─> route ─────> routes::* ─> store (skep-store)
//!          limits,   id, log,   token,        handlers └─> ControlPlane (the controller)
//!          TLS       problems   permission
//! ```
//!
//! - [`wire`]: what travels, shared with clients.
//! - `routes`: the table of all routes; router, permissions and OpenAPI follow from it.
//! - `panel`: the rows of the panel's API in that table.
//! - [`ControlPlane`]: what the API needs from the controller. The API never talks to the Swarm.
//! - [`serve`]: connections, TLS, shutdown.
//! - [`limits`]: every bound, with its reason.
//!
//! Guarantees: no route without a declared permission; no answer with a secret's value, SQL or a path of ours; every error
//! is a problem document with a code that `skep explain` documents; a batch is applied as a whole or not at all.

mod access;
mod acting;
mod answer;
mod app;
mod call;
mod denials;
mod doctor;
mod drift_feed;
mod error;
mod hub;
pub mod limits;
mod log_share;
mod manifests;
mod metrics;
pub mod openapi;
mod panel;
mod port;
mod rates;
mod request;
mod route;
mod routes;
mod server;
mod stream;
mod tls;
mod ui;
mod vouch;
pub mod wire;

use axum::Router;
use axum::middleware::from_fn_with_state;
use http::{Method, Uri};

pub use app::Api;
pub use metrics::Metrics;
pub use port::{
    ControlPlane, IdleControl, LogItem, LogItems, LogRequest, PortError, PreviewRequest, RegionRequest,
};
pub use rates::{Rate, RateLimits};
pub use server::{ServeError, ServeOptions, serve};
pub use tls::TlsFiles;
pub use vouch::{IdentityConfig, IdentityError, IssuerConfig, Issuers, KeysAt, SigningAlgorithm, WebConfig};

use app::App;
use error::ApiError;

/// All routes, ready to be served. Must be called within a runtime: the reader of the change log starts with it. Fails only if the description of the API cannot be written as JSON.
pub fn router(api: Api) -> Result<Router, serde_json::Error> {
    let app = App::new(api, openapi::document()?.into());
    let routes = routes::table();
    let router =
        routes.iter().fold(Router::new(), |router, route| router.route(route.path, route.method_router()));
    Ok(router
        .method_not_allowed_fallback(wrong_method)
        .fallback(unknown_path)
        .layer(from_fn_with_state(app.clone(), request::answer))
        .with_state(app))
}

async fn unknown_path(uri: Uri) -> ApiError {
    ApiError::UnknownPath { path: uri.path().to_owned() }
}

async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    ApiError::MethodNotAllowed { method, path: uri.path().to_owned() }
}
