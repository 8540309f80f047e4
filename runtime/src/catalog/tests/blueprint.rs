use super::*;
use crate::catalog::blueprint;

#[test]
fn a_blueprint_that_breaks_rules_is_told_all_of_them() {
    let blueprint = parse_blueprint(json!({
        "identifier": "a", "title": "",
        "schema": {
            "properties": {
                "ok": { "type": "string", "icon": "Docs", "enumColors": {}, "spec": "open-api", "strange": 1 },
                "no type": { "type": "string" },
                "untyped": { "enum": [1] },
                "integer": { "type": "integer" },
                "shape": "string",
                "format": { "type": "string", "format": "colour" },
                "items": { "type": "array", "items": { "type": "string", "format": "colour" } },
                "pattern": { "type": "string", "pattern": "(" },
                "enum": { "type": "string", "enum": "x" },
                "remote": { "type": "object", "properties": { "x": { "$ref": "https://example.com/x" } } },
            },
            "required": ["ok", "gone"],
        },
        "relations": {
            "both": { "target": "a", "required": true, "many": true },
            "a/b": { "target": "a" },
        },
    }))
    .unwrap();
    let found: Vec<_> = blueprint::check(&blueprint)
        .into_iter()
        .map(|v| (v.path, v.rule))
        .collect();
    assert_eq!(
        found,
        pairs(&[
            ("/title", "length"),
            ("/schema/properties/no type", "identifier"),
            ("/schema/properties/untyped/type", "type"),
            ("/schema/properties/integer/type", "type"),
            ("/schema/properties/shape", "type"),
            ("/schema/properties/format/format", "format"),
            ("/schema/properties/items/items/format", "format"),
            ("/schema/properties/pattern/pattern", "format"),
            ("/schema/properties/enum/enum", "type"),
            ("/schema/properties/remote/properties/x/$ref", "$ref"),
            ("/schema/required/1", "required"),
            ("/relations/both", "required"),
            ("/relations/a~1b", "identifier"),
        ])
    );
}

#[test]
fn titles_and_descriptions_have_their_lengths() {
    let check = |title: String, description: String| {
        let value =
            json!({ "identifier": "a", "title": title, "description": description, "schema": {} });
        blueprint::check(&parse_blueprint(value).unwrap())
            .into_iter()
            .map(|v| v.path)
            .collect::<Vec<_>>()
    };
    assert!(check("ä".repeat(100), "ä".repeat(200)).is_empty());
    assert_eq!(
        check(String::new(), "x".repeat(201)),
        ["/title", "/description"]
    );
    assert_eq!(check("x".repeat(101), String::new()), ["/title"]);
}

