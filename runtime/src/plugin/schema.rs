//! The schemas that a package embeds for its actions.

use jsonschema::Validator;
use serde_json::Value;

use crate::model::Violation;

/// Broken rules that one answer lists; a hostile document could break a million.
const MAX_VIOLATIONS: usize = 100;

/// Compiles a schema. References inside the schema itself are followed, nothing outside of it can be reached.
pub(crate) fn compile(schema: &Value) -> Result<Validator, String> {
    if !schema.is_object() {
        return Err("it is not an object".to_owned());
    }
    jsonschema::options()
        // Linear in the text: a plugin's pattern must not be able to hold a thread.
        .with_pattern_options(jsonschema::PatternOptions::regex())
        .build(schema)
        .map_err(|e| e.to_string().chars().take(300).collect())
}

/// Every broken rule, up to a bound.
pub(crate) fn violations(validator: &Validator, value: &Value) -> Vec<Violation> {
    // What keeps the rules, as nearly all does, needs no list.
    if validator.is_valid(value) {
        return Vec::new();
    }
    validator
        .iter_errors(value)
        .take(MAX_VIOLATIONS)
        .map(|error| {
            let path = error.instance_path().to_string();
            // The message may quote the whole value; the client has it.
            let message: String = error.masked().to_string().chars().take(500).collect();
            Violation::new(path, error.kind().keyword(), message)
        })
        .collect()
}
