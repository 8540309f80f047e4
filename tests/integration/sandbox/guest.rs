//! Which test runs which guest. The list of guests is theirs (`tests/guests/src/list.rs`): one that has no test here does
//! not compile.

use goldenpath_tests::Evidence;

#[path = "../../guests/src/list.rs"]
mod list;

macro_rules! proved {
    ($($module:ident::$guest:ident,)*) => {
        const PROVED: &[(&str, fn() -> Evidence)] = &[$((stringify!($guest), $module::$guest)),*];
    };
}

list::guests!(proved);

mod catalog {
    pub(super) use super::super::budget::a_flood_of_host_calls_ends_at_their_budget as floods_the_host;
    pub(super) use super::super::power::{
        a_blueprint_without_a_line_is_not_written as writes_undeclared_blueprint,
        a_property_that_the_line_does_not_list_is_not_written as writes_undeclared_property,
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

#[test]
fn every_guest_of_the_list_is_in_the_table_of_ends() {
    let listed = PROVED.iter().map(|(name, _)| name.replace('_', "-"));
    let mut listed: Vec<String> = listed.collect();
    listed.sort_unstable();
    let ends = super::ENDS.iter().map(|(name, _)| (*name).to_owned());
    assert_eq!(listed, ends.collect::<Vec<String>>());
}
