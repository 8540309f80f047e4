//! What single writes make of an entity: other identifiers, defaults, whose program it is.

use super::*;

async fn change(
    fixture: &Fixture,
    identifier: &str,
    body: Value,
    extent: Extent,
) -> Result<Written, Error> {
    let (blueprint, draft) = (id("Service"), parse_draft(body)?);
    let entity = entity_id(identifier);
    fixture
        .catalog
        .change_entity(
            &fixture.actor,
            &blueprint,
            &entity,
            draft,
            extent,
            WriteOptions::default(),
        )
        .await
}

#[tokio::test]
async fn an_entity_that_gets_another_identifier_keeps_its_edges_both_ways() {
    let fixture = Fixture::with_services().await;
    for identifier in ["a", "b"] {
        fixture.service(identifier).await;
    }
    let edges = json!({ "relations": { "uses": ["a", "b"], "spare": "a" } });
    change(&fixture, "a", edges.clone(), Extent::Parts)
        .await
        .unwrap();
    change(&fixture, "b", edges, Extent::Parts).await.unwrap();
    let written = change(&fixture, "a", json!({ "identifier": "z" }), Extent::Parts)
        .await
        .unwrap();
    assert!(!written.created);
    let own = json!({ "system": "Cart", "uses": ["z", "b"], "spare": "z" });
    assert_eq!(
        serde_json::to_value(&written.entity.value.relations).unwrap(),
        own
    );
    for identifier in ["z", "b"] {
        let entity = fixture.entity("Service", identifier).await.unwrap();
        assert_eq!(entity["relations"], own, "{identifier}");
    }
    assert_eq!(fixture.entity("Service", "a").await, None);

    // What was thought through before the other name came is thought through again.
    let body = json!({ "identifier": "y", "properties": { "language": "go" }, "relations": { "system": "Cart" } });
    change(&fixture, "z", body, Extent::Whole).await.unwrap();
    let left = fixture.entity("Service", "y").await.unwrap();
    assert_eq!(left["relations"]["uses"], json!([]));
    let row = &fixture.audit().await[0];
    assert_eq!(row.before.as_ref().unwrap()["identifier"], json!("z"));
    assert_eq!(row.after.as_ref().unwrap()["identifier"], json!("y"));
}

#[tokio::test]
async fn an_identifier_that_is_taken_is_refused() {
    let fixture = Fixture::with_services().await;
    for identifier in ["a", "b"] {
        fixture.service(identifier).await;
    }
    let taken = change(&fixture, "a", json!({ "identifier": "b" }), Extent::Parts).await;
    assert_eq!(conflict(taken).0, "already_exists");
    let own = change(&fixture, "a", json!({ "identifier": "a" }), Extent::Parts).await;
    assert!(own.is_ok());
    let nobody = change(&fixture, "n", json!({ "identifier": "m" }), Extent::Parts).await;
    assert_eq!(missing(nobody), "entity `n` of blueprint `Service`");
}

