//! Other names for parts of a blueprint, emptying one, and what belongs to the portal itself.

use super::*;
use crate::model::MigrationStatus;

async fn rename(
    fixture: &Fixture,
    blueprint: &str,
    what: Renamed,
    from: &str,
    to: &str,
) -> Result<Blueprint, Error> {
    fixture.rename(blueprint, what, from, to).await
}

async fn referring() -> Fixture {
    let fixture = Fixture::with_services().await;
    fixture
        .patch("System", json!({
            "schema": { "properties": { "tier": { "type": "number" } } },
            "relations": { "parent": { "target": "System" } },
            "mirrorProperties": { "parentTier": { "path": "parent.tier" } },
            "aggregationProperties": {
                "most": {
                    "target": "Service",
                    "calculationSpec": { "calculationBy": "property", "func": "max", "property": "tier" },
                    "query": { "combinator": "and", "rules": [
                        { "property": "tier", "operator": ">", "value": 1 },
                        { "combinator": "or", "rules": [{ "property": "tier", "operator": "isEmpty" }] },
                    ] },
                    "pathFilter": [{ "fromBlueprint": "Service", "path": ["uses", "system"] }],
                },
            },
        }))
        .await
        .unwrap();
    fixture
        .patch(
            "Service",
            json!({
                "schema": { "required": ["language", "tier"] },
                "ownership": { "type": "Inherited", "path": "spare.system" },
                "mirrorProperties": {
                    "systemTier": { "path": "system.tier" },
                    "spareTier": { "path": "spare.tier" },
                    "deep": { "path": "spare.system.parent.$title" },
                },
                "calculationProperties": {
                    "next": { "type": "number", "calculation": ".properties.tier" },
                    "place": { "type": "string", "calculation": ".relations.system" },
                },
            }),
        )
        .await
        .unwrap();
    let entity = json!({
        "identifier": "a", "properties": { "language": "go", "tier": 2 },
        "relations": { "system": "Cart", "uses": ["a"] },
    });
    fixture.put("Service", entity).await.unwrap();
    fixture
}

#[tokio::test]
async fn a_renamed_property_keeps_its_values_and_whoever_refers_to_it() {
    let fixture = referring().await;
    let renamed = rename(&fixture, "Service", Renamed::Property, "tier", "level")
        .await
        .unwrap();
    let names: Vec<_> = renamed
        .schema
        .properties
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(names, ["level", "language", "site"]);
    assert_eq!(renamed.schema.required, ["language", "level"]);
    let extra = serde_json::to_value(&renamed.extra).unwrap();
    assert_eq!(
        extra["mirrorProperties"]["systemTier"]["path"],
        "system.tier"
    );
    assert_eq!(
        extra["mirrorProperties"]["spareTier"]["path"],
        "spare.level"
    );
    assert_eq!(
        extra["calculationProperties"]["next"]["calculation"],
        ".properties.level"
    );
    let system = fixture.catalog.find_blueprint(&id("System")).await.unwrap();
    let most = &system.value.extra["aggregationProperties"]["most"];
    assert_eq!(most["calculationSpec"]["property"], "level");
    assert_eq!(most["query"]["rules"][0]["property"], "level");
    assert_eq!(most["query"]["rules"][1]["rules"][0]["property"], "level");
    assert_eq!(
        system.value.extra["mirrorProperties"]["parentTier"]["path"],
        "parent.tier"
    );
    let entity = fixture.entity("Service", "a").await.unwrap();
    assert_eq!(entity["properties"]["level"], 2);
    assert_eq!(entity["properties"].get("tier"), None);
    let changed: Vec<_> = fixture
        .audit()
        .await
        .into_iter()
        .take(2)
        .map(|row| row.identifier)
        .collect();
    assert_eq!(changed, ["System", "Service"]);
}

