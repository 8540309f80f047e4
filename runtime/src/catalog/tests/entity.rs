use super::*;
use crate::catalog::entity::{People, Plan, Request, Write};
use crate::catalog::relation::Missing;
use crate::model::Verb;
use crate::model::{Principal, PrincipalKind, Role};
use crate::store::Credential;

#[tokio::test]
async fn an_entity_shows_every_relation_of_its_blueprint() {
    let fixture = Fixture::with_services().await;
    let written = fixture.service("a").await;
    assert!(written.created);
    let shown = serde_json::to_value(&written.entity.value).unwrap();
    assert_eq!(
        shown["relations"],
        json!({ "system": "Cart", "uses": [], "spare": null })
    );
    assert_eq!(fixture.entity("Service", "a").await.unwrap(), shown);
}

#[tokio::test]
async fn every_rule_that_an_entity_breaks_is_told() {
    let fixture = Fixture::with_services().await;
    let entity = json!({
        "identifier": "a",
        "properties": { "tier": 0, "site": "x", "languages": "rust" },
        "relations": { "uses": "b", "spare": ["b"], "sytem": "Cart" },
    });
    let found = fixture.put("Service", entity.clone()).await;
    let Err(Error::Invalid {
        violations: told,
        subject,
    }) = &found
    else {
        panic!("{found:?}")
    };
    assert_eq!(subject, "entity `a` of blueprint `Service`");
    let message = &told
        .iter()
        .find(|violation| violation.rule == "additionalProperties")
        .unwrap()
        .message;
    assert_eq!(
        message,
        "`languages` is not a property of blueprint `Service`; it has tier, language, site"
    );
    assert_eq!(
        violations(found),
        pairs(&[
            ("/relations/sytem", "relation"),
            ("/relations/system", "required"),
            ("/relations/uses", "many"),
            ("/relations/spare", "many"),
            ("/properties/language", "required"),
            ("/properties/tier", "minimum"),
            ("/properties/site", "format"),
            ("/properties/languages", "additionalProperties"),
        ])
    );
    assert_eq!(fixture.entity("Service", "a").await, None);
}

#[tokio::test]
async fn each_write_mode_does_what_it_says() {
    let fixture = Fixture::with_services().await;
    let first = json!({
        "identifier": "a", "title": "A", "icon": "I", "team": ["x"],
        "properties": { "language": "rust", "tier": 1 }, "relations": { "system": "Cart", "spare": "a" },
    });
    assert_eq!(
        missing(
            fixture
                .write("Service", first.clone(), WriteMode::Update)
                .await
        ),
        "entity `a` of blueprint `Service`"
    );
    assert!(matches!(
        fixture
            .write("Service", first.clone(), WriteMode::Overwrite)
            .await,
        Err(Error::NotFound(_))
    ));
    assert!(
        fixture
            .write("Service", first.clone(), WriteMode::Create)
            .await
            .unwrap()
            .created
    );
    assert_eq!(
        conflict(
            fixture
                .write("Service", first.clone(), WriteMode::Create)
                .await
        )
        .0,
        "already_exists"
    );

    for mode in [WriteMode::Merge, WriteMode::Update] {
        fixture.put("Service", first.clone()).await.unwrap();
        let change = json!({
            "identifier": "a", "title": null, "properties": { "tier": null, "site": "https://example.com" },
            "relations": { "spare": null, "uses": ["a"] },
        });
        let written = fixture.write("Service", change, mode).await.unwrap();
        assert!(!written.created);
        assert_eq!(
            fixture.entity("Service", "a").await.unwrap(),
            json!({
                "identifier": "a", "title": null, "icon": "I", "blueprint": "Service", "team": ["x"],
                "properties": { "language": "rust", "site": "https://example.com" },
                "relations": { "system": "Cart", "uses": ["a"], "spare": null },
            })
        );
    }
    for mode in [WriteMode::Replace, WriteMode::Overwrite] {
        fixture.put("Service", first.clone()).await.unwrap();
        let change = json!({ "identifier": "a", "properties": { "language": "go" }, "relations": { "system": "Cart" } });
        fixture.write("Service", change, mode).await.unwrap();
        assert_eq!(
            fixture.entity("Service", "a").await.unwrap(),
            json!({
                "identifier": "a", "title": null, "icon": null, "blueprint": "Service", "team": [],
                "properties": { "language": "go" },
                "relations": { "system": "Cart", "uses": [], "spare": null },
            })
        );
    }
}

