//! Bad input gets a clear error and loses nothing.

use goldenpath_tests::{Portal, Reply};
use serde_json::{Value, json};

use crate::{hello, program};

fn post_text(portal: &Portal, path: &str, body: impl Into<Vec<u8>>) -> Reply {
    let headers = [("content-type", "application/json")];
    portal.admin().send("POST", path, &headers, body.into())
}

/// All that the catalog holds.
fn catalog(portal: &Portal) -> Value {
    let blueprints = portal.admin().get("/v1/blueprints").with_status(200).json();
    let listed = blueprints["blueprints"].as_array().expect("a list").clone();
    let entities: Vec<Value> = listed
        .iter()
        .map(|blueprint| {
            let id = blueprint["identifier"].as_str().expect("an identifier");
            portal
                .admin()
                .get(&format!("/v1/blueprints/{id}/entities"))
                .with_status(200)
                .json()
        })
        .collect();
    json!([blueprints, entities])
}

/// A portal with one blueprint, one entity and one action.
fn portal() -> Portal {
    let portal = Portal::start(program());
    let blueprint = json!({
        "identifier": "Service",
        "title": "Service",
        "schema": {
            "properties": {
                "language": {"type": "string", "enum": ["rust", "go"]},
                "replicas": {"type": "number", "minimum": 1},
            },
            "required": ["language"],
        },
        "relations": {"uses": {"target": "Service", "required": false, "many": false}},
    });
    portal
        .admin()
        .post("/v1/blueprints", &blueprint)
        .with_status(201);
    let entity =
        json!({"identifier": "orders", "properties": {"language": "rust"}, "relations": {}});
    portal
        .admin()
        .post("/v1/blueprints/Service/entities", &entity)
        .with_status(201);
    portal.install(&hello());
    portal
}

#[test]
fn bad_input_gets_a_clear_error_and_loses_nothing() {
    let portal = portal();
    let before = catalog(&portal);
    typographic_quotes(&portal);
    deep_json(&portal);
    too_large(&portal);
    blueprint_with_a_wrong_type(&portal);
    entity_that_breaks_its_schema(&portal);
    unknown_relation_target(&portal);
    duplicates(&portal);
    unknown_action(&portal);
    inputs_that_break_the_schema(&portal);
    assert_eq!(catalog(&portal), before, "nothing was lost or added");
    let run = portal.admin().run("hello", &json!({"name": "Ada"}));
    assert_eq!(run["status"], "SUCCESS", "{run}");
}

fn typographic_quotes(portal: &Portal) {
    let body = include_str!("../../fixtures/blueprint_with_typographic_quotes.json");
    let reply = post_text(portal, "/v1/blueprints", body).with_status(400);
    assert_eq!(reply.error(), "invalid_json");
    let message = reply.json()["message"].as_str().expect("a text").to_owned();
    for part in ["line 2, column 2", "U+201C", "\""] {
        assert!(message.contains(part), "{message}");
    }
}

fn deep_json(portal: &Portal) {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let body = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        let reply = post_text(portal, "/v1/blueprints", body).with_status(400);
        assert_eq!(reply.error(), "invalid_json");
        assert!(reply.text().contains("deep"), "{}", reply.text());
    }
}

fn too_large(portal: &Portal) {
    let body = json!({"identifier": "x".repeat(9 * 1024 * 1024)}).to_string();
    let json = ("content-type", "application/json");
    // Some clients ask before they send a large body, others send it whole before they read the answer.
    for headers in [&[json, ("expect", "100-continue")][..], &[json]] {
        let reply = portal
            .admin()
            .send("POST", "/v1/blueprints", headers, body.clone().into_bytes())
            .with_status(413);
        assert_eq!(reply.error(), "body_too_large");
    }
}

fn blueprint_with_a_wrong_type(portal: &Portal) {
    let blueprint = json!({
        "identifier": "Wrong",
        "title": "Wrong",
        "schema": {"properties": {"size": {"type": "huge"}}, "required": []},
        "relations": {},
    });
    let reply = portal
        .admin()
        .post("/v1/blueprints", &blueprint)
        .with_status(422);
    reply.error();
    assert!(
        reply
            .paths()
            .iter()
            .any(|path| path == "/schema/properties/size/type"),
        "{}",
        reply.text()
    );
}

fn entity_that_breaks_its_schema(portal: &Portal) {
    let entity = json!({
        "identifier": "bad",
        "properties": {"language": "cobol", "replicas": 0},
        "relations": {},
    });
    let reply = portal
        .admin()
        .post("/v1/blueprints/Service/entities", &entity)
        .with_status(422);
    reply.error();
    assert_eq!(
        reply.paths(),
        ["/properties/language", "/properties/replicas"]
    );
}

fn unknown_relation_target(portal: &Portal) {
    let entity = json!({
        "identifier": "bad",
        "properties": {"language": "rust"},
        "relations": {"uses": "nobody"},
    });
    let reply = portal
        .admin()
        .post("/v1/blueprints/Service/entities", &entity)
        .with_status(404);
    reply.error();
    assert!(reply.text().contains("nobody"), "{}", reply.text());
}

fn duplicates(portal: &Portal) {
    let blueprint = json!({
        "identifier": "Service",
        "title": "Service",
        "schema": {"properties": {}, "required": []},
        "relations": {},
    });
    portal
        .admin()
        .post("/v1/blueprints", &blueprint)
        .with_status(409)
        .error();
    let entity = json!({"identifier": "orders", "properties": {"language": "go"}, "relations": {}});
    portal
        .admin()
        .post("/v1/blueprints/Service/entities", &entity)
        .with_status(409)
        .error();
    let twice = "{\"identifier\": \"A\", \"identifier\": \"B\"}";
    let reply = post_text(portal, "/v1/blueprints", twice).with_status(400);
    assert_eq!(reply.error(), "invalid_json");
}

fn unknown_action(portal: &Portal) {
    let reply = portal
        .admin()
        .post("/v1/actions/teleport/runs", &json!({"properties": {}}))
        .with_status(404);
    reply.error();
    assert!(reply.text().contains("teleport"), "{}", reply.text());
}

fn inputs_that_break_the_schema(portal: &Portal) {
    let reply = portal
        .admin()
        .post(
            "/v1/actions/hello/runs",
            &json!({"properties": {"name": 7, "nmae": "Ada"}}),
        )
        .with_status(422);
    reply.error();
    assert!(reply.paths().len() >= 2, "{}", reply.text());
    let runs = portal
        .admin()
        .get("/v1/actions/runs")
        .with_status(200)
        .json();
    assert_eq!(runs["runs"], json!([]), "no run was made");
}
