//! The keys of an issuer: read, kept for a while, and read again when they may have changed.
//!
//! A key that the issuer took back is refused when the keys were read again, at the latest [`FRESH`] later. A key that nobody knows makes them
//! be read at once, but not more often than every [`PAUSE`], however many tokens name such keys. While they cannot be read, those that were
//! are kept for [`KEPT`]; after that nobody is believed.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::Uri;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::config::SigningAlgorithm;
use super::fetch::{DOCUMENT_MAX, Fetch, FetchError};

/// How long keys are believed without being read again.
const FRESH: Duration = Duration::from_secs(600);
/// The shortest time between two reads.
const PAUSE: Duration = Duration::from_secs(10);
/// How long keys are believed that cannot be read again.
const KEPT: Duration = Duration::from_secs(3600);
/// The most keys of one issuer: some that were, some that are, some to come.
const KEYS_MAX: usize = 50;

/// Where the keys of an issuer come from.
pub(super) enum Source {
    /// They are in a file.
    File(PathBuf),
    /// They are at an address.
    Url(Uri, Box<Fetch>),
}

/// The keys of an issuer.
pub(super) struct Keys {
    source: Source,
    algorithm: SigningAlgorithm,
    known: RwLock<Option<Arc<Known>>>,
    /// When they were last asked for, whether or not they came.
    asked: Mutex<Option<Instant>>,
}

struct Known {
    keys: Vec<(Option<String>, DecodingKey)>,
    read_at: Instant,
}

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
        Self { source, algorithm, known: RwLock::default(), asked: Mutex::default() }
    }

    /// The key of that name; without a name the only one there is.
    pub(super) async fn find(&self, name: Option<&str>) -> Result<DecodingKey, KeyError> {
        if let Some(known) = self.known().filter(|known| known.read_at.elapsed() < FRESH)
            && let Some(key) = known.find(name)
        {
            return Ok(key);
        }
        let failed = self.read_again().await.err();
        let known = self.known().filter(|known| known.read_at.elapsed() < KEPT);
        match (known, failed) {
            (Some(known), _) => known.find(name).ok_or(KeyError::Unknown),
            (None, Some(error)) => Err(KeyError::Unreadable(error)),
            (None, None) => Err(KeyError::Unreadable(FetchError::NotYet)),
        }
    }

    fn known(&self) -> Option<Arc<Known>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads them, unless somebody else did or tried to a moment ago.
    async fn read_again(&self) -> Result<(), FetchError> {
        let mut asked = self.asked.lock().await;
        if asked.is_some_and(|at| at.elapsed() < PAUSE) {
            return Ok(());
        }
        *asked = Some(Instant::now());
        let document = match &self.source {
            Source::Url(url, fetch) => fetch.json(url).await?,
            Source::File(path) => read_file(path).await?,
        };
        let known = Known { keys: usable(document, self.algorithm)?, read_at: Instant::now() };
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(known));
        Ok(())
    }
}

impl Known {
    /// Names are compared and used for nothing else.
    fn find(&self, name: Option<&str>) -> Option<DecodingKey> {
        match (name, self.keys.as_slice()) {
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
