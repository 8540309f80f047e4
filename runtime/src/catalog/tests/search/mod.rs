//! Searches over a real store: random ones beside a naive answer, and the special ones by hand.

mod naive;
mod random;

use std::time::Duration;

use super::*;
use crate::model::{EntityJson, Timestamp};

/// 2026-02-03T04:05:06.789Z.
const NOW: Timestamp = Timestamp(1_770_091_506_789);

fn search(query: &Value) -> Search {
    Search {
        query: parse_query(query, "").unwrap(),
        blueprint: None,
        text: None,
        after: None,
        limit: 1_000,
        explain: false,
        partial: false,
    }
}

fn all(rules: Value) -> Value {
    json!({"combinator": "and", "rules": rules})
}

impl Fixture {
    /// The names of what a query finds, as `blueprint/identifier`.
    pub(super) async fn search(&self, query: &Value) -> Result<Vec<String>, Error> {
        let found = self.catalog.search(&self.actor, search(query), NOW).await?;
        assert!(found.next.is_none());
        Ok(names(&found))
    }

    async fn plan(&self, blueprint: &str, query: &Value) -> Value {
        let search = Search {
            blueprint: Some(id(blueprint)),
            explain: true,
            ..search(query)
        };
        let found = self.catalog.search(&self.actor, search, NOW).await.unwrap();
        found.plans[0].clone()
    }

    /// Domains over systems over services, with a property or two.
    async fn with_landscape(services: usize) -> Self {
        let fixture = Self::new();
        let blueprint = |id: &str, properties: Value, relations: Value| json!({"identifier": id, "title": id, "schema": {"properties": properties}, "relations": relations});
        let blueprints = vec![
            blueprint("Domain", json!({}), json!({})),
            blueprint("System", json!({}), json!({"domain": {"target": "Domain"}})),
            blueprint(
                "Service",
                json!({"tier": {"type": "number"}, "language": {"type": "string"}, "tags": {"type": "array"}, "notes": {"type": "string"}}),
                json!({"system": {"target": "System", "required": true}, "uses": {"target": "Service", "many": true}}),
            ),
        ];
        let mut entities = vec![json!({"identifier": "shop", "blueprint": "Domain"})];
        for system in 0..4 {
            entities.push(json!({"identifier": format!("sys{system}"), "blueprint": "System", "relations": {"domain": "shop"}}));
        }
        for service in 0..services {
            entities.push(json!({
                "identifier": format!("s{service:05}"), "blueprint": "Service", "title": format!("Service {service}"),
                "team": [format!("team{}", service % 3)],
                "properties": {"tier": service % 10, "language": if service % 2 == 0 { "rust" } else { "go" }, "tags": [service % 7, "x"], "notes": format!("note {service}")},
                "relations": {"system": format!("sys{}", service % 4), "uses": if service > 0 { vec![format!("s{:05}", service - 1)] } else { vec![] }},
            }));
        }
        fixture.apply(blueprints, entities).await.unwrap();
        fixture
    }
}

fn names(found: &Found) -> Vec<String> {
    let name = |entity: &EntityJson| {
        let entity = entity.read().unwrap().value;
        format!("{}/{}", entity.blueprint, entity.identifier)
    };
    found.entities.iter().map(name).collect()
}

