use serde_json::{Value, json};
use skep_schemas::ImageDigest;
use skep_schemas::kind::Identity;
use skep_testbed::sigstore::{Signature, Sigstore};

use super::super::judge::{Candidate, IdentityJudgement};
use super::*;

const ISSUER: &str = "https://token.actions.githubusercontent.com";
const SUBJECT: &str = "https://github.com/acme/shop/.github/workflows/release.yml@refs/tags/v1";
const STATEMENT: &str = "application/vnd.in-toto+json";

fn root_of(sigstore: &Sigstore) -> TrustedRoot {
    TrustedRoot::parse(&sigstore.trusted_root().to_string()).unwrap()
}

fn digest_of(of: char) -> ImageDigest {
    format!("sha256:{}", of.to_string().repeat(64)).parse().unwrap()
}

const fn by<'a>(issuer: &'a str, subject: &'a str) -> Signature<'a> {
    Signature { issuer, subject, after: 60 }
}

fn identity(issuer: &str, subject: &str) -> Identity {
    serde_json::from_value(json!({"issuer": issuer, "subject": subject})).unwrap()
}

/// A form in which signatures are found.
#[derive(Clone, Copy, Debug)]
enum In {
    Text,
    Bundle,
}

/// What a registry has beside an image.
enum Beside {
    Text(Vec<u8>, Value),
    Bundle(Value),
}

impl In {
    fn sign(self, sigstore: &Sigstore, by: Signature<'_>, digest: &ImageDigest) -> Beside {
        match self {
            Self::Text => {
                let text = json!({"critical": {"identity": {"docker-reference": "x/y"},
                    "image": {"docker-manifest-digest": digest.as_str()}, "type": "cosign container image signature"},
                    "optional": null});
                let text = text.to_string().into_bytes();
                let annotations = sigstore.sign_text(by, &text).unwrap();
                Beside::Text(text, annotations)
            }
            Self::Bundle => {
                let hex = digest.as_str().strip_prefix("sha256:").unwrap();
                let statement = json!({"_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {"sha256": hex}}],
                    "predicateType": "https://sigstore.dev/cosign/sign/v1", "predicate": {}});
                Beside::Bundle(sigstore.sign_statement(by, STATEMENT, &statement.to_string()).unwrap())
            }
        }
    }
}

impl Beside {
    fn judge(&self, root: &TrustedRoot, digest: &ImageDigest, identity: &Identity) -> IdentityJudgement {
        let (candidate, proof) = match self {
            Self::Text(text, annotations) => {
                let of = |name: &str| annotations[format!("dev.sigstore.cosign/{name}")].as_str();
                let signature = annotations["dev.cosignproject.cosign/signature"].as_str().unwrap();
                let candidate = Candidate::simple(text.clone(), signature).unwrap();
                let beside = Annotations {
                    certificate: of("certificate"),
                    chain: of("chain"),
                    log: of("bundle"),
                    timestamp: of("rfc3161timestamp"),
                };
                let proof = Proof::of_annotations(candidate.signature(), beside);
                (candidate, proof)
            }
            Self::Bundle(bundle) => {
                let bundle = bundle.to_string().into_bytes();
                (Candidate::of_bundle(&bundle).remove(0), Proof::of_bundle(&bundle))
            }
        };
        let maker = proof.and_then(|proof| root.maker(&candidate.words(digest).unwrap(), &proof));
        candidate.judge_made(digest, identity, &maker)
    }

    /// Why it is nobody's.
    fn why(&self, root: &TrustedRoot, digest: &ImageDigest) -> String {
        match self.judge(root, digest, &identity(ISSUER, SUBJECT)) {
            IdentityJudgement::Unverified(why) => why,
            other => panic!("{other:?}"),
        }
    }

    /// The same with something of a bundle, or of what the log said, put otherwise.
    fn with(mut self, change: impl FnOnce(&mut Value)) -> Self {
        match &mut self {
            Self::Text(_, annotations) => change(annotations),
            Self::Bundle(bundle) => change(bundle),
        }
        self
    }
}

