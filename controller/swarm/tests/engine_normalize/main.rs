//! What real engines make of every field that the planner's tables know, on the oldest supported engine and on a newer one.
//!
//! Each row is tried with each kind of value that it can have, through the Docker API as a person would. What the engine answers is
//! compared with what is recorded in the planner's fixtures, where the planner's own tests judge it by the table; `cargo xtask
//! record-fixtures` writes the recordings anew. Then each field of services as Skep renders them is edited by hand, and the
//! difference has to be that field and nothing else.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cases;
mod docker;
mod edits;
mod objects;
mod record;
mod rendered;

/// Makes one test per engine release of functions that take the release.
macro_rules! on_each_engine {
    ($($test:path as $name:ident),* $(,)?) => {
        mod v20_10 {
            $(#[test]
            fn $name() {
                $test(skep_testbed::EngineVersion::V20_10);
            })*
        }
        mod v26_1 {
            $(#[test]
            fn $name() {
                $test(skep_testbed::EngineVersion::V26_1);
            })*
        }
    };
}

on_each_engine!(
    crate::record::every_value_of_every_field_is_kept_as_recorded
        as every_value_of_every_field_is_kept_as_recorded,
    crate::edits::a_rendered_service_reads_back_without_a_difference
        as a_rendered_service_reads_back_without_a_difference,
    crate::edits::an_edit_of_any_field_by_hand_is_that_difference
        as an_edit_of_any_field_by_hand_is_that_difference,
    crate::objects::a_rendered_secret_and_its_edit_by_hand_are_told_apart
        as a_rendered_secret_and_its_edit_by_hand_are_told_apart,
    crate::objects::a_rendered_network_and_another_of_its_name_are_told_apart
        as a_rendered_network_and_another_of_its_name_are_told_apart,
);
