//! Saving actions, and the form that each shows.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::rule::{MAX_VIOLATIONS, child};
use super::{Actions, Error, form, render, rule};
use crate::catalog::Applied;
use crate::jq::JqError;
use crate::model::{
    Action, ActionId, Actor, AuditEntry, InvocationMethod, PluginState, Required, Stamped, Trigger,
    UserInputs, Verb, Violation,
};
use crate::plugin::CallError;
use crate::store::{ReadTx, WriteTx};

const RESOURCE: &str = "action";

impl Actions {
    /// Every action, by identifier. One without a form of its own shows its plugin's.
    pub async fn list(&self) -> Result<Vec<Stamped<Action>>, Error> {
        let mut actions = self.inner.store.read(|tx| tx.list_actions()).await?;
        for action in &mut actions {
            self.show_form(&mut action.value).await;
        }
        Ok(actions)
    }

    /// One action. Without a form of its own it shows its plugin's.
    pub async fn find(&self, id: &ActionId) -> Result<Stamped<Action>, Error> {
        let mut action = self.find_saved(id).await?;
        self.show_form(&mut action.value).await;
        Ok(action)
    }

    /// Makes an action.
    pub async fn create(&self, actor: &Actor, action: Action) -> Result<Stamped<Action>, Error> {
        let action = rule::check(action)?;
        self.check(&action).await?;
        let actor = actor.clone();
        self.inner
            .store
            .write(move |tx| match tx.find_action(&action.identifier)? {
                None => {
                    check_blueprint(tx, &action)?;
                    insert(tx, &actor, &action)
                }
                Some(_) => Err(Error::Conflict {
                    code: "already_exists",
                    message: format!(
                        "{} exists already; change it with PUT",
                        name(&action.identifier)
                    ),
                }),
            })
            .await
    }

    /// Replaces an action whole.
    pub async fn replace(
        &self,
        actor: &Actor,
        id: &ActionId,
        action: Action,
    ) -> Result<Stamped<Action>, Error> {
        let action = rule::check(action)?;
        if action.identifier != *id {
            let message = format!("an action keeps its identifier: `{id}`");
            return Err(invalid(
                id,
                vec![Violation::new("/identifier", "identifier", message)],
            ));
        }
        self.check(&action).await?;
        let actor = actor.clone();
        self.inner
            .store
            .write(move |tx| match tx.find_action(&action.identifier)? {
                None => Err(Error::NotFound(name(&action.identifier))),
                Some(before) if before.value == action => Ok(before),
                Some(before) => {
                    check_blueprint(tx, &action)?;
                    update(tx, &actor, &before, &action)
                }
            })
            .await
    }

    /// Removes an action; its runs stay, and those that wait still run.
    pub async fn delete(&self, actor: &Actor, id: &ActionId) -> Result<(), Error> {
        let (actions, actor, id) = (self.clone(), actor.clone(), id.clone());
        self.inner
            .store
            .write(move |tx| actions.delete_in(tx, &actor, &id))
            .await
    }

    /// Puts one action in place within a caller's transaction, and notes whether it was created, changed or just so
    /// already.
    ///
    /// A plugin is not asked whether it fits, because no guest's or compiler's work may hold up a transaction: call
    /// [`Self::check`] before it.
    pub fn apply_in(
        &self,
        tx: &WriteTx<'_>,
        actor: &Actor,
        action: Action,
        applied: &mut Applied,
    ) -> Result<(), Error> {
        let action = rule::check(action)?;
        check_blueprint(tx, &action)?;
        let before = tx.find_action(&action.identifier)?;
        match &before {
            None => {
                insert(tx, actor, &action)?;
            }
            Some(before) if before.value == action => {}
            Some(before) => {
                update(tx, actor, before, &action)?;
            }
        }
        let document = format!("{RESOURCE} {}", action.identifier);
        applied.note(
            document,
            before.as_ref().map(|before| &before.value),
            &action,
        )?;
        Ok(())
    }

    /// As [`Self::delete`], within a caller's transaction.
    pub fn delete_in(&self, tx: &WriteTx<'_>, actor: &Actor, id: &ActionId) -> Result<(), Error> {
        let before = tx
            .find_action(id)?
            .ok_or_else(|| Error::NotFound(name(id)))?;
        tx.delete_action(id)?;
        audit(tx, actor, Verb::Delete, id, Some(&before.value), None)
    }

