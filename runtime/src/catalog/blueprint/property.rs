//! The definition of one property.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use crate::catalog::derived::COLORS;
use crate::catalog::format;
use crate::catalog::schema::{Schema, join, shorten};
use crate::model::Violation;

/// Types that a property may have.
const TYPES: &[&str] = &["string", "number", "boolean", "object", "array"];

/// How a value may be shown as more than itself, and the types of property that have it.
pub(in crate::catalog) const SPECS: &[(&str, &[&str])] = &[
    ("open-api", &["string", "object"]),
    ("async-api", &["string", "object"]),
    ("embedded-url", &["string"]),
];

/// Compiles a definition into what its values are checked against.
///
/// # Errors
/// Every reason against it, with JSON pointers into the definition.
pub(in crate::catalog) fn compile(definition: &Value) -> Result<Schema, Vec<Violation>> {
    Schema::compile(&spelled_out(definition))
}

/// Says in the words of JSON Schema what a format says of objects; JSON Schema knows formats of strings only.
fn spelled_out(definition: &Value) -> Cow<'_, Value> {
    let is_labeled =
        |value: &Value| value.get("format").and_then(Value::as_str) == Some(format::LABELED_URL);
    let items = definition.get("items");
    if !is_labeled(definition) && !items.is_some_and(is_labeled) {
        return Cow::Borrowed(definition);
    }
    let mut spelled = definition.clone();
    if let Some(items) = spelled.get_mut("items").filter(|items| is_labeled(items)) {
        spell_labeled_url(items);
    }
    if is_labeled(&spelled) {
        spell_labeled_url(&mut spelled);
    }
    Cow::Owned(spelled)
}

fn spell_labeled_url(schema: &mut Value) {
    let shape = json!({
        "type": "object",
        "required": ["url"],
        "properties": {
            "url": { "type": "string", "format": "url" },
            "displayText": { "type": "string" },
        },
    });
    let Value::Object(fields) = schema else {
        return;
    };
    let all = fields.entry("allOf").or_insert_with(|| json!([]));
    // What is not a list here is refused when it is compiled.
    if let Value::Array(all) = all {
        all.push(shape);
    }
}

/// Every rule that the definition of a property breaks.
pub(super) fn check(name: &str, definition: &Value, found: &mut Vec<Violation>) {
    let path = join("/schema/properties", name);
    check_name(&path, name, found);
    let Value::Object(fields) = definition else {
        found.push(Violation::new(
            path,
            "type",
            "must be an object with a `type`",
        ));
        return;
    };
    let before = found.len();
    let Some(of) = check_type(&path, fields, found) else {
        return;
    };
    check_texts(&path, fields, found);
    check_format(&path, of, fields, found);
    check_spec(&path, of, fields, found);
    check_colours(&path, fields, found);
    if let Some(items) = fields.get("items") {
        let path = join(&path, "items");
        match items {
            Value::Object(items) => {
                if items.contains_key("type")
                    && let Some(of) = check_type(&path, items, found)
                {
                    check_format(&path, of, items, found);
                }
                check_colours(&path, items, found);
            }
            _ => found.push(Violation::new(path, "type", "must be an object")),
        }
    }
    // What was told above would only be told again, in other words.
    if found.len() > before {
        return;
    }
    match compile(definition) {
        Ok(schema) => check_values(&path, of, fields, &schema, found),
        Err(refused) => found.extend(refused.into_iter().map(|refusal| Violation {
            path: format!("{path}{}", refusal.path),
            ..refusal
        })),
    }
}

/// The name of a property or relation.
pub(in crate::catalog) fn check_name(path: &str, name: &str, found: &mut Vec<Violation>) {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || b"@_=-".contains(&c);
    if name.is_empty() || name.len() > 100 || !name.bytes().all(allowed) {
        let message = "the name must be 1 to 100 of A-Z a-z 0-9 @ _ = -";
        found.push(Violation::new(path, "identifier", message));
    }
}

fn check_type<'a>(
    path: &str,
    fields: &'a Map<String, Value>,
    found: &mut Vec<Violation>,
) -> Option<&'a str> {
    let types = TYPES.join(", ");
    let message = match fields.get("type") {
        None => format!("`type` is required; use one of {types}"),
        Some(Value::String(word)) if TYPES.contains(&word.as_str()) => return Some(word),
        Some(other) => format!(
            "{} is not a type; use one of {types}",
            shorten(&other.to_string())
        ),
    };
    found.push(Violation::new(join(path, "type"), "type", message));
    None
}

