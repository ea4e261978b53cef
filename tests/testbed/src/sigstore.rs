//! A sigstore of its own: an authority that certifies (Fulcio), a log of certificates (CT) and a log of signatures (Rekor), in memory.
//!
//! It makes what `cosign sign` without a key puts into registries, and the trusted root that verifies it. Written after the specifications (RFC 5280,
//! RFC 6962, Fulcio's list of extensions, Rekor's entries) and not after what reads it here. Everything has keys of its own and happens on one
//! morning in the past, so that tests can say what is too late.

mod der;

use anyhow::{Result, anyhow};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// 2026-01-01T00:00:00Z: from then on certificates are valid.
const FROM: i64 = 1_767_225_600;
/// For ten minutes, as Fulcio's.
const VALIDITY: [&str; 2] = ["260101000000Z", "260101001000Z"];
/// The authority's own certificate.
const AUTHORITY_VALIDITY: [&str; 2] = ["200101000000Z", "450101000000Z"];
/// What stands before a key over P-256 in DER.
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A sigstore.
pub struct Sigstore {
    authority: Key,
    authority_certificate: Vec<u8>,
    certificates: Key,
    signatures: Key,
}

/// Who signs, and when.
#[derive(Debug, Clone, Copy)]
pub struct Signature<'a> {
    /// Who vouches.
    pub issuer: &'a str,
    /// For whom: an address or a URL.
    pub subject: &'a str,
    /// Seconds after his certificate became valid; it ends after 600.
    pub after: i64,
}

/// A key over P-256.
struct Key {
    pair: EcdsaKeyPair,
    spki: Vec<u8>,
}

/// What a signer has when he has signed: everything that proves it.
struct Signed {
    certificate: Vec<u8>,
    signature: Vec<u8>,
    at: i64,
}

impl Key {
    fn generate() -> Result<Self> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|_| anyhow!("no key"))?;
        let spki = [&P256, pair.public_key().as_ref()].concat();
        Ok(Self { pair, spki })
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let signature = self.pair.sign(&SystemRandom::new(), message).map_err(|_| anyhow!("not signed"))?;
        Ok(signature.as_ref().to_vec())
    }

    /// By which logs are known.
    fn id(&self) -> Vec<u8> {
        sha256(&self.spki)
    }
}

impl Sigstore {
    /// A new one, that nobody trusts yet.
    pub fn new() -> Result<Self> {
        let authority = Key::generate()?;
        let extensions = [
            der::extension(der::BASIC_CONSTRAINTS, true, &der::sequence(&[&der::TRUE])),
            der::extension(der::KEY_USAGE, true, &der::bits(&[0x06], 1)),
        ];
        let tbs = der::Tbs {
            issuer: "tests",
            subject: Some("tests"),
            validity: AUTHORITY_VALIDITY,
            spki: &authority.spki,
            extensions: &extensions.concat(),
        };
        let authority_certificate = der::signed(&tbs.bytes(), |tbs| authority.sign(tbs))?;
        Ok(Self {
            authority,
            authority_certificate,
            certificates: Key::generate()?,
            signatures: Key::generate()?,
        })
    }

