//! Is that a signature of this digest by this signer?
//!
//! Cosign has two forms. In the older one what is signed is a text of *simple signing* that names the digest, and the signature stands in an annotation
//! beside it. In the newer one a *bundle* holds an envelope (DSSE) around an in-toto statement about the digest. Statements are made of other things too:
//! a bill of materials that somebody signed is no word for running the image, so only cosign's own type counts.
//!
//! For a key nothing but the key is trusted: neither what a bundle says of its key, nor certificates, nor logs, and whether a signature was written into
//! a transparency log is not looked at. For an identity it is proved by certificates and logs who signed ([`super::trust`]). What is signed is judged
//! alike for both.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519,
    RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;
use skep_schemas::kind::Identity;
use skep_schemas::{ImageDigest, KeyAlgorithm, PublicKey};

use super::trust::{Maker, Words};

/// What simple signing calls an image's signature.
const SIMPLE_TYPE: &str = "cosign container image signature";
/// What is in an envelope.
const STATEMENT_TYPE: &str = "application/vnd.in-toto+json";
/// The forms of statements.
const STATEMENTS: [&str; 2] = ["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"];
/// What a statement that signs an image says.
const SIGNS: &str = "https://sigstore.dev/cosign/sign/v1";

/// Something that may be a signature, as a registry has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    /// The bytes that are signed.
    message: Vec<u8>,
    signature: Vec<u8>,
    /// What they say.
    says: Says,
    form: Form,
}

/// How words are put that are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As they are.
    Text,
    /// In an envelope.
    Envelope,
}

/// What signed bytes say.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Says {
    /// That these digests are signed.
    Signs(Vec<String>),
    /// Something else.
    Other,
}

/// How a candidate stands to a digest and a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It is the key's signature of the digest.
    Signs,
    /// It is the key's signature of another digest.
    SignsAnother(String),
    /// It is not the key's, or no signature of an image.
    Not,
}

/// How a candidate stands to a digest and an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum IdentityJudgement {
    /// It is the identity's signature of the digest.
    Signs,
    /// It is the identity's signature of another digest.
    SignsAnother(String),
    /// It is somebody else's signature of the digest.
    OfSomebody(Maker),
    /// It is not proved whose it is, or it is no signature of this image; in words.
    Unverified(String),
}

impl Candidate {
    /// A text of simple signing with the signature of its annotation.
    pub(super) fn simple(payload: Vec<u8>, signature: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Payload {
            critical: Critical,
        }
        #[derive(Deserialize)]
        struct Critical {
            image: Image,
            #[serde(rename = "type")]
            kind: String,
        }
        #[derive(Deserialize)]
        struct Image {
            #[serde(rename = "docker-manifest-digest", alias = "Docker-manifest-digest")]
            digest: String,
        }
        let signature = STANDARD.decode(signature.trim()).ok()?;
        let says = match serde_json::from_slice::<Payload>(&payload) {
            // Newer versions put the type of their statements here.
            Ok(said) if [SIMPLE_TYPE, SIGNS].contains(&said.critical.kind.as_str()) => {
                Says::Signs(vec![said.critical.image.digest])
            }
            Ok(_) | Err(_) => Says::Other,
        };
        Some(Self { message: payload, signature, says, form: Form::Text })
    }

    /// The envelopes of a bundle.
    pub(super) fn of_bundle(bundle: &[u8]) -> Vec<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Bundle {
            dsse_envelope: Option<Envelope>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Envelope {
            payload: String,
            payload_type: String,
            signatures: Vec<EnvelopeSignature>,
        }
        #[derive(Deserialize)]
        struct EnvelopeSignature {
            sig: String,
        }
        let bundle = serde_json::from_slice::<Bundle>(bundle).ok();
        let Some(envelope) = bundle.and_then(|bundle| bundle.dsse_envelope) else { return Vec::new() };
        let Ok(payload) = STANDARD.decode(&envelope.payload) else { return Vec::new() };
        let says = if envelope.payload_type == STATEMENT_TYPE { statement(&payload) } else { Says::Other };
        let message = enveloped(&envelope.payload_type, &payload);
        let signatures = envelope.signatures.iter().filter_map(|one| STANDARD.decode(&one.sig).ok());
        let of = |signature| Self {
            message: message.clone(),
            signature,
            says: says.clone(),
            form: Form::Envelope,
        };
        signatures.map(of).collect()
    }

