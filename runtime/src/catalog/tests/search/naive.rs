//! A search that looks at everything and knows no index: too simple to be wrong. It works on JSON alone.

use serde_json::Value;

/// The whole catalog.
pub(super) struct Naive {
    /// Every entity, as the API shows it.
    pub(super) entities: Vec<Value>,
    /// Blueprint, relation, target, whether it is required.
    pub(super) relations: Vec<(&'static str, &'static str, &'static str, bool)>,
}

impl Naive {
    pub(super) fn find(&self, query: &Value) -> Vec<String> {
        let mut found: Vec<_> = self
            .entities
            .iter()
            .filter(|entity| self.holds(query, entity))
            .map(name)
            .collect();
        found.sort();
        found
    }

    fn holds(&self, rule: &Value, entity: &Value) -> bool {
        if let Some(rules) = rule["rules"].as_array() {
            return match (rules.is_empty(), rule["combinator"].as_str()) {
                (true, _) => true,
                (_, Some("or")) => rules.iter().any(|rule| self.holds(rule, entity)),
                _ => rules.iter().all(|rule| self.holds(rule, entity)),
            };
        }
        match rule["operator"].as_str().unwrap() {
            "relatedTo" => self.related(rule).contains(&name(entity)),
            "matchAny" => self.path(rule, entity),
            operator => {
                let (value, dates) = if let Some(relation) = rule["relation"].as_str() {
                    (entity["relations"][relation].clone(), false)
                } else {
                    let property = rule["property"].as_str().unwrap();
                    match property.strip_prefix('$') {
                        Some(meta) => (entity[meta].clone(), meta == "title" || meta == "team"),
                        None => (entity["properties"][property].clone(), true),
                    }
                };
                let holds = compare(operator, &value, &rule["value"], dates);
                holds != (rule["not"] == true)
            }
        }
    }

    /// Names of the entities that a relation of one points at.
    fn targets(&self, entity: &Value, relation: &str) -> Vec<String> {
        let blueprint = entity["blueprint"].as_str().unwrap();
        let edge = self
            .relations
            .iter()
            .find(|edge| edge.0 == blueprint && edge.1 == relation);
        let Some(edge) = edge else { return Vec::new() };
        let value = &entity["relations"][relation];
        let ids = value
            .as_array()
            .cloned()
            .unwrap_or_else(|| vec![value.clone()]);
        let ids = ids.iter().filter_map(Value::as_str);
        ids.map(|id| format!("{}/{id}", edge.2)).collect()
    }

    fn edges(&self, required: &Value) -> Vec<(String, String)> {
        let mut edges = Vec::new();
        for entity in &self.entities {
            for (blueprint, relation, _, is_required) in &self.relations {
                let wanted = required.is_null() || required == is_required;
                if entity["blueprint"] == *blueprint && wanted {
                    let targets = self.targets(entity, relation);
                    edges.extend(targets.into_iter().map(|target| (name(entity), target)));
                }
            }
        }
        edges
    }

    fn related(&self, rule: &Value) -> Vec<String> {
        let edges = self.edges(&rule["required"]);
        let start: Vec<String> = list(&rule["value"])
            .iter()
            .map(|id| {
                format!(
                    "{}/{}",
                    rule["blueprint"].as_str().unwrap(),
                    id.as_str().unwrap()
                )
            })
            .collect();
        let closure = |forward: bool| {
            let mut reached: Vec<String> = Vec::new();
            loop {
                let from = |name: &String| start.contains(name) || reached.contains(name);
                let ends = edges.iter().filter_map(|(source, target)| match forward {
                    true => from(source).then_some(target),
                    false => from(target).then_some(source),
                });
                let new: Vec<_> = ends.filter(|end| !reached.contains(end)).cloned().collect();
                if new.is_empty() {
                    return reached;
                }
                reached.extend(new);
            }
        };
        match rule["direction"].as_str() {
            Some("upstream") => closure(true),
            Some(_) => closure(false),
            None => [closure(true), closure(false)].concat(),
        }
    }

