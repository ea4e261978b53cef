//! Server-sent events: one way to send any stream, with bounds on number, life and silence.
//!
//! A stream that fails says so in an event `problem` with the document that a plain answer would have carried, and ends. It
//! also ends, without a problem, after its lifetime and when the server stops; clients resume with the last event id.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{BoxStream, Stream, StreamExt};
use tokio::sync::OwnedSemaphorePermit;

use crate::app::App;
use crate::error::ApiError;
use crate::limits::{HEARTBEAT, RESUME_AFTER, STREAM_LIFETIME};
use crate::metrics::OpenStream;

/// A stream of events that is ready to be sent.
pub(crate) struct EventStream(BoxStream<'static, Result<Event, Infallible>>);

/// What keeps a stream counted while it lives.
struct Counted<S> {
    inner: S,
    _permit: OwnedSemaphorePermit,
    _open: OpenStream,
}

impl<S: Stream + Unpin> Stream for Counted<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.inner.poll_next_unpin(context)
    }
}

/// The right to one stream. Taken before anything else is done for it.
pub(crate) struct Slot {
    permit: OwnedSemaphorePermit,
    open: OpenStream,
}

impl Slot {
    /// Takes one, if there is one.
    pub(crate) fn take(app: &App) -> Result<Self, ApiError> {
        Ok(Self { permit: app.take_stream()?, open: app.metrics.open_stream() })
    }

    /// Sends the events. The first failure is told and ends the stream.
    pub(crate) fn send(
        self,
        app: &App,
        request_id: String,
        events: impl Stream<Item = Result<Event, ApiError>> + Send + 'static,
    ) -> EventStream {
        let stop = app.shutdown.clone();
        let end = async move {
            tokio::select! {
                () = stop.cancelled_owned() => {}
                () = tokio::time::sleep(STREAM_LIFETIME) => {}
            }
        };
        let hello = Event::default().retry(RESUME_AFTER);
        let events = events
            .scan(false, |failed, event| {
                let next = (!*failed).then_some(event);
                *failed |= matches!(next, Some(Err(_)));
                std::future::ready(next)
            })
            .map(move |event| Ok(event.unwrap_or_else(|error| problem(&error, &request_id))))
            .take_until(Box::pin(end));
        let stream = futures::stream::once(std::future::ready(Ok(hello))).chain(events).boxed();
        EventStream(Counted { inner: stream, _permit: self.permit, _open: self.open }.boxed())
    }
}

fn problem(error: &ApiError, request_id: &str) -> Event {
    crate::request::log_cause(error, request_id);
    let document = error.problem(Some(request_id.to_owned()));
    let event = Event::default().event("problem");
    event.clone().json_data(&document).unwrap_or(event)
}

impl IntoResponse for EventStream {
    fn into_response(self) -> Response {
        let heartbeat = KeepAlive::new().interval(HEARTBEAT).text("heartbeat");
        Sse::new(self.0).keep_alive(heartbeat).into_response()
    }
}
