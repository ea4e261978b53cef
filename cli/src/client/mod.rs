//! Talks to the API.
//!
//! Requests go over pooled connections, in the clear or with TLS by rustls, and every one has a deadline. Guarantees: a request
//! that may have written something is never sent twice; the answer is bounded; whatever is not an answer of Skep's ends as a
//! [`ClientError`] that says which server failed and how.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde::de::DeserializeOwned;
use skep_api::wire::{EVENT_STREAM, IDEMPOTENCY_KEY, ON_HOLD, PROBLEM_JSON};

use crate::context::{Context, Server};

pub(crate) mod error;
pub(crate) mod events;
mod query;
mod tls;

pub(crate) use error::ClientError;
pub(crate) use events::EventSource;
pub(crate) use query::{escape, with_query};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an answer may take as a whole. The server gives up after 30 s by itself and says so.
const ANSWER: Duration = Duration::from_secs(45);
/// The largest answer: a page of 500 resources, each below 100 kB in all but the strangest cases.
const ANSWER_MAX: usize = 64 * 1024 * 1024;
/// The largest request, as the server's limit. A larger one would only be refused after it was sent.
const REQUEST_MAX: usize = 8 * 1024 * 1024;
/// How often a request is tried again, and how long to wait before each further attempt.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

/// A connection pool to one server.
#[derive(Clone)]
pub(crate) struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
    server: Server,
    authorization: Option<HeaderValue>,
    /// What the server said was on hold, and whether the user was told.
    on_hold: Arc<Mutex<Option<String>>>,
}

