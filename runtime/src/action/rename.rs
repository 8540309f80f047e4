//! Another name for a part of a blueprint, in the templates that read it.

use std::collections::HashMap;
use std::convert::Infallible;

use serde_json::{Map, Value};

use super::rule::child;
use super::{Actions, Error, definition, rule, template};
use crate::catalog::Renaming;
use crate::jq::name::{Renamer, Shape};
use crate::model::{Action, ActionId, Actor, InvocationMethod, Stamped, UserInputs};
use crate::store::{ReadTx, WriteTx};

/// The forms of plugins that actions without a form of their own show.
#[derive(Clone, Debug, Default)]
pub struct Forms(HashMap<ActionId, UserInputs>);

/// The actions as they are on a snapshot, and what becomes of those whose templates follow a renaming.
#[derive(Debug)]
pub struct ActionsRenamed {
    before: Vec<Stamped<Action>>,
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
        forms: &Forms,
        renamer: &Renamer,
    ) -> Result<Self, Error> {
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
            if after != before.value {
                changed.push((index, rule::check(after)?));
            }
        }
        Ok(Self { before, changed })
    }

    /// Whether the actions are as they were when their templates followed.
    pub fn still_holds(&self, tx: &ReadTx<'_>) -> Result<bool, Error> {
        Ok(tx.list_actions()? == self.before)
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

/// Bytes of the longest template of some actions.
pub fn longest_template(actions: &[Stamped<Action>]) -> usize {
    let mut longest = 0;
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
    let is_it = |schema: &Value| {
        let text = |key| schema.get(key).and_then(Value::as_str);
        text("format") == Some("entity") && text("blueprint") == Some(renaming.blueprint.as_str())
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
    if action.blueprint() == Some(&renaming.blueprint) {
        fields.push(("entity".to_owned(), entity));
    }
    Shape::Fields(fields)
}

/// Puts the new name into the templates of one action.
struct Follower<'a> {
    renaming: &'a Renaming,
    renamer: &'a Renamer,
    input: &'a Shape,
    action: &'a ActionId,
}

impl Follower<'_> {
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