#[tokio::test]
async fn walks_reach_what_depends_and_what_is_depended_on() {
    let fixture = Fixture::with_landscape(8).await;
    let related = |extra: Value| {
        let mut rule = json!({"operator": "relatedTo", "blueprint": "System", "value": "sys1"});
        rule.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        all(json!([rule]))
    };
    let up = fixture
        .search(&related(json!({"direction": "upstream"})))
        .await
        .unwrap();
    assert_eq!(up, ["Domain/shop"]);
    let down = fixture
        .search(&related(
            json!({"direction": "downstream", "required": true}),
        ))
        .await
        .unwrap();
    assert_eq!(down, ["Service/s00001", "Service/s00005"]);
    // Whoever uses a member depends on the system, too.
    let down = fixture
        .search(&related(json!({"direction": "downstream"})))
        .await
        .unwrap();
    assert_eq!(down.len(), 7);
    let both = fixture.search(&related(json!({}))).await.unwrap();
    assert_eq!(both.len(), 8);
    // Asked for one blueprint, a walk leaves out what does not lead there, and nothing else.
    for extra in [
        json!({}),
        json!({"direction": "upstream"}),
        json!({"direction": "downstream"}),
        json!({"required": true}),
        json!({"required": false}),
    ] {
        let whole = fixture.search(&related(extra.clone())).await.unwrap();
        for blueprint in ["Domain", "System", "Service"] {
            let mut query = related(extra.clone());
            let only = json!({"property": "$blueprint", "operator": "=", "value": blueprint});
            query["rules"].as_array_mut().unwrap().push(only);
            let mut of_blueprint = whole.clone();
            of_blueprint.retain(|name| name.starts_with(blueprint));
            let found = fixture.search(&query).await.unwrap();
            assert_eq!(found, of_blueprint, "{blueprint} {extra}");
        }
    }
    let path = |path: Value, value: &str| {
        all(json!([{"operator": "matchAny", "property": path, "value": value}]))
    };
    let domain = path(json!({"path": ["system", "domain"]}), "shop");
    assert_eq!(fixture.search(&domain).await.unwrap().len(), 8);
    let chain = path(
        json!({"path": [{"relation": "uses", "maxHops": 2}]}),
        "s00003",
    );
    assert_eq!(
        fixture.search(&chain).await.unwrap(),
        ["Service/s00004", "Service/s00005"]
    );
    let back = path(
        json!({"path": ["system"], "fromBlueprint": "Service"}),
        "s00003",
    );
    assert_eq!(fixture.search(&back).await.unwrap(), ["System/sys3"]);
    let mixed = path(
        json!({"path": ["uses", {"relation": "uses", "maxHops": 2}], "fromBlueprint": "Service"}),
        "s00007",
    );
    assert_eq!(
        fixture.search(&mixed).await.unwrap(),
        ["Service/s00004", "Service/s00005", "Service/s00006"]
    );
    let unknown = all(json!([{"operator": "relatedTo", "blueprint": "Nothing", "value": "x"}]));
    assert!(missing(fixture.search(&unknown).await).contains("Nothing"));
}

#[tokio::test]
async fn plan_begins_with_the_rule_that_leaves_the_fewest() {
    let fixture = Fixture::with_landscape(200).await;
    let equal = |property: &str, value: Value| json!({"property": property, "operator": "=", "value": value});
    let alone = fixture
        .plan("Service", &all(json!([equal("tier", json!(3))])))
        .await;
    assert_eq!(
        alone["begin"],
        json!({"index": "value", "property": "tier", "value": 3})
    );
    assert_eq!(
        (&alone["check"], &alone["exact"]),
        (&json!("nothing"), &json!(true))
    );
    let two = all(json!([
        equal("language", json!("rust")),
        equal("tier", json!(4))
    ]));
    let two = fixture.plan("Service", &two).await;
    assert_eq!(two["begin"]["property"], "tier");
    assert_eq!(two["check"]["property"], "language");
    let walk = all(json!([
        equal("language", json!("go")),
        equal("$identifier", json!("s00001")),
        {"operator": "relatedTo", "blueprint": "System", "value": "sys1", "direction": "downstream", "required": true},
    ]));
    assert_eq!(
        fixture.plan("Service", &walk).await["begin"],
        json!({"keys": 1})
    );
    let range = all(json!([{"property": "tier", "operator": ">", "value": 8}]));
    assert_eq!(
        fixture.plan("Service", &range).await["begin"],
        json!({"keys": 20})
    );
    let none = all(json!([
        equal("$blueprint", json!("System")),
        equal("tier", json!(1))
    ]));
    assert_eq!(fixture.plan("Service", &none).await["check"], "never");
    let scan = all(json!([{"property": "notes", "operator": "contains", "value": "9"}]));
    let scan = fixture.plan("Service", &scan).await;
    assert_eq!(
        (&scan["begin"], &scan["exact"]),
        (
            &json!({"all": "every entity of the blueprint"}),
            &json!(false)
        )
    );
}

#[tokio::test]
async fn pages_neither_repeat_nor_miss_what_was_there_all_along() {
    let fixture = Fixture::with_landscape(100).await;
    let query = all(json!([{"property": "language", "operator": "=", "value": "rust"}]));
    let (mut seen, mut after, mut page) = (Vec::new(), None, 0);
    loop {
        let search = Search {
            limit: 7,
            after,
            ..search(&query)
        };
        let found = fixture
            .catalog
            .search(&fixture.actor, search, NOW)
            .await
            .unwrap();
        seen.extend(names(&found));
        after = found.next;
        if after.is_none() {
            break;
        }
        page += 1;
        // Between the pages one comes, and one that was seen goes.
        let entity = json!({"identifier": format!("a{page}"), "properties": {"language": "rust"}, "relations": {"system": "sys0"}});
        fixture.put("Service", entity).await.unwrap();
        fixture.write("Service", json!({"identifier": format!("s{:05}", (page - 1) * 2), "properties": {"language": "c"}}), WriteMode::Merge).await.unwrap();
        let text = after.unwrap().to_string();
        assert_eq!(text.parse(), Ok(after.unwrap()));
    }
    let old: Vec<_> = seen
        .iter()
        .filter(|name| name.starts_with("Service/s"))
        .collect();
    assert_eq!(old.len(), 50);
    let mut once = seen.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), seen.len());
}

