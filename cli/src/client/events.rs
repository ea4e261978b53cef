//! An open stream of events. It ends, breaks, or goes silent; going on is the business of whoever reads it.

use std::collections::VecDeque;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::ClientError;
use super::error::innermost;
use crate::sse::{Event, Parser};

/// Three of the server's signs of life may fail to come before the stream counts as dead.
const SILENCE: Duration = Duration::from_secs(45);

/// Events as they come.
pub(crate) struct EventSource {
    body: Incoming,
    parser: Parser,
    ready: VecDeque<Event>,
}

impl EventSource {
    pub(super) fn new(body: Incoming) -> Self {
        Self { body, parser: Parser::default(), ready: VecDeque::new() }
    }

    /// The next event; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        let broken = |why: String| ClientError::Transport { server: "the server".to_owned(), why };
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            let frame = match tokio::time::timeout(SILENCE, self.body.frame()).await {
                Err(_) => return Err(ClientError::Silent),
                Ok(None) => return Ok(None),
                Ok(Some(frame)) => frame.map_err(|error| broken(innermost(&error)))?,
            };
            if let Ok(data) = frame.into_data() {
                self.ready
                    .extend(self.parser.feed(&data).map_err(|error| ClientError::Request(error.into()))?);
            }
        }
    }
}
