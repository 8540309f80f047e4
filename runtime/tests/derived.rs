//! Calculations, in real worker processes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::path::Path;

use goldenpath::catalog::{Catalog, Error, WriteOptions, parse_blueprint, parse_draft};
use goldenpath::jq::{Jq, worker};
use goldenpath::model::{Actor, Blueprint, BlueprintId, EntityId, WriteMode};
use goldenpath::store::Store;
use serde_json::{Value, json};

struct Portal {
    catalog: Catalog,
    store: Store,
    actor: Actor,
}

impl Portal {
    async fn open(folder: &Path) -> Self {
        let store = Store::open(folder).unwrap();
        let jq = Jq::new(
            env!("CARGO_BIN_EXE_goldenpath").into(),
            vec![worker::ARGUMENT.into()],
        );
        let catalog = Catalog::with_jq(store.clone(), Some(jq));
        catalog.deriver().spawn().await;
        Self {
            catalog,
            store,
            actor: Actor::system(),
        }
    }

    async fn define(&self, blueprint: Value) -> Result<(), Error> {
        let blueprint = parse_blueprint(blueprint)?;
        let actor = &self.actor;
        let id = blueprint.identifier.clone();
        match self.catalog.find_blueprint(&id).await {
            Ok(_) => self
                .catalog
                .replace_blueprint(actor, &id, blueprint)
                .await
                .map(drop),
            Err(_) => self
                .catalog
                .create_blueprint(actor, blueprint)
                .await
                .map(drop),
        }
    }

    async fn put(&self, blueprint: &str, entity: Value) {
        let draft = parse_draft(entity).unwrap();
        let options = WriteOptions::default();
        self.catalog
            .write_entity(
                &self.actor,
                &id(blueprint),
                draft,
                WriteMode::Replace,
                options,
            )
            .await
            .unwrap();
    }

    async fn settle(&self) {
        loop {
            self.catalog.deriver().settle(true).await.unwrap();
            let state = self.catalog.deriver().state(&self.actor).await.unwrap();
            if state.queue.waiting + state.queue.background == 0 {
                return;
            }
        }
    }

    async fn properties(&self, blueprint: &str, entity: &str) -> Value {
        self.settle().await;
        let entity = EntityId::parse(entity).unwrap();
        let entity = self
            .catalog
            .find_entity(&id(blueprint), &entity)
            .await
            .unwrap();
        Value::Object(entity.value.properties)
    }
}

fn id(text: &str) -> BlueprintId {
    BlueprintId::parse(text).unwrap()
}

fn service(calculations: Value) -> Value {
    json!({
        "identifier": "Service", "title": "Service",
        "schema": { "properties": { "repo": { "type": "string" }, "cost": { "type": "number" } } },
        "relations": { "uses": { "target": "Service" } },
        "calculationProperties": calculations,
    })
}

fn text(filter: &str) -> Value {
    json!({ "type": "string", "calculation": filter })
}

