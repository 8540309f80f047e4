//! The doors that write the catalog, beside the plain ones.

use axum::http::Method;
use serde_json::{Value, json};

use super::{Reply, TestApp, request};
use crate::model::Role;

struct Door {
    app: TestApp,
    token: String,
}

impl Door {
    async fn open() -> Self {
        let app = TestApp::new().await;
        let token = app.token(Role::PlatformEngineer).await;
        let door = Self { app, token };
        let system = json!({ "identifier": "System", "title": "System", "schema": {
            "properties": { "tier": { "type": "number" } } } });
        let service = json!({
            "identifier": "Service", "title": "Service",
            "schema": { "properties": { "tier": { "type": "number", "default": 3 }, "site": { "type": "string", "format": "url" } } },
            "relations": { "system": { "target": "System", "required": true }, "uses": { "target": "Service", "many": true } },
        });
        for blueprint in [system, service] {
            let made = door.post("/v1/blueprints", blueprint).await;
            assert_eq!(made.status, 201, "{}", made.text);
        }
        door
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        self.app
            .send(request(method, path, &self.token, body))
            .await
    }

    async fn get(&self, path: &str) -> Reply {
        self.app.get(path, &self.token).await
    }

    async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(Method::POST, path, Some(body)).await
    }

    async fn patch(&self, path: &str, body: Value) -> Reply {
        self.send(Method::PATCH, path, Some(body)).await
    }
}

#[tokio::test]
async fn bulk_answers_200_where_all_went_well_and_207_with_the_place_of_each_refusal() {
    let door = Door::open().await;
    let path = "/v1/blueprints/Service/entities/bulk?upsert=true&merge=true";
    let body = json!({ "entities": [
        { "identifier": "a", "relations": { "system": "Cart" } },
        { "identifier": "b", "relations": { "system": "Cart", "uses": ["c"] } },
        { "identifier": "c", "relations": { "system": "Cart" } },
    ] });
    let lost = door.post(path, body.clone()).await;
    assert_eq!(lost.status, 207, "{}", lost.text);
    let first = &lost.json()["errors"][0];
    assert_eq!(
        (
            &first["identifier"],
            &first["index"],
            &first["statusCode"],
            &first["error"]
        ),
        (&json!("a"), &json!(0), &json!(404), &json!("not_found"))
    );
    assert!(first["message"].as_str().unwrap().contains("`Cart`"));

    let making =
        format!("{path}&create_missing_related_entities=true&run_id=&ocean_info_event_type=resync");
    let all = door.post(&making, body.clone()).await;
    assert_eq!(all.status, 200, "{}", all.text);
    assert_eq!(
        all.json(),
        json!({ "ok": true, "errors": [], "entities": [
            { "identifier": "a", "index": 0, "created": true },
            { "identifier": "b", "index": 1, "created": true },
            { "identifier": "c", "index": 2, "created": true },
        ] })
    );
    let again = door.post(&making, body).await.json();
    assert_eq!(again["entities"][2]["created"], false);
    let entity = door.get("/v1/blueprints/Service/entities/b").await.json();
    assert_eq!(entity["entity"]["properties"], json!({ "tier": 3 }));

    let empty = door.post(path, json!({ "entities": [] })).await;
    assert_eq!(
        (empty.status.as_u16(), empty.json()),
        (200, json!({ "ok": true, "entities": [], "errors": [] }))
    );
    let nowhere = door
        .post(
            "/v1/blueprints/Nothing/entities/bulk",
            json!({ "entities": [] }),
        )
        .await;
    assert_eq!(nowhere.refusal(404).0, "not_found");
    for bad in [json!({}), json!({ "entities": {} }), json!([])] {
        door.post(path, bad).await.refusal(422);
    }
}

