//! Putting the values of templates in the place of their text.

use serde_json::{Map, Value};

use super::template::{Part, Unclosed, for_each_string, split};

/// JSON of a rendered input. The plugin's own budget is smaller still.
const MAX_RENDERED_BYTES: usize = 4 * 1024 * 1024;

/// Why a mapping could not be rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("template `{expression}` at `/invocationMethod/inputs{path}`: {reason}")]
pub(super) struct Unrendered {
    /// JSON pointer into the mapping.
    pub(super) path: String,
    /// The jq expression.
    pub(super) expression: String,
    /// What is wrong with it.
    pub(super) reason: String,
    /// Whether the host failed and not the expression.
    pub(super) is_host: bool,
}

/// Pointer and text of every expression, in the order of the document.
pub(super) fn expressions(mapping: &Value) -> Result<Vec<(String, String)>, Unrendered> {
    let mut found = Vec::new();
    for_each_string(mapping, "", &mut |path, text| {
        for part in split(text).map_err(|Unclosed| unclosed(path, text))? {
            if let Part::Expression(expression) = part {
                found.push((path.to_owned(), expression.to_owned()));
            }
        }
        Ok(())
    })?;
    Ok(found)
}

/// The mapping with the values of its expressions, which stand in the order of [`expressions`].
///
/// A string that is nothing but one template becomes its value, of whatever type; within other text a string stands
/// for itself and anything else for its JSON.
pub(super) fn fill_in(mapping: &Value, values: Vec<Value>) -> Result<Value, Unrendered> {
    let mut filling = Filling {
        values: values.into_iter(),
        bytes: 0,
    };
    filling.fill(mapping, "")
}

struct Filling {
    values: std::vec::IntoIter<Value>,
    bytes: usize,
}

impl Filling {
    fn fill(&mut self, value: &Value, path: &str) -> Result<Value, Unrendered> {
        match value {
            Value::String(text) => self.fill_text(text, path),
            Value::Array(list) => {
                let filled = list
                    .iter()
                    .enumerate()
                    .map(|(index, value)| self.fill(value, &format!("{path}/{index}")))
                    .collect::<Result<_, _>>()?;
                Ok(Value::Array(filled))
            }
            Value::Object(object) => {
                let mut filled = Map::new();
                for (key, value) in object {
                    filled.insert(
                        key.clone(),
                        self.fill(value, &super::rule::child(path, key))?,
                    );
                }
                Ok(Value::Object(filled))
            }
            other => Ok(other.clone()),
        }
    }

    fn fill_text(&mut self, text: &str, path: &str) -> Result<Value, Unrendered> {
        let parts = split(text).map_err(|Unclosed| unclosed(path, text))?;
        if let [Part::Expression(expression)] = parts.as_slice() {
            let value = self.values.next().unwrap_or(Value::Null);
            self.count(value.to_string().len(), path, expression)?;
            return Ok(value);
        }
        let mut filled = String::new();
        for part in parts {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Expression(expression) => {
                    let text = match self.values.next().unwrap_or(Value::Null) {
                        Value::String(text) => text,
                        other => other.to_string(),
                    };
                    self.count(text.len(), path, expression)?;
                    filled.push_str(&text);
                }
            }
        }
        Ok(Value::String(filled))
    }

    fn count(&mut self, bytes: usize, path: &str, expression: &str) -> Result<(), Unrendered> {
        self.bytes += bytes;
        if self.bytes <= MAX_RENDERED_BYTES {
            return Ok(());
        }
        Err(Unrendered {
            path: path.to_owned(),
            expression: expression.to_owned(),
            reason: format!("the rendered input has more than {MAX_RENDERED_BYTES} bytes"),
            is_host: false,
        })
    }
}

fn unclosed(path: &str, text: &str) -> Unrendered {
    Unrendered {
        path: path.to_owned(),
        expression: text.chars().take(100).collect(),
        reason: "a `{{` has no `}}` that closes it".to_owned(),
        is_host: false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_lone_template_keeps_its_type_and_one_within_text_becomes_text() {
        let mapping = json!({
            "lone": "{{ .a }}",
            "text": "x {{ .b }} y {{ .c }}{{ .d }}",
            "deep": [1, { "k": "{{ .e }}" }],
            "plain": "as it is",
        });
        let found = expressions(&mapping).unwrap();
        let filters: Vec<&str> = found.iter().map(|(_, filter)| filter.as_str()).collect();
        assert_eq!(filters, [".a", ".b", ".c", ".d", ".e"]);
        assert_eq!(found[4].0, "/deep/1/k");
        let values = vec![
            json!([1, 2]),
            json!("B"),
            json!({ "n": 1 }),
            Value::Null,
            json!(true),
        ];
        assert_eq!(
            fill_in(&mapping, values).unwrap(),
            json!({
                "lone": [1, 2],
                "text": "x B y {\"n\":1}null",
                "deep": [1, { "k": true }],
                "plain": "as it is",
            })
        );
    }

    #[test]
    fn what_templates_make_is_bounded() {
        let mapping = json!({ "a": "{{ .a }}", "b": ["{{ .a }}!"] });
        let large = || json!("x".repeat(MAX_RENDERED_BYTES / 2));
        let error = fill_in(&mapping, vec![large(), large()]).unwrap_err();
        assert_eq!(error.path, "/b/0");
    }
}
