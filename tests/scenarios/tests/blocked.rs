//! Every reason why nothing is happening is told by some case, in its own words.

use std::path::Path;

use anyhow::{Context, Result};
use jiff::Timestamp;
use skep_planner::Blocked;
use skep_planner::blocked::one_of_each;

/// Stands for whatever a case has there; no sentence of ours contains it.
const WORD: &str = "\u{1}";
const NUMBER: u32 = 987_654_321;
const TIME: Timestamp = Timestamp::UNIX_EPOCH;

/// What never changes of a sentence: the word for programs, and the parts between the blanks.
fn shape(blocked: &Blocked) -> Vec<String> {
    let sentence = blocked.to_string().replace(&NUMBER.to_string(), WORD).replace(&TIME.to_string(), WORD);
    let parts = sentence.split(WORD).map(str::to_owned).filter(|part| !part.is_empty());
    std::iter::once(format!("{:?}", blocked.reason())).chain(parts).collect()
}

/// Are all parts in the line, one after the other?
fn tells(line: &str, shape: &[String]) -> bool {
    let rest = shape.iter().try_fold(line, |rest, part| rest.split_once(part.as_str()).map(|(_, rest)| rest));
    line.starts_with('>') && rest.is_some()
}

fn recorded() -> Result<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut text = String::new();
    for entry in std::fs::read_dir(&directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            text +=
                &std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        }
    }
    Ok(text)
}

#[test]
fn every_reason_is_told_by_a_case_with_what_to_do() -> Result<()> {
    let recorded = recorded()?;
    let examples = one_of_each(WORD, NUMBER, TIME);
    let shapes = examples.iter().map(shape);
    let untold: Vec<Vec<String>> =
        shapes.filter(|shape| !recorded.lines().any(|line| tells(line, shape))).collect();
    assert!(untold.is_empty(), "no case tells {untold:#?}");
    Ok(())
}

#[test]
fn a_sentence_of_another_reason_or_without_what_to_do_does_not_count() {
    let shape = shape(&Blocked::SecretMissing { name: WORD.to_owned() });
    let said = Blocked::SecretMissing { name: "token".to_owned() }.to_string();
    let half = said.split_once(';').map_or("", |(half, _)| half);
    assert!(tells(&format!("> Stalled (SecretMissing): {said}"), &shape));
    assert!(!tells(&format!("> Stalled (Paused): {said}"), &shape));
    assert!(!tells(&format!("> Stalled (SecretMissing): {half}"), &shape));
    assert!(!tells(&format!("# Stalled (SecretMissing): {said}"), &shape));
}
