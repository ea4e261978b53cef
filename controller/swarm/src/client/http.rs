//! Requests and answers over pooled connections, bounded in time, size and number.
//!
//! This is the one place that talks HTTP to the engine. It negotiates the API version once and again whenever the
//! engine may have changed, and it knows for each failure whether the request can have reached the engine.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::classify::classify;
use super::connect::Connector;
use super::options::ClientOptions;
use super::pool::{Connection, Lost, Pool};
use super::request::Request;
use crate::error::{Call, Cause, SwarmError};
use crate::version::ApiVersion;

/// The host in the head of requests. The engine wants one and ignores it.
const HOST: &str = "engine";

/// How often a call is sent in the version that an engine no longer speaks before it is given up: once, then once more
/// after asking for the version anew. The refused request has had no effect.
const VERSION_ATTEMPTS: usize = 2;

/// The connections of one client.
pub(super) struct Http {
    pool: Pool,
    turns: Semaphore,
    lookup_turns: Semaphore,
    /// What was negotiated; empty before the first call and after the engine was out of reach.
    version: Mutex<Option<ApiVersion>>,
    options: ClientOptions,
}

/// A successful answer.
pub(super) struct Answer {
    call: Call,
    pub(super) body: Bytes,
}

impl Answer {
    /// Reads the body.
    pub(super) fn decode<T: DeserializeOwned>(self) -> Result<T, SwarmError> {
        serde_json::from_slice(&self.body)
            .map_err(|source| SwarmError::Decode { call: self.call, source: Arc::new(source) })
    }
}

/// The beginning of a successful answer. It keeps its turn until the answer is read, so that there are never more
/// connections than calls at once; a stream gives its turn up and closes its connection when it ends.
struct Begun<'a> {
    response: Response<Incoming>,
    connection: Connection,
    _turn: SemaphorePermit<'a>,
}

/// A refusal by the engine, not yet sorted.
struct Refusal {
    status: StatusCode,
    message: String,
}

#[derive(Deserialize)]
struct RefusalBody {
    message: String,
}

impl Http {
    pub(super) fn new(connector: Connector, options: ClientOptions) -> Arc<Self> {
        let pool = Pool::new(connector, options.idle_connections, options.idle_connection_timeout);
        let turns = Semaphore::new(options.concurrent_calls.clamp(1, Semaphore::MAX_PERMITS));
        let lookup_turns = Semaphore::new(options.concurrent_lookups.clamp(1, Semaphore::MAX_PERMITS));
        Arc::new(Self { pool, turns, lookup_turns, version: Mutex::new(None), options })
    }

    pub(super) fn options(&self) -> &ClientOptions {
        &self.options
    }

    /// One call with the usual bound.
    pub(super) async fn send(&self, call: Call, request: Request) -> Result<Answer, SwarmError> {
        self.send_within(self.options.request_timeout, &self.turns, call, request).await
    }

    /// One call that asks a registry through the engine.
    pub(super) async fn look_up(&self, call: Call, request: Request) -> Result<Answer, SwarmError> {
        self.send_within(self.options.registry_timeout, &self.lookup_turns, call, request).await
    }

    /// One call, ended after `limit`, its turn and its body included.
    async fn send_within(
        &self,
        limit: Duration,
        turns: &Semaphore,
        call: Call,
        request: Request,
    ) -> Result<Answer, SwarmError> {
        let deadline = Deadline::within(limit);
        let begun = self.respond(&deadline, turns, &call, request).await?;
        let body = deadline.bound(&call, true, self.body(&call, begun.response)).await?;
        self.pool.give_back(begun.connection);
        Ok(Answer { call, body })
    }

    /// One call whose answer flows; the bound is for its beginning.
    pub(super) async fn open(&self, call: &Call, request: Request) -> Result<Incoming, SwarmError> {
        let deadline = Deadline::within(self.options.request_timeout);
        Ok(self.respond(&deadline, &self.turns, call, request).await?.response.into_body())
    }

