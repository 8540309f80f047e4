//! Derived values of a portal that dies in the middle of making them.

use goldenpath_tests::Portal;
use serde_json::{Value, json};

use crate::program;

const ENTITIES: usize = 3_000;

fn document(kind: &str, value: &Value) -> Value {
    json!({"source": "test", "kind": kind, "value": value})
}

/// Writes wait a little for what is derived; this waits until there is nothing left.
fn settle(portal: &Portal) {
    loop {
        let nothing = json!({"documents": []});
        portal
            .admin()
            .post("/v1/catalog/apply", &nothing)
            .with_status(200);
        let queue = portal
            .admin()
            .get("/v1/catalog/derived-queue")
            .with_status(200)
            .json();
        assert_eq!(queue["failedEntities"], 0, "{queue}");
        if queue["queue"]["waiting"] == 0 && queue["queue"]["background"] == 0 {
            return;
        }
    }
}

#[test]
fn what_was_still_to_be_derived_when_the_portal_was_killed_is_derived_at_the_next_start() {
    let mut portal = Portal::start(program());
    let service = json!({
        "identifier": "Service", "title": "Service", "schema": {},
        "relations": {"team": {"target": "Team"}},
    });
    let team = json!({"identifier": "Team", "title": "Team", "schema": {}});
    let mut documents = vec![
        document("blueprint", &service),
        document("blueprint", &team),
        document(
            "entity",
            &json!({"identifier": "ops", "blueprint": "Team", "title": "Ops"}),
        ),
    ];
    documents.extend((0..ENTITIES).map(|number| {
        let entity = json!({"identifier": format!("s{number}"), "blueprint": "Service", "relations": {"team": "ops"}});
        document("entity", &entity)
    }));
    portal
        .admin()
        .post("/v1/catalog/apply", &json!({"documents": documents}))
        .with_status(200);
    let derived = json!({
        "mirrorProperties": {"team": {"path": "team.$title"}},
        "calculationProperties": {"label": {"type": "string", "calculation": ".identifier + \" of \" + .properties.team"}},
    });
    let body = serde_json::to_vec(&derived).expect("JSON");
    let headers = [("content-type", "application/json")];
    portal
        .admin()
        .send("PATCH", "/v1/blueprints/Service", &headers, body)
        .with_status(200);
    let count = json!({"aggregationProperties": {"services": {
        "target": "Service", "calculationSpec": {"calculationBy": "entities", "func": "count"},
    }}});
    let body = serde_json::to_vec(&count).expect("JSON");
    portal
        .admin()
        .send("PATCH", "/v1/blueprints/Team", &headers, body)
        .with_status(200);

    portal.kill();
    portal.restart();

    settle(&portal);
    let listed = portal
        .admin()
        .get("/v1/blueprints/Service/entities")
        .with_status(200)
        .json();
    let services = listed["entities"].as_array().expect("a list");
    assert_eq!(services.len(), ENTITIES);
    for service in services {
        let label = format!("{} of Ops", service["identifier"].as_str().expect("a text"));
        assert_eq!(service["properties"]["label"], label, "{service}");
    }
    let team = portal
        .admin()
        .get("/v1/blueprints/Team/entities/ops")
        .with_status(200)
        .json();
    assert_eq!(team["entity"]["properties"]["services"], ENTITIES);
}
