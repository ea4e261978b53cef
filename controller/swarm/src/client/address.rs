//! Where an engine is, and how it is trusted.
//!
//! The text forms are Docker's own (`DOCKER_HOST`, `DOCKER_CERT_PATH`). An engine's API is root on its machine, so TCP
//! without TLS is refused, and only loopback can be allowed by saying so.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::error::SwarmError;

/// Where Docker listens when nothing is said.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// The port of an engine behind TLS when the address has none.
const TLS_PORT: u16 = 2376;

/// The port of an engine without TLS when the address has none.
const PLAIN_PORT: u16 = 2375;

/// Where an engine is.
#[derive(Clone, PartialEq, Eq)]
pub struct EngineAddress(pub(crate) Endpoint);

/// The kinds of places. Private: a plain address comes only out of [`EngineAddress::parse`], which checks it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Unix(PathBuf),
    Tls { host: String, port: u16, certificates: CertificateFiles },
    PlainLoopback { host: IpAddr, port: u16 },
}

/// PEM files for mutual TLS. They are read for each new connection, so that renewed ones take effect by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The only authorities an engine's certificate may come from.
    pub authority: PathBuf,
    /// Our certificate, with its chain.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl CertificateFiles {
    /// `ca.pem`, `cert.pem` and `key.pem` in a directory, as with `DOCKER_CERT_PATH`.
    pub fn in_directory(directory: &Path) -> Self {
        Self {
            authority: directory.join("ca.pem"),
            certificate: directory.join("cert.pem"),
            key: directory.join("key.pem"),
        }
    }
}

/// Whether TCP without TLS may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlainTcp {
    /// Never.
    #[default]
    Refused,
    /// To a loopback address only.
    AllowedOnLoopback,
}

impl EngineAddress {
    /// The socket of an engine on this machine.
    pub fn unix(socket: impl Into<PathBuf>) -> Self {
        Self(Endpoint::Unix(socket.into()))
    }

    /// An engine behind mutual TLS.
    pub fn tls(host: impl Into<String>, port: u16, certificates: CertificateFiles) -> Self {
        Self(Endpoint::Tls { host: host.into(), port, certificates })
    }

    /// Reads an address as `DOCKER_HOST` spells it: `unix:///path`, `tcp://host:port`, `https://host:port`. TCP needs
    /// certificates, but on loopback when that is allowed explicitly.
    pub fn parse(
        text: &str,
        certificates: Option<CertificateFiles>,
        plain: PlainTcp,
    ) -> Result<Self, SwarmError> {
        let wrong = |why: &str| SwarmError::Address { reason: format!("`{text}` {why}") };
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(wrong("has no scheme; use unix:///path or tcp://host:port"));
        };
        match scheme {
            "unix" if rest.starts_with('/') => Ok(Self::unix(rest)),
            "unix" => Err(wrong("has no absolute path; use unix:///path")),
            "tcp" | "https" => {
                let (host, port) = host_and_port(rest).ok_or_else(|| wrong("is not host:port"))?;
                match certificates {
                    Some(certificates) => Ok(Self::tls(host, port.unwrap_or(TLS_PORT), certificates)),
                    None if scheme == "https" => Err(wrong("needs certificates (DOCKER_CERT_PATH)")),
                    None => {
                        plain_loopback(&host, port.unwrap_or(PLAIN_PORT), plain).map_err(|why| wrong(&why))
                    }
                }
            }
            _ => Err(wrong("has a scheme that is not supported; use unix:// or tcp://")),
        }
    }

    /// Reads the address from Docker's environment variables, as `lookup` knows them: `DOCKER_HOST` and
    /// `DOCKER_CERT_PATH`; the usual socket when there is none.
    pub fn from_environment(
        lookup: impl Fn(&str) -> Option<String>,
        plain: PlainTcp,
    ) -> Result<Self, SwarmError> {
        let said = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let certificates =
            said("DOCKER_CERT_PATH").map(|path| CertificateFiles::in_directory(Path::new(&path)));
        match said("DOCKER_HOST") {
            Some(host) => Self::parse(&host, certificates, plain),
            None => Ok(Self::unix(DEFAULT_SOCKET)),
        }
    }
}