    /// Asks the engine for its version, and whether it answers at all.
    pub(super) async fn negotiate(&self, call: &Call) -> Result<ApiVersion, SwarmError> {
        let deadline = Deadline::within(self.options.request_timeout);
        let mut known = deadline.bound(call, false, async { Ok(self.version.lock().await) }).await?;
        *known = None;
        let version = deadline.bound(call, false, self.ask_version(call)).await?;
        *known = Some(version);
        Ok(version)
    }

    /// The version that is spoken with the engine.
    pub(super) async fn version(&self, call: &Call) -> Result<ApiVersion, SwarmError> {
        let deadline = Deadline::within(self.options.request_timeout);
        deadline.bound(call, false, self.negotiated(call)).await
    }

    /// The version to speak, asked for once.
    async fn negotiated(&self, call: &Call) -> Result<ApiVersion, SwarmError> {
        let mut known = self.version.lock().await;
        match *known {
            Some(version) => Ok(version),
            None => {
                let version = self.ask_version(call).await?;
                *known = Some(version);
                Ok(version)
            }
        }
    }

    async fn ask_version(&self, call: &Call) -> Result<ApiVersion, SwarmError> {
        let (response, connection) =
            self.exchange(call, &Request::get("/_ping"), None).await.map_err(unsent)?;
        let said =
            response.headers().get("Api-Version").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let status = response.status();
        let body = self.body(call, response).await?;
        self.pool.give_back(connection);
        if !status.is_success() {
            return Err(classify(call.clone(), status.as_u16(), &String::from_utf8_lossy(&body)));
        }
        let engine: ApiVersion = said
            .as_deref()
            .unwrap_or("")
            .parse()
            .map_err(|source| SwarmError::Decode { call: call.clone(), source: Arc::new(source) })?;
        if engine < ApiVersion::OLDEST {
            return Err(SwarmError::EngineTooOld { engine, needed: ApiVersion::OLDEST });
        }
        Ok(engine.min(ApiVersion::NEWEST))
    }

    /// The beginning of a successful answer, or the sorted refusal.
    async fn respond<'a>(
        &self,
        deadline: &Deadline,
        turns: &'a Semaphore,
        call: &Call,
        request: Request,
    ) -> Result<Begun<'a>, SwarmError> {
        let turn = async {
            turns.acquire().await.map_err(|closed| SwarmError::Unavailable {
                call: call.clone(),
                sent: false,
                source: Arc::new(closed),
            })
        };
        let turn = deadline.bound(call, false, turn).await?;
        let mut attempt = 1;
        loop {
            let version = deadline.bound(call, false, self.negotiated(call)).await?;
            let refusal = match deadline.bound(call, true, self.attempt(call, &request, version)).await? {
                Ok((response, connection)) => return Ok(Begun { response, connection, _turn: turn }),
                Err(refusal) => refusal,
            };
            match VersionRefusal::read(&refusal) {
                None => return Err(classify(call.clone(), refusal.status.as_u16(), &refusal.message)),
                Some(verdict) => {
                    *self.version.lock().await = None;
                    match verdict {
                        VersionRefusal::EngineNeeds(engine) => {
                            return Err(SwarmError::EngineTooNew { engine, ours: ApiVersion::NEWEST });
                        }
                        VersionRefusal::Changed if attempt < VERSION_ATTEMPTS => attempt += 1,
                        VersionRefusal::Changed => {
                            return Err(classify(call.clone(), refusal.status.as_u16(), &refusal.message));
                        }
                    }
                }
            }
        }
    }

    async fn attempt(
        &self,
        call: &Call,
        request: &Request,
        version: ApiVersion,
    ) -> Result<Result<(Response<Incoming>, Connection), Refusal>, SwarmError> {
        let (response, connection) = match self.exchange(call, request, Some(version)).await {
            Ok(answer) => answer,
            Err(error) => {
                if matches!(error, SwarmError::Unavailable { sent: false, .. }) {
                    // The engine that comes back may be another version.
                    *self.version.lock().await = None;
                }
                return Err(error);
            }
        };
        let status = response.status();
        if status.is_success() {
            return Ok(Ok((response, connection)));
        }
        let body = self.body(call, response).await?;
        self.pool.give_back(connection);
        let message = serde_json::from_slice::<RefusalBody>(&body)
            .map_or_else(|_| String::from_utf8_lossy(&body).into_owned(), |body| body.message);
        Ok(Err(Refusal { status, message }))
    }

    async fn exchange(
        &self,
        call: &Call,
        request: &Request,
        version: Option<ApiVersion>,
    ) -> Result<(Response<Incoming>, Connection), SwarmError> {
        let prefix = version.map_or_else(String::new, |version| format!("/v{version}"));
        let mut builder = http::Request::builder()
            .method(&request.method)
            .uri(format!("{prefix}{}", request.target))
            .header(header::HOST, HOST)
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(auth) = &request.auth {
            builder = builder.header("X-Registry-Auth", auth.expose_secret());
        }
        let built = builder
            .body(Full::new(request.body.clone()))
            .map_err(|error| SwarmError::Invalid { call: call.clone(), message: error.to_string() })?;
        let unavailable =
            |Lost { sent, source }| SwarmError::Unavailable { call: call.clone(), sent, source };
        self.pool.send(built).await.map_err(unavailable)
    }

    async fn body(&self, call: &Call, response: Response<Incoming>) -> Result<Bytes, SwarmError> {
        let limit = self.options.answer_limit;
        match Limited::new(response.into_body(), limit).collect().await {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => {
                Err(SwarmError::AnswerTooLarge { call: call.clone(), limit })
            }
            Err(source) => {
                Err(SwarmError::Unavailable { call: call.clone(), sent: true, source: Cause::from(source) })
            }
        }
    }
}

