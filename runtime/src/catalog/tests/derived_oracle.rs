//! Derived values after random writes, beside the same values worked out from nothing but what was written.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Write {
        kind: &'static str,
        id: String,
        size: Option<i64>,
        one: Option<String>,
        many: Option<Vec<String>>,
    },
    Delete {
        kind: &'static str,
        id: String,
        dependents: Dependents,
    },
    Settle,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = || "[abc]";
    let kind = || prop_oneof![Just("Top"), Just("Leaf")];
    let write = (
        kind(),
        name(),
        proptest::option::of(0..4_i64),
        proptest::option::of(name()),
        proptest::option::of(proptest::collection::vec(name(), 0..3)),
    )
        .prop_map(|(kind, id, size, one, many)| Step::Write {
            kind,
            id,
            size,
            one,
            many,
        });
    let dependents = prop_oneof![Just(Dependents::Keep), Just(Dependents::Delete)];
    let step = prop_oneof![
        8 => write,
        2 => (kind(), name(), dependents).prop_map(|(kind, id, dependents)| Step::Delete { kind, id, dependents }),
        1 => Just(Step::Settle),
    ];
    proptest::collection::vec(step, 1..30)
}

/// `Top`: one next top, many leaves. `Leaf`: one top above, many peers.
fn blueprints() -> Vec<Value> {
    let aggregation =
        |target: &str, spec: Value| json!({ "target": target, "calculationSpec": spec });
    let count = || json!({ "calculationBy": "entities", "func": "count" });
    let of = |func: &str| json!({ "calculationBy": "property", "func": func, "property": "size" });
    let along = |mut aggregation: Value, path: Value| {
        aggregation["pathFilter"] = json!([path]);
        aggregation
    };
    let mut big = along(aggregation("Leaf", count()), json!({ "path": ["many"] }));
    big["query"] = json!({ "combinator": "and", "rules": [{ "property": "size", "operator": ">=", "value": 2 }] });
    let mut rich = aggregation("Leaf", count());
    rich["query"] = json!({ "combinator": "and", "rules": [{ "property": "oneSize", "operator": "isNotEmpty" }] });
    vec![
        json!({
            "identifier": "Top", "title": "Top",
            "schema": { "properties": { "size": { "type": "number" } } },
            "relations": { "one": { "target": "Top" }, "many": { "target": "Leaf", "many": true } },
            "mirrorProperties": { "nextNext": { "path": "one.one.size" } },
            "aggregationProperties": {
                "leaves": aggregation("Leaf", count()),
                "tops": aggregation("Top", count()),
                "above": along(aggregation("Leaf", of("sum")), json!({ "path": ["one"], "fromBlueprint": "Leaf" })),
                "median": along(aggregation("Leaf", of("median")), json!({ "path": ["one", "many"] })),
                "big": big,
                "rich": rich,
            },
        }),
        json!({
            "identifier": "Leaf", "title": "Leaf",
            "schema": { "properties": { "size": { "type": "number" } } },
            "relations": { "one": { "target": "Top" }, "many": { "target": "Leaf", "many": true } },
            "mirrorProperties": {
                "oneSize": { "path": "one.size" },
                "peerSizes": { "path": "many.many.size" },
                "chained": { "path": "one.above" },
            },
        }),
    ]
}

fn scorecard() -> Value {
    let rule = |identifier: &str, level: &str, property: &str, value: i64| {
        json!({
            "identifier": identifier, "level": level,
            "query": { "combinator": "and", "conditions": [{ "property": property, "operator": ">", "value": value }] },
        })
    };
    json!({
        "identifier": "card", "title": "Card",
        "rules": [rule("size", "Bronze", "size", 0), rule("chained", "Silver", "chained", 2)],
    })
}

type Key = (String, String);

/// What was written.
#[derive(Debug, Default)]
struct Written {
    sizes: BTreeMap<Key, Option<i64>>,
    /// Source, relation, target, in order.
    edges: Vec<(Key, String, Key)>,
}

impl Written {
    fn along(&self, from: &Key, relation: &str) -> Vec<Key> {
        let edges = self.edges.iter();
        edges
            .filter(|(source, name, _)| source == from && name == relation)
            .map(|(.., target)| target.clone())
            .collect()
    }

    fn against(&self, to: &Key, kind: &str, relation: &str) -> Vec<Key> {
        let edges = self.edges.iter();
        let found = edges
            .filter(|(source, name, target)| target == to && name == relation && source.0 == kind);
        found.map(|(source, ..)| source.clone()).collect()
    }

    /// Everything that is reached over any relations in one direction, the start itself left out.
    fn related(&self, start: &Key, kind: &str) -> BTreeSet<Key> {
        let mut found = BTreeSet::new();
        for backwards in [false, true] {
            let mut seen = BTreeSet::from([start.clone()]);
            loop {
                let next: BTreeSet<Key> = self
                    .edges
                    .iter()
                    .map(|(source, _, target)| {
                        if backwards {
                            (target, source)
                        } else {
                            (source, target)
                        }
                    })
                    .filter(|(near, far)| seen.contains(*near) && !seen.contains(*far))
                    .map(|(_, far)| far.clone())
                    .collect();
                if next.is_empty() {
                    break;
                }
                seen.extend(next);
            }
            found.extend(seen);
        }
        found.remove(start);
        found.retain(|(of, _)| of == kind);
        found
    }

