use super::*;
use crate::model::Scorecard;

fn blueprint() -> Value {
    json!({
        "identifier": "Service", "title": "Service",
        "schema": { "properties": { "owner": { "type": "string" }, "tests": { "type": "number" }, "language": { "type": "string" } } },
        "relations": { "uses": { "target": "Service", "many": true } },
        "aggregationProperties": { "users": {
            "target": "Service", "calculationSpec": { "calculationBy": "entities", "func": "count" },
            "pathFilter": [{ "path": ["uses"], "fromBlueprint": "Service" }],
        } },
    })
}

fn rule(identifier: &str, level: &str, condition: Value) -> Value {
    json!({ "identifier": identifier, "title": identifier, "level": level, "query": { "combinator": "and", "conditions": [condition] } })
}

fn readiness() -> Value {
    json!({
        "identifier": "readiness", "title": "Readiness",
        "rules": [
            rule("hasOwner", "Bronze", json!({ "property": "owner", "operator": "isNotEmpty" })),
            rule("hasTests", "Silver", json!({ "property": "tests", "operator": ">=", "value": 10 })),
            rule("isUsed", "Gold", json!({ "property": "users", "operator": ">", "value": 0 })),
        ],
    })
}

impl Fixture {
    pub(super) async fn score(&self, document: Value) -> Result<Stamped<Scorecard>, Error> {
        let scorecard = parse_scorecard(document, &id("Service"))?;
        self.catalog.create_scorecard(&self.actor, scorecard).await
    }

    async fn level(&self, entity: &str, scorecard: &str) -> Value {
        self.settle().await;
        let entity = self.entity("Service", entity).await.unwrap();
        entity["scorecards"][scorecard]["level"].clone()
    }
}

async fn services() -> Fixture {
    let fixture = Fixture::deriving(vec![blueprint()]).await;
    for entity in [
        json!({ "identifier": "none" }),
        json!({ "identifier": "owned", "properties": { "owner": "ann" } }),
        json!({ "identifier": "tested", "properties": { "owner": "bob", "tests": 12, "language": "go" } }),
        json!({ "identifier": "unowned", "properties": { "tests": 99 } }),
    ] {
        fixture.put("Service", entity).await.unwrap();
    }
    fixture
}

#[tokio::test]
async fn an_entity_has_a_level_when_it_keeps_every_rule_up_to_it() {
    let fixture = services().await;
    let stored = fixture.score(readiness()).await.unwrap();
    let levels: Vec<&str> = stored
        .value
        .levels
        .iter()
        .map(|level| level.title.as_str())
        .collect();
    assert_eq!(levels, ["Basic", "Bronze", "Silver", "Gold"]);
    for (entity, level) in [
        ("none", "Basic"),
        ("owned", "Bronze"),
        ("tested", "Silver"),
        ("unowned", "Basic"),
    ] {
        assert_eq!(
            fixture.level(entity, "readiness").await,
            json!(level),
            "{entity}"
        );
    }
    let entity = fixture.entity("Service", "unowned").await.unwrap();
    assert_eq!(
        entity["scorecards"]["readiness"],
        json!({ "level": "Basic", "rules": [
            { "identifier": "hasOwner", "status": "FAILURE", "level": "Bronze" },
            { "identifier": "hasTests", "status": "SUCCESS", "level": "Silver" },
            { "identifier": "isUsed", "status": "FAILURE", "level": "Gold" },
        ] })
    );
}

#[tokio::test]
async fn levels_follow_the_entity_and_what_is_derived_from_it() {
    let fixture = services().await;
    fixture.score(readiness()).await.unwrap();
    let uses = json!({ "identifier": "none", "relations": { "uses": ["tested"] } });
    fixture
        .write("Service", uses, WriteMode::Merge)
        .await
        .unwrap();
    assert_eq!(fixture.level("tested", "readiness").await, json!("Gold"));
    let worse = json!({ "identifier": "tested", "properties": { "tests": 1 } });
    fixture
        .write("Service", worse, WriteMode::Merge)
        .await
        .unwrap();
    assert_eq!(fixture.level("tested", "readiness").await, json!("Bronze"));
}

