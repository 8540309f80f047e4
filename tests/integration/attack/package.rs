//! 45–60: a guest on the disk, and packages that are attacks themselves.

use goldenpath_tests::attack::Attack;

use super::attacks;
use crate::sandbox::{files, install, raw_secret};
use crate::supply::{registry, signature};
use crate::{four_eyes, review};

pub(super) const ROWS: &[Attack] = attacks! {
    45 "paths that climb, or are none" => "refused", test(files::a_path_that_climbs_is_refused);
    45 "a folder without a line" => "denied and audited", test(files::a_folder_without_a_line_is_denied);
    46 "links that lead out" => "never followed", test(files::a_symbolic_link_is_never_followed);
    46 "a folder that comes to lead into the portal's own data" => "not opened", unit("plugin/capability/files/tests.rs", folder_that_came_to_lead_into_the_data_folder_is_not_opened);
    47 "links of every kind, to read and to write" => "never followed", unit("plugin/capability/files/tests.rs", links_are_never_followed);
    48 "fills the disk" => "stopped at its quota", test(files::a_full_folder_takes_no_more);
    48 "fills it by files that are open at once" => "one quota for all", unit("plugin/capability/files/tests.rs", quotas_of_bytes_and_files_hold_across_everything_that_is_open);
    48 "a pipe in place of a file" => "refused without waiting", unit("plugin/capability/files/tests.rs", pipe_in_the_folder_is_refused_without_waiting);
    49 "names that differ by case alone" => "told apart or refused", not_yet("packages hold no files that are unpacked");
    50 "archives that grow" => "stopped at a cap", not_yet("a package is one component; there is no archive to unpack");
    51 "archives that climb" => "refused whole", not_yet("a package is one component; there is no archive to unpack");
    52 "a registry that lies" => "the digest decides", test(registry::hostile_registry_is_refused_by_what_is_wrong_with_it);
    53 "a tag that was moved" => "seen", test(registry::package_goes_to_a_registry_and_comes_back_and_a_moved_tag_is_seen);
    53 "a blob that was changed in the registry" => "refused", test(registry::hostile_registry_is_refused_by_what_is_wrong_with_it);
    53 "bytes in the store that are not those that were approved" => "the plugin does not run", unit("plugin/review/tests/mod.rs", grant_for_other_bytes_stops_the_plugin);
    53 "an approval of something else than was read" => "409", test(review::an_approval_without_all_that_was_read_is_refused);
    53 "an approval by who installed it, where four eyes are asked for" => "403", test(four_eyes::who_installed_a_version_cannot_approve_it_and_is_told_who_can);
    53 "the same after somebody else installed it too" => "403", test(four_eyes::installing_it_again_does_not_make_another_persons_eyes_of_ones_own);
    53 "the same with a new credential" => "403", test(four_eyes::a_new_credential_is_not_a_new_person);
    54 "no signature, too few, or one signer twice" => "refused", test(signature::package_comes_in_with_as_many_signers_as_the_portal_asks_for);
    54 "one signer with several keys" => "counted once", unit("plugin/trust/tests.rs", one_signer_counts_once_however_often_and_with_however_many_keys);
    54 "signatures of strangers" => "not counted", unit("plugin/trust/tests.rs", it_takes_as_many_signers_as_are_asked_for);
    54 "a key that has expired" => "not counted", unit("plugin/trust/tests.rs", key_speaks_for_what_came_in_before_it_expired);
    54 "a signature of other bytes" => "refused", test(signature::byte_that_changes_after_signing_is_refused);
    54 "signatures in odd forms and places" => "refused", unit("plugin/signature.rs", signatures_in_an_odd_form_or_place_are_refused);
    55 "a script, a program, a module in place of a component" => "refused by what it is", test(install::a_file_that_is_no_component_is_refused);
    55 "compiled code in place of a component" => "refused by what it is", unit("plugin/package/tests.rs", what_is_no_component_is_refused_by_what_it_is);
    55 "the portal's own compiled code in place of a component" => "refused by what it is", unit("plugin/engine/cache.rs", compiled_code_is_refused_as_a_package);
    56 "a component that keeps the compiler busy" => "the compiler is ended", unit("plugin/engine/worker.rs", a_compiler_that_does_not_end_is_ended);
    57 "compiled code that was changed, cut or put in place" => "compiled anew", unit("plugin/engine/cache.rs", changed_or_cut_off_file_is_not_loaded);
    57 "compiled code of another component" => "compiled anew", unit("plugin/engine/cache.rs", file_of_another_component_or_another_key_is_not_loaded);
    57 "compiled code of another engine" => "compiled anew", unit("plugin/engine/cache.rs", compiled_code_of_another_engine_is_not_loaded);
    57 "a key of the cache that others could read" => "replaced", unit("plugin/engine/cache.rs", nobody_else_reads_the_cache_and_a_key_that_others_could_read_is_replaced);
    58 "a manifest with unknown, doubled or huge values, made by hand" => "refused with key and line", test(install::a_package_made_by_hand_is_held_to_the_same_rules);
    59 "a package on the operator's revocation list" => "not installed", test(signature::listed_package_is_not_installed);
    59 "a run of what came onto that list" => "`plugin_revoked`", test(signature::what_comes_onto_the_revocation_list_runs_no_more_and_does_not_come_back);
    59 "a run of a version that was revoked" => "`plugin_revoked`", test(review::an_action_that_pins_a_version_keeps_it_until_that_is_revoked);
    59 "a queued run of a version that was revoked meanwhile" => "`plugin_revoked`", test(review::a_revocation_lets_what_is_under_way_finish_and_what_is_queued_fail);
    59 "runs under way when everything is stopped" => "ended at once", test(review::a_stop_ends_all_that_is_under_way_and_nothing_that_begins_later);
    59 "an approval beyond the host's ceiling" => "refused", test(review::the_hosts_ceiling_is_above_every_approval);
    59 "an approval of secrets beyond the host's ceiling" => "refused", test(raw_secret::a_ceiling_without_secrets_refuses_the_approval);
    59 "an approval that is used twice" => "consumed once", unit("plugin/review/tests/mod.rs", approval_is_consumed_once);
    60 "the power goes during an install" => "old or new, never mixed", not_yet("an install is one transaction; no test kills the process in it");
};
