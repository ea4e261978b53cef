//! Why a request is refused or fails, and how that is told.
//!
//! Handlers return an [`ApiError`]. It says nothing yet about bytes: as a response it is a status with the error attached, and
//! the outermost layer (`request`) turns it into a problem document, adds the request's id and logs what must not be sent.
//! Only `Display` texts of this module and diagnostics are sent; the causes of server errors (SQL, paths, addresses) are not.
//!
//! Which status means what:
//! - 412: the client stated a condition (`If-Match`, `If-None-Match`) and it does not hold.
//! - 409: the client stated none, and the state of the resource forbids the request (it is being deleted, another writer
//!   maintains it, its host is taken, it changed while the request ran).

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Method, StatusCode};
use skep_schemas::codes::Code;
use skep_schemas::diagnostic::{Diagnostic, Diagnostics, harmless};
use skep_schemas::manifest::SourcedManifest;
use skep_schemas::{AnySpec, Host, Kind, Manifest, OrgName, ResourceKey, ResourceName};
use skep_store::{Denied, StoreError};

use crate::access::{Permission, Target};
use crate::limits;
use crate::wire::Problem;

mod people;
mod port;
mod store;

/// What happened inside; logged and never sent.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What a rule of the store was broken for, to find the document that broke it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum About {
    /// A resource.
    Key(ResourceKey),
    /// An organisation: any document in it.
    Org(OrgName),
    /// A host: the Domain that asks for it.
    Host(Host),
    /// Nothing in particular.
    Nothing,
}

impl About {
    fn is(&self, manifest: &Manifest) -> bool {
        match self {
            Self::Key(key) => manifest.key == *key || in_organization(manifest, key),
            Self::Org(org) => manifest.key.org() == Some(org),
            Self::Host(host) => matches!(&manifest.spec, AnySpec::Domain(domain) if domain.host == *host),
            Self::Nothing => false,
        }
    }
}

/// Is the key that of the organisation that the manifest's resource is in?
fn in_organization(manifest: &Manifest, key: &ResourceKey) -> bool {
    manifest.key.org().is_some_and(|org| ResourceKey::organization(org) == *key)
}

/// Why a request is refused or fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("the manifests are not valid")]
    Manifests { diagnostics: Diagnostics },
    #[error("there is nothing at {path}")]
    UnknownPath { path: String },
    #[error("{method} is not possible at {path}")]
    MethodNotAllowed { method: Method, path: String },
    #[error("{problem}")]
    InvalidRequest { problem: String, help: String },
    #[error("the body's content type is {given}")]
    UnsupportedMedia { given: String },
    #[error("the body is larger than {most} bytes")]
    BodyTooLarge { most: usize },
    #[error("the URL names {url} and the body names {body}")]
    AddressMismatch { url: ResourceKey, body: ResourceKey },
    #[error("the request has no valid token")]
    Unauthorized,
    #[error("the token does not permit to {permission}")]
    Forbidden { permission: Permission, target: Target },
    #[error("{key} does not exist")]
    NotFound { key: ResourceKey },
    /// Told like [`ApiError::NotFound`]: whoever asks must not learn whether it exists.
    #[error("{key} does not exist")]
    OutOfReach { key: ResourceKey, permission: Permission },
    #[error("there is no token named {name}")]
    NoSuchToken { name: ResourceName },
    #[error("{problem}")]
    NoneSuch { problem: String, help: &'static str },
    #[error("{key} is not at the revision that If-Match names")]
    Stale { key: ResourceKey },
    #[error("{key} exists, and If-None-Match asks that it does not")]
    Exists { key: ResourceKey },
    #[error("{problem}")]
    Refused {
        code: Code,
        problem: Box<str>,
        help: Cow<'static, str>,
        about: About,
        diagnostics: Vec<Diagnostic>,
    },
    #[error("{what} is not served yet: the kind {by} will serve it")]
    NotServed { what: String, by: &'static str, today: Option<&'static str> },
    #[error("the changes since then are not kept any longer")]
    CursorExpired,
    #[error("more requests were sent with this token or for its organisation than are answered")]
    TooOften { wait: Duration },
    #[error("as many streams are open as the server allows")]
    TooManyStreams,
    #[error("the request took longer than {} s", limits::REQUEST_TIMEOUT.as_secs())]
    TimedOut,
    #[error("the Docker engine does not answer")]
    EngineUnavailable { cause: Cause },
    #[error("as many readers follow the output of this organisation's environments as may")]
    TooManyFollowers,
    #[error("the database does not answer")]
    Unavailable { cause: Cause },
    #[error("whoever vouches for people cannot be asked")]
    IssuerUnavailable { cause: Cause },
    #[error("the organisation's secrets cannot be opened")]
    SecretsClosed { cause: Cause },
    #[error("an internal error")]
    Internal { cause: Cause },
}

