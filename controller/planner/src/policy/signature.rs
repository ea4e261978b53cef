//! Who must have signed an image, and what is known of its signatures.
//!
//! Whether a digest is signed by a key or an identity is a fact that somebody has to look up; this is where facts become decisions. What was not looked up, and
//! what a registry did not tell, is open: neither signed nor unsigned. A signature that was found holds, because a digest and a signature of it are
//! what they are. That none was found may change at any time, so it is looked at again, after longer and longer pauses.

use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use skep_schemas::ImageDigest;
use skep_schemas::kind::Signer;

use super::Violation;
use super::image::ImageRules;
use crate::release::{ReleaseImage, ResolvedImage};

/// The shortest pause before a signature is looked for again: somebody signs right after pushing.
const PAUSE_MIN: SignedDuration = SignedDuration::from_secs(15);
/// The longest.
const PAUSE_MAX: SignedDuration = SignedDuration::from_mins(10);

/// What is signed: a digest, in the repository where its signatures are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signed {
    /// The repository, in full: `ghcr.io/acme/shop`.
    pub repository: String,
    /// The digest.
    pub digest: ImageDigest,
}

impl Signed {
    /// What has to be signed of an image; none of what no registry has.
    pub fn of(image: &ReleaseImage) -> Option<Self> {
        match &image.resolved {
            ResolvedImage::Registry { digest } => {
                Some(Self { repository: image.reference.full_name(), digest: digest.clone() })
            }
            ResolvedImage::Engine { .. } => None,
        }
    }
}

/// Is a digest signed by a signer?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureFact {
    /// It is.
    Signed,
    /// It was not, when that was looked at.
    Unsigned {
        /// What was found instead.
        found: Found,
        /// Since when it is known.
        since: Timestamp,
        /// When it was looked at last.
        checked_at: Timestamp,
    },
}

/// What was found instead of a signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Found {
    /// No signature at all.
    Nothing,
    /// Signatures, none of which is of this key for what it says.
    Others {
        /// How many.
        count: usize,
    },
    /// A signature of this signer that is put beside this digest, and is of another one.
    OfAnother {
        /// Of what.
        digest: String,
    },
    /// For an identity: signatures of which it could not be verified whose they are.
    Unverified {
        /// How many.
        count: usize,
        /// Why not, of the last.
        why: String,
    },
    /// For an identity: a signature of somebody else.
    OfSomebody {
        /// Who he is.
        subject: String,
        /// Who vouches for him.
        issuer: String,
    },
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("it has no signature"),
            Self::Others { count: 1 } => {
                f.write_str("its signature is of another key, or was changed after it was made")
            }
            Self::Others { count } => {
                write!(f, "its {count} signatures are of other keys, or were changed after they were made")
            }
            Self::OfAnother { digest } => write!(f, "the signature beside it is of {digest}"),
            Self::Unverified { count: 1, why } => write!(f, "its signature is not of an identity: {why}"),
            Self::Unverified { count, why } => {
                write!(f, "none of its {count} signatures is of an identity; of the last: {why}")
            }
            Self::OfSomebody { subject, issuer } => write!(f, "it is signed by {subject} of {issuer}"),
        }
    }
}

impl SignatureFact {
    /// When it is to be looked at again; `None` for what holds.
    pub fn again_at(&self) -> Option<Timestamp> {
        let Self::Unsigned { since, checked_at, .. } = self else { return None };
        let known_for = checked_at.duration_since(*since);
        let pause = (known_for / 2).clamp(PAUSE_MIN, PAUSE_MAX);
        Some(checked_at.checked_add(pause).unwrap_or(*checked_at))
    }
}

/// What is known of signatures.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SignatureFacts {
    facts: BTreeMap<Signed, BTreeMap<Signer, SignatureFact>>,
    /// Why it could not be found out.
    unanswered: BTreeMap<Signed, String>,
}

/// What the rules say of an image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// What they do not allow.
    pub violations: Vec<Violation>,
    /// Is it open whether a rule that forbids allows it? Why, in words.
    pub open: Option<String>,
    /// When it is to be looked at again, if ever.
    pub again_at: Option<Timestamp>,
}

impl SignatureFacts {
    /// Notes what is known.
    pub fn note(&mut self, signed: Signed, signer: Signer, fact: SignatureFact) {
        self.facts.entry(signed).or_default().insert(signer, fact);
    }

    /// Notes why something could not be found out.
    pub fn note_unanswered(&mut self, signed: Signed, why: String) {
        self.unanswered.insert(signed, why);
    }

    /// What is known of a digest and a signer.
    pub fn get(&self, signed: &Signed, signer: &Signer) -> Option<&SignatureFact> {
        self.facts.get(signed)?.get(signer)
    }

