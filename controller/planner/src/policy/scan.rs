//! Which scanners have to say yes to an image, and what they said.
//!
//! What a scanner says of a digest is a fact that somebody has to ask for; this is where facts become decisions. Its yes counts for as long as the
//! policy says, since new holes are found in old images. Its no stands until it says yes: that it is asked again, is not done, or does not answer
//! takes nothing back. What was not asked, what is not done, and a yes that is too old, is open: neither yes nor no. So nothing is released
//! while a scanner is away, and nothing that runs is stopped because of it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use skep_schemas::kind::{Enforcement, ScanHook};
use skep_schemas::{HookUrl, ImageDigest, ResourceName};

use super::Violation;
use super::image::ImageRules;
use crate::release::{ReleaseImage, ResolvedImage};

/// The pauses before a scanner that is not done is asked again: from the first to the last.
const PENDING_PAUSES: (SignedDuration, SignedDuration) =
    (SignedDuration::from_secs(5), SignedDuration::from_mins(1));
/// Those before one that said no is: databases of holes change a few times a day, and somebody may make an exception any time.
const FAILED_PAUSES: (SignedDuration, SignedDuration) =
    (SignedDuration::from_mins(1), SignedDuration::from_mins(30));
/// When to look again at what nobody has answered.
const UNANSWERED_PAUSE: SignedDuration = SignedDuration::from_secs(15);
/// The most of a scanner's words that are kept, in characters.
const REASON_MAX: usize = 300;

/// What a scanner is asked: what it says of a digest, in the repository where it can get it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scan {
    /// Where the scanner is asked.
    pub url: HookUrl,
    /// The repository, in full: `ghcr.io/acme/shop`.
    pub repository: String,
    /// The digest.
    pub digest: ImageDigest,
}

impl Scan {
    /// What a scanner is asked about an image; none of what no registry has.
    pub fn of(hook: &ScanHook, image: &ReleaseImage) -> Option<Self> {
        match &image.resolved {
            ResolvedImage::Registry { digest } => Some(Self {
                url: hook.url.clone(),
                repository: image.reference.full_name(),
                digest: digest.clone(),
            }),
            ResolvedImage::Engine { .. } => None,
        }
    }
}

/// What a scanner says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanVerdict {
    /// Yes.
    Pass,
    /// No.
    Fail,
    /// Nothing yet: it is not done.
    Pending,
}

/// What is known of what a scanner said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanFact {
    /// What it said.
    pub verdict: ScanVerdict,
    /// Its words for that, as [`reason`] leaves them.
    pub reason: Option<String>,
    /// Since when it says so.
    pub since: Timestamp,
    /// When it was asked last.
    pub checked_at: Timestamp,
}

impl ScanFact {
    /// When it is to be asked again, if its yes counts for that long.
    pub fn again_at(&self, max_age: SignedDuration) -> Timestamp {
        let growing = |(min, max)| (self.checked_at.duration_since(self.since) / 2).clamp(min, max);
        let pause = match self.verdict {
            ScanVerdict::Pass => max_age,
            ScanVerdict::Fail => growing(FAILED_PAUSES),
            ScanVerdict::Pending => growing(PENDING_PAUSES),
        };
        self.checked_at.checked_add(pause).unwrap_or(self.checked_at)
    }
}

/// A scanner's words, short and in one line: they are shown to people among ours.
pub fn reason(said: &str) -> Option<String> {
    // What turns the direction of text around could make a sentence of ours say something else.
    let turns =
        |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let plain: String = said.chars().map(|c| if c.is_control() || turns(c) { ' ' } else { c }).collect();
    let words = plain.split_whitespace().collect::<Vec<_>>().join(" ").replace(['“', '”'], "\"");
    let short: String = words.chars().take(REASON_MAX).collect();
    let short = if short.len() < words.len() { format!("{short}…") } else { short };
    (!short.is_empty()).then_some(short)
}

/// What is known of scans at some time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScanFacts {
    facts: BTreeMap<Scan, ScanFact>,
    /// Why it could not be found out.
    unanswered: BTreeMap<Scan, String>,
}

impl ScanFacts {
    /// Notes what is known.
    pub fn note(&mut self, scan: Scan, fact: ScanFact) {
        self.facts.insert(scan, fact);
    }

    /// Notes why a scanner could not be asked, or did not answer.
    pub fn note_unanswered(&mut self, scan: Scan, why: String) {
        self.unanswered.insert(scan, why);
    }
}

/// A scan that the rules ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// What is asked.
    pub scan: Scan,
    /// The Secret that the request is signed with.
    pub secret: Option<ResourceName>,
    /// How long a yes counts: with the strictest of the rules that ask this.
    pub max_age: SignedDuration,
}

