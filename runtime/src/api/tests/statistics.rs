use axum::http::Method;
use serde_json::{Value, json};

use super::{TestApp, request};
use crate::model::Role;

async fn with_ended_run(app: &TestApp, token: &str) -> Value {
    let action = json!({
        "identifier": "greet",
        "trigger": {"type": "self-service", "operation": "CREATE", "userInputs": {"properties": {}}},
        "invocationMethod": {"type": "PLUGIN", "plugin": "absent", "action": "greet"},
    });
    app.post("/v1/actions", token, action).await;
    let mut start = request(
        Method::POST,
        "/v1/actions/greet/runs",
        token,
        Some(json!({})),
    );
    start
        .headers_mut()
        .insert("prefer", "wait=30".parse().unwrap());
    app.send(start).await.json()["run"].clone()
}

#[tokio::test]
async fn feedback_is_given_by_whoever_asked_and_counts_once() {
    let app = TestApp::new().await;
    let token = app.token(Role::PlatformEngineer).await;
    let other = app.token(Role::Admin).await;
    let run = with_ended_run(&app, &token).await;
    let place = format!("/v1/actions/runs/{}", run["id"].as_str().unwrap());
    let feedback = format!("{place}/feedback");
    app.post(&feedback, &token, json!({"score": 6}))
        .await
        .refusal(422);
    app.post(&feedback, &token, json!({"score": 3, "x": 1}))
        .await
        .refusal(422);
    let theirs = app.post(&feedback, &other, json!({"score": 1})).await;
    assert_eq!(theirs.refusal(403).0, "forbidden");
    for (score, comment) in [(2, "slow"), (4, "better")] {
        let body = json!({"score": score, "comment": comment});
        assert_eq!(app.post(&feedback, &token, body).await.status, 200);
    }
    let shown = app.get(&place, &token).await.json()["feedback"].clone();
    assert_eq!(shown[0]["score"], 4, "{shown}");
    assert_eq!(shown[0]["comment"], "better");
    assert_eq!(shown.as_array().unwrap().len(), 1);
    let counted = app.get("/v1/actions/greet/statistics", &token).await.json();
    let feedback = &counted["statistics"]["feedback"];
    assert_eq!(*feedback, json!({"count": 1, "average": 4.0}), "{counted}");
    let audit = app
        .get("/v1/audit-log?resource=run&limit=1", &other)
        .await
        .json();
    assert_eq!(
        audit["audits"][0]["after"]["feedback"]["score"], 4,
        "{audit}"
    );
}

#[tokio::test]
async fn statistics_count_what_ended_within_the_span() {
    let app = TestApp::new().await;
    let token = app.token(Role::PlatformEngineer).await;
    app.get("/v1/actions/greet/statistics", &token)
        .await
        .refusal(404);
    with_ended_run(&app, &token).await;
    let all = app.get("/v1/actions/statistics", &token).await.json();
    let of = &all["statistics"][0];
    assert_eq!(of["action"], "greet", "{all}");
    assert_eq!((&of["runs"], &of["succeeded"]), (&json!(1), &json!(0)));
    assert_eq!(of["successRate"], 0.0);
    assert!(of["duration"]["p95"].is_u64() && of["queueWait"]["p50"].is_u64());
    let past = "/v1/actions/statistics?to=2020-01-01T00:00:00Z";
    assert_eq!(app.get(past, &token).await.json()["statistics"], json!([]));
    let developer = app.token(Role::Developer).await;
    app.get("/v1/actions/statistics", &developer)
        .await
        .refusal(403);
}
