//! Entities as answers show them, beside the same entities taken apart and put together.

use super::*;
use crate::model::{Query, Timestamp};

fn everything(blueprint: &str) -> Search {
    Search {
        query: Query::everything(),
        blueprint: Some(id(blueprint)),
        text: None,
        after: None,
        limit: 1_000,
        explain: false,
        partial: false,
    }
}

#[tokio::test]
async fn what_is_shown_is_what_the_entity_serializes_to() {
    let fixture = Fixture::with_services().await;
    fixture.catalog.deriver().spawn().await;
    let derived = json!({
        "mirrorProperties": {"home": {"title": "Home", "path": "system.$title"}, "none": {"title": "None", "path": "spare.$title"}},
        "aggregationProperties": {"users": {
            "title": "Users", "target": "Service", "calculationSpec": {"calculationBy": "entities", "func": "count"},
        }},
    });
    fixture.patch("Service", derived).await.unwrap();
    let entities = [
        json!({"identifier": "plain", "properties": {"language": "rust"}, "relations": {"system": "Cart"}}),
        json!({
            "identifier": "@odd/one", "title": "\"Odd\" \\ \u{1F600}\n", "icon": "Box", "team": ["a", "b \"c\""],
            "properties": {"language": "go", "tier": 1.5e300, "site": "https://example.com/?a=1&b=%22"},
            "relations": {"system": "Cart", "uses": ["plain"], "spare": "plain"},
        }),
        json!({
            "identifier": "many", "properties": {"language": "rust", "tier": 1.1},
            "relations": {"system": "Cart", "uses": ["plain", "@odd/one"]},
        }),
    ];
    for entity in entities {
        fixture.put("Service", entity).await.unwrap();
    }
    let card = json!({
        "identifier": "ready", "title": "Ready",
        "rules": [{"identifier": "r", "title": "R", "level": "Gold", "query": {"combinator": "and", "conditions": [{"property": "language", "operator": "=", "value": "rust"}]}}],
    });
    let card = parse_scorecard(card, &id("Service")).unwrap();
    let (catalog, actor) = (&fixture.catalog, &fixture.actor);
    catalog.create_scorecard(actor, card).await.unwrap();
    fixture.settle().await;

    let search = everything("Service");
    let found = catalog.search(actor, search, Timestamp(0)).await.unwrap();
    assert_eq!(found.matching, [id("Service")]);
    let found: Vec<_> = found.entities.iter().map(|one| one.as_str()).collect();
    for (index, name) in ["plain", "@odd/one", "many"].into_iter().enumerate() {
        let (blueprint, name) = (id("Service"), entity_id(name));
        for values in [Values::All, Values::Own] {
            let entity = catalog
                .find_values(&blueprint, &name, values)
                .await
                .unwrap();
            let wanted = serde_json::to_string(&entity).unwrap();
            let shown = catalog
                .show_entity_for(actor, &blueprint, &name, values)
                .await;
            let shown = shown.unwrap();
            assert_eq!(shown.as_str(), wanted);
            // Queries see the program that wrote it last; answers do not show it.
            let mut read = shown.read().unwrap();
            read.stamp.datasource.clone_from(&entity.stamp.datasource);
            assert_eq!(read, entity);
            if values == Values::All {
                assert_eq!(found[index], wanted);
                assert!(wanted.contains("\"scorecards\":{\"ready\""), "{wanted}");
                assert!(wanted.contains("\"none\":"), "{wanted}");
            }
        }
    }
}

#[tokio::test]
async fn whoever_bears_the_words_in_the_name_comes_first() {
    let fixture = Fixture::with_services().await;
    let named = |identifier: &str, title: &str, site: &str| {
        json!({
            "identifier": identifier, "title": title, "properties": {"language": "rust", "site": site},
            "relations": {"system": "Cart"},
        })
    };
    for entity in [
        named("a", "Something", "https://example.com/cart/ledger"),
        named("b", "Cartography ledgers", "https://example.com"),
        named("cart-ledger", "Something", "https://example.com"),
        named("d", "A large cart with its ledger", "https://example.com"),
        named("e", "Cart ledger", "https://example.com"),
        named("f", "Ledger", "https://example.com/cart"),
        named("g", "CartLedger", "https://example.com"),
    ] {
        fixture.put("Service", entity).await.unwrap();
    }
    let find = async |text: &str, offset: usize, limit: usize| {
        let search = TextSearch {
            text: text.to_owned(),
            blueprint: Some(id("Service")),
            offset,
            limit,
        };
        let actor = &fixture.actor;
        let found = fixture.catalog.search_text(actor, search).await.unwrap();
        let hits = found.hits.iter();
        let names = hits.map(|hit| hit.entity.read().unwrap().value.identifier.to_string());
        (names.collect::<Vec<_>>(), found.total)
    };
    let (found, total) = find("cart ledger", 0, 100).await;
    assert_eq!(found, ["g", "e", "d", "cart-ledger", "f", "a"]);
    assert_eq!(total, 6);
    assert_eq!(find("cart ledger", 1, 2).await.0, ["e", "d"]);
    // What only begins so says less than what is the same.
    let (found, _) = find("cart", 0, 100).await;
    assert_eq!(found, ["g", "e", "d", "cart-ledger", "b", "a", "f"]);
}
