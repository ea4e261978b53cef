//! Certificates: read from PEM files, and read again when the files change, without a restart or a signal.
//!
//! A pair of files that cannot be read or does not fit together is refused at the start. Later the pair in use stays in use
//! and the failure is logged: a renewal that went wrong must not stop the server while the old certificate is valid.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::server::ServeError;

/// Where certificate and key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and those between it and the root, in PEM form.
    pub certificate: PathBuf,
    /// The certificate's private key, in PEM form.
    pub key: PathBuf,
}

/// The certificate in use.
#[derive(Debug)]
pub(crate) struct Certificate {
    files: TlsFiles,
    current: RwLock<(Arc<CertifiedKey>, Stamp)>,
}

/// When the two files were last written.
type Stamp = [Option<SystemTime>; 2];

impl Certificate {
    pub(crate) fn load(files: TlsFiles) -> Result<Arc<Self>, ServeError> {
        // The stamp is taken first: a change while reading is found at the next look.
        let stamp = stamp(&files);
        let key = read(&files)?;
        Ok(Arc::new(Self { files, current: RwLock::new((Arc::new(key), stamp)) }))
    }

    /// Looks at the files, and takes a new certificate from them if they changed.
    pub(crate) fn refresh(&self) {
        let found = stamp(&self.files);
        if self.current.read().unwrap_or_else(PoisonError::into_inner).1 == found {
            return;
        }
        match read(&self.files) {
            Ok(key) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = (Arc::new(key), found);
                tracing::info!("the server's certificate was replaced");
            }
            Err(error) => {
                tracing::warn!(%error, "the new certificate is not used");
                self.current.write().unwrap_or_else(PoisonError::into_inner).1 = found;
            }
        }
    }

    /// What handshakes are made with.
    pub(crate) fn server_config(self: Arc<Self>) -> Result<Arc<ServerConfig>, ServeError> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(ServeError::Tls)?
            .with_no_client_auth()
            .with_cert_resolver(self);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).0.clone())
    }
}

fn stamp(files: &TlsFiles) -> Stamp {
    let written = |path: &Path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
    [written(&files.certificate), written(&files.key)]
}

fn read(files: &TlsFiles) -> Result<CertifiedKey, ServeError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| ServeError::Pem { path, source }
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect)
        .map_err(unreadable(&files.certificate))?;
    if chain.is_empty() {
        return Err(ServeError::NoCertificate { path: files.certificate.clone() });
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(unreadable(&files.key))?;
    let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(ServeError::Tls)?;
    key.keys_match().map_err(ServeError::Tls)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use skep_testbed::tls::Credentials;

    use super::*;

    fn files(dir: &Path) -> TlsFiles {
        let made = Credentials::create(dir, "127.0.0.1".parse().unwrap()).unwrap();
        TlsFiles { certificate: made.server_certificate, key: made.server_key }
    }

    fn current(certificate: &Certificate) -> CertificateDer<'static> {
        certificate.current.read().unwrap().0.cert[0].clone()
    }

    #[test]
    fn a_renewed_certificate_is_taken_and_a_broken_one_is_not() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (used, renewed) = (files(dir.path()), files(other.path()));
        let certificate = Certificate::load(used.clone()).unwrap();
        let first = current(&certificate);
        certificate.refresh();
        assert_eq!(current(&certificate), first);
        // Between the two writes certificate and key do not fit together.
        std::fs::copy(&renewed.certificate, &used.certificate).unwrap();
        certificate.refresh();
        assert_eq!(current(&certificate), first, "half a renewal is not used");
        std::fs::copy(&renewed.key, &used.key).unwrap();
        certificate.refresh();
        let second = current(&certificate);
        assert_eq!(
            Some(&second),
            CertificateDer::pem_file_iter(&renewed.certificate).unwrap().next().unwrap().ok().as_ref()
        );
        std::fs::write(&used.certificate, "nonsense").unwrap();
        certificate.refresh();
        assert_eq!(current(&certificate), second, "the one in use stays");
    }
}
