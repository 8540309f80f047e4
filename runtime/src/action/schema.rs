//! Forms as JSON Schema: the portal's formats, bounded patterns, references that stay inside the document.

use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value, json};

use super::rule::{MAX_VIOLATIONS, child};
use crate::model::Violation;

/// Formats that an input may have.
pub(super) const FORMATS: [&str; 14] = [
    "date-time",
    "url",
    "email",
    "idn-email",
    "ipv4",
    "ipv6",
    "yaml",
    "entity",
    "user",
    "team",
    "proto",
    "markdown",
    "multi-line",
    "labeled-url",
];

/// Levels of one schema; deeper ones serve no form and cost stack.
pub(super) const MAX_DEPTH: usize = 32;

/// Memory of one compiled pattern; the engine is linear in time, this bounds its size.
const MAX_PATTERN_BYTES: usize = 256 * 1024;

/// The form's inputs as one schema of an object.
pub(super) fn of_form<'a>(
    properties: impl IntoIterator<Item = (&'a String, &'a Value)>,
    form: &Map<String, Value>,
) -> Value {
    let properties: Map<String, Value> = properties
        .into_iter()
        .map(|(name, input)| (name.clone(), input.clone()))
        .collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    if let Some(definitions) = form.get("$defs") {
        schema["$defs"] = definitions.clone();
    }
    schema
}

/// Compiles a schema.
///
/// # Errors
/// The rule of JSON Schema that it breaks, with a pointer into the schema.
pub(super) fn compile(schema: &Value) -> Result<Validator, Violation> {
    check_references(schema)?;
    jsonschema::draft202012::options()
        .with_pattern_options(
            PatternOptions::regex()
                .size_limit(MAX_PATTERN_BYTES)
                .dfa_size_limit(MAX_PATTERN_BYTES),
        )
        .should_validate_formats(true)
        // Plugins' schemas name formats of their own, such as `uint32`; those say nothing that `type` and ranges do not.
        .should_ignore_unknown_formats(true)
        .with_format("url", is_url)
        .build(schema)
        .map_err(|error| {
            Violation::new(
                error.instance_path().as_str(),
                "schema",
                shorten(&error.masked().to_string()),
            )
        })
}

/// Every way in which a value breaks a schema, pointers below `base`.
pub(super) fn violations(validator: &Validator, value: &Value, base: &str) -> Vec<Violation> {
    use jsonschema::error::ValidationErrorKind as Kind;
    validator
        .iter_errors(value)
        .take(MAX_VIOLATIONS)
        .map(|error| {
            let mut path = format!("{base}{}", error.instance_path().as_str());
            if let Kind::Required { property } = error.kind()
                && let Some(property) = property.as_str()
            {
                path = child(&path, property);
            }
            // The value itself stays out of the message: it may be long, and it may be a secret.
            Violation::new(
                path,
                error.kind().keyword(),
                shorten(&error.masked().to_string()),
            )
        })
        .collect()
}

/// Refuses references that leave the document or that only lead back to themselves, and schemas that nest too deep.
pub(super) fn check_references(schema: &Value) -> Result<(), Violation> {
    walk(schema, "", 0)?;
    Ok(())
}

fn walk(schema: &Value, path: &str, depth: usize) -> Result<(), Violation> {
    if depth > MAX_DEPTH {
        return Err(Violation::new(
            path,
            "depth",
            format!("a schema may nest {MAX_DEPTH} levels deep"),
        ));
    }
    match schema {
        Value::Object(object) => {
            for (key, value) in object {
                let at = child(path, key);
                match (key.as_str(), value.as_str()) {
                    ("$ref", Some(target)) if !target.starts_with("#/") => {
                        let message = "a reference must stay inside the document: `#/…`";
                        return Err(Violation::new(at, "$ref", message));
                    }
                    ("$dynamicRef" | "$recursiveRef" | "$id", Some(_)) => {
                        let message =
                            format!("`{key}` is not available here; use `$ref` with `#/…`");
                        return Err(Violation::new(at, "$ref", message));
                    }
                    _ => walk(value, &at, depth + 1)?,
                }
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                walk(value, &format!("{path}/{index}"), depth + 1)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn is_url(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, rest)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
            && !rest.is_empty()
            && !rest.starts_with('/')
            && !rest.chars().any(|c| c.is_whitespace() || c.is_control())
    })
}

fn shorten(message: &str) -> String {
    const LONGEST: usize = 400;
    if message.len() <= LONGEST {
        return message.to_owned();
    }
    message.chars().take(LONGEST).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_that_lead_in_circles_end() {
        for schema in [
            json!({ "$ref": "#/$defs/a", "$defs": { "a": { "$ref": "#/$defs/a" } } }),
            json!({ "$ref": "#/$defs/a", "$defs": { "a": { "allOf": [{ "$ref": "#/$defs/a" }] } } }),
            json!({ "$ref": "#/$defs/a", "$defs": { "a": { "anyOf": [{ "not": { "$ref": "#/$defs/b" } }] }, "b": { "anyOf": [{ "$ref": "#/$defs/a" }] } } }),
        ] {
            if let Ok(validator) = compile(&schema) {
                violations(&validator, &json!({ "x": 1 }), "");
            }
        }
    }

    #[test]
    fn url_needs_scheme_and_host() {
        assert!(is_url("https://example.com/a?b#c"));
        assert!(!is_url("example.com"));
        assert!(!is_url("https://"));
        assert!(!is_url("https:///etc"));
        assert!(!is_url("https://a b"));
    }
}
