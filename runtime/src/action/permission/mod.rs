//! Who may start an action, and who may approve its runs.
//!
//! What is stated here narrows what a role allows, and never adds to it: the door has asked for the role already. A
//! policy decides for everybody, administrators too; whoever may change it can change it.

mod approver;
mod parse;
mod policy;
pub(super) mod query;

pub use approver::Approvers;
pub use parse::parse_action_permissions;
pub(super) use policy::Asked;
pub use policy::Ruling;
use policy::refusals;

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::rule::MAX_VIOLATIONS;
use super::{Actions, Error};
use crate::catalog::{self, Values};
use crate::jq::JqError;
use crate::model::{
    Action, ActionGrant, ActionId, ActionPermissionPatch, ActionPermissions, ActionRight, Actor,
    AuditEntry, BlueprintId, EntityId, Grant, Permission, Policy, Stamped, Timestamp, UserInputs,
    Verb, Violation,
};
use crate::store;

const RESOURCE: &str = "action_permissions";

/// Blueprint of the people.
const USERS: &str = "_user";

/// Names of one list that a refusal shows.
const SHOWN: usize = 10;

impl Actions {
    /// Who may start an action and approve its runs, defaults included.
    pub async fn find_permissions(&self, id: &ActionId) -> Result<ActionPermissions, Error> {
        let wanted = id.clone();
        self.inner
            .store
            .read(move |tx| {
                if tx.find_action(&wanted)?.is_none() {
                    return Err(missing(&wanted));
                }
                Ok(tx.find_action_permissions(&wanted)?.complete())
            })
            .await
    }

    /// Changes who may start an action and approve its runs.
    ///
    /// # Errors
    /// There is no such action, or a condition is no jq.
    pub async fn patch_permissions(
        &self,
        actor: &Actor,
        id: &ActionId,
        patch: ActionPermissionPatch,
    ) -> Result<ActionPermissions, Error> {
        self.check_filters(&patch).await?;
        let (actor, id) = (actor.clone(), id.clone());
        self.inner
            .store
            .write(move |tx| {
                if tx.find_action(&id)?.is_none() {
                    return Err(missing(&id));
                }
                let before = tx.find_action_permissions(&id)?;
                let mut after = before.clone();
                after.change(patch);
                if after == before {
                    return Ok(after.complete());
                }
                tx.put_action_permissions(&id, &after)?;
                let json = |permissions: &ActionPermissions| {
                    serde_json::to_value(permissions)
                        .map_err(|e| store::Error::corrupt("action's permissions", e))
                };
                tx.insert_audit(&AuditEntry {
                    actor: &actor,
                    verb: Verb::Update,
                    resource: RESOURCE,
                    identifier: id.to_string(),
                    before: Some(json(&before)?),
                    after: Some(json(&after)?),
                })?;
                Ok(after.complete())
            })
            .await
    }

    /// The actions that somebody sees: those that they may start, or all for whoever writes them or sees everybody's
    /// runs.
    pub async fn list_visible(&self, actor: &Actor) -> Result<Vec<Stamped<Action>>, Error> {
        let mut actions = self.list().await?;
        let said = self.inner.store.read(|tx| tx.list_action_permissions());
        let said: Result<_, store::Error> = said.await;
        self.retain_visible(actor, &mut actions, || Ok(said?))?;
        Ok(actions)
    }

    /// Leaves of some actions those that somebody may see.
    pub(super) fn retain_visible(
        &self,
        actor: &Actor,
        actions: &mut Vec<Stamped<Action>>,
        said: impl FnOnce() -> Result<HashMap<String, ActionPermissions>, Error>,
    ) -> Result<(), Error> {
        if sees_all(actor) {
            return Ok(());
        }
        let said = said()?;
        actions.retain(|action| {
            let permissions = said.get(action.value.identifier.as_str());
            permissions.is_none_or(|said| said.grant(ActionRight::Execute).shows(actor))
        });
        Ok(())
    }

    /// As [`Self::find`], for somebody who may be allowed to see some actions only.
    ///
    /// # Errors
    /// There is no such action, or it is not theirs to see.
    pub async fn find_visible(
        &self,
        actor: &Actor,
        id: &ActionId,
    ) -> Result<Stamped<Action>, Error> {
        let action = self.find(id).await?;
        if !sees_all(actor) {
            let granted = self.find_right(id, ActionRight::Execute).await?;
            if !granted.shows(actor) {
                return Err(refuse(actor, id, &granted.grant));
            }
        }
        Ok(action)
    }

    /// The inputs that a run is accepted with, once everything that may refuse its start was asked.
    pub(super) async fn check_start(
        &self,
        person: &Actor,
        definition: &Action,
        form: &UserInputs,
        properties: Map<String, Value>,
        entity: Option<&EntityId>,
    ) -> Result<Map<String, Value>, Error> {
        let id = &definition.identifier;
        let granted = self.find_right(id, ActionRight::Execute).await?;
        self.check_lists(person, definition, &granted, entity)
            .await?;
        let properties = self
            .check_inputs(person, definition, form, properties, entity)
            .await?;
        if let Some(policy) = &granted.policy {
            let asked = Asked {
                person,
                definition,
                form,
                properties: &properties,
                entity,
                at: Timestamp::now(),
            };
            let reasons = refusals(&self.judge_start(policy, asked).await?);
            if let Some(first) = reasons.first() {
                return Err(Error::Forbidden {
                    message: format!(
                        "you may not start action `{id}` now: the policy of `execute` does not let you: {first}"
                    ),
                    reasons,
                });
            }
        }
        Ok(properties)
    }

