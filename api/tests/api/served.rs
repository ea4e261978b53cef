//! Over real connections: plain, TLS, and the end.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use skep_api::{ServeError, ServeOptions, TlsFiles, serve};
use skep_testbed::tls::Credentials;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use crate::support::Server;

struct Served {
    address: SocketAddr,
    server: Server,
    ended: JoinHandle<Result<(), ServeError>>,
}

async fn served(options: ServeOptions) -> Result<Served> {
    let server = Server::start().await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let ended = tokio::spawn(serve(listener, server.router.clone(), options, server.shutdown.clone()));
    Ok(Served { address, server, ended })
}

/// One request, its answer read to the end of the connection.
async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> Result<String> {
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8(answer)?)
}

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_is_served_on_loopback_and_stops_when_told() -> Result<()> {
    let served = served(ServeOptions::default()).await?;
    let answer = ask(TcpStream::connect(served.address).await?, HEALTH).await?;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let huge =
        format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "x".repeat(skep_api::limits::HEAD_MAX));
    let answer = ask(TcpStream::connect(served.address).await?, &huge).await?;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    // An idle connection does not hold up the end.
    let idle = TcpStream::connect(served.address).await?;
    served.server.shutdown.cancel();
    served.ended.await??;
    assert!(TcpStream::connect(served.address).await.is_err(), "nobody listens");
    drop(idle);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_is_refused_where_others_could_listen_unless_it_is_allowed() -> Result<()> {
    let server = Server::start().await?;
    let open = async || TcpListener::bind("0.0.0.0:0").await;
    let refused =
        serve(open().await?, server.router.clone(), ServeOptions::default(), server.shutdown.clone()).await;
    assert!(matches!(refused, Err(ServeError::PlainRemote { .. })), "{refused:?}");
    server.shutdown.cancel();
    let allowed = ServeOptions { allow_plain_remote: true, ..ServeOptions::default() };
    serve(open().await?, server.router.clone(), allowed, server.shutdown.clone()).await?;
    Ok(())
}

/// A certificate and its authority, in a directory of the test's own.
fn credentials(dir: &tempfile::TempDir) -> Result<(Credentials, TlsFiles)> {
    let made = Credentials::create(dir.path(), "127.0.0.1".parse()?)?;
    let files = TlsFiles { certificate: made.server_certificate.clone(), key: made.server_key.clone() };
    Ok((made, files))
}

fn trusting(authority: &PathBuf) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).context("the authority's certificate")?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth())))
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_served_with_the_given_certificate() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (made, files) = credentials(&dir)?;
    let served = served(ServeOptions { tls: Some(files), ..ServeOptions::default() }).await?;
    let name = ServerName::try_from("127.0.0.1")?;
    let stream = trusting(&made.ca)?.connect(name.clone(), TcpStream::connect(served.address).await?).await?;
    assert!(ask(stream, HEALTH).await?.starts_with("HTTP/1.1 200 OK\r\n"));
    let other = tempfile::tempdir()?;
    let stranger = trusting(&credentials(&other)?.0.ca)?;
    assert!(stranger.connect(name, TcpStream::connect(served.address).await?).await.is_err());
    let plain = ask(TcpStream::connect(served.address).await?, HEALTH).await;
    assert!(
        plain.is_err() || plain.is_ok_and(|answer| !answer.contains("200 OK")),
        "no plain HTTP on a TLS port"
    );
    served.server.shutdown.cancel();
    served.ended.await??;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_cannot_be_used_is_refused_at_the_start() -> Result<()> {
    let (one, two) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let ((one, _), (two, _)) = (credentials(&one)?, credentials(&two)?);
    let empty = tempfile::NamedTempFile::new()?;
    for (certificate, key) in [
        (one.server_certificate.clone(), two.server_key.clone()),
        (one.server_certificate.clone(), one.server_certificate.clone()),
        (empty.path().to_owned(), one.server_key.clone()),
        (PathBuf::from("/nothing/here.pem"), one.server_key.clone()),
    ] {
        let tls = Some(TlsFiles { certificate: certificate.clone(), key });
        let served = served(ServeOptions { tls, ..ServeOptions::default() }).await?;
        if served.ended.await?.is_ok() {
            bail!("{} was accepted", certificate.display());
        }
    }
    Ok(())
}
