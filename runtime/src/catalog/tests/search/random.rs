//! Random catalogs and random queries: the index has to find what a look at everything finds.

use proptest::prelude::*;

use super::naive::{Naive, name};
use super::*;

const RELATIONS: &[(&str, &str, &str, bool)] = &[
    ("A", "one", "A", false),
    ("A", "many", "A", false),
    ("A", "b", "B", false),
    ("B", "parent", "B", false),
    ("B", "a", "A", true),
];

fn blueprints() -> Vec<Value> {
    let properties = json!({
        "text": {"type": "string"}, "number": {"type": "number"}, "flag": {"type": "boolean"},
        "list": {"type": "array"}, "object": {"type": "object"},
    });
    vec![
        json!({"identifier": "A", "title": "A", "schema": {"properties": properties},
            "relations": {"one": {"target": "A"}, "many": {"target": "A", "many": true}, "b": {"target": "B"}}}),
        json!({"identifier": "B", "title": "B", "schema": {"properties": {"text": {"type": "string"}}},
            "relations": {"parent": {"target": "B"}, "a": {"target": "A", "required": true}}}),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ab]{0,2}",
        1 => Just("2026-01-01".to_owned()),
        1 => Just("2026-01-01T00:00:00Z".to_owned()),
        1 => Just("2026-01-01T01:00:00+01:00".to_owned()),
        1 => Just("2026-01-02T00:00:00.5Z".to_owned()),
        // Longer than what the index keeps, and the same up to there.
        1 => "[ab]".prop_map(|end| format!("{}{end}", "ä".repeat(150))),
    ]
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        (-2..3_i64).prop_map(Value::from),
        Just(json!(1.5)),
        Just(json!(1.0)),
        Just(json!(1e300))
    ]
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(Value::from),
        number(),
        any::<bool>().prop_map(Value::from)
    ]
}

fn entity_id() -> impl Strategy<Value = String> {
    prop_oneof![8 => "[abc][12]", 1 => Just("2026-01-01".to_owned())]
}

fn a() -> impl Strategy<Value = Value> {
    use proptest::option::of;
    let list = prop_oneof![
        6 => proptest::collection::vec(scalar(), 0..3).prop_map(Value::from),
        1 => Just(json!([{"a": 1}, null])),
    ];
    let object = prop_oneof![Just(json!({})), Just(json!({"a": 1}))];
    let properties = (
        of(text()),
        of(number()),
        of(any::<bool>()),
        of(list),
        of(object),
    );
    let relations = (
        of(entity_id()),
        proptest::collection::vec(entity_id(), 0..3),
        of(entity_id()),
    );
    (entity_id(), of(text()), properties, relations).prop_map(|(id, title, properties, (one, many, b))| {
        let (text, number, flag, list, object) = properties;
        json!({"identifier": id, "blueprint": "A", "title": title, "team": title.iter().filter(|title| !title.is_empty()).collect::<Vec<_>>(),
            "properties": {"text": text, "number": number, "flag": flag, "list": list, "object": object},
            "relations": {"one": one, "many": many, "b": b}})
    })
}

fn b() -> impl Strategy<Value = Value> {
    (entity_id(), text(), proptest::option::of(entity_id()), entity_id()).prop_map(|(id, text, parent, a)| {
        json!({"identifier": id, "blueprint": "B", "properties": {"text": text}, "relations": {"parent": parent, "a": a}})
    })
}

fn query() -> impl Strategy<Value = Value> {
    rule().prop_recursive(3, 12, 4, |inner| {
        let combinator = prop_oneof![Just("and"), Just("or")];
        (combinator, proptest::collection::vec(inner, 0..4))
            .prop_map(|(combinator, rules)| json!({"combinator": combinator, "rules": rules}))
    })
}

fn rule() -> impl Strategy<Value = Value> {
    let ids = || proptest::collection::vec(entity_id(), 1..3);
    let blueprint = || prop_oneof![Just("A"), Just("B")];
    let related = (blueprint(), ids(), proptest::option::of(any::<bool>()), 0..3_u8).prop_map(|(blueprint, ids, required, direction)| {
        let mut rule = json!({"operator": "relatedTo", "blueprint": blueprint, "value": ids, "required": required});
        if direction < 2 {
            rule["direction"] = json!(["upstream", "downstream"][usize::from(direction)]);
        }
        rule
    });
    let step = prop_oneof![
        3 => prop_oneof![Just("one"), Just("many"), Just("b"), Just("parent"), Just("a")].prop_map(Value::from),
        1 => (prop_oneof![Just("one"), Just("parent"), Just("b")], 1..4_u8).prop_map(|(relation, hops)| json!({"relation": relation, "maxHops": hops})),
    ];
    let path = (proptest::collection::vec(step, 1..4), proptest::option::of(blueprint()), ids()).prop_map(|(mut path, from, ids)| {
        let mut several = 0;
        path.retain(|step| {
            several += usize::from(step.is_object());
            step.is_string() || several == 1
        });
        json!({"operator": "matchAny", "property": {"path": path, "fromBlueprint": from}, "value": ids})
    });
    prop_oneof![8 => comparison(), 1 => related, 1 => path]
}