impl Client {
    /// Prepares to talk to the context's server; nothing is sent yet.
    pub(crate) fn new(context: &Context) -> Result<Self, ClientError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_keepalive(Some(Duration::from_secs(60)));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::client_config(&context.server, context.ca.as_deref())?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let pool = Pool::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
        let authorization = context.token.as_ref().map(|token| {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))?;
            value.set_sensitive(true);
            Ok::<_, http::header::InvalidHeaderValue>(value)
        });
        let authorization = authorization.transpose().map_err(|error| ClientError::Request(error.into()))?;
        Ok(Self { pool, server: context.server.clone(), authorization, on_hold: Arc::default() })
    }

    /// Reads. A read that fails on the way is tried again.
    pub(crate) async fn get<A: DeserializeOwned>(&self, path: &str) -> Result<A, ClientError> {
        for pause in PAUSES {
            match self.answer(Method::GET, path, Bytes::new()).await {
                Err(error) if error.may_pass() => {
                    tracing::debug!(%error, path, "a read failed and is tried again");
                    tokio::time::sleep(pause).await;
                }
                other => return other,
            }
        }
        self.answer(Method::GET, path, Bytes::new()).await
    }

    /// Sends a body and reads the answer. What fails on the way is sent again, with a key by which the server knows it: it is done once.
    pub(crate) async fn post<B: Serialize, A: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<A, ClientError> {
        self.write_json(Method::POST, path, body).await
    }

    /// Sends a body that replaces something, and reads the answer. Done once, as [`Client::post`].
    pub(crate) async fn put<B: Serialize, A: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<A, ClientError> {
        self.write_json(Method::PUT, path, body).await
    }

    /// Sends a body that changes a part of something, and reads the answer. Done once, as [`Client::post`].
    pub(crate) async fn patch<B: Serialize, A: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<A, ClientError> {
        self.write_json(Method::PATCH, path, body).await
    }

    async fn write_json<B: Serialize, A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &B,
    ) -> Result<A, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| ClientError::Request(error.into()))?;
        if body.len() > REQUEST_MAX {
            return Err(ClientError::TooMuch { size: body.len(), limit: REQUEST_MAX });
        }
        self.write(method, path, Bytes::from(body)).await
    }

    /// Sends a form, as OAuth has it, and reads the answer. Never sent twice.
    pub(crate) async fn post_form<A: DeserializeOwned>(
        &self,
        path: &str,
        form: String,
    ) -> Result<A, ClientError> {
        let mut request = self.request(Method::POST, path, Bytes::from(form), "application/json")?;
        let content = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, content);
        self.answer_to(request).await
    }

    /// Deletes. Done once, as [`Client::post`].
    pub(crate) async fn delete<A: DeserializeOwned>(&self, path: &str) -> Result<A, ClientError> {
        self.write(Method::DELETE, path, Bytes::new()).await
    }

    async fn write<A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<A, ClientError> {
        let key = HeaderValue::try_from(fresh_key()?).map_err(|error| ClientError::Request(error.into()))?;
        let attempt = || async {
            let mut request = self.request(method.clone(), path, body.clone(), "application/json")?;
            request.headers_mut().insert(IDEMPOTENCY_KEY, key.clone());
            self.answer_to(request).await
        };
        for pause in PAUSES {
            match attempt().await {
                Err(error) if error.may_be_done() => {
                    tracing::debug!(%error, path, "a write failed on its way and is sent again");
                    tokio::time::sleep(pause).await;
                }
                other => return other,
            }
        }
        attempt().await
    }

    /// What the last answers said is on hold, if anything.
    pub(crate) fn on_hold(&self) -> Option<String> {
        self.on_hold.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note_hold(&self, response: &Response<Incoming>) {
        let holds = response.headers().get(ON_HOLD).and_then(|value| value.to_str().ok()).map(str::to_owned);
        *self.on_hold.lock().unwrap_or_else(PoisonError::into_inner) = holds;
    }

    /// Opens a stream of events.
    pub(crate) async fn stream(&self, path: &str) -> Result<EventSource, ClientError> {
        let request = self.request(Method::GET, path, Bytes::new(), EVENT_STREAM)?;
        let response = self.send(request).await?;
        let status = response.status();
        let content = content_type(&response);
        if status.is_success() && content == EVENT_STREAM {
            return Ok(EventSource::new(response.into_body()));
        }
        let body = self.body(response).await?;
        Err(self.refusal(status, &content, &body))
    }

    async fn answer<A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<A, ClientError> {
        self.answer_to(self.request(method, path, body, "application/json")?).await
    }

    async fn answer_to<A: DeserializeOwned>(&self, request: Request<Full<Bytes>>) -> Result<A, ClientError> {
        let exchange = async {
            let response = self.send(request).await?;
            let (status, content) = (response.status(), content_type(&response));
            Ok::<_, ClientError>((status, content, self.body(response).await?))
        };
        let (status, content, body) = tokio::time::timeout(ANSWER, exchange)
            .await
            .map_err(|_| ClientError::TimedOut { server: self.server.to_string(), after: ANSWER })??;
        if !status.is_success() {
            return Err(self.refusal(status, &content, &body));
        }
        // An answer without a body is JSON's null, which is what `()` and `Option` read.
        let json: &[u8] = if body.is_empty() { b"null" } else { &body };
        serde_json::from_slice(json)
            .map_err(|error| ClientError::Answer { server: self.server.to_string(), why: error.to_string() })
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        accept: &'static str,
    ) -> Result<Request<Full<Bytes>>, ClientError> {
        let url = self.server.url(path).map_err(|error| ClientError::Request(error.into()))?;
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header(ACCEPT, accept)
            .header(USER_AGENT, concat!("skep/", env!("CARGO_PKG_VERSION")));
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(value) = &self.authorization {
            request = request.header(AUTHORIZATION, value.clone());
        }
        request.body(Full::new(body)).map_err(|error| ClientError::Request(error.into()))
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, ClientError> {
        let server = || self.server.to_string();
        match tokio::time::timeout(ANSWER, self.pool.request(request)).await {
            Ok(Ok(response)) => {
                self.note_hold(&response);
                Ok(response)
            }
            Ok(Err(error)) => Err(ClientError::Transport { server: server(), why: error::innermost(&error) }),
            Err(_) => Err(ClientError::TimedOut { server: server(), after: ANSWER }),
        }
    }

    async fn body(&self, response: Response<Incoming>) -> Result<Bytes, ClientError> {
        let mut body = response.into_body();
        let mut bytes = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| ClientError::Transport {
                server: self.server.to_string(),
                why: error::innermost(&error),
            })?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > ANSWER_MAX {
                return Err(ClientError::TooLarge { server: self.server.to_string(), limit: ANSWER_MAX });
            }
            bytes.extend_from_slice(&data);
        }
        Ok(bytes.freeze())
    }

    fn refusal(&self, status: StatusCode, content: &str, body: &[u8]) -> ClientError {
        let problem = if content == PROBLEM_JSON { serde_json::from_slice(body).ok() } else { None };
        match problem {
            Some(problem) => ClientError::Problem(Box::new(problem)),
            None => ClientError::Unexpected {
                server: self.server.to_string(),
                status,
                start: error::excerpt(&String::from_utf8_lossy(body)),
            },
        }
    }
}

/// A key that no other request has.
fn fresh_key() -> Result<String, ClientError> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| ClientError::Request("this machine has no random numbers".into()))?;
    Ok(hex::encode(bytes))
}

fn content_type(response: &Response<Incoming>) -> String {
    let value =
        response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
