use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::json;

use tower::ServiceExt as _;

use super::{ApiSettings, TestApp, request};
use crate::model::Role;

fn action(identifier: &str) -> serde_json::Value {
    json!({
        "identifier": identifier,
        "title": "Greet",
        "trigger": {
            "type": "self-service", "operation": "CREATE",
            "userInputs": {"properties": {"name": {"type": "string"}}, "required": ["name"]},
        },
        // Never installed: each run ends by itself, without a sandbox.
        "invocationMethod": {"type": "PLUGIN", "plugin": "absent", "action": "greet"},
    })
}

async fn with_action() -> (TestApp, String) {
    let app = TestApp::new().await;
    let token = app.token(Role::PlatformEngineer).await;
    let made = app.post("/v1/actions", &token, action("greet")).await;
    assert_eq!(made.status, 201, "{}", made.text);
    (app, token)
}

#[tokio::test]
async fn action_is_made_listed_replaced_and_removed() {
    let (app, token) = with_action().await;
    assert_eq!(
        app.get("/v1/actions", &token).await.json()["actions"][0]["identifier"],
        "greet"
    );
    let mut changed = app.get("/v1/actions/greet", &token).await.json()["action"].clone();
    changed["title"] = json!("Hello");
    let put = app
        .send(request(
            Method::PUT,
            "/v1/actions/greet",
            &token,
            Some(changed),
        ))
        .await;
    assert_eq!(put.json()["action"]["title"], "Hello", "{}", put.text);
    assert_eq!(
        app.send(request(Method::DELETE, "/v1/actions/greet", &token, None))
            .await
            .status,
        200
    );
    app.get("/v1/actions/greet", &token).await.refusal(404);
    // `/v1/actions/runs` is the list of runs, so no action can be called so.
    assert!(
        !app.post("/v1/actions", &token, action("runs"))
            .await
            .status
            .is_success()
    );
}

#[tokio::test]
async fn run_is_accepted_with_its_place_and_inputs_are_checked() {
    let (app, token) = with_action().await;
    app.post("/v1/actions/none/runs", &token, json!({}))
        .await
        .refusal(404);
    let refused = app
        .post(
            "/v1/actions/greet/runs",
            &token,
            json!({"properties": {"nmae": 1}}),
        )
        .await;
    refused.refusal(422);
    let accepted = app
        .post(
            "/v1/actions/greet/runs",
            &token,
            json!({"properties": {"name": "x"}}),
        )
        .await;
    assert_eq!(accepted.status, 202, "{}", accepted.text);
    let run = accepted.json()["run"].clone();
    let place = accepted.headers["location"].to_str().unwrap();
    assert_eq!(
        place,
        format!("/v1/actions/runs/{}", run["id"].as_str().unwrap())
    );
    assert_eq!(
        (&run["status"], &run["source"]),
        (&json!("IN_PROGRESS"), &json!("API"))
    );
    assert_eq!(
        run["action"],
        json!({"identifier": "greet", "title": "Greet", "icon": null, "deleted": false})
    );
    let read = app.get(place, &token).await.json();
    assert_eq!(read["run"]["properties"], json!({"name": "x"}));
    let list = app
        .get("/v1/actions/runs?action=greet&limit=1", &token)
        .await
        .json();
    assert_eq!(list["runs"][0]["id"], run["id"]);
}

#[tokio::test]
async fn developer_sees_own_runs_only() {
    let (app, token) = with_action().await;
    let ann = app.token_of("ann", Role::Developer).await;
    let bob = app.token_of("bob", Role::Developer).await;
    let started = app
        .post(
            "/v1/actions/greet/runs",
            &ann,
            json!({"properties": {"name": "x"}}),
        )
        .await;
    let place = started.headers["location"].to_str().unwrap().to_owned();
    for (reader, sees) in [(&ann, true), (&bob, false), (&token, true)] {
        for path in [place.clone(), format!("{place}/logs")] {
            let reply = app.get(&path, reader).await;
            assert_eq!(
                reply.status.as_u16(),
                if sees { 200 } else { 404 },
                "{path}"
            );
        }
        let list = app.get("/v1/actions/runs", reader).await.json();
        assert_eq!(list["runs"].as_array().unwrap().len(), usize::from(sees));
    }
    app.get(&format!("{place}/events"), &bob).await.refusal(404);
}

/// Ids and names of the events of a stream.
fn events(text: &str) -> Vec<(String, String)> {
    let field = |block: &str, name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim().to_owned())
    };
    let blocks = text.split("\n\n");
    blocks
        .filter_map(|block| Some((field(block, "id:")?, field(block, "event:")?)))
        .collect()
}

#[tokio::test]
async fn events_end_after_the_terminal_state_and_resume_behind_the_last_one_seen() {
    let (app, token) = with_action().await;
    let started = app
        .post(
            "/v1/actions/greet/runs",
            &token,
            json!({"properties": {"name": "x"}}),
        )
        .await;
    let path = format!("{}/events", started.headers["location"].to_str().unwrap());
    let resume = |after: &str| {
        let request = Request::get(&path).header("host", "localhost");
        let request = request.header("authorization", format!("Bearer {token}"));
        request
            .header("last-event-id", after)
            .body(Body::empty())
            .unwrap()
    };
    let whole = app.get(&path, &token).await;
    assert_eq!(whole.headers["content-type"], "text/event-stream");
    let whole = events(&whole.text);
    assert!(whole.len() >= 2, "{whole:?}");
    for (number, (id, _)) in whole.iter().enumerate() {
        assert_eq!(*id, (number + 1).to_string());
    }
    assert_eq!(whole.last().unwrap().1, "state");

    let rest = app.send(resume("1")).await;
    assert_eq!(events(&rest.text), whole[1..]);
    let nothing = app.send(resume(&whole.len().to_string())).await;
    assert_eq!(nothing.status, 204);
    app.send(resume("x")).await.refusal(400);
}

