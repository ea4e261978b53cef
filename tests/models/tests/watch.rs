//! What the model of watches shows.

use skep_models::watch::{DENSE, EQUAL, Guard, NO_GAP, Watches};
use stateright::{Checker, HasDiscoveries, Model};

const WATCHES: Watches = Watches { transactions: 3, compacts: true, restores: false, without: &[] };

fn holds(name: &str, model: Watches) {
    let checker = model.checker().threads(2).spawn_bfs().join();
    let (states, depth) = (checker.unique_state_count(), checker.max_depth());
    println!("campaign| - {name}: {states} states, up to {depth} actions deep");
    checker.assert_properties();
}

/// Without these guards there is a way into a state that refutes each of these properties.
fn refuted(model: Watches, properties: &[&'static str]) {
    for property in properties {
        let found = HasDiscoveries::AllOf([*property].into_iter().collect());
        let checker = model.clone().checker().threads(2).finish_when(found).spawn_bfs().join();
        let path = checker.assert_any_discovery(property);
        println!("without {:?}, {property}:\n{path}", model.without);
        println!("campaign| - without {:?}: not so that {property}", model.without);
    }
}

fn without(guards: &'static [Guard]) -> Watches {
    Watches { without: guards, ..WATCHES }
}

#[test]
fn a_reader_misses_and_repeats_nothing_however_transactions_end_and_the_log_is_cut() {
    holds("three transactions, a reader and compaction", WATCHES);
}

#[test]
fn a_restored_database_makes_every_reader_list_again() {
    holds(
        "three transactions, a reader and a restored database",
        Watches { restores: true, compacts: false, ..WATCHES },
    );
}

#[test]
fn a_cursor_on_a_plain_sequence_skips_what_is_committed_out_of_order() {
    refuted(without(&[Guard::Revision]), &[NO_GAP, EQUAL]);
}

#[test]
fn a_revision_that_is_not_held_until_the_commit_is_no_better_than_a_sequence() {
    refuted(without(&[Guard::HeldUntilCommit]), &[DENSE, NO_GAP]);
}

#[test]
fn a_head_that_is_read_after_the_rows_skips_what_came_between() {
    refuted(without(&[Guard::OneStatement]), &[NO_GAP]);
}

#[test]
fn a_page_that_rounds_up_to_the_end_of_a_transaction_skips_its_rest() {
    refuted(without(&[Guard::InsideCursor]), &[NO_GAP]);
}

#[test]
fn a_list_that_goes_on_from_its_last_page_misses_changes_of_its_first() {
    refuted(without(&[Guard::FirstPage]), &[NO_GAP]);
}

#[test]
fn without_a_floor_a_reader_does_not_learn_that_changes_are_gone() {
    refuted(without(&[Guard::Floor]), &[NO_GAP]);
}

#[test]
fn a_floor_that_rises_after_the_rows_went_is_too_late() {
    refuted(without(&[Guard::FloorFirst]), &[NO_GAP]);
}

#[test]
fn without_an_epoch_a_reader_takes_a_restored_database_for_the_one_it_knew() {
    refuted(Watches { restores: true, without: &[Guard::Epoch], ..WATCHES }, &[EQUAL]);
}
