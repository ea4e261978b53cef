//! A proxy before Postgres that counts statements and loses one of them, or its answer.
//!
//! It reads the protocol far enough to see where a statement ends: what a client sends up to a Sync, or a simple Query, is one
//! exchange; one that executes something is a statement and gets the next number. Preparing a statement executes nothing and is
//! not counted, so numbers do not depend on what a connection has prepared before. COMMIT is a statement like any other.
//!
//! A connection that is cut is gone on the server before the client learns of it: whatever it held is released, and what comes
//! next finds the same on every run.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::fault::{At, Fault, Kind};
use crate::faulty::Switch;

/// The server's message that it is ready for another statement.
const READY: u8 = b'Z';
/// The client's message that it goes.
const TERMINATE: [u8; 5] = [b'X', 0, 0, 0, 4];

/// The longest message that is read: far above what the store sends, so a broken length is noticed.
const MESSAGE_MAX: usize = 64 << 20;

#[derive(Default)]
struct Counts {
    statements: usize,
    fault: Option<Fault>,
    lost: usize,
}

/// What the proxy and its connections share.
struct Shared {
    counts: Mutex<Counts>,
    switch: Arc<Switch>,
    /// Rises when all connections are to be cut.
    cut: watch::Sender<u64>,
    open: watch::Sender<usize>,
}

/// A proxy on a port of its own.
pub(crate) struct PostgresProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl Drop for PostgresProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl PostgresProxy {
    /// A proxy before the server of this URL. Who crashes at a statement is told by the switch.
    pub(crate) async fn start(url: &str, switch: Arc<Switch>) -> Result<Self> {
        let server = server_of(url).context("the URL names no server")?.to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (cut, open) = (watch::Sender::new(0), watch::Sender::new(0));
        let shared = Arc::new(Shared { counts: Mutex::default(), switch, cut, open });
        let common = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, shared) = (server.clone(), Arc::clone(&common));
                shared.open.send_modify(|open| *open += 1);
                tokio::spawn(async move {
                    // A connection that breaks is the client's to notice.
                    drop(Exchange::run(client, &server, &shared).await);
                    shared.open.send_modify(|open| *open -= 1);
                });
            }
        });
        Ok(Self { address, shared, accepting })
    }

    /// The URL of the same database by way of the proxy.
    pub(crate) fn url_for(&self, url: &str) -> Result<String> {
        let server = server_of(url).context("the URL names no server")?;
        Ok(url.replacen(server, &self.address.to_string(), 1))
    }

    /// Counts from nothing, and lets this go wrong if it is about a statement.
    pub(crate) fn begin(&self, fault: Option<Fault>) {
        let fault = fault.filter(|fault| fault.kind.at() == At::Statement);
        *self.shared.counts() = Counts { fault, ..Counts::default() };
    }

    /// How many statements there were.
    pub(crate) fn statements(&self) -> usize {
        self.shared.counts().statements
    }

    /// How many were lost, or their answers.
    pub(crate) fn lost(&self) -> usize {
        self.shared.counts().lost
    }

    /// Cuts all connections, and waits until the server has let go of them.
    pub(crate) async fn cut_all(&self) {
        self.shared.cut.send_modify(|cut| *cut += 1);
        // The sender is held here, so it does not end before.
        drop(self.shared.open.subscribe().wait_for(|open| *open == 0).await);
    }
}

impl Shared {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the next statement its number. What goes wrong with it.
    fn count(&self) -> Option<Kind> {
        let mut counts = self.counts();
        let number = counts.statements;
        counts.statements += 1;
        let fault = counts.fault.filter(|fault| fault.point == number)?;
        counts.lost += 1;
        Some(fault.kind)
    }
}

/// The host and port in a URL.
fn server_of(url: &str) -> Option<&str> {
    let rest = url.split_once("://")?.1;
    let authority = rest.split(['/', '?']).next()?;
    Some(authority.rsplit_once('@').map_or(authority, |(_, server)| server))
}

/// One connection.
struct Exchange<'a> {
    from_client: Reader,
    to_client: OwnedWriteHalf,
    from_server: Reader,
    to_server: OwnedWriteHalf,
    shared: &'a Shared,
}

