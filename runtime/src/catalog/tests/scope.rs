//! What somebody may not see they do not find either, whichever way they look for it.

use super::*;
use crate::model::{AuditFilter, Origin, Role, Subject, Timestamp};
use crate::store::AuditOrder;

fn now() -> Timestamp {
    Timestamp::now()
}

fn somebody(role: Role, teams: &[&str]) -> Actor {
    Actor {
        name: "dev".to_owned(),
        role,
        teams: teams.iter().map(|team| (*team).to_owned()).collect(),
        origin: Origin::Api,
        ..Actor::system()
    }
}

fn all(rules: Value) -> Value {
    json!({"combinator": "and", "rules": rules})
}

fn every(name: &str, value: &str) -> Value {
    all(json!([{"property": name, "operator": "=", "value": value}]))
}

/// Systems that anybody may see, and services that only their owners may: `open` of team orders, `closed` of team sre.
/// Both point at the system Cart; `open` uses `closed`, which uses `open` and points at the system Hidden.
async fn with_secrets() -> Fixture {
    let fixture = Fixture::with_services().await;
    fixture
        .put(
            "System",
            json!({ "identifier": "Hidden", "title": "Behind" }),
        )
        .await
        .unwrap();
    let service = |name: &str, title: &str, team: &str, system: &str, uses: Value| {
        json!({ "identifier": name, "title": title, "team": [team], "properties": { "language": "go" },
                "relations": { "system": system, "uses": uses } })
    };
    for entity in [
        service("open", "Checkout", "orders", "Cart", json!([])),
        service("closed", "Xylophone", "sre", "Hidden", json!(["open"])),
        service("open", "Checkout", "orders", "Cart", json!(["closed"])),
    ] {
        fixture.put("Service", entity).await.unwrap();
    }
    permit(&fixture, json!({ "read": { "ownedByTeam": true } })).await;
    fixture
}

async fn permit(fixture: &Fixture, entities: Value) {
    let patch = parse_permissions(json!({ "entities": entities })).unwrap();
    fixture
        .catalog
        .patch_permissions(&fixture.actor, &id("Service"), patch)
        .await
        .unwrap();
}

async fn found(fixture: &Fixture, actor: &Actor, query: &Value) -> Vec<String> {
    let search = Search {
        query: parse_query(query, "").unwrap(),
        blueprint: None,
        text: None,
        after: None,
        limit: 100,
        explain: false,
        partial: false,
    };
    let page = fixture.catalog.search(actor, search, now()).await.unwrap();
    let names = page.entities.iter();
    names
        .map(|entity| entity.read().unwrap().value.identifier.to_string())
        .collect()
}

