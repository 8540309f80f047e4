use axum::http::Method;
use serde_json::{Value, json};

use super::{Reply, TestApp, request};
use crate::model::Role;

/// A portal with two systems and an action whose form is given.
async fn with_form(inputs: Value, condition: Option<Value>) -> (TestApp, String) {
    let app = TestApp::new().await;
    let admin = app.token(Role::Admin).await;
    let mut action = json!({
        "identifier": "order",
        "trigger": { "type": "self-service", "operation": "CREATE", "userInputs": inputs },
        "invocationMethod": { "type": "PLUGIN", "plugin": "absent", "action": "order" },
    });
    if let Some(condition) = condition {
        action["trigger"]["operation"] = json!("DAY-2");
        action["trigger"]["blueprintIdentifier"] = json!("System");
        action["trigger"]["condition"] = condition;
    }
    for (path, body) in [
        (
            "/v1/blueprints",
            json!({ "identifier": "System", "title": "System", "schema": { "properties": { "tier": { "type": "string" } }, "required": [] } }),
        ),
        (
            "/v1/blueprints/System/entities",
            json!({ "identifier": "cart", "properties": { "tier": "gold" } }),
        ),
        (
            "/v1/blueprints/System/entities",
            json!({ "identifier": "mail", "properties": { "tier": "tin" } }),
        ),
        ("/v1/actions", action),
    ] {
        let made = app.post(path, &admin, body).await;
        assert_eq!(made.status, 201, "{}", made.text);
    }
    (app, admin)
}

async fn start(app: &TestApp, token: &str, properties: Value) -> Reply {
    let body = json!({ "properties": properties });
    app.post("/v1/actions/order/runs", token, body).await
}

