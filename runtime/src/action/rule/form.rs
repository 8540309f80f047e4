//! What the form of an action must be like.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::{Found, child, is_empty, kind};
use crate::action::form::{COMPUTED, MAX_FILTER_BYTES, is_computed, levels, without_computed};
use crate::action::permission::query;
use crate::action::schema;
use crate::catalog::MAX_DEPTH;
use crate::model::BlueprintId;

/// Inputs of one form; more than anybody fills in.
const MAX_INPUTS: usize = 200;

/// Steps of one form.
const MAX_STEPS: usize = 50;

/// Data sets of one form.
const MAX_DATASETS: usize = 20;

/// Types that an input may have.
const TYPES: [&str; 5] = ["string", "number", "boolean", "object", "array"];

pub(super) fn check_inputs(found: &mut Found, inputs: &Value) {
    let path = "/trigger/userInputs";
    let Some(inputs) = found.object(path, inputs) else {
        return;
    };
    let none = Map::new();
    let properties = match inputs.get("properties") {
        None => &none,
        Some(properties) => found
            .object("/trigger/userInputs/properties", properties)
            .unwrap_or(&none),
    };
    if properties.len() > MAX_INPUTS {
        let message = format!(
            "a form may have {MAX_INPUTS} inputs; this has {}",
            properties.len()
        );
        found.add("/trigger/userInputs/properties", "maxProperties", message);
        return;
    }
    let before = found.0.len();
    for (name, input) in properties {
        check_input(
            found,
            &child("/trigger/userInputs/properties", name),
            name,
            input,
        );
    }
    if found.0.len() == before {
        // Only a form whose inputs are all right one by one is worth compiling as a whole.
        let schemas: IndexMap<String, Value> = properties
            .iter()
            .map(|(name, input)| (name.clone(), without_computed(input)))
            .collect();
        for violation in schema::compile(&schemas, inputs.get("$defs"))
            .err()
            .unwrap_or_default()
        {
            let path = format!("/trigger/userInputs{}", violation.path);
            found.add(&path, &violation.rule, violation.message);
        }
    }
    check_together(found, inputs, properties);
    let known = |name: &str| properties.contains_key(name);
    if let Some(required) = inputs.get("required") {
        if required.is_object() {
            check_computed(found, "/trigger/userInputs/required", required);
        } else {
            check_names(found, "/trigger/userInputs/required", required, &known);
        }
    }
    if let Some(order) = inputs.get("order") {
        check_names(found, "/trigger/userInputs/order", order, &known);
    }
    if let Some(steps) = inputs.get("steps").filter(|steps| !steps.is_null()) {
        if inputs.contains_key("order") {
            found.add(
                "/trigger/userInputs/steps",
                "unsupported",
                "a form has `order` or `steps`, not both",
            );
        }
        match steps.as_array() {
            Some(steps) => {
                if steps.len() > MAX_STEPS {
                    let message = format!("a form may have {MAX_STEPS} steps");
                    found.add("/trigger/userInputs/steps", "maxItems", message);
                }
                for (index, step) in steps.iter().take(MAX_STEPS).enumerate() {
                    check_step(
                        found,
                        &format!("/trigger/userInputs/steps/{index}"),
                        step,
                        &known,
                    );
                }
            }
            None => found.add(
                "/trigger/userInputs/steps",
                "type",
                "`steps` must be a list",
            ),
        }
    }
}

