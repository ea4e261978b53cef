//! Certificates for an engine that listens on TCP: one authority, one server, one client, made with `openssl`.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::command;

/// Where the certificates and keys are, as PEM files. The `client_*` files and `ca` are in one directory under the names
/// that `DOCKER_CERT_PATH` expects.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The authority's certificate (`ca.pem`).
    pub ca: PathBuf,
    /// The server's certificate.
    pub server_certificate: PathBuf,
    /// The server's key.
    pub server_key: PathBuf,
    /// The client's certificate (`cert.pem`).
    pub client_certificate: PathBuf,
    /// The client's key (`key.pem`).
    pub client_key: PathBuf,
    /// The directory to give as `DOCKER_CERT_PATH`.
    pub dir: PathBuf,
}

impl Credentials {
    /// Makes an authority in `dir`, and with it a server certificate for `address` and a client certificate.
    pub fn create(dir: &Path, address: IpAddr) -> Result<Credentials> {
        fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let made = Credentials {
            ca: dir.join("ca.pem"),
            server_certificate: dir.join("server.pem"),
            server_key: dir.join("server-key.pem"),
            client_certificate: dir.join("cert.pem"),
            client_key: dir.join("key.pem"),
            dir: dir.to_owned(),
        };
        let authority_key = dir.join("ca-key.pem");
        let authority = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"];
        certificate("/CN=skt authority", &made.ca, &authority_key, None, &authority)?;
        let by = Some((made.ca.as_path(), authority_key.as_path()));
        let name = format!("subjectAltName=IP:{address}");
        let server = ["basicConstraints=CA:FALSE", "extendedKeyUsage=serverAuth", name.as_str()];
        certificate("/CN=skt engine", &made.server_certificate, &made.server_key, by, &server)?;
        let client = ["basicConstraints=CA:FALSE", "extendedKeyUsage=clientAuth"];
        certificate("/CN=skt client", &made.client_certificate, &made.client_key, by, &client)?;
        Ok(made)
    }
}

/// Makes a key and a certificate with the given extensions, signed `by` an authority or by itself.
fn certificate(
    subject: &str,
    out: &Path,
    key: &Path,
    by: Option<(&Path, &Path)>,
    extensions: &[&str],
) -> Result<()> {
    let mut openssl = command::command("openssl", ["req", "-x509", "-newkey", "ec", "-nodes", "-days", "30"]);
    // Without -config /dev/null the machine's openssl.cnf would add extensions of its own.
    openssl.args(["-config", "/dev/null", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", subject]);
    openssl.arg("-out").arg(out).arg("-keyout").arg(key);
    if let Some((authority, authority_key)) = by {
        openssl.arg("-CA").arg(authority).arg("-CAkey").arg(authority_key);
    }
    for extension in extensions {
        openssl.args(["-addext", extension]);
    }
    command::stdout(openssl).map(drop)
}
