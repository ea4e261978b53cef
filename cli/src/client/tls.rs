//! Whose certificates are believed: those of the given authorities alone, or the system's.
//!
//! The provider is named here instead of taken from the process, so that no library decides it by being linked.

use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::ClientError;
use crate::context::Server;

/// What a connection needs. The system's authorities are read only for a server that they matter for.
pub(super) fn client_config(server: &Server, ca: Option<&Path>) -> Result<ClientConfig, ClientError> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(path) => {
            let failed = |why: String| ClientError::Authorities { path: path.to_owned(), why };
            let found = CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?;
            for certificate in found {
                let certificate = certificate.map_err(|error| failed(error.to_string()))?;
                roots.add(certificate).map_err(|error| failed(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(failed("it holds no certificate".to_owned()));
            }
        }
        None if server.is_encrypted() => {
            let native = rustls_native_certs::load_native_certs();
            let (_, unusable) = roots.add_parsable_certificates(native.certs);
            tracing::debug!(usable = roots.len(), unusable, "read the system's authorities");
        }
        None => {}
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError::Request(error.into()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
