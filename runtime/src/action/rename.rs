//! Another name for a part of a blueprint, in the templates that read it.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::rule::child;
use super::{Actions, Error, definition, rule, template};
use crate::catalog::Renamed;
use crate::jq::name::{self, Shape};
use crate::model::{Action, ActionId, Actor, BlueprintId, InvocationMethod, UserInputs};
use crate::store::WriteTx;

/// The forms of plugins that actions without a form of their own show.
#[derive(Clone, Debug, Default)]
pub struct Forms(HashMap<ActionId, UserInputs>);

/// One renaming.
#[derive(Clone, Copy, Debug)]
pub struct Renaming<'a> {
    /// The blueprint in which a part gets another name.
    pub blueprint: &'a BlueprintId,
    /// What kind of part.
    pub what: Renamed,
    /// Its name so far.
    pub from: &'a str,
    /// Its name from now on.
    pub to: &'a str,
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

    /// Lets the templates of all actions follow a renaming, within a caller's transaction: an `Err` must undo it.
    ///
    /// # Errors
    /// [`Error::Conflict`] where a template may refer to what is renamed in a way that cannot be followed.
    pub fn rename_in(
        &self,
        tx: &WriteTx<'_>,
        actor: &Actor,
        renaming: Renaming<'_>,
        forms: &Forms,
    ) -> Result<(), Error> {
        for before in tx.list_actions()? {
            let mut after = before.value.clone();
            let form = before.value.user_inputs();
            let form = form.or_else(|| forms.0.get(&before.value.identifier));
            let input = renaming.shape_of(&before.value, form);
            let InvocationMethod::Plugin { inputs, .. } = &mut after.invocation_method;
            for (key, value) in inputs.iter_mut().flatten() {
                let path = child("/invocationMethod/inputs", key);
                renaming.follow(value, &path, &input, &before.value.identifier)?;
            }
            if after != before.value {
                let after = rule::check(after)?;
                definition::update(tx, actor, &before, &after)?;
            }
        }
        Ok(())
    }
}

impl Renaming<'_> {
    /// What is known of what the templates of an action read.
    fn shape_of(self, action: &Action, form: Option<&UserInputs>) -> Shape {
        let entity = self.what.shape_of_entity();
        let is_it = |schema: &Value| {
            let text = |key| schema.get(key).and_then(Value::as_str);
            text("format") == Some("entity") && text("blueprint") == Some(self.blueprint.as_str())
        };
        let inputs = match form {
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
        };
        let mut fields = vec![("inputs".to_owned(), inputs)];
        if action.blueprint() == Some(self.blueprint) {
            fields.push(("entity".to_owned(), entity));
        }
        Shape::Fields(fields)
    }

    /// Puts the new name into every template below a value.
    fn follow(
        self,
        value: &mut Value,
        path: &str,
        input: &Shape,
        action: &ActionId,
    ) -> Result<(), Error> {
        match value {
            Value::String(text) => {
                let followed = template::map_expressions(text, |expression| {
                    name::rename(expression, input, self.from, self.to)
                });
                *text = followed.map_err(|why| Error::Conflict {
                    code: "has_dependents",
                    message: format!(
                        "`{}` of blueprint `{}` is not renamed: the template at `{path}` of action `{action}` {why}; change it first",
                        self.from, self.blueprint
                    ),
                })?;
                Ok(())
            }
            Value::Array(list) => list.iter_mut().enumerate().try_for_each(|(index, value)| {
                self.follow(value, &format!("{path}/{index}"), input, action)
            }),
            Value::Object(object) => self.follow_all(object, path, input, action),
            _ => Ok(()),
        }
    }

    fn follow_all(
        self,
        object: &mut Map<String, Value>,
        path: &str,
        input: &Shape,
        action: &ActionId,
    ) -> Result<(), Error> {
        object
            .iter_mut()
            .try_for_each(|(key, value)| self.follow(value, &child(path, key), input, action))
    }
}
