//! What an action's document must be like, on the JSON as it came: every broken rule is found, not only the first.

mod engine;
mod form;

use serde_json::{Map, Value};

use super::{Error, template};
use crate::catalog::parse_query;
use crate::model::{Action, ActionId, BlueprintId, PluginName, Violation};

/// Violations that one answer lists; a hostile document could break a rule in every byte.
pub(super) const MAX_VIOLATIONS: usize = 100;

/// Size of one action's JSON, so that a run, which carries it, stays small.
const MAX_DOCUMENT_BYTES: usize = 256 * 1024;

/// Keys that would change who may do what, or what is done. To keep and ignore one would be worse than to refuse it.
const UNSUPPORTED: [&str; 4] = ["policy", "permissions", "conditions", "condition"];

/// Reads an action from JSON, all its rules checked that need nothing but the document.
///
/// # Errors
/// [`Error::Invalid`] with every broken rule.
pub fn parse_action(document: Value) -> Result<Action, Error> {
    let mut found = Found::default();
    check_action(&mut found, &document);
    let subject = match document.get("identifier").and_then(Value::as_str) {
        Some(identifier) => format!(
            "action `{}`",
            identifier.chars().take(100).collect::<String>()
        ),
        None => "the action".to_owned(),
    };
    if found.0.is_empty() {
        match serde_json::from_value(document) {
            Ok(action) => return Ok(action),
            // A rule that is missing above; the reader's own words are better than none.
            Err(error) => found.add("", "type", error.to_string()),
        }
    }
    Err(Error::Invalid {
        subject,
        violations: found.0,
    })
}

/// The rules of [`parse_action`] on an action that was made by other means.
pub(super) fn check(action: Action) -> Result<Action, Error> {
    match serde_json::to_value(&action) {
        Ok(document) => parse_action(document),
        Err(error) => Err(Error::Invalid {
            subject: format!("action `{}`", action.identifier),
            violations: vec![Violation::new("", "type", error.to_string())],
        }),
    }
}

/// Broken rules, at most [`MAX_VIOLATIONS`].
#[derive(Default)]
struct Found(Vec<Violation>);

impl Found {
    fn add(&mut self, path: &str, rule: &str, message: impl Into<String>) {
        if self.0.len() < MAX_VIOLATIONS {
            self.0.push(Violation::new(path, rule, message));
        }
    }

    /// The object at a path; a violation where there is something else.
    fn object<'a>(&mut self, path: &str, value: &'a Value) -> Option<&'a Map<String, Value>> {
        let object = value.as_object();
        if object.is_none() {
            self.add(
                path,
                "type",
                format!("this must be an object, not {}", kind(value)),
            );
        }
        object
    }

    /// The text under a key. An absent one is a violation where it is required; `null` counts as absent.
    fn text<'a>(
        &mut self,
        path: &str,
        object: &'a Map<String, Value>,
        key: &str,
        required: bool,
    ) -> Option<&'a str> {
        match object.get(key) {
            Some(Value::String(text)) => Some(text),
            None | Some(Value::Null) => {
                if required {
                    self.add(
                        &child(path, key),
                        "required",
                        format!("`{key}` is required"),
                    );
                }
                None
            }
            Some(other) => {
                self.add(
                    &child(path, key),
                    "type",
                    format!("`{key}` must be a string, not {}", kind(other)),
                );
                None
            }
        }
    }

    /// The texts of a list.
    fn names<'a>(&mut self, path: &str, value: &'a Value) -> Vec<(usize, &'a str)> {
        let Some(list) = value.as_array() else {
            self.add(
                path,
                "type",
                format!("this must be a list of input names, not {}", kind(value)),
            );
            return Vec::new();
        };
        let mut names = Vec::new();
        for (index, entry) in list.iter().enumerate() {
            match entry.as_str() {
                Some(name) => names.push((index, name)),
                None => self.add(
                    &child(path, &index.to_string()),
                    "type",
                    "this must be the name of an input",
                ),
            }
        }
        names
    }
}

fn check_action(found: &mut Found, document: &Value) {
    let Some(action) = found.object("", document) else {
        return;
    };
    let size = document.to_string().len();
    if size > MAX_DOCUMENT_BYTES {
        found.add(
            "",
            "size",
            format!("an action may have {MAX_DOCUMENT_BYTES} bytes of JSON; this has {size}"),
        );
        return;
    }
    if let Some(text) = found.text("", action, "identifier", true) {
        match ActionId::parse(text) {
            Ok(_) if ["runs", "statistics"].contains(&text) => {
                found.add(
                    "/identifier",
                    "identifier",
                    format!("`{text}` is the name of a route; choose another identifier"),
                );
            }
            Ok(_) => {}
            Err(error) => found.add("/identifier", "identifier", error.to_string()),
        }
    }
    for (key, longest) in [("title", 200), ("icon", 200), ("description", 2_000)] {
        if let Some(text) = found.text("", action, key, false)
            && text.chars().count() > longest
        {
            found.add(
                &child("", key),
                "maxLength",
                format!("`{key}` may have {longest} characters"),
            );
        }
    }
    match action.get("requiredApproval") {
        None | Some(Value::Null | Value::Bool(false)) => {}
        Some(_) => {
            let message = "approvals are not available in this version; leave `requiredApproval` out or set it to false";
            found.add("/requiredApproval", "unsupported", message);
        }
    }
    refuse_unsupported(found, "", action, &UNSUPPORTED);
    engine::check(found, action.get("engine"));
    for violation in template::check_elsewhere(document, "/invocationMethod/inputs") {
        found.add(&violation.path, &violation.rule, violation.message);
    }
    match action.get("trigger") {
        Some(trigger) => check_trigger(found, trigger),
        None => found.add("/trigger", "required", "`trigger` is required"),
    }
    match action.get("invocationMethod") {
        Some(method) => check_invocation(found, method),
        None => found.add(
            "/invocationMethod",
            "required",
            "`invocationMethod` is required",
        ),
    }
}

