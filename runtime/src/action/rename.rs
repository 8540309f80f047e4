//! Another name for a part of a blueprint, in the templates that read it.

use std::collections::HashMap;
use std::convert::Infallible;

use serde_json::{Map, Value};

use super::rule::child;
use super::{Actions, Error, definition, rule, template};
use crate::action::form::longest_filter;
use crate::action::permission::filters_of;
use crate::catalog::Renaming;
use crate::jq::name::{Renamer, Shape};
use crate::model::{
    Action, ActionId, ActionPermissions, ActionRight, Actor, InvocationMethod, Required, Stamped,
    Trigger, UserInputs,
};
use crate::store::{ReadTx, WriteTx};

/// Blueprint of the people.
const USERS: &str = "_user";

/// The forms of plugins that actions without a form of their own show.
#[derive(Clone, Debug, Default)]
pub struct Forms(HashMap<ActionId, UserInputs>);

/// The actions as they are on a snapshot, and what becomes of those whose templates follow a renaming.
#[derive(Debug)]
pub struct ActionsRenamed {
    before: Vec<Stamped<Action>>,
    permissions: HashMap<String, ActionPermissions>,
    /// Which of them change, and what they become.
    changed: Vec<(usize, Action)>,
}

impl ActionsRenamed {
    /// Lets the templates of all actions follow a renaming.
    ///
    /// # Errors
    /// [`Error::Conflict`] where a template may refer to what is renamed in a way that cannot be followed.
    pub fn follow(
        renaming: &Renaming,
        before: Vec<Stamped<Action>>,
        permissions: HashMap<String, ActionPermissions>,
        forms: &Forms,
        renamer: &Renamer,
    ) -> Result<Self, Error> {
        for (action, said) in &permissions {
            check_policies(renaming, renamer, action, said)?;
        }
        let mut changed = Vec::new();
        for (index, before) in before.iter().enumerate() {
            let mut after = before.value.clone();
            let form = before.value.user_inputs();
            let form = form.or_else(|| forms.0.get(&before.value.identifier));
            let follower = Follower {
                renaming,
                renamer,
                input: &shape_of(renaming, &before.value, form),
                action: &before.value.identifier,
            };
            let InvocationMethod::Plugin { inputs, .. } = &mut after.invocation_method;
            for (key, value) in inputs.iter_mut().flatten() {
                follower.follow(value, &child("/invocationMethod/inputs", key))?;
            }
            follower.follow_form(&mut after, form)?;
            if after != before.value {
                changed.push((index, rule::check(after)?));
            }
        }
        Ok(Self {
            before,
            permissions,
            changed,
        })
    }

    /// Whether the actions are as they were when their templates followed.
    pub fn still_holds(&self, tx: &ReadTx<'_>) -> Result<bool, Error> {
        Ok(tx.list_actions()? == self.before && tx.list_action_permissions()? == self.permissions)
    }

    /// Puts the changed actions in place, where this [still holds](Self::still_holds), within a caller's transaction: an
    /// `Err` must undo it.
    pub fn carry_out(&self, tx: &WriteTx<'_>, actor: &Actor) -> Result<(), Error> {
        for (index, after) in &self.changed {
            if let Some(before) = self.before.get(*index) {
                definition::update(tx, actor, before, after)?;
            }
        }
        Ok(())
    }
}

/// Bytes of the longest template or filter of some actions and of what was said of who may start them.
pub fn longest_template(
    actions: &[Stamped<Action>],
    permissions: &HashMap<String, ActionPermissions>,
) -> usize {
    let policies = permissions.values().flat_map(|said| {
        ActionRight::ALL.into_iter().flat_map(|right| {
            let policy = said.grant(right).policy;
            policy
                .map(|policy| filters_of(right, &policy))
                .unwrap_or_default()
        })
    });
    let mut longest = policies.map(|(_, filter)| filter.len()).max().unwrap_or(0);
    for action in actions {
        let InvocationMethod::Plugin { inputs, .. } = &action.value.invocation_method;
        for value in inputs.iter().flat_map(Map::values) {
            // A template is shorter than the text in which it stands.
            let visit = &mut |_: &str, text: &str| {
                longest = longest.max(text.len());
                Ok::<_, Infallible>(())
            };
            let Ok(()) = template::for_each_string(value, "", visit);
        }
        if let Some(form) = action.value.user_inputs() {
            longest = longest.max(longest_filter(form));
        }
    }
    longest
}

