//! JSON Schema, compiled once and bounded: no schema can fetch, loop or grow the work without limit.

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::{Map, Value};

use super::format::with_formats;
use crate::model::Violation;

/// Depth of any value that the catalog takes; whatever walks it may recurse.
pub const MAX_DEPTH: usize = 64;

/// Schema objects after every `$ref` is followed. Local references can double the work at each step; this is where it
/// ends.
const MAX_EXPANDED: usize = 10_000;

/// Compiled size of one regular expression: enough for `\p{L}{1,100}`, too little to hurt.
const MAX_PATTERN_BYTES: usize = 2 * 1024 * 1024;

/// Violations that one value may have; a list of a million wrong items needs no million sentences.
const MAX_VIOLATIONS: usize = 100;

/// Characters of one message. The client chooses the value that it quotes.
const MAX_MESSAGE: usize = 400;

/// Keywords that give a schema another identity, or refer by one. Nothing here needs them.
const FOREIGN: &[&str] = &[
    "$schema",
    "$id",
    "$anchor",
    "$dynamicRef",
    "$dynamicAnchor",
    "$recursiveRef",
    "$recursiveAnchor",
    "$vocabulary",
];

/// Keywords whose value is data: what looks like a reference in there is none.
const DATA: &[&str] = &["const", "default", "enum", "examples"];

/// A JSON Schema for one value, compiled.
#[derive(Clone, Debug)]
pub struct Schema {
    validator: Validator,
}

impl Schema {
    /// Compiles a schema.
    ///
    /// # Errors
    /// Every reason against it, with JSON pointers into the schema.
    pub fn compile(schema: &Value) -> Result<Self, Vec<Violation>> {
        let mut refused = Vec::new();
        let mut budget = MAX_EXPANDED;
        expand(
            schema,
            schema,
            &mut String::new(),
            &mut Vec::new(),
            &mut budget,
            &mut refused,
        );
        if !refused.is_empty() {
            return Err(refused);
        }
        let options = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(
                PatternOptions::regex()
                    .size_limit(MAX_PATTERN_BYTES)
                    .dfa_size_limit(MAX_PATTERN_BYTES),
            )
            .should_validate_formats(true)
            .offline();
        let built = with_formats(options).build(schema);
        match built {
            Ok(validator) => Ok(Self { validator }),
            Err(error) => Err(vec![Violation::new(
                error.instance_path().as_str(),
                error.kind().keyword(),
                shorten(&format!("is not a usable schema: {error}")),
            )]),
        }
    }

    /// Every rule that a value breaks, with JSON pointers that begin with `at`.
    pub fn check(&self, value: &Value, at: &str) -> Vec<Violation> {
        if is_deeper(value, MAX_DEPTH) {
            return vec![Violation::new(
                at,
                "depth",
                format!("is nested deeper than {MAX_DEPTH} levels"),
            )];
        }
        // Nearly every value is as it should be, and finding that out is much cheaper than being ready to say why not.
        if self.validator.is_valid(value) {
            return Vec::new();
        }
        self.validator
            .iter_errors(value)
            .take(MAX_VIOLATIONS)
            .map(|error| {
                let path = format!("{at}{}", error.instance_path());
                Violation::new(path, error.kind().keyword(), shorten(&error.to_string()))
            })
            .collect()
    }
}

/// A JSON pointer of one more step.
pub(super) fn join(pointer: &str, step: &str) -> String {
    format!("{pointer}/{}", step.replace('~', "~0").replace('/', "~1"))
}

/// Whether a value is nested deeper than a limit. Stops there: hostile depth costs nothing.
pub(super) fn is_deeper(value: &Value, limit: usize) -> bool {
    let deeper = |inner: &Value| limit == 0 || is_deeper(inner, limit - 1);
    match value {
        Value::Array(items) => limit == 0 || items.iter().any(deeper),
        Value::Object(fields) => limit == 0 || fields.values().any(deeper),
        _ => false,
    }
}

/// The beginning of a message that may quote anything.
pub(super) fn shorten(message: &str) -> String {
    match message.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}…", message.get(..end).unwrap_or_default()),
        None => message.to_owned(),
    }
}

/// Walks a schema as validation would, references and all, and refuses what leads out of it or round in circles.
fn expand<'a>(
    root: &'a Value,
    schema: &'a Value,
    at: &mut String,
    active: &mut Vec<&'a str>,
    budget: &mut usize,
    refused: &mut Vec<Violation>,
) {
    if !refused.is_empty() {
        return;
    }
    let Some(left) = budget.checked_sub(1) else {
        let message =
            format!("unfolds to more than {MAX_EXPANDED} parts; use fewer or flatter `$ref`s");
        refused.push(Violation::new(at.clone(), "size", message));
        return;
    };
    *budget = left;
    match schema {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                step(at, &index.to_string(), |at| {
                    expand(root, item, at, active, budget, refused)
                });
            }
        }
        Value::Object(fields) => {
            refuse_foreign(fields, at, refused);
            if let Some(Value::String(reference)) = fields.get("$ref") {
                step(at, "$ref", |at| {
                    follow(root, reference, at, active, budget, refused);
                });
            }
            for (name, inner) in fields {
                if !DATA.contains(&name.as_str()) && (inner.is_object() || inner.is_array()) {
                    step(at, name, |at| {
                        expand(root, inner, at, active, budget, refused)
                    });
                }
            }
        }
        _ => {}
    }
}

fn step(at: &mut String, name: &str, work: impl FnOnce(&mut String)) {
    let before = at.len();
    *at = join(at, name);
    work(at);
    at.truncate(before);
}

