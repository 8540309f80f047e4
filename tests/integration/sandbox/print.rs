//! Guests that print what no one should have to read.

use serde_json::json;

use super::{misbehave, portal};

/// What the budget of the misbehaving guests allows, and the line which says that it is used up.
const MOST: usize = 16 * 1024 + 200;

fn assert_cut(log: &[String]) {
    let bytes: usize = log.iter().map(String::len).sum();
    assert!(bytes <= MOST, "{bytes} bytes of log");
    let last = log.last().expect("a line");
    assert!(last.contains("limits.log"), "{last}");
    let said = log
        .iter()
        .filter(|line| line.contains("limits.log"))
        .count();
    assert_eq!(said, 1, "the end of the log is said once");
}

#[test]
fn a_gigabyte_on_stdout_is_cut_at_the_log_budget() {
    let portal = portal();
    let run = misbehave(&portal, "floods-stdout", &json!({}));
    assert_cut(&portal.admin().log_of(&run));
}

#[test]
fn a_flood_of_log_calls_is_cut_at_the_log_budget() {
    let portal = portal();
    let run = misbehave(&portal, "floods-the-log", &json!({}));
    assert_cut(&portal.admin().log_of(&run));
}

#[test]
fn an_endless_line_is_cut_at_the_log_budget() {
    let portal = portal();
    let run = misbehave(&portal, "prints-one-endless-line", &json!({}));
    assert_cut(&portal.admin().log_of(&run));
}

#[test]
fn terminal_escapes_are_written_out() {
    let portal = portal();
    let run = misbehave(&portal, "prints-escapes", &json!({}));
    let log = portal.admin().log_of(&run).join("\n");
    assert!(log.contains("printed") && log.contains("logged"), "{log}");
    let harmful = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!log.contains(harmful), "{log:?}");
}

#[test]
fn bytes_that_are_no_text_are_replaced() {
    let portal = portal();
    let run = misbehave(&portal, "prints-invalid-utf8", &json!({}));
    let log = portal.admin().log_of(&run).join("\n");
    assert!(log.contains("before \u{fffd}"), "{log:?}");
    assert!(log.contains("after"), "{log:?}");
}
