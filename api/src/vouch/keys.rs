//! The keys of an issuer, as they are at the moment ([`Remembered`] says how old they may be). The name of a key that nobody knows makes them be
//! read again.

use std::path::PathBuf;
use std::sync::Arc;

use http::Uri;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use serde_json::Value;

use super::config::SigningAlgorithm;
use super::fetch::{DOCUMENT_MAX, Fetch, FetchError};
use super::provider::Provider;
use super::remembered::Remembered;

/// The most keys of one issuer: some that were, some that are, some to come.
const KEYS_MAX: usize = 50;

/// Where the keys of an issuer come from.
pub(super) enum Source {
    /// They are in a file.
    File(PathBuf),
    /// They are at an address.
    Url(Uri, Box<Fetch>),
    /// They are where the issuer says that they are.
    Provider(Arc<Provider>),
}

/// The keys of an issuer.
pub(super) struct Keys {
    source: Source,
    algorithm: SigningAlgorithm,
    known: Remembered<Known>,
}

/// By their names.
struct Known(Vec<(Option<String>, DecodingKey)>);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("the issuer has no key that the token names")]
    Unknown,
    #[error("the issuer's keys cannot be read")]
    Unreadable(#[source] FetchError),
}

impl Keys {
    pub(super) fn new(source: Source, algorithm: SigningAlgorithm) -> Self {
        Self { source, algorithm, known: Remembered::new() }
    }

    /// The key of that name; without a name the only one there is.
    pub(super) async fn find(&self, name: Option<&str>) -> Result<DecodingKey, KeyError> {
        let known = self.known.get(|known| known.find(name).is_some(), self.read()).await;
        known.map_err(KeyError::Unreadable)?.find(name).ok_or(KeyError::Unknown)
    }

    async fn read(&self) -> Result<Known, FetchError> {
        let document = match &self.source {
            Source::File(path) => read_file(path).await?,
            Source::Url(url, fetch) => fetch.json(url).await?,
            Source::Provider(provider) => provider.keys().await?,
        };
        usable(document, self.algorithm).map(Known)
    }
}

impl Known {
    /// Names are compared and used for nothing else.
    fn find(&self, name: Option<&str>) -> Option<DecodingKey> {
        match (name, self.0.as_slice()) {
            (None, [(_, only)]) => Some(only.clone()),
            (None, _) => None,
            (Some(name), keys) => {
                keys.iter().find(|(of, _)| of.as_deref() == Some(name)).map(|(_, key)| key.clone())
            }
        }
    }
}

async fn read_file(path: &PathBuf) -> Result<Value, FetchError> {
    let bytes = tokio::fs::read(path).await.map_err(|error| FetchError::Failed(error.to_string()))?;
    if bytes.len() > DOCUMENT_MAX {
        return Err(FetchError::TooLarge);
    }
    serde_json::from_slice(&bytes).map_err(|error| FetchError::Failed(error.to_string()))
}

/// The keys that tokens of this algorithm can be checked with. Others, and what this version cannot read, are left out: issuers
/// publish keys for other purposes beside.
fn usable(
    document: Value,
    algorithm: SigningAlgorithm,
) -> Result<Vec<(Option<String>, DecodingKey)>, FetchError> {
    let set: JwkSet =
        serde_json::from_value(document).map_err(|error| FetchError::Failed(error.to_string()))?;
    if set.keys.len() > KEYS_MAX {
        return Err(FetchError::TooLarge);
    }
    let fitting = set.keys.iter().filter(|key| fits(key, algorithm));
    let keys = fitting.filter_map(|key| {
        let name = key.common.key_id.clone();
        DecodingKey::from_jwk(key).ok().map(|key| (name, key))
    });
    Ok(keys.collect())
}

/// A key is for one algorithm: a public key that could be taken for a secret would be everybody's secret.
fn fits(key: &Jwk, algorithm: SigningAlgorithm) -> bool {
    let for_signatures = matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature));
    let kind = match (&key.algorithm, algorithm) {
        (AlgorithmParameters::RSA(_), SigningAlgorithm::RS256) => {
            matches!(key.common.key_algorithm, None | Some(KeyAlgorithm::RS256))
        }
        (AlgorithmParameters::EllipticCurve(curve), SigningAlgorithm::ES256) => {
            curve.curve == EllipticCurve::P256
                && matches!(key.common.key_algorithm, None | Some(KeyAlgorithm::ES256))
        }
        _ => false,
    };
    for_signatures && kind
}
