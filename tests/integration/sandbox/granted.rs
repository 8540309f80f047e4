//! Guests that keep to what they were granted: each line gives its power, and none that is next to it.

use goldenpath_tests::{Guest, Portal};
use serde_json::{Value, json};

use super::{denied, ended_as, files::lay};
use crate::sdk::user_of_the_sdk;
use crate::{misbehaving_component, program};

/// What the component imports, and every kind of access to `Thing`.
const MANIFEST: &str = r#"
[[capabilities.catalog]]
blueprint = "Thing"
access = ["read", "upsert", "delete"]
reason = "to have all of it"

[capabilities.clock]
reason = "to look at it"

[capabilities.random]
reason = "to read it"
"#;

/// A folder with this much in it.
fn folder(access: &str, bounds: &str) -> String {
    let name = "[[capabilities.files]]\nname = \"box\"";
    format!("{name}\naccess = \"{access}\"\n{bounds}\nreason = \"to have one\"\n")
}

/// A portal whose plugin has been granted all of `MANIFEST` but some lines, and a folder.
fn portal(folder: &str, denied: &[&str]) -> Portal {
    let portal = Portal::start(program());
    let schema = json!({"properties": {}, "required": []});
    let thing = json!({"identifier": "Thing", "title": "Thing", "schema": schema});
    let admin = portal.admin();
    admin.post("/v1/blueprints", &thing).with_status(201);
    let component = misbehaving_component();
    let mut guest = Guest::new(
        "keeps-to-it",
        component.clone(),
        &Guest::describe(&component),
    )
    .with_manifest(MANIFEST)
    .with_manifest(folder);
    for action in [
        "does-to-an-entity",
        "fills-the-folder",
        "leaves-a-pattern",
        "prints-escapes",
        "reads-a-path",
        "reads-randomness",
        "reads-the-clock",
        "writes-a-path",
    ] {
        guest = guest.with_action(action);
    }
    portal.install_denying(&guest, denied);
    portal
}

/// What a guest answers that is allowed to.
fn answer(portal: &Portal, action: &str, input: &Value) -> Value {
    let run = portal.admin().run(action, input);
    assert_eq!(run["status"], "SUCCESS", "{action}: {run}");
    run["output"]["of"].clone()
}

#[test]
pub(crate) fn a_granted_access_to_a_blueprint_is_had() {
    let portal = portal(&folder("read", ""), &[]);
    for access in ["upsert", "read", "delete"] {
        let deed = json!({"access": access, "blueprint": "Thing"});
        answer(&portal, "does-to-an-entity", &deed);
        let path = "/v1/blueprints/Thing/entities/told";
        let there = portal.admin().get(path).status;
        assert_eq!(there, if access == "delete" { 404 } else { 200 });
    }
}

#[test]
pub(crate) fn a_folder_is_written_and_read_within_its_bounds() {
    let portal = portal(
        &folder("read-write", "max-bytes = \"1KiB\"\nmax-files = 1"),
        &[],
    );
    let note = json!({"path": "note"});
    answer(&portal, "writes-a-path", &note);
    assert_eq!(answer(&portal, "reads-a-path", &note), "owned");
}

#[test]
pub(crate) fn a_folder_to_read_is_not_written_and_the_denial_is_audited() {
    let portal = portal(&folder("read", ""), &[]);
    let place = portal.data().join("files/keeps-to-it/box");
    lay(&place.join("note"), "laid");
    let note = json!({"path": "note"});
    assert_eq!(answer(&portal, "reads-a-path", &note), "laid");
    let run = portal.admin().run("writes-a-path", &note);
    assert_eq!(run["failure"]["code"], "denied", "{run}");
    let line = "files read-write box max-bytes 64MiB max-files 10000";
    assert_eq!(denied(&portal, &run), [line]);
    assert_eq!(answer(&portal, "reads-a-path", &note), "laid");
}

#[test]
pub(crate) fn a_folder_takes_no_more_files_than_it_may_and_the_end_of_the_run_is_audited() {
    let portal = portal(&folder("read-write", "max-files = 3"), &[]);
    let run = portal.admin().run("fills-the-folder", &json!({}));
    assert_eq!(run["failure"]["code"], "quota", "{run}");
    let place = portal.data().join("files/keeps-to-it/box");
    let files = place.read_dir().expect("the granted folder").count();
    assert_eq!(files, 3);
    assert_eq!(ended_as(&portal, &run)["code"], "quota");
}

#[test]
pub(crate) fn a_clock_with_a_line_goes_on_and_randomness_with_a_line_is_there() {
    let portal = portal(&folder("read", ""), &[]);
    assert_eq!(answer(&portal, "reads-the-clock", &json!({})), false);
    assert_eq!(answer(&portal, "reads-randomness", &json!({})), 16);
}

#[test]
pub(crate) fn an_approval_without_the_clock_says_so_in_the_audit_log() {
    let granted = |denied: &[&str]| {
        let portal = portal(&folder("read", ""), denied);
        let still = answer(&portal, "reads-the-clock", &json!({}));
        assert_eq!(still, !denied.is_empty());
        let log = portal.admin().get("/v1/audit-log?action=APPROVE");
        let log = log.with_status(200).json();
        let lines = log["audits"][0]["after"]["granted"].clone();
        let lines = lines.as_array().unwrap_or_else(|| panic!("{log}")).clone();
        lines.contains(&json!("clock"))
    };
    assert!(granted(&[]));
    assert!(!granted(&["clock"]));
}

#[test]
pub(crate) fn state_whose_line_was_denied_is_not_linked_and_the_denial_is_audited() {
    let portal = Portal::start(program());
    let guest = user_of_the_sdk("counter")
        .with_manifest(crate::sdk::state::MANIFEST)
        .with_manifest(crate::sdk::state::HTTP)
        .with_action("counts");
    portal.install_denying(&guest, &["state"]);
    let run = portal.admin().run("counts", &json!({}));
    assert_eq!(run["failure"]["code"], "denied", "{run}");
    assert_eq!(denied(&portal, &run), ["state"]);
}

#[test]
pub(crate) fn a_run_within_its_budgets_succeeds_and_what_it_took_of_each_is_told() {
    let portal = portal(&folder("read", ""), &[]);
    answer(&portal, "leaves-a-pattern", &json!({}));
    answer(&portal, "prints-escapes", &json!({}));
    let deed = json!({"access": "upsert", "blueprint": "Thing"});
    answer(&portal, "does-to-an-entity", &deed);
    let usage = portal.admin().get("/v1/plugins/keeps-to-it/usage");
    let usage = usage.with_status(200).json()["usage"].clone();
    let budgets = usage["budgets"].as_array().expect("budgets");
    for budget in [
        "wall-time",
        "cpu-time",
        "memory",
        "log",
        "output",
        "host-calls",
    ] {
        let of = budgets.iter().find(|of| of["budget"] == budget);
        let highest = of.and_then(|of| of["highest"].as_str());
        let highest = highest.unwrap_or_else(|| panic!("{budget}: {usage}"));
        assert!(!matches!(highest, "0" | "0B"), "{budget}: {usage}");
    }
}
