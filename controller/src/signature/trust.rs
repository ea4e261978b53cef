//! Whose signature is it, if it was made without a key of one's own? What sigstore's certificates, logs and timestamps prove.
//!
//! Whoever signs so has a key for some minutes, and a certificate of it that says who an issuer vouched he is. What is believed follows from a file,
//! the trusted root: the authorities that certify (Fulcio), the log of their certificates (CT), the logs of signatures (Rekor) and those who tell the
//! time. Nothing is asked over the network. A signature is somebody's if, by that root alone,
//!
//! - his certificate was issued for signing by such an authority and is in the log of certificates,
//! - the signature is in a log of signatures, together with that certificate, and
//! - a log or a timestamp proves that it was made while the certificate was valid.
//!
//! What comes from registries is hostile: it is bounded before it is read, and whatever is wrong with it is a sentence and no more.

use std::panic::{AssertUnwindSafe, catch_unwind};

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use sigstore_verify::trust_root;
use sigstore_verify::types::{Artifact, Bundle, Sha256Hash, SignatureContent};
use sigstore_verify::{VerificationPolicy, Verifier};

use crate::error::chain;

/// A bundle, or an annotation, that is longer proves nothing: those of cosign have ten kilobytes.
const PROOF_MAX: usize = 256 << 10;
/// More entries of logs and timestamps than anyone writes for one signature; each is verified.
const PROOFS_MAX: usize = 8;
/// A certificate, those between it and a root, and a root.
const CHAIN_MAX: usize = 4;
/// Words of a certificate, or of the library about it, are shown as far as this.
const TOLD_MAX: usize = 200;
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// What sigstore's signatures are verified with: the content of a `trusted_root.json`.
pub struct TrustedRoot {
    verifier: Verifier,
    sha256: String,
}

/// A file that is no trusted root.
#[derive(Debug, thiserror::Error)]
pub enum TrustedRootError {
    /// It is something else.
    #[error("it is not a trusted root of sigstore")]
    Unreadable(#[source] trust_root::Error),
    /// What it trusts cannot be used.
    #[error("what it trusts cannot be used")]
    Unusable(#[source] sigstore_verify::Error),
    /// It trusts too little to verify anything.
    #[error("it names no {0}")]
    Lacking(&'static str),
}

/// Who made a signature, as it was proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Maker {
    /// Who vouched for him.
    pub(super) issuer: String,
    /// Who he is.
    pub(super) subject: String,
}

/// What stands beside a signature to prove who made it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Proof(Bundle);

/// What is signed.
pub(super) enum Words<'a> {
    /// These bytes.
    Bytes(&'a [u8]),
    /// An envelope, about something of this SHA-256.
    About { enveloped: &'a [u8], sha256: &'a str },
}

impl std::fmt::Debug for TrustedRoot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrustedRoot").field("sha256", &self.sha256).finish_non_exhaustive()
    }
}

impl TrustedRoot {
    /// Reads the content of a `trusted_root.json`.
    pub fn parse(content: &str) -> Result<Self, TrustedRootError> {
        let root = trust_root::TrustedRoot::from_json(content).map_err(TrustedRootError::Unreadable)?;
        let needed = [
            ("authority of certificates", root.certificate_authorities.is_empty()),
            ("log of certificates", root.ctlogs.is_empty()),
            ("log of signatures", root.tlogs.is_empty()),
        ];
        if let Some((lacking, _)) = needed.iter().find(|(_, is_lacking)| *is_lacking) {
            return Err(TrustedRootError::Lacking(lacking));
        }
        let verifier = Verifier::new(&root).map_err(TrustedRootError::Unusable)?;
        let hash = digest::digest(&digest::SHA256, content.as_bytes());
        let sha256 = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { verifier, sha256 })
    }

    /// By what it is told from others.
    pub(super) fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Who made the signature in a proof over these words; in words why that is not proved.
    pub(super) fn maker(&self, words: &Words<'_>, proof: &Proof) -> Result<Maker, String> {
        let bundle = &proof.0;
        let artifact = match words {
            Words::Bytes(bytes) => Artifact::from(*bytes),
            Words::About { enveloped, sha256 } => {
                // What is judged here and what the library verifies have to be the same bytes.
                let SignatureContent::DsseEnvelope(envelope) = &bundle.content else {
                    return Err("its bundle has no envelope".to_owned());
                };
                if envelope.pae() != *enveloped {
                    return Err("its bundle can be read in two ways".to_owned());
                }
                let hash = Sha256Hash::from_hex(sha256);
                Artifact::from(hash.map_err(|_| "it names a digest that is none".to_owned())?)
            }
        };
        // Everything but who it may be, which is the policies' to say: of one signature that is asked for several signers.
        let policy = VerificationPolicy::any_identity();
        let verify = AssertUnwindSafe(|| self.verifier.verify(artifact, bundle, &policy));
        let verified = catch_unwind(verify).map_err(|_| "its proof cannot be verified".to_owned())?;
        let verified = verified.map_err(|error| told(&chain(&error)))?;
        if !(verified.certificate_verified() && verified.sct_verified() && verified.tlog_verified()) {
            return Err("not all of its proof was verified".to_owned());
        }
        match (verified.issuer(), verified.identity()) {
            (Some(issuer), Some(subject)) => {
                Ok(Maker { issuer: issuer.to_owned(), subject: subject.as_str().to_owned() })
            }
            _ => Err("its certificate does not say whose it is".to_owned()),
        }
    }
}

