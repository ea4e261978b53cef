//! Registries and scanners, as far as a case says what they say: who signed an image, and whether it passes.
//!
//! As with the controller, what they said is kept and asked anew when that is due, and never for a preview.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow, bail};
use jiff::Timestamp;
use skep_planner::policy::scan::{Asked, Scan, ScanFact, ScanFacts, ScanVerdict, reason};
use skep_planner::policy::signature::{Found, SignatureFact, SignatureFacts, Signed};
use skep_planner::reconcile::environment::{
    EnvironmentDesired, EnvironmentObservation, scans_to_ask, signatures_to_check,
};
use skep_planner::{ResolvedImage, Settings};
use skep_schemas::ImageRef;
use skep_schemas::kind::Signer;

use crate::command::Words;
use crate::observe;
use crate::stage::Stage;

/// What is out there, and what is known of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outside {
    signed: BTreeMap<Signed, Said<Option<Found>>>,
    scanned: BTreeMap<(String, Signed), Said<Spoken>>,
    signatures: BTreeMap<(Signed, Signer), SignatureFact>,
    scans: BTreeMap<Scan, ScanFact>,
}

/// A verdict, and the words for it.
type Spoken = (ScanVerdict, Option<String>);

/// What somebody says who is asked.
#[derive(Debug, Clone)]
enum Said<T> {
    This(T),
    Nothing(String),
}

impl Outside {
    /// Asks everybody who has to be asked about an environment now.
    pub(crate) fn ask(
        &mut self,
        settings: &Settings,
        desired: &EnvironmentDesired,
        observed: &EnvironmentObservation,
        now: Timestamp,
    ) {
        let wanted = signatures_to_check(settings, desired, observed.image.as_ref());
        for (signed, _) in &wanted.signed {
            for signer in &wanted.signers {
                let known = self.signatures.get(&(signed.clone(), signer.clone()));
                let is_due = known.is_none_or(|fact| fact.again_at().is_some_and(|again| again <= now));
                let unsigned = Said::This(Some(Found::Nothing));
                if let (true, Said::This(found)) = (is_due, self.signed.get(signed).unwrap_or(&unsigned)) {
                    let since = match known {
                        Some(SignatureFact::Unsigned { since, .. }) => *since,
                        Some(SignatureFact::Signed) | None => now,
                    };
                    let fact = match found.clone() {
                        None => SignatureFact::Signed,
                        Some(found) => SignatureFact::Unsigned { found, since, checked_at: now },
                    };
                    self.signatures.insert((signed.clone(), signer.clone()), fact);
                }
            }
        }
        for Asked { scan, max_age, .. } in scans_to_ask(settings, desired, observed.image.as_ref()) {
            let known = self.scans.get(&scan);
            let is_due = known.is_none_or(|fact| fact.again_at(max_age) <= now);
            if let (true, Some(Said::This((verdict, reason)))) = (is_due, self.scanned.get(&of(&scan))) {
                let since = known.filter(|fact| fact.verdict == *verdict).map_or(now, |fact| fact.since);
                let fact = ScanFact { verdict: *verdict, reason: reason.clone(), since, checked_at: now };
                self.scans.insert(scan, fact);
            }
        }
    }

    /// What is known.
    pub(crate) fn facts(
        &self,
        settings: &Settings,
        desired: &EnvironmentDesired,
        observed: &EnvironmentObservation,
    ) -> (SignatureFacts, ScanFacts) {
        let (mut signatures, mut scans) = (SignatureFacts::default(), ScanFacts::default());
        let wanted = signatures_to_check(settings, desired, observed.image.as_ref());
        for (signed, _) in &wanted.signed {
            for signer in &wanted.signers {
                if let Some(fact) = self.signatures.get(&(signed.clone(), signer.clone())) {
                    signatures.note(signed.clone(), signer.clone(), fact.clone());
                }
            }
            if let Some(Said::Nothing(why)) = self.signed.get(signed) {
                signatures.note_unanswered(signed.clone(), why.clone());
            }
        }
        for Asked { scan, .. } in scans_to_ask(settings, desired, observed.image.as_ref()) {
            if let Some(fact) = self.scans.get(&scan) {
                scans.note(scan.clone(), fact.clone());
            }
            if let Some(Said::Nothing(why)) = self.scanned.get(&of(&scan)) {
                scans.note_unanswered(scan, why.clone());
            }
        }
        (signatures, scans)
    }
}

/// Who is asked, and about what.
fn of(scan: &Scan) -> (String, Signed) {
    let Scan { url, repository, digest } = scan;
    (url.host().to_owned(), Signed { repository: repository.clone(), digest: digest.clone() })
}

impl Stage {
    /// `signature IMAGE made|other|none` and `signature IMAGE silent "why"`.
    pub(crate) fn signature(&mut self, words: &mut Words<'_>) -> Result<()> {
        let signed = self.signed(words)?;
        let said = match words.next("whose signature it has")? {
            "made" => Said::This(None),
            "other" => Said::This(Some(Found::Others { count: 1 })),
            "none" => Said::This(Some(Found::Nothing)),
            "silent" => Said::Nothing(words.next("why")?.to_owned()),
            other => bail!("a signature is `made`, `other`, `none` or `silent`, not `{other}`"),
        };
        self.world.outside.signed.insert(signed, said);
        Ok(())
    }

    /// `scanner HOST IMAGE pass|fail|pending ["words"]` and `scanner HOST IMAGE silent "why"`.
    pub(crate) fn scanner(&mut self, words: &mut Words<'_>) -> Result<()> {
        let host = words.next("the scanner's host")?.to_owned();
        let signed = self.signed(words)?;
        let verdict = match words.next("what it says")? {
            "pass" => Some(ScanVerdict::Pass),
            "fail" => Some(ScanVerdict::Fail),
            "pending" => Some(ScanVerdict::Pending),
            "silent" => None,
            other => bail!("a scanner says `pass`, `fail` or `pending`, or is `silent`; not `{other}`"),
        };
        let said = match verdict {
            Some(verdict) => Said::This((verdict, words.maybe()?.and_then(reason))),
            None => Said::Nothing(words.next("why")?.to_owned()),
        };
        self.world.outside.scanned.insert((host, signed), said);
        Ok(())
    }

    /// What an image is that a registry has.
    fn signed(&self, words: &mut Words<'_>) -> Result<Signed> {
        let image: ImageRef = words.next("an image")?.parse().map_err(|error| anyhow!("{error}"))?;
        let resolved = observe::resolve(&self.world.engine, &image);
        let Ok(ResolvedImage::Registry { digest }) = resolved else { bail!("no registry has {image}") };
        Ok(Signed { repository: image.full_name(), digest })
    }
}
