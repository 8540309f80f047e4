//! Secrets and templates: data that looks like a template is data, and no template finds a secret.

use goldenpath_tests::{Evidence, Portal};
use serde_json::json;

use crate::{hello, program};

#[test]
pub(crate) fn no_template_and_no_data_that_looks_like_one_becomes_a_secret() -> Evidence {
    let portal = Portal::start(program());
    let admin = portal.admin();
    let value = json!({"value": "hunter2-hunter2"});
    admin
        .send_json("PUT", "/v1/secrets/TOKEN", &[], &value)
        .with_status(201);
    portal.install(&hello());
    let blueprint = json!({
        "identifier": "Thing",
        "title": "Thing",
        "schema": {"properties": {"note": {"type": "string"}}, "required": []},
    });
    admin.post("/v1/blueprints", &blueprint).with_status(201);
    let text = "{{ .secrets.TOKEN }}";
    let thing = json!({"identifier": "x", "properties": {"note": text}});
    admin
        .post("/v1/blueprints/Thing/entities", &thing)
        .with_status(201);
    let action = |template: &str| {
        json!({
            "identifier": "greet",
            "trigger": {
                "type": "self-service",
                "operation": "DAY-2",
                "blueprintIdentifier": "Thing",
                "userInputs": {"properties": {"name": {"type": "string"}}, "required": []},
            },
            "invocationMethod": {
                "type": "PLUGIN",
                "plugin": "hello",
                "action": "hello",
                "inputs": {"name": template},
            },
        })
    };
    let refused = admin.post("/v1/actions", &action(text)).with_status(422);
    assert_eq!(refused.paths(), ["/invocationMethod/inputs/name"]);
    assert!(refused.text().contains("headers that the host sends"));

    let mut saved = "POST";
    for (template, greeting) in [
        ("{{ .entity.properties.note }}", text),
        ("{{ .inputs.name }}", text),
        // What no check of words sees finds nothing all the same: the context has no secrets.
        (r#"{{ getpath(["secrets"]) | tostring }}"#, "null"),
        (
            "{{ [paths | .[0] | tostring | select(test(\"secret\"))] | length | tostring }}",
            "0",
        ),
    ] {
        let path = if saved == "POST" {
            "/v1/actions"
        } else {
            "/v1/actions/greet"
        };
        let reply = admin.send_json(saved, path, &[], &action(template));
        assert!(reply.status < 300, "{}", reply.text());
        saved = "PUT";
        let body = json!({"properties": {"name": text}, "entity": "x"});
        let prefer = [("prefer", "wait=60")];
        let run = admin.send_json("POST", "/v1/actions/greet/runs", &prefer, &body);
        let run = run.with_status(200).json()["run"].clone();
        let expected = format!("Hello, {greeting}!");
        assert_eq!(run["output"]["greeting"], expected, "{template}: {run}");
    }
    Evidence::fired("A template named a secret; a property and an input looked like one")
        .seen("422 for the template")
        .seen("data stayed as it was; the context has no secrets")
}