fn comparison() -> impl Strategy<Value = Value> {
    let subject = prop_oneof![
        5 => prop_oneof![Just("text"), Just("number"), Just("flag"), Just("list"), Just("object"), Just("absent")]
            .prop_map(|name| json!({"property": name})),
        2 => prop_oneof![Just("$identifier"), Just("$title"), Just("$team"), Just("$blueprint"), Just("$icon"), Just("$createdBy")]
            .prop_map(|name| json!({"property": name})),
        2 => prop_oneof![Just("one"), Just("many"), Just("b"), Just("absent")].prop_map(|name| json!({"relation": name})),
    ];
    let value = || prop_oneof![4 => scalar(), 2 => entity_id().prop_map(Value::from), 1 => Just(json!("A"))];
    let values = || proptest::collection::vec(value(), 0..4).prop_map(Value::from);
    let any = prop_oneof![6 => value(), 1 => values(), 1 => Just(Value::Null), 1 => Just(json!({"a": 1}))];
    let end = || prop_oneof![number(), text().prop_map(Value::from)];
    let range =
        (proptest::option::of(end()), end()).prop_map(|(from, to)| json!({"from": from, "to": to}));
    let test = prop_oneof![
        (prop_oneof![Just("="), Just("!=")], any),
        (
            prop_oneof![Just(">"), Just(">="), Just("<"), Just("<=")],
            end()
        ),
        (
            prop_oneof![
                Just("in"),
                Just("notIn"),
                Just("containsAny"),
                Just("contains")
            ],
            values()
        ),
        (
            prop_oneof![Just("contains"), Just("doesNotContains")],
            value()
        ),
        (
            prop_oneof![
                Just("beginsWith"),
                Just("doesNotBeginsWith"),
                Just("endsWith"),
                Just("doesNotEndsWith")
            ],
            text().prop_map(Value::from)
        ),
        (
            prop_oneof![
                Just("isEmpty"),
                Just("isNotEmpty"),
                Just("isExpired"),
                Just("isNotExpired")
            ],
            Just(Value::Null)
        ),
        (prop_oneof![Just("between"), Just("notBetween")], range),
    ];
    (subject, test, proptest::bool::weighted(0.2)).prop_map(|(mut rule, (operator, value), not)| {
        rule["operator"] = json!(operator);
        rule["value"] = value;
        rule["not"] = json!(not);
        rule
    })
}

/// Points the relations only at what is there, and names each entity once.
fn mend(entities: Vec<Value>) -> Vec<Value> {
    let mut known: Vec<(String, Value)> = Vec::new();
    for entity in entities {
        let name = name(&entity);
        known.retain(|(other, _)| *other != name);
        known.push((name, entity));
    }
    let names: Vec<String> = known.iter().map(|(name, _)| name.clone()).collect();
    let exists = |blueprint: &str, id: &Value| {
        names.contains(&format!("{blueprint}/{}", id.as_str().unwrap_or_default()))
    };
    let mut mended = Vec::new();
    for (_, mut entity) in known {
        let blueprint = entity["blueprint"].clone();
        let mut whole = true;
        for (_, relation, target, required) in RELATIONS.iter().filter(|edge| edge.0 == blueprint) {
            let value = &mut entity["relations"][*relation];
            match value {
                Value::Array(ids) => ids.retain(|id| exists(target, id)),
                id if !exists(target, id) => {
                    *id = Value::Null;
                    whole &= !required;
                }
                _ => {}
            }
        }
        if whole {
            mended.push(entity);
        }
    }
    mended
}

/// Once more, until nothing points at what was left out.
fn settle(mut entities: Vec<Value>) -> Vec<Value> {
    loop {
        let mended = mend(entities.clone());
        if mended == entities {
            return mended;
        }
        entities = mended;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn searches_find_what_a_look_at_everything_finds(
        first in proptest::collection::vec(a(), 0..12),
        second in proptest::collection::vec(prop_oneof![a(), b()], 0..24),
        queries in proptest::collection::vec(query(), 40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let fixture = Fixture::new();
            // Written twice, so that the index has to follow changes.
            fixture.apply(blueprints(), settle(first)).await.unwrap();
            fixture.apply(Vec::new(), settle(second)).await.unwrap();
            let mut entities = Vec::new();
            for blueprint in ["A", "B"] {
                for entity in fixture.catalog.list_entities(&id(blueprint), None, 1_000).await.unwrap() {
                    entities.push(serde_json::to_value(entity).unwrap());
                }
            }
            let naive = Naive { entities, relations: RELATIONS.to_vec() };
            for query in queries {
                // A rule by itself is the only one of its group.
                let query = if query["rules"].is_array() { query } else { all(json!([query])) };
                let mut found = fixture.search(&query).await.unwrap();
                found.sort();
                assert_eq!(found, naive.find(&query), "{query}");
                let parsed = parse_query(&query, "").unwrap();
                let counts = fixture.catalog.count(&fixture.actor, parsed, None, NOW).await.unwrap();
                assert_eq!(counts.iter().map(|(_, count)| *count).sum::<u64>(), found.len() as u64, "{query}");
            }
        });
    }
}
