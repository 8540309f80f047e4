//! The terms of an approval: what the active version was granted, and what the command says on top.

use serde_json::{Map, Value, json};

use super::super::client::{list, text};
use super::super::exit::Failure;
use super::remote::ApproveArguments;

/// The parts of a decision that are objects by name.
const BY_NAME: [&str; 4] = ["bindings", "folders", "secrets", "limits"];

/// A decision that undoes nothing of what was decided about the active version.
pub(super) fn carried(report: &Value) -> Map<String, Value> {
    let carried = report.get("carried");
    let part = |key: &str| carried.and_then(|carried| carried.get(key)).cloned();
    let mut terms = Map::new();
    for key in BY_NAME {
        terms.insert(key.to_owned(), part(key).unwrap_or_else(|| json!({})));
    }
    terms.insert("deny".to_owned(), part("deny").unwrap_or_else(|| json!([])));
    terms
}

/// The decision of a command: its own words, and where it says nothing what was decided before.
pub(super) fn decided(
    arguments: &ApproveArguments,
    report: &Value,
) -> Result<Map<String, Value>, Failure> {
    let mut terms = if arguments.afresh {
        carried(&Value::Null)
    } else {
        carried(report)
    };
    for (key, named) in named(arguments)? {
        if let Some(Value::Object(part)) = terms.get_mut(key) {
            part.extend(named);
        }
    }
    if let Some(Value::Array(denied)) = terms.get_mut("deny") {
        for line in &arguments.denied {
            let line = Value::String(line.clone());
            if !denied.contains(&line) {
                denied.push(line);
            }
        }
    }
    Ok(terms)
}

/// One line for each part of a decision that narrows or moves what was asked for, for a reviewer to read.
pub(super) fn shown(terms: &Map<String, Value>) -> Vec<String> {
    let denied = terms.get("deny").and_then(Value::as_array);
    let denied = denied.into_iter().flatten();
    let mut lines: Vec<String> = denied
        .map(|line| format!("deny {}", text(line, "")))
        .collect();
    for (key, word) in [
        ("limits", "limit"),
        ("folders", "folder"),
        ("secrets", "secret"),
    ] {
        let named = terms.get(key).and_then(Value::as_object);
        let named = named.into_iter().flatten();
        lines.extend(named.map(|(name, value)| format!("{word} {name} {}", text(value, ""))));
    }
    let bindings = terms.get("bindings").and_then(Value::as_object);
    let bindings = bindings.into_iter().flatten();
    lines.extend(bindings.map(|(name, binding)| format!("endpoint {name} {}", place(binding))));
    lines
}

/// Where a binding leads, with what it allows there.
fn place(binding: &Value) -> String {
    let urls: Vec<String> = list(binding, "urls")
        .iter()
        .map(|url| text(url, ""))
        .collect();
    let mut place = urls.join(" ");
    for (key, word) in [
        ("allowPlaintext", "allow-plaintext"),
        ("allowPrivate", "allow-private"),
    ] {
        if binding.get(key) == Some(&Value::Bool(true)) {
            place = format!("{place} {word}");
        }
    }
    place
}

fn named(arguments: &ApproveArguments) -> Result<Vec<(&'static str, Map<String, Value>)>, Failure> {
    let mut bindings = Map::new();
    for (endpoint, url) in pairs("--bind", &arguments.bindings)? {
        let binding = bindings
            .entry(endpoint)
            .or_insert_with(|| json!({"urls": []}));
        if let Some(Value::Array(urls)) = binding.get_mut("urls") {
            urls.push(Value::String(url));
        }
    }
    for (flag, key, endpoints) in [
        ("--plaintext", "allowPlaintext", &arguments.plaintext),
        ("--private", "allowPrivate", &arguments.private),
    ] {
        for endpoint in endpoints {
            let binding = bindings.get_mut(endpoint).and_then(Value::as_object_mut);
            let binding = binding.ok_or_else(|| {
                Failure::usage(format!(
                    "{flag} {endpoint} needs --bind {endpoint}=URL beside it: what is allowed is one place"
                ))
            })?;
            binding.insert(key.to_owned(), Value::Bool(true));
        }
    }
    let mut parts = vec![("bindings", bindings)];
    for (key, flag, given) in [
        ("folders", "--folder", &arguments.folders),
        ("secrets", "--secret", &arguments.secrets),
        ("limits", "--limit", &arguments.limits),
    ] {
        let values = pairs(flag, given)?.into_iter();
        let values = values.map(|(name, value)| (name, Value::String(value)));
        parts.push((key, values.collect()));
    }
    Ok(parts)
}

fn pairs(flag: &str, given: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let split = |text: &String| {
        let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
        pair.map(|(name, value)| (name.to_owned(), value.to_owned()))
            .ok_or_else(|| Failure::usage(format!("`{flag} {text}` is not of the form name=value")))
    };
    given.iter().map(split).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Command {
        #[command(flatten)]
        approve: ApproveArguments,
    }

    fn decide(report: &Value, more: &[&str]) -> Map<String, Value> {
        let words = [&["approve", "demo", "1.1.0"], more].concat();
        decided(&Command::try_parse_from(words).unwrap().approve, report).unwrap()
    }

    fn report() -> Value {
        json!({"carried": {
            "from": "1.0.0",
            "deny": ["clock"],
            "limits": {"memory": "16MiB", "log": "1KiB"},
            "bindings": {"git": {"urls": ["https://git.example"], "allowPrivate": true, "allowPlaintext": false}},
            "folders": {"out": "/srv/out"},
        }})
    }

    #[test]
    fn plain_approval_keeps_what_was_decided_before() {
        let terms = shown(&decide(&report(), &[]));
        let kept = [
            "deny clock",
            "limit memory 16MiB",
            "limit log 1KiB",
            "folder out /srv/out",
            "endpoint git https://git.example allow-private",
        ];
        assert_eq!(terms, kept);
    }

    #[test]
    fn what_a_command_says_goes_first_part_by_part() {
        let more = [
            "--limit",
            "memory=8MiB",
            "--deny",
            "random",
            "--deny",
            "clock",
        ];
        let moved = ["--bind", "git=https://other.example"];
        let terms = shown(&decide(&report(), &[&more[..], &moved[..]].concat()));
        let said = [
            "deny clock",
            "deny random",
            "limit memory 8MiB",
            "limit log 1KiB",
            "folder out /srv/out",
            "endpoint git https://other.example",
        ];
        assert_eq!(terms, said);
        assert_eq!(shown(&decide(&report(), &["--afresh"])), [""; 0]);
        assert_eq!(shown(&decide(&json!({"carried": null}), &[])), [""; 0]);
    }
}
