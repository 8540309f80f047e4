//! Users and teams, which are entities too.

use axum::http::Method;
use serde_json::{Value, json};

use super::{Reply, TestApp, request};
use crate::model::Role;

async fn send(app: &TestApp, token: &str, method: Method, path: &str, body: Value) -> Reply {
    let body = (!body.is_null()).then_some(body);
    app.send(request(method, path, token, body)).await
}

async fn come_in(app: &TestApp, id: &Value, secret: &Value) -> Reply {
    let login = json!({ "clientId": id, "clientSecret": secret });
    app.post("/v1/auth/access_token", "", login).await
}

#[tokio::test]
async fn a_team_is_an_entity_and_knows_its_members() {
    let app = TestApp::new().await;
    let admin = app.token(Role::Admin).await;
    for email in ["ann@example.com", "bob@example.com"] {
        let user = json!({ "email": email, "role": "developer", "teams": ["orders"] });
        assert_eq!(app.post("/v1/users", &admin, user).await.status, 201);
    }
    let team = json!({ "name": "sre", "description": "Nights", "users": ["ann@example.com"] });
    let made = app.post("/v1/teams", &admin, team.clone()).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.json()["team"]["users"], json!(["ann@example.com"]));
    assert_eq!(
        app.post("/v1/teams", &admin, team).await.refusal(409).0,
        "already_exists"
    );
    let shown = app
        .get("/v1/teams/sre?fields=users.email", &admin)
        .await
        .json();
    assert_eq!(shown["team"]["users"][0]["email"], "ann@example.com");
    let entity = app
        .get("/v1/blueprints/_team/entities/sre", &admin)
        .await
        .json();
    assert_eq!(entity["entity"]["properties"]["description"], "Nights");
    let ann = app
        .get("/v1/blueprints/_user/entities/ann@example.com", &admin)
        .await
        .json();
    assert_eq!(ann["entity"]["team"], json!(["orders", "sre"]));
    assert_eq!(ann["entity"]["properties"]["port_role"], "developer");
    let names: Vec<_> = app.get("/v1/teams", &admin).await.json()["teams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|team| {
            (
                team["name"].clone(),
                team["users"].as_array().unwrap().len(),
            )
        })
        .collect();
    assert_eq!(names, [(json!("orders"), 2), (json!("sre"), 1)]);

    let change = json!({ "name": "sre", "users": ["bob@example.com"] });
    let changed = send(&app, &admin, Method::PATCH, "/v1/teams/sre", change)
        .await
        .json();
    assert_eq!(
        (&changed["team"]["users"], &changed["team"]["description"]),
        (&json!(["bob@example.com"]), &json!("Nights"))
    );
    let ann = app.get("/v1/users/ann@example.com", &admin).await.json();
    assert_eq!(ann["user"]["teams"], json!(["orders"]));
    let replaced = send(
        &app,
        &admin,
        Method::PUT,
        "/v1/teams/sre",
        json!({ "name": "sre" }),
    )
    .await;
    assert_eq!(
        (
            &replaced.json()["team"]["users"],
            &replaced.json()["team"]["description"]
        ),
        (&json!([]), &Value::Null)
    );
    for (body, path) in [
        (json!({ "users": ["nobody@example.com"] }), "/users/0"),
        (json!({ "users": "x" }), "/users"),
        (json!({ "name": "other" }), "/name"),
        (json!({ "description": 1 }), "/description"),
    ] {
        let refused = send(&app, &admin, Method::PATCH, "/v1/teams/sre", body).await;
        refused.refusal(422);
        assert_eq!(refused.json()["details"][0]["path"], path);
    }
    let odd = json!({ "name": "a b" });
    app.post("/v1/teams", &admin, odd).await.refusal(422);

    let gone = send(
        &app,
        &admin,
        Method::DELETE,
        "/v1/teams/orders",
        Value::Null,
    )
    .await;
    assert_eq!(gone.status, 200, "{}", gone.text);
    let ann = app
        .get("/v1/blueprints/_user/entities/ann@example.com", &admin)
        .await
        .json();
    assert_eq!(ann["entity"]["team"], json!([]));
    app.get("/v1/teams/orders", &admin).await.refusal(404);
    for method in [Method::DELETE, Method::PATCH] {
        let body = if method == Method::PATCH {
            json!({})
        } else {
            Value::Null
        };
        send(&app, &admin, method, "/v1/teams/orders", body)
            .await
            .refusal(404);
    }
}

