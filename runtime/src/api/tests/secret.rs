use axum::http::Method;
use serde_json::json;

use super::{TestApp, request};
use crate::model::Role;

#[tokio::test]
async fn a_secret_goes_in_and_never_comes_out() {
    let app = TestApp::new().await;
    let admin = app.token(Role::Admin).await;
    let put = |value: &str| {
        let body = json!({"value": value});
        app.send(request(
            Method::PUT,
            "/v1/secrets/github-token",
            &admin,
            Some(body),
        ))
    };
    let made = put("hunter2-hunter2").await;
    assert_eq!(made.status, 201);
    assert_eq!(made.json()["secret"]["createdBy"], "admin");
    let rotated = put("hunter3-hunter3").await;
    assert_eq!(rotated.status, 200);
    let list = app.get("/v1/secrets", &admin).await;
    assert_eq!(list.json()["secrets"][0]["name"], "github-token");
    let audit = app.get("/v1/audit-log?resources=secret", &admin).await;
    let verbs: Vec<_> = audit.json()["audits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["action"].clone())
        .collect();
    assert_eq!(verbs, ["UPDATE", "CREATE"]);
    for reply in [made, rotated, list, audit] {
        assert!(!reply.text.contains("hunter"), "{}", reply.text);
    }
    app.get("/v1/secrets/github-token", &admin)
        .await
        .refusal(405);
    let delete = || {
        app.send(request(
            Method::DELETE,
            "/v1/secrets/github-token",
            &admin,
            None,
        ))
    };
    assert_eq!(delete().await.status, 200);
    assert_eq!(delete().await.refusal(404).0, "not_found");
}

#[tokio::test]
async fn a_refused_secret_is_not_quoted() {
    let app = TestApp::new().await;
    let admin = app.token(Role::Admin).await;
    for value in [
        json!("hunter2"),
        json!(["hunter2-hunter2"]),
        json!("hunter2".repeat(10_000)),
    ] {
        let body = json!({"value": value});
        let refused = app
            .send(request(Method::PUT, "/v1/secrets/a", &admin, Some(body)))
            .await;
        refused.refusal(422);
        assert!(!refused.text.contains("hunter"), "{}", refused.text);
    }
    let body = json!({"value": "hunter2-hunter2"});
    let odd = app
        .send(request(Method::PUT, "/v1/secrets/a.b", &admin, Some(body)))
        .await;
    odd.refusal(404);
}
