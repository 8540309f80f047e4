use axum::http::Method;
use serde_json::{Value, json};

use super::{TestApp, request};
use crate::model::Role;

async fn with_systems() -> (TestApp, String) {
    let app = TestApp::new().await;
    let token = app.token(Role::PlatformEngineer).await;
    let blueprint = json!({
        "identifier": "System", "title": "System",
        "schema": {"properties": {"tier": {"type": "number"}}},
        "relations": {"parent": {"target": "System"}},
        "somethingNew": {"kept": true},
    });
    let made = app.post("/v1/blueprints", &token, blueprint).await;
    assert_eq!(made.status, 201, "{}", made.text);
    (app, token)
}

#[tokio::test]
async fn blueprint_is_made_read_changed_and_removed() {
    let (app, token) = with_systems().await;
    let path = "/v1/blueprints/System";
    let mut read = app.get(path, &token).await.json();
    assert_eq!(read["blueprint"]["somethingNew"]["kept"], true);
    assert_eq!(read["blueprint"]["createdBy"], "platform-engineer");

    // What was read may be sent back as it is.
    read["blueprint"]["title"] = json!("Systems");
    let put = request(Method::PUT, path, &token, Some(read["blueprint"].clone()));
    assert_eq!(app.send(put).await.json()["blueprint"]["title"], "Systems");
    let patch = request(
        Method::PATCH,
        path,
        &token,
        Some(json!({"description": "d"})),
    );
    let patched = app.send(patch).await.json();
    assert_eq!(
        (
            &patched["blueprint"]["title"],
            &patched["blueprint"]["description"]
        ),
        (&json!("Systems"), &json!("d"))
    );

    let gone = app.send(request(Method::DELETE, path, &token, None)).await;
    assert_eq!(gone.json(), json!({"ok": true}));
    assert_eq!(app.get(path, &token).await.refusal(404).0, "not_found");
}

#[tokio::test]
async fn entity_is_created_upserted_merged_and_removed() {
    let (app, token) = with_systems().await;
    let path = "/v1/blueprints/System/entities";
    let cart = json!({"identifier": "Cart", "title": "Cart", "properties": {"tier": 1}});
    let made = app.post(path, &token, cart.clone()).await;
    assert_eq!(
        (
            made.status.as_u16(),
            &made.json()["entity"]["properties"]["tier"]
        ),
        (201, &json!(1))
    );
    assert_eq!(app.post(path, &token, cart).await.status, 409);

    let merged = app
        .post(
            &format!("{path}?upsert=true&merge=TRUE&run_id="),
            &token,
            json!({"identifier": "Cart", "icon": "i"}),
        )
        .await;
    assert_eq!(
        (merged.status.as_u16(), &merged.json()["entity"]["title"]),
        (200, &json!("Cart"))
    );
    let replaced = app
        .post(
            &format!("{path}?upsert=1"),
            &token,
            json!({"identifier": "Cart"}),
        )
        .await;
    assert_eq!(replaced.json()["entity"]["title"], Value::Null);

    let missing = json!({"identifier": "Shop", "relations": {"parent": "Mall"}});
    assert_eq!(app.post(path, &token, missing.clone()).await.status, 404);
    let tried = app
        .post(
            &format!("{path}?create_missing_related_entities=true&validation_only=true"),
            &token,
            missing.clone(),
        )
        .await;
    assert_eq!(tried.status, 200, "{}", tried.text);
    assert_eq!(
        app.get("/v1/blueprints/System/entities-count", &token)
            .await
            .json()["count"],
        1
    );
    let made = app
        .post(
            &format!("{path}?create_missing_related_entities=true"),
            &token,
            missing,
        )
        .await;
    assert_eq!(made.status, 201);

    let renamed = request(
        Method::PATCH,
        &format!("{path}/Cart"),
        &token,
        Some(json!({"identifier": "Kart"})),
    );
    assert_eq!(
        app.send(renamed).await.json()["entity"]["identifier"],
        "Kart"
    );
    app.get(&format!("{path}/Cart"), &token).await.refusal(404);
    let taken = request(
        Method::PUT,
        &format!("{path}/Kart"),
        &token,
        Some(json!({"identifier": "Shop"})),
    );
    assert_eq!(app.send(taken).await.refusal(409).0, "already_exists");
    let wrong = request(
        Method::PUT,
        &format!("{path}/Kart"),
        &token,
        Some(json!({"properties": {"tier": "x"}})),
    );
    let wrong = app.send(wrong).await;
    wrong.refusal(422);
    assert_eq!(wrong.json()["details"][0]["path"], "/properties/tier");
    let gone = app
        .send(request(
            Method::DELETE,
            &format!("{path}/Kart"),
            &token,
            None,
        ))
        .await;
    assert_eq!(gone.json()["ok"], true);
    app.get(&format!("{path}/Kart"), &token).await.refusal(404);
}

