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
    // A draft that says nothing of the role takes none away, not even one that replaces all else.
    let whole = json!({ "title": "Rob" });
    let whole = send(&app, &admin, Method::PUT, &at, whole).await;
    assert_eq!(whole.status, 200, "{}", whole.text);
    let properties = json!({ "port_role": "admin", "status": "Active" });
    assert_eq!(whole.json()["entity"]["properties"], properties);
    let bob = app.get("/v1/users/bob@example.com", &admin).await.json();
    assert_eq!(bob["user"]["role"], "admin");
    // Whoever may come in is in teams that have the name of a team.
    let team = json!({ "team": ["orders", "no team"] });
    let refused = send(&app, &admin, Method::PATCH, &at, team).await;
    refused.refusal(422);
    assert_eq!(refused.json()["details"][0]["path"], "/team/1");
    let bob = app.get("/v1/users/bob@example.com", &admin).await.json();
    assert_eq!(bob["user"]["teams"], json!([]));
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

#[tokio::test]
async fn whoever_does_not_manage_users_says_nothing_of_what_somebody_may_do() {
    let app = TestApp::new().await;
    let admin = app.token(Role::Admin).await;
    let engineer = app.token(Role::PlatformEngineer).await;
    let first = json!({ "email": "ann@example.com", "role": "reviewer" });
    assert_eq!(app.post("/v1/users", &admin, first).await.status, 201);
    let path = "/v1/blueprints/_user/entities";
    let at = format!("{path}/eve@example.com");
    let says = |property: &str, value: &str| json!({ "identifier": "eve@example.com", "properties": { property: value } });
    for body in [says("port_role", "admin"), says("status", "Active")] {
        let refused = app.post(path, &engineer, body.clone()).await;
        refused.refusal(403);
        let bulk = json!({ "entities": [body] });
        let bulk = app.post(&format!("{path}/bulk"), &engineer, bulk).await;
        assert_eq!(bulk.json()["errors"][0]["statusCode"], 403);
    }
    let documents = json!({ "documents": [{ "source": "e.json", "kind": "entity", "value": {
        "identifier": "eve@example.com", "blueprint": "_user", "properties": { "port_role": "admin" },
    } }] });
    app.post("/v1/catalog/apply", &engineer, documents)
        .await
        .refusal(403);
    app.get(&at, &admin).await.refusal(404);

    // Who somebody is may be written by whoever writes the catalog.
    let eve = json!({ "identifier": "eve@example.com", "title": "Eve", "team": ["sre"] });
    assert_eq!(app.post(path, &engineer, eve).await.status, 201);
    for property in ["port_role", "status"] {
        let value = if property == "status" {
            "Active"
        } else {
            "admin"
        };
        let body = json!({ "properties": { property: value } });
        send(&app, &engineer, Method::PATCH, &at, body)
            .await
            .refusal(403);
    }
    let title = json!({ "title": "Eva" });
    assert_eq!(
        send(&app, &engineer, Method::PATCH, &at, title)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_login_is_made_where_the_draft_says_so_and_of_nothing_that_was_stored_before() {
    let app = TestApp::new().await;
    let admin = app.token(Role::Admin).await;
    let first = json!({ "email": "ann@example.com", "role": "reviewer" });
    assert_eq!(app.post("/v1/users", &admin, first).await.status, 201);
    let path = "/v1/blueprints/_user/entities";
    let at = format!("{path}/eve@example.com");
    // In bulk nobody is let in, whatever the entity says.
    let bulk = json!({ "entities": [
        { "identifier": "eve@example.com", "team": ["sre"], "properties": { "port_role": "admin", "port_type": "Service Account" } },
    ] });
    let bulk = app.post(&format!("{path}/bulk"), &admin, bulk).await;
    assert_eq!(bulk.json()["errors"], json!([]), "{}", bulk.text);
    for body in [
        json!({ "title": "Eve" }),
        json!({ "properties": { "port_type": "Service Account" } }),
        json!({ "properties": { "status": "Disabled" } }),
        json!({ "properties": { "status": null } }),
    ] {
        let changed = send(&app, &admin, Method::PATCH, &at, body).await;
        assert_eq!(changed.status, 200, "{}", changed.text);
        assert!(changed.json().get("additionalData").is_none());
    }
    app.get("/v1/users/eve@example.com", &admin)
        .await
        .refusal(404);

    let active = json!({ "properties": { "status": "Active" } });
    let made = send(&app, &admin, Method::PATCH, &at, active).await.json();
    assert!(made["additionalData"]["credentials"]["clientSecret"].is_string());
    assert_eq!(made["entity"]["title"], "Eve");
    for entity in [&made, &app.get(&at, &admin).await.json()] {
        assert_eq!(entity["entity"]["properties"]["port_role"], "developer");
        assert_eq!(entity["entity"]["team"], json!([]));
    }
    let eve = app.get("/v1/users/eve@example.com", &admin).await.json();
    assert_eq!(
        (&eve["user"]["role"], &eve["user"]["teams"]),
        (&json!("developer"), &json!([]))
    );
    // From now on the two go together, and a title is but a title.
    let both = json!({ "team": ["sre"], "properties": { "port_role": "reviewer" } });
    for body in [both, json!({ "title": "Eva" })] {
        let changed = send(&app, &admin, Method::PATCH, &at, body).await;
        assert_eq!(changed.status, 200, "{}", changed.text);
        let eve = app.get("/v1/users/eve@example.com", &admin).await.json();
        assert_eq!(
            (&eve["user"]["role"], &eve["user"]["teams"]),
            (&json!("reviewer"), &json!(["sre"]))
        );
    }
    let agent = json!({ "identifier": "agent@example.com", "properties": { "port_type": "Service Account" } });
    let agent = app.post(path, &admin, agent).await.json();
    assert!(agent["additionalData"]["credentials"]["clientSecret"].is_string());
}

#[tokio::test]
async fn an_administrator_writes_somebody_whom_only_the_catalog_knows_like_any_entity() {
    let app = TestApp::new().await;
    let admin = app.token(Role::Admin).await;
    let program = app.token_of("bob", Role::PlatformEngineer).await;
    let first = json!({ "email": "ann@example.com", "role": "reviewer" });
    assert_eq!(app.post("/v1/users", &admin, first).await.status, 201);
    let path = "/v1/blueprints/_user/entities";
    let at = format!("{path}/bob");
    let bob = json!({ "identifier": "bob", "title": "Bob", "team": ["sre"] });
    assert_eq!(app.post(path, &admin, bob).await.status, 201);
    for (method, body) in [
        (Method::PATCH, json!({ "title": "Robert" })),
        (Method::PUT, json!({ "title": "Bob" })),
        (
            Method::PATCH,
            json!({ "properties": { "status": "Disabled" } }),
        ),
    ] {
        let changed = send(&app, &admin, method, &at, body).await;
        assert_eq!(changed.status, 200, "{}", changed.text);
        assert!(changed.json().get("additionalData").is_none());
    }
    // A program that is called the same is somebody else.
    assert_eq!(app.get(&at, &program).await.status, 200);
    // Only a login needs an address.
    let active = json!({ "properties": { "status": "Active" } });
    let refused = send(&app, &admin, Method::PATCH, &at, active).await;
    refused.refusal(422);
    assert_eq!(refused.json()["details"][0]["path"], "/email");
}
