//! Strings that hold `{{ jq }}`: finding the expressions, and putting their values in place.

use serde_json::{Map, Value};

use super::rule::child;
use crate::catalog::MAX_DEPTH;
use crate::model::Violation;

/// Expressions of one action's mapping, so that a run's rendering stays one small batch.
const MAX_EXPRESSIONS: usize = 500;

/// Length of one expression in bytes.
const MAX_EXPRESSION_BYTES: usize = 4 * 1024;

/// Where a secret can stand, since it is nowhere here.
const SECRETS_STAND: &str = "`.secrets` stands in headers that the host sends, and nowhere in this action: let the manifest of \
     the plugin attach the secret (`secret = { name = …, header = … }` under `[[capabilities.http]]`)";

/// A piece of a templated string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// Text as it is.
    Text(&'a str),
    /// What stands between the braces, trimmed.
    Expression(&'a str),
}

/// An opening `{{` without its closing `}}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unclosed;

/// Splits a string at its templates.
pub(super) fn split(text: &str) -> Result<Vec<Part<'_>>, Unclosed> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (expression, behind) = close(after).ok_or(Unclosed)?;
        if !before.is_empty() {
            parts.push(Part::Text(before));
        }
        parts.push(Part::Expression(expression.trim()));
        rest = behind;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    Ok(parts)
}

/// A string with other expressions in its templates. One that has no end stays as it is.
pub(super) fn map_expressions<E>(
    text: &str,
    mut map: impl FnMut(&str) -> Result<String, E>,
) -> Result<String, E> {
    let mut mapped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((expression, behind)) = close(after) else {
            break;
        };
        let trimmed = expression.trim();
        let (left, right) = expression.split_once(trimmed).unwrap_or_default();
        for piece in [before, "{{", left, &map(trimmed)?, right, "}}"] {
            mapped.push_str(piece);
        }
        rest = behind;
    }
    mapped.push_str(rest);
    Ok(mapped)
}

/// Calls back for every templated string below a value, with its JSON pointer, until the callback refuses.
pub(super) fn for_each_string<E>(
    value: &Value,
    path: &str,
    visit: &mut impl FnMut(&str, &str) -> Result<(), E>,
) -> Result<(), E> {
    match value {
        Value::String(text) => visit(path, text),
        Value::Array(list) => list.iter().enumerate().try_for_each(|(index, value)| {
            for_each_string(value, &format!("{path}/{index}"), visit)
        }),
        Value::Object(object) => object
            .iter()
            .try_for_each(|(key, value)| for_each_string(value, &child(path, key), visit)),
        _ => Ok(()),
    }
}

/// What is wrong with a mapping's templates, as far as it shows without running them.
pub(super) fn check(inputs: &Map<String, Value>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut count = 0;
    for (key, value) in inputs {
        let path = child("", key);
        check_shape(value, &path, 1, &mut violations);
        if !violations.is_empty() {
            return violations;
        }
    }
    for (key, value) in inputs {
        if key.contains("{{") {
            let message = "a templated key is not available in this version; write the key";
            violations.push(Violation::new(child("", key), "unsupported", message));
        }
        let visited: Result<(), Violation> =
            for_each_string(value, &child("", key), &mut |path, text| {
                let parts = split(text).map_err(|Unclosed| {
                    Violation::new(path, "template", "a `{{` has no `}}` that closes it")
                })?;
                for part in parts {
                    let Part::Expression(expression) = part else {
                        continue;
                    };
                    count += 1;
                    check_expression(path, expression)?;
                }
                Ok(())
            });
        violations.extend(visited.err());
    }
    if count > MAX_EXPRESSIONS {
        let message = format!("a mapping may hold {MAX_EXPRESSIONS} templates; this holds {count}");
        violations.push(Violation::new("", "template", message));
    }
    violations
}

/// Where a document has `.secrets` in a template outside the mapping of inputs, where nothing is rendered: in a name, a
/// title, a default, or a key. It would stand there as it is, for everybody to read as if it meant something.
pub(super) fn check_elsewhere(document: &Value, mapping: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    find_secrets(document, "", mapping, 1, &mut violations);
    violations
}

