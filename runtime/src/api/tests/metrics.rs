use axum::http::Method;
use serde_json::json;

use super::{ApiSettings, TestApp, request};
use crate::api::metrics_router;
use crate::model::{Digest, Role};

const TOKEN: &str = "a-token-of-the-collector";

async fn watched() -> TestApp {
    TestApp::with(ApiSettings {
        metrics_token: Some(Digest::of(TOKEN.as_bytes())),
        ..ApiSettings::default()
    })
    .await
}

/// The value of one series.
fn value(text: &str, series: &str) -> f64 {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no `{series}` in:\n{text}"))
        .parse()
        .unwrap()
}

#[tokio::test]
async fn metrics_are_shown_to_their_own_token_alone() {
    let app = TestApp::new().await;
    let admin = app.token(Role::Admin).await;
    assert_eq!(
        app.get("/metrics", &admin).await.refusal(404).0,
        "metrics_off"
    );
    let app = watched().await;
    let admin = app.token(Role::Admin).await;
    for wrong in ["", "a-token-of-the-collecto", &admin] {
        assert_eq!(
            app.get("/metrics", wrong).await.refusal(401).0,
            "unauthorized"
        );
    }
    let shown = app.get("/metrics", TOKEN).await;
    assert_eq!(shown.status, 200, "{}", shown.text);
    assert!(
        shown.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("application/openmetrics-text")
    );
    assert!(shown.text.ends_with("# EOF\n"));
    // It opens nothing else.
    app.get("/v1/blueprints", TOKEN).await.refusal(401);
}

#[tokio::test]
async fn a_run_is_counted_from_its_acceptance_to_its_end() {
    let app = watched().await;
    let token = app.token(Role::PlatformEngineer).await;
    let action = json!({
        "identifier": "greet",
        "trigger": {"type": "self-service", "operation": "CREATE", "userInputs": {"properties": {}}},
        "invocationMethod": {"type": "PLUGIN", "plugin": "absent", "action": "greet"},
    });
    app.post("/v1/actions", &token, action).await;
    let mut start = request(
        Method::POST,
        "/v1/actions/greet/runs",
        &token,
        Some(json!({})),
    );
    start
        .headers_mut()
        .insert("prefer", "wait=30".parse().unwrap());
    let ended = app.send(start).await;
    assert_eq!(ended.json()["run"]["state"], "failed", "{}", ended.text);

    let text = app.get("/metrics", TOKEN).await.text;
    let one = |series: &str| assert_eq!(value(&text, series), 1.0, "{series}");
    one(r#"goldenpath_runs_accepted_total{action="greet"}"#);
    one(r#"goldenpath_runs_ended_total{action="greet",state="failed"}"#);
    one(r#"goldenpath_run_duration_seconds_count{action="greet"}"#);
    one("goldenpath_run_queue_wait_seconds_count");
    one(r#"goldenpath_plugin_calls_total{outcome="refused"}"#);
    let route = r#"goldenpath_http_requests_total{method="POST",route="/v1/actions/{action}/runs",status="200"}"#;
    one(route);
    assert_eq!(
        value(&text, r#"goldenpath_runs_active{state="queued"}"#),
        0.0
    );
    for positive in [
        "goldenpath_workers",
        r#"goldenpath_store_commits_total{database="main"}"#,
        r#"goldenpath_store_commit_writes_count{database="logs"}"#,
        r#"goldenpath_store_bytes{database="main"}"#,
        "process_open_fds",
    ] {
        assert!(value(&text, positive) > 0.0, "{positive}");
    }
    assert!(text.contains("goldenpath_build_info{version="), "{text}");
}

#[tokio::test]
async fn what_clients_make_up_adds_no_series() {
    let app = watched().await;
    let series = async || app.get("/metrics", TOKEN).await.text.lines().count();
    app.get("/nowhere", "").await;
    app.get("/v1/blueprints/first", "").await;
    app.send(request(
        Method::from_bytes(b"FIRST").unwrap(),
        "/health",
        "",
        None,
    ))
    .await;
    // The first reading makes its own series.
    series().await;
    let before = series().await;
    for number in 0..50 {
        app.get(&format!("/nowhere/{number}"), "").await;
        app.get(&format!("/v1/blueprints/b{number}"), "").await;
        let method = Method::from_bytes(format!("M{number}").as_bytes()).unwrap();
        app.send(request(method, "/health", "", None)).await;
    }
    assert_eq!(series().await, before);
}

#[tokio::test]
async fn the_listener_of_this_machine_shows_metrics_to_whoever_calls_it_by_its_address() {
    let mut app = TestApp::new().await;
    app.router = metrics_router(app.app.clone(), ([127, 0, 0, 1], 9100).into());
    let shown = app.get("/metrics", "").await;
    assert!(shown.text.contains("goldenpath_workers"), "{}", shown.text);
    assert_eq!(app.get("/v1/blueprints", "").await.status, 404);
    let mut rebound = request(Method::GET, "/metrics", "", None);
    rebound
        .headers_mut()
        .insert("host", "evil.example".parse().unwrap());
    assert_eq!(app.send(rebound).await.status, 421);
}
