//! One connection: a name looked up once, its addresses looked at, and a connection to one of those.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use http::Uri;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use skep_planner::policy::reach::Reach;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::error::OutboundError;

/// The most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 4;

/// Looks names up.
#[async_trait]
pub trait Resolve: Send + Sync {
    /// All addresses of a host.
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// As the machine looks names up.
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|found| found.ip()).collect())
    }
}

/// Something that bytes go through.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Where a request goes, as its address says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) tls: bool,
    /// Without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Origin {
    /// Where that address leads, if it is one that may be written.
    pub(crate) fn of(url: &Uri) -> Result<Self, OutboundError> {
        let refused = |why| OutboundError::Address { url: shown(url), why };
        let tls = match url.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(refused("it begins neither with https:// nor with http://")),
        };
        if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(refused("it has a name or password in it"));
        }
        let host = url.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() {
            return Err(refused("it names no host"));
        }
        let port = url.port_u16().unwrap_or(if tls { 443 } else { 80 });
        Ok(Self { tls, host: host.to_ascii_lowercase(), port })
    }
}

/// An address without what may be secret in it.
pub(crate) fn shown(url: &Uri) -> String {
    let authority = url.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{}://{host}{}", url.scheme_str().unwrap_or_default(), url.path())
}

/// The system's authorities and some more, and TLS 1.2 and 1.3.
pub(crate) fn tls(more: Vec<CertificateDer<'static>>) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for authority in more {
        roots.add(authority)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// A connection to an origin, if it may be asked.
pub(crate) async fn connect(
    origin: &Origin,
    reach: &Reach,
    resolver: &dyn Resolve,
    tls: &Arc<ClientConfig>,
) -> Result<Box<dyn Stream>, OutboundError> {
    let Origin { host, port, .. } = origin;
    if !origin.tls && !reach.permits_plain(host, *port) {
        let url = format!("http://{host}:{port}");
        return Err(OutboundError::Address { url, why: "it is not encrypted; use https://" });
    }
    let tcp = self::reach(origin, reach, resolver).await?;
    if !origin.tls {
        return Ok(Box::new(tcp));
    }
    let unreachable = |why: String| OutboundError::Unreachable { host: host.clone(), why };
    let name = ServerName::try_from(host.clone()).map_err(|error| unreachable(error.to_string()))?;
    let stream = TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await;
    Ok(Box::new(stream.map_err(|error| unreachable(error.to_string()))?))
}

/// A connection to an address behind an origin, if all of them may be asked.
pub(crate) async fn reach(
    origin: &Origin,
    reach: &Reach,
    resolver: &dyn Resolve,
) -> Result<TcpStream, OutboundError> {
    let addresses = addresses(origin, reach, resolver).await?;
    dial(&origin.host, &addresses).await
}

/// The addresses behind an origin; none of them if one must not be asked.
async fn addresses(
    origin: &Origin,
    reach: &Reach,
    resolver: &dyn Resolve,
) -> Result<Vec<SocketAddr>, OutboundError> {
    let Origin { host, port, .. } = origin;
    let unknown = |why: String| OutboundError::Unknown { host: host.clone(), why };
    let found = match host.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) => resolver.lookup(host).await.map_err(|error| unknown(error.to_string()))?,
    };
    if found.is_empty() {
        return Err(unknown("it has no address".to_owned()));
    }
    if let Some(inside) = found.iter().find(|address| !reach.permits(host, *port, **address)) {
        return Err(OutboundError::Inside { host: host.clone(), address: *inside });
    }
    Ok(found.into_iter().take(ADDRESSES_MAX).map(|address| SocketAddr::new(address, *port)).collect())
}

async fn dial(host: &str, addresses: &[SocketAddr]) -> Result<TcpStream, OutboundError> {
    let mut why = String::new();
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => why = format!("{address}: {error}"),
        }
    }
    Err(OutboundError::Unreachable { host: host.to_owned(), why })
}
