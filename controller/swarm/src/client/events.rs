//! Hints out of the engine's event stream.
//!
//! The request is ours: it is answered before the caller goes on, so that what is read afterwards cannot be older than
//! the first hint. bollard reads the stream. The engine is asked for the kinds and actions below alone: bollard ends a
//! stream at the first word it does not know, and a container's health checks would otherwise say three events per
//! probe.

use std::sync::{Arc, Mutex};

use bollard::Docker;
use bollard::models::{EventMessage, EventMessageTypeEnum};
use futures::stream::{BoxStream, StreamExt};
use hyper::body::Incoming;

use super::http::Http;
use super::request::{Filters, Request};
use crate::error::{Call, SwarmError};
use crate::stream::{Hint, HintKind};

/// Kinds of objects asked for.
const KINDS: [&str; 6] = ["service", "node", "network", "secret", "config", "container"];

/// Actions asked for: changes of existence and of running. `health_status` matches every verdict of it.
const ACTIONS: [&str; 10] = [
    "create",
    "update",
    "remove",
    "start",
    "die",
    "oom",
    "destroy",
    "connect",
    "disconnect",
    "health_status",
];

/// bollard wants a bound for the beginning of an answer, in seconds. The answer is there already.
const BOLLARD_TIMEOUT_SECONDS: u64 = 5;

/// Hints from now on, until the connection ends.
pub(super) async fn hints(
    http: &Http,
    call: Call,
) -> Result<BoxStream<'static, Result<Hint, SwarmError>>, SwarmError> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let filters = Filters::default().with("type", words(&KINDS)).with("event", words(&ACTIONS));
    let answer = http.open(&call, Request::get("/events").filters(&filters)).await?;
    let events = reader(answer)?.events(None);
    let hints = events.filter_map(move |event| {
        let hint = match event {
            Ok(event) => hint(event).map(Ok),
            Err(error) => Some(Err(failed(call.clone(), error))),
        };
        std::future::ready(hint)
    });
    Ok(hints.boxed())
}

/// bollard over one answer that has begun: it asks once, and gets that.
fn reader(answer: Incoming) -> Result<Docker, SwarmError> {
    let answer = Mutex::new(Some(answer));
    let transport = move |_: bollard::BollardRequest| {
        let answer = answer.lock().ok().and_then(|mut answer| answer.take());
        std::future::ready(answer.map(http::Response::new).ok_or(bollard::errors::Error::RequestTimeoutError))
    };
    Docker::connect_with_custom_transport(
        transport,
        Some("http://engine"),
        BOLLARD_TIMEOUT_SECONDS,
        bollard::API_DEFAULT_VERSION,
    )
    .map_err(|error| SwarmError::Address { reason: error.to_string() })
}

fn failed(call: Call, error: bollard::errors::Error) -> SwarmError {
    use bollard::errors::Error;
    match error {
        Error::JsonDataError { .. } | Error::JsonSerdeError { .. } => {
            SwarmError::Decode { call, source: Arc::new(error) }
        }
        other => SwarmError::Unavailable { call, sent: true, source: Arc::new(other) },
    }
}

fn hint(event: EventMessage) -> Option<Hint> {
    use EventMessageTypeEnum as Kind;
    let kind = match event.typ? {
        Kind::SERVICE => HintKind::Service,
        Kind::NODE => HintKind::Node,
        Kind::NETWORK => HintKind::Network,
        Kind::SECRET => HintKind::Secret,
        Kind::CONFIG => HintKind::Config,
        Kind::CONTAINER => HintKind::Container,
        Kind::EMPTY | Kind::BUILDER | Kind::DAEMON | Kind::IMAGE | Kind::PLUGIN | Kind::VOLUME => {
            return None;
        }
    };
    let actor = event.actor?;
    let attributes = actor.attributes.unwrap_or_default();
    Some(Hint {
        kind,
        id: actor.id.unwrap_or_default(),
        name: attributes.get("name").cloned(),
        action: event.action.unwrap_or_default(),
        time_nanos: event.time_nano.unwrap_or_default(),
        attributes: attributes.into_iter().collect(),
    })
}
