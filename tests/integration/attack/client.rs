//! 61–70: hostile clients, and data that somebody put into the catalog.

use goldenpath_tests::attack::Attack;

use super::attacks;
use crate::api::door;
use crate::sandbox::{print, run_action, run_as, template};
use crate::sdk::state;

pub(super) const ROWS: &[Attack] = attacks! {
    61 "bodies that are too large, announced or not" => "413", unit("api/tests/edge.rs", bodies_over_the_limit_are_refused_announced_or_not);
    61 "a body that stops coming" => "given up", unit("api/tests/edge.rs", body_that_stops_arriving_is_given_up);
    61 "connections without end from one address" => "others get in", test(door::one_address_cannot_hold_all_connections);
    62 "schemas that refer to what is outside" => "refused; nothing is fetched", unit("catalog/schema.rs", a_schema_cannot_refer_to_what_is_outside);
    62 "schemas that go in circles" => "refused", unit("catalog/schema.rs", a_schema_may_refer_within_itself_but_not_in_circles);
    62 "a package's schema that refers to what is outside" => "refused", unit("plugin/package/tests.rs", schema_that_reaches_outside_is_refused);
    63 "patterns that take for ever" => "linear and small", unit("catalog/schema.rs", patterns_are_linear_and_small);
    64 "schemas that double the work at each step" => "refused", unit("catalog/schema.rs", references_that_double_the_work_at_each_step_are_refused);
    64 "values that nest too deep" => "refused before they are walked", unit("catalog/schema.rs", a_deep_value_is_refused_before_it_is_walked);
    65 "odd bytes in identifiers" => "do not exist", unit("api/tests/edge.rs", identifiers_in_the_path_may_be_percent_encoded_and_bad_ones_do_not_exist);
    66 "a guest's words that a terminal or a log would obey" => "escaped", test(print::terminal_escapes_are_written_out);
    66 "data that looks like a template with a secret" => "stays data", test(template::no_template_and_no_data_that_looks_like_one_becomes_a_secret);
    67 "blueprints and entities in circles" => "walks end", unit("catalog/tests/apply.rs", circular_blueprints_and_mutual_entities_go_in_at_once);
    67 "deletions in circles" => "end", unit("catalog/tests/entity.rs", deleting_dependents_goes_round_circles);
    67 "a hundred thousand edges at one entity" => "bounded", unit("catalog/tests/change.rs", a_hundred_thousand_edges_lead_out_of_one_entity_and_into_one);
    68 "webhooks that are forged or replayed" => "refused", not_yet("the portal receives no webhooks yet");
    69 "a name that the portal does not have" => "421", test(door::behind_a_proxy_the_public_name_is_known_and_others_are_misdirected);
    69 "no host at all" => "400", unit("api/tests/edge.rs", unknown_host_is_misdirected_and_no_host_is_bad);
    70 "routes that a role does not include" => "403", unit("api/tests/contract.rs", each_role_may_call_exactly_what_it_includes);
    70 "values of another plugin" => "not seen", test(state::no_plugin_sees_the_values_of_another);
    70 "the catalog by way of a right to see less" => "hidden looks like missing", unit("catalog/tests/scope.rs", pointing_at_what_is_hidden_is_as_pointing_at_nothing);
    70 "a plugin of wide grants, asked by a person of few rights" => "denied where it runs as its user", test(run_as::an_action_that_runs_as_its_user_does_nothing_that_they_may_not);
    70 "the same against the permissions of a blueprint" => "denied", test(run_as::the_permissions_of_a_blueprint_bind_an_action_that_runs_as_its_user);
    70 "the same where the action has rights of its own" => "written, and both are named", test(run_as::an_action_may_do_what_its_user_may_not_and_both_are_named);
    70 "a run that a plugin starts about what its user may not see" => "forbidden and audited", test(run_action::what_a_person_may_not_see_no_plugin_starts_a_run_about_for_them);
    70 "a run that a plugin starts" => "its user's, as if they had asked", test(run_action::a_started_run_is_one_of_the_person_who_asked_and_says_where_it_comes_from);
};