#[test]
fn an_identity_signs_in_both_forms_and_nobody_else_is_taken_for_it() {
    let sigstore = Sigstore::new().unwrap();
    let root = root_of(&sigstore);
    let (ours, theirs) = (digest_of('a'), digest_of('b'));
    let mail = by("https://accounts.google.com", "release@acme.example");
    for form in [In::Text, In::Bundle] {
        let signed = form.sign(&sigstore, by(ISSUER, SUBJECT), &ours);
        let judge = |digest, identity| signed.judge(&root, digest, &identity);
        assert_eq!(judge(&ours, identity(ISSUER, SUBJECT)), IdentityJudgement::Signs, "{form:?}");
        let maker = Maker { issuer: ISSUER.to_owned(), subject: SUBJECT.to_owned() };
        for other in [
            identity("https://accounts.google.com", SUBJECT),
            identity(ISSUER, &SUBJECT.replace("acme", "evil")),
            identity(ISSUER, "release@acme.example"),
        ] {
            let judged = judge(&ours, other);
            assert_eq!(judged, IdentityJudgement::OfSomebody(maker.clone()), "{form:?}");
        }
        let another = IdentityJudgement::SignsAnother(ours.to_string());
        assert_eq!(judge(&theirs, identity(ISSUER, SUBJECT)), another, "{form:?}");
        let of_somebody = judge(&theirs, identity(ISSUER, "release@acme.example"));
        assert!(matches!(of_somebody, IdentityJudgement::Unverified(_)), "{form:?}");
        let signed = form.sign(&sigstore, mail, &ours);
        assert_eq!(
            signed.judge(&root, &ours, &identity(mail.issuer, mail.subject)),
            IdentityJudgement::Signs
        );
    }
}

#[test]
fn what_another_authority_certified_or_another_log_has_is_nobodys() {
    let (sigstore, other) = (Sigstore::new().unwrap(), Sigstore::new().unwrap());
    let ours = digest_of('a');
    for form in [In::Text, In::Bundle] {
        let signed = form.sign(&sigstore, by(ISSUER, SUBJECT), &ours);
        for (part, why) in [("certificateAuthorities", "chain"), ("ctlogs", "SCT"), ("tlogs", "log")] {
            let mut root = sigstore.trusted_root();
            root[part] = other.trusted_root()[part].clone();
            let root = TrustedRoot::parse(&root.to_string()).unwrap();
            let said = signed.why(&root, &ours);
            assert!(said.contains(why), "{form:?} {part}: {said}");
        }
    }
}

#[test]
fn what_was_signed_before_or_after_the_certificate_was_valid_is_nobodys() {
    let sigstore = Sigstore::new().unwrap();
    let (root, ours) = (root_of(&sigstore), digest_of('a'));
    for form in [In::Text, In::Bundle] {
        for after in [-1, 601] {
            let late = Signature { after, ..by(ISSUER, SUBJECT) };
            let why = form.sign(&sigstore, late, &ours).why(&root, &ours);
            assert!(why.contains("cert") || why.contains("time"), "{form:?} {after}: {why}");
        }
    }
    // Without a log's word on the time there is none, and the certificate ended long ago.
    let untimed = In::Bundle.sign(&sigstore, by(ISSUER, SUBJECT), &ours).with(|bundle| {
        bundle["verificationMaterial"]["tlogEntries"][0].as_object_mut().unwrap().remove("inclusionPromise");
    });
    let why = untimed.why(&root, &ours);
    assert!(why.contains("timestamp"), "{why}");
}

#[test]
fn whatever_is_changed_or_left_out_of_a_proof_makes_it_none() {
    let sigstore = Sigstore::new().unwrap();
    let (root, ours) = (root_of(&sigstore), digest_of('a'));
    let text = || In::Text.sign(&sigstore, by(ISSUER, SUBJECT), &ours);
    let (one, two) = (text(), text());
    let (Beside::Text(_, one), Beside::Text(_, two)) = (one, two) else { unreachable!() };
    for name in ["certificate", "bundle"] {
        let name = format!("dev.sigstore.cosign/{name}");
        let missing = text().with(|annotations| drop(annotations.as_object_mut().unwrap().remove(&name)));
        assert!(!missing.why(&root, &ours).is_empty());
        // Of another signature by the same identity.
        let (put, with) = (Beside::Text(Vec::new(), one.clone()), two[&name].clone());
        let Beside::Text(_, mixed) = put.with(|annotations| annotations[&name] = with) else {
            unreachable!()
        };
        let Beside::Text(words, _) = text() else { unreachable!() };
        assert!(!Beside::Text(words, mixed).why(&root, &ours).is_empty(), "{name}");
        let garbage = text().with(|annotations| annotations[&name] = "garbage".into());
        assert!(!garbage.why(&root, &ours).is_empty());
    }
    let bundle = || In::Bundle.sign(&sigstore, by(ISSUER, SUBJECT), &ours);
    for pointer in [
        "/verificationMaterial/tlogEntries/0/inclusionProof",
        "/verificationMaterial/tlogEntries/0/canonicalizedBody",
        "/verificationMaterial/tlogEntries",
        "/verificationMaterial/certificate",
    ] {
        let (within, field) = pointer.rsplit_once('/').unwrap();
        let cut = bundle().with(|bundle| {
            drop(bundle.pointer_mut(within).unwrap().as_object_mut().unwrap().remove(field));
        });
        assert!(!cut.why(&root, &ours).is_empty(), "{pointer}");
    }
    for (pointer, value) in [
        ("/verificationMaterial/tlogEntries/0/integratedTime", json!("1767225700")),
        ("/verificationMaterial/tlogEntries/0/inclusionProof/rootHash", json!(STANDARD.encode([7; 32]))),
        ("/verificationMaterial/tlogEntries/0/logId/keyId", json!(STANDARD.encode([7; 32]))),
        ("/dsseEnvelope/signatures/0/sig", json!(STANDARD.encode([7; 70]))),
        ("/verificationMaterial/certificate/rawBytes", json!(STANDARD.encode([0x30; 700]))),
    ] {
        let changed = bundle().with(|bundle| *bundle.pointer_mut(pointer).unwrap() = value);
        assert!(!changed.why(&root, &ours).is_empty(), "{pointer}");
    }
}