#[tokio::test]
async fn a_query_that_costs_too_much_is_refused_with_what_to_narrow() {
    let fixture = Fixture::with_landscape(50).await;
    let limited = |limits: SearchLimits| fixture.catalog.clone().with_search_limits(limits);
    let scan = all(json!([{"property": "notes", "operator": "contains", "value": "nowhere"}]));
    let refused = |outcome: Result<Found, Error>| match outcome.unwrap_err() {
        Error::TooExpensive(message) => message,
        other => panic!("{other:?}"),
    };
    let few = limited(SearchLimits {
        rows: 10,
        ..SearchLimits::default()
    });
    let message = refused(few.search(&fixture.actor, search(&scan), NOW).await);
    assert!(
        message.contains("more than 10 entities") && message.contains("add a rule"),
        "{message}"
    );
    // What the index answers costs no rows.
    let indexed = all(json!([{"property": "tier", "operator": "=", "value": 1}]));
    assert!(
        few.search(&fixture.actor, search(&indexed), NOW)
            .await
            .is_ok()
    );
    let short = limited(SearchLimits {
        time: Duration::ZERO,
        ..SearchLimits::default()
    });
    let many = Fixture::with_landscape(300).await;
    let short = Catalog {
        store: many.store.clone(),
        ..short
    };
    let message = refused(short.search(&fixture.actor, search(&scan), NOW).await);
    assert!(message.contains("longer than 0 ms"), "{message}");
    // The time of one reader is not that of the next.
    assert!(many.search(&scan).await.unwrap().is_empty());
}

#[tokio::test]
async fn index_follows_when_properties_go_and_catches_up_with_what_was_there_before() {
    let fixture = Fixture::with_landscape(10).await;
    let tier = all(json!([{"property": "tier", "operator": "=", "value": 1}]));
    assert_eq!(fixture.search(&tier).await.unwrap(), ["Service/s00001"]);
    let none = json!({"schema": {"properties": {"tier": null}}});
    fixture.patch("Service", none).await.unwrap();
    assert!(fixture.search(&tier).await.unwrap().is_empty());
    let again = json!({"schema": {"properties": {"tier": {"type": "string"}}}});
    fixture.patch("Service", again).await.unwrap();
    fixture
        .write(
            "Service",
            json!({"identifier": "s00002", "properties": {"tier": "1"}}),
            WriteMode::Merge,
        )
        .await
        .unwrap();
    assert!(fixture.search(&tier).await.unwrap().is_empty());
    let rust = all(json!([{"property": "language", "operator": "=", "value": "rust"}]));
    fixture
        .store
        .write(|tx| tx.forget_everything())
        .await
        .unwrap();
    assert!(fixture.search(&rust).await.unwrap().is_empty());
    fixture.catalog.catch_up().await.unwrap();
    assert_eq!(fixture.search(&rust).await.unwrap().len(), 5);
    fixture.catalog.catch_up().await.unwrap();
}

#[tokio::test]
async fn index_follows_a_renamed_property() {
    let fixture = Fixture::with_landscape(10).await;
    let rust = |name: &str| all(json!([{"property": name, "operator": "=", "value": "rust"}]));
    fixture
        .rename("Service", Renamed::Property, "language", "tongue")
        .await
        .unwrap();
    assert_eq!(fixture.search(&rust("tongue")).await.unwrap().len(), 5);
    assert!(fixture.search(&rust("language")).await.unwrap().is_empty());
    let other = json!({"identifier": "s00000", "properties": {"tongue": "c"}});
    fixture
        .write("Service", other, WriteMode::Merge)
        .await
        .unwrap();
    assert_eq!(fixture.search(&rust("tongue")).await.unwrap().len(), 4);
    let words = TextSearch {
        text: "rust".to_owned(),
        blueprint: None,
        offset: 0,
        limit: 10,
    };
    let found = fixture.catalog.search_text(&fixture.actor, words).await;
    let hits = found.unwrap().hits;
    assert_eq!(hits.len(), 4);
    assert_eq!(hits[0].matched, ["properties.tongue"]);
    // A new property of the old name has nothing of the old values.
    let again = json!({"schema": {"properties": {"language": {"type": "string"}}}});
    fixture.patch("Service", again).await.unwrap();
    assert!(fixture.search(&rust("language")).await.unwrap().is_empty());
}

