//! In what a value or a text differs from what was expected.

use serde_json::Value;

/// The longest text of a difference: more is not read.
const SHOWN: usize = 300;

/// Differences of one value; the first ones tell what is wrong.
const MOST: usize = 20;

/// How much of a value is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of it.
    Whole,
    /// The members that are named; in lists, elements one by one.
    Part,
}

/// One line for each place where a value is not what was expected, with its JSON pointer after `at`.
pub(super) fn differences(at: &str, expected: &Value, is: &Value, extent: Extent) -> Vec<String> {
    let mut found = Vec::new();
    compare(at, expected, is, extent, &mut found);
    if found.len() > MOST {
        let more = found.len() - MOST;
        found.truncate(MOST);
        found.push(format!("{at}: and {more} more differences"));
    }
    found
}

/// In what a text is another one: the first line where they part.
pub(super) fn text_difference(at: &str, expected: &str, is: &str) -> Option<String> {
    if expected == is {
        return None;
    }
    let (wanted, lines): (Vec<_>, Vec<_>) = (expected.lines().collect(), is.lines().collect());
    if wanted == lines {
        return Some(format!("{at}: differs in the ends of its lines"));
    }
    let same = wanted.iter().zip(&lines).take_while(|(a, b)| a == b);
    let index = same.count();
    let shown = |lines: &[&str]| match lines.get(index) {
        Some(line) => format!("`{}`", brief(line)),
        None => "the end".to_owned(),
    };
    if wanted.len() <= 1 && lines.len() <= 1 {
        let (expected, is) = (brief(expected), brief(is));
        return Some(format!("{at}: expected `{expected}`, was `{is}`"));
    }
    Some(format!(
        "{at}, line {}: expected {}, was {}",
        index + 1,
        shown(&wanted),
        shown(&lines)
    ))
}

/// A text that fits into a report.
pub(super) fn brief(text: &str) -> String {
    if text.chars().nth(SHOWN).is_none() {
        return text.to_owned();
    }
    let head: String = text.chars().take(SHOWN).collect();
    format!("{head}…")
}

fn compare(at: &str, expected: &Value, is: &Value, extent: Extent, found: &mut Vec<String>) {
    match (expected, is) {
        (Value::Object(wanted), Value::Object(members)) => {
            for (key, value) in wanted {
                let place = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
                match members.get(key) {
                    Some(member) => compare(&place, value, member, extent, found),
                    None => found.push(format!("{place}: expected `{}`, is missing", json(value))),
                }
            }
            let rest = members.iter().filter(|(key, _)| !wanted.contains_key(*key));
            for (key, value) in rest.filter(|_| extent == Extent::Whole) {
                found.push(format!(
                    "{at}/{key}: was `{}`, which is not expected",
                    json(value)
                ));
            }
        }
        (Value::Array(wanted), Value::Array(elements)) if wanted.len() == elements.len() => {
            for (index, (value, element)) in wanted.iter().zip(elements).enumerate() {
                compare(&format!("{at}/{index}"), value, element, extent, found);
            }
        }
        (Value::String(wanted), Value::String(text)) => {
            found.extend(text_difference(at, wanted, text));
        }
        _ if expected == is => {}
        _ => found.push(format!(
            "{at}: expected `{}`, was `{}`",
            json(expected),
            json(is)
        )),
    }
}

fn json(value: &Value) -> String {
    brief(&value.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_differs_from_itself_and_a_part_says_nothing_of_the_rest() {
        let value = json!({"a": [1, {"b": "c"}], "d": null});
        assert_eq!(differences("x", &value, &value, Extent::Whole), [""; 0]);
        let part = json!({"a": [1, {}]});
        assert_eq!(differences("x", &part, &value, Extent::Part), [""; 0]);
        let whole = differences("x", &part, &value, Extent::Whole);
        let told = [
            "x/a/1/b: was `\"c\"`, which is not expected",
            "x/d: was `null`, which is not expected",
        ];
        assert_eq!(whole, told);
    }

    #[test]
    fn each_place_is_told_with_what_was_expected_and_what_was() {
        let (wanted, is) = (
            json!({"a/b": 1, "list": [1], "gone": true}),
            json!({"a/b": 2, "list": [1, 2]}),
        );
        let told = [
            "x/a~1b: expected `1`, was `2`",
            "x/list: expected `[1]`, was `[1,2]`",
            "x/gone: expected `true`, is missing",
        ];
        assert_eq!(differences("x", &wanted, &is, Extent::Part), told);
    }

    #[test]
    fn texts_are_told_apart_by_the_first_line_that_differs() {
        let told = |a, b| text_difference("f", a, b);
        assert_eq!(told("a\n", "a\n"), None);
        let line = "f, line 2: expected `b`, was `c`";
        assert_eq!(told("a\nb\n", "a\nc\n").as_deref(), Some(line));
        let end = "f, line 2: expected `b`, was the end";
        assert_eq!(told("a\nb\n", "a\n").as_deref(), Some(end));
        let ends = "f: differs in the ends of its lines";
        assert_eq!(told("a\nb\n", "a\nb").as_deref(), Some(ends));
        let short = "f: expected `a`, was `b`";
        assert_eq!(told("a", "b").as_deref(), Some(short));
    }
}
