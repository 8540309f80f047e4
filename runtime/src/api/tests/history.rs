use axum::body::Body;
use axum::http::{Method, Request};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{TestApp, request};
use crate::model::Role;

/// Two blueprints, an entity made, changed and deleted, one that stays.
async fn with_history() -> (TestApp, String) {
    let app = TestApp::new().await;
    let token = app.token(Role::Admin).await;
    for name in ["Service", "System"] {
        let schema = json!({"properties": {"tier": {"type": "number"}}});
        let blueprint = json!({"identifier": name, "title": name, "schema": schema});
        app.post("/v1/blueprints", &token, blueprint).await;
    }
    for (blueprint, name, tier) in [
        ("Service", "shop", 1),
        ("Service", "shop", 2),
        ("Service", "mail", 1),
        ("System", "shop", 1),
    ] {
        let path = format!("/v1/blueprints/{blueprint}/entities?upsert=true");
        let entity = json!({"identifier": name, "properties": {"tier": tier}});
        let written = app.post(&path, &token, entity).await;
        assert!(written.status.is_success(), "{}", written.text);
    }
    let gone = "/v1/blueprints/Service/entities/shop";
    app.send(request(Method::DELETE, gone, &token, None)).await;
    (app, token)
}

/// `action resource identifier` of every row of a page.
fn lines(page: &Value) -> Vec<String> {
    let rows = page["audits"].as_array().unwrap();
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    rows.iter()
        .map(|row| {
            let word = |name| text(row, name);
            format!(
                "{} {} {}",
                word("action"),
                word("resource"),
                word("identifier")
            )
        })
        .collect()
}

#[tokio::test]
async fn audit_log_is_narrowed_by_each_filter_and_paged_to_its_end() {
    let (app, token) = with_history().await;
    let made = "CREATE entity Service/shop";
    let changed = "UPDATE entity Service/shop";
    let deleted = "DELETE entity Service/shop";
    let other = "CREATE entity System/shop";
    let mail = "CREATE entity Service/mail";
    for (query, expected) in [
        ("entity=shop", vec![deleted, other, changed, made]),
        (
            "entity=shop&blueprint=Service",
            vec![deleted, changed, made],
        ),
        ("identifier=Service/shop", vec![deleted, changed, made]),
        ("identifier=mail", vec![mail]),
        ("identifier=Service", vec!["CREATE blueprint Service"]),
        ("identifier=admin", vec!["CREATE app admin"]),
        ("blueprint=System", vec![other, "CREATE blueprint System"]),
        ("action=DELETE", vec![deleted]),
        ("action=UPDATE&action=DELETE", vec![deleted, changed]),
        ("status=FAILURE", vec![]),
        ("status=success&action=delete", vec![deleted]),
        (
            "resources[]=blueprint",
            vec!["CREATE blueprint System", "CREATE blueprint Service"],
        ),
        ("resources=app,user", vec!["CREATE app admin"]),
        ("origin=SYSTEM", vec!["CREATE app admin"]),
        ("origin=PLUGIN", vec![]),
        ("run_id=r_none", vec![]),
        ("webhookId=w", vec![]),
        ("InstallationId=i", vec![]),
        ("from=2100-01-01T00:00:00Z", vec![]),
        ("to=2000-01-01T00:00:00Z", vec![]),
        (
            "from=2000-01-01T00:00:00Z&to=2100-01-01T00:00:00Z&entity=mail",
            vec![mail],
        ),
        ("entity=never", vec![]),
    ] {
        let page = app.get(&format!("/v1/audit-log?{query}"), &token).await;
        assert_eq!(lines(&page.json()), expected, "{query}");
        assert_eq!(page.json().get("next"), None, "{query}");
    }
    let mut paged = Vec::new();
    let mut next = String::new();
    loop {
        let page = app
            .get(&format!("/v1/audit-log?limit=2&next={next}"), &token)
            .await
            .json();
        paged.extend(lines(&page));
        // What is written meanwhile does not move the pages.
        let entity = json!({"identifier": format!("e{}", paged.len())});
        app.post("/v1/blueprints/System/entities", &token, entity)
            .await;
        match page["next"].as_str() {
            Some(more) => next = more.to_owned(),
            None => break,
        }
    }
    assert_eq!(paged.len(), 8);
    assert_eq!(paged[0], deleted);
    assert_eq!(paged[7], "CREATE app admin");
    for query in [
        "limit=0",
        "limit=1001",
        "from=yesterday",
        "action=EAT",
        "status=MAYBE",
        "next=x",
    ] {
        let refused = app.get(&format!("/v1/audit-log?{query}"), &token).await;
        assert_eq!(refused.refusal(400).0, "invalid_parameter", "{query}");
    }
}