#[tokio::test]
async fn finished_run_is_answered_when_the_client_prefers_to_wait() {
    let (app, token) = with_action().await;
    let mut request = request(
        Method::POST,
        "/v1/actions/greet/runs",
        &token,
        Some(json!({"properties": {"name": "x"}})),
    );
    request
        .headers_mut()
        .insert("prefer", "wait=30".parse().unwrap());
    let reply = app.send(request).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(reply.headers["preference-applied"], "wait=30");
    let run = &reply.json()["run"];
    assert_eq!(run["status"], "FAILURE");
    assert!(!run["failure"]["code"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn principal_may_hold_only_so_many_streams_open() {
    let settings = ApiSettings {
        streams_per_principal: 1,
        ..ApiSettings::default()
    };
    let app = TestApp::with(settings).await;
    let token = app.token(Role::PlatformEngineer).await;
    app.post("/v1/actions", &token, action("greet")).await;
    let started = app
        .post(
            "/v1/actions/greet/runs",
            &token,
            json!({"properties": {"name": "x"}}),
        )
        .await;
    let path = format!("{}/events", started.headers["location"].to_str().unwrap());
    let open = request(Method::GET, &path, &token, None);
    let first = app.router.clone().oneshot(open).await.unwrap();
    assert_eq!(first.status(), 200);
    assert_eq!(
        app.get(&path, &token).await.refusal(429).0,
        "too_many_streams"
    );
    drop(first);
    assert_eq!(app.get(&path, &token).await.status, 200);
}

/// A request with a key.
fn keyed(path: &str, token: &str, key: &str, body: serde_json::Value) -> Request<Body> {
    let mut request = request(Method::POST, path, token, Some(body));
    request
        .headers_mut()
        .insert("idempotency-key", key.parse().unwrap());
    request
}

#[tokio::test]
async fn the_same_request_with_the_same_key_is_one_run_also_at_the_same_time() {
    let (app, token) = with_action().await;
    let path = "/v1/actions/greet/runs";
    let body = || json!({"properties": {"name": "x"}});
    let ask = || app.send(keyed(path, &token, "k1", body()));
    let (first, second, third) = tokio::join!(ask(), ask(), ask());
    let later = app.send(keyed(path, &token, "k1", body())).await;
    let replies = [first, second, third, later];
    let mut ids: Vec<_> = replies
        .iter()
        .map(|reply| reply.json()["run"]["id"].clone())
        .collect();
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let replayed = |reply: &&super::Reply| reply.headers.contains_key("idempotency-replayed");
    assert_eq!(replies.iter().filter(replayed).count(), 3);
    let runs = app.get("/v1/actions/runs", &token).await.json();
    assert_eq!(runs["runs"].as_array().map(Vec::len), Some(1));

    let other = app.send(keyed(
        path,
        &token,
        "k1",
        json!({"properties": {"name": "y"}}),
    ));
    assert_eq!(other.await.refusal(409).0, "idempotency_key_reused");
    let new = app.send(keyed(path, &token, "k2", body())).await;
    assert_eq!(new.status, 202, "{}", new.text);
    assert!(!new.headers.contains_key("idempotency-replayed"));
    let somebody = app.token(Role::Developer).await;
    let theirs = app.send(keyed(path, &somebody, "k1", body())).await;
    assert_eq!(theirs.status, 202, "{}", theirs.text);
    assert_ne!(theirs.json()["run"]["id"], ids[0]);
}

#[tokio::test]
async fn a_key_is_of_no_use_to_a_request_that_was_refused_and_has_to_be_well_formed() {
    let (app, token) = with_action().await;
    let path = "/v1/actions/greet/runs";
    app.send(keyed(path, &token, "k1", json!({})))
        .await
        .refusal(422);
    let good = keyed(path, &token, "k1", json!({"properties": {"name": "x"}}));
    assert_eq!(app.send(good).await.status, 202);
    for bad in ["", "two words"] {
        let refused = app.send(keyed(path, &token, bad, json!({}))).await;
        assert_eq!(refused.refusal(400).0, "invalid_parameter");
    }
}

#[tokio::test]
async fn a_retry_with_the_same_key_is_one_run() {
    let (app, token) = with_action().await;
    let mut start = request(
        Method::POST,
        "/v1/actions/greet/runs",
        &token,
        Some(json!({"properties": {"name": "x"}})),
    );
    start
        .headers_mut()
        .insert("prefer", "wait=30".parse().unwrap());
    let failed = app.send(start).await.json()["run"]["id"].clone();
    let path = format!("/v1/actions/runs/{}/retry", failed.as_str().unwrap());
    let first = app.send(keyed(&path, &token, "k", json!({}))).await;
    let again = app.send(keyed(&path, &token, "k", json!({}))).await;
    assert_eq!(first.status, 202, "{}", first.text);
    assert_eq!(first.json()["run"]["id"], again.json()["run"]["id"]);
    assert_eq!(again.headers["idempotency-replayed"], "true");
}
