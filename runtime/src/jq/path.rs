//! Plain paths such as `.inputs.name`: so common and so harmless that they need no worker.

use serde_json::Value;

use super::JqError;

/// Evaluates a plain path as jq would. `None` for every other filter.
pub(super) fn eval(filter: &str, input: &Value) -> Option<Result<Value, JqError>> {
    let names = parse(filter.trim())?;
    let mut value = input;
    for name in names {
        value = match value {
            Value::Object(object) => object.get(name).unwrap_or(&Value::Null),
            Value::Null => &Value::Null,
            other => {
                return Some(Err(JqError::Failed(format!(
                    "cannot read `{name}` of {}",
                    kind(other)
                ))));
            }
        };
    }
    Some(Ok(value.clone()))
}

/// Whether a filter is one of those.
pub(super) fn is_plain(filter: &str) -> bool {
    parse(filter.trim()).is_some()
}

fn parse(filter: &str) -> Option<Vec<&str>> {
    let rest = filter.strip_prefix('.')?;
    if rest.is_empty() {
        return Some(Vec::new());
    }
    let names: Vec<&str> = rest.split('.').collect();
    let is_name = |name: &&str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    names.iter().all(is_name).then_some(names)
}

fn kind(value: &Value) -> &'static str {
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

    #[test]
    fn plain_paths_are_read_and_nothing_else_is() {
        let input = json!({ "inputs": { "name": "Ada", "list": [1] } });
        assert_eq!(eval(".", &input), Some(Ok(input.clone())));
        assert_eq!(eval(" .inputs.name ", &input), Some(Ok(json!("Ada"))));
        assert_eq!(eval(".inputs.nobody.there", &input), Some(Ok(Value::Null)));
        assert!(matches!(
            eval(".inputs.list.name", &input),
            Some(Err(JqError::Failed(_)))
        ));
        for other in [
            "", "..", ".a[0]", ".a | .b", ".a-b", ".\"a\"", ".inputs.", ".0", ".a?", "inputs",
            ". a",
        ] {
            assert_eq!(eval(other, &input), None, "{other}");
        }
    }
}
