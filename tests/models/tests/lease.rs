//! What the model of leases shows.

use skep_models::lease::Guard;
use skep_models::lease::{
    INTENDED, Leases, NO_LATE_WRITE, NOT_BACK, ONE_EFFECT, ONE_OBJECT, STATUS_NOT_BACK,
};
use stateright::{Checker, HasDiscoveries, Model};

/// Small enough for a second, large enough for every counter-example.
const PAIR: Leases = Leases { members: 2, generations: 2, faults: 2, without: &[] };

fn holds(name: &str, model: Leases) {
    let checker = model.checker().threads(2).spawn_bfs().join();
    let (states, depth) = (checker.unique_state_count(), checker.max_depth());
    println!("campaign| - {name}: {states} states, up to {depth} actions deep");
    checker.assert_properties();
}

/// Without these guards there is a way into a state that refutes each of these properties.
fn refuted(without: &'static [Guard], properties: &[&'static str]) {
    for property in properties {
        let found = HasDiscoveries::AllOf([*property].into_iter().collect());
        let model = Leases { without, ..PAIR };
        let checker = model.checker().threads(2).finish_when(found).spawn_bfs().join();
        let path = checker.assert_any_discovery(property);
        println!("without {without:?}, {property}:\n{path}");
        println!("campaign| - without {without:?}: not so that {property}");
    }
}

#[test]
fn two_controllers_do_everything_once_whatever_stops_and_whatever_arrives_late() {
    holds("two controllers, two generations, two faults", PAIR);
}

#[test]
fn three_controllers_do_too() {
    holds("three controllers, two faults", Leases { members: 3, generations: 1, ..PAIR });
}

#[test]
fn without_the_check_of_the_epoch_a_former_holder_writes() {
    refuted(&[Guard::Fence], &[NO_LATE_WRITE, STATUS_NOT_BACK]);
}

#[test]
fn an_epoch_that_does_not_rise_is_no_fence() {
    refuted(&[Guard::Epoch], &[NO_LATE_WRITE]);
}

#[test]
fn without_the_check_of_the_version_a_late_update_is_done_twice() {
    refuted(&[Guard::Version], &[ONE_EFFECT]);
}

#[test]
fn without_unique_names_a_late_creation_makes_a_second_object() {
    refuted(&[Guard::Name], &[ONE_OBJECT]);
}

#[test]
fn an_intent_that_is_recorded_after_the_effect_can_be_missing() {
    refuted(&[Guard::Intent], &[INTENDED]);
}

#[test]
fn a_plan_for_a_generation_that_nobody_wants_any_more_undoes_a_newer_one() {
    refuted(&[Guard::Fence, Guard::Generation], &[NOT_BACK]);
}

#[test]
fn correctness_does_not_rest_on_the_clocks_of_the_holders() {
    holds("two controllers that do not look at their clocks", Leases { without: &[Guard::Term], ..PAIR });
}
