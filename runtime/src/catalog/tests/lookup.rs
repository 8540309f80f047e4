//! Entities that are named by what they have.

use super::*;
use crate::model::{Origin, Role};

/// Three services, of which two are written in Go; each has a site of its own.
async fn with_sites() -> Fixture {
    let fixture = Fixture::with_services().await;
    for (name, language, team) in [
        ("a", "rust", "sre"),
        ("b", "go", "orders"),
        ("c", "go", "orders"),
    ] {
        let site = format!("https://{name}.example.com");
        let entity = json!({ "identifier": name, "team": [team], "properties": { "language": language, "site": site },
                             "relations": { "system": "Cart" } });
        fixture.put("Service", entity).await.unwrap();
    }
    fixture
}

fn query(property: &str, operator: &str, value: impl Into<Value>) -> Value {
    json!({ "combinator": "and", "rules": [{ "property": property, "operator": operator, "value": value.into() }] })
}

fn site(name: &str) -> Value {
    query("site", "=", format!("https://{name}.example.com"))
}

async fn write(
    fixture: &Fixture,
    actor: &Actor,
    body: Value,
    mode: WriteMode,
) -> Result<Value, Error> {
    let draft = fixture
        .catalog
        .read_draft(actor, &id("Service"), body)
        .await?;
    let options = WriteOptions::default();
    let written = fixture
        .catalog
        .write_entity(actor, &id("Service"), draft, mode, options)
        .await?;
    Ok(serde_json::to_value(written.entity).unwrap())
}

