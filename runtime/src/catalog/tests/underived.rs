//! What becomes of derived values when nothing derives them any more.

use super::*;

/// A service mirrors two numbers of its system. Nobody works off the queue yet.
async fn mirroring() -> Fixture {
    let fixture = Fixture::new();
    let number = json!({ "type": "number" });
    let system = json!({ "identifier": "System", "title": "System", "schema": { "properties": { "x": number, "y": number } } });
    let service = json!({
        "identifier": "Service", "title": "Service", "schema": {},
        "relations": { "system": { "target": "System" } },
        "mirrorProperties": { "x": { "path": "system.x" }, "y": { "path": "system.y" } },
    });
    fixture.apply(vec![system, service], vec![]).await.unwrap();
    let system = json!({ "identifier": "cart", "properties": { "x": 5, "y": 6 } });
    fixture.put("System", system).await.unwrap();
    let service = json!({ "identifier": "api", "relations": { "system": "cart" } });
    fixture.put("Service", service).await.unwrap();
    fixture
}

/// The services with that number for a property.
async fn found(fixture: &Fixture, property: &str, value: u8) -> Vec<String> {
    let query = json!({ "combinator": "and", "rules": [
        { "property": "$blueprint", "operator": "=", "value": "Service" },
        { "property": property, "operator": "=", "value": value },
    ] });
    fixture.search(&query).await.unwrap()
}

#[tokio::test]
async fn what_is_no_longer_derived_is_neither_found_nor_told_of() {
    let fixture = mirroring().await;
    assert_eq!(found(&fixture, "x", 5).await, ["Service/api"]);
    let own = json!({
        "mirrorProperties": null,
        "schema": { "properties": { "x": { "type": "number" } } },
    });
    fixture.patch("Service", own).await.unwrap();
    assert!(found(&fixture, "x", 5).await.is_empty());
    fixture.catalog.deriver().spawn().await;
    fixture.settle().await;
    assert!(found(&fixture, "x", 5).await.is_empty());

    let text = json!({
        "schema": { "properties": { "x": { "type": "number" } } },
        "calculationProperties": { "z": { "type": "boolean", "calculation": ".properties.x" } },
    });
    fixture.patch("Service", text).await.unwrap();
    let valued = json!({ "identifier": "api", "properties": { "x": 5 } });
    fixture
        .write("Service", valued, WriteMode::Merge)
        .await
        .unwrap();
    fixture.settle().await;
    let failed = async || {
        let deriver = fixture.catalog.deriver();
        deriver.state(&fixture.actor).await.unwrap().failed_entities
    };
    assert_eq!(failed().await, 1);
    let none = json!({ "calculationProperties": null });
    fixture.patch("Service", none).await.unwrap();
    assert_eq!(failed().await, 0);
    fixture.catalog.deriver().shutdown().await;
}

#[tokio::test]
async fn an_own_value_that_is_the_same_as_the_derived_one_before_it_stays_found() {
    let fixture = mirroring().await;
    let own = json!({
        "mirrorProperties": { "x": null },
        "schema": { "properties": { "x": { "type": "number" } } },
    });
    fixture.patch("Service", own).await.unwrap();
    let valued = json!({ "identifier": "api", "properties": { "x": 5 } });
    fixture
        .write("Service", valued, WriteMode::Merge)
        .await
        .unwrap();
    assert_eq!(found(&fixture, "x", 5).await, ["Service/api"]);
    fixture.catalog.deriver().spawn().await;
    fixture.settle().await;
    assert_eq!(found(&fixture, "x", 5).await, ["Service/api"]);
    assert_eq!(found(&fixture, "y", 6).await, ["Service/api"]);
    fixture.catalog.deriver().shutdown().await;
}

#[tokio::test]
async fn the_results_of_a_scorecard_go_with_the_last_one() {
    let fixture = mirroring().await;
    let none = json!({ "mirrorProperties": null });
    fixture.patch("Service", none).await.unwrap();
    let card = json!({
        "identifier": "ready", "title": "Ready",
        "rules": [{ "identifier": "always", "title": "Always", "level": "Gold", "query": { "combinator": "and", "conditions": [{ "property": "$identifier", "operator": "isNotEmpty" }] } }],
    });
    fixture.catalog.deriver().spawn().await;
    fixture.score(card).await.unwrap();
    fixture.settle().await;
    let kept = async || {
        let read = |tx: &crate::store::ReadTx<'_>| -> Result<_, Error> {
            let service = tx.find_blueprint(&id("Service"))?.unwrap().key;
            let keys = tx.list_entity_keys(service, "", 10)?;
            let keys: Vec<_> = keys.into_iter().map(|(key, _)| key).collect();
            let rows = tx.list_derived(&keys)?;
            Ok(rows.values().any(|row| !row.scorecards.is_empty()))
        };
        fixture.store.read(read).await.unwrap()
    };
    assert!(kept().await);
    fixture
        .catalog
        .delete_scorecard(&fixture.actor, &id("Service"), "ready")
        .await
        .unwrap();
    fixture.settle().await;
    assert!(!kept().await);
    fixture.catalog.deriver().shutdown().await;
}