fn check_texts(path: &str, fields: &Map<String, Value>, found: &mut Vec<Violation>) {
    for (key, longest) in [
        ("title", 100),
        ("description", 2_000),
        ("icon", 100),
        ("dateFormat", 100),
    ] {
        if let Some(value) = fields.get(key)
            && !value.is_null()
            && value
                .as_str()
                .is_none_or(|text| text.chars().count() > longest)
        {
            let message = format!("must be a string of at most {longest} characters");
            found.push(Violation::new(join(path, key), "length", message));
        }
    }
}

fn check_format(path: &str, of: &str, fields: &Map<String, Value>, found: &mut Vec<Violation>) {
    let Some(format) = fields.get("format") else {
        return;
    };
    let message = match format.as_str().and_then(format::type_of) {
        Some(wanted) if wanted == of => return,
        Some(wanted) => {
            format!("{format} is a format of properties of type {wanted}, and this one is {of}")
        }
        None => format!(
            "{} is not a known format; use one of {}",
            shorten(&format.to_string()),
            format::names()
        ),
    };
    found.push(Violation::new(join(path, "format"), "format", message));
}

fn check_spec(path: &str, of: &str, fields: &Map<String, Value>, found: &mut Vec<Violation>) {
    let spec = fields.get("spec").filter(|spec| !spec.is_null());
    if let Some(spec) = spec {
        let known = SPECS.iter().find(|(name, _)| spec.as_str() == Some(name));
        let message = match known {
            Some((_, types)) if types.contains(&of) => None,
            Some((name, types)) => Some(format!(
                "`{name}` is for properties of type {}, and this one is {of}",
                types.join(" or ")
            )),
            None => {
                let names: Vec<_> = SPECS.iter().map(|(name, _)| *name).collect();
                Some(format!(
                    "{} is not a known spec; use one of {}",
                    shorten(&spec.to_string()),
                    names.join(", ")
                ))
            }
        };
        if let Some(message) = message {
            found.push(Violation::new(join(path, "spec"), "spec", message));
        }
    }
    let Some(authentication) = fields
        .get("specAuthentication")
        .filter(|value| !value.is_null())
    else {
        return;
    };
    let path = join(path, "specAuthentication");
    if spec.and_then(Value::as_str) != Some("embedded-url") {
        let message = "only a property with spec `embedded-url` can have it";
        found.push(Violation::new(path, "specAuthentication", message));
        return;
    }
    let shape = json!({
        "type": "object",
        "required": ["clientId", "authorizationUrl", "tokenUrl"],
        "properties": {
            "clientId": { "type": "string", "minLength": 1 },
            "authorizationUrl": { "type": "string", "format": "url" },
            "tokenUrl": { "type": "string", "format": "url" },
            "authorizationScope": { "type": "array", "items": { "type": "string" } },
        },
    });
    match Schema::compile(&shape) {
        Ok(shape) => found.extend(shape.check(authentication, &path)),
        Err(refused) => found.extend(refused),
    }
}

/// Checks the colours that values of the property are shown in.
fn check_colours(path: &str, fields: &Map<String, Value>, found: &mut Vec<Violation>) {
    let Some(colours) = fields.get("enumColors").filter(|value| !value.is_null()) else {
        return;
    };
    let path = join(path, "enumColors");
    let Value::Object(colours) = colours else {
        let message = "must be an object of value to colour";
        found.push(Violation::new(path, "type", message));
        return;
    };
    for (value, colour) in colours {
        if !colour
            .as_str()
            .is_some_and(|colour| COLORS.contains(&colour))
        {
            let message = format!(
                "{} is not a colour; use one of {}",
                shorten(&colour.to_string()),
                COLORS.join(", ")
            );
            found.push(Violation::new(join(&path, value), "colour", message));
        }
    }
}

/// Checks the values that stand in the definition itself.
fn check_values(
    path: &str,
    of: &str,
    fields: &Map<String, Value>,
    schema: &Schema,
    found: &mut Vec<Violation>,
) {
    if let Some(Value::Array(values)) = fields.get("enum") {
        for (index, value) in values.iter().enumerate() {
            if !is_of(value, of) {
                let path = join(&join(path, "enum"), &index.to_string());
                let message = format!("must be of type {of}, as the property is");
                found.push(Violation::new(path, "type", message));
            }
        }
    }
    if let Some(default) = fields.get("default").filter(|value| !value.is_null()) {
        found.extend(schema.check(default, &join(path, "default")));
    }
}

