//! What becomes of guests that misbehave: each ends its own run, with a code of its own, and nothing else.

mod budget;
mod crash;
mod decided;
mod egress;
mod files;
mod install;
mod power;
mod print;
mod raw_secret;
mod resolve;
mod run_action;
mod secret;

use std::sync::Arc;

use goldenpath_tests::{Client, Guest, Portal};
use serde_json::{Value, json};

use crate::{hello, misbehaving_component, program};

/// Every behaviour, and the code that its run ends with; `None` where the run succeeds and the harm is elsewhere kept
/// away. A guest that is not here has no test, and `every_guest_has_a_test` says so.
const ENDS: &[(&str, Option<&str>)] = &[
    ("answers-deep", Some("invalid_output")),
    ("answers-huge", Some("output_too_large")),
    ("eats-memory", Some("memory_budget")),
    ("exits", Some("plugin_crashed")),
    ("fills-the-folder", Some("quota")),
    ("floods-stdout", Some("cpu_budget")),
    ("floods-the-host", Some("host_call_budget")),
    ("floods-the-log", None),
    ("loops-forever", Some("cpu_budget")),
    ("opens-undeclared-folder", Some("denied")),
    ("panics", Some("plugin_crashed")),
    ("prints-escapes", None),
    ("prints-invalid-utf8", None),
    ("prints-one-endless-line", None),
    ("reads-a-path", Some("invalid_path")),
    ("reads-randomness", Some("denied")),
    ("reads-the-clock", None),
    ("recurses-forever", Some("plugin_crashed")),
    ("sleeps-too-long", Some("timed_out")),
    ("traps", Some("plugin_crashed")),
    ("writes-a-path", Some("invalid_path")),
    ("writes-by-a-hidden-query", Some("denied")),
    ("writes-by-a-query", None),
    ("writes-undeclared-blueprint", Some("denied")),
    ("writes-undeclared-property", Some("denied")),
];

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
properties = ["colour"]
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
        for (name, _) in ENDS.iter().filter(|(name, _)| *name != "sleeps-too-long") {
            tight = tight.with_action(name);
        }
        portal.install(&tight);
        let waits = TIGHT.replace("wall-time = \"60s\"", "wall-time = \"300ms\"");
        portal.install(
            &Guest::new("waits", component, &description)
                .with_manifest(&waits)
                .with_action("sleeps-too-long"),
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
    assert_greets(portal.admin());
    run
}

/// The next run of a well-behaved plugin is as if nothing had been.
fn assert_greets(client: &Client) {
    let run = client.run("hello", &json!({"name": "Ada"}));
    assert_eq!(run["output"]["greeting"], "Hello, Ada!", "{run}");
}

#[test]
fn every_guest_has_a_test() {
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
    let tests = [
        include_str!("budget.rs"),
        include_str!("crash.rs"),
        include_str!("files.rs"),
        include_str!("power.rs"),
        include_str!("print.rs"),
    ];
    for name in table {
        let called = format!("\"{name}\"");
        assert!(
            tests.iter().any(|test| test.contains(&called)),
            "no test runs `{name}`"
        );
    }
}