#[tokio::test]
async fn audit_rows_speak_both_vocabularies_and_only_the_asked_members() {
    let (app, token) = with_history().await;
    let page = app
        .get("/v1/audit-log?entity=mail&action=CREATE", &token)
        .await
        .json();
    let row = &page["audits"][0];
    assert_eq!(row["actor"], "admin");
    assert_eq!(row["trigger"]["by"]["userId"], "admin");
    assert_eq!(row["trigger"]["origin"], "API");
    assert_eq!(
        row["context"],
        json!({"blueprint": "Service", "entity": "mail", "runId": null})
    );
    assert_eq!(row["diff"]["before"], Value::Null);
    assert_eq!(row["diff"]["after"], row["after"]);
    assert_eq!(row["resourceType"], "entity");
    assert_eq!(row["hash"].as_str().unwrap().len(), 64);
    let page = app
        .get(
            "/v1/audit-log?entity=mail&includes=action&includes=status",
            &token,
        )
        .await
        .json();
    assert_eq!(
        page["audits"][0],
        json!({"sequence": row["sequence"], "action": "CREATE", "status": "SUCCESS"})
    );
}

#[tokio::test]
async fn entity_has_a_past_and_comes_back() {
    let (app, token) = with_history().await;
    let developer = app.token(Role::Developer).await;
    let path = "/v1/blueprints/Service/entities/shop";
    let history = app
        .get(&format!("{path}/history?limit=2"), &developer)
        .await
        .json();
    assert_eq!(history["changes"][1]["before"]["properties"]["tier"], 1);
    assert_eq!(history["changes"][1]["after"]["properties"]["tier"], 2);
    let at = history["changes"][1]["at"].as_str().unwrap();
    let next = history["next"].as_str().unwrap();
    let rest = app
        .get(&format!("{path}/history?limit=2&next={next}"), &developer)
        .await
        .json();
    assert_eq!(rest["changes"].as_array().unwrap().len(), 1);
    assert_eq!(rest.get("next"), None);
    app.get("/v1/blueprints/Service/entities/never/history", &developer)
        .await
        .refusal(404);

    app.get(path, &developer).await.refusal(404);
    app.get(
        &format!("{path}?at=2001-01-01T00:00:00%2B02:00"),
        &developer,
    )
    .await
    .refusal(404);
    app.get(&format!("{path}?at=then"), &developer)
        .await
        .refusal(400);
    app.get(&format!("{path}?at=2900-01-01T00:00:00Z"), &developer)
        .await
        .refusal(400);
    let then = app.get(&format!("{path}?at={at}"), &developer).await;
    // Where all of it happened within one millisecond, that time names its end.
    assert!(then.status == 404 || then.json()["entity"]["properties"]["tier"] == 2);

    let restored = app
        .post(&format!("{path}/restore"), &token, json!({}))
        .await;
    assert_eq!(restored.status, 201, "{}", restored.text);
    assert_eq!(restored.json()["entity"]["properties"]["tier"], 2);
    assert_eq!(restored.json()["missingRelations"], json!([]));
    app.post(&format!("{path}/restore"), &token, json!({}))
        .await
        .refusal(409);
    assert_eq!(app.get(path, &developer).await.status, 200);
}

