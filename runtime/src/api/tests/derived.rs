use serde_json::json;

use super::*;

/// A portal with teams that count their services, and the token of somebody who may write.
async fn portal() -> (TestApp, String) {
    let app = TestApp::new().await;
    let token = app.token(Role::PlatformEngineer).await;
    let team = json!({
        "identifier": "Team", "title": "Team", "schema": {},
        "aggregationProperties": { "services": {
            "title": "Services", "target": "Service", "calculationSpec": { "calculationBy": "entities", "func": "count" },
        } },
    });
    let service = json!({
        "identifier": "Service", "title": "Service",
        "schema": { "properties": { "site": { "type": "string" } } },
        "relations": { "team": { "target": "Team" } },
        "mirrorProperties": { "team": { "title": "Team", "path": "team.$title" } },
        "calculationProperties": { "address": { "title": "Address", "type": "string", "calculation": ".properties.site" } },
    });
    let documents: Vec<Value> = [service, team]
        .into_iter()
        .map(|value| json!({ "source": "test", "kind": "blueprint", "value": value }))
        .collect();
    let reply = app
        .post(
            "/v1/catalog/apply",
            &token,
            json!({ "documents": documents }),
        )
        .await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    (app, token)
}

async fn put(app: &TestApp, token: &str, blueprint: &str, entity: Value) -> Value {
    let path = format!("/v1/blueprints/{blueprint}/entities?upsert=true");
    let reply = app.post(&path, token, entity).await;
    assert!(reply.status.is_success(), "{}", reply.text);
    reply.json()["entity"].clone()
}

#[tokio::test]
async fn who_reads_after_a_write_reads_what_follows_from_it() {
    let (app, token) = portal().await;
    put(
        &app,
        &token,
        "Team",
        json!({ "identifier": "ops", "title": "Ops" }),
    )
    .await;
    for number in 1..=3 {
        let service = json!({
            "identifier": format!("s{number}"), "properties": { "site": "here" }, "relations": { "team": "ops" },
        });
        let written = put(&app, &token, "Service", service).await;
        assert_eq!(
            written["properties"],
            json!({ "site": "here", "team": "Ops", "address": "here" })
        );
        let team = app
            .get("/v1/blueprints/Team/entities/ops", &token)
            .await
            .json();
        assert_eq!(team["entity"]["properties"]["services"], number);
    }
    let listed = app
        .get("/v1/blueprints/Service/entities", &token)
        .await
        .json();
    assert_eq!(listed["entities"][0]["properties"]["team"], "Ops");
    let state = app.get("/v1/catalog/derived-queue", &token).await.json();
    assert_eq!(
        state["queue"],
        json!({ "waiting": 0, "background": 0, "oldest": null })
    );
    assert_eq!(
        (&state["failedEntities"], &state["failures"]),
        (&json!(0), &json!([]))
    );
}

#[tokio::test]
async fn a_bulk_answers_when_what_follows_from_it_is_derived() {
    let (app, token) = portal().await;
    put(
        &app,
        &token,
        "Team",
        json!({ "identifier": "ops", "title": "Ops" }),
    )
    .await;
    let count = async || {
        let team = app.get("/v1/blueprints/Team/entities/ops", &token).await;
        team.json()["entity"]["properties"]["services"].clone()
    };
    let services: Vec<Value> = (0..50)
        .map(|number| json!({ "identifier": format!("s{number}"), "relations": { "team": "ops" } }))
        .collect();
    let path = "/v1/blueprints/Service/entities/bulk";
    let written = app
        .post(path, &token, json!({ "entities": services }))
        .await;
    assert_eq!(written.status, StatusCode::OK, "{}", written.text);
    assert_eq!(count().await, 50);
    let query = json!({ "combinator": "and", "rules": [{ "property": "services", "operator": "=", "value": 50 }] });
    let found = app.post("/v1/entities/search", &token, query).await;
    assert_eq!(found.json()["entities"][0]["identifier"], "ops");
    // Also where some of them were refused.
    let mixed = json!({ "entities": [{ "identifier": "s50", "relations": { "team": "ops" } }, { "identifier": "?" }] });
    let written = app.post(path, &token, mixed).await;
    assert_eq!(written.status, StatusCode::MULTI_STATUS, "{}", written.text);
    assert_eq!(count().await, 51);
    let path = "/v1/blueprints/Service/bulk/entities/delete";
    let deleted = app
        .post(path, &token, json!({ "entities": ["s0", "s1"] }))
        .await;
    assert_eq!(deleted.status, StatusCode::OK, "{}", deleted.text);
    assert_eq!(count().await, 49);
}

#[tokio::test]
async fn derived_values_are_left_out_for_whoever_asks_so() {
    let (app, token) = portal().await;
    put(
        &app,
        &token,
        "Service",
        json!({ "identifier": "a", "properties": { "site": "here" } }),
    )
    .await;
    for path in [
        "/v1/blueprints/Service/entities/a?",
        "/v1/blueprints/Service/entities?",
        "/v1/blueprints/Service/entities?limit=1&",
    ] {
        let read = app
            .get(&format!("{path}exclude_calculated_properties=true"), &token)
            .await
            .json();
        let entity = if read["entity"].is_null() {
            &read["entities"][0]
        } else {
            &read["entity"]
        };
        assert_eq!(entity["properties"], json!({ "site": "here" }), "{path}");
    }
}

