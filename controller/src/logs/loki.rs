//! What Loki keeps of output: of instances that are gone, and from before what an engine still has.
//!
//! Lines come there by whatever the operator runs on the nodes (docs/guides/logs.md); Skep only asks. What is asked for is made of typed
//! names, each written as a LogQL string, in the name of the organisation (`X-Scope-OrgID`), and never from before the environment was
//! made: one of the same name that was there before has nothing to do with it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HeaderName, HeaderValue};
use http::{Request, StatusCode, Uri};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use skep_api::wire::{LogLine, LogStream};
use skep_outbound::{Allowed, Limits, Outbound, OutboundError, OutboundSetupError, Reach};
use skep_planner::naming;
use skep_schemas::{OrgName, ProcessName, ResourceName};

use super::line::{LINE_BYTES_MAX, short};

/// Whose lines are asked for.
const TENANT: HeaderName = HeaderName::from_static("x-scope-orgid");
/// Lines of one answer: what a Loki gives at once unless it is told otherwise.
const LINES_MAX: u32 = 5_000;
/// How far back is read when nobody says.
const REACH_BACK: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How far back can be read at all: what a Loki looks through at once unless it is told otherwise is 30 days and an hour.
const REACH_BACK_MAX: SignedDuration = SignedDuration::from_hours(30 * 24);
/// What an answer may cost. A Loki that looks through a week takes its time; whoever waits is a person.
const LIMITS: Limits = Limits { within: Duration::from_secs(10), body: 16 * 1024 * 1024, redirects: 0 };

/// Where a Loki is, and as whom it is asked.
#[derive(Clone)]
pub struct LokiUrl {
    base: String,
    allowed: Allowed,
    authorization: Option<HeaderValue>,
}

/// What is not the address of a Loki.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "it is not the address of a Loki; write `http://loki:3100` or `https://user:password@loki.example.com`"
)]
pub struct LokiUrlError;

impl FromStr for LokiUrl {
    type Err = LokiUrlError;

    fn from_str(text: &str) -> Result<Self, LokiUrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(LokiUrlError)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, host) =
            authority.rsplit_once('@').map_or((None, authority), |(login, host)| (Some(login), host));
        let is_plain = match scheme {
            "http" => true,
            "https" => false,
            _ => return Err(LokiUrlError),
        };
        let path = path.trim_end_matches('/');
        let path = if path.is_empty() { String::new() } else { format!("/{path}") };
        let base = format!("{scheme}://{host}{path}");
        let uri: Uri = base.parse().map_err(|_| LokiUrlError)?;
        if uri.query().is_some() || host.is_empty() {
            return Err(LokiUrlError);
        }
        let allowed = if is_plain { format!("http://{host}") } else { host.to_owned() };
        let authorization = login.map(|login| {
            let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(login)))?;
            value.set_sensitive(true);
            Ok::<_, http::header::InvalidHeaderValue>(value)
        });
        Ok(Self {
            allowed: allowed.parse().map_err(|_| LokiUrlError)?,
            authorization: authorization.transpose().map_err(|_| LokiUrlError)?,
            base,
        })
    }
}

/// Without its password.
impl fmt::Debug for LokiUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LokiUrl").field(&self.base).finish()
    }
}

/// Why Loki told nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum LokiError {
    /// It did not answer.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// It refuses.
    #[error("Loki answers {status}: {said}")]
    Refused {
        /// How.
        status: StatusCode,
        /// In its words.
        said: String,
    },
    /// It answered what is none.
    #[error("Loki's answer cannot be read: {0}")]
    Answer(String),
}

/// A Loki.
pub(crate) struct Loki {
    url: LokiUrl,
    outbound: Outbound,
}

/// Whose lines.
#[derive(Debug, Clone)]
pub(super) struct Printed<'a> {
    pub(super) org: &'a OrgName,
    pub(super) environment: &'a ResourceName,
    pub(super) process: &'a ProcessName,
    /// When the environment was made.
    pub(super) made: Timestamp,
}

impl Loki {
    /// The one at an address. The operator says the address, so it may be inside; nothing else is asked over this.
    pub(crate) fn new(url: LokiUrl) -> Result<Self, OutboundSetupError> {
        let outbound = Outbound::new(Reach::with([url.allowed.clone()]))?;
        Ok(Self { url, outbound })
    }

