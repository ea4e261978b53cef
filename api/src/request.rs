//! The outermost layer: every request gets an id, every answer is logged and counted, every error becomes a document.
//!
//! The log line has method, path template, status, duration, id and principal. It has no path, query, header or body: any of
//! them may hold what only the client should know.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use uuid::Uuid;

use crate::app::App;
use crate::error::ApiError;
use crate::limits::URI_MAX;
use crate::wire::{ON_HOLD, PROBLEM_JSON, REQUEST_ID};

/// The id of a request. Always ours: one chosen by a client could be that of another request.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

/// The other end of the connection that a request came over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// What the runner tells about an answer.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    /// The path's template.
    pub(crate) route: &'static str,
    /// Who asked.
    pub(crate) principal: String,
}

/// The layer.
pub(crate) async fn answer(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = Uuid::now_v7().to_string();
    let method = request.method().clone();
    request.extensions_mut().insert(RequestId(id.clone()));
    let length = request.uri().to_string().len();
    let mut response = if length > URI_MAX {
        let problem = format!("the URL is {length} bytes long, the limit is {URI_MAX}");
        ApiError::invalid(problem, "use a shorter selector").into_response()
    } else {
        next.run(request).await
    };
    if let Some(error) = response.extensions_mut().remove::<Arc<ApiError>>() {
        log_cause(&error, &id);
        tell(&error, &id, &mut response);
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    let holds = app.control.on_hold().join("; ");
    if let (false, Ok(value)) = (holds.is_empty(), HeaderValue::from_str(&holds)) {
        response.headers_mut().insert(ON_HOLD, value);
    }
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let answered = response.extensions_mut().remove::<Answered>();
    let (route, principal) =
        answered.as_ref().map_or(("unmatched", "-"), |known| (known.route, known.principal.as_str()));
    let status = response.status();
    let took = begun.elapsed();
    app.metrics.answered(&method, route, status, took);
    tracing::info!(
        %method,
        route,
        status = status.as_u16(),
        duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        request_id = id,
        principal,
        "answered"
    );
    response
}

/// Puts the document into the answer, whose status and headers were made with the error.
fn tell(error: &ApiError, id: &str, response: &mut Response) {
    // A document of strings, numbers and lists cannot fail to be written; were it to, the status alone is still true.
    let bytes = serde_json::to_vec(&error.problem(Some(id.to_owned()))).unwrap_or_default();
    *response.body_mut() = bytes.into();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
}

/// Logs what is not sent.
pub(crate) fn log_cause(error: &ApiError, id: &str) {
    let Some(cause) = error.cause() else { return };
    let mut chain = cause.to_string();
    let mut next = cause.source();
    while let Some(source) = next {
        chain.push_str(": ");
        chain.push_str(&source.to_string());
        next = source.source();
    }
    tracing::error!(request_id = id, code = %error.code(), cause = chain, "a request failed");
}
