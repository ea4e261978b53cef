//! Connections kept for the next call.
//!
//! A call takes the connection that was used last, or opens one when none is free, and gives it back when the whole
//! answer has been read. hyper-util's pool is not used: it takes a connection back some time after the answer, and a
//! call that follows at once opens another. Here as many connections exist as calls ever ran at once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use tokio::time::Instant;

use super::connect::Connector;
use crate::error::Cause;

/// An open connection without a call.
struct Idle {
    sender: SendRequest<Full<Bytes>>,
    since: Instant,
}

/// The connections to one engine.
pub(super) struct Pool {
    connector: Connector,
    idle: Mutex<Vec<Idle>>,
    limit: usize,
    keep: Duration,
}

/// A connection in use. Dropped, it closes when its answer ends; see [`Pool::give_back`].
pub(super) struct Connection(SendRequest<Full<Bytes>>);

/// A request that got no answer.
pub(super) struct Lost {
    /// Whether it may have reached the engine.
    pub(super) sent: bool,
    pub(super) source: Cause,
}

impl Lost {
    fn unsent(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { sent: false, source: Cause::from(source.into()) }
    }
}

impl Pool {
    /// A pool that keeps at most `limit` connections for at most `keep` without a call.
    pub(super) fn new(connector: Connector, limit: usize, keep: Duration) -> Self {
        Self { connector, idle: Mutex::new(Vec::new()), limit, keep }
    }

    /// Sends a request and gives the beginning of its answer with the connection it comes over.
    ///
    /// A kept connection that the engine closed meanwhile hands the request back unsent; it then goes out over a new
    /// one. Nothing is ever sent twice.
    pub(super) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Connection), Lost> {
        if let Some(mut sender) = self.take() {
            match attempt(&mut sender, request).await {
                Ok(response) => return Ok((response, Connection(sender))),
                Err(Failed::Unsent(back, _)) => request = *back,
                Err(Failed::Lost(lost)) => return Err(lost),
            }
        }
        let mut sender = self.open().await?;
        match attempt(&mut sender, request).await {
            Ok(response) => Ok((response, Connection(sender))),
            Err(Failed::Unsent(_, source)) => Err(Lost::unsent(source)),
            Err(Failed::Lost(lost)) => Err(lost),
        }
    }

    /// Keeps a connection whose answer has been read to its end.
    pub(super) fn give_back(&self, connection: Connection) {
        let Ok(mut idle) = self.idle.lock() else { return };
        if !connection.0.is_closed() && idle.len() < self.limit {
            idle.push(Idle { sender: connection.0, since: Instant::now() });
        }
    }

    fn take(&self) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self.idle.lock().ok()?;
        idle.retain(|kept| kept.since.elapsed() < self.keep && !kept.sender.is_closed());
        idle.pop().map(|kept| kept.sender)
    }

    async fn open(&self) -> Result<SendRequest<Full<Bytes>>, Lost> {
        let stream = self.connector.open().await.map_err(Lost::unsent)?;
        let (sender, connection) = http1::handshake(stream).await.map_err(Lost::unsent)?;
        // Ends with the sender, or when the engine closes; its error also reaches whoever waits for the answer.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the engine ended");
            }
        });
        Ok(sender)
    }
}

enum Failed {
    Unsent(Box<Request<Full<Bytes>>>, hyper::Error),
    Lost(Lost),
}

async fn attempt(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, Failed> {
    if let Err(closed) = sender.ready().await {
        return Err(Failed::Unsent(Box::new(request), closed));
    }
    sender.try_send_request(request).await.map_err(|mut failed| match failed.take_message() {
        Some(back) => Failed::Unsent(Box::new(back), failed.into_error()),
        None => Failed::Lost(Lost { sent: true, source: Arc::new(failed.into_error()) }),
    })
}