impl ApiError {
    /// A fault of ours.
    pub(crate) fn internal(cause: impl Into<Cause>) -> Self {
        Self::Internal { cause: cause.into() }
    }

    /// A request that makes no sense.
    pub(crate) fn invalid(problem: impl Into<String>, help: impl Into<String>) -> Self {
        Self::InvalidRequest { problem: problem.into(), help: help.into() }
    }

    /// The world is not as a plan was made from.
    pub(crate) fn moved(what: &[String]) -> Self {
        Self::Refused {
            code: Code::PlanMoved,
            problem: format!("the world has moved since the plan was made: {}", what.join("; ")).into(),
            help: "plan again, and look at what is different now".into(),
            about: About::Nothing,
            diagnostics: what.iter().map(|moved| Diagnostic::new(Code::PlanMoved, moved.clone())).collect(),
        }
    }

    fn refused(code: Code, error: &StoreError, help: impl Into<Cow<'static, str>>, about: About) -> Self {
        Self::Refused {
            code,
            problem: error.to_string().into(),
            help: help.into(),
            about,
            diagnostics: Vec::new(),
        }
    }

    /// The same with the place of the document that it is about.
    pub(crate) fn at(self, sent: &[SourcedManifest]) -> Self {
        let Self::Refused { code, problem, help, about, .. } = self else { return self };
        let broke = sent.iter().filter(|sourced| about.is(&sourced.manifest));
        let diagnostic = |sourced: &SourcedManifest| Diagnostic {
            line: sourced.line,
            column: sourced.line.map(|_| 1),
            ..Diagnostic::new(code, problem.clone())
                .with_help(help.clone())
                .with_source(sourced.source.clone())
        };
        let diagnostics = broke.take(1).map(diagnostic).collect();
        Self::Refused { code, problem, help, about, diagnostics }
    }

    pub(crate) fn code(&self) -> Code {
        match self {
            // The reader sorts by position, so the first is the one that a reader of the answer meets first.
            Self::Manifests { diagnostics } => {
                diagnostics.as_slice().first().map_or(Code::InvalidSpec, |first| first.code)
            }
            Self::UnknownPath { .. } | Self::MethodNotAllowed { .. } => Code::UnknownRoute,
            Self::InvalidRequest { .. } => Code::InvalidQuery,
            Self::UnsupportedMedia { .. } => Code::UnsupportedMedia,
            Self::BodyTooLarge { .. } => Code::PayloadTooLarge,
            Self::AddressMismatch { .. } => Code::AddressMismatch,
            Self::Unauthorized => Code::Unauthorized,
            Self::Forbidden { .. } => Code::Forbidden,
            Self::NotFound { .. }
            | Self::OutOfReach { .. }
            | Self::NoSuchToken { .. }
            | Self::NoneSuch { .. } => Code::NotFound,
            Self::Stale { .. } | Self::Exists { .. } => Code::PreconditionFailed,
            Self::Refused { code, .. } => *code,
            Self::NotServed { .. } => Code::NotServed,
            Self::CursorExpired => Code::CursorExpired,
            Self::TooOften { .. } | Self::TooManyStreams | Self::TooManyFollowers => Code::TooManyRequests,
            Self::TimedOut
            | Self::SecretsClosed { .. }
            | Self::IssuerUnavailable { .. }
            | Self::Unavailable { .. } => Code::Unavailable,
            Self::EngineUnavailable { .. } => Code::EngineUnavailable,
            Self::Internal { .. } => Code::Internal,
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            _ => StatusCode::from_u16(self.code().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Manifests { .. } => "correct what the diagnostics say; nothing was written".to_owned(),
            Self::UnknownPath { .. } | Self::MethodNotAllowed { .. } => {
                "GET /openapi.json lists every path and method".to_owned()
            }
            Self::InvalidRequest { help, .. } => help.clone(),
            Self::Refused { help, .. } => help.clone().into_owned(),
            Self::NoneSuch { help, .. } => (*help).to_owned(),
            Self::UnsupportedMedia { .. } => "send application/yaml or application/json".to_owned(),
            Self::BodyTooLarge { .. } => "send fewer manifests at a time".to_owned(),
            Self::AddressMismatch { .. } => "make kind, organisation and name the same in both".to_owned(),
            Self::Unauthorized => "send a token in the header `Authorization: Bearer …`".to_owned(),
            Self::Forbidden { .. } => "use a token with that permission".to_owned(),
            Self::NotFound { .. } | Self::OutOfReach { .. } | Self::NoSuchToken { .. } => {
                "GET the list to see what exists".to_owned()
            }
            Self::Stale { .. } => "GET it, look at what changed, and send its ETag".to_owned(),
            Self::Exists { .. } => "leave If-None-Match out to change what exists".to_owned(),
            Self::NotServed { today: Some(today), .. } => format!("use {today} today"),
            Self::NotServed { today: None, .. } => {
                "nothing does the same yet; docs/panel-api.md has every route and what it does".to_owned()
            }
            Self::CursorExpired => "list again, and go on from the revision of the list".to_owned(),
            Self::TooOften { wait } => format!("wait for {} s, and ask less often", seconds(*wait)),
            Self::TooManyStreams | Self::TooManyFollowers => "close streams, or try again later".to_owned(),
            Self::TimedOut => "try again; if a write was sent, look first whether it was done".to_owned(),
            Self::EngineUnavailable { .. } | Self::Unavailable { .. } => {
                "try again later; GET /readyz says what is not ready".to_owned()
            }
            Self::IssuerUnavailable { .. } => {
                "try again in a moment, or use a token of Skep's own".to_owned()
            }
            Self::SecretsClosed { .. } => {
                "the server lacks a master key: whoever runs it finds with `skep master-key status` which"
                    .to_owned()
            }
            Self::Internal { .. } => "report it with the request id".to_owned(),
        })
    }

