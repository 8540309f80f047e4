//! What one descriptor says of another one: a relation seen from its other end.

use serde_json::{Map, Value};

/// What one descriptor says of another one.
pub(super) struct Inverse {
    /// The document that says it.
    pub(super) source: String,
    /// The key of `spec` that says it.
    pub(super) key: &'static str,
    pub(super) blueprint: &'static str,
    /// Whom it is about.
    pub(super) of: String,
    /// The relation that it is for the other one; for the teams of a person none.
    pub(super) relation: Option<&'static str>,
    pub(super) many: bool,
    pub(super) value: String,
}

impl Inverse {
    /// Says it in the entity that it is about.
    pub(super) fn put(self, entity: &mut Value) {
        let Value::Object(fields) = entity else {
            return;
        };
        let value = Value::String(self.value);
        let slot = match self.relation {
            None => fields.entry("team").or_insert(Value::Null),
            Some(relation) => {
                let relations = fields
                    .entry("relations")
                    .or_insert_with(|| Value::Object(Map::new()));
                let Value::Object(relations) = relations else {
                    return;
                };
                relations.entry(relation).or_insert(Value::Null)
            }
        };
        match slot {
            Value::Array(values) if values.contains(&value) => {}
            Value::Array(values) => values.push(value),
            slot if self.many => *slot = Value::Array(vec![value]),
            // What an entity says of itself counts more than what another one says of it.
            slot if slot.is_null() => *slot = value,
            _ => {}
        }
    }
}