    fn sizes_of(&self, keys: &[Key]) -> Vec<i64> {
        let distinct: BTreeSet<&Key> = keys.iter().collect();
        distinct
            .into_iter()
            .filter_map(|key| self.sizes[key])
            .collect()
    }

    fn above(&self, top: &Key) -> i64 {
        self.sizes_of(&self.against(top, "Leaf", "one"))
            .iter()
            .sum()
    }

    fn one_size(&self, leaf: &Key) -> Option<i64> {
        self.along(leaf, "one")
            .first()
            .and_then(|top| self.sizes[top])
    }

    fn top(&self, key: &Key) -> Value {
        let next = self.along(key, "one");
        let next_next: Vec<Key> = next.iter().flat_map(|top| self.along(top, "one")).collect();
        let leaves = self.related(key, "Leaf");
        let below: Vec<Key> = next
            .iter()
            .flat_map(|top| self.along(top, "many"))
            .collect();
        let mut below = self.sizes_of(&below);
        below.sort_unstable();
        let median = match below.len() {
            0 => Value::Null,
            count if count % 2 == 1 => json!(below[count / 2]),
            count => {
                let both = below[count / 2 - 1] + below[count / 2];
                if both % 2 == 0 {
                    json!(both / 2)
                } else {
                    json!(f64::from(i32::try_from(both).unwrap()) / 2.0)
                }
            }
        };
        json!({
            "size": self.sizes[key],
            "nextNext": next_next.first().and_then(|top| self.sizes[top]),
            "leaves": leaves.len(),
            "tops": self.related(key, "Top").len(),
            "above": self.above(key),
            "median": median,
            "big": self.sizes_of(&self.along(key, "many")).iter().filter(|size| **size >= 2).count(),
            "rich": leaves.iter().filter(|leaf| self.one_size(leaf).is_some()).count(),
        })
    }

    fn leaf(&self, key: &Key) -> (Value, Value) {
        let mut seen = BTreeSet::new();
        let peers = self.along(key, "many");
        let peers = peers
            .iter()
            .flat_map(|peer| self.along(peer, "many"))
            .filter(|peer| seen.insert(peer.clone()));
        let sizes: Vec<i64> = peers.filter_map(|peer| self.sizes[&peer]).collect();
        let chained = self.along(key, "one").first().map(|top| self.above(top));
        let level = match (
            self.sizes[key].is_some_and(|size| size > 0),
            chained.is_some_and(|sum| sum > 2),
        ) {
            (false, _) => "Basic",
            (true, false) => "Bronze",
            (true, true) => "Gold",
        };
        let properties = json!({
            "size": self.sizes[key], "oneSize": self.one_size(key), "peerSizes": sizes, "chained": chained,
        });
        (properties, json!(level))
    }
}

/// Takes what was written out of what is read.
async fn read(fixture: &Fixture) -> (Written, BTreeMap<Key, (Value, Value)>) {
    let (mut written, mut read) = (Written::default(), BTreeMap::new());
    for kind in ["Top", "Leaf"] {
        for entity in fixture
            .catalog
            .list_entities(&id(kind), None, 1_000)
            .await
            .unwrap()
        {
            let entity = entity.value;
            let key = (kind.to_owned(), entity.identifier.to_string());
            for (name, value) in &entity.relations {
                for target in value.targets() {
                    let of = if name == "one" { "Top" } else { "Leaf" };
                    written.edges.push((
                        key.clone(),
                        name.clone(),
                        (of.to_owned(), target.to_string()),
                    ));
                }
            }
            written.sizes.insert(
                key.clone(),
                entity.properties.get("size").and_then(Value::as_i64),
            );
            let level = entity
                .scorecards
                .get("card")
                .map_or(Value::Null, |card| card["level"].clone());
            let mut properties = Value::Object(entity.properties);
            properties["size"] = json!(written.sizes[&key]);
            read.insert(key, (properties, level));
        }
    }
    (written, read)
}

async fn compare(steps: Vec<Step>) {
    let fixture = Fixture::deriving(blueprints()).await;
    let card = parse_scorecard(scorecard(), &id("Leaf")).unwrap();
    fixture
        .catalog
        .create_scorecard(&fixture.actor, card)
        .await
        .unwrap();
    for step in &steps {
        match step {
            Step::Settle => fixture.settle().await,
            Step::Write {
                kind,
                id,
                size,
                one,
                many,
            } => {
                let mut entity = json!({ "identifier": id, "properties": { "size": size } });
                if let Some(one) = one {
                    entity["relations"]["one"] = json!(one);
                }
                if let Some(many) = many {
                    entity["relations"]["many"] = json!(many);
                }
                let options = WriteOptions {
                    create_missing_targets: true,
                    ..WriteOptions::default()
                };
                fixture
                    .write_with(kind, entity, WriteMode::Merge, options)
                    .await
                    .unwrap();
            }
            Step::Delete {
                kind,
                id,
                dependents,
            } => drop(fixture.delete(kind, id, *dependents).await),
        }
    }
    fixture.settle().await;
    let (written, read) = read(&fixture).await;
    for (key, (properties, level)) in read {
        let (wanted, wanted_level) = match key.0.as_str() {
            "Top" => (written.top(&key), Value::Null),
            _ => written.leaf(&key),
        };
        assert_eq!(properties, wanted, "{key:?} of {written:?}");
        assert_eq!(level, wanted_level, "{key:?} of {written:?}");
    }
    fixture.catalog.deriver().shutdown().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn derived_values_are_what_follows_from_what_was_written(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(compare(steps));
    }
}
