//! Guests that print what no one should have to read.

use goldenpath_tests::Evidence;
use serde_json::json;

use super::{ended, misbehave, portal};

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
pub(crate) fn a_gigabyte_on_stdout_is_cut_at_the_log_budget() -> Evidence {
    let portal = portal();
    let run = misbehave(&portal, "floods-stdout", &json!({}));
    assert_cut(&portal.admin().log_of(&run));
    ended(&portal, &run).seen("at most 16 KiB kept, and one line about the rest")
}

#[test]
pub(crate) fn a_flood_of_log_calls_is_cut_at_the_log_budget() -> Evidence {
    let portal = portal();
    let run = misbehave(&portal, "floods-the-log", &json!({}));
    assert_cut(&portal.admin().log_of(&run));
    ended(&portal, &run).seen("at most 16 KiB kept, and one line about the rest")
}

#[test]
pub(crate) fn an_endless_line_is_cut_at_the_log_budget() -> Evidence {
    let portal = portal();
    let run = misbehave(&portal, "prints-one-endless-line", &json!({}));
    assert_cut(&portal.admin().log_of(&run));
    ended(&portal, &run).seen("at most 16 KiB kept, and one line about the rest")
}

#[test]
pub(crate) fn terminal_escapes_are_written_out() -> Evidence {
    let portal = portal();
    let run = misbehave(&portal, "prints-escapes", &json!({}));
    let log = portal.admin().log_of(&run).join("\n");
    assert!(log.contains("printed") && log.contains("logged"), "{log}");
    let harmful = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!log.contains(harmful), "{log:?}");
    ended(&portal, &run).seen("no control character is in the log")
}

#[test]
pub(crate) fn bytes_that_are_no_text_are_replaced() -> Evidence {
    let portal = portal();
    let run = misbehave(&portal, "prints-invalid-utf8", &json!({}));
    let log = portal.admin().log_of(&run).join("\n");
    assert!(log.contains("before \u{fffd}"), "{log:?}");
    assert!(log.contains("after"), "{log:?}");
    ended(&portal, &run).seen("replaced by U+FFFD")
}
