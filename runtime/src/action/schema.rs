//! Forms as JSON Schema, with the formats that an input may have.

use serde_json::{Map, Value, json};

use crate::catalog::Schema;
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

/// Compiles the form's inputs as one schema of an object.
///
/// Which inputs must be given is left out: that is told by the input's own place, not by the form's.
///
/// # Errors
/// What the schema breaks, with pointers into the form.
pub(super) fn compile<'a>(
    properties: impl IntoIterator<Item = (&'a String, &'a Value)>,
    definitions: Option<&Value>,
) -> Result<Schema, Vec<Violation>> {
    let properties: Map<String, Value> = properties
        .into_iter()
        .map(|(name, input)| (name.clone(), input.clone()))
        .collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    if let (Some(definitions), Some(schema)) = (definitions, schema.as_object_mut()) {
        schema.insert("$defs".to_owned(), definitions.clone());
    }
    Schema::compile(&schema)
}