    /// What holds of one right on an action.
    pub(super) async fn find_right(
        &self,
        id: &ActionId,
        right: ActionRight,
    ) -> Result<ActionGrant, Error> {
        let id = id.clone();
        let said = self
            .inner
            .store
            .read(move |tx| tx.find_action_permissions(&id));
        let said: Result<ActionPermissions, store::Error> = said.await;
        Ok(said?.grant(right))
    }

    /// Refuses whom the lists do not name, before anything of a policy is looked at.
    pub(super) async fn check_lists(
        &self,
        person: &Actor,
        action: &Action,
        granted: &ActionGrant,
        entity: Option<&EntityId>,
    ) -> Result<(), Error> {
        let grant = &granted.grant;
        if grant.includes_apart_from_owners(person) {
            return Ok(());
        }
        if grant.owned_by_team
            && let (Some(blueprint), Some(entity)) = (action.blueprint(), entity)
        {
            let catalog = &self.inner.catalog;
            let found = catalog.find_entity_for(person, blueprint, entity, Values::Own);
            let owners = match found.await {
                Ok(found) => found.value.team,
                Err(catalog::Error::NotFound(_) | catalog::Error::Forbidden(_)) => Vec::new(),
                Err(error) => return Err(error.into()),
            };
            if grant.includes(person, &owners) {
                return Ok(());
            }
        }
        Err(refuse(person, &action.identifier, grant))
    }

    /// Somebody as policies and forms see them.
    pub(super) async fn describe_person(&self, person: &Actor) -> Result<Value, Error> {
        let mut described = json!({
            "email": person.name,
            "name": person.name,
            "mainRole": person.role,
            "roles": [person.role],
            "teams": person.teams,
            "teamsIdentifiers": person.teams,
            "properties": {},
            "relations": {},
        });
        if let (Ok(users), Ok(id)) = (
            BlueprintId::parse(USERS),
            EntityId::parse(person.name.as_str()),
        ) && let Some(user) = self.find_shown(&users, &id).await?
            && let (Some(described), Value::Object(user)) = (described.as_object_mut(), user)
        {
            for (key, value) in user {
                match key.as_str() {
                    "title" if !value.is_null() => {
                        described.insert("name".to_owned(), value);
                    }
                    "properties" | "relations" => {
                        described.insert(key, value);
                    }
                    _ => {}
                }
            }
        }
        Ok(described)
    }

    /// Every filter of a policy has to be jq.
    async fn check_filters(&self, patch: &ActionPermissionPatch) -> Result<(), Error> {
        let mut filters = Vec::new();
        for (right, granted) in &patch.rights {
            let policy = granted.as_ref().and_then(|granted| granted.policy.as_ref());
            filters.extend(
                policy
                    .map(|policy| filters_of(*right, policy))
                    .unwrap_or_default(),
            );
        }
        let texts = filters.iter().map(|(_, filter)| filter.clone()).collect();
        let results = self.inner.jq.check(texts).await;
        let broken = filters.into_iter().zip(results);
        let violations: Vec<Violation> = broken
            .filter_map(|((path, _), result)| match result {
                // Without a worker nothing can be said; a run that needs one will say so.
                Ok(()) | Err(JqError::Unavailable(_)) => None,
                Err(error) => {
                    let message = format!("this is no usable jq: {error}");
                    Some(Violation::new(path, "jq", message))
                }
            })
            .take(MAX_VIOLATIONS)
            .collect();
        if violations.is_empty() {
            return Ok(());
        }
        Err(Error::Invalid {
            subject: "the permissions".to_owned(),
            violations,
        })
    }
}

/// Place and text of every filter of a policy.
pub(super) fn filters_of(right: ActionRight, policy: &Policy) -> Vec<(String, String)> {
    let path = policy::path_of(right);
    let mut found = Vec::new();
    for (name, query) in &policy.queries {
        found.extend(query::filters(query, &policy::path_of_query(right, name)));
    }
    for (index, condition) in policy.conditions.iter().enumerate() {
        found.push((format!("{path}/conditions/{index}"), condition.clone()));
    }
    found
}

/// Whether somebody sees actions that they may not start: they change them, or look after what is done with them.
fn sees_all(actor: &Actor) -> bool {
    actor.may(Permission::WriteCatalog) || actor.may(Permission::ReadAllRuns)
}

fn missing(id: &ActionId) -> Error {
    Error::NotFound(format!("action `{id}`"))
}

/// Says who somebody is, and who they would have to be.
fn refuse(person: &Actor, action: &ActionId, grant: &Grant) -> Error {
    let who = match person.teams.as_slice() {
        [] => "you are in no team".to_owned(),
        teams => format!("your teams are {}", listed(teams)),
    };
    Error::Forbidden {
        message: format!(
            "you may not start action `{action}`: you are `{}` with role `{}`, {who}, and `execute` of its permissions is for {}; ask an administrator",
            person.name,
            person.role.as_str(),
            describe(grant)
        ),
        reasons: Vec::new(),
    }
}

/// Whom a grant is for, in words.
fn describe(grant: &Grant) -> String {
    let mut parts: Vec<String> = [
        ("role", &grant.roles),
        ("user", &grant.users),
        ("team", &grant.teams),
    ]
    .into_iter()
    .filter(|(_, names)| !names.is_empty())
    .map(|(kind, names)| format!("{kind} {}", listed(names)))
    .collect();
    if grant.owned_by_team {
        parts.push("whoever is in a team that owns the entity".to_owned());
    }
    if parts.is_empty() {
        return "administrators only".to_owned();
    }
    parts.join(", or ")
}

fn listed(names: &[String]) -> String {
    let shown: Vec<String> = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect();
    let more = names.len().saturating_sub(SHOWN);
    match more {
        0 => shown.join(" or "),
        more => format!("{} or {more} more", shown.join(", ")),
    }
}
