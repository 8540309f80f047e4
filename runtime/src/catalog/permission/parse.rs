//! From the JSON of a change of permissions to the change, with every part that has the wrong shape.

use serde_json::{Map, Value};

use crate::catalog::Error;
use crate::catalog::schema::{join, shorten};
use crate::model::{EntityRight, Grant, PermissionPatch, Role, Violation};

/// Names in one list of a grant.
const MAX_NAMES: usize = 1_000;

/// Characters of one name.
const MAX_NAME: usize = 1_000;

/// Reads a change of permissions.
///
/// # Errors
/// [`Error::Invalid`] with every part that has the wrong shape.
pub fn parse_permissions(value: Value) -> Result<PermissionPatch, Error> {
    let mut found = Vec::new();
    let mut patch = PermissionPatch::default();
    let fields = object("", value, &mut found);
    if found.is_empty() && !fields.contains_key("entities") {
        let message = "`entities` is required: it says who may do what";
        found.push(Violation::new("/entities", "required", message));
    }
    for (key, value) in fields {
        if key != "entities" {
            // Passed over, a slip of the pen would leave open what somebody means to close.
            let message = "is not a key of permissions; there is entities";
            found.push(Violation::new(
                join("", &key),
                "additionalProperties",
                message,
            ));
            continue;
        }
        for (key, value) in object("/entities", value, &mut found) {
            let path = join("/entities", &key);
            let right = EntityRight::ALL
                .into_iter()
                .find(|right| right.as_str() == key);
            match (right, key.as_str()) {
                (Some(right), _) => {
                    patch
                        .rights
                        .push((right, parse_grant(&path, value, &mut found)));
                }
                (None, "updateProperties") => {
                    patch.properties = grants(&path, value, &mut found);
                }
                (None, "updateRelations") => patch.relations = grants(&path, value, &mut found),
                _ => {
                    let message = "is not a right; there are read, register, update, unregister, \
                                   updateProperties and updateRelations";
                    found.push(Violation::new(path, "additionalProperties", message));
                }
            }
        }
    }
    if found.is_empty() {
        return Ok(patch);
    }
    Err(Error::Invalid {
        subject: "the permissions".to_owned(),
        violations: found,
    })
}

fn object(path: &str, value: Value, found: &mut Vec<Violation>) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => {
            found.push(Violation::new(path, "type", "must be an object"));
            Map::new()
        }
    }
}

fn grants(path: &str, value: Value, found: &mut Vec<Violation>) -> Vec<(String, Option<Grant>)> {
    if value.is_null() {
        return Vec::new();
    }
    object(path, value, found)
        .into_iter()
        .map(|(name, value)| {
            let grant = parse_grant(&join(path, &name), value, found);
            (name, grant)
        })
        .collect()
}

/// Reads whom one right is given to; `null` goes back to the default. What has the wrong shape is added to what was found.
pub fn parse_grant(path: &str, value: Value, found: &mut Vec<Violation>) -> Option<Grant> {
    if value.is_null() {
        return None;
    }
    let mut grant = Grant::default();
    for (key, value) in object(path, value, found) {
        let path = join(path, &key);
        match key.as_str() {
            "users" => grant.users = names(&path, value, found),
            "teams" => grant.teams = names(&path, value, found),
            "roles" => {
                grant.roles = names(&path, value, found);
                for (index, role) in grant.roles.iter().enumerate() {
                    if !Role::is_name(role) {
                        let message = format!(
                            "`{}` is not a role; use one of {}, or Admin or Member",
                            shorten(role),
                            Role::ALL.map(Role::as_str).join(", ")
                        );
                        found.push(Violation::new(format!("{path}/{index}"), "enum", message));
                    }
                }
            }
            "ownedByTeam" => match value {
                Value::Bool(owned) => grant.owned_by_team = owned,
                Value::Null => {}
                _ => found.push(Violation::new(path, "type", "must be true or false")),
            },
            "policy" if value.is_null() => {}
            "policy" => {
                // Kept but not held to, it would let in whom it is meant to keep out.
                let message = "policies are not supported here; name users, teams or roles, or use ownedByTeam";
                found.push(Violation::new(path, "policy", message));
            }
            _ => {
                let message =
                    "is not a key of a grant; there are users, teams, roles and ownedByTeam";
                found.push(Violation::new(path, "additionalProperties", message));
            }
        }
    }
    Some(grant)
}

fn names(path: &str, value: Value, found: &mut Vec<Violation>) -> Vec<String> {
    let values = match value {
        Value::Null => Vec::new(),
        Value::Array(values) if values.len() <= MAX_NAMES => values,
        _ => {
            let message = format!("must be a list of at most {MAX_NAMES} names");
            found.push(Violation::new(path, "type", message));
            Vec::new()
        }
    };
    let mut names = Vec::with_capacity(values.len());
    for (index, value) in values.into_iter().enumerate() {
        match value {
            Value::String(name) if (1..=MAX_NAME).contains(&name.chars().count()) => {
                names.push(name);
            }
            _ => {
                let message = format!("must be a string of 1 to {MAX_NAME} characters");
                found.push(Violation::new(format!("{path}/{index}"), "type", message));
            }
        }
    }
    names
}