#[tokio::test]
async fn a_name_that_a_filter_reads_in_a_way_of_its_own_is_kept() {
    let fixture = referring().await;
    let keep = async |filter: &str| {
        let row = fixture
            .store
            .write({
                let (id, filter) = (id("Service"), filter.to_owned());
                // Without workers only plain paths are taken at the door.
                move |tx| {
                    let row = tx.find_blueprint(&id)?.unwrap();
                    let mut blueprint: Blueprint = serde_json::from_str(&row.document).unwrap();
                    blueprint.extra["calculationProperties"]["next"]["calculation"] = filter.into();
                    tx.update_blueprint(row.key, &blueprint, "test")?;
                    Ok::<_, Error>(())
                }
            })
            .await;
        row.unwrap();
    };
    keep(".properties | to_entries | map(select(.key != \"tier\"))").await;
    let (code, message) =
        conflict(rename(&fixture, "Service", Renamed::Property, "tier", "level").await);
    assert_eq!(code, "has_dependents");
    assert_eq!(
        message,
        "property `tier` is not renamed: the filter of calculation property `next` of blueprint `Service` \
         mentions it at character 48 in a way that cannot be followed; change the filter first"
    );
    let kept = fixture.entity("Service", "a").await.unwrap();
    assert_eq!(kept["properties"]["tier"], 2);
    keep(".properties? | .tier // .relations.tier").await;
    let renamed = rename(&fixture, "Service", Renamed::Property, "tier", "level").await;
    let extra = serde_json::to_value(renamed.unwrap().extra).unwrap();
    assert_eq!(
        extra["calculationProperties"]["next"]["calculation"],
        ".properties? | .level // .relations.tier"
    );
}

#[tokio::test]
async fn scorecards_follow_a_rename() {
    let fixture = Fixture::with_services().await;
    let scorecard = json!({
        "identifier": "ready", "title": "Ready",
        "filter": { "combinator": "and", "conditions": [{ "relation": "spare", "operator": "isEmpty" }] },
        "levels": [{ "title": "Basic", "color": "paleBlue" }, { "title": "Gold", "color": "gold" }],
        "rules": [{ "identifier": "tier", "title": "Tier", "level": "Gold", "query": {
            "combinator": "or",
            "conditions": [{ "property": "tier", "operator": "isNotEmpty" }, { "property": "site", "operator": "isEmpty" }] } }],
    });
    let scorecard = parse_scorecard(scorecard, &id("Service")).unwrap();
    fixture
        .catalog
        .create_scorecard(&fixture.actor, scorecard)
        .await
        .unwrap();
    rename(&fixture, "Service", Renamed::Property, "tier", "level")
        .await
        .unwrap();
    rename(&fixture, "Service", Renamed::Relation, "spare", "other")
        .await
        .unwrap();
    let shown = fixture
        .catalog
        .find_scorecard(&id("Service"), "ready")
        .await
        .unwrap()
        .value;
    assert_eq!(shown.rules[0].query["conditions"][0]["property"], "level");
    assert_eq!(shown.rules[0].query["conditions"][1]["property"], "site");
    assert_eq!(shown.filter.unwrap()["conditions"][0]["relation"], "other");
}

#[tokio::test]
async fn every_kind_of_value_survives_a_rename() {
    let fixture = Fixture::new();
    let values = json!({
        "text": "ä\"\\\u{1F600}", "number": 1.5e300, "whole": 12_345_678_901_234_567_u64, "yes": true, "no": false,
        "list": [1, "x", null, { "a": [] }], "object": { "b": { "c": null } }, "empty": "",
    });
    let types = [
        ("text", "string"),
        ("number", "number"),
        ("whole", "number"),
        ("yes", "boolean"),
        ("no", "boolean"),
        ("list", "array"),
        ("object", "object"),
        ("empty", "string"),
    ];
    let properties: Map<String, Value> = types
        .iter()
        .map(|(name, of)| ((*name).to_owned(), json!({ "type": of })))
        .collect();
    let blueprint =
        json!({ "identifier": "A", "title": "A", "schema": { "properties": properties } });
    fixture
        .catalog
        .create_blueprint(&fixture.actor, parse_blueprint(blueprint).unwrap())
        .await
        .unwrap();
    let entity = json!({ "identifier": "a", "properties": values });
    fixture.put("A", entity).await.unwrap();
    for (name, _) in types {
        let to = format!("new-{name}=");
        rename(&fixture, "A", Renamed::Property, name, &to)
            .await
            .unwrap();
        let entity = fixture.entity("A", "a").await.unwrap();
        assert_eq!(entity["properties"][&to], values[name], "{name}");
        assert_eq!(entity["properties"].get(name), None);
    }
}

