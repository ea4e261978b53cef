//! Connections to one engine, whatever way it is reached.

use std::io;
use std::path::Path;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::address::{CertificateFiles, Endpoint};
use super::tls;

/// One open connection, of any kind.
pub(super) type EngineStream = TokioIo<Box<dyn Io>>;

/// What a connection must do.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Opens connections to the engine at one address.
pub(super) struct Connector {
    endpoint: Endpoint,
    timeout: Duration,
}

impl Connector {
    pub(super) fn new(endpoint: Endpoint, timeout: Duration) -> Self {
        Self { endpoint, timeout }
    }

    /// Opens one, TLS included, or fails within the timeout.
    pub(super) async fn open(&self) -> io::Result<EngineStream> {
        let timeout = self.timeout;
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {timeout:?}"));
        tokio::time::timeout(timeout, self.connect()).await.map_err(late)?.map(TokioIo::new)
    }

    async fn connect(&self) -> io::Result<Box<dyn Io>> {
        Ok(match &self.endpoint {
            Endpoint::Unix(path) => Box::new(unix(path).await?),
            Endpoint::Tls { host, port, certificates } => Box::new(secured(host, *port, certificates).await?),
            Endpoint::PlainLoopback { host, port } => Box::new(tcp(&host.to_string(), *port).await?),
        })
    }
}

async fn unix(path: &Path) -> io::Result<UnixStream> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    UnixStream::connect(path).await.map_err(named)
}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn secured(host: &str, port: u16, certificates: &CertificateFiles) -> io::Result<TlsStream<TcpStream>> {
    let config = tls::client_config(certificates).await.map_err(io::Error::other)?;
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    TlsConnector::from(config).connect(name, tcp(host, port).await?).await
}