#[tokio::test]
async fn a_user_who_is_written_as_an_entity_comes_in_by_what_it_says() {
    let app = TestApp::new().await;
    let admin = app.token(Role::Admin).await;
    let path = "/v1/blueprints/_user/entities";
    // The blueprint is there once somebody has a use for it.
    let first = json!({ "email": "ann@example.com", "role": "reviewer" });
    assert_eq!(app.post("/v1/users", &admin, first).await.status, 201);
    let bob = json!({ "identifier": "bob@example.com", "title": "Bob", "team": ["sre"],
                      "properties": { "port_role": "platform-engineer" } });
    let made = app.post(path, &admin, bob).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let credentials = made.json()["additionalData"]["credentials"].clone();
    let (id, secret) = (&credentials["clientId"], &credentials["clientSecret"]);
    let token = come_in(&app, id, secret).await.json()["accessToken"].clone();
    let token = token.as_str().unwrap();
    assert_eq!(
        app.get("/v1/teams/sre", token).await.json()["team"]["users"][0]["email"],
        "bob@example.com"
    );
    app.get("/v1/users", token).await.refusal(403);

    let at = format!("{path}/bob@example.com");
    // An engineer writes what only shows, and nothing that decides who may do what.
    let title = json!({ "title": "Robert" });
    assert_eq!(
        send(&app, token, Method::PATCH, &at, title).await.status,
        200
    );
    for body in [
        json!({ "properties": { "port_role": "admin" } }),
        json!({ "team": ["everything"] }),
        json!({ "properties": { "status": "Disabled" } }),
        json!({ "identifier": "root@example.com" }),
    ] {
        let refused = send(&app, token, Method::PATCH, &at, body).await;
        assert_eq!(refused.refusal(409).0, "system_blueprint");
    }
    send(&app, token, Method::DELETE, &at, Value::Null)
        .await
        .refusal(409);
    let team = send(
        &app,
        token,
        Method::DELETE,
        "/v1/blueprints/_team/entities/sre",
        Value::Null,
    )
    .await;
    team.refusal(409);
    let bulk = json!({ "entities": [{ "identifier": "bob@example.com", "properties": { "port_role": "admin" } }] });
    let bulk = app
        .post(&format!("{path}/bulk?upsert=true&merge=true"), token, bulk)
        .await;
    assert_eq!(bulk.json()["errors"][0]["statusCode"], 409);
    let emptied = send(
        &app,
        token,
        Method::DELETE,
        "/v1/blueprints/_user/all-entities",
        Value::Null,
    )
    .await;
    emptied.refusal(409);
    // Somebody without a credential is nobody at the door, whatever the entity says.
    let ghost =
        json!({ "identifier": "ghost@example.com", "properties": { "port_role": "admin" } });
    assert_eq!(app.post(path, token, ghost).await.status, 201);

    let patch = json!({ "roles": ["Admin"], "teams": [] });
    let bob = send(
        &app,
        &admin,
        Method::PATCH,
        "/v1/users/bob@example.com",
        patch,
    )
    .await
    .json();
    assert_eq!(
        (
            &bob["user"]["role"],
            &bob["user"]["roles"][0]["name"],
            &bob["user"]["email"]
        ),
        (&json!("admin"), &json!("admin"), &json!("bob@example.com"))
    );
    assert_eq!(app.get("/v1/users", token).await.status, 200);
    let entity = app.get(&at, &admin).await.json();
    assert_eq!(
        (
            &entity["entity"]["properties"]["port_role"],
            &entity["entity"]["team"],
            &entity["entity"]["title"]
        ),
        (&json!("admin"), &json!([]), &json!("Robert"))
    );
    let odd = json!({ "roles": ["Owner"] });
    send(
        &app,
        &admin,
        Method::PATCH,
        "/v1/users/bob@example.com",
        odd,
    )
    .await
    .refusal(422);

    // Disabled, the user is out at once; active again, they get a new credential.
    let disabled = json!({ "properties": { "status": "Disabled" } });
    assert_eq!(
        send(&app, &admin, Method::PATCH, &at, disabled)
            .await
            .status,
        200
    );
    app.get("/v1/teams", token).await.refusal(401);
    come_in(&app, id, secret).await.refusal(401);
    let active = json!({ "properties": { "status": "Active" } });
    let back = send(&app, &admin, Method::PATCH, &at, active).await.json();
    assert!(back["additionalData"]["credentials"]["clientSecret"].is_string());
    let deleted = send(&app, &admin, Method::DELETE, &at, Value::Null).await;
    assert_eq!(deleted.status, 200, "{}", deleted.text);
    app.get("/v1/users/bob@example.com", &admin)
        .await
        .refusal(404);
    app.get(&at, &admin).await.refusal(404);
}

#[tokio::test]
async fn a_blueprint_may_point_at_users_and_teams_before_there_are_any() {
    let app = TestApp::new().await;
    let token = app.token(Role::PlatformEngineer).await;
    let blueprint = json!({ "identifier": "Service", "title": "Service", "schema": {},
        "relations": { "owner": { "target": "_team" }, "lead": { "target": "_user" } } });
    let made = app.post("/v1/blueprints", &token, blueprint).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let entity = json!({ "identifier": "a", "relations": { "owner": "sre" } });
    let path = "/v1/blueprints/Service/entities?create_missing_related_entities=true";
    app.post(path, &token, entity.clone()).await.refusal(404);
    let team = json!({ "identifier": "sre" });
    assert_eq!(
        app.post("/v1/blueprints/_team/entities", &token, team)
            .await
            .status,
        201
    );
    assert_eq!(app.post(path, &token, entity).await.status, 201);
    let gone = send(
        &app,
        &token,
        Method::DELETE,
        "/v1/blueprints/_team",
        Value::Null,
    )
    .await;
    assert_eq!(gone.refusal(409).0, "system_blueprint");
}