    /// What a server has to be given so that it trusts this sigstore: `trusted_root.json`.
    pub fn trusted_root(&self) -> Value {
        let valid = json!({ "start": "2020-01-01T00:00:00Z" });
        let log = |key: &Key| {
            json!({
                "baseUrl": "https://log.test", "hashAlgorithm": "SHA2_256", "logId": { "keyId": base64(&key.id()) },
                "publicKey": {
                    "rawBytes": base64(&key.spki), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": valid,
                },
            })
        };
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log(&self.signatures)],
            "certificateAuthorities": [{
                "subject": { "organization": "tests", "commonName": "tests" }, "uri": "https://ca.test",
                "certChain": { "certificates": [{ "rawBytes": base64(&self.authority_certificate) }] },
                "validFor": valid,
            }],
            "ctlogs": [log(&self.certificates)],
            "timestampAuthorities": [],
        })
    }

    /// Signs a text, as beside a tag: the annotations of its layer.
    pub fn sign_text(&self, by: Signature<'_>, text: &[u8]) -> Result<Value> {
        let signed = self.sign(by, text)?;
        let body = json!({
            "apiVersion": "0.0.1", "kind": "hashedrekord",
            "spec": {
                "data": { "hash": { "algorithm": "sha256", "value": hex(&sha256(text)) } },
                "signature": {
                    "content": base64(&signed.signature),
                    "publicKey": { "content": base64(pem(&signed.certificate).as_bytes()) },
                },
            },
        });
        let body = base64(body.to_string().as_bytes());
        let log = json!({
            "SignedEntryTimestamp": base64(&self.promise(&body, signed.at)?),
            "Payload": {
                "body": body, "integratedTime": signed.at, "logIndex": 0, "logID": hex(&self.signatures.id()),
            },
        });
        Ok(json!({
            "dev.cosignproject.cosign/signature": base64(&signed.signature),
            "dev.sigstore.cosign/certificate": pem(&signed.certificate),
            "dev.sigstore.cosign/chain": pem(&self.authority_certificate),
            "dev.sigstore.cosign/bundle": log.to_string(),
        }))
    }

    /// Signs a statement, as among the referrers: the bundle.
    pub fn sign_statement(&self, by: Signature<'_>, kind: &str, statement: &str) -> Result<Value> {
        let enveloped = format!("DSSEv1 {} {kind} {} {statement}", kind.len(), statement.len());
        let signed = self.sign(by, enveloped.as_bytes())?;
        let hash = |text: &str| json!({ "algorithm": "sha256", "value": hex(&sha256(text.as_bytes())) });
        let body = json!({
            "apiVersion": "0.0.1", "kind": "dsse",
            "spec": {
                "envelopeHash": hash(&enveloped), "payloadHash": hash(statement),
                "signatures": [{
                    "signature": base64(&signed.signature),
                    "verifier": base64(pem(&signed.certificate).as_bytes()),
                }],
            },
        });
        let body = body.to_string();
        // A log that has this one entry: its leaf is the root.
        let root = base64(&sha256(&[&[0], body.as_bytes()].concat()));
        let note = format!("log.test\n1\n{root}\n");
        let hint_and_signature =
            [&self.signatures.id()[..4], &self.signatures.sign(note.as_bytes())?].concat();
        let checkpoint = format!("{note}\n\u{2014} log.test {}\n", base64(&hint_and_signature));
        let body = base64(body.as_bytes());
        Ok(json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": { "rawBytes": base64(&signed.certificate) },
                "tlogEntries": [{
                    "logIndex": "0", "logId": { "keyId": base64(&self.signatures.id()) },
                    "kindVersion": { "kind": "dsse", "version": "0.0.1" },
                    "integratedTime": signed.at.to_string(),
                    "inclusionPromise": { "signedEntryTimestamp": base64(&self.promise(&body, signed.at)?) },
                    "inclusionProof": {
                        "logIndex": "0", "treeSize": "1", "rootHash": root, "hashes": [],
                        "checkpoint": { "envelope": checkpoint },
                    },
                    "canonicalizedBody": body,
                }],
            },
            "dsseEnvelope": {
                "payload": base64(statement.as_bytes()), "payloadType": kind,
                "signatures": [{ "sig": base64(&signed.signature) }],
            },
        }))
    }

    fn sign(&self, by: Signature<'_>, message: &[u8]) -> Result<Signed> {
        let key = Key::generate()?;
        let certificate = self.certificate(by, &key)?;
        Ok(Signed { certificate, signature: key.sign(message)?, at: FROM + by.after })
    }

    /// A certificate that is in the log of certificates: what the log signed is the certificate without that.
    fn certificate(&self, by: Signature<'_>, key: &Key) -> Result<Vec<u8>> {
        let extensions = [
            der::extension(der::KEY_USAGE, true, &der::bits(&[0x80], 7)),
            der::extension(der::EXTENDED_KEY_USAGE, false, &der::sequence(&[der::CODE_SIGNING])),
            der::extension(der::SUBJECT_ALT_NAME, true, &der::sequence(&[&der::general_name(by.subject)])),
            der::extension(der::FULCIO_ISSUER, false, &der::utf8(by.issuer)),
        ]
        .concat();
        let tbs = |extensions: &[u8]| {
            der::Tbs { issuer: "tests", subject: None, validity: VALIDITY, spki: &key.spki, extensions }
                .bytes()
        };
        let at = u64::try_from(FROM)? * 1000;
        let before = tbs(&extensions);
        let length = u32::try_from(before.len())?.to_be_bytes();
        let logged = [
            &[0, 0][..],
            &at.to_be_bytes(),
            &[0, 1],
            &sha256(&self.authority.spki),
            &length[1..],
            &before,
            &[0, 0],
        ]
        .concat();
        let signature = self.certificates.sign(&logged)?;
        let length = u16::try_from(signature.len())?.to_be_bytes();
        let timestamp =
            [&[0][..], &self.certificates.id(), &at.to_be_bytes(), &[0, 0, 4, 3], &length, &signature]
                .concat();
        let length = u16::try_from(timestamp.len())?;
        let list = [&(length + 2).to_be_bytes()[..], &length.to_be_bytes(), &timestamp].concat();
        let of_log = der::extension(der::CERTIFICATE_TIMESTAMPS, false, &der::octets(&list));
        der::signed(&tbs(&[extensions, of_log].concat()), |tbs| self.authority.sign(tbs))
    }

    /// The log's word that an entry is in it since some time.
    fn promise(&self, body: &str, at: i64) -> Result<Vec<u8>> {
        let id = hex(&self.signatures.id());
        let canonical = format!(r#"{{"body":"{body}","integratedTime":{at},"logID":"{id}","logIndex":0}}"#);
        self.signatures.sign(canonical.as_bytes())
    }
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn pem(certificate: &[u8]) -> String {
    let text = STANDARD.encode(certificate);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap_or_default()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}