    /// What was denied, for the audit.
    pub(crate) fn denied(&self) -> Option<Denied> {
        let (permission, org, kind) = match self {
            Self::Forbidden { permission, target } => (permission, target.org().cloned(), target.kind()),
            Self::OutOfReach { key, permission } => (permission, OrgName::try_from(key.name()).ok(), None),
            _ => return None,
        };
        Some(Denied { permission: permission.word(), org, kind: kind.map(Kind::as_str), name: None })
    }

    /// What is only logged.
    pub(crate) fn cause(&self) -> Option<&Cause> {
        match self {
            Self::EngineUnavailable { cause }
            | Self::IssuerUnavailable { cause }
            | Self::Unavailable { cause }
            | Self::SecretsClosed { cause }
            | Self::Internal { cause } => Some(cause),
            _ => None,
        }
    }

    /// The document that is sent.
    pub(crate) fn problem(&self, request_id: Option<String>) -> Problem {
        let code = self.code();
        let diagnostics = match self {
            Self::Manifests { diagnostics } => diagnostics.as_slice().to_vec(),
            Self::Refused { diagnostics, .. } => diagnostics.clone(),
            _ => Vec::new(),
        };
        Problem {
            problem_type: format!("urn:skep:error:{code}"),
            title: code.title().to_owned(),
            status: self.status().as_u16(),
            // It may quote the URL, and is shown on terminals.
            detail: harmless(&self.to_string()),
            code,
            help: self.help(),
            diagnostics,
            request_id,
        }
    }
}

/// Whole seconds that are long enough.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0))
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        let headers = response.headers_mut();
        match &self {
            Self::Unauthorized => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"skep\""));
            }
            Self::TooOften { wait } => {
                headers.insert(RETRY_AFTER, HeaderValue::from(seconds(*wait)));
            }
            Self::TooManyStreams
            | Self::TooManyFollowers
            | Self::TimedOut
            | Self::EngineUnavailable { .. }
            | Self::IssuerUnavailable { .. }
            | Self::Unavailable { .. } => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        // The router adds its own when it knows the path; an empty one would contradict it.
        debug_assert!(!headers.contains_key(ALLOW));
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

impl From<Diagnostics> for ApiError {
    fn from(diagnostics: Diagnostics) -> Self {
        Self::Manifests { diagnostics }
    }
}