    /// The actions as they were saved, on a caller's snapshot.
    pub fn list_in(&self, tx: &ReadTx<'_>) -> Result<Vec<Stamped<Action>>, Error> {
        Ok(tx.list_actions()?)
    }

    /// Those of them that somebody may see; whether these are all.
    pub fn list_visible_in(
        &self,
        tx: &ReadTx<'_>,
        actor: &Actor,
    ) -> Result<(Vec<Stamped<Action>>, bool), Error> {
        let mut actions = tx.list_actions()?;
        let all = actions.len();
        self.retain_visible(actor, &mut actions, || Ok(tx.list_action_permissions()?))?;
        let are_all = actions.len() == all;
        Ok((actions, are_all))
    }

    /// Checks what no transaction can wait for: that the templates are jq, and that the plugin fits.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every broken rule.
    pub async fn check(&self, action: &Action) -> Result<(), Error> {
        self.check_plugin(action).await?;
        let InvocationMethod::Plugin { inputs, .. } = &action.invocation_method;
        let mapping = Value::Object(inputs.clone().unwrap_or_default());
        let Ok(expressions) = render::expressions(&mapping) else {
            // The rules of the document name it better.
            return Ok(());
        };
        let in_form = action.user_inputs().map(form::filters).unwrap_or_default();
        let templates = expressions.into_iter().map(|(path, filter)| {
            (
                format!("/invocationMethod/inputs{path}"),
                "template",
                filter,
            )
        });
        let filters = in_form
            .into_iter()
            .map(|(path, filter)| (path, "jqQuery", filter));
        let filters: Vec<_> = templates.chain(filters).collect();
        let texts = filters.iter().map(|(.., filter)| filter.clone()).collect();
        let results = self.inner.jq.check(texts).await;
        let broken = filters
            .into_iter()
            .zip(results)
            .filter_map(|((path, rule, _), result)| match result {
                // Without a worker nothing can be said; a run that needs one will say so.
                Ok(()) | Err(JqError::Unavailable(_)) => None,
                Err(error) => {
                    let message = format!("this is no usable jq: {error}");
                    Some(Violation::new(path, rule, message))
                }
            });
        let violations: Vec<Violation> = broken.take(MAX_VIOLATIONS).collect();
        if violations.is_empty() {
            Ok(())
        } else {
            Err(invalid(&action.identifier, violations))
        }
    }

    /// Checks an action against its plugin, where that is installed: the function exists, and the mapping gives it
    /// what it needs and nothing that it does not know.
    async fn check_plugin(&self, action: &Action) -> Result<(), Error> {
        let InvocationMethod::Plugin {
            plugin,
            version,
            action: function,
            inputs,
            ..
        } = &action.invocation_method;
        let versions = self.inner.plugins.list_versions(Some(plugin)).await?;
        let usable = versions.iter().any(|installed| match version {
            Some(version) => installed.version == *version,
            None => installed.state == PluginState::Active,
        });
        if !usable {
            // It may be installed later; until then a run says so.
            return Ok(());
        }
        let schema = match self
            .inner
            .plugins
            .find_input_schema(plugin, version.as_ref(), function)
            .await
        {
            Ok(schema) => schema,
            Err(error @ CallError::Refused(_)) => {
                let violation =
                    Violation::new("/invocationMethod/action", "unknown", error.to_string());
                return Err(invalid(&action.identifier, vec![violation]));
            }
            Err(_) => return Ok(()),
        };
        let violations = match inputs {
            Some(inputs) => check_mapping(inputs, &form_of(&schema)),
            None => Vec::new(),
        };
        if violations.is_empty() {
            Ok(())
        } else {
            Err(invalid(&action.identifier, violations))
        }
    }

    /// The action as it was saved.
    pub(super) async fn find_saved(&self, id: &ActionId) -> Result<Stamped<Action>, Error> {
        let wanted = id.clone();
        let found = self
            .inner
            .store
            .read(move |tx| tx.find_action(&wanted))
            .await?;
        found.ok_or_else(|| Error::NotFound(name(id)))
    }

