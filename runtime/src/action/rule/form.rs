//! What the form of an action must be like.

use serde_json::{Map, Value};

use super::{Found, child, is_empty};
use crate::action::schema;
use crate::catalog::MAX_DEPTH;
use crate::model::BlueprintId;

/// Inputs of one form; more than anybody fills in.
const MAX_INPUTS: usize = 200;

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
        for violation in schema::compile(properties, inputs.get("$defs"))
            .err()
            .unwrap_or_default()
        {
            let path = format!("/trigger/userInputs{}", violation.path);
            found.add(&path, &violation.rule, violation.message);
        }
    }
    let known = |name: &str| properties.contains_key(name);
    if let Some(required) = inputs.get("required") {
        if required.is_object() {
            let message = "a computed `required` is not available in this version; list the names";
            found.add("/trigger/userInputs/required", "unsupported", message);
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
                for (index, step) in steps.iter().enumerate() {
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

fn check_step(found: &mut Found, path: &str, step: &Value, known: &dyn Fn(&str) -> bool) {
    let Some(object) = found.object(path, step) else {
        return;
    };
    if let Some(order) = object.get("order") {
        check_names(found, &child(path, "order"), order, known);
    }
    refuse_computed(found, path, step, 0);
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
        for key in ["encryption", "dataset"] {
            if holder.is_some_and(|holder| holder.get(key).is_some_and(|value| !is_empty(value))) {
                let message = format!(
                    "`{key}` is not available in this version and is not ignored in silence; leave it out"
                );
                found.add(&child(&at, key), "unsupported", message);
            }
        }
    }
    refuse_computed(found, path, input, 0);
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
                    let message = "computed values (`jqQuery`) are not available in this version; write the value";
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
