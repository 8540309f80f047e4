//! From the JSON of a client to the words of the model, with every fault at its JSON pointer.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::Error;
use super::blueprint::{STAMP, settle};
use super::schema::{join, shorten};
use crate::model::{
    Blueprint, BlueprintId, BlueprintSchema, EntityDraft, EntityId, IdentError, RelationDefinition,
    RelationValue, Violation,
};

/// Keys of an entity as the API shows it.
const ENTITY_KEYS: &[&str] = &[
    "identifier",
    "title",
    "icon",
    "blueprint",
    "team",
    "properties",
    "relations",
    "scorecards",
];

/// Reads an entity. Keys that are not an entity's are passed over; see [`check_entity_keys`].
///
/// # Errors
/// [`Error::Invalid`] with every part that has the wrong shape.
pub fn parse_draft(value: Value) -> Result<EntityDraft, Error> {
    let mut faults = Faults::default();
    let Some(mut fields) = faults.object("", value) else {
        return Err(faults.into_error("entity".to_owned()));
    };
    let mut draft = EntityDraft::default();
    let mut subject = "entity".to_owned();
    if let Some(identifier) = fields
        .shift_remove("identifier")
        .filter(|value| !value.is_null())
        && let Some(text) = faults.text("/identifier", identifier)
    {
        subject = format!("entity `{}`", shorten(&text));
        draft.identifier = faults.parsed("/identifier", EntityId::parse(text));
    }
    draft.title = fields
        .shift_remove("title")
        .map(|value| faults.optional_text("/title", value));
    draft.icon = fields
        .shift_remove("icon")
        .map(|value| faults.optional_text("/icon", value));
    draft.team = fields
        .shift_remove("team")
        .map(|value| faults.texts("/team", value));
    draft.properties = fields
        .shift_remove("properties")
        .filter(|value| !value.is_null())
        .and_then(|value| faults.object("/properties", value));
    if let Some(relations) = fields
        .shift_remove("relations")
        .filter(|value| !value.is_null())
        && let Some(relations) = faults.object("/relations", relations)
    {
        let mut parsed = IndexMap::new();
        for (name, value) in relations {
            let value = faults.relation(&join("/relations", &name), value);
            parsed.insert(name, value);
        }
        draft.relations = Some(parsed);
    }
    faults.none_or_error(subject, draft)
}

/// Finds keys that no entity has, for doors where a misspelt key must not pass unseen.
pub fn check_entity_keys(value: &Value) -> Vec<Violation> {
    let Value::Object(fields) = value else {
        return Vec::new();
    };
    fields
        .keys()
        .filter(|key| !ENTITY_KEYS.contains(&key.as_str()) && !STAMP.contains(&key.as_str()))
        .map(|key| {
            let message = format!(
                "`{}` is not a key of an entity; it has {}",
                shorten(key),
                ENTITY_KEYS.join(", ")
            );
            Violation::new(join("", key), "additionalProperties", message)
        })
        .collect()
}

/// Reads a blueprint. Keys that this version does not know are kept as they are.
///
/// # Errors
/// [`Error::Invalid`] with every part that has the wrong shape. The rules of a blueprint are checked when it is stored.
pub fn parse_blueprint(value: Value) -> Result<Blueprint, Error> {
    let mut faults = Faults::default();
    let Some(mut fields) = faults.object("", value) else {
        return Err(faults.into_error("blueprint".to_owned()));
    };
    let mut subject = "blueprint".to_owned();
    let identifier = faults
        .required_text(&mut fields, "", "identifier")
        .and_then(|text| {
            subject = format!("blueprint `{}`", shorten(&text));
            faults.parsed("/identifier", BlueprintId::parse(text))
        });
    let title = faults.required_text(&mut fields, "", "title");
    let description = fields
        .shift_remove("description")
        .and_then(|value| faults.optional_text("/description", value));
    let icon = fields
        .shift_remove("icon")
        .and_then(|value| faults.optional_text("/icon", value));
    let schema = match fields.shift_remove("schema") {
        Some(schema) => faults.schema(schema),
        None => {
            faults.push(
                "/schema",
                "required",
                "`schema` is required; `{\"properties\": {}}` is the smallest".into(),
            );
            None
        }
    };
    let mut relations = IndexMap::new();
    if let Some(value) = fields
        .shift_remove("relations")
        .filter(|value| !value.is_null())
        && let Some(definitions) = faults.object("/relations", value)
    {
        for (name, value) in definitions {
            if let Some(definition) = faults.relation_definition(&join("/relations", &name), value)
            {
                relations.insert(name, definition);
            }
        }
    }
    match (identifier, title, schema) {
        (Some(identifier), Some(title), Some(schema)) => {
            let blueprint = Blueprint {
                identifier,
                title,
                description,
                icon,
                schema,
                relations,
                extra: fields,
            };
            faults.none_or_error(subject, settle(blueprint))
        }
        _ => Err(faults.into_error(subject)),
    }
}

