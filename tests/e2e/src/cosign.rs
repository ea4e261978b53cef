//! Signing images as `cosign sign` does, in both of its forms, with a key that a test makes or as an identity of a sigstore that a test makes.
//!
//! Written after cosign's own specifications (`specs/SIGNATURE_SPEC.md`, `specs/BUNDLE_SPEC.md`) and not after what reads it here: what the product
//! accepts has to be what cosign makes.

use std::net::SocketAddr;

use anyhow::{Context, Result, anyhow, ensure};
use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use skep_testbed::http;
use skep_testbed::sigstore::{Signature, Sigstore};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const STATEMENT: &str = "application/vnd.in-toto+json";
/// What stands before a key over P-256 in DER.
const P256: &str = "3059301306072a8648ce3d020106082a8648ce3d030107034200";

/// Whoever can sign an image.
pub trait Signs {
    /// Signs a text: the annotations that stand beside it.
    fn text(&self, text: &[u8]) -> Result<Value>;

    /// Signs a statement of a type: the bundle with it.
    fn statement(&self, kind: &str, statement: &str) -> Result<Value>;
}

/// Somebody whom a sigstore certifies.
pub struct Person<'a> {
    /// The sigstore.
    pub sigstore: &'a Sigstore,
    /// Who he is, and when he signs.
    pub by: Signature<'a>,
}

impl Signs for Person<'_> {
    fn text(&self, text: &[u8]) -> Result<Value> {
        self.sigstore.sign_text(self.by, text)
    }

    fn statement(&self, kind: &str, statement: &str) -> Result<Value> {
        self.sigstore.sign_statement(self.by, kind, statement)
    }
}

/// A pair of keys, as `cosign generate-key-pair` makes them.
pub struct Signer(EcdsaKeyPair);

impl Signer {
    /// A new one.
    pub fn generate() -> Result<Self> {
        EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map(Self).map_err(|_| anyhow!("no key"))
    }

    /// What would be `cosign.pub`.
    pub fn public_key(&self) -> Result<String> {
        let der = [hex::decode(P256)?, self.0.public_key().as_ref().to_vec()].concat();
        Ok(format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der)))
    }

    fn sign(&self, message: &[u8]) -> Result<String> {
        let signature = self.0.sign(&SystemRandom::new(), message).map_err(|_| anyhow!("not signed"))?;
        Ok(STANDARD.encode(signature))
    }
}

impl Signs for Signer {
    fn text(&self, text: &[u8]) -> Result<Value> {
        Ok(json!({ "dev.cosignproject.cosign/signature": self.sign(text)? }))
    }

    fn statement(&self, kind: &str, statement: &str) -> Result<Value> {
        let enveloped = format!("DSSEv1 {} {kind} {} {statement}", kind.len(), statement.len());
        Ok(json!({
            "mediaType": BUNDLE, "verificationMaterial": {"publicKey": {"hint": "a2V5"}},
            "dsseEnvelope": {"payload": STANDARD.encode(statement), "payloadType": kind,
                             "signatures": [{"sig": self.sign(enveloped.as_bytes())?}]}}))
    }
}

/// A repository of a registry without TLS.
pub struct Repository {
    registry: SocketAddr,
    name: String,
}

impl Repository {
    /// The repository of that name.
    pub fn new(registry: SocketAddr, name: &str) -> Self {
        Self { registry, name: name.to_owned() }
    }

    /// The digest that a tag stands for.
    pub fn digest(&self, tag: &str) -> Result<String> {
        let accept = format!("{MANIFEST}, {INDEX}, application/vnd.docker.distribution.manifest.v2+json");
        let path = format!("/v2/{}/manifests/{tag}", self.name);
        let (address, port) = (self.registry.ip(), self.registry.port());
        let answer =
            http::get_with(address, port, &self.registry.to_string(), &path, &[("Accept", &accept)])?;
        ensure!(answer.status == 200, "{answer:?}");
        Ok(sha256(&answer.body))
    }

