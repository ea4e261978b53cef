//! A part of the campaign, on the real store and the real loop. `cargo xtask campaign acto` runs the whole.

use anyhow::{Result, ensure};
use skep_acto::campaign::{Campaign, Part};
use skep_acto::tally::Tally;
use skep_acto::{field, silent};

/// Of the changes that may be carried out one in so many is. All that are invalid are tried.
const PART: Part = Part { one_in: 110, offset: 0 };
/// How many of those are compared with what they come to from nothing: one in so many.
const COMPARED: usize = 3;
/// The seed of the chain, and how long it is.
const SEED: u64 = 1;
const LENGTH: usize = 10;
/// Changes that were not as they have to be once.
const FAILED_ONCE: &[&str] = &[
    // Environments that have their plan from their organisation were told of a change by nobody.
    r#"Plan/large with /spec/instance/cpu = "2""#,
];

fn judge(tally: &Tally) -> Result<()> {
    ensure!(tally.findings.is_empty(), "{} findings:\n{}", tally.findings.len(), tally.findings.join("\n"));
    Ok(())
}

#[tokio::test]
async fn a_change_comes_to_what_it_comes_to_from_nothing_and_can_be_undone() -> Result<()> {
    let mut campaign = Campaign::begin().await?;
    campaign.each_invalid()?;
    campaign.each_field(PART, COMPARED).await?;
    judge(&campaign.tally)?;
    ensure!(campaign.tally.accepted > 2 && campaign.tally.refused > 2000, "{:?}", campaign.tally);
    Ok(())
}

#[tokio::test]
async fn changes_on_top_of_each_other_come_to_what_they_come_to_from_nothing() -> Result<()> {
    let mut campaign = Campaign::begin().await?;
    campaign.chain(SEED, LENGTH).await?;
    judge(&campaign.tally)?;
    ensure!(campaign.tally.accepted > 4, "{:?}", campaign.tally);
    Ok(())
}

#[tokio::test]
async fn a_change_that_failed_once_does_not_fail_again() -> Result<()> {
    let mut campaign = Campaign::begin().await?;
    for words in FAILED_ONCE {
        campaign.one(words).await?;
    }
    judge(&campaign.tally)
}

#[test]
fn every_reason_for_no_effect_is_of_a_field_that_exists() {
    let fields = field::all();
    for silent in silent::SILENT {
        let of = |field: &field::Field| {
            silent::reason(field.kind, &field.pattern).is_some_and(|found| std::ptr::eq(found, silent))
        };
        assert!(fields.iter().any(of), "{} {:?}", silent.pattern, silent.kind);
    }
}
