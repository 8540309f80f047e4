use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Method, Request};
use axum::routing::get;
use futures_util::stream;
use serde_json::json;
use tower::ServiceExt as _;

use super::{TestApp, request};
use crate::api::{ApiSettings, build, guarded};
use crate::model::Role;

fn with_body(body: impl Into<Body>, content_type: &str, token: &str) -> Request<Body> {
    let request = Request::post("/v1/blueprints").header("host", "127.0.0.1");
    let request = request.header("authorization", format!("bearer {token}"));
    request
        .header("content-type", content_type)
        .body(body.into())
        .unwrap()
}

#[tokio::test]
async fn bad_requests_are_refused_in_the_one_form() {
    let app = TestApp::new().await;
    let token = app.token(Role::Admin).await;
    let post = async |body: String| app.send(with_body(body, "application/json", &token)).await;

    let (code, message) = app.get("/v1/nothing?secret=1", &token).await.refusal(404);
    assert_eq!(code, "unknown_route");
    assert!(message.contains("GET /v1/nothing") && !message.contains("secret"));

    let wrong = app
        .send(request(Method::PATCH, "/v1/blueprints", &token, None))
        .await;
    assert_eq!(wrong.refusal(405).0, "method_not_allowed");
    assert_eq!(wrong.headers["allow"], "GET, POST");

    let (code, message) = post("{\"identifier\": }".to_owned()).await.refusal(400);
    assert_eq!(code, "invalid_json");
    assert!(message.contains("line 1"), "{message}");

    let (_, message) = post("{\n  \u{201c}identifier\u{201d}: 1}".to_owned())
        .await
        .refusal(400);
    assert!(
        message.contains("line 2, column 3") && message.contains("U+201C"),
        "{message}"
    );

    let (_, message) = post("[".repeat(100_000)).await.refusal(400);
    assert!(message.contains("deep"), "{message}");

    assert_eq!(
        post("[1]".to_owned()).await.refusal(422).0,
        "invalid_request"
    );
    assert_eq!(post(String::new()).await.refusal(400).0, "invalid_json");

    let text = app.send(with_body("{}", "text/plain", &token)).await;
    assert_eq!(text.refusal(415).0, "unsupported_media_type");
}

#[tokio::test]
async fn every_violation_of_a_body_stands_in_the_details() {
    let app = TestApp::new().await;
    let token = app.token(Role::Admin).await;
    let reply = app
        .post(
            "/v1/users",
            &token,
            json!({"email": "ann@example.com", "role": "boss"}),
        )
        .await;
    assert_eq!(reply.refusal(422).0, "invalid_request");
    assert_eq!(reply.json()["details"][0]["path"], "/role");
    let reply = app
        .post(
            "/v1/users",
            &token,
            json!({"email": "a@b", "role": "admin", "rôle": 1}),
        )
        .await;
    reply.refusal(422);
}

#[tokio::test]
async fn bodies_over_the_limit_are_refused_announced_or_not() {
    let settings = ApiSettings {
        body_limit: 1000,
        package_limit: 2000,
        ..ApiSettings::default()
    };
    let app = TestApp::with(settings).await;
    let token = app.token(Role::Admin).await;
    let long = "x".repeat(1001);
    let announced = app
        .send(with_body(long.clone(), "application/json", &token))
        .await;
    assert_eq!(announced.refusal(413).0, "body_too_large");
    let parts = [long[..500].to_owned(), long[500..].to_owned()];
    let parts = stream::iter(parts.map(|part| Ok::<_, Infallible>(Bytes::from(part))));
    let chunked = app
        .send(with_body(
            Body::from_stream(parts),
            "application/json",
            &token,
        ))
        .await;
    assert_eq!(chunked.refusal(413).0, "body_too_large");
    let package = Request::post("/v1/plugins").header("host", "localhost");
    let package = package.header("authorization", format!("Bearer {token}"));
    let package = package.header("content-type", "application/wasm");
    let package = app
        .send(package.body("x".repeat(2001).into()).unwrap())
        .await;
    assert_eq!(package.refusal(413).0, "body_too_large");
}

#[tokio::test]
async fn body_that_stops_arriving_is_given_up() {
    let settings = ApiSettings {
        body_pause: Duration::from_millis(5),
        ..ApiSettings::default()
    };
    let app = TestApp::with(settings).await;
    let token = app.token(Role::Admin).await;
    let silent = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    let reply = app
        .send(with_body(silent, "application/json", &token))
        .await;
    assert_eq!(reply.refusal(408).0, "body_too_slow");
}

#[tokio::test]
async fn unknown_host_is_misdirected_and_no_host_is_bad() {
    let app = TestApp::new().await;
    let rebound = Request::get("/health").header("host", "evil.example.com");
    let (code, message) = app
        .send(rebound.body(Body::empty()).unwrap())
        .await
        .refusal(421);
    assert_eq!(code, "unknown_host");
    assert!(message.contains("--public-url"));
    let nameless = Request::get("/health").body(Body::empty()).unwrap();
    assert_eq!(app.send(nameless).await.refusal(400).0, "invalid_host");
}

#[tokio::test]
async fn panic_ends_one_request_and_tells_nothing_but_the_trace_id() {
    let app = TestApp::new().await;
    let (_, state) = build(app.app.clone(), ApiSettings::default());
    async fn boom() {
        panic!("a secret detail")
    }
    let routes = axum::Router::new().route("/health", get(boom));
    let router = guarded(routes, state);
    let request = request(Method::GET, "/health", "", None);
    let response = router.oneshot(request).await.unwrap();
    let trace = response.headers()["x-trace-id"]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(response.status(), 500);
    let body = axum::body::to_bytes(response.into_body(), 10_000)
        .await
        .unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    assert!(
        body.contains(&trace) && !body.contains("secret detail"),
        "{body}"
    );
}

#[tokio::test]
async fn identifiers_in_the_path_may_be_percent_encoded_and_bad_ones_do_not_exist() {
    let app = TestApp::new().await;
    let token = app.token(Role::Admin).await;
    let (_, message) = app.get("/v1/blueprints/a%2Fb", &token).await.refusal(404);
    assert!(message.contains("a/b"), "{message}");
    let (code, message) = app.get("/v1/blueprints/a%20b", &token).await.refusal(404);
    assert_eq!(code, "not_found");
    assert!(
        message.contains("not a valid blueprint identifier"),
        "{message}"
    );
    app.get("/v1/blueprints/%FF", &token).await.refusal(404);
    app.get("/v1/actions/runs?limit=0", &token)
        .await
        .refusal(400);
}

#[tokio::test]
async fn identifier_in_the_path_that_breaks_its_rule_is_told_in_our_words() {
    let app = TestApp::new().await;
    let token = app.token(Role::Admin).await;
    let bad_entity = "/v1/blueprints/Service/entities/a%20b";
    for (path, told) in [
        (
            "/v1/actions/runs/xyz",
            "`xyz` is not a valid run identifier",
        ),
        (bad_entity, "`a b` is not a valid entity identifier"),
    ] {
        let (word, message) = app.get(path, &token).await.refusal(404);
        assert_eq!(word, "not_found");
        assert!(message.starts_with(told), "{message}");
    }
}