#[tokio::test]
async fn a_renamed_relation_keeps_its_edges_and_every_path_over_it() {
    let fixture = referring().await;
    let renamed = rename(&fixture, "Service", Renamed::Relation, "system", "part-of")
        .await
        .unwrap();
    let names: Vec<_> = renamed.relations.keys().map(String::as_str).collect();
    assert_eq!(names, ["part-of", "uses", "spare"]);
    let extra = serde_json::to_value(&renamed.extra).unwrap();
    assert_eq!(extra["ownership"]["path"], "spare.part-of");
    assert_eq!(
        extra["mirrorProperties"]["systemTier"]["path"],
        "part-of.tier"
    );
    assert_eq!(
        extra["mirrorProperties"]["deep"]["path"],
        "spare.part-of.parent.$title"
    );
    assert_eq!(
        extra["calculationProperties"]["place"]["calculation"],
        ".relations.\"part-of\""
    );
    let system = fixture.catalog.find_blueprint(&id("System")).await.unwrap();
    let most = &system.value.extra["aggregationProperties"]["most"];
    assert_eq!(most["pathFilter"][0]["path"], json!(["uses", "part-of"]));
    let entity = fixture.entity("Service", "a").await.unwrap();
    assert_eq!(
        entity["relations"],
        json!({ "part-of": "Cart", "uses": ["a"], "spare": null })
    );
}

