//! Server-sent events: one way to send any stream, with bounds on number, life and silence.
//!
//! A stream that fails says so in an event `problem` with the document that a plain answer would have carried, and ends. It
//! also ends, without a problem, after its lifetime and when the server stops; clients resume with the last event id.
//!
//! A stream is read with a token for as long as that allows it: with every heartbeat the token is looked up again, and the stream
//! ends with a problem when it was revoked, is over, or allows something else than it did.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{BoxStream, Stream, StreamExt};
use http::header::{CONTENT_TYPE, HeaderValue};
use secrecy::SecretString;
use tokio::sync::OwnedSemaphorePermit;

use crate::access::{self, Principal};
use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::limits::{HEARTBEAT, RESUME_AFTER, STREAM_LIFETIME};
use crate::metrics::OpenStream;

/// A stream of events that is ready to be sent.
pub(crate) struct EventStream(BoxStream<'static, Result<Event, Infallible>>);

/// Plain text that is ready to be sent.
pub(crate) struct TextStream(BoxStream<'static, String>);

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
    app: App,
    token: SecretString,
    principal: Principal,
    request_id: String,
    permit: OwnedSemaphorePermit,
    open: OpenStream,
}

impl Slot {
    /// Takes one, if there is one.
    pub(crate) fn take<Q, B>(call: &Call<Q, B>) -> Result<Self, ApiError> {
        Ok(Self {
            token: access::bearer(&call.headers)?,
            principal: call.principal.clone(),
            request_id: call.request_id.clone(),
            permit: call.app.take_stream()?,
            open: call.app.metrics.open_stream(),
            app: call.app.clone(),
        })
    }

    /// Sends the events. The first failure is told and ends the stream.
    pub(crate) fn send(
        self,
        events: impl Stream<Item = Result<Event, ApiError>> + Send + 'static,
    ) -> EventStream {
        let request_id = self.request_id.clone();
        let hello = Event::default().retry(RESUME_AFTER);
        let events = self.bounded(events, move |error| problem(&error, &request_id));
        EventStream(futures::stream::once(std::future::ready(hello)).chain(events).map(Ok).boxed())
    }

    /// Sends lines as plain text. The first failure is told in a line of its own and ends the text.
    pub(crate) fn send_text(
        self,
        lines: impl Stream<Item = Result<String, ApiError>> + Send + 'static,
    ) -> TextStream {
        let request_id = self.request_id.clone();
        TextStream(self.bounded(lines, move |error| {
            crate::request::log_cause(&error, &request_id);
            format!("-- {}: {error} (request {request_id}) --\n", error.code())
        }))
    }

    /// The items while all is well, and what is told of the first failure.
    fn bounded<T: Send + 'static>(
        self,
        items: impl Stream<Item = Result<T, ApiError>> + Send + 'static,
        told: impl Fn(ApiError) -> T + Send + 'static,
    ) -> BoxStream<'static, T> {
        let Self { app, token, principal, request_id: _, permit, open } = self;
        let stop = app.shutdown.clone();
        let end = async move {
            tokio::select! {
                () = stop.cancelled_owned() => {}
                () = tokio::time::sleep(STREAM_LIFETIME) => {}
            }
        };
        let over = futures::stream::once(async move { Some(Err(over(&app, &token, &principal).await)) });
        let items = items.map(Some).chain(futures::stream::once(std::future::ready(None)));
        let items = futures::stream::select(items, over.boxed())
            // Right after a failure, not when the other of the two has something to say.
            .flat_map(|item| {
                let end = matches!(item, Some(Err(_))).then_some(None);
                futures::stream::iter([item].into_iter().chain(end))
            })
            .take_while(|item| std::future::ready(item.is_some()))
            .filter_map(std::future::ready)
            .map(move |item| item.unwrap_or_else(&told))
            .take_until(Box::pin(end));
        Counted { inner: items.boxed(), _permit: permit, _open: open }.boxed()
    }
}

/// Comes to an end when the token does not allow any more what it did. A database that cannot be asked is no reason to end a stream,
/// which says by itself what it cannot read.
async fn over(app: &App, token: &SecretString, principal: &Principal) -> ApiError {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        match app.authenticate(token).await {
            Ok(Some(known)) if known.still_is(principal) => {}
            Ok(_) | Err(ApiError::Unauthorized) => return ApiError::Unauthorized,
            Err(_) => {}
        }
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

impl IntoResponse for TextStream {
    fn into_response(self) -> Response {
        const MEDIA: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
        let body = Body::from_stream(self.0.map(Ok::<_, Infallible>));
        ([(CONTENT_TYPE, MEDIA)], body).into_response()
    }
}