#[tokio::test]
async fn a_blueprint_is_created_once_and_only_with_known_targets() {
    let fixture = Fixture::new();
    let create = |value: Value| {
        fixture
            .catalog
            .create_blueprint(&fixture.actor, parse_blueprint(value).unwrap())
    };
    let own = json!({ "identifier": "A", "title": "A", "schema": {}, "relations": { "r": { "target": "A" } } });
    let created = create(own.clone()).await.unwrap();
    assert_eq!(created.stamp.created_by, "goldenpath");
    assert_eq!(conflict(create(own).await).0, "already_exists");
    let lost = json!({ "identifier": "B", "title": "B", "schema": {}, "relations": { "r": { "target": "C" } } });
    assert_eq!(missing(create(lost).await), "blueprint `C`");
    assert_eq!(
        missing(fixture.catalog.find_blueprint(&id("B")).await),
        "blueprint `B`"
    );
    assert_eq!(fixture.catalog.list_blueprints().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_patch_merges_into_a_blueprint() {
    let fixture = Fixture::with_services().await;
    let patched = fixture
        .patch("Service", json!({
            "title": "S", "description": "d", "mirrorProperties": { "m": { "path": "system.$title" } },
            "schema": { "properties": { "tier": null, "site": { "format": null, "title": "Site" } } },
        }))
        .await
        .unwrap()
        .value;
    assert_eq!(
        (patched.title.as_str(), patched.description.as_deref()),
        ("S", Some("d"))
    );
    assert_eq!(
        patched.schema.properties.keys().collect::<Vec<_>>(),
        ["language", "site"]
    );
    assert_eq!(
        patched.schema.properties["site"],
        json!({ "type": "string", "title": "Site" })
    );
    assert_eq!(patched.relations.len(), 3);
    assert!(patched.extra.contains_key("mirrorProperties"));
    let unchanged = fixture.audit().await.len();
    fixture
        .patch("Service", json!({ "title": "S" }))
        .await
        .unwrap();
    assert_eq!(fixture.audit().await.len(), unchanged);
    assert_eq!(
        violations(fixture.patch("Service", json!({ "title": null })).await),
        pairs(&[("/title", "required")])
    );
    let renamed = fixture
        .patch("Service", json!({ "identifier": "Other" }))
        .await;
    assert_eq!(violations(renamed), pairs(&[("/identifier", "immutable")]));
}

#[tokio::test]
async fn the_type_of_a_property_never_changes() {
    let fixture = Fixture::with_services().await;
    let changed = fixture
        .patch(
            "Service",
            json!({ "schema": { "properties": { "tier": { "type": "string" } } } }),
        )
        .await;
    assert_eq!(
        violations(changed),
        pairs(&[("/schema/properties/tier/type", "immutable")])
    );
}

#[tokio::test]
async fn what_leaves_a_blueprint_leaves_its_entities() {
    let fixture = Fixture::with_services().await;
    fixture.service("a").await;
    let entity = json!({
        "identifier": "b", "properties": { "language": "go", "tier": 2 },
        "relations": { "system": "Cart", "uses": ["a"], "spare": "a" },
    });
    fixture.put("Service", entity).await.unwrap();
    let patch =
        json!({ "schema": { "properties": { "tier": null } }, "relations": { "uses": null } });
    fixture.patch("Service", patch).await.unwrap();
    let back = json!({
        "schema": { "properties": { "tier": { "type": "string" } } },
        "relations": { "uses": { "target": "Service", "many": true } },
    });
    fixture.patch("Service", back).await.unwrap();
    let entity = fixture.entity("Service", "b").await.unwrap();
    assert_eq!(entity["properties"], json!({ "language": "go" }));
    assert_eq!(
        entity["relations"],
        json!({ "system": "Cart", "uses": [], "spare": "a" })
    );
}

#[tokio::test]
async fn an_edge_in_use_keeps_its_target_and_its_room() {
    let fixture = Fixture::with_services().await;
    fixture.service("a").await;
    fixture.service("b").await;
    let patch = |relations: Value| fixture.patch("Service", json!({ "relations": relations }));
    patch(json!({ "spare": { "target": "System" } }))
        .await
        .unwrap();
    patch(json!({ "spare": { "target": "Service", "many": true } }))
        .await
        .unwrap();
    let entity = json!({ "identifier": "a", "relations": { "uses": ["a", "b"], "spare": ["b"] } });
    fixture
        .write("Service", entity, WriteMode::Update)
        .await
        .unwrap();
    assert_eq!(
        violations(patch(json!({ "spare": { "target": "System" } })).await),
        pairs(&[("/relations/spare/target", "immutable")])
    );
    assert_eq!(
        violations(patch(json!({ "uses": { "many": false } })).await),
        pairs(&[("/relations/uses/many", "immutable")])
    );
    patch(json!({ "spare": { "many": false } })).await.unwrap();
    assert_eq!(
        fixture.entity("Service", "a").await.unwrap()["relations"]["spare"],
        json!("b")
    );
}

#[tokio::test]
async fn a_stricter_blueprint_leaves_stored_entities_alone() {
    let fixture = Fixture::with_services().await;
    fixture.service("a").await;
    let stricter = json!({ "schema": { "properties": { "owner": { "type": "string" } }, "required": ["owner"] } });
    fixture.patch("Service", stricter).await.unwrap();
    assert!(fixture.entity("Service", "a").await.is_some());
    let update = |properties: Value| {
        fixture.write(
            "Service",
            json!({ "identifier": "a", "properties": properties }),
            WriteMode::Update,
        )
    };
    assert_eq!(
        violations(update(json!({ "tier": 1 })).await),
        pairs(&[("/properties/owner", "required")])
    );
    update(json!({ "tier": 1, "owner": "x" })).await.unwrap();
}

#[tokio::test]
async fn a_blueprint_in_use_cannot_be_deleted() {
    let fixture = Fixture::with_services().await;
    let delete = |blueprint: &'static str| {
        let fixture = &fixture;
        async move {
            fixture
                .catalog
                .delete_blueprint(&fixture.actor, &id(blueprint))
                .await
        }
    };
    let (code, message) = conflict(delete("System").await);
    assert_eq!(
        (code, message.contains("1 entities")),
        ("has_dependents", true),
        "{message}"
    );
    fixture
        .delete("System", "Cart", Dependents::Keep)
        .await
        .unwrap();
    let (code, message) = conflict(delete("System").await);
    assert_eq!(
        (code, message.contains("Service")),
        ("has_dependents", true),
        "{message}"
    );
    delete("Service").await.unwrap();
    delete("System").await.unwrap();
    assert_eq!(missing(delete("System").await), "blueprint `System`");
}