fn refuse_foreign(fields: &Map<String, Value>, at: &str, refused: &mut Vec<Violation>) {
    for name in FOREIGN {
        // An object under such a name is a property of that name, not the keyword.
        if fields
            .get(*name)
            .is_some_and(|value| value.is_string() || value.is_boolean())
        {
            let message = format!("`{name}` is not supported; a schema stands for itself");
            refused.push(Violation::new(join(at, name), name, message));
        }
    }
}

fn follow<'a>(
    root: &'a Value,
    reference: &'a str,
    at: &mut String,
    active: &mut Vec<&'a str>,
    budget: &mut usize,
    refused: &mut Vec<Violation>,
) {
    let mut refuse =
        |message: String| refused.push(Violation::new(at.clone(), "$ref", shorten(&message)));
    let Some(pointer) = reference.strip_prefix('#') else {
        return refuse(format!(
            "`{reference}` leads out of the schema; only `#/…` within it may be referred to"
        ));
    };
    if active.contains(&reference) || pointer.is_empty() {
        return refuse(format!(
            "`{reference}` leads back to itself; recursive schemas are not supported"
        ));
    }
    // A percent sign would be decoded by the validator and not here: both must see the same target.
    let target = if pointer.contains('%') {
        None
    } else {
        root.pointer(pointer)
    };
    let Some(target) = target else {
        return refuse(format!(
            "`{reference}` leads to nothing within the property's schema"
        ));
    };
    active.push(reference);
    expand(root, target, at, active, budget, refused);
    active.pop();
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(found: &[Violation]) -> Vec<&str> {
        found
            .iter()
            .map(|violation| violation.path.as_str())
            .collect()
    }

    #[test]
    fn every_broken_rule_is_told_with_its_pointer() {
        let schema = Schema::compile(&json!({
            "type": "object",
            "required": ["a"],
            "properties": { "b/c": { "type": "array", "items": { "type": "number", "maximum": 3 } } },
        }))
        .unwrap();
        let found = schema.check(&json!({ "b/c": [1, 4, "x"] }), "/properties/x");
        assert_eq!(
            paths(&found),
            [
                "/properties/x",
                "/properties/x/b~1c/1",
                "/properties/x/b~1c/2"
            ],
            "{found:?}"
        );
    }

    #[test]
    fn a_schema_cannot_refer_to_what_is_outside() {
        for reference in [
            "https://example.com/s.json",
            "file:///etc/passwd",
            "other.json",
            "json-schema:///#",
        ] {
            let refused = Schema::compile(
                &json!({ "type": "object", "properties": { "a": { "$ref": reference } } }),
            );
            assert_eq!(
                paths(&refused.unwrap_err()),
                ["/properties/a/$ref"],
                "{reference}"
            );
        }
        assert!(Schema::compile(&json!({ "$id": "https://example.com/s" })).is_err());
        assert!(Schema::compile(&json!({ "$schema": "https://example.com/s" })).is_err());
    }

    #[test]
    fn a_schema_may_refer_within_itself_but_not_in_circles() {
        let schema =
            json!({ "$defs": { "n": { "type": "number" } }, "items": { "$ref": "#/$defs/n" } });
        assert_eq!(
            paths(&Schema::compile(&schema).unwrap().check(&json!(["x"]), "")),
            ["/0"]
        );
        assert!(Schema::compile(&json!({ "$ref": "#" })).is_err());
        assert!(Schema::compile(&json!({ "items": { "$ref": "#/items" } })).is_err());
        assert!(Schema::compile(&json!({ "items": { "$ref": "#/%69tems" } })).is_err());
        assert!(
            Schema::compile(&json!({ "enum": [{ "$ref": "#" }], "properties": { "$ref": { "type": "string" } } }))
                .is_ok()
        );
    }

    #[test]
    fn references_that_double_the_work_at_each_step_are_refused() {
        let mut definitions = Map::new();
        for level in 0..60 {
            let next = format!("#/$defs/d{}", level + 1);
            definitions.insert(
                format!("d{level}"),
                json!({ "allOf": [{ "$ref": next }, { "$ref": next }] }),
            );
        }
        definitions.insert("d60".to_owned(), json!({ "type": "string" }));
        let refused =
            Schema::compile(&json!({ "$defs": definitions, "$ref": "#/$defs/d0" })).unwrap_err();
        assert_eq!(refused[0].rule, "size");
    }

    #[test]
    fn patterns_are_linear_and_small() {
        let lookahead =
            Schema::compile(&json!({ "type": "string", "pattern": "^(?=a)" })).unwrap_err();
        assert_eq!(paths(&lookahead), ["/pattern"]);
        assert!(Schema::compile(&json!({ "type": "string", "pattern": "(" })).is_err());
        assert!(
            Schema::compile(&json!({ "type": "string", "pattern": "((a{1000}){1000}){1000}" }))
                .is_err()
        );
        let nested = Schema::compile(&json!({ "type": "string", "pattern": "^(a+)+$" })).unwrap();
        assert_eq!(
            nested
                .check(&json!(format!("{}b", "a".repeat(100_000))), "")
                .len(),
            1
        );
    }

    #[test]
    fn a_message_shows_only_the_beginning_of_a_long_value() {
        let found = Schema::compile(&json!({ "type": "number" }))
            .unwrap()
            .check(&json!("ä".repeat(1_000_000)), "");
        assert!(found[0].message.len() < 1_000);
    }

    #[test]
    fn a_deep_value_is_refused_before_it_is_walked() {
        let mut value = json!(1);
        for _ in 0..MAX_DEPTH {
            value = json!([value]);
        }
        let schema = Schema::compile(&json!({})).unwrap();
        assert!(schema.check(&value, "").is_empty());
        assert_eq!(
            schema.check(&json!([value]), "/properties/x")[0].rule,
            "depth"
        );
    }
}