impl Actions {
    /// What no transaction can wait for: the forms that only plugins know.
    pub async fn find_forms(&self) -> Result<Forms, Error> {
        let mut forms = Forms::default();
        let actions = self.inner.store.read(|tx| tx.list_actions()).await?;
        for action in actions.into_iter().map(|action| action.value) {
            if action.user_inputs().is_none()
                && let Ok(form) = self.find_form(&action).await
            {
                forms.0.insert(action.identifier, form);
            }
        }
        Ok(forms)
    }
}

/// What is known of what the templates of an action read.
fn shape_of(renaming: &Renaming, action: &Action, form: Option<&UserInputs>) -> Shape {
    let entity = renaming.what.shape_of_entity();
    let mut fields = vec![("inputs".to_owned(), shape_of_inputs(renaming, form))];
    if action.blueprint() == Some(&renaming.blueprint) {
        fields.push(("entity".to_owned(), entity));
    }
    Shape::Fields(fields)
}

/// What is known of what the filters of a form read.
fn shape_of_form(renaming: &Renaming, action: &Action, form: Option<&UserInputs>) -> Shape {
    let entity = renaming.what.shape_of_entity();
    let mut fields = vec![("form".to_owned(), shape_of_inputs(renaming, form))];
    if action.blueprint() == Some(&renaming.blueprint) {
        fields.push(("entity".to_owned(), entity.clone()));
    }
    if renaming.blueprint.as_str() == USERS {
        fields.push(("user".to_owned(), entity));
    }
    Shape::Fields(fields)
}

/// What is known of inputs in which entities stand whole.
fn shape_of_inputs(renaming: &Renaming, form: Option<&UserInputs>) -> Shape {
    let entity = renaming.what.shape_of_entity();
    let is_it = |schema: &Value| {
        let text = |key| schema.get(key).and_then(Value::as_str);
        text("format") == Some("entity") && text("blueprint") == Some(renaming.blueprint.as_str())
    };
    match form {
        Some(form) => {
            let expanded = form.properties.iter().filter_map(|(name, input)| {
                let shape = if is_it(input) {
                    entity.clone()
                } else if input.get("items").is_some_and(is_it) {
                    Shape::Each(Box::new(entity.clone()))
                } else {
                    return None;
                };
                Some((name.clone(), shape))
            });
            Shape::Fields(expanded.collect())
        }
        // Whatever its inputs are called, any of them may be an entity.
        None => Shape::Values(Box::new(Shape::Unknown)),
    }
}

/// Refuses a renaming of what a policy may read: who may do what is not changed on the side.
fn check_policies(
    renaming: &Renaming,
    renamer: &Renamer,
    action: &str,
    said: &ActionPermissions,
) -> Result<(), Error> {
    let Renaming {
        blueprint,
        from,
        to,
        ..
    } = renaming;
    let unknown = |name: &str| (name.to_owned(), Shape::Unknown);
    let mut fields: Vec<_> = ["results", "inputs", "entity", "blueprint"]
        .map(unknown)
        .into();
    if blueprint.as_str() == USERS {
        fields.extend(["user", "trigger"].map(unknown));
    }
    let shape = Shape::Fields(fields);
    for right in ActionRight::ALL {
        let Some(policy) = said.grant(right).policy else {
            continue;
        };
        let reads = |filter: &String| {
            let followed = renamer.rename(filter, &shape, from, to);
            followed.map_or(true, |followed| followed != *filter)
        };
        let named = policy.queries.values().any(|query| may_name(query, from));
        if named
            || filters_of(right, &policy)
                .iter()
                .any(|(_, filter)| reads(filter))
        {
            return Err(Error::Conflict {
                code: "has_dependents",
                message: format!(
                    "`{from}` of blueprint `{blueprint}` is not renamed: the policy of `{}` of the permissions of action `{action}` may read it; change it first",
                    right.as_str()
                ),
            });
        }
    }
    Ok(())
}

/// Whether any text of a query is a name, or a path that leads over it.
fn may_name(query: &Value, name: &str) -> bool {
    match query {
        Value::String(text) => text.split('.').any(|step| step == name),
        Value::Array(list) => list.iter().any(|value| may_name(value, name)),
        Value::Object(object) => object.values().any(|value| may_name(value, name)),
        _ => false,
    }
}