    /// Whether one of the ends is tied to the entity by the path.
    fn path(&self, rule: &Value, entity: &Value) -> bool {
        let ids = list(&rule["value"]);
        let is_named = |name: &String| ids.iter().any(|id| name.split_once('/').unwrap().1 == id);
        let along = |start: &Value| {
            let mut front = vec![name(start)];
            for (index, step) in rule["property"]["path"]
                .as_array()
                .unwrap()
                .iter()
                .enumerate()
            {
                let relation = step.as_str().or(step["relation"].as_str()).unwrap();
                let go = |from: &[String]| -> Vec<String> {
                    let entities = self.entities.iter().filter(|one| from.contains(&name(one)));
                    entities
                        .flat_map(|one| self.targets(one, relation))
                        .collect()
                };
                match step["maxHops"].as_u64() {
                    None => front = go(&front),
                    Some(most) => {
                        // Several hops stay within one blueprint.
                        let edge = self.relations.iter().find(|edge| {
                            front
                                .iter()
                                .any(|name| name.starts_with(&format!("{}/", edge.0)))
                                && edge.1 == relation
                        });
                        if edge.is_none_or(|edge| edge.0 != edge.2) {
                            return Vec::new();
                        }
                        let mut reached = if index > 0 { front.clone() } else { Vec::new() };
                        for _ in 0..most {
                            front = go(&front);
                            reached.extend(front.clone());
                        }
                        front = reached;
                    }
                }
            }
            front
        };
        match rule["property"]["fromBlueprint"].as_str() {
            None => along(entity).iter().any(is_named),
            Some(blueprint) => self
                .entities
                .iter()
                .filter(|start| start["blueprint"] == blueprint && is_named(&name(start)))
                .any(|start| along(start).contains(&name(entity))),
        }
    }
}

pub(super) fn name(entity: &Value) -> String {
    format!(
        "{}/{}",
        entity["blueprint"].as_str().unwrap(),
        entity["identifier"].as_str().unwrap()
    )
}

fn list(value: &Value) -> Vec<Value> {
    value
        .as_array()
        .cloned()
        .unwrap_or_else(|| vec![value.clone()])
}

/// What a scalar is compared by: the kind, then the number or the text.
fn key(value: &Value, dates: bool) -> Option<(u8, f64, String)> {
    match value {
        Value::Bool(yes) => Some((0, f64::from(u8::from(*yes)), String::new())),
        Value::Number(number) => Some((1, number.as_f64().unwrap(), String::new())),
        // The only ones that the random catalogs have.
        Value::String(text) => match text.as_str() {
            "2026-01-01" | "2026-01-01T00:00:00Z" | "2026-01-01T01:00:00+01:00" if dates => {
                Some((2, 1.0, String::new()))
            }
            "2026-01-02T00:00:00.5Z" if dates => Some((2, 2.0, String::new())),
            text => Some((3, 0.0, text.to_owned())),
        },
        _ => None,
    }
}

fn equal(a: &Value, b: &Value, dates: bool) -> bool {
    match (key(a, dates), key(b, dates)) {
        (Some(a), Some(b)) => a == b,
        (None, None) => match (a, b) {
            (Value::Array(a), Value::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b, dates))
            }
            (a, b) => a == b,
        },
        _ => false,
    }
}

fn lies(value: &Value, end: &Value, dates: bool, fits: fn(std::cmp::Ordering) -> bool) -> bool {
    match (key(value, dates), key(end, dates)) {
        (Some(a), Some(b)) => a.0 == b.0 && a.partial_cmp(&b).is_some_and(fits),
        _ => false,
    }
}

fn compare(operator: &str, value: &Value, wanted: &Value, dates: bool) -> bool {
    let one_of = |test: &dyn Fn(&Value) -> bool| match value {
        Value::Array(list) => list.iter().any(test),
        value => test(value),
    };
    let equals = |wanted: &Value| {
        equal(value, wanted, dates)
            || (value.is_array() && one_of(&|one| equal(one, wanted, dates)))
    };
    let contains = |wanted: &Value| match (value, wanted) {
        (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
        (Value::Array(list), _) => list.iter().any(|one| equal(one, wanted, dates)),
        _ => false,
    };
    let text = |test: &dyn Fn(&str, &str) -> bool| {
        one_of(&|one| {
            one.as_str()
                .is_some_and(|text| test(text, wanted.as_str().unwrap()))
        })
    };
    let is_empty = value.is_null()
        || *value == ""
        || *value == serde_json::json!([])
        || *value == serde_json::json!({});
    let between = |one: &Value| {
        use std::cmp::Ordering;
        (wanted["from"].is_null() || lies(one, &wanted["from"], dates, Ordering::is_ge))
            && (wanted["to"].is_null() || lies(one, &wanted["to"], dates, Ordering::is_le))
            && key(one, dates).is_some()
    };
    match operator {
        "=" => equals(wanted),
        "!=" => !equals(wanted),
        ">" => one_of(&|one| lies(one, wanted, dates, std::cmp::Ordering::is_gt)),
        ">=" => one_of(&|one| lies(one, wanted, dates, std::cmp::Ordering::is_ge)),
        "<" => one_of(&|one| lies(one, wanted, dates, std::cmp::Ordering::is_lt)),
        "<=" => one_of(&|one| lies(one, wanted, dates, std::cmp::Ordering::is_le)),
        "in" => list(wanted).iter().any(equals),
        "notIn" => !list(wanted).iter().any(equals),
        "contains" => list(wanted).iter().all(contains),
        "doesNotContains" => !list(wanted).iter().all(contains),
        "containsAny" => list(wanted).iter().any(contains),
        "beginsWith" => text(&|text, part| text.starts_with(part)),
        "doesNotBeginsWith" => !text(&|text, part| text.starts_with(part)),
        "endsWith" => text(&|text, part| text.ends_with(part)),
        "doesNotEndsWith" => !text(&|text, part| text.ends_with(part)),
        "isEmpty" => is_empty,
        "isNotEmpty" => !is_empty,
        "between" => one_of(&between),
        "notBetween" => !one_of(&between),
        // All instants of the random catalogs are over.
        "isExpired" => one_of(&|one| key(one, dates).is_some_and(|key| key.0 == 2)),
        "isNotExpired" => false,
        other => panic!("{other}"),
    }
}
