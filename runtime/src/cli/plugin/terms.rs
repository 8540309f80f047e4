//! The terms of an approval: what the active version was granted, and what the command says on top.

use std::collections::BTreeSet;

use serde::Deserialize as _;
use serde_json::{Map, Value, json};

use super::super::client::{list, text};
use super::super::exit::Failure;
use super::remote::ApproveArguments;
use crate::model::{Sbom, SecretRequest};

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

/// The decision that a version was approved by, as far as its report tells where requests go.
pub(super) fn granted(report: &Value) -> Map<String, Value> {
    let bindings = report.get("bindings").cloned();
    let bindings = bindings.unwrap_or_else(|| json!({}));
    Map::from_iter([("bindings".to_owned(), bindings)])
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
    lines
}

/// One line for each endpoint: its name, and where requests to it go.
pub(super) fn places(report: &Value, terms: &Map<String, Value>) -> Vec<String> {
    let bound = |name: &str| terms.get("bindings").and_then(|bound| bound.get(name));
    let endpoints = report.get("endpoints").and_then(Value::as_object);
    let endpoints = endpoints.into_iter().flatten();
    endpoints
        .map(|(name, default)| {
            let place = match (bound(name), default) {
                (Some(binding), _) => place(binding),
                (None, Value::String(url)) => url.clone(),
                (None, _) => "nowhere yet; it has to be bound".to_owned(),
            };
            format!("{name} \u{2192} {place}")
        })
        .collect()
}

/// One line for each document that an approval puts in place: its kind and identifier, and with whose rights an action
/// works.
pub(super) fn documents(report: &Value) -> Vec<String> {
    let shipped = report.get("shipped").and_then(Value::as_object);
    let shipped = shipped.into_iter().flatten();
    shipped
        .map(|(path, document)| {
            let kind = path.split_once('/').map_or("document", |(kind, _)| kind);
            let kind = kind.strip_suffix('s').unwrap_or(kind);
            let named = format!("{kind}/{}", text(document, "/identifier"));
            match (kind, text(document, "/engine/runAs").as_str()) {
                ("action", "user") => format!("{named}, with no more rights than who runs it has"),
                ("action", _) => format!("{named}, with the plugin's own rights whoever runs it"),
                _ => named,
            }
        })
        .collect()
}

/// The lines that a version asks for, each with how much harm it could do and the author's reason.
pub(super) fn requested(report: &Value) -> Vec<String> {
    let risks = list(report, "risks");
    let reasons = report.get("reasons");
    let marked = |line: &Value| {
        let line = text(line, "");
        let risk = risks.iter().find(|risk| text(risk, "/line") == line);
        let word = risk.map_or_else(String::new, |risk| text(risk, "/risk"));
        match reasons.and_then(|reasons| reasons.get(&line)) {
            Some(reason) => format!("{word:7}{line}    # {}", text(reason, "")),
            None => format!("{word:7}{line}"),
        }
    };
    list(report, "requested").iter().map(marked).collect()
}

/// One line for each secret: who gets it, and which stored one it is.
pub(super) fn secrets(report: &Value) -> Vec<String> {
    let secrets = report.get("secrets").and_then(Value::as_object);
    let secrets = secrets.into_iter().flatten();
    secrets
        .map(|(name, how)| {
            let use_of_it = SecretRequest::deserialize(how);
            let use_of_it = use_of_it.map_or_else(|_| String::new(), |used| used.to_string());
            let stored = match text(how, "/stored") {
                stored if stored.is_empty() => "no stored one yet".to_owned(),
                stored => format!("stored as {stored}"),
            };
            format!("{name} {use_of_it}; {stored}")
        })
        .collect()
}

/// The words of a command that allows all that a version asks for, but for what somebody has to fill in.
pub(super) fn command(name: &str, version: &str, report: &Value) -> String {
    let digest = text(report, "/digest");
    let mut command = format!("goldenpath plugin approve {name} {version} --digest {digest}");
    let members = |key: &str| {
        report
            .get(key)
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
    };
    let carried = terms_of(report, "bindings");
    for (endpoint, default) in members("endpoints") {
        if default.is_null() && !carried.contains(endpoint) {
            command.push_str(&format!(" --bind {endpoint}=URL"));
        }
    }
    let carried = terms_of(report, "secrets");
    for (secret, _) in members("secrets") {
        if !carried.contains(secret) {
            command.push_str(&format!(" --secret {secret}=STORED"));
        }
    }
    command
}

/// What the carried terms have a word about, of one of their parts.
fn terms_of(report: &Value, part: &str) -> BTreeSet<String> {
    let carried = carried(report);
    let part = carried.get(part).and_then(Value::as_object);
    let names = part.into_iter().flatten().map(|(name, _)| name.clone());
    names.collect()
}

/// What the package says that it was built from, in one line.
pub(super) fn made_of(report: &Value) -> String {
    let sbom = report.get("sbom").map(Sbom::deserialize);
    match sbom {
        Some(Ok(sbom)) => sbom.to_string(),
        _ => "what it does not say".to_owned(),
    }
}

/// Who signed the package, as far as the server trusts them.
pub(super) fn signed_by(report: &Value) -> String {
    let provenance = report.get("provenance").unwrap_or(&Value::Null);
    let signers: Vec<String> = list(provenance, "signers")
        .iter()
        .map(|signer| text(signer, ""))
        .collect();
    let others = list(provenance, "signatures")
        .len()
        .saturating_sub(signers.len());
    match (signers.is_empty(), others) {
        (true, 0) => "nobody".to_owned(),
        (true, others) => format!("nobody who is trusted, and {others} other(s)"),
        (false, 0) => signers.join(", "),
        (false, others) => format!("{}, and {others} other(s)", signers.join(", ")),
    }
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

/// A part of a decision, by its key.
type Part = (&'static str, Map<String, Value>);

fn named(arguments: &ApproveArguments) -> Result<Vec<Part>, Failure> {
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
        ];
        assert_eq!(terms, kept);
    }

    #[test]
    fn endpoints_and_documents_are_shown_as_what_they_come_to() {
        let mut report = report();
        report["endpoints"] =
            json!({"git": "https://git.default", "chat": "https://chat.default", "mail": null});
        report["shipped"] = json!({
            "actions/a.json": {"identifier": "deploy"},
            "actions/c.json": {"identifier": "tidy", "engine": {"runAs": "user"}},
            "blueprints/b.json": {"identifier": "Service"},
        });
        let mut places = places(&report, &decide(&report, &[]));
        places.sort_unstable();
        let shown = [
            "chat \u{2192} https://chat.default",
            "git \u{2192} https://git.example allow-private",
            "mail \u{2192} nowhere yet; it has to be bound",
        ];
        assert_eq!(places, shown);
        assert_eq!(
            documents(&report),
            [
                "action/deploy, with the plugin's own rights whoever runs it",
                "action/tidy, with no more rights than who runs it has",
                "blueprint/Service"
            ]
        );
        let moved = decide(&report, &["--bind", "git=https://other.example"]);
        let moved = super::places(&report, &moved);
        assert!(moved.contains(&"git \u{2192} https://other.example".to_owned()));
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
        ];
        assert_eq!(terms, said);
        assert_eq!(shown(&decide(&report(), &["--afresh"])), [""; 0]);
        assert_eq!(shown(&decide(&json!({"carried": null}), &[])), [""; 0]);
    }
}