    /// The form that a run's inputs are checked against: the action's own, else the plugin's.
    pub(super) async fn find_form(&self, action: &Action) -> Result<UserInputs, CallError> {
        if let Some(inputs) = action.user_inputs() {
            return Ok(inputs.clone());
        }
        let InvocationMethod::Plugin {
            plugin,
            version,
            action: function,
            ..
        } = &action.invocation_method;
        let schema = self
            .inner
            .plugins
            .find_input_schema(plugin, version.as_ref(), function)
            .await?;
        Ok(form_of(&schema))
    }

    async fn show_form(&self, action: &mut Action) {
        let form = self.find_form(action).await;
        let Trigger::SelfService { user_inputs, .. } = &mut action.trigger;
        // A plugin that is not there yet has no form to show; the action itself is still worth showing.
        if user_inputs.is_none()
            && let Ok(form) = form
        {
            *user_inputs = Some(form);
        }
    }
}

/// The form that a plugin's input schema stands for.
pub(super) fn form_of(schema: &Value) -> UserInputs {
    let properties = schema
        .get("properties")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let required = schema
        .get("required")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let definitions = schema
        .get("$defs")
        .map(|definitions| ("$defs".to_owned(), definitions.clone()));
    UserInputs {
        properties: properties.into_iter().collect(),
        required: Required::Names(
            required
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
        ),
        extra: definitions.into_iter().collect(),
    }
}

fn check_mapping(mapping: &Map<String, Value>, form: &UserInputs) -> Vec<Violation> {
    let path = "/invocationMethod/inputs";
    let unknown = mapping
        .keys()
        .filter(|key| !form.properties.contains_key(*key))
        .map(|key| {
            let known: Vec<&str> = form.properties.keys().map(String::as_str).collect();
            let message = format!(
                "the plugin's function has no such input; it has {}",
                known.join(", ")
            );
            Violation::new(child(path, key), "unknown", message)
        });
    let given: BTreeSet<&String> = mapping.keys().collect();
    let missing = form
        .required
        .names()
        .iter()
        .filter(|name| !given.contains(name))
        .map(|name| {
            let message = format!("the plugin's function needs `{name}`");
            Violation::new(child(path, name), "required", message)
        });
    unknown.chain(missing).take(MAX_VIOLATIONS).collect()
}

fn check_blueprint(tx: &ReadTx<'_>, action: &Action) -> Result<(), Error> {
    match action.blueprint() {
        Some(blueprint) if tx.find_blueprint(blueprint)?.is_none() => {
            Err(unknown_blueprint(action))
        }
        _ => Ok(()),
    }
}

fn unknown_blueprint(action: &Action) -> Error {
    let blueprint = action
        .blueprint()
        .map(ToString::to_string)
        .unwrap_or_default();
    let message = format!("blueprint `{blueprint}` does not exist; create it first");
    invalid(
        &action.identifier,
        vec![Violation::new(
            "/trigger/blueprintIdentifier",
            "blueprint",
            message,
        )],
    )
}

fn insert(tx: &WriteTx<'_>, actor: &Actor, action: &Action) -> Result<Stamped<Action>, Error> {
    let saved = tx.insert_action(actor, action)?;
    audit(
        tx,
        actor,
        Verb::Create,
        &action.identifier,
        None,
        Some(action),
    )?;
    Ok(saved)
}

pub(super) fn update(
    tx: &WriteTx<'_>,
    actor: &Actor,
    before: &Stamped<Action>,
    action: &Action,
) -> Result<Stamped<Action>, Error> {
    let saved = tx.update_action(actor, before, action)?;
    audit(
        tx,
        actor,
        Verb::Update,
        &action.identifier,
        Some(&before.value),
        Some(action),
    )?;
    Ok(saved)
}

fn audit(
    tx: &WriteTx<'_>,
    actor: &Actor,
    verb: Verb,
    id: &ActionId,
    before: Option<&Action>,
    after: Option<&Action>,
) -> Result<(), Error> {
    let json = |action: &Action| serde_json::to_value(action).ok();
    tx.insert_audit(&AuditEntry {
        actor,
        verb,
        resource: RESOURCE,
        identifier: id.to_string(),
        before: before.and_then(json),
        after: after.and_then(json),
    })?;
    Ok(())
}

fn name(id: &ActionId) -> String {
    format!("action `{id}`")
}

fn invalid(id: &ActionId, violations: Vec<Violation>) -> Error {
    Error::Invalid {
        subject: name(id),
        violations,
    }
}
