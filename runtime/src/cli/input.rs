//! `--input name=value`: text from the command line, read as the type that the action's form asks for.

use serde_json::{Map, Value};

use super::exit::Failure;

/// Reads all inputs; a list may be given as JSON, or one element at a time by repeating its name.
pub(super) fn parse_inputs(
    inputs: &[String],
    form: Option<&Map<String, Value>>,
) -> Result<Map<String, Value>, Failure> {
    let mut parsed = Map::new();
    for input in inputs {
        let (name, text) = input
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| {
                Failure::usage(format!("`--input {input}` is not of the form name=value"))
            })?;
        let schema = form.and_then(|form| form.get(name));
        let value = parse_value(name, text, schema)?;
        match parsed.get_mut(name) {
            None => {
                parsed.insert(name.to_owned(), value);
            }
            Some(Value::Array(before)) if type_of(schema) == Some("array") => match value {
                Value::Array(more) => before.extend(more),
                one => before.push(one),
            },
            Some(_) => {
                return Err(Failure::usage(format!(
                    "input `{name}` is given twice, and it is not a list"
                )));
            }
        }
    }
    Ok(parsed)
}

fn parse_value(name: &str, text: &str, schema: Option<&Value>) -> Result<Value, Failure> {
    let wrong = |wanted: &str| {
        Failure::usage(format!(
            "input `{name}` must be {wanted}, and `{text}` is not"
        ))
    };
    let json = |wanted: &str| serde_json::from_str::<Value>(text).map_err(|_| wrong(wanted));
    match type_of(schema) {
        Some("boolean") => text
            .parse()
            .map(Value::Bool)
            .map_err(|_| wrong("`true` or `false`")),
        Some("integer") => json("a whole number").and_then(|value| {
            if value.is_i64() || value.is_u64() {
                Ok(value)
            } else {
                Err(wrong("a whole number"))
            }
        }),
        Some("number") => json("a number").and_then(|value| {
            if value.is_number() {
                Ok(value)
            } else {
                Err(wrong("a number"))
            }
        }),
        Some("object") => json("a JSON object").and_then(|value| {
            if value.is_object() {
                Ok(value)
            } else {
                Err(wrong("a JSON object"))
            }
        }),
        Some("array") if text.starts_with('[') => json("a JSON list"),
        Some("array") => {
            let element = schema.and_then(|schema| schema.get("items"));
            Ok(Value::Array(vec![parse_value(name, text, element)?]))
        }
        // Text is taken as it stands, and so is what the form does not know: the server says so then.
        _ => Ok(Value::String(text.to_owned())),
    }
}

/// The type that a schema asks for; the first one beside `null` where it allows several.
fn type_of(schema: Option<&Value>) -> Option<&str> {
    match schema?.get("type")? {
        Value::String(one) => Some(one),
        Value::Array(several) => several
            .iter()
            .filter_map(Value::as_str)
            .find(|one| *one != "null"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(inputs: &[&str]) -> Result<Value, Failure> {
        let form = json!({
            "name": {"type": "string"}, "count": {"type": "integer"}, "share": {"type": "number"},
            "public": {"type": "boolean"}, "tags": {"type": "array", "items": {"type": "string"}},
            "ports": {"type": "array", "items": {"type": "integer"}}, "extra": {"type": "object"},
            "owner": {"type": ["null", "integer"]},
        });
        let inputs: Vec<String> = inputs.iter().map(|input| (*input).to_owned()).collect();
        parse_inputs(&inputs, form.as_object()).map(Value::Object)
    }

    #[test]
    fn values_are_read_as_the_form_asks() {
        let parsed = parse(&[
            "name=7",
            "count=7",
            "share=0.5",
            "public=true",
            "extra={\"a\":1}",
            "owner=3",
            "else=1",
        ]);
        let wanted = json!({
            "name": "7", "count": 7, "share": 0.5, "public": true, "extra": {"a": 1}, "owner": 3, "else": "1",
        });
        assert_eq!(parsed.unwrap(), wanted);
    }

    #[test]
    fn a_list_is_json_or_repeated() {
        assert_eq!(
            parse(&["tags=a", "tags=b"]).unwrap(),
            json!({"tags": ["a", "b"]})
        );
        assert_eq!(
            parse(&["ports=[1,2]", "ports=3"]).unwrap(),
            json!({"ports": [1, 2, 3]})
        );
    }

    #[test]
    fn a_value_keeps_its_equal_signs_and_may_be_empty() {
        assert_eq!(parse(&["name=a=b"]).unwrap(), json!({"name": "a=b"}));
        assert_eq!(parse(&["name="]).unwrap(), json!({"name": ""}));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_input_s_name() {
        for bad in [
            "count=x",
            "count=1.5",
            "share=a",
            "public=yes",
            "extra=[]",
            "ports=a",
        ] {
            let refused = parse(&[bad]).unwrap_err();
            assert!(
                refused.message.contains(bad.split('=').next().unwrap()),
                "{bad}"
            );
        }
        assert!(parse(&["name"]).is_err());
        assert!(parse(&["=x"]).is_err());
        assert!(parse(&["name=a", "name=b"]).is_err());
    }
}
