//! Guests that end without an answer.

use serde_json::json;

use super::{misbehave, portal};

#[test]
fn a_panic_ends_its_run_and_its_words_are_in_the_log() {
    let portal = portal();
    let run = misbehave(&portal, "panics", &json!({}));
    let log = portal.admin().log_of(&run).join("\n");
    assert!(log.contains("the guest's last words"), "{log}");
}

#[test]
fn a_trap_ends_its_run() {
    misbehave(&portal(), "traps", &json!({}));
}

#[test]
fn endless_recursion_ends_its_run() {
    misbehave(&portal(), "recurses-forever", &json!({}));
}

#[test]
fn leaving_as_a_program_does_is_no_answer() {
    misbehave(&portal(), "exits", &json!({}));
}
