//! What was, and back again.

use serde_json::{Value, json};

use super::*;
use crate::model::Timestamp;

impl Fixture {
    async fn at(&self, identifier: &str, at: Timestamp) -> Option<Value> {
        let found = self
            .catalog
            .history()
            .find_entity_at(&self.actor, &id("Service"), &entity_id(identifier), at)
            .await;
        match found {
            Ok(entity) => Some(serde_json::to_value(entity).unwrap()),
            Err(Error::NotFound(_)) => None,
            Err(error) => panic!("{error:?}"),
        }
    }

    /// The time of the newest change, once the clock has left it: two changes must not share one.
    async fn now(&self) -> Timestamp {
        let newest = self.audit().await[0].at;
        while Timestamp::now() <= newest {
            tokio::task::yield_now().await;
        }
        newest
    }

    async fn restore(&self, identifier: &str) -> Result<Restored, Error> {
        self.catalog
            .history()
            .restore_entity(&self.actor, &id("Service"), &entity_id(identifier))
            .await
    }
}

#[tokio::test]
async fn an_entity_is_read_as_it_was_at_any_time() {
    let fixture = Fixture::with_services().await;
    let before = fixture.now().await;
    let made = fixture.service("shop").await;
    let made_at = fixture.now().await;
    let patch = json!({ "identifier": "shop", "title": "Shop", "properties": { "tier": 2 } });
    fixture
        .write("Service", patch, WriteMode::Update)
        .await
        .unwrap();
    let changed_at = fixture.now().await;
    fixture
        .delete("Service", "shop", Dependents::Keep)
        .await
        .unwrap();
    let deleted_at = fixture.now().await;
    fixture.service("shop").await;

    assert_eq!(fixture.at("shop", before).await, None);
    let then = fixture.at("shop", made_at).await.unwrap();
    assert_eq!(then, serde_json::to_value(made.entity).unwrap());
    let then = fixture.at("shop", changed_at).await.unwrap();
    assert_eq!(then["title"], "Shop");
    assert_eq!(then["properties"], json!({ "language": "rust", "tier": 2 }));
    assert_eq!(then["createdAt"], json!(made_at));
    assert_eq!(then["updatedAt"], json!(changed_at));
    assert_eq!(fixture.at("shop", deleted_at).await, None);
    let now = fixture.at("shop", Timestamp::now()).await.unwrap();
    assert_eq!(now["title"], Value::Null);
    assert_eq!(fixture.at("ship", made_at).await, None);
}

#[tokio::test]
async fn what_a_blueprint_lost_meanwhile_is_gone_from_its_entities_then_and_not_before() {
    let fixture = Fixture::with_services().await;
    let entity = json!({ "identifier": "shop", "properties": { "language": "go", "tier": 1 }, "relations": { "system": "Cart", "spare": "shop" } });
    fixture.put("Service", entity).await.unwrap();
    let made_at = fixture.now().await;
    let patch = json!({ "schema": { "properties": { "tier": null } }, "relations": { "spare": null, "more": { "target": "System", "many": true } } });
    fixture.patch("Service", patch).await.unwrap();
    let patched_at = fixture.now().await;

    let then = fixture.at("shop", made_at).await.unwrap();
    assert_eq!(then["properties"]["tier"], 1);
    assert_eq!(then["relations"]["spare"], "shop");
    let then = fixture.at("shop", patched_at).await.unwrap();
    assert_eq!(then["properties"], json!({ "language": "go" }));
    assert_eq!(
        then["relations"],
        json!({ "system": "Cart", "uses": [], "more": [] })
    );
    assert_eq!(
        then["relations"],
        fixture.entity("Service", "shop").await.unwrap()["relations"]
    );
}

#[tokio::test]
async fn what_was_renamed_meanwhile_has_its_name_of_then() {
    let fixture = Fixture::with_services().await;
    let entity = json!({ "identifier": "shop", "properties": { "language": "go", "tier": 1 }, "relations": { "system": "Cart", "spare": "shop" } });
    fixture.put("Service", entity).await.unwrap();
    let made_at = fixture.now().await;
    for (what, from, to) in [
        (Renamed::Property, "tier", "level"),
        (Renamed::Relation, "spare", "other"),
    ] {
        fixture.rename("Service", what, from, to).await.unwrap();
    }
    let renamed_at = fixture.now().await;
    let history = fixture.catalog.history();
    let names = history.find_property_names(&id("Service"), made_at).await;
    let names = names.unwrap();
    for (at, was) in [(made_at, "tier"), (renamed_at, "level")] {
        assert_eq!(names.name_at("level", at).as_deref(), Some(was));
        assert_eq!(names.name_at("other", at).as_deref(), Some("other"));
    }

    let then = fixture.at("shop", made_at).await.unwrap();
    assert_eq!(then["properties"], json!({ "language": "go", "tier": 1 }));
    assert_eq!(then["relations"]["spare"], "shop");
    let then = fixture.at("shop", renamed_at).await.unwrap();
    let is = fixture.entity("Service", "shop").await.unwrap();
    assert_eq!(then["properties"], json!({ "language": "go", "level": 1 }));
    assert_eq!(then["properties"], is["properties"]);
    assert_eq!(then["relations"], is["relations"]);
    assert_eq!(then["relations"]["other"], "shop");

    fixture
        .delete("Service", "shop", Dependents::Keep)
        .await
        .unwrap();
    fixture
        .rename("Service", Renamed::Property, "level", "rank")
        .await
        .unwrap();
    let back = fixture.restore("shop").await.unwrap();
    let properties = serde_json::to_value(&back.entity.value.properties).unwrap();
    assert_eq!(properties, json!({ "language": "go", "rank": 1 }));
}

