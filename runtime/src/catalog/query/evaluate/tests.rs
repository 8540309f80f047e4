use serde_json::json;

use super::*;
use crate::catalog::query::{Asker, bind, parse_query};
use crate::model::Timestamp;

/// Whether an entity with one property passes one rule.
fn passes(property: &Value, operator: &str, value: Value) -> bool {
    let query = json!({"combinator": "and", "rules": [{"property": "p", "operator": operator, "value": value}]});
    let query = parse_query(&query, "").unwrap();
    // 2026-02-03T04:05:06.789Z.
    let bound = bind(&query, &Asker::nobody(Timestamp(1_770_091_506_789)));
    let mut entity = json!({"properties": {}});
    if !property.is_null() {
        entity["properties"]["p"] = property.clone();
    }
    evaluate(&bound, &entity)
}

#[test]
fn each_operator_holds_for_each_type_or_not() {
    let yes = true;
    for (property, operator, value, wanted) in [
        (json!("a"), "=", json!("a"), yes),
        (json!("a"), "=", json!("A"), !yes),
        (json!(1), "=", json!(1.0), yes),
        (json!(1), "=", json!("1"), !yes),
        (json!(true), "=", json!(true), yes),
        (json!(true), "=", json!(1), !yes),
        (json!(["a", "b"]), "=", json!("b"), yes),
        (json!(["a", "b"]), "=", json!(["a", "b"]), yes),
        (json!(["a", "b"]), "=", json!(["b", "a"]), !yes),
        (json!({"x": 1}), "=", json!({"x": 1.0}), yes),
        (
            json!("2026-02-03T01:00:00+01:00"),
            "=",
            json!("2026-02-03"),
            yes,
        ),
        (json!("a"), ">", json!("B"), yes),
        (json!(2), ">", json!(10), !yes),
        (json!("2"), ">", json!(1), !yes),
        (json!([1, 9]), ">", json!(8), yes),
        (json!(2), ">=", json!(2), yes),
        (json!(2), "<=", json!(2), yes),
        (json!("2026-02-03"), "<", json!("2026-02-03T00:00:01Z"), yes),
        (json!("a"), "in", json!(["b", "a"]), yes),
        (json!(["a"]), "in", json!(["b", "a"]), yes),
        (json!("a"), "in", json!([]), !yes),
        (json!("a"), "notIn", json!([]), yes),
        (json!("payments"), "contains", json!("pay"), yes),
        (json!(["payments"]), "contains", json!("pay"), !yes),
        (json!(["pay", 1]), "contains", json!(1), yes),
        (json!(["a", "b"]), "contains", json!(["a", "b"]), yes),
        (json!(["a"]), "contains", json!(["a", "b"]), !yes),
        (json!(["a"]), "containsAny", json!(["a", "b"]), yes),
        (json!("abc"), "containsAny", json!(["x", "bc"]), yes),
        (json!("abc"), "beginsWith", json!("ab"), yes),
        (json!(["x", "abc"]), "beginsWith", json!("ab"), yes),
        (json!("abc"), "endsWith", json!("bc"), yes),
        (json!(12), "beginsWith", json!("1"), !yes),
        (json!(5), "between", json!({"from": 5, "to": 7}), yes),
        (json!(8), "between", json!({"from": 5, "to": 7}), !yes),
        (json!(8), "between", json!({"from": 5}), yes),
        (
            json!("2026-02-03T23:59:59.999999Z"),
            "between",
            json!({"preset": "today"}),
            yes,
        ),
        (
            json!("2026-02-04T00:00:00Z"),
            "between",
            json!({"preset": "today"}),
            !yes,
        ),
        (json!("2026-02-03T04:05:06Z"), "isExpired", json!(null), yes),
        (
            json!("2026-02-03T04:05:07Z"),
            "isNotExpired",
            json!(null),
            yes,
        ),
        (json!("soon"), "isExpired", json!(null), !yes),
        (json!("soon"), "isNotExpired", json!(null), !yes),
        (json!(""), "isEmpty", json!(null), yes),
        (json!([]), "isEmpty", json!(null), yes),
        (json!({}), "isEmpty", json!(null), yes),
        (json!(0), "isEmpty", json!(null), !yes),
        (json!(false), "isEmpty", json!(null), !yes),
        (json!([""]), "isEmpty", json!(null), !yes),
    ] {
        assert_eq!(
            passes(&property, operator, value.clone()),
            wanted,
            "{property} {operator} {value}"
        );
    }
}