#[tokio::test]
async fn an_entity_without_identifier_gets_one() {
    let fixture = Fixture::with_services().await;
    let first = fixture
        .put("System", json!({}))
        .await
        .unwrap()
        .entity
        .value
        .identifier;
    let second = fixture
        .put("System", json!({}))
        .await
        .unwrap()
        .entity
        .value
        .identifier;
    assert!(
        first.as_str().starts_with("e_") && first.as_str().len() == 18,
        "{first}"
    );
    assert_ne!(first, second);
    let update = fixture.write("System", json!({}), WriteMode::Update).await;
    assert_eq!(violations(update), pairs(&[("/identifier", "required")]));
}

#[tokio::test]
async fn a_missing_target_is_named_or_created_bare() {
    let fixture = Fixture::with_services().await;
    let entity = json!({
        "identifier": "a", "properties": { "language": "go" }, "relations": { "system": "Shop", "uses": ["b", "c"] },
    });
    assert_eq!(
        missing(fixture.put("Service", entity.clone()).await),
        "entity `Shop` of blueprint `System`"
    );
    let options = WriteOptions {
        create_missing_targets: true,
        ..WriteOptions::default()
    };
    fixture
        .write_with("Service", entity, WriteMode::Create, options)
        .await
        .unwrap();
    assert!(fixture.entity("System", "Shop").await.is_some());
    let bare = fixture.entity("Service", "b").await.unwrap();
    assert_eq!(
        bare["relations"],
        json!({ "system": null, "uses": [], "spare": null })
    );
    let verbs: Vec<_> = fixture
        .audit()
        .await
        .iter()
        .take(4)
        .map(|row| row.identifier.clone())
        .collect();
    assert_eq!(
        verbs,
        ["Service/a", "Service/c", "Service/b", "System/Shop"]
    );
}

#[tokio::test]
async fn a_dry_run_checks_everything_and_changes_nothing() {
    let fixture = Fixture::with_services().await;
    let rows = fixture.audit().await.len();
    let options = WriteOptions {
        validation_only: true,
        create_missing_targets: true,
    };
    let entity = json!({ "identifier": "a", "properties": { "language": "go" }, "relations": { "system": "New" } });
    let written = fixture
        .write_with("Service", entity, WriteMode::Create, options)
        .await
        .unwrap();
    assert!(written.created);
    let wrong = json!({ "identifier": "a" });
    assert!(matches!(
        fixture
            .write_with("Service", wrong, WriteMode::Create, options)
            .await,
        Err(Error::Invalid { .. })
    ));
    assert_eq!(fixture.entity("Service", "a").await, None);
    assert_eq!(fixture.entity("System", "New").await, None);
    assert_eq!(fixture.audit().await.len(), rows);
}

#[tokio::test]
async fn an_unchanged_write_leaves_no_trace() {
    let fixture = Fixture::with_services().await;
    let entity = json!({
        "identifier": "a", "team": ["x", "x"], "properties": { "tier": 1, "language": "go" },
        "relations": { "uses": ["a", "a"], "system": "Cart" },
    });
    let first = fixture.put("Service", entity.clone()).await.unwrap();
    let rows = fixture.audit().await.len();
    let again = fixture.put("Service", entity).await.unwrap();
    let merged = fixture
        .write("Service", json!({ "identifier": "a" }), WriteMode::Merge)
        .await
        .unwrap();
    assert_eq!((&again.entity, again.created), (&first.entity, false));
    assert_eq!(merged.entity, first.entity);
    assert_eq!(fixture.audit().await.len(), rows);
}