#[tokio::test]
async fn entities_are_found_by_the_program_that_wrote_them() {
    let mut fixture = Fixture::with_landscape(4).await;
    let by = async |fixture: &Fixture, operator: &str, value: &str| {
        let rule = json!([{"property": "$datasource", "operator": operator, "value": value}]);
        fixture.search(&all(rule)).await.unwrap()
    };
    fixture.actor.client = Some("exporter/1.0 git".to_owned());
    let title = json!({"identifier": "s00001", "title": "One"});
    fixture
        .write("Service", title, WriteMode::Merge)
        .await
        .unwrap();
    // As it should be already: it is the program's all the same.
    let same = json!({"identifier": "s00002", "title": "Service 2"});
    fixture
        .write("Service", same, WriteMode::Merge)
        .await
        .unwrap();
    let both = ["Service/s00001", "Service/s00002"];
    assert_eq!(by(&fixture, "=", "exporter/1.0 git").await, both);
    assert_eq!(by(&fixture, "beginsWith", "exporter/").await, both);
    assert_eq!(by(&fixture, "endsWith", "git").await, both);
    assert!(by(&fixture, "contains", "gitlab").await.is_empty());
    let none = json!([{"property": "$datasource", "operator": "isEmpty"},
                      {"property": "$blueprint", "operator": "=", "value": "Service"}]);
    let none = fixture.search(&all(none)).await.unwrap();
    assert_eq!(none, ["Service/s00000", "Service/s00003"]);
}

#[tokio::test]
async fn counts_are_those_of_the_searches() {
    let fixture = Fixture::with_landscape(20).await;
    for (rules, wanted) in [
        (
            json!([{"property": "language", "operator": "=", "value": "go"}]),
            10,
        ),
        (
            json!([{"property": "notes", "operator": "contains", "value": "note 1"}]),
            11,
        ),
        (
            json!([{"property": "tags", "operator": "contains", "value": "x"}]),
            20,
        ),
        (json!([{"relation": "uses", "operator": "isEmpty"}]), 1),
        (json!([]), 20),
    ] {
        let query = parse_query(&all(rules.clone()), "").unwrap();
        let counted = fixture
            .catalog
            .count(&fixture.actor, query, Some(id("Service")), NOW)
            .await
            .unwrap();
        assert_eq!(counted, [(id("Service"), wanted)], "{rules}");
    }
}

#[tokio::test]
async fn derived_values_are_found_like_own_ones_and_go_with_their_entity() {
    let fixture = Fixture::with_landscape(6).await;
    fixture.catalog.deriver().spawn().await;
    let mirror = json!({"mirrorProperties": {"area": {"title": "Area", "path": "system.domain.$identifier"}}});
    fixture.patch("Service", mirror).await.unwrap();
    let scorecard = json!({
        "identifier": "ready", "title": "Ready", "rules": [{
            "identifier": "first", "title": "First tier", "level": "Gold",
            "query": {"combinator": "and", "conditions": [{"property": "tier", "operator": "<", "value": 2}]},
        }],
    });
    let scorecard = parse_scorecard(scorecard, &id("Service")).unwrap();
    fixture
        .catalog
        .create_scorecard(&fixture.actor, scorecard)
        .await
        .unwrap();
    fixture.settle().await;
    let area = all(json!([{"property": "area", "operator": "=", "value": "shop"}]));
    assert_eq!(fixture.search(&area).await.unwrap().len(), 6);
    let gold = all(json!([{"scorecard": "ready", "operator": "=", "value": "Gold"}]));
    let wanted = ["Service/s00000", "Service/s00001"];
    assert_eq!(fixture.search(&gold).await.unwrap(), wanted);
    let passed = json!([{"scorecard": "ready", "scorecardRule": "first", "operator": "contains", "value": "SUCC"}]);
    assert_eq!(fixture.search(&all(passed)).await.unwrap(), wanted);
    let plan = fixture.plan("Service", &gold).await;
    assert_eq!(
        (&plan["begin"]["index"], &plan["exact"]),
        (&json!("value"), &json!(true))
    );
    fixture
        .delete("Service", "s00001", Dependents::Keep)
        .await
        .unwrap();
    let gone = all(json!([{"property": "area", "operator": "!=", "value": "shop"}]));
    assert!(
        !fixture
            .search(&gone)
            .await
            .unwrap()
            .contains(&"Service/s00001".to_owned())
    );
    assert_eq!(fixture.search(&gold).await.unwrap(), ["Service/s00000"]);
    let counted = fixture
        .catalog
        .count(&fixture.actor, parse_query(&gold, "").unwrap(), None, NOW)
        .await
        .unwrap();
    assert_eq!(counted, [(id("Service"), 1)]);
}