    /// Everything of which something is known.
    pub fn subjects(&self) -> impl Iterator<Item = &Signed> {
        self.facts.keys().chain(self.unanswered.keys().filter(|signed| !self.facts.contains_key(signed)))
    }
}

/// The signers that any of the rules asks for.
pub fn signers(rules: &[ImageRules]) -> Vec<Signer> {
    let mut signers: Vec<Signer> =
        rules.iter().flat_map(|rules| &rules.spec.require_signature).cloned().collect();
    signers.sort();
    signers.dedup();
    signers
}

/// What the rules say of an image.
pub fn verdict(rules: &[ImageRules], image: &ReleaseImage, facts: &SignatureFacts) -> Verdict {
    let mut verdict = Verdict::default();
    for rules in rules.iter().filter(|rules| !rules.spec.require_signature.is_empty()) {
        let why = match Signed::of(image) {
            None => "only the engine has it, and what is signed is in a registry".to_owned(),
            Some(signed) => match standing(rules, &signed, facts) {
                Standing::Met => continue,
                Standing::Open => {
                    let why = facts.unanswered.get(&signed).cloned();
                    let why = why.unwrap_or_else(|| "its registry has not been asked yet".to_owned());
                    let violation = violation(rules, image, &why);
                    if violation.forbids() {
                        verdict.open.get_or_insert(why);
                    }
                    continue;
                }
                Standing::Broken { why, again_at } => {
                    verdict.again_at = [verdict.again_at, again_at].into_iter().flatten().min();
                    why
                }
            },
        };
        verdict.violations.push(violation(rules, image, &why));
    }
    verdict
}

/// When any of what is known is to be looked at again: what is open at once, and what a rule does not allow after a pause.
pub fn again_at(rules: &[ImageRules], facts: &SignatureFacts, now: Timestamp) -> Option<Timestamp> {
    let soon = now.checked_add(PAUSE_MIN).ok();
    let one = |signed: &Signed| {
        let asked = rules.iter().filter(|rules| !rules.spec.require_signature.is_empty());
        let each = asked.filter_map(|rules| match standing(rules, signed, facts) {
            Standing::Met => None,
            Standing::Open => soon,
            Standing::Broken { again_at, .. } => again_at,
        });
        each.min()
    };
    facts.subjects().filter_map(one).min()
}

/// How a digest stands to the signers of one set of rules.
enum Standing {
    Met,
    Open,
    Broken { why: String, again_at: Option<Timestamp> },
}

fn standing(rules: &ImageRules, signed: &Signed, facts: &SignatureFacts) -> Standing {
    let (mut broken, mut again, mut open) = (Vec::new(), None, false);
    for signer in &rules.spec.require_signature {
        match facts.get(signed, signer) {
            Some(SignatureFact::Signed) => return Standing::Met,
            Some(fact @ SignatureFact::Unsigned { found, .. }) => {
                again = [again, fact.again_at()].into_iter().flatten().min();
                let by = match signer {
                    Signer::Key(_) => "with",
                    Signer::Identity(_) => "by",
                };
                broken.push(format!("not signed {by} {signer}: {found}"));
            }
            None => open = true,
        }
    }
    if open { Standing::Open } else { Standing::Broken { why: broken.join("; "), again_at: again } }
}

