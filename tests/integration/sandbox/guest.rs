//! Which test runs which guest. The list of guests is theirs (`tests/guests/src/list.rs`): one that has no test here does
//! not compile. Those with a component of their own are listed here, and the list is held against their sources.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Termination;

use goldenpath_tests::{Evidence, guests_dir};

#[path = "../../guests/src/list.rs"]
mod list;

macro_rules! proved {
    ($($module:ident::$guest:ident,)*) => {
        const PROVED: &[(&str, fn() -> Evidence)] = &[$((stringify!($guest), $module::$guest)),*];
    };
}

list::guests!(proved);

/// The guests with a component of their own, each by its file below `tests/guests/examples` and its function.
macro_rules! apart {
    ($($file:ident::$guest:ident,)*) => {
        const APART: &[(&str, &str)] = &[$((stringify!($file), stringify!($guest))),*];
        const _: &[&str] = &[$(named($file::$guest, stringify!($guest))),*];
    };
}

/// The name of a test that exists.
const fn named<T: Termination>(_: fn() -> T, name: &'static str) -> &'static str {
    name
}

apart! {
    keeps_what_it_gets::keeps,
    loops_at_start::loops_at_start,
    opens_sockets::opens_sockets,
    reads_secrets::fails_with_secret,
    reads_secrets::tells_secret,
    starts_actions::starts,
    takes_steps::overflows,
    takes_steps::stumbles,
    takes_steps::walks,
    takes_steps::wanders,
    uses_the_sdk::calls_by_name,
    uses_the_sdk::counts,
    uses_the_sdk::expects_success,
    uses_the_sdk::hoards,
    uses_the_sdk::repeats,
    uses_the_sdk::sends,
    uses_the_sdk::sends_all,
    uses_the_sdk::uses_state,
}

mod catalog {
    pub(super) use super::super::budget::a_flood_of_host_calls_ends_at_their_budget as floods_the_host;
    pub(super) use super::super::power::{
        a_blueprint_without_a_line_is_not_written as writes_undeclared_blueprint,
        a_property_that_the_line_does_not_list_is_not_written as writes_undeclared_property,
        an_access_without_a_line_is_denied as does_to_an_entity,
        entities_are_named_by_a_query_only_where_they_may_be_read as writes_by_a_hidden_query,
        entities_are_named_by_a_query_only_where_they_may_be_read as writes_by_a_query,
        title_teams_and_relations_are_not_written_by_a_line_that_lists_properties as writes_undeclared_parts,
    };
}

mod crash {
    pub(super) use super::super::budget::{
        all_memory_at_once_is_refused_and_none_of_it_taken as grows_at_once,
        many_small_allocations_end_at_the_memory_budget as eats_memory,
        memory_of_an_earlier_guest_is_empty_in_the_next as leaves_a_pattern,
    };
    pub(super) use super::super::crash::{
        a_panic_ends_its_run_and_its_words_are_in_the_log as panics, a_trap_ends_its_run as traps,
        endless_recursion_ends_its_run as recurses_forever,
        leaving_as_a_program_does_is_no_answer as exits,
    };
}

mod files {
    pub(super) use super::super::files::{
        a_folder_without_a_line_is_denied as opens_undeclared_folder,
        a_full_folder_takes_no_more as fills_the_folder,
        a_path_that_climbs_is_refused as reads_a_path,
        a_path_that_climbs_is_refused as writes_a_path,
    };
}

mod log {
    pub(super) use super::super::print::{
        a_flood_of_log_calls_is_cut_at_the_log_budget as floods_the_log,
        a_gigabyte_on_stdout_is_cut_at_the_log_budget as floods_stdout,
        an_endless_line_is_cut_at_the_log_budget as prints_one_endless_line,
        bytes_that_are_no_text_are_replaced as prints_invalid_utf8,
        terminal_escapes_are_written_out as prints_escapes,
    };
}

mod output {
    pub(super) use super::super::budget::{
        an_answer_over_the_output_budget_is_refused as answers_huge,
        an_answer_that_nests_too_deep_is_refused as answers_deep,
    };
}

mod time {
    pub(super) use super::super::budget::{
        a_loop_ends_at_the_processor_time_budget as loops_forever,
        a_sleeper_ends_at_the_wall_time_budget as sleeps_too_long,
        more_randomness_than_one_call_may_have_ends_the_run as reads_much_randomness,
        questions_for_the_time_end_at_the_processor_time_budget as asks_the_time_forever,
    };
    pub(super) use super::super::power::{
        a_clock_without_a_line_stands_still as reads_the_clock,
        randomness_without_a_line_ends_the_run_and_names_the_line as reads_randomness,
    };
}

mod keeps_what_it_gets {
    pub(super) use super::super::secret::a_write_that_holds_a_secret_is_denied_under_its_name_and_writes_nothing as keeps;
}

mod loops_at_start {
    pub(super) use super::super::install::a_guest_that_loops_at_its_start_ends_its_run as loops_at_start;
}

mod opens_sockets {
    pub(super) use super::super::install::a_component_that_imports_sockets_is_refused as opens_sockets;
}

mod reads_secrets {
    pub(super) use super::super::raw_secret::{
        a_granted_secret_is_read_audited_and_hidden_in_all_that_the_run_says as fails_with_secret,
        a_granted_secret_is_read_audited_and_hidden_in_all_that_the_run_says as tells_secret,
    };
}

mod starts_actions {
    pub(super) use super::super::run_action::an_action_without_a_line_is_denied_and_audited as starts;
}

mod takes_steps {
    pub(super) use crate::steps::{
        a_killed_run_goes_on_after_the_last_step_that_has_finished as walks,
        a_plugin_that_takes_other_steps_than_before_is_ended_and_not_tried_again as wanders,
        steps_that_are_none_are_refused as overflows, steps_that_are_none_are_refused as stumbles,
    };
}

mod uses_the_sdk {
    pub(super) use super::super::secret::a_secret_reaches_its_server_and_nothing_that_the_run_leaves_behind as repeats;
    pub(super) use super::super::trick::headers_that_are_never_given_back_end_the_run as hoards;
    pub(super) use crate::sdk::http::{
        a_plugin_asks_by_name_where_its_endpoint_is_and_learns_of_no_other as calls_by_name,
        a_status_that_is_no_success_fails_a_run_that_expects_one as expects_success,
        many_requests_at_once_are_all_answered_up_to_the_budget as sends_all,
        requests_arrive_whole_and_so_do_their_answers as sends,
    };
    pub(super) use crate::sdk::state::{
        keys_are_set_read_listed_and_removed as uses_state,
        no_plugin_sees_the_values_of_another as counts,
    };
}

/// The functions that a file hands to `plugin!`, by the file's name.
#[expect(clippy::disallowed_methods, reason = "the project's own source")]
fn exported(file: &Path) -> Vec<(String, String)> {
    let source = std::fs::read_to_string(file).expect("a guest's source");
    let list = source.split_once("goldenpath_sdk::plugin!(");
    let list = list.and_then(|(_, rest)| rest.split_once(')'));
    let (list, _) = list.expect("a guest exports something");
    let name = file.file_stem().and_then(OsStr::to_str);
    let name = name.expect("a name in UTF-8");
    let guests = list.split(',').map(str::trim);
    guests
        .filter(|guest| !guest.is_empty())
        .map(|guest| (name.to_owned(), guest.to_owned()))
        .collect()
}

#[test]
fn every_guest_with_a_component_of_its_own_has_a_test() {
    let folder = guests_dir().join("examples");
    let files = folder.read_dir().expect("a folder");
    let mut exported: Vec<(String, String)> = files
        .flat_map(|file| exported(&file.expect("a file").path()))
        .collect();
    exported.sort_unstable();
    let apart = APART.iter();
    let listed = apart.map(|(file, guest)| ((*file).to_owned(), (*guest).to_owned()));
    assert_eq!(exported, listed.collect::<Vec<_>>());
}

#[test]
fn every_guest_of_the_list_is_in_the_table_of_ends() {
    let listed = PROVED.iter().map(|(name, _)| name.replace('_', "-"));
    let mut listed: Vec<String> = listed.collect();
    listed.sort_unstable();
    let ends = super::ENDS.iter().map(|(name, _)| (*name).to_owned());
    assert_eq!(listed, ends.collect::<Vec<String>>());
}
