//! The catalog as documents: applied, compared, pruned and exported.

use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use super::*;

fn blueprint(identifier: &str) -> Value {
    json!({"source": "b.json", "kind": "blueprint", "value": {
        "identifier": identifier, "title": identifier,
        "schema": {"properties": {"text": {"type": "string"}, "number": {"type": "number"}, "any": {"type": "object"}}},
        "relations": {
            "one": {"target": identifier, "required": false, "many": false},
            "many": {"target": identifier, "required": false, "many": true},
        },
    }})
}

fn entity(identifier: &str, properties: Value) -> Value {
    json!({"source": "e.json", "kind": "entity", "value": {
        "identifier": identifier, "blueprint": "A", "properties": properties,
    }})
}

async fn apply(app: &TestApp, token: &str, query: &str, body: Value) -> Reply {
    app.post(&format!("/v1/catalog/apply{query}"), token, body)
        .await
}

fn applied(reply: &Reply) -> Value {
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    reply.json()["applied"].clone()
}

async fn export(app: &TestApp, token: &str, query: &str) -> String {
    let reply = app.get(&format!("/v1/catalog/export{query}"), token).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    assert_eq!(reply.headers["content-type"], "application/x-ndjson");
    reply.text
}

/// The documents of an export, as an apply takes them.
fn documents(export: &str) -> Vec<Value> {
    let mut lines: Vec<Value> = export
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.remove(0), json!({"ok": true}));
    let end = lines.pop().unwrap();
    assert_eq!(end, json!({"end": true, "documents": lines.len()}));
    for (index, line) in lines.iter_mut().enumerate() {
        line["source"] = index.to_string().into();
    }
    lines
}

#[tokio::test]
async fn a_dry_run_tells_every_field_that_would_change_and_changes_none() {
    let app = TestApp::new().await;
    let token = app.token(Role::PlatformEngineer).await;
    let first =
        json!({"documents": [blueprint("A"), entity("x", json!({"text": "a", "number": 1}))]});
    let created = applied(&apply(&app, &token, "", first).await);
    assert_eq!(created["created"], json!(["blueprint A", "entity A/x"]));
    let mut changed = entity("x", json!({"text": "b"}));
    changed["value"]["title"] = "X".into();
    changed["value"]["relations"] = json!({"many": ["x"]});
    let second = json!({"documents": [changed, entity("y", json!({}))]});
    let told = applied(&apply(&app, &token, "?dry_run=true", second).await);
    assert_eq!(told["created"], json!(["entity A/y"]));
    assert_eq!(told["updated"], json!(["entity A/x"]));
    assert_eq!(
        told["changes"],
        json!([{"document": "entity A/x", "fields": [
            {"path": "/title", "before": null, "after": "X"},
            {"path": "/properties/text", "before": "a", "after": "b"},
            {"path": "/properties/number", "before": 1},
            {"path": "/relations/many", "before": [], "after": ["x"]},
        ]}])
    );
    let there = app.get("/v1/blueprints/A/entities/x", &token).await.json();
    assert_eq!(there["entity"]["properties"]["text"], "a");
    app.get("/v1/blueprints/A/entities/y", &token)
        .await
        .refusal(404);
}