/// What is said beyond each input alone: on which it depends, and the blocks of text between them.
fn check_together(found: &mut Found, inputs: &Map<String, Value>, properties: &Map<String, Value>) {
    let known = |name: &str| properties.contains_key(name);
    let mut datasets = 0;
    for (name, input) in properties {
        let path = child("/trigger/userInputs/properties", name);
        let items = input.get("items");
        datasets += [Some(input), items]
            .into_iter()
            .flatten()
            .filter(|holder| holder.get("dataset").is_some())
            .count();
        if let Some(on) = input.get("dependsOn").filter(|on| !on.is_null()) {
            check_names(found, &child(&path, "dependsOn"), on, &known);
        }
    }
    if datasets > MAX_DATASETS {
        let message = format!("a form may have {MAX_DATASETS} data sets: each is a search");
        found.add("/trigger/userInputs/properties", "maxItems", message);
    }
    let ordered: IndexMap<String, Value> = properties.clone().into_iter().collect();
    if let Err(unordered) = levels(&ordered) {
        let path = child("/trigger/userInputs/properties", &unordered.input);
        found.add(&child(&path, "dependsOn"), "dependsOn", unordered.message);
    }
    let titles = inputs.get("titles").filter(|titles| !titles.is_null());
    let path = "/trigger/userInputs/titles";
    let Some(titles) = titles.and_then(|titles| found.object(path, titles)) else {
        return;
    };
    if titles.len() > MAX_INPUTS {
        let message = format!("a form may have {MAX_INPUTS} blocks of text");
        found.add(path, "maxProperties", message);
        return;
    }
    for (name, title) in titles {
        let path = child(path, name);
        let Some(object) = found.object(&path, title) else {
            continue;
        };
        check_length(found, &path, object, "title", 140);
        check_length(found, &path, object, "description", 1_000);
        check_switch(found, &child(&path, "visible"), object.get("visible"));
    }
}

fn check_length(
    found: &mut Found,
    path: &str,
    object: &Map<String, Value>,
    key: &str,
    longest: usize,
) {
    if let Some(text) = found.text(path, object, key, false)
        && text.chars().count() > longest
    {
        let message = format!("`{key}` may have {longest} characters");
        found.add(&child(path, key), "maxLength", message);
    }
}

/// What is `true`, `false` or worked out.
fn check_switch(found: &mut Found, path: &str, value: Option<&Value>) {
    match value {
        None | Some(Value::Null | Value::Bool(_)) => {}
        Some(value @ Value::Object(_)) => check_computed(found, path, value),
        Some(other) => found.add(
            path,
            "type",
            format!(
                "this is true, false or {{\"jqQuery\": …}}, not {}",
                kind(other)
            ),
        ),
    }
}

/// `{"jqQuery": "…"}` and nothing else.
fn check_computed(found: &mut Found, path: &str, value: &Value) {
    let filter = value
        .as_object()
        .filter(|object| object.len() == 1)
        .and_then(|_| is_computed(value));
    match filter {
        Some(filter) if (1..=MAX_FILTER_BYTES).contains(&filter.len()) => {}
        _ => {
            let message = format!(
                "what is worked out is written {{\"jqQuery\": \"…\"}}, with a jq filter of 1 to {MAX_FILTER_BYTES} bytes and no other key"
            );
            found.add(path, "jqQuery", message);
        }
    }
}

fn check_step(found: &mut Found, path: &str, step: &Value, known: &dyn Fn(&str) -> bool) {
    let Some(object) = found.object(path, step) else {
        return;
    };
    if let Some(order) = object.get("order") {
        check_names(found, &child(path, "order"), order, known);
    }
    check_length(found, path, object, "title", 140);
    check_switch(found, &child(path, "visible"), object.get("visible"));
    let mut rest = object.clone();
    rest.remove("visible");
    refuse_computed(found, path, &Value::Object(rest), 0);
}

fn check_names(found: &mut Found, path: &str, value: &Value, known: &dyn Fn(&str) -> bool) {
    for (index, name) in found.names(path, value) {
        if !known(name) {
            let name: String = name.chars().take(64).collect();
            found.add(
                &format!("{path}/{index}"),
                "unknown",
                format!("`{name}` is not an input of this form"),
            );
        }
    }
}

