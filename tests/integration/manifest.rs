//! Every key of a manifest that gives or bounds power, and the tests that show it: one where what it allows is done, one
//! where more is denied, one where that is in the audit log.
//!
//! A test that is gone does not compile here, and a key without tests fails. Three kinds of keys are denied in their own
//! way, and so is their row in the log another one:
//!
//! - A budget, and so a bound of a folder, is no line that could be missing: what is beyond it fails with the budget's own
//!   code, or is cut off, and what is audited is the end of the run, with that code.
//! - A clock without a line is there and stands still, so that nothing is ever denied: what is audited is the approval,
//!   which says what was granted.
//! - A secret's text that is given out is audited each time, beside the denials.

use std::collections::BTreeSet;
use std::process::{Command, Termination};

use goldenpath::plugin::MANIFEST_KEYS;

use crate::sandbox::{budget, files, granted, power, raw_secret, run_action, secret};
use crate::sdk::{http, state};

/// A key, and the names of its tests: allowed, denied, audited.
type Shown = (&'static str, [&'static str; 3]);

/// The name of a test that exists.
const fn name<T: Termination>(_: fn() -> T, name: &'static str) -> &'static str {
    name
}

/// Lines of keys, each with the three tests that all of them share.
macro_rules! shown {
    ($($($key:literal)|+ => $allowed:path, $denied:path, $audited:path;)*) => {
        &[$($((
            $key,
            [
                name($allowed, stringify!($allowed)),
                name($denied, stringify!($denied)),
                name($audited, stringify!($audited)),
            ],
        )),+),*]
    };
}

const SHOWN: &[Shown] = shown! {
    "capabilities.catalog.access" =>
        granted::a_granted_access_to_a_blueprint_is_had,
        power::an_access_without_a_line_is_denied,
        power::an_access_without_a_line_is_denied;
    "capabilities.catalog.blueprint" =>
        granted::a_granted_access_to_a_blueprint_is_had,
        power::a_blueprint_without_a_line_is_not_written,
        power::a_denial_is_audited_with_run_digest_and_missing_line;
    "capabilities.catalog.properties" =>
        power::title_teams_and_relations_are_not_written_by_a_line_that_lists_properties,
        power::a_property_that_the_line_does_not_list_is_not_written,
        power::a_property_that_the_line_does_not_list_is_not_written;
    "capabilities.clock" =>
        granted::a_clock_with_a_line_goes_on_and_randomness_with_a_line_is_there,
        power::a_clock_without_a_line_stands_still,
        granted::an_approval_without_the_clock_says_so_in_the_audit_log;
    "capabilities.files.access" =>
        granted::a_folder_is_written_and_read_within_its_bounds,
        granted::a_folder_to_read_is_not_written_and_the_denial_is_audited,
        granted::a_folder_to_read_is_not_written_and_the_denial_is_audited;
    "capabilities.files.max-bytes" =>
        granted::a_folder_is_written_and_read_within_its_bounds,
        files::a_full_folder_takes_no_more,
        budget::the_end_of_a_run_is_audited_with_what_it_used_up;
    "capabilities.files.max-files" =>
        granted::a_folder_is_written_and_read_within_its_bounds,
        granted::a_folder_takes_no_more_files_than_it_may_and_the_end_of_the_run_is_audited,
        granted::a_folder_takes_no_more_files_than_it_may_and_the_end_of_the_run_is_audited;
    "capabilities.files.name" =>
        granted::a_folder_is_written_and_read_within_its_bounds,
        files::a_folder_without_a_line_is_denied,
        files::a_folder_without_a_line_is_denied;
    "capabilities.http.endpoint" | "capabilities.http.methods" | "capabilities.http.paths" =>
        http::requests_arrive_whole_and_so_do_their_answers,
        http::what_no_line_allows_is_never_sent_and_the_run_says_which_line_is_missing,
        http::what_no_line_allows_is_never_sent_and_the_run_says_which_line_is_missing;
    "capabilities.http.query" =>
        http::a_query_has_no_other_keys_than_its_line_lists,
        http::a_query_has_no_other_keys_than_its_line_lists,
        http::a_query_has_no_other_keys_than_its_line_lists;
    "capabilities.http.secret.format" | "capabilities.http.secret.header" | "capabilities.http.secret.name" =>
        secret::a_secret_reaches_its_server_and_nothing_that_the_run_leaves_behind,
        secret::a_secret_in_use_is_deleted_by_force_alone_and_then_its_requests_are_denied,
        secret::a_secret_in_use_is_deleted_by_force_alone_and_then_its_requests_are_denied;
    "capabilities.random" =>
        granted::a_clock_with_a_line_goes_on_and_randomness_with_a_line_is_there,
        power::randomness_without_a_line_ends_the_run_and_names_the_line,
        power::randomness_without_a_line_ends_the_run_and_names_the_line;
    "capabilities.run-action.action" =>
        run_action::a_started_run_is_one_of_the_person_who_asked_and_says_where_it_comes_from,
        run_action::an_action_without_a_line_is_denied_and_audited,
        run_action::an_action_without_a_line_is_denied_and_audited;
    "capabilities.secret.name" =>
        raw_secret::a_granted_secret_is_read_audited_and_hidden_in_all_that_the_run_says,
        raw_secret::a_secret_whose_line_was_denied_or_never_asked_for_is_denied_and_audited,
        raw_secret::a_secret_whose_line_was_denied_or_never_asked_for_is_denied_and_audited;
    "capabilities.state" =>
        state::keys_are_set_read_listed_and_removed,
        granted::state_whose_line_was_denied_is_not_linked_and_the_denial_is_audited,
        granted::state_whose_line_was_denied_is_not_linked_and_the_denial_is_audited;
    "limits.cpu-time" =>
        granted::a_run_within_its_budgets_succeeds_and_what_it_took_of_each_is_told,
        budget::a_loop_ends_at_the_processor_time_budget,
        budget::the_end_of_a_run_is_audited_with_what_it_used_up;
    "limits.host-calls" =>
        granted::a_run_within_its_budgets_succeeds_and_what_it_took_of_each_is_told,
        budget::a_flood_of_host_calls_ends_at_their_budget,
        budget::the_end_of_a_run_is_audited_with_what_it_used_up;
    "limits.http-bytes" =>
        http::answers_over_a_limit_are_errors_that_name_it,
        http::answers_over_a_limit_are_errors_that_name_it,
        http::a_run_that_needs_more_of_the_network_than_it_has_fails_and_its_end_is_audited;
    "limits.http-requests" =>
        http::many_requests_at_once_are_all_answered_up_to_the_budget,
        http::many_requests_at_once_are_all_answered_up_to_the_budget,
        http::a_run_that_needs_more_of_the_network_than_it_has_fails_and_its_end_is_audited;
    "limits.log" =>
        granted::a_run_within_its_budgets_succeeds_and_what_it_took_of_each_is_told,
        crate::sandbox::print::a_flood_of_log_calls_is_cut_at_the_log_budget,
        budget::the_end_of_a_run_is_audited_with_what_it_used_up;
    "limits.memory" =>
        granted::a_run_within_its_budgets_succeeds_and_what_it_took_of_each_is_told,
        budget::many_small_allocations_end_at_the_memory_budget,
        budget::the_end_of_a_run_is_audited_with_what_it_used_up;
    "limits.output" =>
        granted::a_run_within_its_budgets_succeeds_and_what_it_took_of_each_is_told,
        budget::an_answer_over_the_output_budget_is_refused,
        budget::the_end_of_a_run_is_audited_with_what_it_used_up;
    "limits.wall-time" =>
        granted::a_run_within_its_budgets_succeeds_and_what_it_took_of_each_is_told,
        budget::a_sleeper_ends_at_the_wall_time_budget,
        budget::the_end_of_a_run_is_audited_with_what_it_used_up;
};

#[test]
fn every_key_of_a_manifest_is_shown_allowed_denied_and_audited() {
    let shown: Vec<&str> = SHOWN.iter().map(|(key, _)| *key).collect();
    assert_eq!(shown, MANIFEST_KEYS);
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "this program knows its own tests"
)]
fn what_shows_a_key_is_a_test() {
    let mut program = Command::new(std::env::current_exe().expect("this program"));
    let listed = program.arg("--list").output().expect("it lists its tests");
    let listed = String::from_utf8(listed.stdout).expect("names in UTF-8");
    let tests: BTreeSet<&str> = listed
        .lines()
        .filter_map(|line| line.strip_suffix(": test")?.rsplit("::").next())
        .collect();
    for (key, names) in SHOWN {
        for name in names {
            let name = name.rsplit("::").next().unwrap_or_default().trim();
            assert!(tests.contains(name), "{key}: {name}");
        }
    }
}