#[tokio::test]
async fn what_is_refused_is_named_by_the_place_of_its_document() {
    let app = TestApp::new().await;
    let token = app.token(Role::PlatformEngineer).await;
    let mut pointing = entity("y", json!({}));
    pointing["value"]["relations"] = json!({"one": "gone"});
    let action = json!({"source": "a.json", "kind": "action", "value": {
        "identifier": "act", "trigger": {"type": "self-service", "operation": "DAY-2", "blueprintIdentifier": "Gone"},
        "invocationMethod": {"type": "PLUGIN", "plugin": "hello", "action": "hello"},
    }});
    let body =
        json!({"documents": [entity("x", json!({"text": 1})), blueprint("A"), action, pointing]});
    let reply = apply(&app, &token, "", body.clone()).await;
    let (code, _) = reply.refusal(422);
    assert_eq!(code, "invalid_request");
    let paths: Vec<String> = reply.json()["details"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["path"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        paths,
        [
            "/documents/0/value/properties/text",
            "/documents/3/value/relations/one"
        ]
    );
    let mut rest = body;
    rest["documents"][0]["value"]["properties"] = json!({});
    rest["documents"][3]["value"]["relations"] = json!({});
    let reply = apply(&app, &token, "", rest).await;
    reply.refusal(422);
    assert_eq!(
        reply.json()["details"][0]["path"],
        "/documents/2/value/trigger/blueprintIdentifier"
    );
    app.get("/v1/blueprints/A", &token).await.refusal(404);
}

#[tokio::test]
async fn a_prune_deletes_what_the_source_has_no_document_for_any_more() {
    let app = TestApp::new().await;
    let token = app.token(Role::PlatformEngineer).await;
    let with = |source: &str, prune: Value, documents: Vec<Value>| {
        let mut body = json!({"documents": documents, "source": source});
        if !prune.is_null() {
            body["prune"] = prune;
        }
        body
    };
    let pair = |one: &str, other: &str| {
        let mut document = entity(one, json!({}));
        document["value"]["relations"] = json!({"one": other, "many": [one, other]});
        document
    };
    // By hand, from another source, and from this one: two that point at each other, and one that is pointed at.
    apply(
        &app,
        &token,
        "",
        json!({"documents": [blueprint("A"), entity("hand", json!({}))]}),
    )
    .await;
    let other = with("other", Value::Null, vec![entity("theirs", json!({}))]);
    applied(&apply(&app, &token, "", other).await);
    let all = vec![
        pair("a", "b"),
        pair("b", "a"),
        entity("c", json!({})),
        entity("d", json!({})),
        blueprint("B"),
    ];
    applied(&apply(&app, &token, "", with("mine", json!({}), all)).await);
    let mut hand = entity("hand", json!({}));
    hand["value"]["relations"] = json!({"one": "a"});
    applied(&apply(&app, &token, "", json!({"documents": [hand]})).await);

    let fewer = || {
        vec![
            entity("c", json!({})),
            blueprint("B"),
            entity("d", json!({})),
        ]
    };
    let expected = json!({"expected": ["entity A/a", "entity A/b"]});
    let shown = applied(
        &apply(
            &app,
            &token,
            "?dry_run=true",
            with("mine", json!({}), fewer()),
        )
        .await,
    );
    assert_eq!(shown["deleted"], expected["expected"]);
    let wrong = with("mine", json!({"expected": ["entity A/a"]}), fewer());
    assert_eq!(
        apply(&app, &token, "", wrong).await.refusal(409).0,
        "changed"
    );
    let done = applied(&apply(&app, &token, "", with("mine", expected, fewer())).await);
    assert_eq!(done["deleted"], json!(["entity A/a", "entity A/b"]));
    app.get("/v1/blueprints/A/entities/a", &token)
        .await
        .refusal(404);
    let hand = app
        .get("/v1/blueprints/A/entities/hand", &token)
        .await
        .json();
    assert_eq!(hand["entity"]["relations"]["one"], Value::Null);
    let theirs = app.get("/v1/blueprints/A/entities/theirs", &token).await;
    assert_eq!(theirs.status, StatusCode::OK);
}

#[tokio::test]
async fn a_prune_does_not_empty_a_catalog_by_mistake() {
    let app = TestApp::new().await;
    let token = app.token(Role::PlatformEngineer).await;
    let body = |prune: Value, documents: Vec<Value>| json!({"documents": documents, "source": "mine", "prune": prune});
    let all = vec![
        blueprint("A"),
        entity("a", json!({})),
        entity("b", json!({})),
    ];
    applied(&apply(&app, &token, "", body(json!({}), all)).await);
    for (prune, documents) in [
        (json!({}), vec![blueprint("A")]),
        (json!({}), vec![]),
        // What is new does not count for what was there.
        (
            json!({}),
            ["c", "d", "e", "f"]
                .map(|id| entity(id, json!({})))
                .to_vec(),
        ),
        (
            json!({"limit": 10}),
            vec![blueprint("A"), entity("a", json!({}))],
        ),
    ] {
        let reply = apply(&app, &token, "", body(prune, documents)).await;
        let (code, message) = reply.refusal(409);
        assert_eq!(code, "prune_guard");
        assert!(
            message.contains("of the 3 objects of source `mine`"),
            "{message}"
        );
    }
    // A blueprint whose entities somebody else wrote stays, and with it everything.
    apply(
        &app,
        &token,
        "",
        json!({"documents": [entity("hand", json!({}))]}),
    )
    .await;
    let reply = apply(&app, &token, "", body(json!({"limit": 100}), vec![])).await;
    assert_eq!(reply.refusal(409).0, "has_dependents");
    let reply = apply(&app, &token, "", json!({"documents": [], "prune": {}})).await;
    reply.refusal(422);
    let reply = apply(&app, &token, "", body(json!({"limit": 101}), vec![])).await;
    reply.refusal(422);
}

#[tokio::test]
async fn a_document_that_changes_hands_is_told() {
    let app = TestApp::new().await;
    let token = app.token(Role::PlatformEngineer).await;
    let from = |source: &str| json!({"documents": [blueprint("A"), entity("a", json!({}))], "source": source});
    assert_eq!(
        applied(&apply(&app, &token, "", from("one")).await)["takenOver"],
        json!([])
    );
    let told = applied(&apply(&app, &token, "", from("two")).await);
    assert_eq!(
        told["takenOver"],
        json!([{"document": "blueprint A", "from": "one"}, {"document": "entity A/a", "from": "one"}])
    );
    let nothing = json!({"documents": [], "source": "one", "prune": {"limit": 100}});
    assert_eq!(
        applied(&apply(&app, &token, "", nothing).await)["deleted"],
        json!([])
    );
}

#[tokio::test]
async fn an_export_holds_what_is_asked_for() {
    let app = TestApp::new().await;
    let token = app.token(Role::PlatformEngineer).await;
    let body =
        json!({"documents": [blueprint("A"), blueprint("B"), entity("a", json!({"text": "x"}))]});
    applied(&apply(&app, &token, "", body).await);
    let reader = app.token(Role::Developer).await;
    assert_eq!(documents(&export(&app, &reader, "").await).len(), 3);
    let only = documents(&export(&app, &reader, "?blueprint=A").await);
    assert_eq!(only.len(), 2);
    assert_eq!(
        only[1]["value"],
        json!({"identifier": "a", "blueprint": "A", "properties": {"text": "x"}})
    );
    app.get("/v1/catalog/export?blueprint=C", &reader)
        .await
        .refusal(404);
    app.get("/v1/catalog/export?blueprint=%20", &reader)
        .await
        .refusal(400);
}

#[tokio::test]
async fn one_export_is_served_at_a_time() {
    let app = TestApp::new().await;
    let token = app.token(Role::PlatformEngineer).await;
    let mut all = String::from("{\"documents\":[");
    let first = blueprint("A");
    _ = write!(all, "{first}");
    for number in 0..800 {
        _ = write!(
            all,
            ",{}",
            entity(&format!("e{number}"), json!({"text": "x".repeat(1_000)}))
        );
    }
    all.push_str("]}");
    let body: Value = serde_json::from_str(&all).unwrap();
    applied(&apply(&app, &token, "", body).await);
    // Its parts wait to be read, more of them than are kept ready.
    let open = app
        .app
        .export(&crate::model::Actor::system(), Vec::new())
        .await
        .unwrap();
    let (code, _) = app.get("/v1/catalog/export", &token).await.refusal(503);
    assert_eq!(code, "busy");
    drop(open);
}

/// An entity of a random catalog: what it is called, what it holds, where it points.
type Row = (String, Option<String>, Vec<String>, Value, Vec<usize>);

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let value = prop_oneof![
        Just(json!({})),
        ("\\PC{0,12}", any::<i32>())
            .prop_map(|(text, number)| json!({"text": text, "number": number})),
        (
            any::<f64>().prop_filter("is JSON", |n| n.is_finite()),
            "[a-z]{1,4}",
            "\\PC{0,8}"
        )
            .prop_map(
                |(number, key, text)| json!({"number": number, "any": {key: [text, null, {}]}})
            ),
    ];
    let row = (
        "[a-zA-Zöß0-9@_.+:/\\\\=-]{1,12}"
            .prop_filter("is an identifier", |id| id != "." && id != ".."),
        proptest::option::of("\\PC{0,20}"),
        proptest::collection::vec("[a-z ]{1,8}", 0..3),
        value,
        proptest::collection::vec(0..20_usize, 0..4),
    );
    proptest::collection::vec(row, 1..20)
}

