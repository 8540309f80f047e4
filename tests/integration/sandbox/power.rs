//! Guests that reach for what they were not granted.

use serde_json::json;

use super::{misbehave, portal};

/// The message of a denial names the line to ask for.
fn assert_names(run: &serde_json::Value, line: &str) {
    let message = run["failure"]["message"].as_str().unwrap_or_default();
    assert!(message.contains(line), "{message}");
}

#[test]
fn a_clock_without_a_line_stands_still() {
    let run = misbehave(&portal(), "reads-the-clock", &json!({}));
    assert_eq!(run["output"]["of"], true, "{run}");
}

#[test]
fn randomness_without_a_line_ends_the_run_and_names_the_line() {
    let run = misbehave(&portal(), "reads-randomness", &json!({}));
    assert_names(&run, "random");
}

#[test]
fn a_blueprint_without_a_line_is_not_written() {
    let portal = portal();
    let run = misbehave(&portal, "writes-undeclared-blueprint", &json!({}));
    assert_names(&run, "catalog upsert Secret");
    let entity = portal.admin().get("/v1/blueprints/Secret/entities/mine");
    assert_eq!(entity.status, 404, "{}", entity.text());
}

#[test]
fn a_property_that_the_line_does_not_list_is_not_written() {
    let portal = portal();
    let run = misbehave(&portal, "writes-undeclared-property", &json!({}));
    assert_names(&run, "owner");
    let entity = portal.admin().get("/v1/blueprints/Thing/entities/mine");
    assert_eq!(entity.status, 404, "{}", entity.text());
}

#[test]
fn entities_are_named_by_a_query_only_where_they_may_be_read() {
    let portal = portal();
    let run = misbehave(&portal, "writes-by-a-query", &json!({}));
    assert_eq!(run["output"]["of"], json!(["two", "one", true]), "{run}");
    let run = misbehave(&portal, "writes-by-a-hidden-query", &json!({}));
    assert_names(&run, "catalog read Secret");
}

#[test]
fn a_denial_is_audited_with_run_digest_and_missing_line() {
    let portal = portal();
    let run = misbehave(&portal, "writes-undeclared-blueprint", &json!({}));
    let log = portal
        .admin()
        .get("/v1/audit-log?limit=1000")
        .with_status(200)
        .json();
    let rows = log["audits"].as_array().expect("rows").clone();
    let row = rows
        .iter()
        .find(|row| {
            row.to_string().contains(run["id"].as_str().expect("an id"))
                && row.to_string().contains("missing")
        })
        .unwrap_or_else(|| panic!("{log}"));
    let text = row.to_string();
    assert!(text.contains("catalog upsert Secret"), "{text}");
    assert!(text.contains("digest"), "{text}");
}
