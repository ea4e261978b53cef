//! The server: connections to requests, plain or TLS, and a stop that lets requests end.
//!
//! Plain HTTP would send tokens in the clear, so it is refused on an address that is not loopback unless the caller says that
//! something else protects it.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::limits::{
    CERTIFICATE_CHECK, CONNECTIONS_MAX, HANDSHAKE_TIMEOUT, HEAD_MAX, HEAD_TIMEOUT, HEADERS_MAX,
    SHUTDOWN_GRACE,
};
use crate::request::Peer;
use crate::tls::{Certificate, TlsFiles};

/// After an accept that failed (out of file descriptors), a pause: it fails again at once otherwise.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How a server is reached.
#[derive(Debug, Clone, Default)]
pub struct ServeOptions {
    /// Certificate and key; plain HTTP when absent.
    pub tls: Option<TlsFiles>,
    /// Serve plain HTTP on any address. For a proxy on a private network that ends TLS.
    pub allow_plain_remote: bool,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Plain HTTP on an address that others can reach.
    #[error(
        "plain HTTP is refused on {address}: give a certificate, use a loopback address, or allow it explicitly"
    )]
    PlainRemote {
        /// The address.
        address: SocketAddr,
    },
    /// The socket has no address.
    #[error("the listening socket has no address")]
    Listener(#[source] io::Error),
    /// A PEM file cannot be read.
    #[error("{} cannot be read as PEM", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    /// A PEM file without a certificate.
    #[error("{} holds no certificate", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The certificate or key cannot be used.
    #[error("the certificate cannot be used")]
    Tls(#[source] rustls::Error),
}

/// Serves until told to stop; returns when open requests have ended or their grace is over.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    options: ServeOptions,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let address = listener.local_addr().map_err(ServeError::Listener)?;
    let certificate = options.tls.map(Certificate::load).transpose()?;
    if certificate.is_none() && !address.ip().is_loopback() && !options.allow_plain_remote {
        return Err(ServeError::PlainRemote { address });
    }
    let tls = certificate.clone().map(Certificate::server_config).transpose()?;
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    let mut check = tokio::time::interval(CERTIFICATE_CHECK);
    loop {
        let place = tokio::select! {
            () = shutdown.cancelled() => break,
            _ = check.tick() => {
                if let Some(certificate) = &certificate {
                    certificate.refresh();
                }
                continue;
            }
            place = places.clone().acquire_owned() => place,
        };
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            _ = check.tick() => {
                if let Some(certificate) = &certificate {
                    certificate.refresh();
                }
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok((stream, address)) => (stream, Peer(address.ip())),
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (tls, router, watcher) = (tls.clone(), router.clone(), graceful.watcher());
        tokio::spawn(async move {
            let _place = place;
            connection(stream, peer, tls, router, watcher).await;
        });
    }
    drop(listener);
    if tokio::time::timeout(SHUTDOWN_GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("connections were cut at the end of their grace");
    }
    Ok(())
}

async fn connection(
    stream: TcpStream,
    peer: Peer,
    tls: Option<Arc<ServerConfig>>,
    router: Router,
    watcher: Watcher,
) {
    // Answers are small, and a watch's events should not wait for more of them.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else { return talk(stream, peer, router, watcher).await };
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, TlsAcceptor::from(tls).accept(stream)).await {
        Ok(Ok(stream)) => talk(stream, peer, router, watcher).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

async fn talk<S>(stream: S, peer: Peer, router: Router, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = router.map_request(move |request: http::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        request
    });
    let service = TowerToHyperService::new(service.map_err(|never: Infallible| match never {}));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(HEADERS_MAX)
        .max_header_size(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection ended early");
    }
}