#[tokio::test]
async fn each_change_is_audited_with_what_was_and_what_is() {
    let fixture = Fixture::with_services().await;
    fixture.service("a").await;
    let change = json!({ "identifier": "a", "title": "New", "relations": { "uses": ["a"] } });
    fixture
        .write("Service", change, WriteMode::Merge)
        .await
        .unwrap();
    fixture
        .delete("Service", "a", Dependents::Keep)
        .await
        .unwrap();
    let rows = fixture.audit().await;
    let [deleted, updated, created, ..] = rows.as_slice() else {
        panic!()
    };
    assert_eq!(
        (deleted.action, updated.action, created.action),
        (Verb::Delete, Verb::Update, Verb::Create)
    );
    assert_eq!(updated.identifier, "Service/a");
    assert_eq!(updated.before, created.after);
    assert_eq!(updated.before.as_ref().unwrap()["title"], json!(null));
    assert_eq!(
        updated.after.as_ref().unwrap()["relations"]["uses"],
        json!(["a"])
    );
    assert_eq!((&deleted.before, &deleted.after), (&updated.after, &None));
}

#[tokio::test]
async fn deleting_clears_what_points_here_and_stops_at_what_must() {
    let fixture = Fixture::with_services().await;
    for identifier in ["a", "b", "c"] {
        fixture.service(identifier).await;
    }
    let points =
        json!({ "identifier": "b", "relations": { "uses": ["c", "a", "b"], "spare": "a" } });
    fixture
        .write("Service", points, WriteMode::Merge)
        .await
        .unwrap();
    let (code, message) = conflict(fixture.delete("System", "Cart", Dependents::Keep).await);
    assert_eq!(code, "has_dependents");
    assert!(
        message.contains("entity `a` of blueprint `Service` (relation `system`)"),
        "{message}"
    );
    fixture
        .delete("Service", "a", Dependents::Keep)
        .await
        .unwrap();
    let left = fixture.entity("Service", "b").await.unwrap();
    assert_eq!(
        left["relations"],
        json!({ "system": "Cart", "uses": ["c", "b"], "spare": null })
    );
    let rows = fixture.audit().await;
    assert_eq!(
        (rows[0].action, rows[1].action),
        (Verb::Delete, Verb::Update)
    );
    assert_eq!(
        rows[1].before.as_ref().unwrap()["relations"]["uses"],
        json!(["c", "a", "b"])
    );
    assert_eq!(
        missing(fixture.delete("Service", "a", Dependents::Keep).await),
        "entity `a` of blueprint `Service`"
    );
}

#[tokio::test]
async fn deleting_dependents_goes_round_circles() {
    let fixture = Fixture::with_services().await;
    for identifier in ["a", "b", "c", "d"] {
        fixture.service(identifier).await;
    }
    for (from, to) in [("a", "b"), ("b", "c"), ("c", "a"), ("a", "d")] {
        let edge = json!({ "identifier": from, "relations": { "uses": [to, from] } });
        fixture
            .write("Service", edge, WriteMode::Merge)
            .await
            .unwrap();
    }
    let edge = json!({ "identifier": "a", "relations": { "uses": ["b", "d"] } });
    fixture
        .write("Service", edge, WriteMode::Merge)
        .await
        .unwrap();
    fixture
        .delete("Service", "c", Dependents::Delete)
        .await
        .unwrap();
    for gone in ["a", "b", "c"] {
        assert_eq!(fixture.entity("Service", gone).await, None, "{gone}");
    }
    assert!(fixture.entity("Service", "d").await.is_some());
    fixture
        .delete("System", "Cart", Dependents::Delete)
        .await
        .unwrap();
    assert_eq!(
        fixture
            .catalog
            .count_entities(&id("Service"))
            .await
            .unwrap(),
        0
    );
}

