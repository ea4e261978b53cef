//! Pages for people. They are static and hold no data: what they show they ask the API for, with a token that is typed
//! in, or with the session of a login.
//!
//! A page shows what others wrote (labels, error messages, reasons), so nothing but its own files may run in it: the policy below
//! leaves no way to load anything from elsewhere, to run inline script, or to make script or markup of text.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use schemars::{SchemaGenerator, json_schema};

use crate::access::Access;
use crate::answer::{Answer, AnswerDoc};
use crate::call::Call;
use crate::error::ApiError;
use crate::route::Route;
use crate::route::Verb::Get;

/// What a page may do: its own script, its own style, and requests to its own server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// The routes.
pub(crate) fn table() -> Vec<Route> {
    const OPEN: Access = Access::Open;
    vec![
        Route::new(Get, "/ui/drift", OPEN, "getDriftPage", "The drift report for people.", drift),
        Route::new(Get, "/ui/drift.js", OPEN, "getDriftScript", "Its script.", drift_script),
        Route::new(Get, "/ui/login", OPEN, "getLoginPage", "Where people come back to from a login.", login),
        Route::new(Get, "/ui/login.js", OPEN, "getLoginScript", "Its script.", login_script),
        Route::new(Get, "/ui/page.css", OPEN, "getPageStyle", "The style of the pages.", style),
    ]
}

async fn drift(_: Call) -> Result<Asset<Html>, ApiError> {
    Ok(Asset::new(include_str!("ui/drift.html")))
}

async fn drift_script(_: Call) -> Result<Asset<Script>, ApiError> {
    Ok(Asset::new(include_str!("ui/drift.js")))
}

/// Its address holds the code of a login, which is worth nothing without what the tab that began it keeps.
async fn login(_: Call<Untold>) -> Result<Asset<Html>, ApiError> {
    Ok(Asset::new(include_str!("ui/login.html")))
}

async fn login_script(_: Call) -> Result<Asset<Script>, ApiError> {
    Ok(Asset::new(include_str!("ui/login.js")))
}

async fn style(_: Call) -> Result<Asset<Css>, ApiError> {
    Ok(Asset::new(include_str!("ui/page.css")))
}

/// Parameters that the page's script reads and the server does not.
#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Untold {}

/// What a file is.
pub(crate) trait Medium {
    const MEDIA: &'static str;
    const WITH_CHARSET: &'static str;
}

/// A document.
pub(crate) struct Html;
/// A style sheet.
pub(crate) struct Css;
/// A script.
pub(crate) struct Script;

impl Medium for Html {
    const MEDIA: &'static str = "text/html";
    const WITH_CHARSET: &'static str = "text/html; charset=utf-8";
}

impl Medium for Css {
    const MEDIA: &'static str = "text/css";
    const WITH_CHARSET: &'static str = "text/css; charset=utf-8";
}

impl Medium for Script {
    const MEDIA: &'static str = "text/javascript";
    const WITH_CHARSET: &'static str = "text/javascript; charset=utf-8";
}

/// A file of a page.
pub(crate) struct Asset<M> {
    text: &'static str,
    medium: std::marker::PhantomData<M>,
}

impl<M> Asset<M> {
    const fn new(text: &'static str) -> Self {
        Self { text, medium: std::marker::PhantomData }
    }
}

impl<M: Medium> Answer for Asset<M> {
    fn describe(_: &mut SchemaGenerator) -> Vec<AnswerDoc> {
        let content = Some((M::MEDIA, json_schema!({ "type": "string" })));
        vec![AnswerDoc { status: StatusCode::OK, about: "The file.", content, etag: false }]
    }

    fn respond(self) -> Result<Response, ApiError> {
        let headers: [(HeaderName, HeaderValue); 5] = [
            (CONTENT_TYPE, HeaderValue::from_static(M::WITH_CHARSET)),
            (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
            (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            // The files of one version belong together, and are small.
            (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        ];
        Ok((headers, self.text).into_response())
    }
}