#[test]
fn a_proof_without_end_is_not_read() {
    let sigstore = Sigstore::new().unwrap();
    let (root, ours) = (root_of(&sigstore), digest_of('a'));
    let many = In::Bundle.sign(&sigstore, by(ISSUER, SUBJECT), &ours).with(|bundle| {
        let entries = bundle["verificationMaterial"]["tlogEntries"].as_array_mut().unwrap();
        *entries = vec![entries[0].clone(); PROOFS_MAX + 1];
    });
    assert!(many.why(&root, &ours).contains("more entries"));
    let long = " ".repeat(PROOF_MAX);
    let beside = Annotations { certificate: Some(&long), log: Some("x"), ..Annotations::default() };
    assert_eq!(Proof::of_annotations(&[], beside).unwrap_err(), "its annotations are too long");
    assert_eq!(Proof::of_bundle(format!("{long}{{").as_bytes()).unwrap_err(), "its bundle is too long");
    for text in [
        "",
        "{}",
        "[[[[",
        "\u{0}",
        &"[".repeat(10_000),
        r#"{"verificationMaterial":{"publicKey":{"hint":"x"}}}"#,
    ] {
        assert!(Proof::of_bundle(text.as_bytes()).is_err());
        let beside = Annotations { certificate: Some(text), log: Some(text), ..Annotations::default() };
        assert!(Proof::of_annotations(text.as_bytes(), beside).is_err());
    }
    assert_eq!(told("a\nb\u{1b}c"), "a b c");
    assert_eq!(told(&"x".repeat(999)).len(), TOLD_MAX);
}

#[test]
fn a_statement_that_a_workflow_signed_at_the_public_sigstore_is_the_workflows() {
    let root = TrustedRoot::parse(trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT).unwrap();
    let bundle = include_bytes!("vectors/workflow.sigstore.json");
    let said: Value = serde_json::from_slice(bundle).unwrap();
    let statement = STANDARD.decode(said["dsseEnvelope"]["payload"].as_str().unwrap()).unwrap();
    let about: Value = serde_json::from_slice(&statement).unwrap();
    let sha256 = about["subject"][0]["digest"]["sha256"].as_str().unwrap();
    let head = format!("DSSEv1 {} {STATEMENT} {} ", STATEMENT.len(), statement.len());
    let enveloped = [head.as_bytes(), &statement].concat();
    let proof = Proof::of_bundle(bundle).unwrap();
    let maker = root.maker(&Words::About { enveloped: &enveloped, sha256 }, &proof).unwrap();
    let subject =
        "https://github.com/prefix-dev/sigstore-example/.github/workflows/action.yaml@refs/heads/main";
    assert_eq!(maker, Maker { issuer: ISSUER.to_owned(), subject: subject.to_owned() });
    let other = "a".repeat(64);
    let of_another = root.maker(&Words::About { enveloped: &enveloped, sha256: &other }, &proof);
    assert!(of_another.unwrap_err().contains("artifact"));
    let changed = [&enveloped[..], b" "].concat();
    assert!(root.maker(&Words::About { enveloped: &changed, sha256 }, &proof).is_err());
    let elsewhere = root_of(&Sigstore::new().unwrap());
    assert!(elsewhere.maker(&Words::About { enveloped: &enveloped, sha256 }, &proof).is_err());
}

#[test]
fn a_root_that_trusts_too_little_is_refused() {
    let sigstore = Sigstore::new().unwrap();
    for part in ["certificateAuthorities", "ctlogs", "tlogs"] {
        let mut root = sigstore.trusted_root();
        root[part] = json!([]);
        let error = TrustedRoot::parse(&root.to_string()).unwrap_err();
        assert!(matches!(error, TrustedRootError::Lacking(_)), "{error}");
    }
    let (one, other) = (root_of(&sigstore), root_of(&Sigstore::new().unwrap()));
    assert_eq!(one.sha256().len(), 64);
    assert_ne!(one.sha256(), other.sha256());
}
