//! Guests that reach for what they were not granted.

use goldenpath_tests::{Evidence, Guest, Portal};
use serde_json::json;

use super::install::built_for;
use super::{TIGHT, denied, ended, misbehave, portal};
use crate::{misbehaving_component, program};

/// The message of a denial names the line to ask for.
fn assert_names(run: &serde_json::Value, line: &str) {
    let message = run["failure"]["message"].as_str().unwrap_or_default();
    assert!(message.contains(line), "{message}");
}

#[test]
pub(crate) fn a_clock_without_a_line_stands_still() -> Evidence {
    let portal = portal();
    let run = misbehave(&portal, "reads-the-clock", &json!({}));
    assert_eq!(run["output"]["of"], true, "{run}");
    ended(&portal, &run).seen("the time was the same before and after")
}

#[test]
pub(crate) fn randomness_without_a_line_ends_the_run_and_names_the_line() -> Evidence {
    let portal = portal();
    let run = misbehave(&portal, "reads-randomness", &json!({}));
    assert_names(&run, "random");
    ended(&portal, &run)
}

#[test]
pub(crate) fn a_blueprint_without_a_line_is_not_written() -> Evidence {
    let portal = portal();
    let run = misbehave(&portal, "writes-undeclared-blueprint", &json!({}));
    assert_names(&run, "catalog upsert Secret");
    let entity = portal.admin().get("/v1/blueprints/Secret/entities/mine");
    assert_eq!(entity.status, 404, "{}", entity.text());
    ended(&portal, &run).seen("no such entity")
}

#[test]
pub(crate) fn an_access_without_a_line_is_denied() -> Evidence {
    let portal = portal();
    let mut audited = Vec::new();
    for (access, blueprint) in [
        ("read", "Secret"),
        ("upsert", "Secret"),
        ("delete", "Thing"),
    ] {
        let deed = json!({"access": access, "blueprint": blueprint});
        let run = misbehave(&portal, "does-to-an-entity", &deed);
        let line = format!("catalog {access} {blueprint}");
        assert_names(&run, &line);
        assert_eq!(denied(&portal, &run), [line.as_str()]);
        audited.push(format!("audited as `{line}`"));
    }
    let seen = Evidence::fired("Entities were read, written and deleted").seen("`denied`");
    audited.into_iter().fold(seen, Evidence::seen)
}

#[test]
pub(crate) fn a_property_that_the_line_does_not_list_is_not_written() -> Evidence {
    let portal = portal();
    let run = misbehave(&portal, "writes-undeclared-property", &json!({}));
    assert_names(&run, "owner");
    let entity = portal.admin().get("/v1/blueprints/Thing/entities/mine");
    assert_eq!(entity.status, 404, "{}", entity.text());
    ended(&portal, &run).seen("no such entity")
}

#[test]
pub(crate) fn title_teams_and_relations_are_not_written_by_a_line_that_lists_properties() -> Evidence
{
    let portal = portal();
    let run = misbehave(&portal, "writes-undeclared-parts", &json!({}));
    let line = |more: &str| {
        format!("catalog upsert Thing properties $relations.next,$relations.secret,{more}colour")
    };
    let other =
        "catalog upsert Thing properties $relations.next,$relations.other,$relations.secret,colour";
    let wanted = [
        line("$title,"),
        line("$team,"),
        other.to_owned(),
        line("$title,"),
    ];
    assert_eq!(run["output"]["of"], json!(wanted), "{run}");
    let entity = portal.admin().get("/v1/blueprints/Thing/entities/parts");
    let entity = entity.with_status(200).json();
    let entity = entity.get("entity").unwrap_or(&entity).clone();
    assert_eq!(entity["properties"]["colour"], "green", "{entity}");
    assert_ne!(entity["title"], "Mine", "{entity}");
    ended(&portal, &run).seen("the property is written, the title is not")
}

#[test]
pub(crate) fn entities_are_named_by_a_query_only_where_they_may_be_read() -> Evidence {
    let portal = portal();
    let run = misbehave(&portal, "writes-by-a-query", &json!({}));
    assert_eq!(run["output"]["of"], json!(["two", "one", true]), "{run}");
    let run = misbehave(&portal, "writes-by-a-hidden-query", &json!({}));
    assert_names(&run, "catalog read Secret");
    ended(&portal, &run)
}

#[test]
pub(crate) fn a_denial_is_audited_with_run_digest_and_missing_line() {
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

#[test]
pub(crate) fn a_guest_for_the_oldest_contract_reaches_no_more_than_one_for_the_newest() -> Evidence
{
    let portal = Portal::start(program());
    let component = built_for(b"@0.1.0", &misbehaving_component());
    let description = Guest::describe(&component);
    let mut guest = Guest::new("of-old", component, &description).with_manifest(TIGHT);
    let lines = [
        ("opens-undeclared-folder", "elsewhere"),
        ("reads-randomness", "random"),
        ("writes-undeclared-blueprint", "catalog upsert Secret"),
        ("writes-undeclared-property", "owner"),
    ];
    for (name, _) in lines {
        guest = guest.with_action(name);
    }
    portal.install(&guest);
    for (name, line) in lines {
        let run = portal.admin().run(name, &json!({}));
        assert_eq!(run["failure"]["code"], "denied", "{name}: {run}");
        assert_names(&run, line);
    }
    Evidence::fired("Four guests of the oldest contract ran")
        .seen("each denied, with the line that is missing")
}