/// The events of a stream up to one, as `id event`.
async fn follow(app: &TestApp, path: &str, token: &str, last: &str, until: &str) -> Vec<String> {
    let mut request = request(Method::GET, path, token, None);
    if !last.is_empty() {
        request
            .headers_mut()
            .insert("last-event-id", last.parse().unwrap());
    }
    let response = app.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body().into_data_stream();
    let mut text = String::new();
    while !text.contains(until) {
        text.push_str(std::str::from_utf8(&body.next().await.unwrap().unwrap()).unwrap());
    }
    let events = text.split("\n\n").filter(|event| !event.is_empty());
    events
        .map(|event| {
            let field = |name: &str| {
                event
                    .lines()
                    .find_map(|line| line.strip_prefix(name))
                    .unwrap()
            };
            let data: Value = serde_json::from_str(field("data: ")).unwrap();
            assert_eq!(data["sequence"].to_string(), field("id: "));
            format!(
                "{} {} {}",
                field("id: "),
                field("event: "),
                data["identifier"].as_str().unwrap()
            )
        })
        .collect()
}

#[tokio::test]
async fn feed_resumes_where_it_left_off_and_shows_developers_the_catalog_alone() {
    let (app, admin) = with_history().await;
    let developer = app.token(Role::Developer).await;
    let until = "Service/mail";
    let seen = follow(&app, "/v1/events?after=0", &developer, "", until).await;
    assert_eq!(
        seen,
        [
            "2 blueprint Service",
            "3 blueprint System",
            "4 entity Service/shop",
            "5 entity Service/shop",
            "6 entity Service/mail"
        ]
    );
    let all = follow(&app, "/v1/events?after=0", &admin, "", until).await;
    assert_eq!(all[0], "1 app admin");
    let more = follow(&app, "/v1/events?after=0", &developer, "5", until).await;
    assert_eq!(more, ["6 entity Service/mail"]);
    let path = "/v1/events?after=0&resource=entity&action=DELETE&blueprint=Service";
    let some = follow(&app, path, &developer, "", "Service/shop").await;
    assert_eq!(some, ["8 entity Service/shop"]);

    let users = app.get("/v1/events?resource=user", &developer).await;
    assert_eq!(users.refusal(403).0, "forbidden");
    let ahead = app.get("/v1/events?after=1000", &developer).await;
    assert_eq!(ahead.refusal(410).0, "gone");
    app.get("/v1/events?after=x", &developer).await.refusal(400);
}

#[tokio::test]
async fn feed_gives_back_the_place_of_a_reader_that_left() {
    let (app, token) = with_history().await;
    let open = || -> Request<Body> { request(Method::GET, "/v1/events", &token, None) };
    let mut readers = Vec::new();
    for _ in 0..16 {
        let response = app.router.clone().oneshot(open()).await.unwrap();
        assert_eq!(response.status(), 200);
        readers.push(response);
    }
    assert_eq!(app.send(open()).await.refusal(429).0, "too_many_streams");
    readers.pop();
    let response = app.router.clone().oneshot(open()).await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn feed_ends_before_the_next_row_once_its_reader_is_gone() {
    let (app, admin) = with_history().await;
    let user = json!({"email": "eve@example.com", "role": "developer"});
    let made = app.post("/v1/users", &admin, user).await.json();
    let credential = json!({"clientId": made["clientId"], "clientSecret": made["clientSecret"]});
    let token = app.post("/v1/auth/access_token", "", credential).await;
    let token = token.json()["accessToken"].as_str().unwrap().to_owned();
    let open = request(
        Method::GET,
        "/v1/events?after=0&blueprint=Service",
        &token,
        None,
    );
    let response = app.router.clone().oneshot(open).await.unwrap();
    assert_eq!(response.status(), 200);
    let mut body = response.into_body().into_data_stream();
    assert!(body.next().await.unwrap().is_ok());
    let gone = request(Method::DELETE, "/v1/users/eve@example.com", &admin, None);
    assert!(app.send(gone).await.status.is_success());
    // There are rows that it has not seen.
    assert!(body.next().await.is_none());
}
