//! What becomes of guests that misbehave: each ends its own run, with a code of its own, and nothing else.

pub(crate) mod budget;
pub(crate) mod crash;
mod decided;
pub(crate) mod egress;
pub(crate) mod files;
pub(crate) mod granted;
mod guest;
pub(crate) mod install;
pub(crate) mod power;
pub(crate) mod print;
pub(crate) mod raw_secret;
pub(crate) mod resolve;
pub(crate) mod run_action;
pub(crate) mod run_as;
pub(crate) mod secret;
pub(crate) mod template;
pub(crate) mod trick;
mod usage;

use std::sync::Arc;

use goldenpath_tests::{Client, Evidence, Guest, Portal};
use serde_json::{Value, json};

use crate::{hello, misbehaving_component, program};

/// Every behaviour, and the code that its run ends with; `None` where the run succeeds and the harm is elsewhere kept
/// away. Which test runs it says `guest.rs`.
const ENDS: &[(&str, Option<&str>)] = &[
    ("answers-deep", Some("invalid_output")),
    ("answers-huge", Some("output_too_large")),
    ("asks-the-time-forever", Some("cpu_budget")),
    ("does-to-an-entity", Some("denied")),
    ("eats-memory", Some("memory_budget")),
    ("exits", Some("plugin_crashed")),
    ("fills-the-folder", Some("quota")),
    ("floods-stdout", Some("cpu_budget")),
    ("floods-the-host", Some("host_call_budget")),
    ("floods-the-log", None),
    ("grows-at-once", None),
    ("leaves-a-pattern", None),
    ("loops-forever", Some("cpu_budget")),
    ("opens-undeclared-folder", Some("denied")),
    ("panics", Some("plugin_crashed")),
    ("prints-escapes", None),
    ("prints-invalid-utf8", None),
    ("prints-one-endless-line", None),
    ("reads-a-path", Some("invalid_path")),
    ("reads-much-randomness", Some("plugin_crashed")),
    ("reads-randomness", Some("denied")),
    ("reads-the-clock", None),
    ("recurses-forever", Some("plugin_crashed")),
    ("sleeps-too-long", Some("timed_out")),
    ("traps", Some("plugin_crashed")),
    ("writes-a-path", Some("invalid_path")),
    ("writes-by-a-hidden-query", Some("denied")),
    ("writes-by-a-query", None),
    ("writes-undeclared-blueprint", Some("denied")),
    ("writes-undeclared-parts", None),
    ("writes-undeclared-property", Some("denied")),
];

/// Those that need another manifest than the others.
const APART: [&str; 2] = ["reads-much-randomness", "sleeps-too-long"];

/// Budgets that a loop uses up at once, and time enough for a busy machine to let it.
const TIGHT: &str = r#"
[limits]
wall-time = "60s"
cpu-time = "400ms"
memory = "16MiB"
log = "16KiB"
output = "64KiB"
host-calls = 500

[[capabilities.catalog]]
blueprint = "Thing"
access = ["read", "upsert"]
properties = ["colour", "$relations.next", "$relations.secret"]
reason = "to have something that it may do"

[[capabilities.files]]
name = "box"
access = "read-write"
max-bytes = "64KiB"
max-files = 100
reason = "to have something that it may do"
"#;