    /// How it stands to a digest and a key. What it says counts only if the key signed it.
    pub(super) fn judge(&self, digest: &ImageDigest, key: &PublicKey) -> Judgement {
        let Says::Signs(digests) = &self.says else { return Judgement::Not };
        if !self.is_of(key) {
            return Judgement::Not;
        }
        if digests.iter().any(|signed| signed == digest.as_str()) {
            return Judgement::Signs;
        }
        let another = digests.first().map(|digest| digest.chars().take(80).collect());
        another.map_or(Judgement::Not, Judgement::SignsAnother)
    }

    /// The signature itself.
    pub(super) fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// What is signed, for whoever verifies who signed it; nothing if it is no signature of an image.
    pub(super) fn words(&self, digest: &ImageDigest) -> Option<Words<'_>> {
        let Says::Signs(digests) = &self.says else { return None };
        match self.form {
            Form::Text => Some(Words::Bytes(&self.message)),
            Form::Envelope => {
                let about = digests.iter().find(|signed| *signed == digest.as_str()).or(digests.first())?;
                Some(Words::About { enveloped: &self.message, sha256: about.strip_prefix("sha256:")? })
            }
        }
    }

    /// How it stands to a digest and an identity, by who was proved to have made it. What it says counts only if that was proved.
    pub(super) fn judge_made(
        &self,
        digest: &ImageDigest,
        identity: &Identity,
        maker: &Result<Maker, String>,
    ) -> IdentityJudgement {
        let unverified = |why: &str| IdentityJudgement::Unverified(why.to_owned());
        let Says::Signs(digests) = &self.says else { return unverified("it is not of an image") };
        let maker = match maker {
            Ok(maker) => maker,
            Err(why) => return unverified(why),
        };
        let is_wanted = identity.is(&maker.issuer, &maker.subject);
        if digests.iter().any(|signed| signed == digest.as_str()) {
            return if is_wanted {
                IdentityJudgement::Signs
            } else {
                IdentityJudgement::OfSomebody(maker.clone())
            };
        }
        match digests.first() {
            Some(another) if is_wanted => IdentityJudgement::SignsAnother(another.chars().take(80).collect()),
            Some(_) | None => unverified("it is of something else"),
        }
    }

    /// Did that key sign these bytes?
    fn is_of(&self, key: &PublicKey) -> bool {
        let algorithms: &[&'static dyn VerificationAlgorithm] = match key.algorithm() {
            KeyAlgorithm::EcdsaP256 => &[&ECDSA_P256_SHA256_ASN1],
            // Cosign took SHA-256 for all keys, and takes what fits the key now.
            KeyAlgorithm::EcdsaP384 => &[&ECDSA_P384_SHA256_ASN1, &ECDSA_P384_SHA384_ASN1],
            KeyAlgorithm::Ed25519 => &[&ED25519],
            KeyAlgorithm::Rsa => &[&RSA_PKCS1_2048_8192_SHA256],
        };
        let verifies = |algorithm: &&'static dyn VerificationAlgorithm| {
            UnparsedPublicKey::new(*algorithm, key.der()).verify(&self.message, &self.signature).is_ok()
        };
        algorithms.iter().any(verifies)
    }
}

/// What an in-toto statement says.
fn statement(payload: &[u8]) -> Says {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Statement {
        #[serde(rename = "_type")]
        form: String,
        predicate_type: String,
        subject: Vec<Subject>,
    }
    #[derive(Deserialize)]
    struct Subject {
        digest: serde_json::Map<String, Value>,
    }
    let Ok(statement) = serde_json::from_slice::<Statement>(payload) else { return Says::Other };
    if !STATEMENTS.contains(&statement.form.as_str()) || statement.predicate_type != SIGNS {
        return Says::Other;
    }
    let digest = |subject: &Subject| Some(format!("sha256:{}", subject.digest.get("sha256")?.as_str()?));
    Says::Signs(statement.subject.iter().filter_map(digest).collect())
}

/// What is signed of an envelope (DSSE's pre-authentication encoding).
fn enveloped(kind: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