/// A failure of asking for the version is before the call itself.
fn unsent(error: SwarmError) -> SwarmError {
    match error {
        SwarmError::Unavailable { call, source, .. } => SwarmError::Unavailable { call, sent: false, source },
        other => other,
    }
}

/// When a call ends, and the bound as it was asked for.
struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    fn within(limit: Duration) -> Self {
        Self { at: Instant::now() + limit, limit }
    }

    /// Runs a part of a call; `sent` says whether the request may be out when time runs out in it.
    async fn bound<T>(
        &self,
        call: &Call,
        sent: bool,
        part: impl Future<Output = Result<T, SwarmError>>,
    ) -> Result<T, SwarmError> {
        tokio::time::timeout_at(self.at, part)
            .await
            .unwrap_or_else(|_| Err(SwarmError::Timeout { call: call.clone(), after: self.limit, sent }))
    }
}

/// Why an engine refuses the version of a request.
#[derive(Debug, PartialEq, Eq)]
enum VersionRefusal {
    /// It speaks only newer ones.
    EngineNeeds(ApiVersion),
    /// It was replaced by an older one since it was asked.
    Changed,
}

impl VersionRefusal {
    fn read(refusal: &Refusal) -> Option<Self> {
        let words = &refusal.message;
        if refusal.status != StatusCode::BAD_REQUEST || !words.starts_with("client version ") {
            return None;
        }
        if !words.contains("too old") {
            return Some(Self::Changed);
        }
        let (_, rest) = words.split_once("Minimum supported API version is ")?;
        let needed: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        needed.parse().ok().map(Self::EngineNeeds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: StatusCode, message: &str) -> Option<VersionRefusal> {
        VersionRefusal::read(&Refusal { status, message: message.to_owned() })
    }

    #[test]
    fn a_refused_version_is_told_from_other_refusals() {
        let old = "client version 1.45 is too old. Minimum supported API version is 1.50, please upgrade your client";
        let needed = ApiVersion { major: 1, minor: 50 };
        assert_eq!(read(StatusCode::BAD_REQUEST, old), Some(VersionRefusal::EngineNeeds(needed)));
        let new = "client version 1.45 is too new. Maximum supported API version is 1.41";
        assert_eq!(read(StatusCode::BAD_REQUEST, new), Some(VersionRefusal::Changed));
        assert_eq!(read(StatusCode::BAD_REQUEST, "invalid mount"), None);
        assert_eq!(read(StatusCode::INTERNAL_SERVER_ERROR, new), None);
    }
}