#[tokio::test]
async fn what_needs_nothing_slow_is_known_with_the_write_itself() {
    // Without a worker.
    let fixture = Fixture::new();
    fixture.apply(vec![blueprint()], vec![]).await.unwrap();
    let quick = json!({ "identifier": "quick", "title": "Quick", "rules": [
        rule("hasOwner", "Bronze", json!({ "property": "owner", "operator": "isNotEmpty" })),
    ] });
    fixture.score(quick).await.unwrap();
    fixture
        .put(
            "Service",
            json!({ "identifier": "a", "properties": { "owner": "ann" } }),
        )
        .await
        .unwrap();
    let level = async || {
        fixture.entity("Service", "a").await.unwrap()["scorecards"]["quick"]["level"].clone()
    };
    assert_eq!(level().await, json!("Gold"));
    fixture
        .put("Service", json!({ "identifier": "a" }))
        .await
        .unwrap();
    assert_eq!(level().await, json!("Basic"));
}

#[tokio::test]
async fn a_filter_leaves_entities_out_and_levels_can_be_ones_own() {
    let fixture = services().await;
    let mut own = readiness();
    own["identifier"] = json!("go");
    own["levels"] =
        json!([{ "title": "Red", "color": "red" }, { "title": "Green", "color": "green" }]);
    own["filter"] = json!({ "combinator": "and", "conditions": [{ "property": "language", "operator": "=", "value": "go" }] });
    own["rules"] = json!([rule(
        "hasOwner",
        "Green",
        json!({ "property": "owner", "operator": "isNotEmpty" })
    )]);
    fixture.score(own).await.unwrap();
    assert_eq!(fixture.level("tested", "go").await, json!("Green"));
    assert_eq!(fixture.level("owned", "go").await, Value::Null);
}

#[tokio::test]
async fn a_changed_or_deleted_scorecard_changes_all_entities() {
    let fixture = services().await;
    fixture.score(readiness()).await.unwrap();
    let mut milder = readiness();
    milder["rules"] = json!([rule(
        "hasTests",
        "Bronze",
        json!({ "property": "tests", "operator": ">", "value": 50 })
    )]);
    let milder = parse_scorecard(milder, &id("Service")).unwrap();
    fixture
        .catalog
        .replace_scorecard(&fixture.actor, milder)
        .await
        .unwrap();
    assert_eq!(fixture.level("unowned", "readiness").await, json!("Gold"));
    assert_eq!(fixture.level("tested", "readiness").await, json!("Basic"));
    fixture
        .catalog
        .delete_scorecard(&fixture.actor, &id("Service"), "readiness")
        .await
        .unwrap();
    fixture.settle().await;
    assert!(
        fixture
            .entity("Service", "tested")
            .await
            .unwrap()
            .get("scorecards")
            .is_none()
    );
    let rows = fixture.audit().await;
    assert_eq!(
        rows.iter()
            .filter(|row| row.resource == "scorecard")
            .count(),
        3
    );
}

#[tokio::test]
async fn every_rule_of_a_scorecard_is_told_with_its_place() {
    let fixture = services().await;
    let with = |change: fn(&mut Value)| {
        let mut document = readiness();
        change(&mut document);
        document
    };
    type Case = (fn(&mut Value), &'static str, &'static str);
    let cases: &[Case] = &[
        (
            |card| card["identifier"] = json!("a b"),
            "/identifier",
            "identifier",
        ),
        (|card| card["title"] = json!(""), "/title", "length"),
        (
            |card| card["blueprint"] = json!("Other"),
            "/blueprint",
            "const",
        ),
        (|card| card["levels"] = json!([]), "/levels", "minItems"),
        (
            |card| card["levels"] = json!([{ "title": "Red", "color": "mauve" }]),
            "/levels/0/color",
            "enum",
        ),
        (|card| card["rules"] = json!(null), "/rules", "type"),
        (
            |card| card["rules"][0]["level"] = json!("Basic"),
            "/rules/0/level",
            "level",
        ),
        (
            |card| card["rules"][0]["level"] = json!("Platinum"),
            "/rules/0/level",
            "level",
        ),
        (
            |card| card["rules"][1]["identifier"] = json!("hasOwner"),
            "/rules/1/identifier",
            "unique",
        ),
        (
            |card| card["rules"][1]["query"] = json!(null),
            "/rules/1/query",
            "type",
        ),
        (
            |card| card["rules"][1]["query"]["conditions"][0]["property"] = json!("nothing"),
            "/rules/1/query",
            "property",
        ),
        (
            |card| card["filter"] = json!({ "combinator": "xor", "conditions": [] }),
            "/filter/combinator",
            "enum",
        ),
    ];
    for (change, path, rule) in cases {
        let document = with(*change);
        assert_eq!(
            violations(fixture.score(document.clone()).await),
            pairs(&[(path, rule)]),
            "{document}"
        );
    }
    fixture.score(readiness()).await.unwrap();
    assert_eq!(
        conflict(fixture.score(readiness()).await).0,
        "already_exists"
    );
}