#[tokio::test]
async fn many_are_deleted_at_once_again_and_again() {
    let door = Door::open().await;
    let making = "/v1/blueprints/Service/entities/bulk?create_missing_related_entities=true";
    let body = json!({ "entities": [{ "identifier": "a", "relations": { "system": "Cart" } }] });
    assert_eq!(door.post(making, body).await.status, 200);
    let path = "/v1/blueprints/System/bulk/entities/delete";
    let ids = json!({ "entities": ["no such", "Nobody", "Cart"] });
    let held = door.post(path, ids.clone()).await;
    assert_eq!(held.status, 207, "{}", held.text);
    let held = held.json();
    assert_eq!(held["deletedEntities"], json!([]));
    assert_eq!(
        (
            &held["errors"][0]["index"],
            &held["errors"][0]["error"],
            &held["errors"][0]["statusCode"]
        ),
        (&json!(2), &json!("has_dependents"), &json!(409))
    );
    let path = format!("{path}?delete_dependents=true");
    for deleted in [json!(["Cart"]), json!([])] {
        let gone = door.post(&path, ids.clone()).await;
        assert_eq!(
            gone.json(),
            json!({ "ok": true, "deletedEntities": deleted })
        );
    }
    let count = door
        .get("/v1/blueprints/Service/entities-count")
        .await
        .json();
    assert_eq!(count["count"], 0);
}

#[tokio::test]
async fn an_integration_finds_what_it_wrote_by_its_user_agent() {
    let door = Door::open().await;
    for (identifier, agent) in [("a", "port-ocean/jira/1.0/mine/exporter"), ("b", "curl/8")] {
        let body = json!({ "identifier": identifier });
        let path = "/v1/blueprints/System/entities?upsert=true";
        let mut request = request(Method::POST, path, &door.token, Some(body));
        request
            .headers_mut()
            .insert("user-agent", agent.parse().unwrap());
        assert_eq!(door.app.send(request).await.status, 201);
    }
    let path = "/v1/blueprints/entities/datasource-entities";
    let body = |extra: Value| {
        let mut body = json!({ "datasource_prefix": "port-ocean/jira/", "datasource_suffix": "/mine/exporter" });
        body.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        body
    };
    let mine = json!({ "ok": true, "entities": [{ "identifier": "a", "blueprint": "System", "relations": {} }] });
    assert_eq!(door.post(path, body(json!({}))).await.json(), mine);
    let later = json!({ "before": "2999-01-01T00:00:00+00:00", "limit": 5000, "from": "" });
    assert_eq!(door.post(path, body(later)).await.json(), mine);
    let earlier = door.post(path, body(json!({ "before": 1 }))).await.json();
    assert_eq!(earlier["entities"], json!([]));
    for bad in [
        json!({ "limit": 0 }),
        json!({ "limit": 100_001 }),
        json!({ "from": "x" }),
        json!({ "before": "yesterday" }),
        json!({ "datasource_prefix": "" }),
    ] {
        door.post(path, body(bad)).await.refusal(422);
    }
}

#[tokio::test]
async fn parts_of_a_blueprint_are_renamed() {
    let door = Door::open().await;
    let at = "/v1/blueprints/Service";
    let renamed = door
        .patch(
            &format!("{at}/properties/tier/rename"),
            json!({ "newPropertyName": "level" }),
        )
        .await;
    assert_eq!(renamed.status, 200, "{}", renamed.text);
    assert!(renamed.json()["blueprint"]["schema"]["properties"]["level"].is_object());
    let renamed = door
        .patch(
            &format!("{at}/relations/system/rename"),
            json!({ "newRelationIdentifier": "part-of" }),
        )
        .await;
    assert!(renamed.json()["blueprint"]["relations"]["part-of"].is_object());
    let mirrors = json!({ "mirrorProperties": { "m": { "path": "part-of.tier" } } });
    assert_eq!(door.patch(at, mirrors).await.status, 200);
    let renamed = door
        .patch(
            &format!("{at}/mirror/m/rename"),
            json!({ "newMirrorName": "systemTier" }),
        )
        .await;
    assert!(renamed.json()["blueprint"]["mirrorProperties"]["systemTier"].is_object());
    let taken = door
        .patch(
            &format!("{at}/properties/level/rename"),
            json!({ "newPropertyName": "site" }),
        )
        .await;
    taken.refusal(422);
    assert_eq!(taken.json()["details"][0]["path"], "/newPropertyName");
    door.patch(
        &format!("{at}/properties/tier/rename"),
        json!({ "newPropertyName": "x" }),
    )
    .await
    .refusal(404);
    door.patch(&format!("{at}/properties/level/rename"), json!({}))
        .await
        .refusal(422);
}