fn violation(rules: &ImageRules, image: &ReleaseImage, why: &str) -> Violation {
    Violation {
        policy: rules.policy.clone(),
        why: format!("image {}: {why}", image.pinned()),
        enforcement: rules.spec.enforcement,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use skep_schemas::kind::Enforcement;

    use super::*;

    const KEYS: [&str; 2] = [
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n-----END PUBLIC KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n-----END PUBLIC KEY-----\n",
    ];

    fn rules(keys: &[&str], enforcement: &str) -> ImageRules {
        let signers: Vec<Value> = keys.iter().map(|key| json!({"key": key})).collect();
        let spec = json!({"requireSignature": signers, "enforcement": enforcement});
        ImageRules { policy: "ImagePolicy/signed".to_owned(), spec: serde_json::from_value(spec).unwrap() }
    }

    fn image() -> ReleaseImage {
        let digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
        ReleaseImage {
            reference: "ghcr.io/acme/shop:1".parse().unwrap(),
            resolved: ResolvedImage::Registry { digest },
            start: None,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn unsigned(since: i64, checked: i64) -> SignatureFact {
        SignatureFact::Unsigned { found: Found::Nothing, since: at(since), checked_at: at(checked) }
    }

    fn facts(of: &[(&str, SignatureFact)]) -> SignatureFacts {
        let mut facts = SignatureFacts::default();
        for (key, fact) in of {
            let signer = Signer::Key(key.parse().unwrap());
            facts.note(Signed::of(&image()).unwrap(), signer, fact.clone());
        }
        facts
    }

    #[test]
    fn any_of_the_signers_suffices_and_of_all_rules_each_has_to_be_met() {
        let one = rules(&KEYS[..1], "block");
        let either = rules(&KEYS, "block");
        let known = facts(&[(KEYS[0], unsigned(0, 0)), (KEYS[1], SignatureFact::Signed)]);
        assert_eq!(verdict(std::slice::from_ref(&either), &image(), &known), Verdict::default());
        let both = verdict(&[one, either], &image(), &known);
        assert_eq!(both.violations.len(), 1);
        assert_eq!(
            both.violations[0].why,
            format!(
                "image {}: not signed with the key that ends in AAAAAAAAAAA=: it has no signature",
                image().pinned()
            )
        );
    }

    #[test]
    fn an_identity_is_a_signer_as_a_key_is_and_is_told_who_signed_instead() {
        let identity = json!({"issuer": "https://accounts.google.com", "subjectPattern": "*@acme.example"});
        let spec = json!({"requireSignature": [{"key": KEYS[0]}, {"identity": identity}]});
        let spec: skep_schemas::kind::ImagePolicySpec = serde_json::from_value(spec).unwrap();
        let rules = [ImageRules { policy: "ImagePolicy/signed".to_owned(), spec }];
        let signers = signers(&rules);
        let by = Found::OfSomebody {
            subject: "eve@evil.example".to_owned(),
            issuer: "https://accounts.google.com".to_owned(),
        };
        let mut known = facts(&[(KEYS[0], unsigned(0, 0))]);
        let signed = Signed::of(&image()).unwrap();
        let fact = SignatureFact::Unsigned { found: by, since: at(0), checked_at: at(0) };
        known.note(signed.clone(), signers[1].clone(), fact);
        let why = &verdict(&rules, &image(), &known).violations[0].why;
        assert!(
            why.ends_with("; not signed by *@acme.example of https://accounts.google.com: it is signed by eve@evil.example of https://accounts.google.com"),
            "{why}"
        );
        known.note(signed, signers[1].clone(), SignatureFact::Signed);
        assert_eq!(verdict(&rules, &image(), &known), Verdict::default());
    }

    #[test]
    fn what_is_not_known_is_neither_signed_nor_unsigned() {
        let either = rules(&KEYS, "stop");
        let known = facts(&[(KEYS[0], unsigned(0, 0))]);
        let open = verdict(std::slice::from_ref(&either), &image(), &known);
        assert_eq!((open.violations.len(), open.open.is_some()), (0, true));
        let mut unanswered = SignatureFacts::default();
        unanswered.note_unanswered(Signed::of(&image()).unwrap(), "ghcr.io does not answer".to_owned());
        let open = verdict(&[either], &image(), &unanswered);
        assert_eq!(open.open.as_deref(), Some("ghcr.io does not answer"));
        assert!(open.violations.is_empty());
        // Nothing waits for what is only reported.
        let reported = verdict(&[rules(&KEYS, "report")], &image(), &unanswered);
        assert_eq!(reported, Verdict::default());
        assert_eq!(again_at(&[rules(&KEYS, "report")], &unanswered, at(100)), Some(at(115)));
    }

    #[test]
    fn what_no_registry_has_cannot_be_signed() {
        let id = format!("sha256:{}", "b".repeat(64)).parse().unwrap();
        let image = ReleaseImage { resolved: ResolvedImage::Engine { id }, ..image() };
        let found = verdict(&[rules(&KEYS, "block")], &image, &SignatureFacts::default());
        assert_eq!(found.violations[0].enforcement, Enforcement::Block);
        assert!(found.violations[0].why.contains("only the engine has it"), "{found:?}");
        assert_eq!(verdict(&[rules(&[], "block")], &image, &SignatureFacts::default()), Verdict::default());
    }

    #[test]
    fn an_absence_is_looked_at_again_after_pauses_that_grow_to_a_bound_and_a_presence_never() {
        assert_eq!(SignatureFact::Signed.again_at(), None);
        for (since, checked, again) in [(0, 0, 15), (0, 40, 60), (0, 600, 900), (0, 100_000, 100_600)] {
            assert_eq!(unsigned(since, checked).again_at(), Some(at(again)));
        }
        let known = facts(&[(KEYS[0], unsigned(0, 40)), (KEYS[1], SignatureFact::Signed)]);
        assert_eq!(again_at(&[rules(&KEYS, "block")], &known, at(50)), None, "it is met");
        assert_eq!(again_at(&[rules(&KEYS[..1], "block")], &known, at(50)), Some(at(60)));
        assert_eq!(again_at(&[], &known, at(50)), None);
    }
}