#[tokio::test]
async fn a_renamed_mirror_property_is_followed_by_those_that_use_it() {
    let fixture = referring().await;
    fixture
        .patch("Service", json!({
            "calculationProperties": { "twice": { "type": "number", "calculation": ".properties.systemTier" } },
            "mirrorProperties": { "ofSpare": { "path": "spare.systemTier" } },
        }))
        .await
        .unwrap();
    let renamed = rename(
        &fixture,
        "Service",
        Renamed::Mirror,
        "systemTier",
        "importance",
    )
    .await
    .unwrap();
    let extra = serde_json::to_value(&renamed.extra).unwrap();
    let names: Vec<_> = extra["mirrorProperties"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert_eq!(names, ["importance", "spareTier", "deep", "ofSpare"]);
    assert_eq!(
        extra["mirrorProperties"]["ofSpare"]["path"],
        "spare.importance"
    );
    assert_eq!(
        extra["calculationProperties"]["twice"]["calculation"],
        ".properties.importance"
    );
}

#[tokio::test]
async fn a_rename_needs_something_to_rename_and_a_free_name() {
    let fixture = referring().await;
    let service = async |what, from, to| rename(&fixture, "Service", what, from, to).await;
    for (what, from, told) in [
        (
            Renamed::Property,
            "uses",
            "property `uses` of blueprint `Service`",
        ),
        (
            Renamed::Relation,
            "tier",
            "relation `tier` of blueprint `Service`",
        ),
        (
            Renamed::Mirror,
            "tier",
            "mirror property `tier` of blueprint `Service`",
        ),
    ] {
        assert_eq!(missing(service(what, from, "x").await), told);
    }
    for (what, from, to) in [
        (Renamed::Property, "tier", "language"),
        (Renamed::Property, "tier", "next"),
        (Renamed::Mirror, "deep", "tier"),
        (Renamed::Relation, "spare", "uses"),
    ] {
        assert_eq!(
            violations(service(what, from, to).await),
            pairs(&[("", "unique")])
        );
    }
    let long = "x".repeat(101);
    for to in ["", "a b", "$title", &long] {
        let refused = service(Renamed::Property, "tier", to).await;
        assert_eq!(violations(refused), pairs(&[("", "identifier")]));
    }
    let rows = fixture.audit().await.len();
    service(Renamed::Property, "tier", "tier").await.unwrap();
    assert_eq!(fixture.audit().await.len(), rows);
    let nowhere = rename(&fixture, "Nothing", Renamed::Property, "a", "b").await;
    assert_eq!(missing(nowhere), "blueprint `Nothing`");
}

#[tokio::test]
async fn the_path_of_inherited_ownership_leads_over_relations() {
    let fixture = Fixture::with_services().await;
    let ownership = async |value: Value| {
        fixture
            .patch("Service", json!({ "ownership": value }))
            .await
    };
    for good in [
        json!({ "type": "Direct" }),
        json!({ "type": "Direct", "title": "Owner" }),
        json!({ "type": "Inherited", "path": "system" }),
        json!({ "type": "Inherited", "path": "spare.spare.system", "title": "Owner" }),
        json!(null),
    ] {
        let patched = ownership(json!(null))
            .await
            .and(ownership(good.clone()).await);
        let kept = patched.unwrap().value.extra.get("ownership").cloned();
        assert_eq!(kept.unwrap_or(Value::Null), good);
    }
    for (bad, path, rule) in [
        (json!("Direct"), "/ownership", "type"),
        (json!({}), "/ownership/type", "enum"),
        (json!({ "type": "None" }), "/ownership/type", "enum"),
        (
            json!({ "type": "Direct", "path": "system" }),
            "/ownership/path",
            "path",
        ),
        (
            json!({ "type": "Inherited" }),
            "/ownership/path",
            "required",
        ),
        (
            json!({ "type": "Inherited", "path": 1 }),
            "/ownership/path",
            "required",
        ),
        (
            json!({ "type": "Inherited", "path": "" }),
            "/ownership/path",
            "path",
        ),
        (
            json!({ "type": "Inherited", "path": "system.gone" }),
            "/ownership/path",
            "path",
        ),
        (
            json!({ "type": "Inherited", "path": "language" }),
            "/ownership/path",
            "path",
        ),
        (
            json!({ "type": "Direct", "title": "x".repeat(101) }),
            "/ownership/title",
            "length",
        ),
    ] {
        fixture
            .patch("Service", json!({ "ownership": null }))
            .await
            .unwrap();
        assert_eq!(violations(ownership(bad).await), pairs(&[(path, rule)]));
    }
}

#[tokio::test]
async fn ownership_may_lead_over_blueprints_that_come_later_in_the_same_apply() {
    let fixture = Fixture::new();
    let blueprint = |id: &str, target: &str, path: &str| {
        json!({ "identifier": id, "title": id, "schema": {}, "relations": { "to": { "target": target } },
                "ownership": { "type": "Inherited", "path": path } })
    };
    let blueprints = vec![blueprint("A", "B", "to.to"), blueprint("B", "A", "to")];
    fixture.apply(blueprints, vec![]).await.unwrap();
    let refused = fixture
        .apply(vec![blueprint("C", "A", "to.gone")], vec![])
        .await;
    assert_eq!(violations(refused), pairs(&[("/ownership/path", "path")]));
    assert_eq!(
        missing(fixture.catalog.find_blueprint(&id("C")).await),
        "blueprint `C`"
    );
}

#[tokio::test]
async fn keys_of_other_versions_of_the_api_are_kept_as_they_came() {
    let fixture = Fixture::new();
    let document = json!({
        "identifier": "A", "title": "A", "schema": { "properties": {} }, "relations": {},
        "formulaProperties": {}, "teamInheritance": { "path": "x.y" },
        "changelogDestination": { "type": "WEBHOOK", "url": "https://example.com" }, "includeInGlobalSearch": true,
    });
    let created = fixture
        .catalog
        .create_blueprint(&fixture.actor, parse_blueprint(document.clone()).unwrap())
        .await
        .unwrap();
    let mut shown = serde_json::to_value(created.value).unwrap();
    shown["schema"]
        .as_object_mut()
        .unwrap()
        .shift_remove("required");
    assert_eq!(shown, document);
}

async fn emptied(
    fixture: &Fixture,
    blueprint: &str,
    delete_blueprint: bool,
) -> crate::model::Migration {
    let begun = fixture
        .catalog
        .start_emptying(&fixture.actor, &id(blueprint), delete_blueprint)
        .await
        .unwrap();
    assert_eq!(begun.status, MigrationStatus::Pending);
    loop {
        let now = fixture.catalog.find_migration(&begun.id).await.unwrap();
        if !matches!(
            now.status,
            MigrationStatus::Pending | MigrationStatus::Running
        ) {
            return now;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_blueprint_is_emptied_batch_by_batch_and_then_deleted() {
    let fixture = Fixture::with_services().await;
    for number in 0..450 {
        fixture.service(&format!("s{number:03}")).await;
    }
    let edges =
        json!({ "identifier": "s001", "relations": { "uses": ["s002", "s449"], "spare": "s000" } });
    fixture
        .write("Service", edges, WriteMode::Merge)
        .await
        .unwrap();
    let held = emptied(&fixture, "System", true).await;
    assert_eq!((held.status, held.done), (MigrationStatus::Failure, 0));
    assert!(
        held.message.as_ref().unwrap().contains("is required by"),
        "{held:?}"
    );
    let done = emptied(&fixture, "Service", false).await;
    assert_eq!((done.status, done.done), (MigrationStatus::Completed, 450));
    assert_eq!(
        fixture
            .catalog
            .count_entities(&id("Service"))
            .await
            .unwrap(),
        0
    );
    let done = emptied(&fixture, "Service", true).await;
    assert_eq!((done.status, done.done), (MigrationStatus::Completed, 0));
    assert_eq!(
        missing(fixture.catalog.find_blueprint(&id("Service")).await),
        "blueprint `Service`"
    );
    assert_eq!(
        missing(fixture.catalog.find_migration("m_x").await),
        "migration `m_x`"
    );
}

#[tokio::test]
async fn what_entities_of_an_emptied_blueprint_require_of_each_other_holds_nothing_up() {
    let fixture = Fixture::new();
    let blueprint = json!({ "identifier": "A", "title": "A", "schema": {},
                            "relations": { "next": { "target": "A", "required": true } } });
    fixture
        .catalog
        .create_blueprint(&fixture.actor, parse_blueprint(blueprint).unwrap())
        .await
        .unwrap();
    fixture
        .put(
            "A",
            json!({ "identifier": "own", "relations": { "next": "own" } }),
        )
        .await
        .unwrap();
    for (from, to) in [("a", "own"), ("b", "a"), ("c", "b")] {
        fixture
            .put(
                "A",
                json!({ "identifier": from, "relations": { "next": to } }),
            )
            .await
            .unwrap();
    }
    let done = emptied(&fixture, "A", true).await;
    assert_eq!(
        (done.status, done.done),
        (MigrationStatus::Completed, 4),
        "{done:?}"
    );
}

#[tokio::test]
async fn work_that_an_earlier_life_left_is_taken_up_again() {
    let fixture = Fixture::with_services().await;
    fixture.service("a").await;
    let migration = crate::model::Migration {
        id: "m_left".to_owned(),
        status: MigrationStatus::Running,
        blueprint: id("Service"),
        delete_blueprint: false,
        actor: fixture.actor.clone(),
        done: 7,
        message: None,
        created_at: crate::model::Timestamp(0),
        updated_at: crate::model::Timestamp(0),
    };
    fixture
        .store
        .write(move |tx| tx.insert_migration(&migration))
        .await
        .unwrap();
    fixture.catalog.resume_migrations().await.unwrap();
    loop {
        let now = fixture.catalog.find_migration("m_left").await.unwrap();
        if now.status == MigrationStatus::Completed {
            assert_eq!(now.done, 8);
            break;
        }
        assert_eq!(now.status, MigrationStatus::Running);
        tokio::task::yield_now().await;
    }
}