    /// The newest lines of a process since an instant, at most as many as are wanted; oldest first. Are there more than a Loki gives at
    /// once, the second says so.
    pub(super) async fn newest(
        &self,
        printed: &Printed<'_>,
        since: Option<Timestamp>,
        wanted: u32,
    ) -> Result<(Vec<LogLine>, bool), LokiError> {
        let now = Timestamp::now();
        let earliest = now.checked_sub(REACH_BACK_MAX).unwrap_or(Timestamp::MIN);
        let since = since.unwrap_or_else(|| now.checked_sub(REACH_BACK).unwrap_or(Timestamp::MIN));
        let since = since.max(printed.made).max(earliest);
        let limit = wanted.clamp(1, LINES_MAX);
        let request = self.request(printed, since, now, limit)?;
        let answer = self.outbound.send(request, &LIMITS).await?;
        if answer.status != StatusCode::OK {
            let said = String::from_utf8_lossy(&answer.body).chars().take(200).collect();
            return Err(LokiError::Refused { status: answer.status, said });
        }
        let lines = read(&answer.body, printed.process)?;
        let is_full = u32::try_from(lines.len()).unwrap_or(u32::MAX) >= limit;
        Ok((lines, is_full && wanted > limit))
    }

    fn request(
        &self,
        printed: &Printed<'_>,
        since: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Request<Bytes>, LokiError> {
        let query = selector(&[(
            "swarm_service",
            &naming::service(printed.org, printed.environment, printed.process),
        )]);
        let parameters = form_urlencoded::Serializer::new(String::new())
            .append_pair("query", &query)
            .append_pair("start", &since.as_nanosecond().to_string())
            // What is written within the instant of the question is asked for, too.
            .append_pair("end", &(until.as_nanosecond() + 1).to_string())
            .append_pair("limit", &limit.to_string())
            .append_pair("direction", "backward")
            .finish();
        let uri = format!("{}/loki/api/v1/query_range?{parameters}", self.url.base);
        let mut request =
            Request::get(uri).header(TENANT, printed.org.as_str()).header(ACCEPT, "application/json");
        if let Some(authorization) = &self.url.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        request.body(Bytes::new()).map_err(|error| LokiError::Answer(error.to_string()))
    }
}

/// A selector of streams with exactly these labels.
fn selector(labels: &[(&'static str, &str)]) -> String {
    let matchers: Vec<String> =
        labels.iter().map(|(label, value)| format!("{label}={}", quoted(value))).collect();
    format!("{{{}}}", matchers.join(","))
}

/// A text as a LogQL string, which is one of Go's: nothing in it ends it.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_ascii_graphic() || c == ' ' => quoted.push(c),
            c => quoted.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    quoted.push('"');
    quoted
}

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Streams(Vec<Stream>),
}

#[derive(Deserialize)]
struct Stream {
    stream: BTreeMap<String, String>,
    /// Nanoseconds and the line; newer ones add what is known of a line.
    values: Vec<Vec<serde_json::Value>>,
}

/// The lines of an answer, oldest first.
fn read(body: &[u8], process: &ProcessName) -> Result<Vec<LogLine>, LokiError> {
    let wrong = |error: &dyn fmt::Display| LokiError::Answer(error.to_string());
    let Answer { data: Data::Streams(streams) } =
        serde_json::from_slice(body).map_err(|error| wrong(&error))?;
    let mut lines = Vec::new();
    for Stream { stream: labels, values } in streams {
        let (slot, instance) = instance(&labels);
        let stderr =
            ["stream", "source"].iter().any(|label| labels.get(*label).is_some_and(|of| of == "stderr"));
        for value in values {
            let text = |index: usize| value.get(index).and_then(serde_json::Value::as_str);
            let (Some(at), Some(line)) = (text(0), text(1)) else { return Err(wrong(&"a line is none")) };
            let at = at.parse().map_err(|error| wrong(&error))?;
            let cut = line.len() > LINE_BYTES_MAX;
            let end = if cut { line.floor_char_boundary(LINE_BYTES_MAX) } else { line.len() };
            lines.push(LogLine {
                at: Timestamp::from_nanosecond(at).map_err(|error| wrong(&error))?,
                process: process.clone(),
                instance: instance.clone(),
                slot,
                stream: if stderr { LogStream::Stderr } else { LogStream::Stdout },
                text: line.get(..end).unwrap_or(line).trim_end_matches(['\r', '\n']).to_owned(),
                cut,
            });
        }
    }
    lines.sort_by_key(|line| line.at);
    Ok(lines)
}

/// Which instance wrote a stream. A task's container is called `SERVICE.SLOT.TASK`, or `SERVICE.NODE.TASK`.
fn instance(labels: &BTreeMap<String, String>) -> (Option<u64>, String) {
    let name = labels.get("container_name").or_else(|| labels.get("container"));
    let mut parts = name.map(|name| name.rsplit('.')).into_iter().flatten();
    let task = parts.next().unwrap_or_default();
    let slot = parts.next().and_then(|slot| slot.parse().ok());
    let task = if task.bytes().all(|byte| byte.is_ascii_alphanumeric()) { task } else { "" };
    (slot, short(task))
}

#[cfg(test)]
#[path = "loki_tests.rs"]
pub(super) mod tests;