#[tokio::test]
async fn defaults_are_for_new_entities_that_say_nothing() {
    let fixture = Fixture::new();
    let blueprint = json!({
        "identifier": "A", "title": "A",
        "schema": {
            "properties": {
                "tier": { "type": "number", "default": 3 },
                "on": { "type": "boolean", "default": false },
                "tags": { "type": "array", "default": ["x"] },
                "note": { "type": "string", "default": null },
            },
            "required": ["tier"],
        },
        "relations": { "next": { "target": "A" } },
    });
    fixture
        .catalog
        .create_blueprint(&fixture.actor, parse_blueprint(blueprint).unwrap())
        .await
        .unwrap();
    let properties = async |body: Value, mode: WriteMode| {
        let written = fixture.write("A", body, mode).await.unwrap();
        serde_json::to_value(written.entity.value.properties).unwrap()
    };
    let all = json!({ "tier": 3, "on": false, "tags": ["x"] });
    for mode in [WriteMode::Create, WriteMode::Replace, WriteMode::Merge] {
        let identifier = format!("{mode:?}");
        assert_eq!(
            properties(json!({ "identifier": identifier }), mode).await,
            all
        );
    }
    let some = json!({ "identifier": "some", "properties": { "tier": 1, "on": null } });
    assert_eq!(
        properties(some, WriteMode::Create).await,
        json!({ "tags": ["x"], "tier": 1 })
    );
    let replaced = json!({ "identifier": "some", "properties": { "tier": 2 } });
    assert_eq!(
        properties(replaced, WriteMode::Replace).await,
        json!({ "tier": 2 })
    );
    let cleared = json!({ "identifier": "none", "properties": { "tier": null } });
    assert_eq!(
        violations(fixture.write("A", cleared, WriteMode::Create).await),
        pairs(&[("/properties/tier", "required")])
    );
    // A document is an entity whole: applied again it changes nothing, and a value that is gone comes back.
    let document =
        json!({ "identifier": "some", "blueprint": "A", "properties": { "tier": 2, "on": null } });
    for outcome in ["updated", "unchanged"] {
        let applied = fixture.apply(vec![], vec![document.clone()]).await.unwrap();
        let applied = serde_json::to_value(applied).unwrap();
        assert_eq!(
            applied[outcome].as_array().map(Vec::len),
            Some(1),
            "{applied}"
        );
    }
    assert_eq!(
        fixture.entity("A", "some").await.unwrap()["properties"],
        json!({ "tier": 2, "tags": ["x"] })
    );
    // A bare target has its identifier and nothing else.
    let options = WriteOptions {
        create_missing_targets: true,
        ..WriteOptions::default()
    };
    let pointing = json!({ "identifier": "p", "relations": { "next": "bare" } });
    fixture
        .write_with("A", pointing, WriteMode::Create, options)
        .await
        .unwrap();
    assert_eq!(
        fixture.entity("A", "bare").await.unwrap()["properties"],
        json!({})
    );
}

#[tokio::test]
async fn a_program_finds_what_it_wrote_last() {
    let mut fixture = Fixture::with_services().await;
    let write = async |fixture: &Fixture, identifier: &str| fixture.service(identifier).await;
    let client = |fixture: &mut Fixture, name: &str| fixture.actor.client = Some(name.to_owned());
    let query = |from: Option<i64>, limit: usize| DatasourceQuery {
        prefix: "port-ocean/jira/".to_owned(),
        suffix: "/mine/exporter".to_owned(),
        before: None,
        from,
        limit,
    };
    client(&mut fixture, "port-ocean/jira/1.0/mine/exporter");
    write(&fixture, "a").await;
    write(&fixture, "b").await;
    client(&mut fixture, "port-ocean/jira/1.1/mine/exporter");
    write(&fixture, "c").await;
    write(&fixture, "a").await;
    client(&mut fixture, "port-ocean/jira/1.0/other/exporter");
    write(&fixture, "d").await;
    client(&mut fixture, "curl/8");
    write(&fixture, "e").await;
    fixture.actor.client = None;
    write(&fixture, "f").await;

    let list = async |query: DatasourceQuery| {
        fixture
            .catalog
            .list_of_datasource(&fixture.actor, query)
            .await
            .unwrap()
    };
    let (all, next) = list(query(None, 10)).await;
    let names: Vec<_> = all.iter().map(|it| it.identifier.as_str()).collect();
    assert_eq!((names, next), (vec!["a", "b", "c"], None));
    assert_eq!(all[0].relations["system"].targets().len(), 1);
    let (first, next) = list(query(None, 2)).await;
    let (rest, end) = list(query(next, 2)).await;
    assert_eq!((first.len(), rest.len(), end), (2, 1, None));
    assert_eq!(rest[0].identifier.as_str(), "c");
    let past = DatasourceQuery {
        before: Some(crate::model::Timestamp(1)),
        ..query(None, 10)
    };
    assert_eq!(list(past).await.0, []);
    // Neither half of a name may stand for both.
    let overlap = DatasourceQuery {
        prefix: "curl/8".to_owned(),
        suffix: "l/8".to_owned(),
        ..query(None, 10)
    };
    assert_eq!(list(overlap).await.0, []);
    let whole = DatasourceQuery {
        prefix: "curl/8".to_owned(),
        suffix: String::new(),
        ..query(None, 10)
    };
    assert_eq!(list(whole).await.0.len(), 1);
}