fn random_catalog(rows: &[Row]) -> Vec<Value> {
    let mut documents = vec![blueprint("A"), blueprint("b/..")];
    let blueprint_of = |index: usize| if index.is_multiple_of(3) { "b/.." } else { "A" };
    let mut seen = std::collections::HashSet::new();
    let first_of = |wanted: &str| {
        let found = rows
            .iter()
            .enumerate()
            .find(|(index, _)| blueprint_of(*index) == wanted);
        found.map(|(_, row)| row.0.clone())
    };
    for (index, (identifier, title, team, properties, targets)) in rows.iter().enumerate() {
        let own = blueprint_of(index);
        if !seen.insert((own, identifier)) {
            continue;
        }
        let many: Vec<&str> = targets
            .iter()
            .filter_map(|target| rows.get(*target).filter(|_| blueprint_of(*target) == own))
            .map(|row| row.0.as_str())
            .collect();
        documents.push(json!({"source": "x", "kind": "entity", "value": {
            "identifier": identifier, "blueprint": own, "title": title, "team": team,
            "properties": properties, "relations": {"many": many, "one": first_of(own)},
        }}));
    }
    documents
}

#[test]
fn an_export_applied_to_an_empty_portal_exports_the_same_bytes() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // Each case opens two portals.
    let mut runner = TestRunner::new(Config {
        cases: 10,
        failure_persistence: None,
        ..Config::default()
    });
    let outcome = runner.run(&rows(), |rows| {
        runtime.block_on(async {
            let (one, other) = (TestApp::new().await, TestApp::new().await);
            let token = one.token(Role::PlatformEngineer).await;
            let body = json!({"documents": random_catalog(&rows)});
            applied(&apply(&one, &token, "", body).await);
            let first = export(&one, &token, "").await;
            let again = json!({"documents": documents(&first)});
            // Into itself it changes nothing.
            let told = applied(&apply(&one, &token, "?dry_run=true", again.clone()).await);
            prop_assert_eq!(&told["created"], &json!([]));
            prop_assert_eq!(&told["updated"], &json!([]), "{}", told["changes"]);
            let token = other.token(Role::PlatformEngineer).await;
            applied(&apply(&other, &token, "", again).await);
            prop_assert_eq!(first, export(&other, &token, "").await);
            Ok(())
        })
    });
    outcome.unwrap();
}