fn is_forbidden<T: std::fmt::Debug>(outcome: Result<T, Error>) -> bool {
    match outcome {
        Err(Error::Forbidden(_)) => true,
        Ok(_) => false,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn pointing_at_what_is_hidden_is_as_pointing_at_nothing() {
    let fixture = with_secrets().await;
    let dev = &somebody(Role::Developer, &["orders"]);
    let write = async |name: &str, relations: Value, create_missing_targets: bool| {
        let entity = json!({ "identifier": name, "team": ["orders"], "properties": { "language": "go" },
                             "relations": relations });
        let options = WriteOptions {
            create_missing_targets,
            ..WriteOptions::default()
        };
        let draft = parse_draft(entity).unwrap();
        let mode = WriteMode::Merge;
        fixture
            .catalog
            .write_entity(dev, &id("Service"), draft, mode, options)
            .await
    };
    for target in ["closed", "nowhere"] {
        let relations = json!({ "system": "Cart", "spare": target });
        assert_eq!(
            missing(write("new", relations, false).await),
            format!("entity `{target}` of blueprint `Service`")
        );
    }
    let both = json!([
        { "identifier": "a", "blueprint": "Service", "team": ["orders"], "properties": { "language": "go" },
          "relations": { "system": "Cart", "uses": ["closed", "nowhere"] } },
    ]);
    let documents: Vec<_> = both
        .as_array()
        .unwrap()
        .iter()
        .cloned()
        .map(|value| (id("Service"), parse_draft(value).unwrap()).into())
        .collect();
    let (catalog, actor) = (fixture.catalog.clone(), dev.clone());
    let applied = fixture
        .store
        .write(move |tx| catalog.apply_in(tx, &actor, Vec::new(), documents))
        .await;
    assert_eq!(
        violations(applied),
        pairs(&[
            ("/relations/uses/0", "relation"),
            ("/relations/uses/1", "relation")
        ])
    );
    // What it points at already is told by the entity itself, and stays.
    let more = json!({ "uses": ["closed", "open"] });
    let written = write("open", more, false).await.unwrap();
    assert_eq!(written.entity.value.relations["uses"].targets().len(), 2);
    // Whoever may add an entity gets no edge to one that is hidden: a mirror would tell what it holds. To one that was
    // made with this very write they may. Whoever may not add one hears the same of both.
    let of = |target: &str| json!({ "system": "Cart", "spare": target });
    assert_eq!(
        missing(write("x", of("closed"), true).await),
        "entity `closed` of blueprint `Service`"
    );
    let twice = json!({ "system": "Cart", "spare": "brand-new", "uses": ["brand-new"] });
    assert!(write("x", twice, true).await.is_ok());
    let closed = fixture.entity("Service", "closed").await.unwrap();
    assert_eq!(closed["title"], "Xylophone");
    permit(
        &fixture,
        json!({ "read": { "ownedByTeam": true }, "register": { "users": ["nobody"] } }),
    )
    .await;
    for target in ["closed", "nowhere"] {
        assert!(
            is_forbidden(write("open", json!({ "spare": target }), true).await),
            "{target}"
        );
    }
}

#[tokio::test]
async fn searches_and_numbers_leave_out_what_is_hidden() {
    let fixture = with_secrets().await;
    let admin = &fixture.actor;
    let dev = &somebody(Role::Developer, &["orders"]);
    let nobody = &somebody(Role::Developer, &[]);
    for query in [
        every("language", "go"),
        every("$blueprint", "Service"),
        all(
            json!([{"property": "$blueprint", "operator": "=", "value": "Service"},
                   {"property": "$identifier", "operator": "!=", "value": "none"}]),
        ),
        // Whatever else one asks for, it is asked of what one may see.
        json!({"combinator": "or", "rules": [{"property": "$identifier", "operator": "=", "value": "closed"},
                                             {"property": "language", "operator": "!=", "value": "c"}]}),
    ] {
        let is_service = |names: Vec<String>| -> Vec<String> {
            let services = names.into_iter();
            services
                .filter(|name| ["open", "closed"].contains(&name.as_str()))
                .collect()
        };
        assert_eq!(
            is_service(found(&fixture, admin, &query).await),
            ["open", "closed"]
        );
        assert_eq!(is_service(found(&fixture, dev, &query).await), ["open"]);
        assert!(is_service(found(&fixture, nobody, &query).await).is_empty());
    }
    let query = || parse_query(&every("language", "go"), "").unwrap();
    let count = async |actor: &Actor| {
        let counts = fixture
            .catalog
            .count(actor, query(), None, now())
            .await
            .unwrap();
        counts.iter().map(|(_, count)| count).sum::<u64>()
    };
    assert_eq!(count(admin).await, 2);
    assert_eq!(count(dev).await, 1);
    assert_eq!(count(nobody).await, 0);
    let counted = fixture
        .catalog
        .count(nobody, query(), Some(id("Service")), now())
        .await;
    assert!(is_forbidden(counted));
    let by_title = async |actor: &Actor| {
        let wanted = Aggregation {
            query: query(),
            blueprint: None,
            function: Function::CountValues,
            subject: parse_subject("$title"),
            breakdown: None,
            course: None,
        };
        fixture
            .catalog
            .aggregate(actor, wanted, now())
            .await
            .unwrap()
    };
    assert_eq!(by_title(admin).await.as_array().unwrap().len(), 2);
    assert_eq!(
        by_title(dev).await,
        json!([{ "value": "Checkout", "result": 1 }])
    );
    assert_eq!(by_title(nobody).await, json!([]));
    assert!(matches!(parse_subject("$title"), Some(Subject::Meta(_))));
}

#[tokio::test]
async fn words_of_what_is_hidden_are_neither_found_nor_suggested() {
    let fixture = with_secrets().await;
    let dev = &somebody(Role::Developer, &["orders"]);
    let search = async |actor: &Actor, text: &str| {
        let search = TextSearch {
            text: text.to_owned(),
            blueprint: None,
            offset: 0,
            limit: 10,
        };
        let found = fixture.catalog.search_text(actor, search).await.unwrap();
        (found.total, found.corrections.len())
    };
    assert_eq!(search(&fixture.actor, "xylophone").await, (1, 0));
    assert_eq!(search(dev, "xylophone").await, (0, 0));
    assert_eq!(search(&fixture.actor, "xylofone").await, (1, 1));
    assert_eq!(search(dev, "xylofone").await, (0, 0));
    assert_eq!(search(dev, "chekout").await, (1, 1));
    let of_blueprint = TextSearch {
        text: "checkout".to_owned(),
        blueprint: Some(id("Service")),
        offset: 0,
        limit: 10,
    };
    let nobody = &somebody(Role::Developer, &[]);
    assert!(is_forbidden(
        fixture.catalog.search_text(nobody, of_blueprint).await
    ));
}

#[tokio::test]
async fn walks_do_not_lead_through_what_is_hidden() {
    let fixture = with_secrets().await;
    let dev = &somebody(Role::Developer, &["orders"]);
    let related = |from: &str, blueprint: &str, direction: &str| {
        all(
            json!([{"operator": "relatedTo", "blueprint": blueprint, "value": from, "direction": direction}]),
        )
    };
    // What `closed` points at is a part of `closed`.
    let query = related("open", "Service", "upstream");
    let mut whole = found(&fixture, &fixture.actor, &query).await;
    whole.sort_unstable();
    assert_eq!(whole, ["Cart", "Hidden", "closed", "open"]);
    assert_eq!(found(&fixture, dev, &query).await, ["Cart"]);
    let query = related("closed", "Service", "upstream");
    assert!(found(&fixture, dev, &query).await.is_empty());
    // That `open` points at `closed` is there for all to see who see `open`.
    let query = related("closed", "Service", "downstream");
    assert_eq!(found(&fixture, dev, &query).await, ["open"]);
    let query = related("Hidden", "System", "downstream");
    assert_eq!(found(&fixture, &fixture.actor, &query).await.len(), 2);
    assert!(found(&fixture, dev, &query).await.is_empty());
    let path = |path: Value, value: &str, from: Value| {
        all(
            json!([{"operator": "matchAny", "property": {"path": path, "fromBlueprint": from}, "value": value}]),
        )
    };
    let back = path(json!(["uses", "system"]), "Hidden", Value::Null);
    assert_eq!(found(&fixture, &fixture.actor, &back).await, ["open"]);
    assert!(found(&fixture, dev, &back).await.is_empty());
    let forth = path(json!(["uses", "system"]), "open", json!("Service"));
    assert_eq!(found(&fixture, &fixture.actor, &forth).await, ["Hidden"]);
    assert!(found(&fixture, dev, &forth).await.is_empty());
}

#[tokio::test]
async fn titles_of_hidden_targets_are_not_shown() {
    let fixture = with_secrets().await;
    let dev = &somebody(Role::Developer, &["orders"]);
    let open = fixture
        .catalog
        .find_entity(&id("Service"), &entity_id("open"))
        .await
        .unwrap();
    let titles = async |actor: &Actor| {
        let entities = std::slice::from_ref(&open);
        let titles = fixture.catalog.titles_of_targets(actor, entities).await;
        titles.unwrap()[&(id("Service"), "uses".to_owned(), "closed".to_owned())].clone()
    };
    assert_eq!(titles(&fixture.actor).await.as_deref(), Some("Xylophone"));
    assert_eq!(titles(dev).await, None);
}

/// Entities of what somebody reads of the audit log, oldest first, each with whether it shows what was and what is.
async fn told(fixture: &Fixture, actor: &Actor) -> Vec<(String, bool, bool)> {
    let filter = AuditFilter {
        resources: vec!["entity".to_owned()],
        blueprint: Some("Service".to_owned()),
        ..AuditFilter::default()
    };
    let page = fixture
        .catalog
        .history()
        .list(actor, filter, AuditOrder::OldestFirst(0), 100)
        .await
        .unwrap();
    let rows = page.rows.into_iter();
    rows.map(|row| {
        (
            row.entity.unwrap(),
            row.before.is_some(),
            row.after.is_some(),
        )
    })
    .collect()
}

#[tokio::test]
async fn the_past_of_what_is_hidden_is_hidden_too() {
    let fixture = with_secrets().await;
    let history = fixture.catalog.history();
    let dev = &somebody(Role::Developer, &["orders"]);
    let row = |name: &str, before: bool, after: bool| (name.to_owned(), before, after);
    assert_eq!(told(&fixture, &fixture.actor).await.len(), 3);
    let seen = vec![row("open", false, true), row("open", true, true)];
    assert_eq!(told(&fixture, dev).await, seen);
    let changes = async |actor: &Actor, name: &str| {
        history
            .list_entity_changes(actor, &id("Service"), &entity_id(name), None, 10)
            .await
            .map(|page| page.rows.len())
    };
    assert_eq!(changes(dev, "open").await.unwrap(), 2);
    let nothing = "entity `closed` of blueprint `Service`";
    assert_eq!(missing(changes(dev, "closed").await), nothing);
    let at = async |actor: &Actor, name: &str, at: Timestamp| {
        history
            .find_entity_at(actor, &id("Service"), &entity_id(name), at)
            .await
    };
    assert!(!is_forbidden(at(dev, "open", now()).await));
    let (then, never) = (now(), "nobody");
    assert_eq!(
        missing(at(dev, "closed", then).await).replace("closed", never),
        missing(at(dev, never, then).await)
    );
    assert!(!is_forbidden(at(&fixture.actor, "closed", now()).await));

    // Handed over: from now on it is theirs, what it was is not.
    let given = json!({ "identifier": "closed", "team": ["orders"] });
    fixture
        .write("Service", given, WriteMode::Merge)
        .await
        .unwrap();
    assert_eq!(told(&fixture, dev).await[2..], [row("closed", false, true)]);
    assert_eq!(changes(dev, "closed").await.unwrap(), 1);
    let away = json!({ "identifier": "closed", "team": ["sre"] });
    fixture
        .write("Service", away, WriteMode::Merge)
        .await
        .unwrap();
    assert_eq!(told(&fixture, dev).await.len(), 3);
    let nothing = "entity `closed` of blueprint `Service`";
    assert_eq!(missing(changes(dev, "closed").await), nothing);

    // What is deleted keeps its owners.
    fixture
        .delete("Service", "closed", Dependents::Keep)
        .await
        .unwrap();
    assert_eq!(
        told(&fixture, dev).await.len(),
        3 + 1,
        "open has lost a relation"
    );
    let restored = history
        .restore_entity(dev, &id("Service"), &entity_id("closed"))
        .await;
    assert_eq!(missing(restored), format!("a deleted {nothing}"));
}

#[tokio::test]
async fn the_past_of_a_deleted_blueprint_stays_for_those_who_could_see_it() {
    let fixture = with_secrets().await;
    let dev = &somebody(Role::Developer, &["orders"]);
    let filter = AuditFilter {
        resources: vec!["entity".to_owned()],
        blueprint: Some("Service".to_owned()),
        ..AuditFilter::default()
    };
    let mut feed = fixture
        .catalog
        .history()
        .follow(dev, filter, Some(0))
        .await
        .unwrap();
    let cleared = json!({ "identifier": "open", "relations": { "uses": [] } });
    fixture
        .write("Service", cleared, WriteMode::Merge)
        .await
        .unwrap();
    for name in ["closed", "open"] {
        fixture
            .delete("Service", name, Dependents::Keep)
            .await
            .unwrap();
    }
    fixture
        .catalog
        .delete_blueprint(&fixture.actor, &id("Service"))
        .await
        .unwrap();
    let told = told(&fixture, dev).await;
    assert!(told.iter().all(|(name, ..)| name == "open"), "{told:?}");
    for (name, ..) in told {
        assert_eq!(feed.next().await.unwrap().entity.unwrap(), name);
    }
}

#[tokio::test]
async fn nobody_prunes_what_they_may_not_delete() {
    let fixture = with_secrets().await;
    permit(&fixture, json!({ "unregister": { "roles": ["admin"] } })).await;
    let engineer = somebody(Role::PlatformEngineer, &["sre"]);
    let catalog = fixture.catalog.clone();
    let pruned = fixture.store.write(move |tx| {
        catalog.prune_in(tx, &engineer, &[], &[(id("Service"), entity_id("closed"))])
    });
    assert!(is_forbidden(pruned.await));
    assert!(fixture.entity("Service", "closed").await.is_some());
}

/// A blueprint that derives all sorts of things from the services that it points at.
fn spy(identifier: &str) -> Value {
    json!({
        "identifier": identifier, "title": identifier, "schema": {},
        "relations": { "service": { "target": "Service" } },
        "mirrorProperties": { "language": { "title": "Language", "path": "service.language" },
                              "system": { "title": "System", "path": "service.system.$title" } },
        "aggregationProperties": {
            "services": { "title": "Services", "target": "Service",
                          "calculationSpec": { "calculationBy": "entities", "func": "count" } },
            "systems": { "title": "Systems", "target": "System", "pathFilter": [{ "path": ["service", "system"] }],
                         "calculationSpec": { "calculationBy": "entities", "func": "count" } },
        },
    })
}

#[tokio::test]
async fn nobody_derives_from_what_they_may_not_see_but_what_an_administrator_lets_them() {
    let fixture = with_secrets().await;
    let catalog = &fixture.catalog;
    let engineer = &somebody(Role::PlatformEngineer, &["orders"]);
    let refused = [
        ("/mirrorProperties/language/path", "permission"),
        ("/mirrorProperties/system/path", "permission"),
        ("/aggregationProperties/services/target", "permission"),
        ("/aggregationProperties/systems/pathFilter", "permission"),
    ];
    let blueprint = || parse_blueprint(spy("Spy")).unwrap();
    let created = catalog.create_blueprint(engineer, blueprint()).await;
    assert_eq!(violations(created), pairs(&refused));
    let apply = async |actor: &Actor, documents: Vec<Value>| {
        let documents: Vec<_> = documents
            .into_iter()
            .map(|value| parse_blueprint(value).unwrap().into())
            .collect();
        let (catalog, actor) = (catalog.clone(), actor.clone());
        let applied = fixture
            .store
            .write(move |tx| catalog.apply_in(tx, &actor, documents, Vec::new()));
        applied.await
    };
    assert_eq!(
        violations(apply(engineer, vec![spy("Spy")]).await),
        pairs(&refused)
    );
    let bare = json!({ "identifier": "Spy", "title": "Spy", "schema": {},
                       "relations": { "service": { "target": "Service" } } });
    let bare = || parse_blueprint(bare.clone()).unwrap();
    catalog.create_blueprint(engineer, bare()).await.unwrap();
    let replaced = catalog
        .replace_blueprint(engineer, &id("Spy"), blueprint())
        .await;
    assert_eq!(violations(replaced), pairs(&refused));
    let Value::Object(patch) = json!({ "mirrorProperties": spy("Spy")["mirrorProperties"] }) else {
        panic!()
    };
    let patched = catalog.patch_blueprint(engineer, &id("Spy"), patch).await;
    assert_eq!(violations(patched), pairs(&refused[..2]));

    // An administrator may; from then on the rest of the blueprint is anybody's to change.
    let admin = &somebody(Role::Admin, &[]);
    catalog
        .replace_blueprint(admin, &id("Spy"), blueprint())
        .await
        .unwrap();
    let renamed = json!({ "title": "Looking glass" });
    let Value::Object(title) = renamed else {
        panic!()
    };
    catalog
        .patch_blueprint(engineer, &id("Spy"), title)
        .await
        .unwrap();
    apply(engineer, vec![spy("Spy")]).await.unwrap();
}

#[tokio::test]
async fn what_others_derive_is_not_led_to_what_is_hidden() {
    let fixture = with_secrets().await;
    let open = json!({ "identifier": "Open", "title": "Open",
                       "schema": { "properties": { "language": { "type": "string" } } } });
    let way = |target: &str| json!({ "identifier": "Way", "title": "Way", "schema": {}, "relations": { "to": { "target": target } } });
    let reader = json!({ "identifier": "Reader", "title": "Reader", "schema": {},
                         "relations": { "way": { "target": "Way" } },
                         "mirrorProperties": { "language": { "title": "Language", "path": "way.to.language" } } });
    fixture
        .apply(vec![open, way("Open"), reader], vec![])
        .await
        .unwrap();
    let engineer = &somebody(Role::PlatformEngineer, &["orders"]);
    let turned = parse_blueprint(way("Service")).unwrap();
    let turned = fixture
        .catalog
        .replace_blueprint(engineer, &id("Way"), turned)
        .await;
    assert_eq!(violations(turned), pairs(&[("", "in_use")]));
}