/// Puts the new name into the templates of one action.
struct Follower<'a> {
    renaming: &'a Renaming,
    renamer: &'a Renamer,
    input: &'a Shape,
    action: &'a ActionId,
}

impl Follower<'_> {
    /// Every filter of the action's own form, and the queries that it holds.
    fn follow_form(&self, action: &mut Action, form: Option<&UserInputs>) -> Result<(), Error> {
        let shape = shape_of_form(self.renaming, action, form);
        let path = "/trigger/condition";
        if action.blueprint() == Some(&self.renaming.blueprint)
            && let Some(condition) = action.condition()
        {
            self.keep_out_of(condition, path)?;
        }
        let Trigger::SelfService { user_inputs, .. } = &mut action.trigger;
        let Some(inputs) = user_inputs else {
            return Ok(());
        };
        let path = "/trigger/userInputs";
        if let Required::Computed { jq_query } = &mut inputs.required {
            *jq_query = self.follow_filter(jq_query, &shape, &format!("{path}/required"))?;
        }
        for (name, input) in &mut inputs.properties {
            let path = child("/trigger/userInputs/properties", name);
            for holder in [Some(&*input), input.get("items")].into_iter().flatten() {
                let blueprint = holder.get("blueprint").and_then(Value::as_str);
                if blueprint == Some(self.renaming.blueprint.as_str())
                    && let Some(dataset) = holder.get("dataset")
                {
                    self.keep_out_of(dataset, &format!("{path}/dataset"))?;
                }
            }
            self.follow_filters(input, &shape, &path)?;
        }
        for (key, value) in &mut inputs.extra {
            if matches!(key.as_str(), "steps" | "titles") {
                self.follow_filters(value, &shape, &child(path, key))?;
            }
        }
        Ok(())
    }

    /// Every `{"jqQuery": …}` below a value.
    fn follow_filters(&self, value: &mut Value, shape: &Shape, path: &str) -> Result<(), Error> {
        match value {
            Value::Object(object) => object.iter_mut().try_for_each(|(key, value)| match value {
                Value::String(filter) if key == "jqQuery" => {
                    *filter = self.follow_filter(filter, shape, path)?;
                    Ok(())
                }
                value => self.follow_filters(value, shape, &child(path, key)),
            }),
            Value::Array(list) => list.iter_mut().enumerate().try_for_each(|(index, value)| {
                self.follow_filters(value, shape, &format!("{path}/{index}"))
            }),
            _ => Ok(()),
        }
    }

    fn follow_filter(&self, filter: &str, shape: &Shape, path: &str) -> Result<String, Error> {
        let Renaming { from, to, .. } = self.renaming;
        let followed = self.renamer.rename(filter, shape, from, to);
        followed.map_err(|why| self.refuse(&format!("the filter at `{path}`"), &why.to_string()))
    }

    /// Refuses a renaming of what a query may name.
    fn keep_out_of(&self, query: &Value, path: &str) -> Result<(), Error> {
        if may_name(query, &self.renaming.from) {
            return Err(self.refuse(&format!("the query at `{path}`"), "names it"));
        }
        Ok(())
    }

    fn refuse(&self, what: &str, why: &str) -> Error {
        let Renaming {
            blueprint, from, ..
        } = self.renaming;
        Error::Conflict {
            code: "has_dependents",
            message: format!(
                "`{from}` of blueprint `{blueprint}` is not renamed: {what} of action `{}` {why}; change it first",
                self.action
            ),
        }
    }

    /// Every template below a value.
    fn follow(&self, value: &mut Value, path: &str) -> Result<(), Error> {
        match value {
            Value::String(text) => {
                let Renaming {
                    blueprint,
                    from,
                    to,
                    ..
                } = self.renaming;
                let followed = template::map_expressions(text, |expression| {
                    self.renamer.rename(expression, self.input, from, to)
                });
                *text = followed.map_err(|why| Error::Conflict {
                    code: "has_dependents",
                    message: format!(
                        "`{from}` of blueprint `{blueprint}` is not renamed: the template at `{path}` of action `{}` {why}; change it first",
                        self.action
                    ),
                })?;
                Ok(())
            }
            Value::Array(list) => list
                .iter_mut()
                .enumerate()
                .try_for_each(|(index, value)| self.follow(value, &format!("{path}/{index}"))),
            Value::Object(object) => object
                .iter_mut()
                .try_for_each(|(key, value)| self.follow(value, &child(path, key))),
            _ => Ok(()),
        }
    }
}
