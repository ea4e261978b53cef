//! Connections to one engine, whatever way it is reached.

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::address::{CertificateFiles, Endpoint};
use super::tls;

/// Opens connections to the engine at one address; the address in a request does not matter.
#[derive(Clone)]
pub(super) struct Connector {
    endpoint: Arc<Endpoint>,
    timeout: Duration,
}

impl Connector {
    pub(super) fn new(endpoint: Endpoint, timeout: Duration) -> Self {
        Self { endpoint: Arc::new(endpoint), timeout }
    }
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<EngineStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Self { endpoint, timeout } = self.clone();
        Box::pin(async move {
            let stream = tokio::time::timeout(timeout, open(&endpoint)).await.map_err(|_| {
                io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {timeout:?}"))
            })??;
            Ok(TokioIo::new(stream))
        })
    }
}

async fn open(endpoint: &Endpoint) -> io::Result<EngineStream> {
    match endpoint {
        Endpoint::Unix(path) => open_unix(path).await,
        Endpoint::Tls { host, port, certificates } => open_tls(host, *port, certificates).await,
        Endpoint::PlainLoopback { host, port } => {
            let stream = TcpStream::connect((*host, *port)).await?;
            stream.set_nodelay(true)?;
            Ok(EngineStream(Box::new(stream)))
        }
    }
}

async fn open_unix(path: &Path) -> io::Result<EngineStream> {
    let stream = UnixStream::connect(path)
        .await
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    Ok(EngineStream(Box::new(stream)))
}

async fn open_tls(host: &str, port: u16, certificates: &CertificateFiles) -> io::Result<EngineStream> {
    let config = tls::client_config(certificates).await.map_err(io::Error::other)?;
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let tcp = TcpStream::connect((host, port)).await?;
    tcp.set_nodelay(true)?;
    let stream = TlsConnector::from(config).connect(name, tcp).await?;
    Ok(EngineStream(Box::new(stream)))
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// One open connection.
pub(super) struct EngineStream(Box<dyn Io>);

impl Connection for EngineStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for EngineStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for EngineStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
