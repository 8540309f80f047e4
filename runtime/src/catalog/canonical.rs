//! Stored objects as documents: what an apply takes, in one form, without what the portal says of them itself.

use serde_json::{Map, Value};

use super::blueprint::settle;
use crate::model::{Blueprint, Entity, RelationValue};
use crate::store;

/// A blueprint as a document. The order of its properties and relations is its author's, for it is the order in which
/// people see them.
pub fn blueprint_document(blueprint: Blueprint) -> Result<Value, store::Error> {
    serde_json::to_value(settle(blueprint))
        .map_err(|error| store::Error::corrupt("blueprint", error))
}

/// An entity as a document: its own values only, every object's keys in order, nothing that is empty.
pub fn entity_document(blueprint: &Blueprint, entity: Entity) -> Value {
    let mut document = Map::new();
    let mut put = |key: &str, value: Value| document.insert(key.to_owned(), value);
    put("identifier", entity.identifier.as_str().into());
    put("blueprint", entity.blueprint.as_str().into());
    if let Some(title) = entity.title {
        put("title", title.into());
    }
    if let Some(icon) = entity.icon {
        put("icon", icon.into());
    }
    if !entity.team.is_empty() {
        put("team", entity.team.into());
    }
    // What is derived stands beside the entity's own properties where it is read, but is nobody's to write.
    let mut own: Map<String, Value> = entity
        .properties
        .into_iter()
        .filter(|(name, _)| blueprint.schema.properties.contains_key(name))
        .collect();
    // What is not said is taken to be the default, so that there is none has to be said.
    for (name, definition) in &blueprint.schema.properties {
        if definition.get("default").is_some_and(|it| !it.is_null()) {
            own.entry(name.clone()).or_insert(Value::Null);
        }
    }
    put("properties", sorted(Value::Object(own)));
    let relations: Map<String, Value> = entity
        .relations
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), relation(value)?)))
        .collect();
    if !relations.is_empty() {
        put("relations", sorted(Value::Object(relations)));
    }
    Value::Object(document)
}

fn relation(value: &RelationValue) -> Option<Value> {
    match value {
        RelationValue::None => None,
        RelationValue::One(id) => Some(id.as_str().into()),
        RelationValue::Many(ids) if ids.is_empty() => None,
        RelationValue::Many(ids) => Some(ids.iter().map(|id| id.as_str()).collect()),
    }
}

/// The same value with the keys of every object in order. The depth is bounded where values come in.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(String, Value)> = fields.into_iter().collect();
            fields.sort_by(|(one, _), (other, _)| one.cmp(other));
            let fields = fields.into_iter().map(|(key, value)| (key, sorted(value)));
            Value::Object(fields.collect())
        }
        Value::Array(values) => values.into_iter().map(sorted).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_property_that_has_a_default_and_no_value_is_said_to_have_none() {
        let blueprint: Blueprint = serde_json::from_value(json!({
            "identifier": "A", "title": "A", "schema": {"properties": {
                "a": {"default": 1}, "b": {"default": 2}, "c": {"default": null}, "d": {},
            }},
        }))
        .unwrap();
        let entity: Entity = serde_json::from_value(json!({
            "identifier": "x", "blueprint": "A", "properties": {"a": 7},
        }))
        .unwrap();
        assert_eq!(
            entity_document(&blueprint, entity)["properties"],
            json!({"a": 7, "b": null})
        );
    }

    #[test]
    fn an_entity_is_written_in_one_form_whatever_the_order_it_came_in() {
        let blueprint: Blueprint = serde_json::from_value(json!({
            "identifier": "A", "title": "A", "schema": {"properties": {"b": {}, "a": {}}},
        }))
        .unwrap();
        let entity: Entity = serde_json::from_value(json!({
            "identifier": "x", "blueprint": "A", "icon": null, "team": [],
            "properties": {"b": {"z": 1, "a": [{"d": 1, "c": 2}]}, "a": 1, "derived": 7},
            "relations": {"two": ["q", "p"], "one": "r", "none": null, "nobody": []},
        }))
        .unwrap();
        assert_eq!(
            entity_document(&blueprint, entity).to_string(),
            r#"{"identifier":"x","blueprint":"A","properties":{"a":1,"b":{"a":[{"c":2,"d":1}],"z":1}},"relations":{"one":"r","two":["q","p"]}}"#
        );
    }
}
