//! Guests that end without an answer.

use goldenpath_tests::Evidence;
use serde_json::json;

use super::{ended, misbehave, portal};

#[test]
pub(crate) fn a_panic_ends_its_run_and_its_words_are_in_the_log() -> Evidence {
    let portal = portal();
    let run = misbehave(&portal, "panics", &json!({}));
    let log = portal.admin().log_of(&run).join("\n");
    assert!(log.contains("the guest's last words"), "{log}");
    ended(&portal, &run).seen("its last words are in the log")
}

#[test]
pub(crate) fn a_trap_ends_its_run() -> Evidence {
    let portal = portal();
    let run = misbehave(&portal, "traps", &json!({}));
    ended(&portal, &run)
}

#[test]
pub(crate) fn endless_recursion_ends_its_run() -> Evidence {
    let portal = portal();
    let run = misbehave(&portal, "recurses-forever", &json!({}));
    ended(&portal, &run)
}

#[test]
pub(crate) fn leaving_as_a_program_does_is_no_answer() -> Evidence {
    let portal = portal();
    let run = misbehave(&portal, "exits", &json!({}));
    ended(&portal, &run)
}
