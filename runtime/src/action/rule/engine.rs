//! The rules of `engine`: how runs of an action are carried out.

use serde_json::{Map, Value};

use super::{Found, child};
use crate::model::Pause;

/// Attempts that a run may have in all; more is no retrying but polling, which is a schedule's work.
const ATTEMPTS: (u64, u64) = (2, 20);

/// Codes that `retry.on` may list.
const CODES: usize = 50;

/// Runs of an action at once that can be asked for; the workers are fewer.
const CONCURRENCY: u64 = 1_000;

/// Priorities, from last to first.
const PRIORITY: (i64, i64) = (-100, 100);

/// Minutes that something may take by hand: ten years.
const MINUTES: u64 = 5_256_000;

/// Checks `engine`, where it is there.
pub(super) fn check(found: &mut Found, engine: Option<&Value>) {
    let path = "/engine";
    let engine = engine.filter(|engine| !engine.is_null());
    let Some(engine) = engine.and_then(|engine| found.object(path, engine)) else {
        return;
    };
    for (key, value) in engine {
        let at = child(path, key);
        match key.as_str() {
            "runAs" => one_of(found, &at, value, &["action", "user"]),
            "perEntity" => one_of(found, &at, value, &["serial", "parallel"]),
            "retry" => check_retry(found, &at, value),
            "timeout" => pause(found, &at, value),
            "concurrency" => whole(found, &at, value, 1, CONCURRENCY),
            "manualMinutes" => whole(found, &at, value, 0, MINUTES),
            "priority" => {
                let (least, most) = PRIORITY;
                if value.as_i64().is_none_or(|n| n < least || n > most) {
                    let message = format!("this must be a whole number from {least} to {most}");
                    found.add(&at, "range", message);
                }
            }
            _ => found.add(
                &at,
                "unknown",
                "there is no such key; it has `runAs`, `retry`, `timeout`, `concurrency`, `perEntity`, `priority` and \
                 `manualMinutes`",
            ),
        }
    }
}

fn check_retry(found: &mut Found, path: &str, retry: &Value) {
    let Some(retry) = found.object(path, retry) else {
        return;
    };
    if !retry.contains_key("attempts") {
        found.add(
            &child(path, "attempts"),
            "required",
            "`attempts` is required",
        );
    }
    for (key, value) in retry {
        let at = child(path, key);
        match key.as_str() {
            "attempts" => whole(found, &at, value, ATTEMPTS.0, ATTEMPTS.1),
            "backoff" | "maxBackoff" => pause(found, &at, value),
            "on" => check_codes(found, &at, value),
            _ => found.add(
                &at,
                "unknown",
                "there is no such key; it has `attempts`, `backoff`, `maxBackoff` and `on`",
            ),
        }
    }
    check_order(found, path, retry);
}

fn check_order(found: &mut Found, path: &str, retry: &Map<String, Value>) {
    let length = |key: &str| retry.get(key)?.as_str()?.parse::<Pause>().ok();
    if let (Some(first), Some(longest)) = (length("backoff"), length("maxBackoff"))
        && first > longest
    {
        let message = "the first pause is longer than the longest";
        found.add(&child(path, "maxBackoff"), "range", message);
    }
}

fn check_codes(found: &mut Found, path: &str, codes: &Value) {
    let Some(list) = codes.as_array() else {
        found.add(path, "type", "this must be a list of failure codes");
        return;
    };
    if list.is_empty() || list.len() > CODES {
        let message =
            format!("it lists 1 to {CODES} codes; leave it out for all failures that may pass");
        found.add(path, "maxItems", message);
        return;
    }
    for (index, code) in list.iter().enumerate() {
        let is_code = |code: &str| {
            let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            (1..=64).contains(&code.len()) && code.bytes().all(word)
        };
        if !code.as_str().is_some_and(is_code) {
            let message = "this must be a failure's code, such as `timed_out`";
            found.add(&child(path, &index.to_string()), "pattern", message);
        }
    }
}

fn one_of(found: &mut Found, path: &str, value: &Value, words: &[&str]) {
    if !value.as_str().is_some_and(|word| words.contains(&word)) {
        let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
        found.add(path, "enum", format!("this is {}", words.join(" or ")));
    }
}

fn whole(found: &mut Found, path: &str, value: &Value, least: u64, most: u64) {
    if value.as_u64().is_none_or(|n| n < least || n > most) {
        let message = format!("this must be a whole number from {least} to {most}");
        found.add(path, "range", message);
    }
}

/// A length of time that is longer than none.
fn pause(found: &mut Found, path: &str, value: &Value) {
    let broken = match value.as_str().map(str::parse::<Pause>) {
        Some(Ok(length)) if length.as_millis() > 0 => return,
        Some(Ok(_)) => "it must be longer than nothing".to_owned(),
        Some(Err(error)) => error.to_string(),
        None => "this must be a length of time, such as `30s`".to_owned(),
    };
    found.add(path, "duration", broken);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn broken(engine: Value) -> Vec<String> {
        let mut found = Found::default();
        check(&mut found, Some(&engine));
        found
            .0
            .into_iter()
            .map(|violation| violation.path)
            .collect()
    }

    #[test]
    fn what_an_engine_can_be_told_is_taken() {
        let whole = json!({
            "runAs": "user",
            "retry": { "attempts": 3, "backoff": "2s", "maxBackoff": "1m", "on": ["timed_out"] },
            "timeout": "10m", "concurrency": 2, "perEntity": "parallel", "priority": -5, "manualMinutes": 85,
        });
        assert_eq!(broken(whole), [""; 0]);
        assert_eq!(broken(json!({})), [""; 0]);
    }

    #[test]
    fn what_makes_no_sense_is_refused_where_it_stands() {
        let wrong = json!({
            "runAs": "root",
            "retry": { "attempts": 1, "backoff": "2m", "maxBackoff": "1m", "on": ["No Code"], "jitter": 1 },
            "timeout": "0s", "concurrency": 0, "perEntity": true, "priority": 1000, "manualMinutes": -1, "speed": 9,
        });
        let mut paths = broken(wrong);
        paths.sort();
        paths.dedup();
        assert_eq!(
            paths,
            [
                "/engine/concurrency",
                "/engine/manualMinutes",
                "/engine/perEntity",
                "/engine/priority",
                "/engine/retry/attempts",
                "/engine/retry/jitter",
                "/engine/retry/maxBackoff",
                "/engine/retry/on/0",
                "/engine/runAs",
                "/engine/speed",
                "/engine/timeout",
            ]
        );
        assert_eq!(broken(json!({ "retry": {} })), ["/engine/retry/attempts"]);
    }
}