#[tokio::test]
async fn an_entity_that_is_as_it_should_be_is_claimed_and_the_log_says_by_which_program() {
    let mut fixture = Fixture::with_services().await;
    fixture.actor.client = Some("one".to_owned());
    let first = fixture.service("a").await;
    let rows = fixture.audit().await.len();
    fixture.actor.client = Some("two".to_owned());
    let again = fixture.service("a").await;
    assert_eq!(again.entity, first.entity);
    let audit = fixture.audit().await;
    assert_eq!(audit.len(), rows + 1);
    let told = &audit[0];
    assert_eq!(told.resource, "entity");
    assert_eq!(told.before.as_ref().unwrap()["datasource"], "one");
    assert_eq!(told.after.as_ref().unwrap()["datasource"], "two");
    fixture.service("a").await;
    assert_eq!(fixture.audit().await.len(), rows + 1);

    // Whoever may not change it does not take it over by leaving it as it is.
    let patch = json!({ "entities": { "update": { "roles": ["admin"] } } });
    fixture
        .catalog
        .patch_permissions(
            &fixture.actor,
            &id("Service"),
            parse_permissions(patch).unwrap(),
        )
        .await
        .unwrap();
    let rows = fixture.audit().await.len();
    fixture.actor = Actor {
        role: crate::model::Role::PlatformEngineer,
        origin: crate::model::Origin::Api,
        client: Some("three".to_owned()),
        ..fixture.actor
    };
    assert!(!fixture.service("a").await.created);
    assert_eq!(fixture.audit().await.len(), rows);
    for (prefix, count) in [("one", 0), ("two", 1), ("three", 0)] {
        let query = DatasourceQuery {
            prefix: prefix.to_owned(),
            limit: 10,
            ..DatasourceQuery::default()
        };
        let found = fixture
            .catalog
            .list_of_datasource(&fixture.actor, query)
            .await
            .unwrap();
        assert_eq!(found.0.len(), count, "{prefix}");
    }
}

#[tokio::test]
async fn a_hundred_thousand_edges_lead_out_of_one_entity_and_into_one() {
    const MANY: usize = 100_000;
    let fixture = Fixture::new();
    let blueprint = json!({
        "identifier": "Node", "title": "Node", "schema": {},
        "relations": { "next": { "target": "Node", "many": true } },
    });
    fixture
        .catalog
        .create_blueprint(&fixture.actor, parse_blueprint(blueprint).unwrap())
        .await
        .unwrap();
    let node = |identifier: &str, next: &[String]| json!({ "identifier": identifier, "relations": { "next": next } });
    fixture.put("Node", node("hub", &[])).await.unwrap();
    let names: Vec<String> = (0..MANY).map(|number| format!("n{number}")).collect();
    for names in names.chunks(10_000) {
        let entities = names.iter().map(|name| node(name, &["hub".to_owned()]));
        let (entities, options) = (entities.collect(), WriteOptions::default());
        let written = fixture
            .catalog
            .write_entities(
                &fixture.actor,
                &id("Node"),
                entities,
                WriteMode::Create,
                options,
            )
            .await
            .unwrap();
        assert!(written.iter().all(Result::is_ok));
    }
    // Each of them is pointed back at: as many circles.
    fixture.put("Node", node("hub", &names)).await.unwrap();
    let hub = fixture.entity("Node", "hub").await.unwrap();
    assert_eq!(hub["relations"]["next"], json!(names));
    fixture
        .delete("Node", "hub", Dependents::Keep)
        .await
        .unwrap();
    let left = fixture
        .entity("Node", &format!("n{}", MANY - 1))
        .await
        .unwrap();
    assert_eq!(left["relations"]["next"], json!([]));
    let too_many: Vec<_> = (0..200_001).map(|number| format!("n{number}")).collect();
    assert_eq!(
        violations(fixture.put("Node", node("hub", &too_many)).await),
        pairs(&[("/relations", "maxItems")])
    );
}