#[tokio::test]
async fn bulk_writes_what_it_can_and_names_the_rest_and_lists_stream_or_page() {
    let (app, token) = with_systems().await;
    let mut entities: Vec<_> = (0..600)
        .map(|number| json!({"identifier": format!("s{number:04}")}))
        .collect();
    entities[1]["relations"] = json!({"parent": "s0000"});
    entities[2]["properties"] = json!({"tier": "x"});
    entities[3]["title"] = json!(7);
    let bulk = "/v1/blueprints/System/entities/bulk";
    let reply = app.post(bulk, &token, json!({"entities": entities})).await;
    assert_eq!(reply.status, 207, "{}", reply.text);
    let reply = reply.json();
    assert_eq!(reply["entities"].as_array().unwrap().len(), 598);
    assert_eq!(
        reply["entities"][1],
        json!({"identifier": "s0001", "index": 1, "created": true})
    );
    let error = &reply["errors"][0];
    assert_eq!(
        (&error["identifier"], &error["index"], &error["statusCode"]),
        (&json!("s0002"), &json!(2), &json!(422))
    );
    assert_eq!(reply["errors"][1]["details"][0]["path"], "/title");
    let too_many = vec![json!({}); 1001];
    app.post(bulk, &token, json!({"entities": too_many}))
        .await
        .refusal(422);

    let all = app
        .get("/v1/blueprints/System/entities", &token)
        .await
        .json();
    assert_eq!(all["ok"], true);
    let all = all["entities"].as_array().unwrap().clone();
    assert_eq!(all.len(), 598);
    let (mut paged, mut from) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/blueprints/System/entities?limit=250&from={from}");
        let page = app.get(&path, &token).await.json();
        paged.extend(page["entities"].as_array().unwrap().clone());
        match page.get("next").and_then(Value::as_str) {
            Some(next) => from = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(paged, all);
    app.get("/v1/blueprints/None/entities", &token)
        .await
        .refusal(404);
}

#[tokio::test]
async fn apply_is_one_transaction_and_a_dry_run_changes_nothing() {
    let app = TestApp::new().await;
    let token = app.token(Role::PlatformEngineer).await;
    let blueprint = |id: &str, other: &str| {
        let value = json!({"identifier": id, "title": id, "schema": {}, "relations": {"other": {"target": other}}});
        json!({"source": format!("blueprints/{id}.json"), "kind": "blueprint", "value": value})
    };
    let entity =
        |value: Value| json!({"source": "entities/x.json", "kind": "entity", "value": value});
    let good = json!({"documents": [
        entity(json!({"identifier": "a", "blueprint": "A", "relations": {"other": "b"}})),
        blueprint("A", "B"),
        blueprint("B", "A"),
        entity(json!({"identifier": "b", "blueprint": "B"})),
    ]});
    let dry = app
        .post("/v1/catalog/apply?dry_run=true", &token, good.clone())
        .await;
    assert_eq!(dry.status, 200, "{}", dry.text);
    assert_eq!(
        dry.json()["applied"]["created"].as_array().unwrap().len(),
        4
    );
    assert_eq!(
        app.get("/v1/blueprints", &token).await.json()["blueprints"],
        json!([])
    );

    let bad = json!({"documents": [
        blueprint("A", "A"),
        entity(json!({"identifier": "a b"})),
        entity(json!({"identifier": "x", "blueprint": "A", "tilte": 1, "properties": []})),
    ]});
    let refused = app.post("/v1/catalog/apply", &token, bad).await;
    refused.refusal(422);
    let paths: Vec<_> = refused.json()["details"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["path"].clone())
        .collect();
    assert_eq!(
        paths,
        [
            "/documents/1/value/blueprint",
            "/documents/1/value/identifier",
            "/documents/2/value/tilte",
            "/documents/2/value/properties",
        ]
    );
    let broken = json!({"documents": [
        blueprint("A", "A"),
        entity(json!({"identifier": "x", "blueprint": "A", "relations": {"other": "nobody"}})),
    ]});
    let refused = app.post("/v1/catalog/apply", &token, broken).await;
    refused.refusal(422);
    let detail = refused.json()["details"][0].clone();
    assert_eq!(detail["path"], "/documents/1/value/relations/other");
    let message = detail["message"].as_str().unwrap();
    assert!(
        message.starts_with("entities/x.json: entity `x`"),
        "{message}"
    );
    assert_eq!(
        app.get("/v1/blueprints", &token).await.json()["blueprints"],
        json!([])
    );

    assert_eq!(
        app.post("/v1/catalog/apply", &token, good.clone())
            .await
            .status,
        200
    );
    let again = app.post("/v1/catalog/apply", &token, good).await.json();
    assert_eq!(again["applied"]["unchanged"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn documents_may_name_entities_by_what_they_have() {
    let app = TestApp::new().await;
    let token = app.token(Role::PlatformEngineer).await;
    let document =
        |kind: &str, value: Value| json!({"source": "x.json", "kind": kind, "value": value});
    let blueprint = |id: &str, target: &str| {
        document(
            "blueprint",
            json!({
                "identifier": id, "title": id, "schema": {"properties": {"site": {"type": "string"}}},
                "relations": {"one": {"target": target}, "all": {"target": target, "many": true}},
            }),
        )
    };
    let entity = |value: Value| document("entity", value);
    let site = |site: &str| json!({"combinator": "and", "rules": [{"property": "site", "operator": "=", "value": site}]});
    let apply = async |documents: Vec<Value>| {
        app.post("/v1/catalog/apply", &token, json!({"documents": documents}))
            .await
    };
    let first = apply(vec![
        blueprint("A", "A"),
        entity(json!({"identifier": "a", "blueprint": "A", "properties": {"site": "here"}})),
        entity(json!({"identifier": "b", "blueprint": "A", "properties": {"site": "there"}})),
    ])
    .await;
    assert_eq!(first.status, 200, "{}", first.text);
    // A blueprint that comes along says where the relations lead.
    let asking = vec![
        blueprint("B", "A"),
        entity(
            json!({"identifier": "x", "blueprint": "B", "relations": {"one": site("here"), "all": site("there")}}),
        ),
        entity(
            json!({"identifier": site("there"), "blueprint": "A", "properties": {"site": "there"}, "title": "T"}),
        ),
    ];
    let second = apply(asking.clone()).await;
    assert_eq!(second.status, 200, "{}", second.text);
    assert_eq!(second.json()["applied"]["updated"], json!(["entity A/b"]));
    let x = app.get("/v1/blueprints/B/entities/x", &token).await.json();
    assert_eq!(x["entity"]["relations"], json!({"one": "a", "all": ["b"]}));
    let again = apply(asking).await.json();
    assert_eq!(again["applied"]["unchanged"].as_array().unwrap().len(), 3);

    let refused = apply(vec![
        blueprint("C", "C"),
        entity(json!({"identifier": "y", "blueprint": "B", "title": 1, "relations": {"one": site("gone")}})),
        entity(json!({"identifier": site("gone"), "blueprint": "A", "relations": {"one": {"rules": []}}})),
        entity(json!({"identifier": "z", "blueprint": "C", "relations": {"one": site("here")}})),
        entity(json!({"identifier": "n", "blueprint": "N", "relations": {"one": site("here")}})),
        entity(json!({"identifier": "m", "blueprint": "B", "title": 1, "relations": {"all": site("gone")}})),
    ])
    .await;
    refused.refusal(422);
    let refused = refused.json();
    let paths: Vec<_> = refused["details"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["path"].as_str().unwrap())
        .collect();
    assert_eq!(
        paths,
        [
            "/documents/1/value/relations/one",
            "/documents/1/value/title",
            "/documents/2/value/identifier",
            "/documents/2/value/relations/one/rules",
            "/documents/3/value/relations/one",
            "/documents/4/value/blueprint",
            "/documents/5/value/title",
        ],
        "{refused}"
    );
    let message = refused["details"][0]["message"].as_str().unwrap();
    assert!(
        message.starts_with("x.json: entity `y` of blueprint `B`: an entity of blueprint `A`"),
        "{message}"
    );
}

#[tokio::test]
async fn a_rename_is_followed_by_the_templates_of_actions_or_refused() {
    let app = TestApp::new().await;
    let token = app.token(Role::PlatformEngineer).await;
    let blueprint = json!({
        "identifier": "A", "title": "A", "schema": {"properties": {"tier": {"type": "string"}}},
        "relations": {"next": {"target": "A"}},
    });
    assert_eq!(
        app.post("/v1/blueprints", &token, blueprint).await.status,
        201
    );
    let action = |identifier: &str, template: &str| {
        json!({
            "identifier": identifier,
            "trigger": {
                "type": "self-service", "operation": "DAY-2", "blueprintIdentifier": "A",
                "userInputs": {"properties": {
                    "tier": {"type": "string"},
                    "other": {"type": "string", "format": "entity", "blueprint": "A"},
                }},
            },
            "invocationMethod": {
                "type": "PLUGIN", "plugin": "not-there-yet", "action": "do",
                "inputs": {"text": [template]},
            },
        })
    };
    for (name, template) in [
        ("plain", "t-{{ .entity.properties.tier }} {{.inputs.tier}}"),
        ("other", "{{ .inputs.other.relations.next }}"),
    ] {
        let made = app
            .post("/v1/actions", &token, action(name, template))
            .await;
        assert_eq!(made.status, 201, "{}", made.text);
    }
    let rename = async |part: &str, key: &str, to: &str| {
        let path = format!("/v1/blueprints/A/{part}/rename");
        let body = json!({ key: to });
        app.send(super::request(
            axum::http::Method::PATCH,
            &path,
            &token,
            Some(body),
        ))
        .await
    };
    let template = async |name: &str| {
        let action = app.get(&format!("/v1/actions/{name}"), &token).await.json();
        action["action"]["invocationMethod"]["inputs"]["text"][0].clone()
    };
    let property = "newPropertyName";
    let renamed = rename("properties/tier", property, "level").await;
    assert_eq!(renamed.status, 200, "{}", renamed.text);
    let renamed = rename("relations/next", "newRelationIdentifier", "then").await;
    assert_eq!(renamed.status, 200, "{}", renamed.text);
    assert_eq!(
        template("plain").await,
        "t-{{ .entity.properties.level }} {{.inputs.tier}}"
    );
    assert_eq!(
        template("other").await,
        "{{ .inputs.other.relations.then }}"
    );

    // What nobody can tell is not guessed, and nothing is renamed at all: only the plugin knows what its inputs are.
    let mut bare = action(
        "bare",
        "{{ .inputs.level }} {{ .inputs.it.properties.level }}",
    );
    bare["trigger"]
        .as_object_mut()
        .unwrap()
        .remove("userInputs");
    let made = app.post("/v1/actions", &token, bare).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let refused = rename("properties/level", property, "rank").await;
    refused.refusal(409);
    let message = refused.json()["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains(
            "the template at `/invocationMethod/inputs/text/0` of action `bare` mentions it at character 23"
        ),
        "{message}"
    );
    let kept = app.get("/v1/blueprints/A", &token).await.json();
    assert!(kept["blueprint"]["schema"]["properties"]["level"].is_object());
    assert!(
        template("plain")
            .await
            .as_str()
            .unwrap()
            .contains(".level ")
    );
}