fn check_input(found: &mut Found, path: &str, name: &str, input: &Value) {
    let characters = |c: char| c.is_ascii_alphanumeric() || "@_=\\-".contains(c);
    if name.is_empty() || name.len() > 100 || !name.chars().all(characters) {
        found.add(
            path,
            "identifier",
            "an input's name has 1 to 100 letters, digits and @ _ = \\ -",
        );
    }
    let Some(object) = found.object(path, input) else {
        return;
    };
    let kind = found.text(path, object, "type", !object.contains_key("$ref"));
    if kind.is_some_and(|kind| !TYPES.contains(&kind)) {
        found.add(
            &child(path, "type"),
            "enum",
            "`type` is `string`, `number`, `boolean`, `object` or `array`",
        );
    }
    check_format(found, path, object);
    if let Some(items) = object.get("items").and_then(Value::as_object) {
        check_format(found, &child(path, "items"), items);
    }
    for (holder, at) in [
        (Some(object), path.to_owned()),
        (
            object.get("items").and_then(Value::as_object),
            child(path, "items"),
        ),
    ] {
        if let Some(holder) = holder {
            check_choice(found, &at, holder);
        }
    }
    check_switch(found, &child(path, "visible"), object.get("visible"));
    check_switch(found, &child(path, "disabled"), object.get("disabled"));
    check_rest(found, path, object);
}

/// What an input, or the elements of one, may be chosen from.
fn check_choice(found: &mut Found, path: &str, input: &Map<String, Value>) {
    let given = |key: &str| input.get(key).filter(|value| !is_empty(value));
    if given("encryption").is_some() {
        let message = "encrypted inputs are not available in this version, and a value is not kept in the open in silence; leave `encryption` out, or let the plugin use a secret of the portal";
        found.add(&child(path, "encryption"), "unsupported", message);
    }
    if let Some(dataset) = given("dataset") {
        let path = child(path, "dataset");
        if input.get("format").and_then(Value::as_str) == Some("entity") {
            for violation in query::check(dataset, &path) {
                found.add(&violation.path, &violation.rule, violation.message);
            }
        } else {
            let message = "a data set is for inputs of format `entity`";
            found.add(&path, "unsupported", message);
        }
    }
    if let Some(sort) = given("sort") {
        let path = child(path, "sort");
        if let Some(sort) = found.object(&path, sort) {
            found.text(&path, sort, "property", true);
            let order = found.text(&path, sort, "order", false);
            if order.is_some_and(|order| !["ASC", "DESC"].contains(&order)) {
                found.add(&child(&path, "order"), "enum", "`order` is `ASC` or `DESC`");
            }
        }
    }
}

/// Nothing but what this version works out may be a filter.
fn check_rest(found: &mut Found, path: &str, input: &Map<String, Value>) {
    let mut rest = input.clone();
    for key in COMPUTED {
        if let Some(value) = rest.get(key)
            && value.get("jqQuery").is_some()
        {
            check_computed(found, &child(path, key), value);
            rest.remove(key);
        }
    }
    rest.remove("dataset");
    if let Some(items) = rest.get_mut("items").and_then(Value::as_object_mut) {
        items.remove("dataset");
        if let Some(values) = items.get("enum")
            && values.get("jqQuery").is_some()
        {
            check_computed(found, &child(&child(path, "items"), "enum"), values);
            items.remove("enum");
        }
    }
    refuse_computed(found, path, &Value::Object(rest), 0);
}

fn check_format(found: &mut Found, path: &str, input: &Map<String, Value>) {
    let Some(format) = found.text(path, input, "format", false) else {
        return;
    };
    if !schema::FORMATS.contains(&format) {
        let format: String = format.chars().take(64).collect();
        let message = format!(
            "`{format}` is not a known format; use one of {}",
            schema::FORMATS.join(", ")
        );
        found.add(&child(path, "format"), "enum", message);
    }
    if format == "entity"
        && let Some(text) = found.text(path, input, "blueprint", true)
        && let Err(error) = BlueprintId::parse(text)
    {
        found.add(&child(path, "blueprint"), "identifier", error.to_string());
    }
}

/// Refuses `{"jqQuery": …}` wherever a value may be computed.
fn refuse_computed(found: &mut Found, path: &str, value: &Value, depth: usize) {
    // Inputs nest as deep as JSON may; a form that computes its values does so near the top.
    if depth > MAX_DEPTH {
        return;
    }
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                if key == "jqQuery" {
                    let message = "nothing can be worked out in this place; write the value";
                    found.add(&child(path, key), "unsupported", message);
                }
                refuse_computed(found, &child(path, key), value, depth + 1);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                refuse_computed(found, &format!("{path}/{index}"), value, depth + 1);
            }
        }
        _ => {}
    }
}