/// The rule and the place of the only violation.
fn refusal<T: std::fmt::Debug>(outcome: Result<T, Error>) -> (String, String) {
    let mut found = violations(outcome);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[tokio::test]
async fn an_entity_may_be_named_by_what_it_has() {
    let fixture = with_sites().await;
    let actor = fixture.actor.clone();
    let title = |identifier: Value| json!({ "identifier": identifier, "title": "Found" });
    let written = write(&fixture, &actor, title(site("b")), WriteMode::Merge).await;
    assert_eq!(written.unwrap()["identifier"], "b");
    assert_eq!(
        fixture.entity("Service", "b").await.unwrap()["title"],
        "Found"
    );
    let none = write(&fixture, &actor, title(site("x")), WriteMode::Merge).await;
    assert!(missing(none).contains("/identifier"));
    let several = query("language", "=", "go");
    let several = write(&fixture, &actor, title(several), WriteMode::Merge).await;
    assert_eq!(
        refusal(several),
        ("/identifier".to_owned(), "unique".to_owned())
    );
    let among = query(
        "site",
        "in",
        json!(["https://c.example.com", "https://y.example.com"]),
    );
    let written = write(&fixture, &actor, title(among), WriteMode::Merge).await;
    assert_eq!(written.unwrap()["identifier"], "c");
    let taken = write(&fixture, &actor, title(site("b")), WriteMode::Create).await;
    assert_eq!(conflict(taken).0, "already_exists");
    assert_eq!(
        fixture
            .catalog
            .count_entities(&id("Service"))
            .await
            .unwrap(),
        3
    );
}

#[tokio::test]
async fn relations_and_owners_may_be_named_by_what_they_have() {
    let fixture = with_sites().await;
    let actor = fixture.actor.clone();
    let (catalog, by) = (fixture.catalog.clone(), actor.clone());
    let made = fixture.store.write(move |tx| {
        let (name, mode) = (entity_id("orders"), WriteMode::Create);
        catalog.write_team_in(tx, &by, &name, TeamDraft::default(), mode)
    });
    made.await.unwrap();
    let body = |relations: Value| json!({ "identifier": "d", "properties": { "language": "go" }, "relations": relations });
    let mut whole = body(json!({
        "system": query("$identifier", "=", "Cart"), "uses": query("language", "=", "go"), "spare": site("a"),
    }));
    whole["team"] = query("$identifier", "contains", "rde");
    let written = write(&fixture, &actor, whole, WriteMode::Merge)
        .await
        .unwrap();
    assert_eq!(
        written["relations"],
        json!({ "system": "Cart", "uses": ["b", "c"], "spare": "a" })
    );
    assert_eq!(written["team"], json!(["orders"]));
    let relations = |spare: Value| body(json!({ "system": "Cart", "spare": spare }));
    let none = write(&fixture, &actor, relations(site("x")), WriteMode::Merge).await;
    assert!(missing(none).contains("/relations/spare"));
    let several = relations(query("language", "=", "go"));
    let several = write(&fixture, &actor, several, WriteMode::Merge).await;
    assert_eq!(
        refusal(several),
        ("/relations/spare".to_owned(), "unique".to_owned())
    );
    // Any number is fine where any number may be.
    let nothing = body(json!({ "system": "Cart", "uses": site("x") }));
    let written = write(&fixture, &actor, nothing, WriteMode::Merge)
        .await
        .unwrap();
    assert_eq!(written["relations"]["uses"], json!([]));
    let mut unowned = body(json!({}));
    unowned["team"] = query("$identifier", "=", "nobody");
    let unowned = write(&fixture, &actor, unowned, WriteMode::Merge).await;
    assert!(missing(unowned).contains("/team"));
}

#[tokio::test]
async fn only_queries_that_name_entities_stand_for_them() {
    let fixture = with_sites().await;
    let actor = fixture.actor.clone();
    for (identifier, path, rule) in [
        (
            query("site", "contains", "a."),
            "/identifier/rules/0",
            "operator",
        ),
        (query("site", "!=", "x"), "/identifier/rules/0", "operator"),
        (
            query("site", "=", Value::Null),
            "/identifier/rules/0/value",
            "type",
        ),
        (
            query("site", "in", json!(["a", null])),
            "/identifier/rules/0/value",
            "type",
        ),
        (
            query(
                "site",
                "=",
                json!({ "context": "user", "property": "nope" }),
            ),
            "/identifier/rules/0",
            "context",
        ),
        (
            json!({ "combinator": "and", "rules": [] }),
            "/identifier/rules",
            "minItems",
        ),
        (
            json!({ "combinator": "and", "rules": [{ "combinator": "or", "rules": [{ "property": "site", "operator": "isEmpty" }] }] }),
            "/identifier/rules/0/rules/0",
            "operator",
        ),
        (
            json!({ "combinator": "and", "rules": [{ "operator": "relatedTo", "blueprint": "System", "value": "Cart" }] }),
            "/identifier/rules/0",
            "operator",
        ),
    ] {
        let outcome = write(
            &fixture,
            &actor,
            json!({ "identifier": identifier }),
            WriteMode::Merge,
        )
        .await;
        assert_eq!(refusal(outcome), (path.to_owned(), rule.to_owned()));
    }
    for number in 0..101 {
        let entity = json!({ "identifier": format!("s{number}"), "properties": { "language": "rust" }, "relations": { "system": "Cart" } });
        fixture.put("Service", entity).await.unwrap();
    }
    let uses =
        json!({ "identifier": "a", "relations": { "uses": query("language", "=", "rust") } });
    let outcome = write(&fixture, &actor, uses, WriteMode::Merge).await;
    assert_eq!(
        refusal(outcome),
        ("/relations/uses".to_owned(), "maxItems".to_owned())
    );
}

#[tokio::test]
async fn nobody_finds_by_a_write_what_they_may_not_see() {
    let fixture = with_sites().await;
    let patch =
        parse_permissions(json!({ "entities": { "read": { "ownedByTeam": true } } })).unwrap();
    fixture
        .catalog
        .patch_permissions(&fixture.actor, &id("Service"), patch)
        .await
        .unwrap();
    let engineer = |teams: &[&str]| Actor {
        name: "pat".to_owned(),
        role: Role::PlatformEngineer,
        teams: teams.iter().map(|team| (*team).to_owned()).collect(),
        origin: Origin::Api,
        ..Actor::system()
    };
    let body = || json!({ "identifier": "b", "relations": { "spare": site("a") } });
    let hidden = write(&fixture, &engineer(&["orders"]), body(), WriteMode::Merge).await;
    assert!(missing(hidden).contains("/relations/spare"));
    let seen = write(
        &fixture,
        &engineer(&["orders", "sre"]),
        body(),
        WriteMode::Merge,
    )
    .await;
    assert_eq!(seen.unwrap()["relations"]["spare"], "a");
}

#[tokio::test]
async fn each_entity_of_many_is_refused_on_its_own_where_its_query_finds_nothing() {
    let fixture = with_sites().await;
    let uses = |identifier: Value, spare: Value| json!({ "identifier": identifier, "properties": { "language": "go" }, "relations": { "system": "Cart", "spare": spare } });
    let entities = vec![
        uses(json!("d"), site("a")),
        uses(json!("e"), site("x")),
        uses(site("b"), site("a")),
        uses(site("x"), site("a")),
    ];
    let options = WriteOptions::default();
    let outcomes = fixture
        .catalog
        .write_entities(
            &fixture.actor,
            &id("Service"),
            entities,
            WriteMode::Merge,
            options,
        )
        .await
        .unwrap();
    let outcomes = outcomes.into_iter().map(|outcome| match outcome {
        Ok(written) => written.entity.value.identifier.to_string(),
        Err(refused) => {
            assert!(
                matches!(refused.error, Error::NotFound(_)),
                "{:?}",
                refused.error
            );
            format!("not {}", refused.identifier)
        }
    });
    assert_eq!(
        outcomes.collect::<Vec<_>>(),
        ["d", "not e", "b", "not unknown"]
    );
}

#[tokio::test]
async fn queries_for_which_no_time_is_left_are_told_that_it_was_used_up_together() {
    let fixture = with_sites().await;
    let limits = SearchLimits {
        time: std::time::Duration::ZERO,
        ..SearchLimits::default()
    };
    let catalog = fixture.catalog.clone().with_search_limits(limits);
    let entity = |name: &str| json!({ "identifier": site(name), "title": "Found" });
    let (blueprint, options) = (id("Service"), WriteOptions::default());
    let outcomes = catalog
        .write_entities(
            &fixture.actor,
            &blueprint,
            vec![entity("a"), entity("b")],
            WriteMode::Merge,
            options,
        )
        .await
        .unwrap();
    let last = outcomes.into_iter().next_back().unwrap().unwrap_err();
    let Error::TooExpensive(message) = last.error else {
        panic!("{:?}", last.error);
    };
    assert!(
        message.contains("together") && message.contains("send fewer"),
        "{message}"
    );
}