fn find_secrets(
    value: &Value,
    path: &str,
    mapping: &str,
    depth: usize,
    violations: &mut Vec<Violation>,
) {
    if path == mapping || depth > MAX_DEPTH {
        return;
    }
    match value {
        Value::String(text) => violations.extend(asks_for_secret(path, text)),
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                let path = format!("{path}/{index}");
                find_secrets(value, &path, mapping, depth + 1, violations);
            }
        }
        Value::Object(object) => {
            for (key, value) in object {
                let path = child(path, key);
                violations.extend(asks_for_secret(&path, key));
                find_secrets(value, &path, mapping, depth + 1, violations);
            }
        }
        _ => {}
    }
}

fn asks_for_secret(path: &str, text: &str) -> Option<Violation> {
    let parts = split(text).unwrap_or_default();
    let asks = |part: &Part<'_>| matches!(part, Part::Expression(text) if reads_secrets(text));
    let found = parts.iter().any(asks);
    found.then(|| Violation::new(path, "secret", SECRETS_STAND))
}

fn check_shape(value: &Value, path: &str, depth: usize, violations: &mut Vec<Violation>) {
    if depth > MAX_DEPTH {
        violations.push(Violation::new(
            path,
            "depth",
            format!("a mapping may nest {MAX_DEPTH} levels deep"),
        ));
        return;
    }
    match value {
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                check_shape(value, &format!("{path}/{index}"), depth + 1, violations);
            }
        }
        Value::Object(object) => {
            for (key, value) in object {
                if key.contains("{{") {
                    let message = "a templated key is not available in this version; write the key";
                    violations.push(Violation::new(child(path, key), "unsupported", message));
                }
                check_shape(value, &child(path, key), depth + 1, violations);
            }
        }
        _ => {}
    }
}

fn check_expression(path: &str, expression: &str) -> Result<(), Violation> {
    if expression.is_empty() {
        return Err(Violation::new(
            path,
            "template",
            "an empty template; put a jq expression between the braces",
        ));
    }
    if expression.len() > MAX_EXPRESSION_BYTES {
        let message = format!(
            "a template may have {MAX_EXPRESSION_BYTES} bytes; this has {}",
            expression.len()
        );
        return Err(Violation::new(path, "template", message));
    }
    if reads_secrets(expression) {
        return Err(Violation::new(path, "secret", SECRETS_STAND));
    }
    Ok(())
}

/// Whether an expression begins with the field `secrets` of the whole context, or pipes it there.
fn reads_secrets(expression: &str) -> bool {
    const FIELDS: [&str; 3] = [".secrets", ".[\"secrets\"]", ".\"secrets\""];
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    FIELDS.iter().any(|field| {
        expression.match_indices(field).any(|(at, _)| {
            let before = expression.get(..at).unwrap_or_default().trim_end();
            let after = expression.get(at + field.len()..).unwrap_or_default();
            // `.inputs.secrets` is somebody's input; `.secrets_note` is another name.
            !before.ends_with(|c: char| word(c) || c == ']' || c == '"' || c == '?')
                && !after.starts_with(word)
        })
    })
}