impl Exchange<'_> {
    async fn run(client: TcpStream, server: &str, shared: &Shared) -> std::io::Result<()> {
        let mut cut = shared.cut.subscribe();
        let server = TcpStream::connect(server).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        let (from_client, from_server) = (Reader::new(from_client), Reader::new(from_server));
        let mut exchange = Exchange { from_client, to_client, from_server, to_server, shared };
        // The first message has no type.
        let startup = exchange.from_client.untyped().await?;
        exchange.to_server.write_all(&startup).await?;
        let relayed = tokio::select! {
            relayed = exchange.relay() => relayed,
            _ = cut.changed() => Ok(()),
        };
        // However it came to its end, on the server it ends first.
        exchange.cut().await?;
        relayed
    }

    async fn relay(&mut self) -> std::io::Result<()> {
        let (mut batch, mut executes) = (Vec::new(), false);
        loop {
            tokio::select! {
                message = self.from_client.message() => {
                    let message = message?;
                    let kind = message.first().copied().unwrap_or_default();
                    executes |= matches!(kind, b'E' | b'Q');
                    batch.extend(message);
                    // Sync, Query, Flush, a password, Terminate: the client waits for what comes of it.
                    if matches!(kind, b'S' | b'Q' | b'H' | b'p' | b'X') {
                        let batch = std::mem::take(&mut batch);
                        let fault = if std::mem::take(&mut executes) { self.shared.count() } else { None };
                        match fault {
                            None => self.to_server.write_all(&batch).await?,
                            Some(kind) => return self.go_wrong(kind, &batch).await,
                        }
                    }
                }
                messages = self.from_server.messages() => {
                    let messages = messages?;
                    self.to_client.write_all(&messages).await?;
                }
            }
        }
    }

    async fn go_wrong(&mut self, kind: Kind, batch: &[u8]) -> std::io::Result<()> {
        if matches!(kind, Kind::LostAnswer | Kind::CrashAfterStatement) {
            self.to_server.write_all(batch).await?;
            while self.from_server.message().await?.first() != Some(&READY) {}
        }
        if matches!(kind, Kind::CrashBeforeStatement | Kind::CrashAfterStatement) {
            // The client must not get to see that the connection is cut: it has ended.
            self.shared.switch.crash();
            return std::future::pending().await;
        }
        Ok(())
    }

    /// Ends the connection on the server, waits until it is gone, and then lets the client see it.
    async fn cut(&mut self) -> std::io::Result<()> {
        // A server that is gone already is what is wanted.
        if self.to_server.write_all(&TERMINATE).await.is_ok() {
            while self.from_server.messages().await.is_ok() {}
        }
        self.to_client.shutdown().await
    }
}

/// Messages of one direction, read piece by piece; dropping a read in the middle loses nothing.
struct Reader {
    stream: OwnedReadHalf,
    buffer: Vec<u8>,
}

impl Reader {
    const fn new(stream: OwnedReadHalf) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// A message: its type, its length and its body.
    async fn message(&mut self) -> std::io::Result<Vec<u8>> {
        self.framed(1).await
    }

    /// All messages that have come, at least one.
    async fn messages(&mut self) -> std::io::Result<Vec<u8>> {
        let mut messages = self.framed(1).await?;
        while let Some(end) = end_of(&self.buffer, 1)? {
            messages.extend(self.buffer.drain(..end));
        }
        Ok(messages)
    }

    /// The first message, which has no type.
    async fn untyped(&mut self) -> std::io::Result<Vec<u8>> {
        self.framed(0).await
    }

    async fn framed(&mut self, prefix: usize) -> std::io::Result<Vec<u8>> {
        loop {
            if let Some(end) = end_of(&self.buffer, prefix)? {
                let rest = self.buffer.split_off(end);
                return Ok(std::mem::replace(&mut self.buffer, rest));
            }
            if self.fill().await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn fill(&mut self) -> std::io::Result<usize> {
        self.stream.read_buf(&mut self.buffer).await
    }
}

/// Where the first message of a buffer ends, if it is there as a whole.
fn end_of(buffer: &[u8], prefix: usize) -> std::io::Result<Option<usize>> {
    let Some(length) = buffer.get(prefix..prefix + 4) else { return Ok(None) };
    let length = length.iter().fold(0, |length: usize, byte| (length << 8) | usize::from(*byte));
    if length > MESSAGE_MAX {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    Ok((buffer.len() >= prefix + length).then_some(prefix + length))
}