#[tokio::test]
async fn permissions_bind_engineers_and_only_administrators_set_them() {
    let door = Door::open().await;
    let path = "/v1/blueprints/System/permissions";
    let shown = door.get(path).await.json();
    assert_eq!(
        shown["permissions"]["entities"]["update"]["roles"],
        json!(["platform-engineer", "admin"])
    );
    let admin = door.app.token(Role::Admin).await;
    let body = json!({ "entities": { "register": { "users": ["somebody@example.com"] } } });
    let set = request(Method::PATCH, path, &admin, Some(body));
    let set = door.app.send(set).await.json();
    assert_eq!(
        set["permissions"]["entities"]["register"]["users"],
        json!(["somebody@example.com"])
    );
    let entities = "/v1/blueprints/System/entities";
    let refused = door.post(entities, json!({ "identifier": "a" })).await;
    assert_eq!(refused.refusal(403).0, "forbidden");
    let bulk = door
        .post(
            &format!("{entities}/bulk"),
            json!({ "entities": [{ "identifier": "a" }] }),
        )
        .await;
    assert_eq!(bulk.json()["errors"][0]["statusCode"], 403);
    let made = door
        .app
        .post(entities, &admin, json!({ "identifier": "a" }))
        .await;
    assert_eq!(made.status, 201);
    let nonsense = json!({ "entities": { "read": { "policy": { "rules": [] } } } });
    let nonsense = request(Method::PATCH, path, &admin, Some(nonsense));
    door.app.send(nonsense).await.refusal(422);
    door.get("/v1/blueprints/Nothing/permissions")
        .await
        .refusal(404);
}

#[tokio::test]
async fn all_entities_go_behind_the_request() {
    let door = Door::open().await;
    for number in 0..3 {
        let made = door
            .post(
                "/v1/blueprints/System/entities",
                json!({ "identifier": format!("s{number}") }),
            )
            .await;
        assert_eq!(made.status, 201);
    }
    let refused = door
        .send(Method::DELETE, "/v1/blueprints/System", None)
        .await;
    let (code, message) = refused.refusal(409);
    assert_eq!(code, "has_dependents");
    assert!(message.contains("all-entities"), "{message}");
    let begun = door
        .send(
            Method::DELETE,
            "/v1/blueprints/System/all-entities?delete_blueprint=false",
            None,
        )
        .await;
    assert_eq!(begun.status, 202, "{}", begun.text);
    let id = begun.json()["migrationId"].as_str().unwrap().to_owned();
    let migration = loop {
        let now = door.get(&format!("/v1/migrations/{id}")).await.json()["migration"].clone();
        if now["status"] != "PENDING" && now["status"] != "RUNNING" {
            break now;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(
        (
            &migration["status"],
            &migration["deletedEntities"],
            &migration["sourceBlueprint"],
            &migration["actor"]
        ),
        (
            &json!("COMPLETED"),
            &json!(3),
            &json!("System"),
            &json!("platform-engineer")
        )
    );
    let nowhere = door
        .send(Method::DELETE, "/v1/blueprints/Nothing/all-entities", None)
        .await;
    nowhere.refusal(404);
    door.get("/v1/migrations/m_none").await.refusal(404);
}

#[tokio::test]
async fn the_base_shape_of_system_blueprints_can_be_read() {
    let door = Door::open().await;
    for id in ["_team", "_user"] {
        let shape = door
            .get(&format!("/v1/blueprints/system/{id}/structure"))
            .await
            .json();
        assert_eq!(shape["blueprint"]["identifier"], *id);
    }
    door.get("/v1/blueprints/system/Service/structure")
        .await
        .refusal(404);
}