#[tokio::test]
async fn a_deleted_entity_comes_back_with_all_that_still_exists() {
    let fixture = Fixture::with_services().await;
    for name in ["mail", "pay"] {
        fixture.service(name).await;
    }
    let shop = json!({
        "identifier": "shop", "title": "Shop", "icon": "Cart", "team": ["core"], "properties": { "language": "rust", "tier": 3 },
        "relations": { "system": "Cart", "uses": ["mail", "pay", "shop"], "spare": "mail" },
    });
    fixture.put("Service", shop).await.unwrap();
    let was = fixture.entity("Service", "shop").await.unwrap();
    assert_eq!(conflict(fixture.restore("shop").await).0, "already_exists");
    fixture
        .delete("Service", "shop", Dependents::Keep)
        .await
        .unwrap();
    let restored = fixture.restore("shop").await.unwrap();
    assert_eq!(serde_json::to_value(&restored.entity.value).unwrap(), was);
    assert!(restored.lost.is_empty());

    fixture
        .delete("Service", "shop", Dependents::Keep)
        .await
        .unwrap();
    fixture
        .delete("Service", "mail", Dependents::Keep)
        .await
        .unwrap();
    let restored = fixture.restore("shop").await.unwrap();
    let now = serde_json::to_value(&restored.entity.value).unwrap();
    assert_eq!(
        now["relations"],
        json!({ "system": "Cart", "uses": ["pay", "shop"], "spare": null })
    );
    let lost: Vec<_> = restored
        .lost
        .iter()
        .map(|lost| (lost.relation.as_str(), lost.identifier.as_str()))
        .collect();
    assert_eq!(lost, [("uses", "mail"), ("spare", "mail")]);
    assert!(missing(fixture.restore("never").await).contains("never"));
}

#[tokio::test]
async fn a_restored_entity_keeps_to_the_blueprint_of_today() {
    let fixture = Fixture::with_services().await;
    let entity = json!({ "identifier": "shop", "properties": { "language": "go", "tier": 1 }, "relations": { "system": "Cart" } });
    fixture.put("Service", entity).await.unwrap();
    fixture
        .delete("Service", "shop", Dependents::Keep)
        .await
        .unwrap();
    let stricter =
        json!({ "schema": { "properties": { "language": { "enum": ["rust"] }, "tier": null } } });
    fixture.patch("Service", stricter).await.unwrap();
    assert_eq!(
        violations(fixture.restore("shop").await),
        pairs(&[("/properties/language", "enum")])
    );
    let looser = json!({ "schema": { "properties": { "language": { "enum": ["rust", "go"] } } } });
    fixture.patch("Service", looser).await.unwrap();
    let restored = fixture.restore("shop").await.unwrap();
    assert_eq!(
        serde_json::to_value(&restored.entity.value.properties).unwrap(),
        json!({ "language": "go" })
    );
}

#[tokio::test]
async fn a_feed_gives_every_row_once_in_order_and_wakes_on_commit() {
    let fixture = Fixture::with_services().await;
    let history = fixture.catalog.history();
    let filter = AuditFilter {
        resources: vec!["entity".to_owned()],
        blueprint: Some("Service".to_owned()),
        ..AuditFilter::default()
    };
    for number in 0..600 {
        fixture.service(&format!("old-{number}")).await;
    }
    let mut all = history
        .follow(&fixture.actor, filter.clone(), Some(0))
        .await
        .unwrap();
    let mut fresh = history
        .follow(&fixture.actor, filter.clone(), None)
        .await
        .unwrap();
    let mut last = 0;
    for number in 0..600 {
        let row = all.next().await.unwrap();
        assert_eq!(row.entity.unwrap(), format!("old-{number}"));
        assert!(row.sequence > last);
        last = row.sequence;
    }
    let waiting = tokio::spawn(async move { fresh.next().await.unwrap() });
    tokio::task::yield_now().await;
    fixture
        .put("System", json!({ "identifier": "Other" }))
        .await
        .unwrap();
    fixture.service("new").await;
    assert_eq!(waiting.await.unwrap().entity.unwrap(), "new");
    assert_eq!(all.next().await.unwrap().entity.unwrap(), "new");
    // A wait that was given up loses nothing.
    let given_up = tokio::time::timeout(std::time::Duration::ZERO, all.next()).await;
    assert!(given_up.is_err());
    fixture.service("newer").await;
    assert_eq!(all.next().await.unwrap().entity.unwrap(), "newer");
    let gone = history
        .follow(&fixture.actor, filter, Some(1_000_000))
        .await;
    assert!(matches!(
        gone,
        Err(FeedError::Gone {
            asked: 1_000_000,
            ..
        })
    ));
}