#[tokio::test]
async fn a_list_is_paged_and_complete() {
    let fixture = Fixture::with_services().await;
    for number in 0..25 {
        fixture.service(&format!("s{number:02}")).await;
    }
    let mut after = None;
    let mut seen = Vec::new();
    loop {
        let page = fixture
            .catalog
            .list_entities(&id("Service"), after, 10)
            .await
            .unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.value.identifier.clone());
        seen.extend(page);
    }
    assert_eq!(seen.len(), 25);
    assert!(seen.is_sorted_by_key(|entity| entity.value.identifier.clone()));
    assert!(
        seen.iter()
            .all(|entity| entity.value.relations["system"].targets().len() == 1)
    );
    assert_eq!(
        fixture
            .catalog
            .count_entities(&id("Service"))
            .await
            .unwrap(),
        25
    );
    assert_eq!(
        missing(fixture.catalog.list_entities(&id("None"), None, 1).await),
        "blueprint `None`"
    );
}

#[tokio::test]
async fn an_entity_may_point_at_ten_thousand_others() {
    let fixture = Fixture::with_services().await;
    let targets: Vec<String> = (0..10_000).map(|number| format!("t{number}")).collect();
    let entity = json!({
        "identifier": "hub", "properties": { "language": "go" }, "relations": { "system": "Cart", "uses": targets },
    });
    let options = WriteOptions {
        create_missing_targets: true,
        ..WriteOptions::default()
    };
    fixture
        .write_with("Service", entity, WriteMode::Create, options)
        .await
        .unwrap();
    let hub = fixture.entity("Service", "hub").await.unwrap();
    assert_eq!(hub["relations"]["uses"], json!(targets));
    fixture
        .delete("Service", "t5000", Dependents::Keep)
        .await
        .unwrap();
    assert_eq!(
        fixture.entity("Service", "hub").await.unwrap()["relations"]["uses"]
            .as_array()
            .unwrap()
            .len(),
        9_999
    );
}

#[tokio::test]
async fn somebody_who_came_in_since_a_write_was_thought_through_is_guarded_from_it() {
    let fixture = Fixture::new();
    let ann = Principal {
        client_id: "gp_ann".to_owned(),
        kind: PrincipalKind::User,
        name: "ann@example.com".to_owned(),
        role: Role::Developer,
        teams: Vec::new(),
        created_at: crate::model::Timestamp::now(),
    };
    let known = ann.clone();
    let (catalog, actor) = (fixture.catalog.clone(), fixture.actor.clone());
    fixture
        .store
        .write(move |tx| catalog.put_user_in(tx, &actor, &known))
        .await
        .unwrap();
    for draft in [
        json!({ "team": ["everything"] }),
        json!({ "properties": { "port_role": "admin" } }),
    ] {
        let request = Request {
            id: EntityId::parse("ann@example.com").unwrap(),
            draft: parse_draft(draft).unwrap(),
            mode: WriteMode::Update,
            people: People::Guarded,
        };
        let (kinds, actor) = (fixture.catalog.kinds.clone(), fixture.actor.clone());
        let plan = fixture
            .store
            .read({
                let (kinds, actor, request) = (kinds.clone(), actor.clone(), request.clone());
                move |tx| {
                    let kind = kinds.load(tx, &id("_user"))?;
                    Plan::new(tx, &kind, &actor, request)
                }
            })
            .await
            .unwrap();
        // Their entity says already what it has to, so that nothing of it changes.
        let credential = Credential {
            principal: ann.clone(),
            secret_hash: "hash".to_owned(),
            secret_id: "id".to_owned(),
        };
        let outcome = fixture
            .store
            .write(move |tx| {
                tx.insert_credential(&credential)?;
                let write = Write::new(tx, &kinds, &actor, Missing::Refuse);
                write.finish(&write.kind(&id("_user"))?, request, plan)
            })
            .await;
        assert!(
            matches!(outcome, Err(Error::Conflict { code, .. }) if code == "system_blueprint"),
            "{outcome:?}"
        );
    }
}
