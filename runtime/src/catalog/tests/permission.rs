//! Who may do what with the entities of a blueprint.

use super::*;
use crate::model::{Origin, Role};

/// Somebody at the door.
fn somebody(name: &str, role: Role, teams: &[&str]) -> Actor {
    Actor {
        name: name.to_owned(),
        role,
        teams: teams.iter().map(|team| (*team).to_owned()).collect(),
        origin: Origin::Api,
        ..Actor::system()
    }
}

async fn permit(fixture: &Fixture, entities: Value) -> Result<(), Error> {
    let patch = parse_permissions(json!({ "entities": entities }))?;
    fixture
        .catalog
        .patch_permissions(&fixture.actor, &id("Service"), patch)
        .await
        .map(|_| ())
}

async fn write(fixture: &Fixture, actor: &Actor, entity: Value) -> Result<Written, Error> {
    let draft = parse_draft(entity).unwrap();
    fixture
        .catalog
        .write_entity(
            actor,
            &id("Service"),
            draft,
            WriteMode::Merge,
            WriteOptions::default(),
        )
        .await
}

fn is_forbidden<T: std::fmt::Debug>(outcome: Result<T, Error>) -> bool {
    match outcome {
        Err(Error::Forbidden(message)) => {
            assert!(message.contains("ask an administrator"), "{message}");
            true
        }
        Ok(_) => false,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn without_permissions_the_role_decides_alone() {
    let fixture = Fixture::with_services().await;
    let shown = fixture
        .catalog
        .find_permissions(&id("Service"))
        .await
        .unwrap();
    let shown = serde_json::to_value(shown).unwrap();
    assert_eq!(
        shown["read"]["roles"],
        json!(["developer", "reviewer", "platform-engineer", "admin"])
    );
    assert_eq!(
        shown["unregister"],
        json!({ "users": [], "roles": ["platform-engineer", "admin"], "teams": [], "ownedByTeam": false })
    );
    let engineer = somebody("pat", Role::PlatformEngineer, &[]);
    let entity = json!({ "identifier": "a", "properties": { "language": "go" }, "relations": { "system": "Cart" } });
    write(&fixture, &engineer, entity).await.unwrap();
}

#[tokio::test]
async fn each_right_is_held_to() {
    let fixture = Fixture::with_services().await;
    let entity = |identifier: &str| {
        json!({ "identifier": identifier, "team": ["orders"], "properties": { "language": "go" },
                "relations": { "system": "Cart" } })
    };
    fixture.put("Service", entity("a")).await.unwrap();
    permit(
        &fixture,
        json!({
            "read": { "roles": ["developer"], "ownedByTeam": true },
            "register": { "users": ["ann@example.com"] },
            "update": { "ownedByTeam": true },
            "unregister": { "teams": ["sre"] },
            "updateProperties": { "tier": { "roles": ["admin"] }, "$team": { "roles": ["admin"] } },
            "updateRelations": { "spare": { "users": ["ann@example.com"] } },
        }),
    )
    .await
    .unwrap();
    let engineer = |name: &str, teams: &[&str]| somebody(name, Role::PlatformEngineer, teams);
    let (ann, pat) = (
        engineer("ann@example.com", &["orders"]),
        engineer("pat", &["orders"]),
    );
    let (sam, admin) = (
        engineer("sam", &["sre"]),
        somebody("root", Role::Admin, &[]),
    );

    assert!(is_forbidden(write(&fixture, &pat, entity("b")).await));
    assert!(!is_forbidden(write(&fixture, &ann, entity("b")).await));
    assert!(!is_forbidden(write(&fixture, &admin, entity("c")).await));

    let title = || json!({ "identifier": "a", "title": "A" });
    assert!(is_forbidden(write(&fixture, &sam, title()).await));
    assert!(!is_forbidden(write(&fixture, &pat, title()).await));
    let tier = json!({ "identifier": "a", "properties": { "tier": 1 } });
    assert!(is_forbidden(write(&fixture, &pat, tier.clone()).await));
    assert!(!is_forbidden(write(&fixture, &admin, tier).await));
    let same = json!({ "identifier": "a", "properties": { "tier": 1, "language": "rust" } });
    assert!(!is_forbidden(write(&fixture, &pat, same).await));
    let gone = json!({ "identifier": "a", "properties": { "tier": null } });
    assert!(is_forbidden(write(&fixture, &pat, gone).await));
    let team = json!({ "identifier": "a", "team": ["sre"] });
    assert!(is_forbidden(write(&fixture, &pat, team).await));
    let spare = || json!({ "identifier": "a", "relations": { "spare": "b" } });
    assert!(is_forbidden(write(&fixture, &pat, spare()).await));
    assert!(!is_forbidden(write(&fixture, &ann, spare()).await));
    // Nothing changes, so nothing is asked, but of whoever would be shown what they may not see.
    assert!(is_forbidden(write(&fixture, &sam, title()).await));
    let pam = engineer("pam", &["orders"]);
    assert!(!is_forbidden(write(&fixture, &pam, title()).await));

    let delete = async |actor: &Actor, identifier: &str| {
        fixture
            .catalog
            .delete_entity(
                actor,
                &id("Service"),
                &entity_id(identifier),
                Dependents::Keep,
            )
            .await
    };
    assert!(is_forbidden(delete(&ann, "b").await));
    // Whoever may delete it may not do so unseen.
    missing(delete(&sam, "b").await);
    let seeing = engineer("sam", &["sre", "orders"]);
    assert!(!is_forbidden(delete(&seeing, "b").await));

    let read = async |actor: &Actor| {
        let found = fixture
            .catalog
            .find_entity_for(actor, &id("Service"), &entity_id("a"), Values::All)
            .await;
        let listed = fixture
            .catalog
            .list_entities_for(actor, &id("Service"), None, 10, Values::All)
            .await;
        let count = fixture
            .catalog
            .count_entities_for(actor, &id("Service"))
            .await;
        match (found, listed, count) {
            (Err(Error::NotFound(_)), Ok(listed), Ok(count)) => {
                assert_eq!((listed.len(), count), (0, 0));
                false
            }
            (Err(found), listed, count) => {
                assert!(is_forbidden::<()>(Err(found)));
                assert!(is_forbidden(listed) && is_forbidden(count));
                false
            }
            (Ok(_), Ok(listed), Ok(count)) => {
                assert_eq!(listed.len() as u64, count);
                true
            }
            other => panic!("{other:?}"),
        }
    };
    assert!(read(&somebody("dev", Role::Developer, &[])).await);
    assert!(read(&pat).await);
    assert!(!read(&engineer("sam", &["sre"])).await);
    assert!(!read(&engineer("sam", &[])).await);
    assert!(read(&admin).await);

    // A plugin acts within its own grant.
    let plugin = Actor {
        origin: Origin::Plugin,
        run: Some(crate::model::RunId::parse("r_1").unwrap()),
        ..sam
    };
    assert!(!is_forbidden(write(&fixture, &plugin, entity("d")).await));
}

#[tokio::test]
async fn owned_entities_are_listed_to_their_last_page() {
    let fixture = Fixture::with_services().await;
    for number in 0..50 {
        let team = if number % 10 == 9 { "orders" } else { "sre" };
        let entity = json!({ "identifier": format!("s{number:02}"), "team": [team], "properties": { "language": "go" },
                             "relations": { "system": "Cart" } });
        fixture.put("Service", entity).await.unwrap();
    }
    permit(&fixture, json!({ "read": { "ownedByTeam": true } }))
        .await
        .unwrap();
    let dev = somebody("dev", Role::Developer, &["orders"]);
    let list = async |after: Option<&str>| {
        let page = fixture
            .catalog
            .list_entities_for(&dev, &id("Service"), after.map(entity_id), 3, Values::Own)
            .await
            .unwrap();
        page.into_iter()
            .map(|it| it.value.identifier.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(list(None).await, ["s09", "s19", "s29"]);
    assert_eq!(list(Some("s29")).await, ["s39", "s49"]);
    assert_eq!(
        fixture
            .catalog
            .count_entities_for(&dev, &id("Service"))
            .await
            .unwrap(),
        5
    );
    let dev = somebody("dev", Role::Developer, &[]);
    assert!(is_forbidden(
        fixture
            .catalog
            .count_entities_for(&dev, &id("Service"))
            .await
    ));
}

#[tokio::test]
async fn permissions_that_make_no_sense_are_told_where() {
    let fixture = Fixture::with_services().await;
    let refused = permit(
        &fixture,
        json!({
            "read": { "roles": ["Owner"], "users": "ann", "teams": [1], "ownedByTeam": "yes", "everybody": true,
                      "policy": { "combinator": "and", "rules": [] } },
            "destroy": {},
            "update": [],
            "updateProperties": { "tier": { "user": [] } },
        }),
    );
    assert_eq!(
        violations(refused.await),
        pairs(&[
            ("/entities/read/roles/0", "enum"),
            ("/entities/read/users", "type"),
            ("/entities/read/teams/0", "type"),
            ("/entities/read/ownedByTeam", "type"),
            ("/entities/read/everybody", "additionalProperties"),
            ("/entities/read/policy", "policy"),
            ("/entities/destroy", "additionalProperties"),
            ("/entities/update", "type"),
            (
                "/entities/updateProperties/tier/user",
                "additionalProperties"
            ),
        ])
    );
    let unknown = permit(
        &fixture,
        json!({
            "updateProperties": { "teir": {}, "$title": {}, "gone": null },
            "updateRelations": { "tier": {} },
        }),
    );
    assert_eq!(
        violations(unknown.await),
        pairs(&[
            ("/entities/updateProperties/teir", "property"),
            ("/entities/updateRelations/tier", "relation"),
        ])
    );
    for (document, refused) in [
        (
            json!({ "entries": {} }),
            vec![
                ("/entities", "required"),
                ("/entries", "additionalProperties"),
            ],
        ),
        (json!({}), vec![("/entities", "required")]),
        (
            json!({ "entities": {}, "actions": {} }),
            vec![("/actions", "additionalProperties")],
        ),
    ] {
        assert_eq!(violations(parse_permissions(document)), pairs(&refused));
    }
    let rows = fixture.audit().await.len();
    permit(&fixture, json!({ "read": null })).await.unwrap();
    assert_eq!(fixture.audit().await.len(), rows);
    permit(&fixture, json!({ "read": { "roles": ["Member"] } }))
        .await
        .unwrap();
    assert_eq!(fixture.audit().await[0].resource, "blueprint_permissions");
}

#[tokio::test]
async fn nobody_deletes_what_they_may_not_see() {
    let fixture = Fixture::with_services().await;
    for (name, spare) in [("a", None), ("b", Some("a"))] {
        let entity = json!({ "identifier": name, "properties": { "language": "go" },
                             "relations": { "system": "Cart", "spare": spare } });
        fixture.put("Service", entity).await.unwrap();
    }
    permit(&fixture, json!({ "read": { "roles": ["admin"] } }))
        .await
        .unwrap();
    let pat = &somebody("pat", Role::PlatformEngineer, &["sre"]);
    let (service, a) = (id("Service"), entity_id("a"));
    let catalog = &fixture.catalog;
    for dependents in [Dependents::Keep, Dependents::Delete] {
        let deleted = catalog.delete_entity(pat, &service, &a, dependents);
        assert!(is_forbidden(deleted.await));
        let many = catalog.delete_entities(pat, &service, vec![a.clone()], dependents);
        let outcome = many.await.unwrap().swap_remove(0);
        assert!(is_forbidden(outcome.map_err(|refused| refused.error)));
    }
    // Nor by way of what they see: the system, on which all services depend.
    let cart = entity_id("Cart");
    let along = catalog
        .delete_entity(pat, &id("System"), &cart, Dependents::Delete)
        .await;
    match along {
        Err(Error::Forbidden(message)) => assert!(!message.contains("Service"), "{message}"),
        other => panic!("{other:?}"),
    }
    let pruned = {
        let (catalog, pat) = (catalog.clone(), pat.clone());
        let doomed = [(service.clone(), a.clone())];
        let pruned = fixture
            .store
            .write(move |tx| catalog.prune_in(tx, &pat, &[], &doomed));
        pruned.await
    };
    assert!(is_forbidden(pruned));
    assert!(fixture.entity("Service", "a").await.is_some());
}

#[tokio::test]
async fn a_missing_target_is_made_only_by_whoever_may_add_it() {
    let mut fixture = Fixture::with_services().await;
    let patch = json!({ "entities": { "register": { "users": ["ann@example.com"] } } });
    fixture
        .catalog
        .patch_permissions(
            &fixture.actor,
            &id("System"),
            parse_permissions(patch).unwrap(),
        )
        .await
        .unwrap();
    let entity = json!({ "identifier": "a", "properties": { "language": "go" }, "relations": { "system": "New" } });
    let options = WriteOptions {
        create_missing_targets: true,
        ..WriteOptions::default()
    };
    fixture.actor = somebody("pat", Role::PlatformEngineer, &[]);
    let refused = fixture.write_with("Service", entity.clone(), WriteMode::Merge, options);
    assert!(is_forbidden(refused.await));
    let (service, many) = (id("Service"), vec![entity.clone()]);
    let many =
        fixture
            .catalog
            .write_entities(&fixture.actor, &service, many, WriteMode::Merge, options);
    let outcome = many.await.unwrap().swap_remove(0);
    assert!(is_forbidden(outcome.map_err(|refused| refused.error)));
    assert!(fixture.entity("Service", "a").await.is_none());
    assert!(fixture.entity("System", "New").await.is_none());
    fixture.actor = somebody("ann@example.com", Role::PlatformEngineer, &[]);
    let allowed = fixture.write_with("Service", entity, WriteMode::Merge, options);
    assert!(!is_forbidden(allowed.await));
    assert!(fixture.entity("System", "New").await.is_some());
}

#[tokio::test]
async fn what_is_hidden_among_what_is_not_looks_as_if_it_did_not_exist() {
    let fixture = Fixture::with_services().await;
    let entity = json!({ "identifier": "a", "team": ["sre"], "properties": { "language": "go" },
                         "relations": { "system": "Cart" } });
    fixture.put("Service", entity).await.unwrap();
    permit(&fixture, json!({ "read": { "ownedByTeam": true } }))
        .await
        .unwrap();
    let pat = &somebody("pat", Role::PlatformEngineer, &["orders"]);
    let (catalog, service) = (&fixture.catalog, &id("Service"));
    let mut told = Vec::new();
    for name in ["a", "b"] {
        let entity = &entity_id(name);
        let found = catalog
            .find_entity_for(pat, service, entity, Values::All)
            .await;
        let draft = parse_draft(json!({ "title": "A" })).unwrap();
        let options = WriteOptions::default();
        let changed = catalog
            .change_entity(pat, service, entity, draft, Extent::Parts, options)
            .await;
        let deleted = catalog
            .delete_entity(pat, service, entity, Dependents::Keep)
            .await;
        let many = catalog
            .delete_entities(pat, service, vec![entity.clone()], Dependents::Delete)
            .await;
        assert_eq!(many.unwrap().len(), 0);
        let outcomes = [missing(found), missing(changed), missing(deleted)];
        told.push(outcomes.map(|message| message.replace(&format!("`{name}`"), "`x`")));
    }
    assert_eq!(told[0], told[1]);
    // What would add it cannot but say that it may not.
    let title = json!({ "identifier": "a", "title": "A" });
    assert!(is_forbidden(write(&fixture, pat, title).await));
    // Nobody takes what they do not see for a missing one where they see nothing at all.
    let nobody = &somebody("sam", Role::PlatformEngineer, &[]);
    for name in ["a", "b"] {
        let found = catalog
            .find_entity_for(nobody, service, &entity_id(name), Values::All)
            .await;
        assert!(is_forbidden(found));
    }
    assert!(fixture.entity("Service", "a").await.is_some());
}

#[tokio::test]
async fn a_refused_deletion_names_only_what_its_caller_may_see() {
    let fixture = Fixture::with_services().await;
    for (name, team) in [("mine", "orders"), ("theirs", "sre"), ("others", "sre")] {
        let entity = json!({ "identifier": name, "team": [team], "properties": { "language": "go" },
                             "relations": { "system": "Cart" } });
        fixture.put("Service", entity).await.unwrap();
    }
    permit(&fixture, json!({ "read": { "ownedByTeam": true } }))
        .await
        .unwrap();
    let (system, cart) = (id("System"), entity_id("Cart"));
    let told = async |teams: &[&str]| {
        let pat = somebody("pat", Role::PlatformEngineer, teams);
        let deleted = fixture
            .catalog
            .delete_entity(&pat, &system, &cart, Dependents::Keep)
            .await;
        let (_, single) = conflict(deleted);
        let (catalog, doomed) = (fixture.catalog.clone(), [(system.clone(), cart.clone())]);
        let pruned = fixture
            .store
            .write(move |tx| catalog.prune_in(tx, &pat, &[], &doomed));
        let (_, pruned) = conflict(pruned.await);
        for message in [&single, &pruned] {
            assert!(
                !message.contains("theirs") && !message.contains("others"),
                "{message}"
            );
        }
        (single, pruned)
    };
    let (single, pruned) = told(&["orders"]).await;
    assert_eq!(
        single,
        "entity `Cart` of blueprint `System` is required by entity `mine` of blueprint `Service` (relation `system`) and \
         2 that you may not see; point them elsewhere first, or delete dependents too"
    );
    assert!(
        pruned.contains("(relation `system`) and 2 that you may not see;"),
        "{pruned}"
    );
    let (single, _) = told(&[]).await;
    assert!(
        single.contains("is required by 3 that you may not see;"),
        "{single}"
    );
}
