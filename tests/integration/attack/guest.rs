//! 1–24: a guest against the host's processor, memory and other guests.

use goldenpath_tests::attack::Attack;

use super::attacks;
use crate::sandbox::{budget, crash, install, power, print, run_action, trick};

pub(super) const ROWS: &[Attack] = attacks! {
    1 "a function loops" => "ended at its processor-time budget", test(budget::a_loop_ends_at_the_processor_time_budget);
    1 "a constructor loops before any function is called" => "ended at its processor-time budget", test(install::a_guest_that_loops_at_its_start_ends_its_run);
    1 "the allocator or a destructor that the host calls loops" => "ended likewise", not_yet("needs a component written by hand");
    2 "loops on every worker thread while people use the portal" => "the portal answers", test(budget::two_loops_at_once_leave_the_portal_answering);
    3 "cheap calls of our interfaces without end" => "ended at its host-call budget", test(budget::a_flood_of_host_calls_ends_at_their_budget);
    3 "cheap calls of the baseline without end" => "ended at its processor-time budget", test(budget::questions_for_the_time_end_at_the_processor_time_budget);
    4 "sleeps in the host" => "ended at its wall-time budget", test(budget::a_sleeper_ends_at_the_wall_time_budget);
    5 "memory, a little at a time" => "ended at its memory budget", test(budget::many_small_allocations_end_at_the_memory_budget);
    5 "memory, all at once" => "refused, and none is taken", test(budget::all_memory_at_once_is_refused_and_none_of_it_taken);
    6 "tables that grow or are many" => "refused", not_yet("needs a component written by hand; the limits are set");
    7 "calls itself for ever" => "a trap; the host lives", test(crash::endless_recursion_ends_its_run);
    8 "host objects that are never given back" => "ended at a limit of its own", test(trick::headers_that_are_never_given_back_end_the_run);
    9 "an answer that is too large" => "refused before it is read", test(budget::an_answer_over_the_output_budget_is_refused);
    10 "more randomness at once than any program needs" => "ended; nothing that large is made", test(budget::more_randomness_than_one_call_may_have_ends_the_run);
    11 "headers without end, and one that is too long" => "ended", test(trick::more_headers_or_body_than_a_server_takes_are_errors_of_their_own);
    12 "a request's body without end" => "cut off at the byte budget", test(trick::more_headers_or_body_than_a_server_takes_are_errors_of_their_own);
    13 "timeouts of nothing, and longer than a life" => "no harm", test(trick::times_that_are_none_or_without_end_are_no_harm);
    14 "a trap" => "the next guest finds everything free", test(crash::a_trap_ends_its_run);
    14 "a panic" => "the same, and its words are kept", test(crash::a_panic_ends_its_run_and_its_words_are_in_the_log);
    14 "an exit that claims success" => "no answer is a failure", test(crash::leaving_as_a_program_does_is_no_answer);
    15 "a bug in one of the host's own functions" => "the run fails, the portal lives", not_yet("nothing of the host can be made to panic from outside");
    16 "is cancelled while it waits in the host" => "ended at once", test(crate::review::a_revocation_that_cancels_ends_what_is_under_way);
    17 "looks for what an earlier guest left in memory" => "zeros", test(budget::memory_of_an_earlier_guest_is_empty_in_the_next);
    18 "a gigabyte on stdout" => "cut at the log budget", test(print::a_gigabyte_on_stdout_is_cut_at_the_log_budget);
    18 "lines of log without end" => "cut at the log budget", test(print::a_flood_of_log_calls_is_cut_at_the_log_budget);
    18 "one line without end" => "cut at the log budget", test(print::an_endless_line_is_cut_at_the_log_budget);
    19 "escapes that a terminal obeys" => "written out", test(print::terminal_escapes_are_written_out);
    19 "bytes that are no text" => "replaced", test(print::bytes_that_are_no_text_are_replaced);
    20 "an answer of lists within lists" => "refused by its depth", test(budget::an_answer_that_nests_too_deep_is_refused);
    21 "measures time without a line for the clock" => "time stands still", test(power::a_clock_without_a_line_stands_still);
    21 "randomness without a line" => "ended, with the line that is missing", test(power::randomness_without_a_line_ends_the_run_and_names_the_line);
    22 "imports what no line of its manifest asks for" => "not installed", test(install::an_import_without_a_line_is_refused);
    22 "a core module" => "not installed", test(install::a_core_module_is_refused_as_one);
    22 "a contract that does not exist" => "not installed", test(install::a_component_for_another_version_of_the_contract_is_refused);
    22 "the oldest contract, to get round newer checks" => "denied all the same", test(power::a_guest_for_the_oldest_contract_reaches_no_more_than_one_for_the_newest);
    23 "writes a blueprint without a line" => "denied and audited", test(power::a_blueprint_without_a_line_is_not_written);
    23 "reads, writes or deletes by a line for something else" => "denied and audited", test(power::an_access_without_a_line_is_denied);
    23 "writes a property that its line does not list" => "denied and audited", test(power::a_property_that_the_line_does_not_list_is_not_written);
    23 "writes title, teams and relations by a line that lists properties" => "denied and audited", test(power::title_teams_and_relations_are_not_written_by_a_line_that_lists_properties);
    23 "finds out by a query what it may not read" => "denied and audited", test(power::entities_are_named_by_a_query_only_where_they_may_be_read);
    24 "starts an action without a line" => "denied and audited", test(run_action::an_action_without_a_line_is_denied_and_audited);
    24 "starts actions that start actions" => "stopped at a depth, and in a circle at once", test(run_action::a_chain_ends_at_its_depth_and_never_goes_in_a_circle);
    24 "starts actions without end" => "stopped at a number", test(run_action::a_flood_ends_at_its_number);
    24 "asks how far the runs of others are" => "not found", test(run_action::only_runs_that_the_call_itself_started_can_be_asked_about);
};
