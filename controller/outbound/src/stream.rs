//! Answers that are read piece by piece, and connections for protocols other than HTTP: the same guard, and no limit but the caller's.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::connect::{self, Origin};
use crate::error::OutboundError;
use crate::outbound::{HEAD_MAX, Outbound, on_the_wire, words};

/// An answer whose body is still to be read.
pub struct Streamed {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    host: String,
    body: Incoming,
    /// Moves only while it is polled. `None` once it has ended.
    connection: Option<Connection>,
}

type Connection = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Outbound {
    /// Sends one request and reads the head of its answer. Nothing is followed, and nothing ends it: whoever asks has a deadline, and counts
    /// what comes.
    pub async fn stream(&self, request: Request<Bytes>) -> Result<Streamed, OutboundError> {
        let origin = Origin::of(request.uri())?;
        let host = origin.host.clone();
        let unreachable =
            |error: hyper::Error| OutboundError::Unreachable { host: host.clone(), why: words(&error) };
        let (reach, resolver, tls) = self.parts();
        let stream = connect::connect(&origin, reach, resolver, tls).await?;
        let handshake = http1::Builder::new().max_buf_size(HEAD_MAX).handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(unreachable)?;
        let mut connection: Connection = Box::pin(async move {
            // Why it ended is told to whoever reads from it.
            let _ended = connection.await;
        });
        let mut open = true;
        let mut sending = std::pin::pin!(sender.send_request(on_the_wire(&request)?));
        let response = loop {
            tokio::select! {
                response = &mut sending => break response.map_err(unreachable)?,
                () = &mut connection, if open => open = false,
            }
        };
        let (head, body) = response.into_parts();
        let connection = open.then_some(connection);
        Ok(Streamed { status: head.status, headers: head.headers, host, body, connection })
    }

    /// A connection to a host, for what is not HTTP: its name is looked up once, and all its addresses are looked at.
    pub async fn dial(&self, host: &str, port: u16) -> Result<TcpStream, OutboundError> {
        let origin = Origin { tls: true, host: host.to_ascii_lowercase(), port };
        let (reach, resolver, _) = self.parts();
        connect::reach(&origin, reach, resolver).await
    }
}

impl Streamed {
    /// The next piece of the body; `None` at its end. A body that is cut off is an error.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, OutboundError> {
        loop {
            let frame = match &mut self.connection {
                Some(connection) => tokio::select! {
                    biased;
                    frame = self.body.frame() => frame,
                    () = connection => {
                        self.connection = None;
                        continue;
                    }
                },
                None => self.body.frame().await,
            };
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame.map_err(|error| OutboundError::Unreachable {
                host: self.host.clone(),
                why: words(&error),
            })?;
            // Trailers say nothing here.
            if let Ok(piece) = frame.into_data() {
                return Ok(Some(piece));
            }
        }
    }
}
