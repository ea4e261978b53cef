//! The cases of `cases/`, each a test of its own.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use skep_scenarios::script::Script;
use skep_scenarios::stage::Stage;

/// Set to rewrite what the commands say.
const BLESS: &str = "SKEP_BLESS";

macro_rules! cases {
    ($($name:ident,)*) => {
        const CASES: &[&str] = &[$(stringify!($name),)*];

        $(
            #[test]
            fn $name() -> Result<()> {
                perform(stringify!($name))
            }
        )*
    };
}

cases! {
    a_cancelled_release_gives_way_to_what_ran_before,
    a_capability_is_released_only_where_the_tier_allows_it,
    a_change_during_a_roll_out_counts_tasks_that_start,
    a_change_that_the_engine_does_not_keep_is_named,
    a_changed_variable_restarts_exactly_the_running_tasks,
    a_command_runs_once_in_the_release_that_runs,
    a_connection_whose_answer_was_lost_is_known_afterwards,
    a_dedicated_node_takes_its_organisation_alone,
    a_deletion_that_was_interrupted_is_finished,
    a_deploy_that_waits_for_too_long_says_so,
    a_domain_added_during_a_roll_out_waits_for_its_end,
    a_domain_added_with_a_release_that_fails_keeps_its_route,
    a_domain_with_a_wrong_port_complains_alone,
    a_failed_health_check_rolls_back_and_stays_so,
    a_failed_release_is_tried_again_when_somebody_asks,
    a_field_that_the_engine_does_not_keep_is_asked_for_once,
    a_fight_is_recognised_stopped_and_named,
    a_first_deploy_waits_for_what_it_needs,
    a_first_release_that_fails_has_nothing_to_go_back_to,
    a_forbidden_image_is_not_released,
    a_foreign_network_of_our_name_is_not_used,
    a_link_exists_while_both_sides_name_each_other,
    a_link_needs_what_it_stands_on,
    a_missing_reference_is_named,
    a_network_is_made_anew_when_nothing_is_on_it,
    a_network_that_became_foreign_does_not_hold_up_deletion,
    a_network_waits_for_tasks_that_are_ending,
    a_new_region_is_not_done_before_tasks_have_moved,
    a_number_that_somebody_scaled_to_is_what_converges,
    a_paused_environment_is_looked_at_and_not_changed,
    a_policy_that_stops_what_it_forbids,
    a_preview_of_a_new_organisation_shows_all_that_a_run_does,
    a_process_that_a_failed_release_dropped_comes_back_as_it_was,
    a_process_that_does_not_listen_in_time_has_failed,
    a_process_that_is_not_in_the_manifest_any_more_is_removed,
    a_process_with_a_schedule_is_no_service,
    a_process_with_ports_is_drained_before_it_is_stopped,
    a_reference_in_a_variable_is_pinned_by_the_release,
    a_region_during_a_roll_out_waits_for_its_end,
    a_region_whose_node_is_lost_is_not_called_one_without_nodes,
    a_registry_inside_is_not_asked,
    a_registry_is_asked_with_the_credential_of_the_organisation,
    a_release_behind_a_roll_out_that_never_ends_is_judged_at_the_deadline,
    a_release_is_not_blamed_for_the_time_before_it_was_sent,
    a_release_phase_comes_before_the_roll_out,
    a_release_that_is_made_while_all_is_stopped_is_judged_when_it_is_started,
    a_replaced_edge_task_is_connected_again,
    a_restart_replaces_every_instance_once,
    a_return_leads_nowhere_that_a_release_may_not,
    a_return_to_a_former_release_holds_until_something_else_is_asked_for,
    a_roll_out_has_the_time_that_it_is_given,
    a_roll_out_replaces_as_many_at_a_time_as_it_is_told,
    a_roll_out_that_starts_first_never_has_fewer_instances,
    a_roll_out_that_stops_first_never_has_more_instances,
    a_rotated_password_of_a_registry_reaches_services_without_a_restart,
    a_rotated_secret_is_kept_until_the_roll_out_is_final,
    a_run_ends_when_its_time_is_over,
    a_schedule_says_what_becomes_of_a_run_that_is_not_over,
    a_schedule_starts_each_slot_once,
    a_second_failure_without_a_good_release_is_not_a_fight,
    a_secret_as_a_variable_is_set_where_the_process_starts,
    a_secret_of_a_release_that_cannot_be_followed_waits_for_it,
    a_secret_that_is_read_is_not_deleted,
    a_service_removed_by_hand_is_made_again,
    a_slot_that_is_not_run_is_told_as_missed,
    a_spec_that_the_engine_could_not_update_is_not_sent,
    a_step_that_fails_says_whether_it_is_tried_again,
    a_suspended_organisation_runs_nothing_and_returns_to_its_numbers,
    a_task_that_waits_for_a_node_is_judged_at_the_deadline,
    a_tier_moves_what_runs_to_the_nodes_of_its_pool,
    a_tier_that_becomes_stricter_takes_nothing_away_unless_it_says_so,
    a_value_that_fails_is_removed_and_the_old_one_stays,
    a_variable_of_one_process_restarts_only_that_process,
    a_volume_is_never_written_to_by_two_instances,
    an_edge_task_is_connected_where_the_network_is,
    an_environment_is_gone_when_its_services_are,
    an_environment_names_a_plan_that_its_organisations_plan_lists,
    an_image_has_to_be_signed_by_one_of_those_that_a_policy_names,
    an_image_is_resolved_once_and_then_pinned,
    an_image_waits_for_the_yes_of_every_scanner,
    an_interrupted_deploy_makes_nothing_twice,
    an_old_engine_enforces_less_and_says_so,
    an_organisation_is_removed_backwards,
    an_organisation_without_an_edge_can_be_made_and_removed,
    an_update_that_met_another_writer_is_planned_again,
    applying_the_same_again_does_nothing,
    braces_in_a_variable_stay_what_they_are,
    cancelling_stops_a_release_phase_that_is_under_way,
    drift_that_is_only_reported_stays_through_a_release,
    errors_of_tasks_are_said_in_words,
    fields_that_are_left_to_others_are_left,
    going_back_by_hand_is_a_new_release_that_restarts_nothing,
    instances_that_no_manifest_says_belong_to_whoever_scales,
    it_is_noted_what_of_a_deployment_took_how_long,
    labels_and_domains_restart_nothing,
    labels_of_a_secret_that_were_changed_are_put_back,
    labels_of_ownership_that_were_taken_off_are_put_back,
    more_edge_tasks_than_a_subnet_has_addresses_for,
    more_than_the_plan_allows_changes_nothing,
    networks_wait_for_links,
    no_node_of_the_region_is_said_in_words,
    no_subnet_is_left_for_another_organisation,
    no_verdict_is_given_on_what_cannot_be_seen,
    nothing_is_done_on_hold_before_somebody_confirms,
    nothing_is_run_twice,
    of_a_first_release_that_is_cancelled_nothing_more_is_sent,
    one_process_that_is_stopped_holds_nothing_else_up,
    one_release_phase_at_a_time,
    scaling_starts_and_stops_but_restarts_nothing,
    tasks_restarted_by_hand_are_not_restarted_again,
    the_order_of_passes_does_not_matter,
    what_cannot_be_read_is_not_absent,
    what_cannot_be_released_leaves_nothing_unguarded,
    what_is_not_ours_is_not_touched,
    what_is_said_of_an_earlier_release_is_not_believed_of_a_later_one,
    what_others_change_is_changed_back,
    what_runs_against_a_policy_says_so,
    what_runs_in_time_is_not_late_because_swarm_watches_it,
    what_somebody_stopped_stays_stopped_until_it_is_started,
    what_the_platform_names_and_is_not_there_is_no_permission,
    what_was_returned_from_can_be_asked_for_again,
    who_may_be_linked_is_the_platforms_to_say,
    whose_change_made_a_release,
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")
}