/// Collects what is wrong while the rest is still being read.
#[derive(Default)]
struct Faults {
    found: Vec<Violation>,
}

impl Faults {
    fn push(&mut self, path: &str, rule: &str, message: String) {
        self.found.push(Violation::new(path, rule, message));
    }

    fn none_or_error<T>(self, subject: String, value: T) -> Result<T, Error> {
        if self.found.is_empty() {
            Ok(value)
        } else {
            Err(self.into_error(subject))
        }
    }

    fn into_error(self, subject: String) -> Error {
        Error::Invalid {
            subject,
            violations: self.found,
        }
    }

    fn wrong_type(&mut self, path: &str, wanted: &str, value: &Value) {
        self.push(
            path,
            "type",
            format!("must be {wanted}, not {}", type_of(value)),
        );
    }

    fn object(&mut self, path: &str, value: Value) -> Option<Map<String, Value>> {
        match value {
            Value::Object(fields) => Some(fields),
            other => {
                self.wrong_type(path, "an object", &other);
                None
            }
        }
    }

    fn text(&mut self, path: &str, value: Value) -> Option<String> {
        match value {
            Value::String(text) => Some(text),
            other => {
                self.wrong_type(path, "a string", &other);
                None
            }
        }
    }

    fn optional_text(&mut self, path: &str, value: Value) -> Option<String> {
        if value.is_null() {
            None
        } else {
            self.text(path, value)
        }
    }

    fn required_text(
        &mut self,
        fields: &mut Map<String, Value>,
        at: &str,
        key: &str,
    ) -> Option<String> {
        let path = join(at, key);
        match fields.shift_remove(key) {
            Some(value) => self.text(&path, value),
            None => {
                self.push(&path, "required", format!("`{key}` is required"));
                None
            }
        }
    }

    fn flag(&mut self, path: &str, value: Option<Value>) -> bool {
        match value {
            None | Some(Value::Null) => false,
            Some(Value::Bool(flag)) => flag,
            Some(other) => {
                self.wrong_type(path, "true or false", &other);
                false
            }
        }
    }

    /// One text, a list of them, or nothing.
    fn texts(&mut self, path: &str, value: Value) -> Vec<String> {
        match value {
            Value::Null => Vec::new(),
            Value::String(text) => vec![text],
            Value::Array(values) => self.list(path, values),
            other => {
                self.wrong_type(path, "a string or a list of strings", &other);
                Vec::new()
            }
        }
    }

    fn list(&mut self, path: &str, values: Vec<Value>) -> Vec<String> {
        let each = |(index, value)| self.text(&join(path, &usize::to_string(&index)), value);
        values.into_iter().enumerate().filter_map(each).collect()
    }

    fn parsed<T>(&mut self, path: &str, parsed: Result<T, IdentError>) -> Option<T> {
        parsed
            .map_err(|error| self.push(path, "identifier", error.to_string()))
            .ok()
    }

    fn relation(&mut self, path: &str, value: Value) -> RelationValue {
        match value {
            Value::Null => RelationValue::None,
            Value::String(text) => self
                .parsed(path, EntityId::parse(text))
                .map_or(RelationValue::None, RelationValue::One),
            Value::Array(values) => {
                let mut targets = Vec::with_capacity(values.len());
                for (index, value) in values.into_iter().enumerate() {
                    let path = join(path, &index.to_string());
                    let target = self
                        .text(&path, value)
                        .and_then(|text| self.parsed(&path, EntityId::parse(text)));
                    targets.extend(target);
                }
                RelationValue::Many(targets)
            }
            other => {
                self.wrong_type(path, "null, an identifier or a list of identifiers", &other);
                RelationValue::None
            }
        }
    }

