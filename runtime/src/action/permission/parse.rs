//! From the JSON of a change of an action's permissions to the change, with every part that has the wrong shape.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::query;
use crate::action::Error;
use crate::action::rule::{MAX_VIOLATIONS, child, kind};
use crate::catalog::parse_grant;
use crate::model::{ActionGrant, ActionPermissionPatch, ActionRight, Policy, Violation};

/// Queries of one policy. Each is a search at every start of a run.
const MAX_QUERIES: usize = 10;

/// Conditions of one policy.
const MAX_CONDITIONS: usize = 20;

/// Bytes of one condition.
const MAX_CONDITION_BYTES: usize = 8 * 1024;

/// Characters of the name of a query.
const MAX_NAME: usize = 100;

/// The keys that say whom a grant is for.
const LISTS: [&str; 4] = ["users", "roles", "teams", "ownedByTeam"];

/// Reads a change of an action's permissions.
///
/// # Errors
/// [`Error::Invalid`] with every part that has the wrong shape.
pub fn parse_action_permissions(value: Value) -> Result<ActionPermissionPatch, Error> {
    let mut found = Vec::new();
    let mut patch = ActionPermissionPatch::default();
    for (key, value) in object("", value, &mut found) {
        let path = child("", &key);
        match ActionRight::ALL
            .into_iter()
            .find(|right| right.as_str() == key)
        {
            Some(right) => patch
                .rights
                .push((right, grant(right, &path, value, &mut found))),
            // Passed over, a slip of the pen would leave open what somebody means to close.
            None => {
                let message = "is not a right on an action; there are execute and approve";
                found.push(Violation::new(path, "additionalProperties", message));
            }
        }
    }
    if found.is_empty() && patch.rights.is_empty() {
        let message = "say who may `execute` or `approve`";
        found.push(Violation::new("", "required", message));
    }
    if found.is_empty() {
        return Ok(patch);
    }
    found.truncate(MAX_VIOLATIONS);
    Err(Error::Invalid {
        subject: "the permissions".to_owned(),
        violations: found,
    })
}

/// What is said of one right; `null` goes back to the default. Where none of the lists is named, those of the default
/// stay, so that a policy alone hides the action from nobody.
fn grant(
    right: ActionRight,
    path: &str,
    value: Value,
    found: &mut Vec<Violation>,
) -> Option<ActionGrant> {
    if value.is_null() {
        return None;
    }
    let mut fields = object(path, value, found);
    let policy = fields.remove("policy").filter(|policy| !policy.is_null());
    let policy = policy.map(|policy| parse_policy(&child(path, "policy"), policy, found));
    if right == ActionRight::Approve && fields.get("ownedByTeam") == Some(&Value::Bool(true)) {
        let message = "is for `execute`; who approves is said by users, roles, teams or a policy";
        found.push(Violation::new(
            child(path, "ownedByTeam"),
            "unsupported",
            message,
        ));
    }
    let lists = fields.keys().any(|key| LISTS.contains(&key.as_str()));
    // What else stands there is told of by whoever reads the lists.
    let read = parse_grant(path, Value::Object(fields), found).unwrap_or_default();
    Some(ActionGrant {
        grant: if lists { read } else { right.default_grant() },
        policy,
    })
}

fn parse_policy(path: &str, value: Value, found: &mut Vec<Violation>) -> Policy {
    let mut fields = object(path, value, found);
    let queries = fields.remove("queries").filter(|value| !value.is_null());
    let conditions = fields.remove("conditions");
    for key in fields.keys() {
        let message = "is not a key of a policy; there are queries and conditions";
        found.push(Violation::new(
            child(path, key),
            "additionalProperties",
            message,
        ));
    }
    Policy {
        queries: queries
            .map(|queries| parse_queries(&child(path, "queries"), queries, found))
            .unwrap_or_default(),
        conditions: parse_conditions(&child(path, "conditions"), conditions, found),
    }
}

