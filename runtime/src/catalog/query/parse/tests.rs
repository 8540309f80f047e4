use serde_json::json;

use super::*;
use crate::model::{Direction, Identifiers};

fn rule(document: Value) -> Rule {
    let query = json!({"combinator": "and", "rules": [document]});
    parse_query(&query, "").unwrap().rules.remove(0)
}

fn refused(document: Value) -> Vec<(String, String)> {
    let refused = parse_query(&document, "").unwrap_err();
    refused
        .into_iter()
        .map(|one| (one.path, one.rule))
        .collect()
}

fn refused_rule(document: Value) -> (String, String) {
    refused(json!({"combinator": "and", "rules": [document]})).remove(0)
}

#[test]
fn every_operator_has_a_positive_form() {
    for (name, operator, negated) in OPERATORS {
        let value = match operator {
            Operator::In | Operator::ContainsAny => json!(["a"]),
            Operator::Between => json!({"from": "a"}),
            _ => json!("a"),
        };
        let read = |not: bool| {
            let document = json!({"property": "p", "operator": name, "value": value, "not": not});
            match rule(document) {
                Rule::Compare(compare) => (compare.test.operator, compare.test.negated),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(read(false), (*operator, *negated), "{name}");
        assert_eq!(read(true), (*operator, !negated), "{name}");
    }
}

#[test]
fn each_form_of_a_rule_is_read() {
    let subject = |document: Value| match rule(document) {
        Rule::Compare(compare) => compare.subject,
        other => panic!("{other:?}"),
    };
    for meta in Meta::ALL {
        let read = subject(json!({"property": meta.as_str(), "operator": "isEmpty"}));
        assert_eq!(read, Subject::Meta(meta));
    }
    assert_eq!(
        subject(json!({"relation": "r", "operator": "=", "value": "x"})),
        Subject::Relation("r".to_owned())
    );
    assert_eq!(
        subject(
            json!({"scorecard": "s", "scorecardRule": "r", "operator": "=", "value": "SUCCESS"})
        ),
        Subject::Scorecard {
            scorecard: "s".to_owned(),
            rule: Some("r".to_owned())
        }
    );
    let context = ContextValue {
        holder: Holder::UserTeams,
        property: "$identifier".to_owned(),
    };
    assert_eq!(
        subject(
            json!({"property": {"context": "userTeams", "property": "$identifier"}, "operator": "isEmpty"})
        ),
        Subject::Context(context.clone())
    );
    let schema = json!({"propertySchema": {"type": "array", "format": "url", "items": {"type": "string"}}, "operator": "isEmpty"});
    assert!(
        matches!(rule(schema), Rule::Schema(SchemaCompare { kind, format: Some(_), items: Some(_), .. }) if kind == "array")
    );
    let related = json!({"operator": "relatedTo", "blueprint": "B", "value": ["a", "b"], "required": "true", "direction": "upstream"});
    let Rule::Walk(Walk::Related(related)) = rule(related) else {
        panic!("a walk");
    };
    assert_eq!(
        (related.required, related.direction),
        (Some(true), Some(Direction::Upstream))
    );
    let path = json!({"operator": "matchAny", "value": {"context": "userTeams", "property": "$identifier"},
        "property": {"path": ["a", {"relation": "b", "maxHops": 15}], "fromBlueprint": "B"}});
    let Rule::Walk(Walk::Path(path)) = rule(path) else {
        panic!("a walk");
    };
    assert_eq!(path.ends, Identifiers::Context(context));
    assert_eq!(path.path[1].max_hops, Some(15));
    let nested = json!({"combinator": "or", "rules": [{"combinator": "and", "rules": []}]});
    assert_eq!(
        rule(nested),
        Rule::Group(Query {
            combinator: Combinator::Or,
            rules: vec![Rule::Group(Query::everything())]
        })
    );
}

#[test]
fn every_violation_is_told_with_its_place() {
    let document = json!({"combinator": "xor", "rules": []});
    assert_eq!(
        refused(document),
        [("/combinator".to_owned(), "enum".to_owned())]
    );
    let document = json!({"combinator": "and", "rules": [
        {"property": "p", "operator": "like", "value": 1},
        {"operator": "=", "value": 1},
        {"combinator": "or", "rules": [{"property": "$nope", "operator": "isEmpty"}, 7]},
        {"property": "p", "operator": "="},
    ]});
    let paths: Vec<_> = refused(document)
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    assert_eq!(
        paths,
        [
            "/rules/0/operator",
            "/rules/1",
            "/rules/2/rules/0/property",
            "/rules/2/rules/1",
            "/rules/3"
        ]
    );
    for (document, path) in [
        (
            json!({"property": "p", "operator": "in", "value": "x"}),
            "/rules/0/value",
        ),
        (
            json!({"property": "p", "operator": "beginsWith", "value": 1}),
            "/rules/0/value",
        ),
        (
            json!({"property": "p", "operator": ">", "value": true}),
            "/rules/0/value",
        ),
        (
            json!({"property": "p", "operator": "between", "value": {"preset": "lastAge"}}),
            "/rules/0/value/preset",
        ),
        (
            json!({"property": "p", "operator": "between", "value": {}}),
            "/rules/0/value",
        ),
        (
            json!({"property": "p", "operator": "=", "value": {"context": "me", "property": "x"}}),
            "/rules/0/value/context",
        ),
        (
            json!({"property": "p", "operator": "=", "value": 1, "not": "yes"}),
            "/rules/0/not",
        ),
        (
            json!({"propertySchema": {"format": "url"}, "operator": "isEmpty"}),
            "/rules/0/propertySchema",
        ),
        (json!({"operator": "relatedTo", "value": "x"}), "/rules/0"),
        (
            json!({"operator": "relatedTo", "blueprint": "B", "value": ["x", 1]}),
            "/rules/0/value/1",
        ),
        (
            json!({"operator": "relatedTo", "blueprint": "B", "value": "x", "direction": "up"}),
            "/rules/0/direction",
        ),
        (
            json!({"operator": "matchAny", "property": "p", "value": "x"}),
            "/rules/0/property",
        ),
        (
            json!({"operator": "matchAny", "property": {"path": []}, "value": "x"}),
            "/rules/0/property/path",
        ),
        (
            json!({"operator": "matchAny", "property": {"path": [{"relation": "r", "maxHops": 16}]}, "value": "x"}),
            "/rules/0/property/path/0/maxHops",
        ),
        (
            json!({"operator": "matchAny", "property": {"path": [{"relation": "r", "maxHops": 2}, {"relation": "r", "maxHops": 2}]}, "value": "x"}),
            "/rules/0/property/path",
        ),
    ] {
        assert_eq!(refused_rule(document.clone()).0, path, "{document}");
    }
}

#[test]
fn whatever_costs_is_bounded() {
    let mut deep = json!({"combinator": "and", "rules": []});
    for _ in 0..MAX_NESTING {
        deep = json!({"combinator": "and", "rules": [deep]});
    }
    assert_eq!(refused(deep)[0].1, "depth");
    let rule = json!({"property": "p", "operator": "isEmpty"});
    let many = json!({"combinator": "or", "rules": vec![rule; MAX_RULES + 1]});
    assert_eq!(refused(many)[0].1, "maxItems");
    let equal = |value: Value| json!({"property": "p", "operator": "=", "value": value});
    assert_eq!(
        refused_rule(equal(json!("x".repeat(MAX_TEXT + 1)))).1,
        "maxLength"
    );
    assert_eq!(
        refused_rule(equal(json!(vec![0; MAX_LIST + 1]))).1,
        "maxItems"
    );
    let mut value = json!(1);
    for _ in 0..=MAX_VALUE_DEPTH {
        value = json!([value]);
    }
    assert_eq!(refused_rule(equal(value)).1, "depth");
    let bad = json!({"property": "p", "operator": "?"});
    let query = json!({"combinator": "and", "rules": vec![bad; MAX_RULES]});
    assert_eq!(refused(query).len(), MAX_VIOLATIONS);
}

#[test]
fn conditions_are_queries_that_need_nothing_but_the_entity() {
    let conditions = |rule: Value| {
        parse_conditions(
            &json!({"combinator": "and", "conditions": [rule]}),
            "/filter",
        )
    };
    assert!(conditions(json!({"property": "p", "operator": "=", "value": 1, "not": true})).is_ok());
    assert!(conditions(json!({"relation": "r", "operator": "isNotEmpty"})).is_ok());
    for rule in [
        json!({"operator": "relatedTo", "blueprint": "B", "value": "x"}),
        json!({"property": "p", "operator": "=", "value": {"context": "user", "property": "x"}}),
        json!({"propertySchema": {"type": "string"}, "operator": "isEmpty"}),
    ] {
        let refused = conditions(rule.clone()).unwrap_err();
        assert_eq!(refused[0].rule, "unsupported", "{rule}");
        assert!(refused[0].path.starts_with("/filter/conditions/0/"));
    }
}