fn broken(reply: &Reply) -> Vec<String> {
    reply.refusal(422);
    let details = reply.json()["details"].clone();
    let paths = details.as_array().unwrap().iter();
    paths
        .map(|detail| detail["path"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn defaults_follow_each_other_and_hidden_inputs_are_not_given() {
    let inputs = json!({
        "properties": {
            "third": { "type": "string", "default": { "jqQuery": ".form.second" }, "dependsOn": ["second"] },
            "second": { "type": "string", "default": { "jqQuery": ".form.first" }, "dependsOn": ["first"] },
            "first": { "type": "string", "default": "x" },
            "secret": { "type": "string", "visible": false, "default": "kept" },
            "gone": { "type": "string", "visible": { "jqQuery": ".form.detailed" }, "dependsOn": ["detailed"] },
            "detailed": { "type": "boolean", "default": false },
            "fixed": { "type": "string", "disabled": true, "default": { "jqQuery": ".user.email" } },
        },
        "required": ["gone", "third"],
    });
    let (app, admin) = with_form(inputs, None).await;
    let run = start(&app, &admin, json!({})).await;
    assert_eq!(run.status, 202, "{}", run.text);
    assert_eq!(
        run.json()["run"]["properties"],
        json!({ "third": "x", "second": "x", "first": "x", "secret": "kept", "detailed": false, "fixed": "admin" })
    );
    let given = json!({ "secret": "s", "gone": "g", "fixed": "somebody else" });
    let mut paths = broken(&start(&app, &admin, given).await);
    paths.sort();
    assert_eq!(
        paths,
        [
            "/properties/fixed",
            "/properties/gone",
            "/properties/secret"
        ]
    );
    // Shown, it is required as well.
    assert_eq!(
        broken(&start(&app, &admin, json!({ "detailed": true })).await),
        ["/properties/gone"]
    );
    let all = json!({ "detailed": true, "gone": "g", "first": "y", "fixed": "admin" });
    let run = start(&app, &admin, all).await.json();
    assert_eq!(run["run"]["properties"]["third"], "y", "{run}");
}

#[tokio::test]
async fn what_a_value_may_be_is_worked_out_and_a_filter_that_fails_refuses() {
    let inputs = json!({
        "properties": {
            "choices": { "type": "array", "default": ["a", "b"] },
            "choice": { "type": "string", "enum": { "jqQuery": ".form.choices" }, "dependsOn": ["choices"] },
            "most": { "type": "number", "default": 3 },
            "size": { "type": "number", "maximum": { "jqQuery": ".form.most" }, "dependsOn": ["most"] },
        },
        "required": { "jqQuery": ".form.choices_required" },
    });
    let (app, admin) = with_form(inputs, None).await;
    // Nothing is no list of names.
    assert_eq!(
        broken(&start(&app, &admin, json!({})).await),
        ["/trigger/userInputs/required"]
    );
    let form = app
        .post(
            "/v1/actions/order/form",
            &admin,
            json!({ "properties": { "most": 7 } }),
        )
        .await
        .json();
    assert_eq!(
        form["form"]["inputs"]["choice"]["schema"]["enum"],
        json!(["a", "b"])
    );
    assert_eq!(form["form"]["inputs"]["size"]["schema"]["maximum"], 7);
    assert_eq!(
        form["form"]["violations"][0]["path"],
        "/trigger/userInputs/required"
    );
    let mut action = app.get("/v1/actions/order", &admin).await.json()["action"].clone();
    action["trigger"]["userInputs"]["required"] = json!(["choice"]);
    let put = app
        .send(request(
            Method::PUT,
            "/v1/actions/order",
            &admin,
            Some(action),
        ))
        .await;
    assert_eq!(put.status, 200, "{}", put.text);
    let mut paths = broken(&start(&app, &admin, json!({ "choice": "c", "size": 4 })).await);
    paths.sort();
    assert_eq!(paths, ["/properties/choice", "/properties/size"]);
    assert_eq!(
        start(&app, &admin, json!({ "choice": "b", "size": 4, "most": 4 }))
            .await
            .status,
        202
    );
    assert_eq!(
        broken(&start(&app, &admin, json!({ "choice": "b", "most": "many" })).await)[0],
        "/trigger/userInputs/properties/size/maximum"
    );
}

#[tokio::test]
async fn inputs_of_hidden_steps_are_hidden() {
    let inputs = json!({
        "properties": { "kind": { "type": "boolean", "default": false }, "size": { "type": "number" } },
        "required": ["size"],
        "steps": [
            { "title": "Kind", "order": ["kind"] },
            { "title": "Size", "order": ["size"], "visible": { "jqQuery": ".form.kind" } },
        ],
        "titles": { "note": { "title": "Think first", "visible": { "jqQuery": ".form.kind" } } },
    });
    let (app, admin) = with_form(inputs, None).await;
    assert_eq!(start(&app, &admin, json!({})).await.status, 202);
    assert_eq!(
        broken(&start(&app, &admin, json!({ "size": 1 })).await),
        ["/properties/size"]
    );
    assert_eq!(
        broken(&start(&app, &admin, json!({ "kind": true })).await),
        ["/properties/size"]
    );
    let form = app
        .post("/v1/actions/order/form", &admin, json!({}))
        .await
        .json();
    assert_eq!(form["form"]["steps"], json!([true, false]));
    assert_eq!(form["form"]["titles"], json!({ "note": false }));
    assert_eq!(form["form"]["inputs"]["size"]["visible"], false);
    app.post("/v1/actions/order/form", &admin, json!({ "inputs": {} }))
        .await
        .refusal(422);
}

#[tokio::test]
async fn an_entity_has_to_be_in_the_data_set() {
    let rule = json!({ "property": "tier", "operator": "=", "value": { "jqQuery": ".form.tier" } });
    let dataset = json!({ "combinator": "and", "rules": [rule] });
    let inputs = json!({ "properties": {
        "tier": { "type": "string", "default": "gold" },
        "system": { "type": "string", "format": "entity", "blueprint": "System", "dataset": dataset },
        "systems": { "type": "array", "items": { "type": "string", "format": "entity", "blueprint": "System", "dataset": dataset } },
    } });
    let (app, admin) = with_form(inputs, None).await;
    assert_eq!(
        start(
            &app,
            &admin,
            json!({ "system": "cart", "systems": ["cart"] })
        )
        .await
        .status,
        202
    );
    assert_eq!(
        broken(
            &start(
                &app,
                &admin,
                json!({ "system": "mail", "systems": ["cart", "mail"] })
            )
            .await
        ),
        ["/properties/system", "/properties/systems/1"]
    );
    assert_eq!(
        start(&app, &admin, json!({ "tier": "tin", "system": "mail" }))
            .await
            .status,
        202
    );
}

#[tokio::test]
async fn an_action_is_only_for_entities_that_meet_its_condition() {
    let rule = json!({ "property": "tier", "operator": "=", "value": "gold" });
    let condition = json!({ "type": "SEARCH", "combinator": "and", "rules": [rule] });
    let inputs = json!({ "properties": { "tier": { "type": "string", "default": { "jqQuery": ".entity.properties.tier" } } } });
    let (app, admin) = with_form(inputs, Some(condition)).await;
    let on = async |entity: &str| {
        let body = json!({ "entity": entity, "properties": {} });
        app.post("/v1/actions/order/runs", &admin, body).await
    };
    let run = on("cart").await;
    assert_eq!(
        run.json()["run"]["properties"]["tier"],
        "gold",
        "{}",
        run.text
    );
    assert_eq!(broken(&on("mail").await), ["/entity"]);
    let form = app
        .post(
            "/v1/actions/order/form",
            &admin,
            json!({ "entity": "mail" }),
        )
        .await
        .json();
    assert_eq!(form["form"]["violations"][0]["rule"], "condition");
    assert_eq!(form["form"]["properties"]["tier"], "tin");
}

#[tokio::test]
async fn what_forms_and_policies_read_is_not_renamed_under_them() {
    let rule = json!({ "property": "tier", "operator": "=", "value": "gold" });
    let dataset = json!({ "combinator": "and", "rules": [rule] });
    let inputs = json!({ "properties": {
        "system": { "type": "string", "format": "entity", "blueprint": "System" },
        "copy": { "type": "string", "default": { "jqQuery": ".form.system.properties.tier" }, "dependsOn": ["system"] },
    } });
    let (app, admin) = with_form(inputs, None).await;
    let rename = async |to: &str| {
        let path = "/v1/blueprints/System/properties/tier/rename";
        let body = json!({ "newPropertyName": to });
        app.send(request(Method::PATCH, path, &admin, Some(body)))
            .await
    };
    let renamed = rename("level").await;
    assert_eq!(renamed.status, 200, "{}", renamed.text);
    let mut action = app.get("/v1/actions/order", &admin).await.json()["action"].clone();
    let copy = &action["trigger"]["userInputs"]["properties"]["copy"];
    assert_eq!(copy["default"]["jqQuery"], ".form.system.properties.level");
    let path = "/v1/blueprints/System/properties/level/rename";
    let back = json!({ "newPropertyName": "tier" });
    app.send(request(Method::PATCH, path, &admin, Some(back)))
        .await;
    action["trigger"]["userInputs"]["properties"]["copy"]["default"] = json!("x");
    action["trigger"]["userInputs"]["properties"]["system"]["dataset"] = dataset;
    app.send(request(
        Method::PUT,
        "/v1/actions/order",
        &admin,
        Some(action.clone()),
    ))
    .await;
    rename("level").await.refusal(409);
    action["trigger"]["userInputs"]["properties"]["system"]["dataset"] = Value::Null;
    app.send(request(
        Method::PUT,
        "/v1/actions/order",
        &admin,
        Some(action),
    ))
    .await;
    let policy =
        json!({ "execute": { "policy": { "conditions": [".inputs.system.properties.tier"] } } });
    app.send(request(
        Method::PATCH,
        "/v1/actions/order/permissions",
        &admin,
        Some(policy),
    ))
    .await;
    let (_, message) = rename("level").await.refusal(409);
    assert!(message.contains("policy"), "{message}");
}
