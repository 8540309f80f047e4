//! 25–44: a guest that goes where it was not sent, or after secrets.

use goldenpath_tests::attack::Attack;

use super::attacks;
use crate::sandbox::{egress, install, raw_secret, resolve, secret, trick};
use crate::sdk::http;

pub(super) const ROWS: &[Attack] = attacks! {
    25 "a name whose address is inside" => "denied after it was resolved", test(resolve::an_answer_with_an_inside_address_in_any_spelling_is_refused_whole);
    25 "an inside address that only the reviewer allowed" => "denied", test(egress::an_inside_address_needs_the_hosts_word_beside_the_reviewers);
    26 "a name that turns inside between two questions" => "asked once; only what was checked is dialled", test(resolve::a_name_that_turns_inside_is_asked_for_once_by_each_request_and_refused_from_then_on);
    26 "answers that are forged, cut, broken or missing" => "typed errors; nothing is dialled", test(resolve::what_is_no_answer_is_an_error_and_silence_is_waited_for_as_long_as_the_guest_wants);
    27 "an older address inside a newer one, in every form" => "denied; public ones still work", test(resolve::an_answer_with_an_inside_address_in_any_spelling_is_refused_whole);
    27 "numbers and octal digits for an address" => "refused", test(trick::paths_hosts_and_methods_that_mean_another_are_refused_before_they_are_sent);
    28 "metadata services, with all that can be allowed" => "denied", test(resolve::metadata_stays_out_of_reach_where_reviewer_and_host_allow_inside_addresses);
    29 "a server that sends the guest elsewhere" => "an answer, never followed", test(http::a_redirect_is_an_answer_and_is_not_followed);
    30 "hosts that two readers take for different ones" => "refused", test(trick::paths_hosts_and_methods_that_mean_another_are_refused_before_they_are_sent);
    31 "paths that lead out of the granted ones" => "refused, or sent as they were matched", test(trick::paths_hosts_and_methods_that_mean_another_are_refused_before_they_are_sent);
    32 "methods in other letters, and such as open tunnels" => "denied", test(trick::paths_hosts_and_methods_that_mean_another_are_refused_before_they_are_sent);
    33 "headers that say where a request goes or ends" => "refused", test(trick::headers_that_change_where_a_request_ends_are_refused_before_it_is_sent);
    34 "answers without end" => "cut off by size and time", test(trick::answers_without_end_are_cut_off_by_size_and_time);
    34 "a certificate of another name, of another time, of a stranger" => "no connection", test(resolve::a_configured_authority_is_trusted_for_the_names_and_the_time_that_it_vouches_for);
    35 "opens sockets itself" => "not installed", test(install::a_component_that_imports_sockets_is_refused);
    36 "requests without end, all at once" => "as many as granted", test(http::many_requests_at_once_are_all_answered_up_to_the_budget);
    36 "connections that one plugin keeps to itself" => "others get theirs; its own wait, and fail in time", unit("plugin/capability/http/places.rs", a_plugin_that_hoards_places_takes_none_from_the_others);
    37 "the portal's own address, under four names" => "denied", test(egress::the_portal_itself_and_metadata_services_are_out_of_reach_whatever_was_granted);
    38 "a proxy that the environment names" => "not used", test(resolve::a_proxy_that_only_the_environment_names_is_not_used);
    39 "says a secret that a server sent back" => "hidden in log and output", test(secret::a_secret_reaches_its_server_and_nothing_that_the_run_leaves_behind);
    39 "says it in other forms" => "hidden", unit("plugin/secret/redact.rs", every_form_is_hidden_whatever_stands_around_it);
    39 "says it in two pieces" => "hidden on both sides", unit("plugin/secret/redact.rs", a_secret_that_is_cut_in_two_is_hidden_on_both_sides);
    39 "says a secret that it was given to read" => "hidden in log, progress, output and failure", test(raw_secret::a_granted_secret_is_read_audited_and_hidden_in_all_that_the_run_says);
    39 "says a key line by line" => "hidden", test(raw_secret::every_line_of_a_key_is_hidden_where_it_is_told_by_itself);
    40 "leaves a secret on disk" => "no file holds it", test(secret::a_secret_reaches_its_server_and_nothing_that_the_run_leaves_behind);
    40 "writes a secret into the catalog, its state or a folder" => "denied and audited", test(secret::a_write_that_holds_a_secret_is_denied_under_its_name_and_writes_nothing);
    41 "a secret that is no header" => "denied with its name", unit("plugin/capability/http/tests.rs", a_secret_that_is_not_set_or_is_no_header_is_a_denial_that_names_it);
    41 "a secret that is not set, or too long to be found again" => "not given", test(raw_secret::a_secret_that_nobody_has_set_or_that_is_too_long_is_an_error_of_its_own);
    42 "reads a secret by a name that is not its own" => "denied and audited", test(raw_secret::a_secret_whose_line_was_denied_or_never_asked_for_is_denied_and_audited);
    42 "reads secrets without any line" => "denied and audited; nothing is linked", test(raw_secret::without_any_granted_line_the_interface_is_not_linked);
    42 "takes a secret to another place" => "attached where its line says, nowhere else", unit("plugin/capability/http/tests.rs", a_secret_is_attached_where_its_line_says_and_nowhere_else);
    42 "lets two secrets meet in one request" => "neither is sent", unit("plugin/capability/http/tests.rs", two_lines_with_different_secrets_for_one_request_allow_it_to_neither);
    43 "uses a secret that was deleted" => "denied", test(secret::a_secret_in_use_is_deleted_by_force_alone_and_then_its_requests_are_denied);
    44 "other bytes under the same name and version" => "refused", test(install::other_bytes_under_a_version_that_exists_are_refused);
    44 "a grant of another package" => "gives nothing", unit("plugin/grant/tests.rs", grant_is_for_one_digest_and_one_manifest);
};