fn parse_queries(path: &str, value: Value, found: &mut Vec<Violation>) -> IndexMap<String, Value> {
    let queries = object(path, value, found);
    if queries.len() > MAX_QUERIES {
        let message = format!("a policy may have {MAX_QUERIES} queries");
        found.push(Violation::new(path, "maxProperties", message));
        return IndexMap::new();
    }
    for (name, query) in &queries {
        let path = child(path, name);
        if name.is_empty() || name.chars().count() > MAX_NAME {
            let message = format!("a query's name has 1 to {MAX_NAME} characters");
            found.push(Violation::new(path.clone(), "maxLength", message));
        }
        found.extend(query::check(query, &path));
    }
    queries.into_iter().collect()
}

fn parse_conditions(path: &str, value: Option<Value>, found: &mut Vec<Violation>) -> Vec<String> {
    let list = match value {
        Some(Value::Array(list)) if (1..=MAX_CONDITIONS).contains(&list.len()) => list,
        _ => {
            let message = format!(
                "a policy has a list of 1 to {MAX_CONDITIONS} conditions; without any it would let in nobody"
            );
            found.push(Violation::new(path, "type", message));
            return Vec::new();
        }
    };
    let mut conditions = Vec::with_capacity(list.len());
    for (index, condition) in list.into_iter().enumerate() {
        match condition {
            Value::String(text) if (1..=MAX_CONDITION_BYTES).contains(&text.len()) => {
                conditions.push(text);
            }
            other => {
                let message = format!(
                    "a condition is a jq filter of 1 to {MAX_CONDITION_BYTES} bytes, not {}",
                    kind(&other)
                );
                found.push(Violation::new(format!("{path}/{index}"), "type", message));
            }
        }
    }
    conditions
}

fn object(path: &str, value: Value, found: &mut Vec<Violation>) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => {
            let message = format!("must be an object, not {}", kind(&other));
            found.push(Violation::new(path, "type", message));
            Map::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(document: Value) -> Vec<String> {
        match parse_action_permissions(document) {
            Ok(patch) => panic!("{patch:?}"),
            Err(Error::Invalid { violations, .. }) => violations
                .into_iter()
                .map(|violation| violation.path)
                .collect(),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn a_policy_alone_leaves_the_lists_at_their_default() {
        let document =
            json!({ "execute": { "policy": { "conditions": [".user.email == null"] } } });
        let patch = parse_action_permissions(document).unwrap();
        let (right, grant) = patch.rights[0].clone();
        let grant = grant.unwrap();
        assert_eq!(right, ActionRight::Execute);
        assert_eq!(grant.grant, ActionRight::Execute.default_grant());
        assert_eq!(grant.policy.unwrap().conditions.len(), 1);
        let named = parse_action_permissions(json!({ "execute": { "users": ["ann"] } })).unwrap();
        let named = named.rights[0].1.clone().unwrap().grant;
        assert!(named.roles.is_empty() && named.users == ["ann"]);
        let back = parse_action_permissions(json!({ "approve": null })).unwrap();
        assert_eq!(back.rights, [(ActionRight::Approve, None)]);
    }

    #[test]
    fn every_part_of_the_wrong_shape_is_named() {
        assert_eq!(paths(json!([])), [""]);
        assert_eq!(paths(json!({})), [""]);
        assert_eq!(
            paths(json!({
                "exceute": {},
                "execute": { "usres": [], "roles": ["boss"], "policy": { "conditions": [], "rules": [] } },
                "approve": { "ownedByTeam": true, "policy": { "queries": { "q": { "rules": 1 } }, "conditions": [1, "true"] } },
            })),
            [
                "/exceute",
                "/execute/policy/rules",
                "/execute/policy/conditions",
                "/execute/usres",
                "/execute/roles/0",
                "/approve/policy/queries/q/rules",
                "/approve/policy/conditions/0",
                "/approve/ownedByTeam",
            ]
        );
    }
}
