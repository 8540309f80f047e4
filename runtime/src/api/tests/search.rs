use serde_json::{Value, json};

use super::TestApp;
use crate::model::Role;

/// Services of two teams in a system; every third of them pays for something.
async fn with_services() -> (TestApp, String) {
    let app = TestApp::new().await;
    let token = app.token(Role::PlatformEngineer).await;
    let blueprints = [
        json!({"identifier": "System", "title": "System", "schema": {}}),
        json!({
            "identifier": "Service", "title": "Service",
            "schema": {"properties": {"tier": {"type": "number"}, "notes": {"type": "string"}, "due": {"type": "string", "format": "date-time"}}},
            "relations": {"system": {"target": "System"}},
            "mirrorProperties": {"kind": {"title": "Kind", "path": "system.$blueprint"}},
        }),
    ];
    for blueprint in blueprints {
        let made = app.post("/v1/blueprints", &token, blueprint).await;
        assert_eq!(made.status, 201, "{}", made.text);
    }
    let entities = json!({"entities": [{"identifier": "shop", "title": "The Shop"}]});
    app.post("/v1/blueprints/System/entities/bulk", &token, entities)
        .await;
    let entities: Vec<Value> = (0..30)
        .map(|number| {
            json!({
                "identifier": format!("s{number:02}"), "team": [format!("team{}", number % 2)],
                "title": if number % 3 == 0 { format!("Payment{number}Gateway") } else { format!("Service {number}") },
                "properties": {"tier": number % 5, "notes": format!("runs on node {number}"), "due": format!("2026-01-{:02}T12:00:00Z", number + 1)},
                "relations": {"system": "shop"},
            })
        })
        .collect();
    let made = app
        .post(
            "/v1/blueprints/Service/entities/bulk",
            &token,
            json!({"entities": entities}),
        )
        .await;
    assert_eq!(made.status, 200, "{}", made.text);
    (app, token)
}