/// Finds the `}}` that ends an expression: not one in a string, not one that closes the expression's own objects.
fn close(text: &str) -> Option<(&str, &str)> {
    enum Inside {
        /// Code, with the brackets of its own that are open.
        Code { braces: usize, parentheses: usize },
        /// A string.
        Text,
    }
    let mut inside = vec![Inside::Code {
        braces: 0,
        parentheses: 0,
    }];
    let mut characters = text.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        let outermost = inside.len() == 1;
        match (inside.last_mut()?, c) {
            (Inside::Code { braces: 0, .. }, '}')
                if outermost && characters.peek().is_some_and(|(_, next)| *next == '}') =>
            {
                return Some((text.get(..at)?, text.get(at + 2..)?));
            }
            (Inside::Code { braces, .. }, '{') => *braces += 1,
            (Inside::Code { braces, .. }, '}') => *braces = braces.saturating_sub(1),
            (Inside::Code { parentheses, .. }, '(') => *parentheses += 1,
            (Inside::Code { parentheses, .. }, ')') => {
                *parentheses = parentheses.saturating_sub(1);
                if *parentheses == 0 && !outermost {
                    inside.pop();
                }
            }
            (Inside::Code { .. }, '"') => inside.push(Inside::Text),
            (Inside::Text, '"') => {
                inside.pop();
            }
            (Inside::Text, '\\') => {
                if let Some((_, '(')) = characters.next() {
                    inside.push(Inside::Code {
                        braces: 0,
                        parentheses: 1,
                    });
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_and_expressions_are_told_apart() {
        let expression = Part::Expression;
        assert_eq!(split("plain").unwrap(), [Part::Text("plain")]);
        assert_eq!(split("").unwrap(), []);
        assert_eq!(split("{{ .a }}").unwrap(), [expression(".a")]);
        assert_eq!(
            split("x {{.a}}-{{ .b }}").unwrap(),
            [
                Part::Text("x "),
                expression(".a"),
                Part::Text("-"),
                expression(".b")
            ]
        );
    }

    #[test]
    fn only_expressions_are_mapped_and_all_else_stays_as_it_is() {
        for (text, mapped) in [
            ("plain", "plain"),
            ("{{.a}}", "{{<.a>}}"),
            ("x {{ .a }}-{{  .b}} }}", "x {{ <.a> }}-{{  <.b>}} }}"),
            ("{{ .a }} {{ .b", "{{ <.a> }} {{ .b"),
        ] {
            let map = |expression: &str| Ok::<_, ()>(format!("<{expression}>"));
            assert_eq!(map_expressions(text, map).as_deref(), Ok(mapped));
        }
    }

    #[test]
    fn braces_within_an_expression_do_not_end_it() {
        assert_eq!(
            split("{{ {a: {b: 1}} }}").unwrap(),
            [Part::Expression("{a: {b: 1}}")]
        );
        assert_eq!(split("{{ {a: 1}}}").unwrap(), [Part::Expression("{a: 1}")]);
        assert_eq!(
            split(r#"{{ "}}" }}"#).unwrap(),
            [Part::Expression(r#""}}""#)]
        );
        assert_eq!(
            split(r#"{{ "\"}}\(.a | "}}")" }}!"#).unwrap(),
            [Part::Expression(r#""\"}}\(.a | "}}")""#), Part::Text("!")]
        );
        assert_eq!(split("{{ .a"), Err(Unclosed));
        assert_eq!(split("{{ \"}}"), Err(Unclosed));
    }

    #[test]
    fn secrets_are_refused_and_inputs_of_that_name_are_not() {
        let refused = |text: &str| {
            let mapping = json!({ "token": text });
            !check(mapping.as_object().unwrap()).is_empty()
        };
        assert!(refused("{{ .secrets.TOKEN }}"));
        assert!(refused("{{ .secrets[\"A-B\"] }}"));
        assert!(refused("{{ .inputs.name + .secrets.TOKEN }}"));
        assert!(refused("{{ .[\"secrets\"].TOKEN }}"));
        assert!(!refused("{{ .inputs.secrets }}"));
        assert!(!refused("{{ .inputs[0].secrets }}"));
        assert!(!refused("{{ .inputs.name }}"));
    }

    #[test]
    fn a_secret_elsewhere_in_a_document_is_told_with_its_place() {
        let document = json!({
            "title": "with {{ .secrets.A }}",
            "form": { "{{ .secrets.B }}": { "default": ["x", "{{.secrets.C}}"] } },
            "method": { "inputs": { "token": "{{ .secrets.D }}" } },
            "description": "write {{ .inputs.secrets }} or .secrets.E",
        });
        let found = check_elsewhere(&document, "/method/inputs");
        let places: Vec<&str> = found.iter().map(|found| found.path.as_str()).collect();
        assert_eq!(
            places,
            [
                "/title",
                "/form/{{ .secrets.B }}",
                "/form/{{ .secrets.B }}/default/1"
            ]
        );
        assert!(found[0].message.contains("capabilities.http"));
    }

    #[test]
    fn a_violation_names_the_place_of_the_template() {
        let mapping = json!({ "a": { "b/c": ["ok", "{{ .x"] } });
        let violations = check(mapping.as_object().unwrap());
        assert_eq!(violations.len(), 1);
        assert_eq!(violations[0].path, "/a/b~1c/1");
    }
}