#[test]
fn a_negative_operator_holds_where_the_positive_one_does_not() {
    let values = [
        json!(null),
        json!(""),
        json!("ab"),
        json!(3),
        json!(true),
        json!([]),
        json!(["ab", 3]),
        json!({"a": 1}),
    ];
    for (positive, negative, value) in [
        ("=", "!=", json!("ab")),
        ("=", "!=", json!(null)),
        ("in", "notIn", json!(["ab", 3])),
        ("contains", "doesNotContains", json!("ab")),
        ("beginsWith", "doesNotBeginsWith", json!("a")),
        ("endsWith", "doesNotEndsWith", json!("b")),
        ("between", "notBetween", json!({"from": 2, "to": 4})),
        ("isEmpty", "isNotEmpty", json!(null)),
    ] {
        for property in &values {
            assert_ne!(
                passes(property, positive, value.clone()),
                passes(property, negative, value.clone()),
                "{property} {positive} {value}"
            );
        }
    }
}

#[test]
fn a_missing_value_passes_only_what_asks_for_it() {
    for (operator, value, wanted) in [
        ("=", json!(null), true),
        ("=", json!("a"), false),
        ("!=", json!("a"), true),
        (">", json!(0), false),
        ("<", json!(0), false),
        ("in", json!(["a", null]), true),
        ("in", json!(["a"]), false),
        ("contains", json!(""), false),
        ("beginsWith", json!(""), false),
        ("between", json!({"from": 0}), false),
        ("notBetween", json!({"from": 0}), true),
        ("isExpired", json!(null), false),
        ("isNotExpired", json!(null), false),
        ("isEmpty", json!(null), true),
    ] {
        assert_eq!(
            passes(&json!(null), operator, value.clone()),
            wanted,
            "{operator} {value}"
        );
    }
}

#[test]
fn each_kind_of_subject_is_found_in_an_entity() {
    let entity = json!({
        "identifier": "cart", "title": "Cart", "team": "be", "blueprint": "service",
        "properties": {"tier": 1}, "relations": {"system": "shop", "deps": ["a", "b"]},
        "scorecards": {"ready": {"level": "Gold", "rules": [{"identifier": "owner", "status": "SUCCESS", "level": "Gold"}]}},
        "updatedAt": "2026-02-03T04:05:06.789Z",
    });
    let holds = |rule: Value| {
        let query = parse_query(&json!({"combinator": "and", "rules": [rule]}), "").unwrap();
        evaluate(&bind(&query, &Asker::nobody(Timestamp(0))), &entity)
    };
    for rule in [
        json!({"property": "$identifier", "operator": "=", "value": "cart"}),
        json!({"property": "$team", "operator": "contains", "value": "be"}),
        json!({"property": "$blueprint", "operator": "in", "value": ["service"]}),
        json!({"property": "$updatedAt", "operator": ">", "value": "2026-02-03"}),
        json!({"property": "$icon", "operator": "isEmpty"}),
        json!({"relation": "system", "operator": "=", "value": "shop"}),
        json!({"relation": "deps", "operator": "containsAny", "value": ["b"]}),
        json!({"scorecard": "ready", "operator": "=", "value": "Gold"}),
        json!({"scorecard": "ready", "scorecardRule": "owner", "operator": "=", "value": "SUCCESS"}),
        json!({"combinator": "or", "rules": [
            {"property": "tier", "operator": "=", "value": 2},
            {"property": "tier", "operator": "=", "value": 1},
        ]}),
        json!({"combinator": "or", "rules": []}),
    ] {
        assert!(holds(rule.clone()), "{rule}");
    }
    assert!(!holds(
        json!({"scorecard": "other", "operator": "isNotEmpty"})
    ));
    assert!(!holds(
        json!({"operator": "relatedTo", "blueprint": "system", "value": "shop"})
    ));
}