    fn schema(&mut self, value: Value) -> Option<BlueprintSchema> {
        let mut fields = self.object("/schema", value)?;
        let properties = match fields.shift_remove("properties") {
            None | Some(Value::Null) => IndexMap::new(),
            Some(value) => self
                .object("/schema/properties", value)?
                .into_iter()
                .collect(),
        };
        let required = match fields.shift_remove("required") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(values)) => self.list("/schema/required", values),
            Some(other) => {
                self.wrong_type("/schema/required", "a list of property names", &other);
                Vec::new()
            }
        };
        for (key, _) in fields {
            let message = format!(
                "`{}` is not a key of a schema; it has properties and required",
                shorten(&key)
            );
            self.push(&join("/schema", &key), "additionalProperties", message);
        }
        Some(BlueprintSchema {
            properties,
            required,
        })
    }

    fn relation_definition(&mut self, path: &str, value: Value) -> Option<RelationDefinition> {
        let mut fields = self.object(path, value)?;
        let title = fields.shift_remove("title");
        let description = fields.shift_remove("description");
        let (required, many) = (fields.shift_remove("required"), fields.shift_remove("many"));
        let target = self.required_text(&mut fields, path, "target");
        let title = title.and_then(|value| self.optional_text(&join(path, "title"), value));
        let description =
            description.and_then(|value| self.optional_text(&join(path, "description"), value));
        let required = self.flag(&join(path, "required"), required);
        let many = self.flag(&join(path, "many"), many);
        let target = self.parsed(&join(path, "target"), BlueprintId::parse(target?))?;
        Some(RelationDefinition {
            title,
            description,
            target,
            required,
            many,
            extra: fields,
        })
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Vec<String> {
        match outcome.unwrap_err() {
            Error::Invalid { violations, .. } => violations
                .into_iter()
                .map(|violation| violation.path)
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_draft_tells_absent_from_null() {
        let draft = parse_draft(
            json!({ "title": null, "team": "a", "relations": { "x": null, "y": ["b"] } }),
        )
        .unwrap();
        assert_eq!(draft.identifier, None);
        assert_eq!((draft.title, draft.icon), (Some(None), None));
        assert_eq!(draft.team, Some(vec!["a".to_owned()]));
        assert_eq!(draft.properties, None);
        let relations = draft.relations.unwrap();
        assert_eq!(relations["x"], RelationValue::None);
        assert_eq!(
            relations["y"],
            RelationValue::Many(vec![EntityId::parse("b").unwrap()])
        );
    }

    #[test]
    fn every_fault_of_a_draft_is_told_with_its_pointer() {
        let found = paths(parse_draft(json!({
            "identifier": "a b", "title": 1, "team": ["x", 2], "properties": [],
            "relations": { "r/s": ["ok", 7, "not ok"], "t": {} },
        })));
        let expected = [
            "/identifier",
            "/title",
            "/team/1",
            "/properties",
            "/relations/r~1s/1",
            "/relations/r~1s/2",
            "/relations/t",
        ];
        assert_eq!(found, expected);
        assert_eq!(paths(parse_draft(json!([]))), [""]);
    }

    #[test]
    fn a_misspelt_key_of_an_entity_is_found_where_one_looks_for_it() {
        let value = json!({ "identifier": "a", "propertys": {}, "updatedAt": "x" });
        assert!(parse_draft(value.clone()).is_ok());
        assert_eq!(check_entity_keys(&value)[0].path, "/propertys");
    }

    #[test]
    fn a_blueprint_keeps_what_is_not_known_and_drops_its_stamp() {
        let blueprint = parse_blueprint(json!({
            "identifier": "a", "title": "A", "schema": {}, "mirrorProperties": { "m": 1 }, "updatedAt": "x",
            "relations": { "r": { "target": "b", "strange": 1 } },
        }))
        .unwrap();
        assert_eq!(
            serde_json::to_value(&blueprint.extra).unwrap(),
            json!({ "mirrorProperties": { "m": 1 } })
        );
        assert_eq!(blueprint.relations["r"].extra["strange"], json!(1));
    }

    #[test]
    fn every_fault_of_a_blueprint_is_told_with_its_pointer() {
        let found = paths(parse_blueprint(json!({
            "identifier": "a b",
            "schema": { "properties": {}, "required": ["x", 1], "propertys": {} },
            "relations": { "r": { "required": "yes" }, "s": 1 },
        })));
        let expected = [
            "/identifier",
            "/title",
            "/schema/required/1",
            "/schema/propertys",
            "/relations/r/target",
            "/relations/r/required",
            "/relations/s",
        ];
        assert_eq!(found, expected);
    }
}