fn ids(reply: &Value) -> Vec<&str> {
    let entities = reply["entities"].as_array().unwrap();
    entities
        .iter()
        .map(|entity| entity["identifier"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn search_is_whole_unless_a_page_is_asked_for() {
    let (app, token) = with_services().await;
    let query =
        json!({"combinator": "and", "rules": [{"property": "tier", "operator": "=", "value": 2}]});
    let whole = app
        .post("/v1/entities/search", &token, query.clone())
        .await
        .json();
    assert_eq!(whole["ok"], true);
    assert_eq!(whole["matchingBlueprints"], json!(["Service"]));
    assert_eq!(ids(&whole), ["s02", "s07", "s12", "s17", "s22", "s27"]);
    assert!(whole.get("next").is_none());
    let (mut paged, mut from) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/entities/search?limit=4&from={from}");
        let page = app.post(&path, &token, query.clone()).await.json();
        paged.extend(page["entities"].as_array().unwrap().clone());
        match page.get("next").and_then(Value::as_str) {
            Some(next) => from = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(json!(paged), whole["entities"]);
    let all = json!({"combinator": "and", "rules": []});
    let everything = app
        .post("/v1/entities/search", &token, all.clone())
        .await
        .json();
    assert_eq!(ids(&everything).len(), 31);
    assert_eq!(
        everything["matchingBlueprints"],
        json!(["System", "Service"])
    );
    let bad = app.post("/v1/entities/search?from=x", &token, all).await;
    assert_eq!(bad.refusal(400).0, "invalid_parameter");
    let bad = app
        .post(
            "/v1/entities/search",
            &token,
            json!({"rules": [{"operator": "~"}]}),
        )
        .await;
    bad.refusal(422);
    assert_eq!(bad.json()["details"][0]["path"], "/rules/0/operator");
}

#[tokio::test]
async fn search_within_a_blueprint_takes_its_parameters_from_the_body() {
    let (app, token) = with_services().await;
    let path = "/v1/blueprints/Service/entities/search";
    let rules = json!([{"relation": "system", "operator": "=", "value": "shop"}, {"property": "tier", "operator": ">", "value": 3}]);
    let body = json!({"query": {"combinator": "and", "rules": rules}, "limit": 4, "include": ["$identifier", "properties.tier"]});
    let first = app.post(path, &token, body.clone()).await.json();
    assert_eq!(ids(&first), ["s04", "s09", "s14", "s19"]);
    assert_eq!(
        first["entities"][0],
        json!({"identifier": "s04", "properties": {"tier": 4}})
    );
    let mut next = body;
    next["from"] = first["next"].clone();
    let second = app.post(path, &token, next).await.json();
    assert_eq!(ids(&second), ["s24", "s29"]);
    assert!(second.get("next").is_none());
    assert_eq!(
        ids(&app.post(path, &token, json!({})).await.json()).len(),
        30
    );
    for (body, pointer) in [
        (json!({"limit": 1001}), "/limit"),
        (json!({"from": "?"}), "/from"),
        (json!({"include": [1]}), "/include/0"),
        (json!({"query": {"rules": 1}}), "/query/rules"),
    ] {
        let refused = app.post(path, &token, body).await;
        refused.refusal(422);
        assert_eq!(refused.json()["details"][0]["path"], pointer);
    }
    app.post("/v1/blueprints/Nothing/entities/search", &token, json!({}))
        .await
        .refusal(404);
}

#[tokio::test]
async fn parts_of_entities_are_chosen_in_either_spelling() {
    let (app, token) = with_services().await;
    let query = json!({"combinator": "and", "rules": [{"property": "$identifier", "operator": "=", "value": "s01"}]});
    let show = async |parameters: &str| {
        let reply = app
            .post(
                &format!("/v1/entities/search?{parameters}"),
                &token,
                query.clone(),
            )
            .await;
        reply.json()["entities"][0].clone()
    };
    let wanted = json!({"identifier": "s01", "properties": {"tier": 1}});
    assert_eq!(
        show("include=identifier&include=properties.tier").await,
        wanted
    );
    assert_eq!(show("include=identifier,properties.tier").await, wanted);
    let excluded = show("exclude=properties,title&exclude_calculated_properties=%21%28x").await;
    assert!(excluded.get("properties").is_none() && excluded.get("title").is_none());
    let attached = show("attach_title_to_relation=true").await;
    assert_eq!(
        attached["relations"]["system"],
        json!({"identifier": "shop", "title": "The Shop"})
    );
}

#[tokio::test]
async fn plans_are_shown_to_administrators_only() {
    let (app, token) = with_services().await;
    let query =
        json!({"combinator": "and", "rules": [{"property": "tier", "operator": "=", "value": 2}]});
    let path = "/v1/blueprints/Service/entities/search?explain=true";
    app.post(path, &token, json!({"query": query}))
        .await
        .refusal(403);
    let admin = app.token(Role::Admin).await;
    let plan = app.post(path, &admin, json!({"query": query})).await.json();
    assert_eq!(plan["explain"][0]["begin"]["index"], "value");
    assert_eq!(plan["explain"][0]["exact"], true);
}

#[tokio::test]
async fn words_find_what_was_meant_and_say_where_it_stands() {
    let (app, token) = with_services().await;
    let find = async |query: &str| {
        app.get(&format!("/v1/search?q={query}"), &token)
            .await
            .json()
    };
    let found = find("gateway").await;
    assert_eq!(found["total"], 10);
    assert_eq!(found["results"][0]["matched"], json!(["title"]));
    let found = find("paymnet").await;
    assert_eq!(
        found["corrections"],
        json!([{"from": "paymnet", "to": ["payment0", "payment3", "payment6"]}])
    );
    assert_eq!(found["total"], 3);
    // The last word may be only begun.
    assert_eq!(find("pay").await["total"], 10);
    let found = find("node%20s07").await;
    assert_eq!(found["results"][0]["entity"]["identifier"], "s07");
    assert_eq!(
        found["results"][0]["matched"],
        json!(["identifier", "properties.notes"])
    );
    // What would be syntax elsewhere is a word here.
    assert_eq!(find("%22node%22%20NOT%20OR%20%28*").await["total"], 0);
    let page = app
        .get("/v1/search?q=node&blueprint=Service&limit=20", &token)
        .await
        .json();
    assert_eq!(
        (page["results"].as_array().unwrap().len(), &page["next"]),
        (20, &json!("20"))
    );
    let page = app
        .get("/v1/search?q=node&blueprint=System", &token)
        .await
        .json();
    assert_eq!(page["total"], 0);
    let both = json!({"text": "gateway", "combinator": "and", "rules": [{"property": "tier", "operator": "=", "value": 0}]});
    assert_eq!(
        ids(&app.post("/v1/entities/search", &token, both).await.json()),
        ["s00", "s15"]
    );
    app.get("/v1/search?q=%20", &token).await.refusal(422);
    app.get("/v1/search", &token).await.refusal(400);
    // What is changed is found by its new words and no more by the old ones.
    let change = json!({"identifier": "s07", "title": "Zebra", "properties": {"notes": null}});
    app.post(
        "/v1/blueprints/Service/entities?upsert=true&merge=true",
        &token,
        change,
    )
    .await;
    assert_eq!(find("zebra").await["total"], 1);
    assert_eq!(find("node%20s07").await["total"], 0);
}

#[tokio::test]
async fn numbers_are_worked_out_in_all_and_by_groups() {
    let (app, token) = with_services().await;
    let query = json!({"combinator": "and", "rules": [{"property": "$blueprint", "operator": "=", "value": "Service"}]});
    let ask = async |extra: Value| {
        let mut body = json!({"query": query});
        body.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        let reply = app.post("/v1/entities/aggregate", &token, body).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json()["result"].clone()
    };
    assert_eq!(ask(json!({"func": "count"})).await, 30);
    for (function, wanted) in [
        ("sum", json!(60)),
        ("average", json!(2)),
        ("min", json!(0)),
        ("max", json!(4)),
        ("median", json!(2)),
    ] {
        assert_eq!(
            ask(json!({"func": function, "property": "tier"})).await,
            wanted,
            "{function}"
        );
    }
    let groups = ask(json!({"func": "countValues", "property": "tier"})).await;
    assert_eq!(groups.as_array().unwrap().len(), 5);
    assert_eq!(groups[0], json!({"value": 0, "result": 6}));
    let groups =
        ask(json!({"func": "sum", "property": "tier", "breakdownProperty": "$team"})).await;
    assert_eq!(
        groups,
        json!([{"value": "team0", "result": 30}, {"value": "team1", "result": 30}])
    );
    let refused = app
        .post("/v1/entities/aggregate", &token, json!({"func": "sum"}))
        .await;
    refused.refusal(422);
    let count = app.get("/v1/blueprints/Service/entities-count?query=%7B%22rules%22%3A%5B%7B%22property%22%3A%22tier%22%2C%22operator%22%3A%22%3D%22%2C%22value%22%3A1%7D%5D%7D", &token).await;
    assert_eq!(count.json()["count"], 6);
}

#[tokio::test]
async fn courses_and_histories_are_cut_into_intervals() {
    let (app, token) = with_services().await;
    let range = json!({"from": "2026-01-01T00:00:00Z", "to": "2026-01-15T00:00:00Z"});
    let body = json!({
        "blueprint": "Service", "func": "count", "query": {"combinator": "and", "rules": []},
        "measureTimeBy": "due", "timeInterval": "isoWeek", "timeRange": range,
    });
    let course = app
        .post("/v1/entities/aggregate-over-time", &token, body)
        .await
        .json();
    let counts: Vec<_> = course["result"]["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|point| point["value"].clone())
        .collect();
    assert_eq!(counts, [json!(4), json!(7), json!(7)]);
    let body = json!({"blueprintIdentifier": "Service", "entityIdentifier": "s01", "propertyNames": ["tier"], "timeInterval": "day", "timeRange": {"preset": "lastWeek"}});
    let history = app
        .post("/v1/entities/properties-history", &token, body)
        .await;
    assert_eq!(history.status, 200, "{}", history.text);
    let data = history.json()["result"]["data"].as_array().unwrap().clone();
    assert_eq!(
        (&data[0]["tier"], &data[data.len() - 1]["tier"]),
        (&Value::Null, &json!(1))
    );
    let body = json!({"blueprintIdentifier": "Service", "entityIdentifier": "none", "propertyNames": ["tier"]});
    app.post("/v1/entities/properties-history", &token, body)
        .await
        .refusal(404);
}

#[tokio::test]
async fn what_a_caller_may_not_see_stays_out_of_every_answer() {
    let (app, token) = with_services().await;
    let admin = app.token(Role::Admin).await;
    let permissions = json!({"entities": {"read": {"ownedByTeam": true}}});
    let path = "/v1/blueprints/Service/permissions";
    let set = super::request(axum::http::Method::PATCH, path, &admin, Some(permissions));
    assert_eq!(app.send(set).await.status, 200);
    let at = "/v1/blueprints/Service/entities";
    for path in [
        format!("{at}/s01"),
        format!("{at}/s01?at=2026-01-01T00:00:00Z"),
        format!("{at}/s01/history"),
        at.to_owned(),
        format!("{at}-count"),
        format!("{at}-count?query=%7B%22combinator%22:%22and%22,%22rules%22:%5B%5D%7D"),
        "/v1/search?q=payment&blueprint=Service".to_owned(),
    ] {
        let refused = app.get(&path, &token).await;
        assert_eq!(refused.refusal(403).0, "forbidden", "{path}");
        let seen = app.get(&path, &admin).await;
        // In the year before there was none of them.
        assert!(
            seen.status == 200 || seen.status == 404,
            "{path}: {}",
            seen.text
        );
    }
    let past = json!({"blueprintIdentifier": "Service", "entityIdentifier": "s01", "propertyNames": ["tier"]});
    let ask =
        async |path: &str, token: &str, body: &Value| app.post(path, token, body.clone()).await;
    let history = "/v1/entities/properties-history";
    ask(history, &token, &past).await.refusal(403);
    assert_eq!(ask(history, &admin, &past).await.status, 200);
    ask(&format!("{at}/search"), &token, &json!({}))
        .await
        .refusal(403);
    let everything = json!({"combinator": "and", "rules": []});
    let found = ask("/v1/entities/search", &token, &everything).await.json();
    assert_eq!(ids(&found), ["shop"]);
    let related = json!({"combinator": "and", "rules": [{"operator": "relatedTo", "blueprint": "System", "value": "shop"}]});
    let found = ask("/v1/entities/search", &token, &related).await.json();
    assert!(ids(&found).is_empty());
    let found = ask("/v1/entities/search", &admin, &related).await.json();
    assert_eq!(ids(&found).len(), 30);
    let count = json!({"func": "count"});
    let counted = ask("/v1/entities/aggregate", &token, &count).await.json();
    assert_eq!(counted["result"], 1);
    let words = app.get("/v1/search?q=payment", &token).await.json();
    assert_eq!(words["total"], 0);

    let export = app.get("/v1/catalog/export", &token).await.text;
    assert!(!export.contains("Payment0Gateway"), "{export}");
    assert!(export.trim_end().ends_with("\"partial\":true}"), "{export}");
    let export = app.get("/v1/catalog/export", &admin).await.text;
    assert!(export.contains("Payment0Gateway"));
    assert!(!export.contains("partial"), "{export}");
    let log = "/v1/audit-log?resources=entity&blueprint=Service";
    assert_eq!(app.get(log, &token).await.json()["audits"], json!([]));
    let log = app.get(log, &admin).await.json();
    assert_eq!(log["audits"].as_array().unwrap().len(), 30);
}

#[tokio::test]
async fn entities_are_read_as_far_as_somebody_wants_them() {
    let (app, token) = with_services().await;
    let mirrors = json!({"mirrorProperties": {
        "owner": {"title": "Owner", "path": "system.$title"}, "kind": {"title": "Kind", "path": "system.$blueprint"},
    }});
    let patch = super::request(
        axum::http::Method::PATCH,
        "/v1/blueprints/Service",
        &token,
        Some(mirrors),
    );
    assert_eq!(app.send(patch).await.status, 200);
    let at = "/v1/blueprints/Service/entities";
    let of = |reply: Value| reply["entities"][1].clone();
    let read = async |parameters: &str| {
        let one = app.get(&format!("{at}/s01?{parameters}"), &token).await;
        assert_eq!(one.status, 200, "{}", one.text);
        let one = one.json()["entity"].clone();
        for path in [
            format!("{at}?{parameters}"),
            format!("{at}?limit=2&{parameters}"),
        ] {
            assert_eq!(of(app.get(&path, &token).await.json()), one, "{path}");
        }
        let query = json!({"combinator": "and", "rules": [{"property": "$blueprint", "operator": "=", "value": "Service"}]});
        let path = format!("/v1/entities/search?{parameters}");
        assert_eq!(of(app.post(&path, &token, query).await.json()), one);
        one
    };
    let whole = read("").await;
    assert_eq!(whole["properties"]["owner"], "The Shop");
    assert_eq!(
        read("include=identifier,properties.tier&include=relations.system").await,
        json!({"identifier": "s01", "properties": {"tier": 1}, "relations": {"system": "shop"}})
    );
    let less = read("exclude=properties.notes&exclude=team").await;
    assert_eq!(less["properties"].get("notes"), None);
    assert_eq!(less.get("team"), None);
    assert_eq!(less["title"], whole["title"]);
    let shop = json!({"identifier": "shop", "title": "The Shop"});
    let titled = read("attach_title_to_relation=true").await;
    assert_eq!(titled["relations"]["system"], shop);
    let identified = read("attach_identifier_to_title_mirror_properties=true").await;
    assert_eq!(identified["properties"]["owner"], shop);
    // Only mirrors of titles have somebody whose title it is.
    assert_eq!(identified["properties"]["kind"], "System");

    // What is out of sight is not told by a detour.
    let admin = app.token(Role::Admin).await;
    let permissions = json!({"entities": {"read": {"roles": ["admin"]}}});
    let path = "/v1/blueprints/System/permissions";
    let set = super::request(axum::http::Method::PATCH, path, &admin, Some(permissions));
    assert_eq!(app.send(set).await.status, 200);
    let identified = read("attach_identifier_to_title_mirror_properties=true").await;
    assert_eq!(identified["properties"]["owner"], "The Shop");
    let titled = read("attach_title_to_relation=true").await;
    assert_eq!(titled["relations"]["system"]["title"], Value::Null);
}