fn plain_loopback(host: &str, port: u16, plain: PlainTcp) -> Result<EngineAddress, String> {
    let loopback = host.parse::<IpAddr>().ok().filter(IpAddr::is_loopback);
    match (plain, loopback) {
        (PlainTcp::AllowedOnLoopback, Some(host)) => {
            Ok(EngineAddress(Endpoint::PlainLoopback { host, port }))
        }
        (PlainTcp::AllowedOnLoopback, None) => {
            Err("is not a loopback address, and only those can be used without TLS (DOCKER_CERT_PATH)"
                .to_owned())
        }
        (PlainTcp::Refused, _) => Err("needs TLS: give certificates (DOCKER_CERT_PATH)".to_owned()),
    }
}

/// Splits `host`, `host:port`, `[v6]` and `[v6]:port`; anything else behind it is not an engine's address.
fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    let text = text.strip_suffix('/').unwrap_or(text);
    let (host, port) = match text.strip_prefix('[') {
        Some(bracketed) => {
            let (host, rest) = bracketed.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) };
            (host, port)
        }
        None => {
            let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
            let named = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-');
            (Some(host).filter(|host| named && !host.is_empty())?, port)
        }
    };
    let port = match port {
        Some(port) => Some(port.parse().ok()?),
        None => None,
    };
    Some((host.to_owned(), port))
}

impl fmt::Display for EngineAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Endpoint::Unix(path) => write!(f, "unix://{}", path.display()),
            Endpoint::Tls { host, port, .. } if host.contains(':') => {
                write!(f, "tcp://[{host}]:{port} (TLS)")
            }
            Endpoint::Tls { host, port, .. } => write!(f, "tcp://{host}:{port} (TLS)"),
            Endpoint::PlainLoopback { host, port } => write!(f, "tcp://{}", SocketAddr::new(*host, *port)),
        }
    }
}

impl fmt::Debug for EngineAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EngineAddress({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> CertificateFiles {
        CertificateFiles::in_directory(Path::new("/certs"))
    }

    #[test]
    fn docker_host_forms_are_understood() {
        let parse = |text: &str| {
            EngineAddress::parse(text, Some(files()), PlainTcp::Refused).map(|address| address.to_string())
        };
        assert_eq!(parse("unix:///run/d.sock").expect("unix"), "unix:///run/d.sock");
        assert_eq!(parse("tcp://m1.example:2377").expect("tcp"), "tcp://m1.example:2377 (TLS)");
        assert_eq!(parse("tcp://m1.example").expect("default port"), "tcp://m1.example:2376 (TLS)");
        assert_eq!(parse("https://[fd00::1]:1/").expect("v6"), "tcp://[fd00::1]:1 (TLS)");
        for wrong in
            ["unix://d.sock", "m1:2376", "ssh://m1", "tcp://", "tcp://m1:x", "tcp://m1:2376/v1", "tcp://u@m1"]
        {
            assert!(matches!(parse(wrong), Err(SwarmError::Address { .. })), "{wrong}");
        }
    }

    #[test]
    fn tcp_without_tls_is_refused_except_on_loopback_when_allowed() {
        let parse = |text: &str, plain| EngineAddress::parse(text, None, plain);
        assert!(parse("tcp://127.0.0.1:2375", PlainTcp::Refused).is_err());
        assert!(parse("tcp://127.0.0.1:2375", PlainTcp::AllowedOnLoopback).is_ok());
        assert!(parse("tcp://[::1]:2375", PlainTcp::AllowedOnLoopback).is_ok());
        assert!(parse("tcp://10.0.0.1:2375", PlainTcp::AllowedOnLoopback).is_err());
        assert!(
            parse("tcp://localhost:2375", PlainTcp::AllowedOnLoopback).is_err(),
            "a name can resolve anywhere"
        );
    }

    #[test]
    fn the_environment_gives_the_address_or_the_usual_socket() {
        let read = |pairs: &[(&str, &str)]| {
            let lookup =
                |name: &str| pairs.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
            EngineAddress::from_environment(lookup, PlainTcp::Refused)
        };
        assert_eq!(read(&[]).expect("default"), EngineAddress::unix("/var/run/docker.sock"));
        assert_eq!(
            read(&[("DOCKER_HOST", "")]).expect("default"),
            EngineAddress::unix("/var/run/docker.sock")
        );
        let tls = read(&[("DOCKER_HOST", "tcp://m1:2376"), ("DOCKER_CERT_PATH", "/certs")]);
        assert_eq!(tls.expect("tls"), EngineAddress::tls("m1", 2376, files()));
    }
}
