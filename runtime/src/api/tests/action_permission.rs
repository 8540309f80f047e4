use axum::http::Method;
use serde_json::{Value, json};

use super::{Reply, TestApp, request};
use crate::model::Role;

/// A portal with one blueprint, one entity of it, and an action on such entities.
async fn with_action() -> (TestApp, String) {
    let app = TestApp::new().await;
    let admin = app.token(Role::Admin).await;
    for (path, body) in [
        (
            "/v1/blueprints",
            json!({
                "identifier": "Service", "title": "Service",
                "schema": { "properties": { "open": { "type": "boolean" }, "owners": { "type": "array" } }, "required": [] },
            }),
        ),
        (
            "/v1/blueprints/Service/entities",
            json!({ "identifier": "cart", "team": ["shop"], "properties": { "open": true, "owners": ["boss"] } }),
        ),
        (
            "/v1/blueprints/Service/entities",
            json!({ "identifier": "mail", "properties": { "open": false } }),
        ),
        (
            "/v1/actions",
            json!({
                "identifier": "deploy",
                "trigger": {
                    "type": "self-service", "operation": "DAY-2", "blueprintIdentifier": "Service",
                    "userInputs": { "properties": { "note": { "type": "string" } } },
                },
                // Never installed: each run ends by itself, without a sandbox.
                "invocationMethod": { "type": "PLUGIN", "plugin": "absent", "action": "deploy" },
            }),
        ),
    ] {
        let made = app.post(path, &admin, body).await;
        assert_eq!(made.status, 201, "{}", made.text);
    }
    (app, admin)
}

async fn patch(app: &TestApp, token: &str, body: Value) -> Reply {
    let path = "/v1/actions/deploy/permissions";
    app.send(request(Method::PATCH, path, token, Some(body)))
        .await
}

async fn start(app: &TestApp, token: &str, entity: &str) -> Reply {
    let body = json!({ "entity": entity, "properties": {} });
    app.post("/v1/actions/deploy/runs", token, body).await
}

#[tokio::test]
async fn permissions_have_defaults_are_changed_by_administrators_and_audited() {
    let (app, admin) = with_action().await;
    let path = "/v1/actions/deploy/permissions";
    let shown = app.get(path, &admin).await.json();
    let roles = &shown["permissions"]["execute"]["roles"];
    assert_eq!(roles.as_array().unwrap().len(), 4, "{shown}");
    assert_eq!(shown["permissions"]["approve"]["roles"], json!(["admin"]));
    let engineer = app.token(Role::PlatformEngineer).await;
    let change = json!({ "execute": { "roles": ["reviewer"] } });
    patch(&app, &engineer, change.clone()).await.refusal(403);
    let changed = patch(&app, &admin, change).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    let shown = app.get(path, &engineer).await.json();
    assert_eq!(
        shown["permissions"]["execute"]["roles"],
        json!(["reviewer"])
    );
    let audit = app.get("/v1/audit-log?limit=1", &admin).await;
    assert!(audit.text.contains("action_permissions"), "{}", audit.text);
    patch(&app, &admin, json!({ "execute": { "rolse": [] } }))
        .await
        .refusal(422);
    app.get("/v1/actions/none/permissions", &admin)
        .await
        .refusal(404);
}