/// A portal with every misbehaving guest and `hello` in it.
fn portal() -> Arc<Portal> {
    Portal::shared(program(), |portal| {
        let relations = json!({"next": {"target": "Thing"}, "secret": {"target": "Secret"}});
        for (blueprint, relations) in [("Secret", json!({})), ("Thing", relations)] {
            let properties = json!({"colour": {"type": "string"}, "owner": {"type": "string"}});
            let blueprint = json!({
                "identifier": blueprint,
                "title": blueprint,
                "schema": {"properties": properties, "required": []},
                "relations": relations,
            });
            portal
                .admin()
                .post("/v1/blueprints", &blueprint)
                .with_status(201);
        }
        let component = misbehaving_component();
        let description = Guest::describe(&component);
        let mut tight =
            Guest::new("misbehaves", component.clone(), &description).with_manifest(TIGHT);
        for (name, _) in ENDS.iter().filter(|(name, _)| !APART.contains(name)) {
            tight = tight.with_action(name);
        }
        portal.install(&tight);
        let waits = TIGHT.replace("wall-time = \"60s\"", "wall-time = \"300ms\"");
        portal.install(
            &Guest::new("waits", component, &description)
                .with_manifest(&waits)
                .with_action("sleeps-too-long"),
        );
        let lucky = "[capabilities.random]\nreason = \"to ask for too much of it\"\n";
        let component = misbehaving_component();
        let description = Guest::describe(&component);
        portal.install(
            &Guest::new("lucky", component, &description)
                .with_manifest(&format!("{TIGHT}{lucky}"))
                .with_action("reads-much-randomness"),
        );
        portal.install(&hello());
    })
}

/// Runs a guest, holds its end against the table, and shows that the portal is none the worse.
fn misbehave(portal: &Portal, action: &str, properties: &Value) -> Value {
    let run = portal.admin().run(action, properties);
    let (_, code) = ENDS
        .iter()
        .find(|(name, _)| *name == action)
        .expect("the table has every guest");
    assert_eq!(run["failure"]["code"].as_str(), *code, "{action}: {run}");
    let status = if code.is_none() { "SUCCESS" } else { "FAILURE" };
    assert_eq!(run["status"], status, "{action}: {run}");
    if *code == Some("denied") {
        assert!(!denied(portal, &run).is_empty(), "{action} is audited");
    }
    assert_greets(portal.admin());
    run
}

/// What a run leaves that shows how it ended: its code, and the lines that it was denied.
fn ended(portal: &Portal, run: &Value) -> Evidence {
    let code = run["failure"]["code"].as_str().unwrap_or("succeeded");
    let denied = denied(portal, run);
    let fired = if denied.is_empty() {
        "The guest ran"
    } else {
        "The guest reached for it"
    };
    let seen = Evidence::fired(fired).seen(format!("`{code}`"));
    denied
        .iter()
        .fold(seen, |seen, line| seen.seen(format!("audited as `{line}`")))
}

/// The lines that the audit log says were missing in a run.
fn denied(portal: &Portal, run: &Value) -> Vec<String> {
    let log = portal.admin().get("/v1/audit-log?limit=1000");
    let log = log.with_status(200).json();
    let rows = log["audits"].as_array().expect("rows").iter();
    rows.filter(|row| row["runId"] == run["id"] && row["action"] == "DENY")
        .filter_map(|row| row["after"]["missing"].as_str().map(str::to_owned))
        .collect()
}

/// The failure that the audit log has of a run's end.
fn ended_as(portal: &Portal, run: &Value) -> Value {
    let log = portal.admin().get("/v1/audit-log?limit=1000");
    let log = log.with_status(200).json();
    let mut rows = log["audits"].as_array().expect("rows").iter();
    let end = rows.find(|row| row["runId"] == run["id"] && row["action"] == "UPDATE");
    let end = end.unwrap_or_else(|| panic!("{run}: {log}"));
    end["after"]["failure"].clone()
}

/// The next run of a well-behaved plugin is as if nothing had been.
fn assert_greets(client: &Client) {
    let run = client.run("hello", &json!({"name": "Ada"}));
    assert_eq!(run["output"]["greeting"], "Hello, Ada!", "{run}");
}

#[test]
fn every_guest_has_its_end_in_the_table() {
    let description = Guest::describe(&misbehaving_component());
    let mut guests: Vec<&str> = description["actions"]
        .as_array()
        .expect("actions")
        .iter()
        .filter_map(|action| action["name"].as_str())
        .collect();
    guests.sort_unstable();
    let table: Vec<&str> = ENDS.iter().map(|(name, _)| *name).collect();
    assert_eq!(guests, table);
}
