//! Queries on the catalog some of whose values are worked out first: `{"jqQuery": "…"}`, or a text with `{{ jq }}`.

use std::convert::Infallible;

use serde_json::{Map, Value};

use crate::action::render::{expressions, fill_in};
use crate::action::rule::{child, kind};
use crate::action::template::for_each_string;
use crate::catalog::parse_query;
use crate::model::{Query, Violation};

/// What the catalog itself puts into a query, in the braces of a template.
const WORDS: [&str; 2] = ["{{getUserTeams()}}", "{{getUserEmail()}}"];

/// Operators that are given a list.
const LISTS: [&str; 3] = ["in", "notIn", "containsAny"];

/// Values that one query may work out.
const MAX_FILTERS: usize = 100;

/// Bytes of one filter.
const MAX_FILTER_BYTES: usize = 4 * 1024;

/// What is wrong with a query, as far as it shows before its values are known.
pub(in crate::action) fn check(query: &Value, path: &str) -> Vec<Violation> {
    let filters = filters(query, path);
    let mut violations: Vec<Violation> = filters
        .iter()
        .filter(|(_, filter)| filter.is_empty() || filter.len() > MAX_FILTER_BYTES)
        .map(|(path, _)| {
            let message = format!("a filter has 1 to {MAX_FILTER_BYTES} bytes");
            Violation::new(path, "maxLength", message)
        })
        .collect();
    if filters.len() > MAX_FILTERS {
        let message = format!("a query may work out {MAX_FILTERS} values");
        violations.push(Violation::new(path, "maxItems", message));
        return violations;
    }
    let mut stood_in = query.clone();
    for_each_value(&mut stood_in, path, 0, &mut |place, rule| {
        let value = rule.get("value").cloned().unwrap_or_default();
        if let Some(Err(violation)) = computed(&value, place) {
            violations.push(violation);
        } else if computed(&value, place).is_some() {
            let operator = rule.get("operator").and_then(Value::as_str);
            let stand_in = match operator {
                Some(operator) if LISTS.contains(&operator) => Value::from(vec!["x"]),
                _ => Value::from("x"),
            };
            rule.insert("value".to_owned(), stand_in);
        }
    });
    if violations.is_empty() {
        violations.extend(parse_query(&stood_in, path).err().unwrap_or_default());
    }
    violations
}

/// Place and text of every filter, in order.
pub(in crate::action) fn filters(query: &Value, path: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for_each_value(&mut query.clone(), path, 0, &mut |place, rule| {
        if let Some(Ok(filters)) = rule.get("value").and_then(|value| computed(value, place)) {
            found.extend(filters.into_iter().map(|filter| (place.to_owned(), filter)));
        }
    });
    found
}

/// The query with the values of its filters, which come in the order of [`filters`].
pub(in crate::action) fn fill(
    query: &Value,
    path: &str,
    values: &mut impl Iterator<Item = Value>,
) -> Result<Query, Vec<Violation>> {
    let mut filled = query.clone();
    let mut violations = Vec::new();
    for_each_value(&mut filled, path, 0, &mut |place, rule| {
        let value = rule.get("value").cloned().unwrap_or_default();
        let Some(Ok(filters)) = computed(&value, place) else {
            return;
        };
        let own: Vec<Value> = values.take(filters.len()).collect();
        let worked_out = if is_query(&value) {
            own.into_iter().next().unwrap_or_default()
        } else {
            match fill_in(&value, own) {
                Ok(value) => value,
                Err(error) => {
                    violations.push(Violation::new(place, "size", error.reason));
                    return;
                }
            }
        };
        // Whatever an input says stays a value: it must not become a part of the query.
        let plain = |value: &Value| !value.is_object() && !value.is_array();
        let fits = match &worked_out {
            Value::Array(list) => list.iter().all(plain),
            value => plain(value),
        };
        if fits {
            rule.insert("value".to_owned(), worked_out);
        } else {
            let message = format!(
                "the filter gives {}; a rule compares with a text, a number, a boolean or a list of those",
                kind(&worked_out)
            );
            violations.push(Violation::new(place, "type", message));
        }
    });
    if !violations.is_empty() {
        return Err(violations);
    }
    parse_query(&filled, path)
}

fn is_query(value: &Value) -> bool {
    value.get("jqQuery").is_some()
}