fn refuse_unsupported(found: &mut Found, path: &str, object: &Map<String, Value>, keys: &[&str]) {
    for key in keys {
        if object.get(*key).is_some_and(|value| !is_empty(value)) {
            let message = format!(
                "`{key}` is not available in this version and is not ignored in silence; leave it out"
            );
            found.add(&child(path, key), "unsupported", message);
        }
    }
}

fn check_trigger(found: &mut Found, trigger: &Value) {
    let path = "/trigger";
    let Some(trigger) = found.object(path, trigger) else {
        return;
    };
    match found.text(path, trigger, "type", true) {
        Some("self-service") => {}
        Some(other) => {
            let other: String = other.chars().take(64).collect();
            found.add(
                "/trigger/type",
                "enum",
                format!("`{other}` is not available in this version; use `self-service`"),
            );
            // The other kinds have other keys: to judge those as if they were ours would only confuse.
            return;
        }
        None => return,
    }
    let operation = found.text(path, trigger, "operation", true);
    if operation.is_some_and(|operation| !["CREATE", "DAY-2", "DELETE"].contains(&operation)) {
        found.add(
            "/trigger/operation",
            "enum",
            "`operation` is `CREATE`, `DAY-2` or `DELETE`",
        );
    }
    let entity = matches!(operation, Some("DAY-2" | "DELETE"));
    if let Some(text) = found.text(path, trigger, "blueprintIdentifier", entity)
        && let Err(error) = BlueprintId::parse(text)
    {
        found.add(
            "/trigger/blueprintIdentifier",
            "identifier",
            error.to_string(),
        );
    }
    refuse_unsupported(
        found,
        path,
        trigger,
        &["policy", "permissions", "conditions"],
    );
    refuse_unsupported(found, path, trigger, &["engine"]);
    match trigger.get("condition") {
        None | Some(Value::Null) => {}
        Some(_) if !entity => found.add(
            "/trigger/condition",
            "unsupported",
            "`condition` is about the entity that an action works on: use it with `DAY-2` or `DELETE`",
        ),
        Some(condition) => check_condition(found, condition),
    }
    match trigger.get("userInputs") {
        None | Some(Value::Null) => {}
        Some(inputs) => form::check_inputs(found, inputs),
    }
}

/// Which entities the action is for.
fn check_condition(found: &mut Found, condition: &Value) {
    let path = "/trigger/condition";
    let Some(object) = found.object(path, condition) else {
        return;
    };
    if let Some(kind) = found.text(path, object, "type", true)
        && kind != "SEARCH"
    {
        found.add(
            "/trigger/condition/type",
            "enum",
            "the condition of a self-service action is of type `SEARCH`",
        );
    }
    for violation in parse_query(condition, path).err().unwrap_or_default() {
        found.add(&violation.path, &violation.rule, violation.message);
    }
}

fn check_invocation(found: &mut Found, method: &Value) {
    let path = "/invocationMethod";
    let Some(method) = found.object(path, method) else {
        return;
    };
    match found.text(path, method, "type", true) {
        Some("PLUGIN") => {}
        Some(other) => {
            let other: String = other.chars().take(64).collect();
            found.add(
                "/invocationMethod/type",
                "enum",
                format!("`{other}` is not available in this version; use `PLUGIN`"),
            );
            return;
        }
        None => return,
    }
    if let Some(text) = found.text(path, method, "plugin", true)
        && let Err(error) = PluginName::parse(text)
    {
        found.add("/invocationMethod/plugin", "identifier", error.to_string());
    }
    if let Some(text) = found.text(path, method, "version", false)
        && let Err(error) = semver::Version::parse(text)
    {
        let message = format!(
            "`version` is an exact version such as 1.2.0, or absent for the active one: {error}"
        );
        found.add("/invocationMethod/version", "format", message);
    }
    if found
        .text(path, method, "action", true)
        .is_some_and(|text| text.is_empty() || text.len() > 100)
    {
        found.add(
            "/invocationMethod/action",
            "maxLength",
            "`action` is the name of a plugin's function: 1 to 100 characters",
        );
    }
    match method.get("inputs") {
        None | Some(Value::Null) => {}
        Some(inputs) => {
            if let Some(object) = found.object("/invocationMethod/inputs", inputs) {
                for violation in template::check(object) {
                    found.add(
                        &format!("/invocationMethod/inputs{}", violation.path),
                        &violation.rule,
                        violation.message,
                    );
                }
            }
        }
    }
}

/// A JSON pointer one step down.
pub(super) fn child(path: &str, key: &str) -> String {
    format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Object(object) => object.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

pub(super) fn kind(value: &Value) -> &'static str {
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
mod tests;