fn perform(name: &str) -> Result<()> {
    let path = directory().join(format!("{}.txt", name.replace('_', "-")));
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let said = Script::parse(&text)?.perform(&mut Stage::new(root)?)?;
    if said == text {
        return Ok(());
    }
    if std::env::var_os(BLESS).is_some() {
        return std::fs::write(&path, said).with_context(|| format!("cannot write {}", path.display()));
    }
    let (line, (told, now)) = first_difference(&text, &said);
    bail!("{name}: line {line} is\n  {told}\nbut should be\n  {now}\nreview and accept with {BLESS}=1");
}

fn first_difference<'a>(text: &'a str, said: &'a str) -> (usize, (&'a str, &'a str)) {
    let end = std::iter::repeat("(the end)");
    let lines = text.lines().chain(end.clone()).zip(said.lines().chain(end)).enumerate();
    let differs = |(_, (old, new)): &(usize, (&str, &str))| old != new;
    lines.take(text.len() + said.len() + 2).find(differs).map_or((0, ("", "")), |(i, pair)| (i + 1, pair))
}

#[test]
fn every_file_in_the_directory_is_a_case() -> Result<()> {
    for entry in std::fs::read_dir(directory())? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().replace('-', "_");
        if path.extension().is_some_and(|extension| extension == "txt") && !CASES.contains(&name.as_str()) {
            bail!("{} is not in the list of cases", path.display());
        }
    }
    Ok(())
}