/// The filters of a rule's value; nothing where it is there already.
fn computed(value: &Value, path: &str) -> Option<Result<Vec<String>, Violation>> {
    if let Some(filter) = value.get("jqQuery") {
        return Some(filter.as_str().map_or_else(
            || {
                let message = format!("`jqQuery` is a jq filter, not {}", kind(filter));
                Err(Violation::new(child(path, "jqQuery"), "type", message))
            },
            |filter| Ok(vec![filter.to_owned()]),
        ));
    }
    let mut templated = false;
    let Ok(()) = for_each_string::<Infallible>(value, "", &mut |_, text| {
        templated |= text.contains("{{") && !WORDS.contains(&text);
        Ok(())
    });
    if !templated {
        return None;
    }
    Some(match expressions(value) {
        Ok(found) => Ok(found.into_iter().map(|(_, filter)| filter).collect()),
        Err(_) => {
            let message = "a `{{` has no `}}` that closes it";
            Err(Violation::new(path, "template", message))
        }
    })
}

/// Calls back for every rule that has a value, with the place of the value.
fn for_each_value(
    query: &mut Value,
    path: &str,
    depth: usize,
    visit: &mut impl FnMut(&str, &mut Map<String, Value>),
) {
    // The catalog refuses groups that nest deeper than this.
    const MAX_NESTING: usize = 32;
    for key in ["rules", "conditions"] {
        let Some(rules) = query.get_mut(key).and_then(Value::as_array_mut) else {
            continue;
        };
        for (index, rule) in rules.iter_mut().enumerate() {
            let path = format!("{path}/{key}/{index}");
            if depth < MAX_NESTING {
                for_each_value(rule, &path, depth + 1, visit);
            }
            if let Some(rule) = rule.as_object_mut()
                && rule.contains_key("value")
            {
                visit(&child(&path, "value"), rule);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_worked_out_in_the_order_in_which_they_stand() {
        let query = json!({ "combinator": "and", "rules": [
            { "property": "a", "operator": "=", "value": { "jqQuery": ".form.a" } },
            { "combinator": "or", "rules": [
                { "property": "b", "operator": "=", "value": "x-{{ .b }}" },
                { "property": "$team", "operator": "containsAny", "value": ["{{getUserTeams()}}"] },
            ]},
            { "property": "c", "operator": "in", "value": { "jqQuery": ".c" } },
        ]});
        assert_eq!(check(&query, ""), []);
        let found = filters(&query, "/q");
        assert_eq!(
            found[0],
            ("/q/rules/0/value".to_owned(), ".form.a".to_owned())
        );
        assert_eq!(
            found[1],
            ("/q/rules/1/rules/0/value".to_owned(), ".b".to_owned())
        );
        assert_eq!(found.len(), 3);
        let values = vec![json!(1), json!("y"), json!(["p", "q"])];
        let filled = fill(&query, "", &mut values.into_iter()).unwrap();
        let expected = json!({ "combinator": "and", "rules": [
            { "property": "a", "operator": "=", "value": 1 },
            { "combinator": "or", "rules": [
                { "property": "b", "operator": "=", "value": "x-y" },
                { "property": "$team", "operator": "containsAny", "value": ["{{getUserTeams()}}"] },
            ]},
            { "property": "c", "operator": "in", "value": ["p", "q"] },
        ]});
        assert_eq!(filled, parse_query(&expected, "").unwrap());
    }

    #[test]
    fn an_input_cannot_become_a_part_of_the_query() {
        let query = json!({ "combinator": "and", "rules": [
            { "property": "a", "operator": "=", "value": { "jqQuery": ".form.a" } },
        ]});
        let hostile = json!({ "context": "user", "property": "role" });
        let refused = fill(&query, "/q", &mut [hostile].into_iter()).unwrap_err();
        assert_eq!(refused[0].path, "/q/rules/0/value");
    }

    #[test]
    fn a_query_is_judged_before_its_values_are_known() {
        let rule = |value: Value| json!({ "rules": [{ "property": "a", "operator": "near", "value": value }] });
        assert_eq!(check(&rule(json!({ "jqQuery": "1" })), "/q").len(), 1);
        let paths = |value: Value| {
            let query = json!({ "rules": [{ "property": "a", "operator": "=", "value": value }] });
            check(&query, "/q")
                .into_iter()
                .map(|found| found.path)
                .collect::<Vec<_>>()
        };
        assert_eq!(paths(json!({ "jqQuery": 1 })), ["/q/rules/0/value/jqQuery"]);
        assert_eq!(paths(json!("{{ .a")), ["/q/rules/0/value"]);
        assert_eq!(paths(json!("")), [""; 0]);
    }
}
