use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde_json::json;

use super::*;

/// A signature that cosign itself made, from the tests of sigstore-rs (Apache-2.0): key, payload and signature.
const COSIGN_KEY: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAENptdY/l3nB0yqkXLBWkZWQwo6+cu\nOSWS1X9vPavpiQOoTTGC0xX57OojUadxF1cdQmrsiReWg2Wn4FneJfa8xw==\n-----END PUBLIC KEY-----\n";
const COSIGN_PAYLOAD: &str = r#"{"critical":{"identity":{"docker-reference":"registry-testing.svc.lan/busybox"},"image":{"docker-manifest-digest":"sha256:f3cfc9d0dbf931d3db4685ec659b7ac68e2a578219da4aae65427886e649b06b"},"type":"cosign container image signature"},"optional":null}"#;
const COSIGN_SIGNATURE: &str =
    "MEUCIQD6q/COgzOyW0YH1Dk+CCYSt4uAhm3FDHUwvPI55zwnlwIgE0ZK58ZOWpZw8YVmBapJhBqCfdPekIknimuO0xH8Jh8=";

fn digest(of: char) -> ImageDigest {
    format!("sha256:{}", of.to_string().repeat(64)).parse().unwrap()
}

#[test]
fn a_signature_that_cosign_made_is_one_and_no_longer_once_a_byte_is_another() {
    let key: PublicKey = COSIGN_KEY.parse().unwrap();
    let signed: ImageDigest =
        "sha256:f3cfc9d0dbf931d3db4685ec659b7ac68e2a578219da4aae65427886e649b06b".parse().unwrap();
    let candidate = |payload: &str, signature: &str| {
        Candidate::simple(payload.as_bytes().to_vec(), signature).unwrap().judge(&signed, &key)
    };
    assert_eq!(candidate(COSIGN_PAYLOAD, COSIGN_SIGNATURE), Judgement::Signs);
    assert_eq!(candidate(&COSIGN_PAYLOAD.replace("busybox", "busybux"), COSIGN_SIGNATURE), Judgement::Not);
    assert_eq!(candidate(COSIGN_PAYLOAD, &COSIGN_SIGNATURE.replace("MEUCIQD6", "MEUCIQD7")), Judgement::Not);
    let other = Candidate::simple(COSIGN_PAYLOAD.as_bytes().to_vec(), COSIGN_SIGNATURE).unwrap();
    assert_eq!(other.judge(&digest('a'), &key), Judgement::SignsAnother(signed.to_string()));
    assert_eq!(Candidate::simple(Vec::new(), "not base64!"), None);
}

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// Something to sign with.
struct Signer {
    key: PublicKey,
    sign: Sign,
}

fn pem(der: &[u8]) -> PublicKey {
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
        .parse()
        .unwrap()
}

fn ecdsa(algorithm: &'static EcdsaSigningAlgorithm) -> Signer {
    let pair = EcdsaKeyPair::generate(algorithm).unwrap();
    let before: &[u8] = if pair.public_key().as_ref().len() == 65 {
        &hex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
    } else {
        &hex("3076301006072a8648ce3d020106052b81040022036200")
    };
    let key = pem(&[before, pair.public_key().as_ref()].concat());
    Signer {
        key,
        sign: Box::new(move |text| pair.sign(&SystemRandom::new(), text).unwrap().as_ref().to_vec()),
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn ed25519() -> Signer {
    let pair = Ed25519KeyPair::generate().unwrap();
    let key = pem(&[&hex("302a300506032b6570032100")[..], pair.public_key().as_ref()].concat());
    Signer { key, sign: Box::new(move |text| pair.sign(text).as_ref().to_vec()) }
}

fn rsa() -> Signer {
    use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    let key = pem(der.as_ref());
    let sign = move |text: &[u8]| {
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature).unwrap();
        signature
    };
    Signer { key, sign: Box::new(sign) }
}

fn simple_of(digest: &ImageDigest, kind: &str) -> Vec<u8> {
    let payload = json!({"critical": {"identity": {"docker-reference": "x/y"},
        "image": {"docker-manifest-digest": digest.as_str()}, "type": kind}, "optional": null});
    payload.to_string().into_bytes()
}

fn bundle(signer: &Signer, kind: &str, statement: &Value) -> Vec<u8> {
    let payload = statement.to_string().into_bytes();
    let signature = (signer.sign)(&enveloped(kind, &payload));
    let bundle = json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": "aGludA=="}},
        "dsseEnvelope": {"payload": STANDARD.encode(&payload), "payloadType": kind,
                         "signatures": [{"sig": STANDARD.encode(signature)}]}});
    bundle.to_string().into_bytes()
}

fn statement_of(digest: &ImageDigest, predicate: &str) -> Value {
    let hex = digest.as_str().strip_prefix("sha256:").unwrap();
    json!({"_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {"sha256": hex}}],
           "predicateType": predicate, "predicate": {}})
}

#[test]
fn every_sort_of_key_signs_in_both_forms_and_no_other_key_is_taken_for_it() {
    let signers =
        [ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING), ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING), ed25519(), rsa()];
    let (ours, theirs) = (digest('a'), digest('b'));
    for (at, signer) in signers.iter().enumerate() {
        let payload = simple_of(&ours, SIMPLE_TYPE);
        let signature = STANDARD.encode((signer.sign)(&payload));
        let simple = Candidate::simple(payload, &signature).unwrap();
        let bundles = Candidate::of_bundle(&bundle(signer, STATEMENT_TYPE, &statement_of(&ours, SIGNS)));
        assert_eq!(bundles.len(), 1);
        for candidate in [&simple, &bundles[0]] {
            assert_eq!(candidate.judge(&ours, &signer.key), Judgement::Signs, "{at}");
            let another = Judgement::SignsAnother(ours.to_string());
            assert_eq!(candidate.judge(&theirs, &signer.key), another, "{at}");
            for (other_at, other) in signers.iter().enumerate().filter(|(other, _)| *other != at) {
                assert_eq!(candidate.judge(&ours, &other.key), Judgement::Not, "{at} {other_at}");
            }
        }
    }
}

#[test]
fn what_was_signed_for_another_purpose_is_no_signature_of_an_image() {
    let signer = ed25519();
    let ours = digest('a');
    let payload = simple_of(&ours, "atomic container signature");
    let signature = STANDARD.encode((signer.sign)(&payload));
    assert_eq!(Candidate::simple(payload, &signature).unwrap().judge(&ours, &signer.key), Judgement::Not);
    for (kind, statement) in [
        (STATEMENT_TYPE, statement_of(&ours, "https://spdx.dev/Document")),
        (STATEMENT_TYPE, statement_of(&ours, "https://slsa.dev/provenance/v1")),
        ("text/plain", statement_of(&ours, SIGNS)),
        (STATEMENT_TYPE, json!({"predicateType": SIGNS})),
        (STATEMENT_TYPE, json!({"_type": "x", "subject": [], "predicateType": SIGNS})),
    ] {
        let candidates = Candidate::of_bundle(&bundle(&signer, kind, &statement));
        assert_eq!(candidates[0].judge(&ours, &signer.key), Judgement::Not, "{kind} {statement}");
    }
    for nothing in ["", "{}", r#"{"dsseEnvelope":{}}"#, r#"{"messageSignature":{"signature":"AA=="}}"#] {
        assert_eq!(Candidate::of_bundle(nothing.as_bytes()), []);
    }
}

#[test]
fn an_envelope_is_signed_with_its_type_and_lengths() {
    assert_eq!(enveloped("a/b", b"hello"), b"DSSEv1 3 a/b 5 hello");
}