#[tokio::test]
async fn whom_the_lists_do_not_name_neither_starts_nor_sees_the_action() {
    let (app, admin) = with_action().await;
    let ann = app.token_of("ann", Role::Developer).await;
    let bob = app.token_of("bob", Role::Developer).await;
    assert_eq!(start(&app, &bob, "cart").await.status, 202);
    patch(
        &app,
        &admin,
        json!({ "execute": { "users": ["ann"], "teams": ["ops"] } }),
    )
    .await;
    assert_eq!(start(&app, &ann, "cart").await.status, 202);
    let (code, message) = start(&app, &bob, "cart").await.refusal(403);
    assert_eq!(code, "forbidden");
    for part in ["`bob`", "`developer`", "user `ann`", "team `ops`"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(
        app.get("/v1/actions", &ann).await.json()["actions"][0]["identifier"],
        "deploy"
    );
    assert_eq!(
        app.get("/v1/actions", &bob).await.json()["actions"],
        json!([])
    );
    app.get("/v1/actions/deploy", &bob).await.refusal(403);
    app.post("/v1/actions/deploy/form", &bob, json!({}))
        .await
        .refusal(403);
    // Whoever changes actions sees all of them, and still may not start this one.
    let engineer = app.token(Role::PlatformEngineer).await;
    assert_eq!(app.get("/v1/actions/deploy", &engineer).await.status, 200);
    start(&app, &engineer, "cart").await.refusal(403);
    // Administrators have every right that lists give.
    assert_eq!(start(&app, &admin, "cart").await.status, 202);
}

#[tokio::test]
async fn permissions_outlive_an_action_that_is_made_anew() {
    let (app, admin) = with_action().await;
    let bob = app.token_of("bob", Role::Developer).await;
    patch(&app, &admin, json!({ "execute": { "roles": [] } })).await;
    let action = app.get("/v1/actions/deploy", &admin).await.json()["action"].clone();
    app.send(request(Method::DELETE, "/v1/actions/deploy", &admin, None))
        .await;
    let made = app.post("/v1/actions", &admin, action).await;
    assert_eq!(made.status, 201, "{}", made.text);
    start(&app, &bob, "cart").await.refusal(403);
}

#[tokio::test]
async fn a_policy_decides_for_everybody_and_says_which_condition_refused() {
    let (app, admin) = with_action().await;
    let bob = app.token_of("bob", Role::Developer).await;
    let policy = json!({ "execute": { "policy": { "conditions": [".entity.properties.open"] } } });
    patch(&app, &admin, policy).await;
    assert_eq!(start(&app, &bob, "cart").await.status, 202);
    for token in [&bob, &admin] {
        let refused = start(&app, token, "mail").await;
        let (_, message) = refused.refusal(403);
        assert!(message.contains(".entity.properties.open"), "{message}");
        assert_eq!(
            refused.json()["details"][0]["path"],
            "/execute/policy/conditions/0"
        );
    }
}

#[tokio::test]
async fn a_condition_or_query_that_fails_refuses_whatever_the_others_say() {
    let (app, admin) = with_action().await;
    let bob = app.token_of("bob", Role::Developer).await;
    let policy = |queries: Value, conditions: Value| json!({ "execute": { "policy": { "queries": queries, "conditions": conditions } } });
    let conditions = json!([".entity.properties.open", ".entity.identifier.nothing"]);
    patch(&app, &admin, policy(json!({}), conditions)).await;
    let refused = start(&app, &bob, "cart").await;
    refused.refusal(403);
    assert_eq!(
        refused.json()["details"][0]["path"],
        "/execute/policy/conditions/1"
    );
    // The value of a rule is worked out; as an object it may not become a part of the query.
    let rule = json!({ "property": "$identifier", "operator": "=", "value": "{{ .entity }}" });
    let queries = json!({ "own": { "combinator": "and", "rules": [rule] } });
    let changed = patch(
        &app,
        &admin,
        policy(queries, json!([".entity.properties.open"])),
    )
    .await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    let refused = start(&app, &bob, "cart").await;
    refused.refusal(403);
    assert_eq!(
        refused.json()["details"][0]["path"],
        "/execute/policy/queries/own/rules/0/value"
    );
}

#[tokio::test]
async fn queries_see_what_the_person_may_not() {
    let (app, admin) = with_action().await;
    let bob = app.token_of("bob", Role::Developer).await;
    let hidden = json!({ "entities": { "read": { "roles": ["admin"] } } });
    let path = "/v1/blueprints/Service/permissions";
    app.send(request(Method::PATCH, path, &admin, Some(hidden)))
        .await;
    let mut action = app.get("/v1/actions/deploy", &admin).await.json()["action"].clone();
    action["trigger"]["operation"] = json!("CREATE");
    app.send(request(
        Method::PUT,
        "/v1/actions/deploy",
        &admin,
        Some(action),
    ))
    .await;
    // Without jq in this test a condition is a plain path: it gives what the query found, which is no `true`.
    let rule = json!({ "property": "open", "operator": "=", "value": true });
    let queries = json!({ "open": { "combinator": "and", "rules": [rule] } });
    let conditions = json!([".results.open.entities"]);
    let policy =
        json!({ "execute": { "policy": { "queries": queries, "conditions": conditions } } });
    patch(&app, &admin, policy).await;
    let body = json!({ "properties": {} });
    let refused = app.post("/v1/actions/deploy/runs", &bob, body).await;
    let (_, message) = refused.refusal(403);
    assert!(
        message.contains("gives a list, which counts as false"),
        "{message}"
    );
}

#[tokio::test]
async fn explain_starts_nothing_and_tells_every_rule() {
    let (app, admin) = with_action().await;
    let bob = app.token_of("bob", Role::Developer).await;
    let explain = async |token: &str, body: Value| {
        let path = "/v1/actions/deploy/runs?explain=true";
        let told = app.post(path, token, body).await;
        assert_eq!(told.status, 200, "{}", told.text);
        told.json()["explanation"].clone()
    };
    let told = explain(&bob, json!({ "entity": "cart", "properties": {} })).await;
    assert_eq!(told["starts"], true, "{told}");
    assert_eq!(told["needsApproval"], false);
    assert_eq!(told["properties"], json!({}));
    let told = explain(
        &bob,
        json!({ "entity": "none", "properties": { "note": 1, "size": 2 } }),
    )
    .await;
    assert_eq!(told["starts"], false);
    let broken: Vec<&Value> = told["rules"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|rule| rule["holds"] == false)
        .map(|rule| &rule["path"])
        .collect();
    assert_eq!(broken, ["/properties/size", "/properties/note", "/entity"]);
    let policy = json!({ "conditions": [".entity.properties.open", ".inputs.note"] });
    patch(
        &app,
        &admin,
        json!({ "execute": { "users": ["ann"], "policy": &policy } }),
    )
    .await;
    // Whom the lists do not let in learns nothing of the policy.
    let told = explain(&bob, json!({ "entity": "cart", "properties": {} })).await;
    assert_eq!(told["starts"], false);
    assert_eq!(told["rules"].as_array().unwrap().len(), 1);
    assert_eq!(told["rules"][0]["path"], "/execute");
    patch(
        &app,
        &admin,
        json!({ "execute": { "roles": ["developer"], "policy": policy } }),
    )
    .await;
    let told = explain(&bob, json!({ "entity": "cart", "properties": {} })).await;
    assert_eq!(told["starts"], true);
    let verdicts: Vec<(&Value, &Value)> = told["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| (&rule["path"], &rule["holds"]))
        .collect();
    assert_eq!(
        json!(verdicts),
        json!([
            ["/execute", true],
            ["/properties", true],
            ["/execute/policy/conditions/0", true],
            ["/execute/policy/conditions/1", false],
        ])
    );
    let runs = app.get("/v1/actions/runs", &admin).await;
    assert_eq!(runs.json()["runs"], json!([]));
}