    /// Puts a signature of `digest` beside `beside`, in the older form: `cosign sign --new-bundle-format=false`. The text that is put there is
    /// changed afterwards by `tamper`.
    pub fn sign_simple(
        &self,
        signer: &dyn Signs,
        digest: &str,
        beside: &str,
        tamper: impl Fn(String) -> String,
    ) -> Result<()> {
        let payload = json!({
            "critical": {"identity": {"docker-reference": format!("{}/{}", self.registry, self.name)},
                         "image": {"docker-manifest-digest": digest}, "type": "cosign container image signature"},
            "optional": null}).to_string();
        let annotations = signer.text(payload.as_bytes())?;
        let payload = tamper(payload);
        let config = self.put_blob("{}")?;
        let layer = self.put_blob(&payload)?;
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "size": 2, "digest": config},
            "layers": [{"mediaType": "application/vnd.dev.cosign.simplesigning.v1+json", "size": payload.len(),
                        "digest": layer, "annotations": annotations}]});
        let tag = format!("{}.sig", beside.replacen(':', "-", 1));
        self.put_manifest(&tag, MANIFEST, &manifest).map(drop)
    }

    /// Puts a signature of `digest` beside it, in the newer form, under the tag that stands in for referrers: what `cosign sign` does with a
    /// registry that has no referrers.
    pub fn sign_bundle(&self, signer: &dyn Signs, digest: &str) -> Result<()> {
        let hex = digest.strip_prefix("sha256:").context("a digest")?;
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {"sha256": hex}, "annotations": {}}],
            "predicateType": "https://sigstore.dev/cosign/sign/v1", "predicate": {}}).to_string();
        let bundle = signer.statement(STATEMENT, &statement)?.to_string();
        let layer = self.put_blob(&bundle)?;
        let config = self.put_blob("{}")?;
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": BUNDLE,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "size": 2, "digest": config},
            "layers": [{"mediaType": BUNDLE, "size": bundle.len(), "digest": layer}],
            "subject": {"mediaType": MANIFEST, "digest": digest, "size": 0},
            "annotations": {"dev.sigstore.bundle.content": "dsse-envelope",
                            "dev.sigstore.bundle.predicateType": "https://sigstore.dev/cosign/sign/v1"}});
        let text = manifest.to_string();
        let of_manifest = self.put_manifest(&sha256(&text), MANIFEST, &manifest)?;
        let index = json!({
            "schemaVersion": 2, "mediaType": INDEX,
            "manifests": [{"mediaType": MANIFEST, "digest": of_manifest, "size": text.len(), "artifactType": BUNDLE}]});
        self.put_manifest(&digest.replacen(':', "-", 1), INDEX, &index).map(drop)
    }

    fn put_blob(&self, content: &str) -> Result<String> {
        let digest = sha256(content);
        let begun = self.send("POST", &format!("/v2/{}/blobs/uploads/", self.name), "", "")?;
        ensure!(begun.status == 202, "{begun:?}");
        let location = begun.head.lines().find_map(|line| line.strip_prefix("Location: "));
        let location = location.context("an upload has a place")?.trim();
        let path = location
            .split_once("://")
            .map_or(location, |(_, rest)| rest.find('/').map_or("/", |at| rest.split_at(at).1));
        let put =
            self.send("PUT", &format!("{path}&digest={digest}"), "application/octet-stream", content)?;
        ensure!(put.status == 201, "{put:?}");
        Ok(digest)
    }

    fn put_manifest(&self, reference: &str, kind: &str, manifest: &Value) -> Result<String> {
        let text = manifest.to_string();
        let put = self.send("PUT", &format!("/v2/{}/manifests/{reference}", self.name), kind, &text)?;
        ensure!(put.status == 201, "{put:?}");
        Ok(sha256(&text))
    }

    fn send(&self, method: &str, path: &str, kind: &str, body: &str) -> Result<http::Answer> {
        http::send_to(self.registry, method, path, kind, body)
    }
}

fn sha256(text: &str) -> String {
    format!("sha256:{}", hex::encode(digest::digest(&digest::SHA256, text.as_bytes())))
}