fn is_of(value: &Value, of: &str) -> bool {
    match value {
        Value::String(_) => of == "string",
        Value::Number(_) => of == "number",
        Value::Bool(_) => of == "boolean",
        Value::Object(_) => of == "object",
        Value::Array(_) => of == "array",
        Value::Null => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(definition: Value) -> Vec<(String, String)> {
        let mut found = Vec::new();
        check("p", &definition, &mut found);
        let short = |path: String| path.replacen("/schema/properties/p", "", 1);
        found
            .into_iter()
            .map(|violation| (short(violation.path), violation.rule))
            .collect()
    }

    fn fault(definition: Value) -> (String, String) {
        let mut found = faults(definition.clone());
        assert_eq!(found.len(), 1, "{definition}: {found:?}");
        found.remove(0)
    }

    fn at(path: &str, rule: &str) -> (String, String) {
        (path.to_owned(), rule.to_owned())
    }

    #[test]
    fn a_property_may_say_all_that_the_api_knows() {
        for definition in [
            json!({ "type": "string", "title": "T", "description": "d", "icon": "Docs", "default": "a",
                    "enum": ["a", "b"], "enumColors": { "a": "paleBlue", "b": "brown" } }),
            json!({ "type": "string", "pattern": "^a+$", "minLength": 1, "maxLength": 3 }),
            json!({ "type": "number", "minimum": 0, "exclusiveMaximum": 5, "default": 1 }),
            json!({ "type": "array", "items": { "type": "string", "enum": ["a"], "enumColors": { "a": "red" } },
                    "minItems": 0, "maxItems": 3, "uniqueItems": true }),
            json!({ "type": "array" }),
            json!({ "type": "array", "items": {} }),
            json!({ "type": "object", "spec": "open-api" }),
            json!({ "type": "string", "format": "url", "spec": "async-api" }),
            json!({ "type": "string", "format": "url", "spec": "embedded-url", "specAuthentication": {
                "clientId": "c", "authorizationUrl": "https://example.com/a", "tokenUrl": "https://example.com/t",
                "authorizationScope": ["openid"] } }),
            json!({ "type": "string", "format": "date-time", "dateFormat": "MMM" }),
            json!({ "type": "object", "format": "labeled-url", "default": { "url": "https://example.com" } }),
            json!({ "type": "boolean", "default": false, "somethingElse": 1 }),
            json!({ "type": "string", "spec": null, "specAuthentication": null, "enumColors": null }),
        ] {
            assert_eq!(faults(definition.clone()), [], "{definition}");
        }
    }

    #[test]
    fn each_fault_is_told_where_it_stands() {
        for (definition, path, rule) in [
            (json!({ "type": "null" }), "/type", "type"),
            (json!({ "type": ["string"] }), "/type", "type"),
            (
                json!({ "type": "string", "icon": "x".repeat(101) }),
                "/icon",
                "length",
            ),
            (json!({ "type": "string", "icon": 1 }), "/icon", "length"),
            (
                json!({ "type": "number", "format": "url" }),
                "/format",
                "format",
            ),
            (
                json!({ "type": "string", "format": "labeled-url" }),
                "/format",
                "format",
            ),
            (
                json!({ "type": "string", "format": 1 }),
                "/format",
                "format",
            ),
            (
                json!({ "type": "array", "items": { "type": "number", "format": "url" } }),
                "/items/format",
                "format",
            ),
            (
                json!({ "type": "array", "items": { "type": "integer" } }),
                "/items/type",
                "type",
            ),
            (json!({ "type": "array", "items": "x" }), "/items", "type"),
            (json!({ "type": "string", "spec": "wsdl" }), "/spec", "spec"),
            (
                json!({ "type": "object", "spec": "embedded-url" }),
                "/spec",
                "spec",
            ),
            (
                json!({ "type": "string", "specAuthentication": {} }),
                "/specAuthentication",
                "specAuthentication",
            ),
            (
                json!({ "type": "string", "spec": "embedded-url", "specAuthentication": {
                    "clientId": "c", "authorizationUrl": "x", "tokenUrl": "https://example.com/t" } }),
                "/specAuthentication/authorizationUrl",
                "format",
            ),
            (
                json!({ "type": "string", "enumColors": { "a/b": "mauve" } }),
                "/enumColors/a~1b",
                "colour",
            ),
            (
                json!({ "type": "string", "enumColors": ["red"] }),
                "/enumColors",
                "type",
            ),
            (
                json!({ "type": "array", "items": { "enumColors": { "a": 1 } } }),
                "/items/enumColors/a",
                "colour",
            ),
            (
                json!({ "type": "string", "enum": ["a", 1] }),
                "/enum/1",
                "type",
            ),
            (
                json!({ "type": "string", "enum": ["a"], "default": "b" }),
                "/default",
                "enum",
            ),
            (
                json!({ "type": "string", "format": "url", "default": "x" }),
                "/default",
                "format",
            ),
        ] {
            assert_eq!(fault(definition), at(path, rule));
        }
    }
}