/// What cosign writes beside a text of simple signing, as annotations.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Annotations<'a> {
    /// The certificate in PEM.
    pub(super) certificate: Option<&'a str>,
    /// Those between it and a root, in PEM.
    pub(super) chain: Option<&'a str>,
    /// What the log of signatures said.
    pub(super) log: Option<&'a str>,
    /// A timestamp.
    pub(super) timestamp: Option<&'a str>,
}

impl Proof {
    /// The proof that a bundle has.
    pub(super) fn of_bundle(bundle: &[u8]) -> Result<Self, String> {
        if bundle.len() > PROOF_MAX {
            return Err("its bundle is too long".to_owned());
        }
        let bundle = serde_json::from_slice::<Bundle>(bundle);
        Self::bounded(
            bundle.map_err(|error| format!("its bundle cannot be read: {}", told(&error.to_string())))?,
        )
    }

    /// The proof beside a text of simple signing: the same, written otherwise (a bundle of version 0.1).
    pub(super) fn of_annotations(signature: &[u8], annotations: Annotations<'_>) -> Result<Self, String> {
        let Annotations { certificate, chain, log, timestamp } = annotations;
        let length = |text: Option<&str>| text.map_or(0, str::len);
        if length(certificate) + length(chain) + length(log) + length(timestamp) > PROOF_MAX {
            return Err("its annotations are too long".to_owned());
        }
        let certificate = certificate.ok_or("it has no certificate")?;
        let log = log.ok_or("it is in no log of signatures")?;
        let entry = entry(log).ok_or("what its log said cannot be read")?;
        let mut certificates = certificates(certificate).ok_or("its certificate is not in PEM")?;
        certificates.truncate(1);
        certificates.extend(chain.and_then(self::certificates).unwrap_or_default());
        certificates.truncate(CHAIN_MAX);
        let timestamps = match timestamp {
            Some(text) => vec![timestamped(text).ok_or("its timestamp cannot be read")?],
            None => Vec::new(),
        };
        let bundle = json!({
            "mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.1",
            "verificationMaterial": {
                "x509CertificateChain": { "certificates": certificates },
                "tlogEntries": [entry],
                "timestampVerificationData": { "rfc3161Timestamps": timestamps },
            },
            "messageSignature": { "signature": STANDARD.encode(signature) },
        });
        let bundle = serde_json::from_value::<Bundle>(bundle);
        Self::bounded(
            bundle.map_err(|error| format!("its proof cannot be read: {}", told(&error.to_string())))?,
        )
    }

    fn bounded(bundle: Bundle) -> Result<Self, String> {
        if bundle.signing_certificate().is_none() {
            return Err("it has no certificate".to_owned());
        }
        let material = &bundle.verification_material;
        let proofs =
            material.tlog_entries.len() + material.timestamp_verification_data.rfc3161_timestamps.len();
        if proofs > PROOFS_MAX {
            return Err("it has more entries of logs than anyone writes".to_owned());
        }
        Ok(Self(bundle))
    }
}

/// Words that came from a registry, as they may be shown.
pub(super) fn told(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TOLD_MAX).collect()
}

/// The certificates in a text of PEM, as bundles write them.
fn certificates(pem: &str) -> Option<Vec<Value>> {
    let mut found = Vec::new();
    let mut rest = pem;
    while let Some((_, from)) = rest.split_once(BEGIN) {
        let (body, after) = from.split_once(END)?;
        let body: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        found.push(json!({ "rawBytes": body }));
        rest = after;
    }
    (!found.is_empty()).then_some(found)
}

/// What a log said, as cosign writes it, in the form of bundles.
fn entry(text: &str) -> Option<Value> {
    #[derive(Deserialize)]
    struct Said {
        #[serde(rename = "SignedEntryTimestamp")]
        promise: String,
        #[serde(rename = "Payload")]
        payload: Payload,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Payload {
        body: String,
        integrated_time: i64,
        log_index: i64,
        #[serde(rename = "logID")]
        log_id: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        kind: String,
        api_version: String,
    }
    let Said { promise, payload } = serde_json::from_str(text).ok()?;
    let body: Body = serde_json::from_slice(&STANDARD.decode(&payload.body).ok()?).ok()?;
    let log_id = Sha256Hash::from_hex(&payload.log_id).ok()?;
    Some(json!({
        "logIndex": payload.log_index.to_string(),
        "logId": { "keyId": STANDARD.encode(log_id.as_bytes()) },
        "kindVersion": { "kind": body.kind, "version": body.api_version },
        "integratedTime": payload.integrated_time.to_string(),
        "inclusionPromise": { "signedEntryTimestamp": promise },
        "canonicalizedBody": payload.body,
    }))
}

/// A timestamp, as cosign writes it, in the form of bundles.
fn timestamped(text: &str) -> Option<Value> {
    #[derive(Deserialize)]
    struct Said {
        #[serde(rename = "SignedRFC3161Timestamp")]
        timestamp: String,
    }
    let Said { timestamp } = serde_json::from_str(text).ok()?;
    Some(json!({ "signedTimestamp": timestamp }))
}

#[cfg(test)]
#[path = "trust_tests.rs"]
mod tests;