/// What the rules want to be asked about these images, each scanner about each image once.
pub fn asked<'a>(rules: &[ImageRules], images: impl IntoIterator<Item = &'a ReleaseImage>) -> Vec<Asked> {
    let mut asked: BTreeMap<Scan, Asked> = BTreeMap::new();
    for image in images {
        for hook in rules.iter().filter_map(|rules| rules.spec.scan.as_ref()) {
            let Some(scan) = Scan::of(hook, image) else { continue };
            let max_age = max_age(hook);
            let known = asked.entry(scan.clone()).or_insert(Asked { scan, secret: None, max_age });
            known.max_age = known.max_age.min(max_age);
            known.secret = known.secret.take().or_else(|| hook.secret.clone());
        }
    }
    asked.into_values().collect()
}

/// What of an image scanners said no to.
pub fn violations(rules: &[ImageRules], image: &ReleaseImage, facts: &ScanFacts) -> Vec<Violation> {
    let hooks = rules.iter().filter_map(|rules| Some((rules, rules.spec.scan.as_ref()?)));
    let failed = hooks.filter_map(|(rules, hook)| match standing(hook, image, facts) {
        Standing::Failed(why) => Some(Violation {
            policy: rules.policy.clone(),
            why: format!("image {}: {why}", image.pinned()),
            enforcement: rules.spec.enforcement,
        }),
        Standing::Passed { .. } | Standing::Open(_) => None,
    });
    failed.collect()
}

/// The first scanner that a rule that forbids waits for at that time, and why, in words.
pub fn open(
    rules: &[ImageRules],
    image: &ReleaseImage,
    facts: &ScanFacts,
    now: Timestamp,
) -> Option<(HookUrl, String)> {
    let forbidding = rules.iter().filter(|rules| rules.spec.enforcement >= Enforcement::Block);
    let mut hooks = forbidding.filter_map(|rules| rules.spec.scan.as_ref());
    hooks.find_map(|hook| {
        let why = match standing(hook, image, facts) {
            Standing::Open(why) => why,
            Standing::Passed { until, .. } if now < until => return None,
            Standing::Passed { unanswered, .. } => {
                unanswered.unwrap_or_else(|| "what the scanner said is too old".to_owned())
            }
            Standing::Failed(_) => return None,
        };
        Some((hook.url.clone(), why))
    })
}

/// When any of what is known is to be asked again.
pub fn again_at(rules: &[ImageRules], facts: &ScanFacts, now: Timestamp) -> Option<Timestamp> {
    let soon = now.checked_add(UNANSWERED_PAUSE).ok();
    let unanswered = facts.unanswered.keys().filter_map(|_| soon);
    let hooks = |scan: &Scan| {
        let url = scan.url.clone();
        let hooks = rules.iter().filter_map(|rules| rules.spec.scan.as_ref());
        hooks.filter(move |hook| hook.url == url)
    };
    let answered = facts.facts.iter().filter(|(scan, _)| !facts.unanswered.contains_key(scan));
    let again = answered.flat_map(|(scan, fact)| hooks(scan).map(|hook| fact.again_at(max_age(hook))));
    again.chain(unanswered).min()
}

/// How an image stands to a scanner.
enum Standing {
    Passed { until: Timestamp, unanswered: Option<String> },
    Open(String),
    Failed(String),
}

fn standing(hook: &ScanHook, image: &ReleaseImage, facts: &ScanFacts) -> Standing {
    let Some(scan) = Scan::of(hook, image) else {
        return Standing::Failed("only the engine has it, and a scanner looks in a registry".to_owned());
    };
    let unanswered = facts.unanswered.get(&scan).cloned();
    let Some(fact) = facts.facts.get(&scan) else {
        return Standing::Open(unanswered.unwrap_or_else(|| "the scanner has not been asked yet".to_owned()));
    };
    let words = fact.reason.as_ref().map(|words| format!(": “{words}”")).unwrap_or_default();
    match fact.verdict {
        ScanVerdict::Pass => Standing::Passed { until: fact.again_at(max_age(hook)), unanswered },
        ScanVerdict::Fail => Standing::Failed(format!("the scanner at {} says no{words}", scan.url.host())),
        ScanVerdict::Pending => {
            Standing::Open(unanswered.unwrap_or_else(|| format!("the scanner is not done{words}")))
        }
    }
}

fn max_age(hook: &ScanHook) -> SignedDuration {
    SignedDuration::try_from(hook.max_age.to_std()).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
