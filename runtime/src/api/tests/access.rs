use axum::http::Method;
use serde_json::json;

use super::{ApiSettings, Reply, TestApp, request};
use crate::model::Role;

#[tokio::test]
async fn new_user_comes_in_with_the_credential_shown_once_and_is_shut_out_at_once() {
    let app = TestApp::new().await;
    let admin = app.token(Role::Admin).await;
    let new = json!({"email": "ann@example.com", "role": "developer", "teams": ["core"]});
    let made = app.post("/v1/users", &admin, new.clone()).await;
    assert_eq!(made.status, 201);
    let made = made.json();
    assert_eq!(made["user"]["name"], "ann@example.com");
    assert_eq!(
        app.post("/v1/users", &admin, new).await.refusal(409).0,
        "already_exists"
    );

    let login =
        json!({"clientId": made["clientId"], "clientSecret": made["clientSecret"], "more": 1});
    let token = app.post("/v1/auth/access_token", "", login).await.json();
    assert_eq!(
        (&token["ok"], &token["tokenType"], &token["expiresIn"]),
        (&json!(true), &json!("Bearer"), &json!(10800))
    );
    let token = token["accessToken"].as_str().unwrap().to_owned();
    assert_eq!(token.split('.').count(), 3);
    assert_eq!(app.get("/v1/blueprints", &token).await.status, 200);

    let list = app.get("/v1/users", &admin).await;
    assert_eq!(list.json()["users"][0]["teams"], json!(["core"]));
    assert!(!list.text.contains(made["clientSecret"].as_str().unwrap()));
    assert!(!list.text.contains("argon2"));

    let gone = request(Method::DELETE, "/v1/users/ann%40example.com", &admin, None);
    assert_eq!(app.send(gone).await.status, 200);
    app.get("/v1/blueprints", &token).await.refusal(401);
    // The user's entity goes along, and comes last.
    let audit = app.get("/v1/audit-log?limit=2", &admin).await.json();
    assert_eq!(audit["audits"][0]["resource"], "entity");
    assert_eq!(audit["audits"][1]["resource"], "user");
    assert_eq!(audit["audits"][1]["action"], "DELETE");
    let next = audit["next"].as_str().unwrap();
    let more = app
        .get(&format!("/v1/audit-log?next={next}"), &admin)
        .await
        .json();
    let rows = more["audits"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["action"] == "CREATE"));
    assert!(more.get("next").is_none());
}

#[tokio::test]
async fn eleventh_failed_login_is_told_when_to_come_back() {
    let app = TestApp::new().await;
    let wrong = json!({"clientId": "nobody", "clientSecret": "wrong"});
    for left in (0..10).rev() {
        let refused = app.post("/v1/auth/access_token", "", wrong.clone()).await;
        assert_eq!(refused.refusal(401).0, "unauthorized");
        assert_eq!(number(&refused, "x-ratelimit-remaining"), left);
    }
    let refused = app.post("/v1/auth/access_token", "", wrong).await;
    assert_eq!(number(&refused, "x-ratelimit-remaining"), 0);
    assert_eq!(number(&refused, "x-ratelimit-limit"), 10);
    assert_eq!(number(&refused, "x-ratelimit-period"), 900);
    assert!((1..=901).contains(&number(&refused, "x-ratelimit-reset")));
    assert_eq!(refused.refusal(429).0, "too_many_failed_logins");
    assert!((1..=901).contains(&number(&refused, "retry-after")));
}

#[tokio::test]
async fn requests_over_a_limit_that_the_operator_set_are_told_when_to_come_back() {
    let settings = ApiSettings {
        request_limit: Some(2),
        ..ApiSettings::default()
    };
    let app = TestApp::with(settings).await;
    let ann = app.token_of("ann", Role::Developer).await;
    let bob = app.token_of("bob", Role::Developer).await;
    let first = app.get("/v1/blueprints", &ann).await;
    assert_eq!(
        (
            first.status.as_u16(),
            number(&first, "x-ratelimit-remaining")
        ),
        (200, 1)
    );
    let forbidden = app.get("/v1/users", &ann).await;
    forbidden.refusal(403);
    assert_eq!(number(&forbidden, "x-ratelimit-remaining"), 0);
    let refused = app.get("/v1/blueprints", &ann).await;
    assert_eq!(refused.refusal(429).0, "too_many_requests");
    assert_eq!(number(&refused, "x-ratelimit-limit"), 2);
    assert_eq!(number(&refused, "x-ratelimit-period"), 300);
    let wait = number(&refused, "retry-after");
    assert!((1..=301).contains(&wait));
    assert_eq!(number(&refused, "x-ratelimit-reset"), wait);
    assert_eq!(app.get("/v1/blueprints", &bob).await.status, 200);

    let unlimited = TestApp::new().await;
    let token = unlimited.token(Role::Developer).await;
    let answer = unlimited.get("/v1/blueprints", &token).await;
    assert!(!answer.headers.contains_key("x-ratelimit-limit"));
}

fn number(reply: &Reply, header: &str) -> u64 {
    reply.headers[header].to_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn change_of_a_user_that_says_nothing_or_two_things_at_once_is_refused() {
    let app = TestApp::new().await;
    let admin = app.token(Role::Admin).await;
    let new = json!({ "email": "ann@example.com", "role": "developer", "teams": ["a", "b", "a"] });
    let made = app.post("/v1/users", &admin, new).await.json();
    assert_eq!(made["user"]["teams"], json!(["a", "b"]));
    let at = "/v1/users/ann@example.com";
    let patch = |body| app.send(request(Method::PATCH, at, &admin, Some(body)));
    for (body, path) in [
        (json!({ "rolle": "admin" }), "/rolle"),
        (json!({}), ""),
        (json!({ "role": "admin", "roles": ["Member"] }), "/roles"),
        (json!({ "teams": ["ok", "a b"] }), "/teams/1"),
        (json!({ "teams": [""] }), "/teams/0"),
    ] {
        let refused = patch(body.clone()).await;
        refused.refusal(422);
        let told = &refused.json()["details"][0]["path"];
        assert_eq!(told, path, "{body}: {}", refused.text);
    }
    let odd = json!({ "email": "bob@example.com", "role": "developer", "teams": ["a b"] });
    app.post("/v1/users", &admin, odd).await.refusal(422);
    let same = json!({ "role": "developer", "roles": ["Member"], "teams": ["b", "c", "b"] });
    let changed = patch(same).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    assert_eq!(changed.json()["user"]["teams"], json!(["b", "c"]));
}
