use serde_json::json;

use super::*;

const URL: &str = "https://scanner.acme.test/skep";
const OTHER: &str = "https://other.acme.test:8443/";

fn rules(url: &str, max_age: &str, enforcement: &str) -> ImageRules {
    let spec = json!({"scan": {"url": url, "maxAge": max_age}, "enforcement": enforcement});
    ImageRules { policy: "ImagePolicy/scanned".to_owned(), spec: serde_json::from_value(spec).unwrap() }
}

fn image() -> ReleaseImage {
    let digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
    ReleaseImage {
        reference: "ghcr.io/acme/shop:1".parse().unwrap(),
        resolved: ResolvedImage::Registry { digest },
        start: None,
    }
}

fn scan(url: &str) -> Scan {
    Scan::of(&rules(url, "1h", "block").spec.scan.unwrap(), &image()).unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn fact(verdict: ScanVerdict, since: i64, checked: i64) -> ScanFact {
    ScanFact { verdict, reason: Some("because".to_owned()), since: at(since), checked_at: at(checked) }
}

fn facts(of: &[(&str, ScanFact)]) -> ScanFacts {
    let mut facts = ScanFacts::default();
    of.iter().for_each(|(url, fact)| facts.note(scan(url), fact.clone()));
    facts
}

/// Is it allowed, forbidden or open, and why?
fn told(rules: &[ImageRules], facts: &ScanFacts, now: i64) -> String {
    let violations = violations(rules, &image(), facts).into_iter().map(|violation| violation.to_string());
    let open = open(rules, &image(), facts, at(now)).map(|(url, why)| format!("{}: {why}", url.host()));
    violations.chain(open).collect::<Vec<_>>().join(" | ")
}

#[test]
fn every_scanner_has_to_say_yes_and_a_no_is_told_with_its_words() {
    let both = [rules(URL, "1h", "block"), rules(OTHER, "1h", "block")];
    let yes = |url| (url, fact(ScanVerdict::Pass, 0, 0));
    assert_eq!(told(&both, &facts(&[yes(URL), yes(OTHER)]), 10), "");
    assert_eq!(
        told(&both, &facts(&[yes(URL), (OTHER, fact(ScanVerdict::Fail, 0, 0))]), 10),
        format!(
            "ImagePolicy/scanned does not allow image {}: the scanner at other.acme.test:8443 says no: “because”",
            image().pinned()
        )
    );
    assert_eq!(
        told(&both, &facts(&[yes(URL)]), 10),
        "other.acme.test:8443: the scanner has not been asked yet"
    );
    assert_eq!(told(&[], &ScanFacts::default(), 10), "");
}

#[test]
fn a_yes_counts_for_as_long_as_each_rule_says_and_is_open_afterwards() {
    let (short, long) = (rules(URL, "1m", "stop"), rules(URL, "1h", "stop"));
    let known = facts(&[(URL, fact(ScanVerdict::Pass, 0, 100))]);
    assert_eq!(told(&[short.clone(), long.clone()], &known, 159), "");
    assert_eq!(
        told(std::slice::from_ref(&short), &known, 160),
        "scanner.acme.test: what the scanner said is too old"
    );
    assert_eq!(told(std::slice::from_ref(&long), &known, 160), "");
    let asked = asked(&[long, short], [&image(), &image()]);
    assert_eq!(asked.len(), 1, "it is asked once");
    assert_eq!(asked[0].max_age, SignedDuration::from_mins(1));
}

#[test]
fn who_is_not_done_or_does_not_answer_says_neither_yes_nor_no() {
    let rules = [rules(URL, "1h", "stop")];
    let pending = facts(&[(URL, fact(ScanVerdict::Pending, 0, 0))]);
    assert_eq!(told(&rules, &pending, 10), "scanner.acme.test: the scanner is not done: “because”");
    let mut away = ScanFacts::default();
    away.note_unanswered(scan(URL), "scanner.acme.test does not answer".to_owned());
    assert_eq!(told(&rules, &away, 10), "scanner.acme.test: scanner.acme.test does not answer");
    // A no is not taken back by silence, and a yes that still counts neither.
    for (verdict, says) in [(ScanVerdict::Pass, ""), (ScanVerdict::Fail, "says no")] {
        let mut known = facts(&[(URL, fact(verdict, 0, 0))]);
        known.note_unanswered(scan(URL), "it does not answer".to_owned());
        let told = told(&rules, &known, 10);
        assert!(told.contains(says) && told.is_empty() == says.is_empty(), "{told}");
    }
}

#[test]
fn nothing_waits_for_a_scanner_whose_no_would_only_be_reported() {
    let rules = [rules(URL, "1h", "report")];
    assert_eq!(told(&rules, &ScanFacts::default(), 10), "");
    let failed = violations(&rules, &image(), &facts(&[(URL, fact(ScanVerdict::Fail, 0, 0))]));
    assert_eq!(failed.len(), 1);
    assert!(!failed[0].forbids());
}

#[test]
fn what_no_registry_has_cannot_be_scanned() {
    let id = format!("sha256:{}", "b".repeat(64)).parse().unwrap();
    let image = ReleaseImage { resolved: ResolvedImage::Engine { id }, ..image() };
    let rules = [rules(URL, "1h", "block")];
    let found = violations(&rules, &image, &ScanFacts::default());
    assert!(found[0].why.contains("only the engine has it"), "{found:?}");
    assert_eq!(asked(&rules, [&image]), []);
}

#[test]
fn who_is_not_done_is_asked_again_soon_who_said_no_later_and_who_said_yes_when_that_is_too_old() {
    let hour = SignedDuration::from_hours(1);
    for (verdict, since, checked, again) in [
        (ScanVerdict::Pending, 0, 0, 5),
        (ScanVerdict::Pending, 0, 60, 90),
        (ScanVerdict::Pending, 0, 1000, 1060),
        (ScanVerdict::Fail, 0, 0, 60),
        (ScanVerdict::Fail, 0, 600, 900),
        (ScanVerdict::Fail, 0, 100_000, 101_800),
        (ScanVerdict::Pass, 0, 50, 3650),
    ] {
        assert_eq!(fact(verdict, since, checked).again_at(hour), at(again), "{verdict:?} {checked}");
    }
    let rules = [rules(URL, "1h", "block")];
    let soonest = |facts: &ScanFacts| again_at(&rules, facts, at(100));
    assert_eq!(soonest(&facts(&[(URL, fact(ScanVerdict::Pass, 0, 100))])), Some(at(3700)));
    assert_eq!(soonest(&ScanFacts::default()), None);
    let mut away = facts(&[(URL, fact(ScanVerdict::Pass, 0, 100))]);
    away.note_unanswered(scan(URL), "it does not answer".to_owned());
    assert_eq!(soonest(&away), Some(at(115)));
}

#[test]
fn a_scanners_words_are_short_and_in_one_line_and_end_where_they_end() {
    assert_eq!(reason(" two\n\u{1b}[31mlines\t "), Some("two [31mlines".to_owned()));
    assert_eq!(reason("a\u{202e}b”; all is well"), Some("a b\"; all is well".to_owned()));
    assert_eq!(reason(" \n"), None);
    assert_eq!(reason(&"ü".repeat(1000)).unwrap().chars().count(), REASON_MAX + 1);
}
