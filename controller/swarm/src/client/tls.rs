//! Mutual TLS: our certificate to the engine, and only the given authorities for the engine's.
//!
//! Neither the system's trust store nor a process-wide default provider takes part, so nothing outside the given files
//! decides whom we trust.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::address::CertificateFiles;
use crate::error::{Cause, SwarmError};

/// The most we read of one certificate file: a bundle of some hundred authorities. A larger one is a mistake.
const FILE_LIMIT: u64 = 1024 * 1024;

/// Reads the files and makes of them what a connection needs.
pub(super) async fn client_config(files: &CertificateFiles) -> Result<Arc<ClientConfig>, SwarmError> {
    let authorities = certificates("the engine's authority", &files.authority).await?;
    let chain = certificates("the client certificate", &files.certificate).await?;
    let key_file = read("the client key", &files.key).await?;
    let key = PrivateKeyDer::from_pem_slice(&key_file).map_err(|error| unusable("the client key", error))?;
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority).map_err(|error| unusable("the engine's authority", error))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable("TLS", error))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(|error| unusable("the client certificate and key", error))?;
    Ok(Arc::new(config))
}

async fn certificates(what: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, SwarmError> {
    let pem = read(what, path).await?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(what, error))?;
    if found.is_empty() {
        return Err(unusable(what, format!("{} has no certificate in it", path.display())));
    }
    Ok(found)
}

async fn read(what: &str, path: &Path) -> Result<Vec<u8>, SwarmError> {
    let named = |error: std::io::Error| unusable(what, format!("{}: {error}", path.display()));
    let size = tokio::fs::metadata(path).await.map_err(named)?.len();
    if size > FILE_LIMIT {
        return Err(unusable(what, format!("{} is larger than {FILE_LIMIT} bytes", path.display())));
    }
    tokio::fs::read(path).await.map_err(named)
}

fn unusable(what: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> SwarmError {
    SwarmError::Certificates { what: what.to_owned(), source: Cause::from(source.into()) }
}