#[tokio::test]
async fn calculations_see_the_entity_and_the_derived_values_that_they_name() {
    let folder = tempfile::tempdir().unwrap();
    let portal = Portal::open(folder.path()).await;
    let mut blueprint = service(json!({
        "link": text(r#""https://example.com/" + .properties.repo"#),
        "label": text(r#""\(.identifier) at \(.properties.link), like \(.properties.usedLink)""#),
        "plain": { "type": "number", "calculation": ".properties.cost" },
        "names": { "type": "array", "calculation": ".properties | keys" },
        "where": { "type": "string", "calculation": ".relations.uses" },
    }));
    blueprint["mirrorProperties"] = json!({ "usedLink": { "path": "uses.link" } });
    portal.define(blueprint).await.unwrap();
    portal
        .put(
            "Service",
            json!({ "identifier": "a", "properties": { "repo": "a", "cost": 3 } }),
        )
        .await;
    portal.put("Service", json!({ "identifier": "b", "properties": { "repo": "b" }, "relations": { "uses": "a" } })).await;
    assert_eq!(
        portal.properties("Service", "b").await,
        json!({
            "repo": "b",
            "usedLink": "https://example.com/a",
            "link": "https://example.com/b",
            "label": "b at https://example.com/b, like https://example.com/a",
            "plain": null,
            "names": ["repo"],
            "where": "a",
        })
    );
    portal
        .put(
            "Service",
            json!({ "identifier": "a", "properties": { "repo": "moved", "cost": 4 } }),
        )
        .await;
    let b = portal.properties("Service", "b").await;
    assert_eq!(
        b["label"],
        "b at https://example.com/b, like https://example.com/moved"
    );
    assert_eq!(portal.properties("Service", "a").await["plain"], 4);
}

#[tokio::test]
async fn a_filter_that_is_no_jq_is_refused_where_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let portal = Portal::open(folder.path()).await;
    let calculations =
        json!({ "good": text(".title"), "bad": text(".title |"), "worse": text("env.HOME") });
    let Err(Error::Invalid { violations, .. }) = portal.define(service(calculations)).await else {
        panic!("refused");
    };
    let found: Vec<_> = violations
        .iter()
        .map(|one| (one.path.as_str(), one.rule.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("/calculationProperties/bad/calculation", "jq"),
            ("/calculationProperties/worse/calculation", "jq"),
        ]
    );
    let own = json!({ "own": text(".properties.other"), "other": text(".properties.own") });
    let Err(Error::Invalid { violations, .. }) = portal.define(service(own)).await else {
        panic!("refused");
    };
    assert!(
        violations.iter().all(|one| one.rule == "cycle") && violations.len() == 2,
        "{violations:?}"
    );
}

#[tokio::test]
async fn a_filter_that_means_harm_fails_alone_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let portal = Portal::open(folder.path()).await;
    portal
        .define(service(json!({
            "endless": text("def f: f; f"),
            "huge": text(r#"[limit(1000000; repeat("abc"))] | join("")"#),
            "large": text(r#""abcdefgh" * 10000"#),
            "wrong": { "type": "number", "calculation": ".title" },
            "failing": text(r#"error("no such thing")"#),
            "good": text(".identifier | ascii_upcase"),
        })))
        .await
        .unwrap();
    portal
        .put("Service", json!({ "identifier": "a", "title": "A" }))
        .await;
    let properties = portal.properties("Service", "a").await;
    assert_eq!(
        properties,
        json!({ "endless": null, "huge": null, "large": null, "wrong": null, "failing": null, "good": "A" })
    );
    let state = portal.catalog.deriver().state(&portal.actor).await.unwrap();
    assert_eq!(state.failed_entities, 1);
    let told: Vec<&str> = state
        .failures
        .iter()
        .map(|one| one.property.as_str())
        .collect();
    assert_eq!(told, ["endless", "huge", "large", "wrong", "failing"]);
    assert!(
        state
            .failures
            .iter()
            .all(|one| one.entity == "a" && !one.message.is_empty())
    );
    // What had to be killed twice is left alone; all else goes on.
    for name in ["b", "c", "d"] {
        portal
            .put("Service", json!({ "identifier": name, "title": "A" }))
            .await;
        assert_eq!(
            portal.properties("Service", name).await["good"],
            name.to_uppercase()
        );
    }
    let state = portal.catalog.deriver().state(&portal.actor).await.unwrap();
    let rests = |entity: &str| {
        let of = |one: &&goldenpath::model::DerivedFailure| {
            one.entity == entity && one.property == "endless"
        };
        state
            .failures
            .iter()
            .find(of)
            .unwrap()
            .message
            .contains("rests")
    };
    assert!(!rests("a") && rests("d"));
    portal
        .define(service(json!({ "endless": text(".title") })))
        .await
        .unwrap();
    assert_eq!(
        portal.properties("Service", "a").await,
        json!({ "endless": "A" })
    );
    assert_eq!(
        portal
            .catalog
            .deriver()
            .state(&portal.actor)
            .await
            .unwrap()
            .failed_entities,
        0
    );
}

#[tokio::test]
async fn without_a_worker_for_jq_all_waits_and_nothing_fails() {
    let folder = tempfile::tempdir().unwrap();
    {
        let portal = Portal::open(folder.path()).await;
        portal
            .define(service(
                json!({ "name": text(".identifier | ascii_upcase") }),
            ))
            .await
            .unwrap();
        portal.catalog.deriver().shutdown().await;
        let nobody = Jq::new("/nowhere/at/all".into(), Vec::new());
        let catalog = Catalog::with_jq(portal.store.clone(), Some(nobody));
        catalog.deriver().spawn().await;
        let draft = parse_draft(json!({ "identifier": "a" })).unwrap();
        let options = WriteOptions::default();
        catalog
            .write_entity(
                &portal.actor,
                &id("Service"),
                draft,
                WriteMode::Create,
                options,
            )
            .await
            .unwrap();
        catalog.deriver().settle(true).await.unwrap();
        let state = catalog.deriver().state(&portal.actor).await.unwrap();
        assert!(state.queue.waiting > 0 && state.failed_entities == 0);
        let parsed: Result<Blueprint, Error> =
            parse_blueprint(service(json!({ "name": text("[1] | first") })));
        let refused = catalog
            .replace_blueprint(&portal.actor, &id("Service"), parsed.unwrap())
            .await;
        assert!(matches!(refused, Err(Error::NoJq(_))), "{refused:?}");
        catalog.deriver().shutdown().await;
    }
    let portal = Portal::open(folder.path()).await;
    assert_eq!(
        portal.properties("Service", "a").await,
        json!({ "name": "A" })
    );
    portal.catalog.deriver().shutdown().await;
}
