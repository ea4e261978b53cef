//! The targets that need nothing but the input.

use anyhow::{Result, ensure};
use skep_fuzz::{hostile, meter, targets};
use skep_schemas::manifest::{ReadOptions, read_str};

#[test]
fn a_manifest_in_yaml_is_accepted_for_good_or_refused_with_place_and_next_step() -> Result<()> {
    targets::manifest_yaml().run().map(drop)
}

#[test]
fn a_manifest_in_json_is_accepted_for_good_or_refused_with_a_next_step() -> Result<()> {
    targets::manifest_json().run().map(drop)
}

#[test]
fn a_manifest_says_the_same_in_json_and_in_every_style_of_yaml() -> Result<()> {
    targets::manifest_forms().run().map(drop)
}

#[test]
fn a_scalar_that_is_accepted_is_shown_as_what_reads_back_equal() -> Result<()> {
    targets::scalars().run().map(drop)
}

#[test]
fn a_selector_that_is_accepted_is_shown_as_what_reads_back_equal() -> Result<()> {
    targets::selector().run().map(drop)
}

#[test]
fn no_host_that_is_accepted_ends_the_rule_that_is_made_of_it() -> Result<()> {
    targets::host_rule().run().map(drop)
}

#[test]
fn what_is_set_at_a_pointer_is_found_there_and_what_cannot_be_set_changes_nothing() -> Result<()> {
    targets::pointer().run().map(drop)
}

#[test]
fn a_place_in_a_stream_is_read_as_it_was_given() -> Result<()> {
    targets::cursor().run().map(drop)
}

#[test]
fn what_is_made_to_hurt_gets_its_proper_refusal_within_its_budget() -> Result<()> {
    for hostile::Hostile { about, text, codes } in hostile::all() {
        let read = meter::within_budget(text.len(), || read_str("input", &text, &ReadOptions::default()));
        let read = read.map_err(|why| anyhow::anyhow!("{about}: {why}"))?;
        match read {
            Ok(_) => ensure!(codes.is_empty(), "{about}: it is accepted"),
            Err(found) => {
                targets::refused(&text, &found, true).map_err(|why| anyhow::anyhow!("{about}: {why}"))?;
                let first = found.as_slice().first().map(|problem| problem.code);
                ensure!(
                    !codes.is_empty() && found.as_slice().iter().all(|problem| codes.contains(&problem.code)),
                    "{about}: it is refused for {first:?}: {}",
                    found.as_slice().first().map_or("", |problem| &problem.message)
                );
            }
        }
    }
    Ok(())
}
