//! Reading a document of an issuer: from an address that whoever runs the server wrote down, or that was told there, whole, small, and soon.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

/// The largest document: fifty keys with their certificates.
pub(super) const DOCUMENT_MAX: usize = 512 * 1024;
/// How long a document may take. A login waits for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads documents.
#[derive(Clone)]
pub(super) struct Fetch(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

/// Why a document was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("{0}")]
    Failed(String),
    #[error("the answer is {0}")]
    Refused(StatusCode),
    #[error("it is too large")]
    TooLarge,
    #[error("it did not come within {} s", PATIENCE.as_secs())]
    TimedOut,
    #[error("it could not be read a moment ago")]
    NotYet,
}

impl Fetch {
    /// With the system's authorities.
    pub(super) fn new() -> Result<Self, FetchError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| FetchError::Failed(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        Ok(Self(Client::builder(TokioExecutor::new()).build(connector)))
    }

    /// The JSON document at an address. Redirects are not followed: where it is was written down.
    pub(super) async fn json(&self, url: &Uri) -> Result<Value, FetchError> {
        let request = Request::get(url).header(ACCEPT, "application/json").body(Full::default());
        self.within_time(request).await
    }

    /// The JSON document that answers a form.
    pub(super) async fn post(
        &self,
        url: &Uri,
        form: String,
        authorization: Option<HeaderValue>,
    ) -> Result<Value, FetchError> {
        let mut request = Request::post(url)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        self.within_time(request.body(Full::from(form))).await
    }

    async fn within_time(&self, request: http::Result<Request<Full<Bytes>>>) -> Result<Value, FetchError> {
        let request = request.map_err(|error| FetchError::Failed(error.to_string()))?;
        tokio::time::timeout(PATIENCE, self.read(request)).await.map_err(|_| FetchError::TimedOut)?
    }

    async fn read(&self, request: Request<Full<Bytes>>) -> Result<Value, FetchError> {
        let response =
            self.0.request(request).await.map_err(|error| FetchError::Failed(error.to_string()))?;
        if !response.status().is_success() {
            return Err(FetchError::Refused(response.status()));
        }
        let body = Limited::new(response.into_body(), DOCUMENT_MAX).collect().await;
        let bytes = body.map_err(|_| FetchError::TooLarge)?.to_bytes();
        serde_json::from_slice(&bytes).map_err(|error| FetchError::Failed(error.to_string()))
    }
}
