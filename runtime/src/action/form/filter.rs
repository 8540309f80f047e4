//! Where a form may say `{"jqQuery": "…"}` instead of a value.

use serde_json::{Map, Value};

use crate::action::permission::query;
use crate::action::rule::child;
use crate::model::{Required, UserInputs};

/// Keys of an input whose value may be worked out.
pub(in crate::action) const COMPUTED: [&str; 13] = [
    "visible",
    "disabled",
    "default",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minItems",
    "maxItems",
];

/// Keys that are about the form and not about the value.
const NO_SCHEMA: [&str; 7] = [
    "visible",
    "disabled",
    "dataset",
    "sort",
    "dependsOn",
    "enumColors",
    "icon",
];

/// Bytes of one filter.
pub(in crate::action) const MAX_FILTER_BYTES: usize = 8 * 1024;

/// Where the inputs stand in an action.
pub(super) const INPUTS: &str = "/trigger/userInputs/properties";

/// The filter of `{"jqQuery": "…"}`.
pub(in crate::action) fn is_computed(value: &Value) -> Option<&str> {
    value.as_object()?.get("jqQuery")?.as_str()
}

/// Place and text of every filter of a form.
pub(in crate::action) fn filters(form: &UserInputs) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (name, input) in &form.properties {
        let path = child(INPUTS, name);
        for (key, filter) in of_input(input) {
            found.push((format!("{path}/{key}"), filter.to_owned()));
        }
        for (holder, path) in datasets(input, &path) {
            found.extend(query::filters(holder, &path));
        }
    }
    if let Required::Computed { jq_query } = &form.required {
        found.push(("/trigger/userInputs/required".to_owned(), jq_query.clone()));
    }
    let pages = visible_of(&form.extra).into_iter();
    found
        .extend(pages.filter_map(|(path, visible)| Some((path, is_computed(visible)?.to_owned()))));
    found
}

/// Bytes of the longest filter of a form.
pub(in crate::action) fn longest_filter(form: &UserInputs) -> usize {
    let lengths = filters(form).into_iter().map(|(_, filter)| filter.len());
    lengths.max().unwrap_or(0)
}

/// Key and filter of everything that is worked out of one input. `items/enum` is one of the keys.
pub(super) fn of_input(input: &Value) -> Vec<(&'static str, &str)> {
    let own = COMPUTED
        .into_iter()
        .filter_map(|key| Some((key, is_computed(input.get(key)?)?)));
    let items = input.get("items").and_then(|items| items.get("enum"));
    own.chain(
        items
            .and_then(is_computed)
            .map(|filter| ("items/enum", filter)),
    )
    .collect()
}

/// The data sets of an input with their places: its own and that of its elements.
pub(super) fn datasets<'a>(input: &'a Value, path: &str) -> Vec<(&'a Value, String)> {
    let at = |holder: Option<&'a Value>, path: String| {
        let dataset = holder?
            .get("dataset")
            .filter(|dataset| !dataset.is_null())?;
        Some((dataset, child(&path, "dataset")))
    };
    [
        at(Some(input), path.to_owned()),
        at(input.get("items"), child(path, "items")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Every `visible` of a step or a block of text, with its place.
pub(super) fn visible_of(extra: &Map<String, Value>) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    for (index, step) in extra
        .get("steps")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .enumerate()
    {
        if let Some(visible) = step.get("visible") {
            found.push((
                format!("/trigger/userInputs/steps/{index}/visible"),
                visible,
            ));
        }
    }
    for (name, title) in extra
        .get("titles")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        if let Some(visible) = title.get("visible") {
            let path = child("/trigger/userInputs/titles", name);
            found.push((format!("{path}/visible"), visible));
        }
    }
    found
}

/// An input as a JSON Schema: without what is worked out, and without what is only for whoever draws it.
pub(in crate::action) fn without_computed(input: &Value) -> Value {
    let mut schema = input.clone();
    let strip = |schema: &mut Map<String, Value>| {
        for key in NO_SCHEMA {
            schema.remove(key);
        }
        for key in COMPUTED {
            if schema.get(key).and_then(is_computed).is_some() {
                schema.remove(key);
            }
        }
    };
    if let Some(schema) = schema.as_object_mut() {
        strip(schema);
        if let Some(items) = schema.get_mut("items").and_then(Value::as_object_mut) {
            strip(items);
        }
    }
    schema
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_place_of_a_filter_is_found() {
        let form: UserInputs = serde_json::from_value(json!({
            "properties": {
                "a": { "type": "string", "visible": { "jqQuery": "1" }, "enum": { "jqQuery": "2" } },
                "b": { "type": "array", "items": {
                    "type": "string", "format": "entity", "enum": { "jqQuery": "3" },
                    "dataset": { "combinator": "and", "rules": [{ "property": "x", "operator": "=", "value": { "jqQuery": "4" } }] },
                } },
            },
            "required": { "jqQuery": "5" },
            "steps": [{ "title": "s", "order": ["a"], "visible": { "jqQuery": "6" } }, { "title": "t", "visible": true }],
            "titles": { "t": { "title": "T", "visible": { "jqQuery": "7" } } },
        }))
        .unwrap();
        let texts: Vec<String> = filters(&form).into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["1", "2", "3", "4", "5", "6", "7"]);
        assert_eq!(
            without_computed(&form.properties["a"]),
            json!({ "type": "string" })
        );
        assert_eq!(
            without_computed(&form.properties["b"])["items"],
            json!({ "type": "string", "format": "entity" })
        );
    }
}