#[tokio::test]
async fn scorecards_live_at_the_routes_of_their_blueprint() {
    let (app, token) = portal().await;
    put(
        &app,
        &token,
        "Service",
        json!({ "identifier": "a", "properties": { "site": "here" } }),
    )
    .await;
    let rule = json!({
        "identifier": "hasSite", "title": "Has a site", "level": "Bronze",
        "query": { "combinator": "and", "conditions": [{ "property": "site", "operator": "isNotEmpty" }] },
    });
    let card = json!({ "identifier": "ready", "title": "Ready", "rules": [rule] });
    let base = "/v1/blueprints/Service/scorecards";
    let created = app.post(base, &token, card.clone()).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.text);
    assert_eq!(
        created.json()["scorecard"]["levels"][3],
        json!({ "title": "Gold", "color": "gold" })
    );
    assert_eq!(
        app.post(base, &token, card.clone()).await.refusal(409).0,
        "already_exists"
    );
    let entity = app
        .get("/v1/blueprints/Service/entities/a", &token)
        .await
        .json();
    assert_eq!(entity["entity"]["scorecards"]["ready"]["level"], "Gold");
    for path in [base, "/v1/scorecards"] {
        assert_eq!(
            app.get(path, &token).await.json()["scorecards"][0]["identifier"],
            "ready"
        );
    }
    let one = format!("{base}/ready");
    let mut changed = card.clone();
    changed["rules"][0]["query"]["conditions"][0]["operator"] = json!("isEmpty");
    let replaced = app
        .send(request(Method::PUT, &one, &token, Some(changed)))
        .await;
    assert_eq!(replaced.status, StatusCode::OK, "{}", replaced.text);
    let entity = app
        .get("/v1/blueprints/Service/entities/a", &token)
        .await
        .json();
    assert_eq!(entity["entity"]["scorecards"]["ready"]["level"], "Basic");
    let mut other = card.clone();
    other["identifier"] = json!("other");
    let both = app
        .send(request(
            Method::PUT,
            base,
            &token,
            Some(json!([card, other])),
        ))
        .await;
    assert_eq!(
        both.json()["scorecards"].as_array().unwrap().len(),
        2,
        "{}",
        both.text
    );
    let broken = app
        .send(request(
            Method::PUT,
            base,
            &token,
            Some(json!([{ "identifier": "x" }])),
        ))
        .await;
    broken.refusal(422);
    assert_eq!(broken.json()["details"][0]["path"], "/0/title");
    assert_eq!(
        app.send(request(Method::DELETE, &one, &token, None))
            .await
            .status,
        StatusCode::OK
    );
    app.get(&one, &token).await.refusal(404);
    app.get("/v1/blueprints/Nothing/scorecards", &token)
        .await
        .refusal(404);
}

#[tokio::test]
async fn scorecards_come_with_an_apply() {
    let (app, token) = portal().await;
    let card =
        json!({ "identifier": "ready", "title": "Ready", "blueprint": "Service", "rules": [] });
    let body = json!({ "documents": [{ "source": "scorecards/ready.json", "kind": "scorecard", "value": card }] });
    let applied = app
        .post("/v1/catalog/apply", &token, body.clone())
        .await
        .json();
    assert_eq!(
        applied["applied"]["created"],
        json!(["scorecard Service/ready"])
    );
    let applied = app.post("/v1/catalog/apply", &token, body).await.json();
    assert_eq!(
        applied["applied"]["unchanged"],
        json!(["scorecard Service/ready"])
    );
}

#[tokio::test]
async fn who_restricts_a_blueprint_is_told_what_others_derive_from_it() {
    let (app, _) = portal().await;
    let admin = app.token(Role::Admin).await;
    let restrict = async |blueprint: &str| {
        let path = format!("/v1/blueprints/{blueprint}/permissions");
        let body = json!({ "entities": { "read": { "ownedByTeam": true } } });
        let request = super::request(axum::http::Method::PATCH, &path, &admin, Some(body));
        let reply = app.send(request).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
        let read = app.get(&path, &admin).await.json();
        assert_eq!(read, reply.json());
        read["derivedElsewhere"].clone()
    };
    assert_eq!(
        restrict("Service").await,
        json!([{ "blueprint": "Team", "property": "services" }])
    );
    assert_eq!(
        restrict("Team").await,
        json!([{ "blueprint": "Service", "property": "team" }])
    );
    // At second hand and at any other: by way of mirrors, calculations and aggregations.
    let seen = json!({
        "identifier": "Seen", "title": "Seen", "schema": { "properties": { "plain": { "type": "string" } } },
        "relations": { "team": { "target": "Team" }, "next": { "target": "Seen" } },
        "mirrorProperties": {
            "counted": { "path": "team.services" },
            "again": { "path": "next.counted" },
            "other": { "path": "next.plain" },
        },
        "calculationProperties": { "more": { "type": "number", "calculation": ".properties.again" } },
        "aggregationProperties": {
            "good": {
                "target": "Seen",
                "calculationSpec": { "calculationBy": "entities", "func": "count" },
                "pathFilter": [{ "path": ["next"] }],
                "query": { "combinator": "and", "rules": [{ "property": "more", "operator": ">", "value": 1 }] },
            },
        },
    });
    let made = app.post("/v1/blueprints", &admin, seen).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let of_seen = |property: &str| json!({ "blueprint": "Seen", "property": property });
    assert_eq!(
        restrict("Service").await,
        json!([
            of_seen("again"),
            of_seen("counted"),
            of_seen("good"),
            of_seen("more"),
            { "blueprint": "Team", "property": "services" },
        ])
    );
    let lonely = json!({ "identifier": "Lonely", "title": "Lonely", "schema": {} });
    let made = app.post("/v1/blueprints", &admin, lonely).await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(restrict("Lonely").await, Value::Null);
}
