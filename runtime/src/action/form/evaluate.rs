//! Working out a form, level by level.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::filter::{self, INPUTS, is_computed};
use super::order::levels;
use crate::action::input::{BASE, MAX_ENTITIES, named_entities};
use crate::action::rule::{child, kind};
use crate::action::{Actions, Error};
use crate::catalog::{self, Values};
use crate::jq::Expression;
use crate::model::{Action, Actor, BlueprintId, EntityId, Required, UserInputs, Violation};

/// Values that a worked out `enum` may have.
const MAX_ENUM: usize = 1_000;

/// How long jq may work on one form, all levels together.
const TIME: Duration = Duration::from_secs(10);

/// One input of a form, nothing of it open any more.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct EvaluatedInput {
    /// Whether it is shown. A value for one that is not is refused.
    pub visible: bool,
    /// Whether its value may not be changed from its default.
    pub disabled: bool,
    /// Whether it has to be given.
    pub required: bool,
    /// The value that it has where none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub default: Option<Value>,
    /// What a value has to be like, as JSON Schema: with the `enum`, `pattern` and bounds that hold now.
    #[schema(value_type = Object)]
    pub schema: Value,
}

/// A form, nothing of it open any more.
#[derive(Clone, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct EvaluatedForm {
    /// The inputs by name.
    #[schema(value_type = Object)]
    pub inputs: IndexMap<String, EvaluatedInput>,
    /// Which of the steps are shown, in order.
    pub steps: Vec<bool>,
    /// Which of the blocks of text are shown, by name.
    #[schema(value_type = Object)]
    pub titles: IndexMap<String, bool>,
    /// What was given, and the defaults of what was not.
    #[schema(value_type = Object)]
    pub properties: Map<String, Value>,
    /// What cannot be worked out, and values that were given where none may be.
    pub violations: Vec<Violation>,
}

/// Whom a form is worked out for, and what it is about.
#[derive(Clone, Copy)]
pub(in crate::action) struct Filled<'a> {
    pub(in crate::action) person: &'a Actor,
    pub(in crate::action) definition: &'a Action,
    pub(in crate::action) form: &'a UserInputs,
    pub(in crate::action) entity: Option<&'a EntityId>,
}

/// What filters read, made when the first of them needs it.
pub(in crate::action) struct Reading<'a> {
    actions: &'a Actions,
    filled: Filled<'a>,
    fixed: Option<(Value, Value)>,
    entities: HashMap<(BlueprintId, EntityId), Value>,
    deadline: Instant,
}

impl<'a> Reading<'a> {
    pub(in crate::action) fn new(actions: &'a Actions, filled: Filled<'a>) -> Self {
        Self {
            actions,
            filled,
            fixed: None,
            entities: HashMap::new(),
            deadline: Instant::now() + TIME,
        }
    }

    /// The value of each filter, or why it has none; in order.
    pub(in crate::action) async fn eval(
        &mut self,
        filters: &[(String, String)],
        properties: &Map<String, Value>,
    ) -> Result<Vec<Result<Value, Violation>>, Error> {
        if filters.is_empty() {
            return Ok(Vec::new());
        }
        let context = Arc::new(self.context(properties).await?);
        let batch = filters
            .iter()
            .map(|(_, filter)| Expression {
                filter: filter.clone(),
                input: Arc::clone(&context),
            })
            .collect();
        let left = self.deadline.saturating_duration_since(Instant::now());
        let results = self.actions.inner.jq.eval_within(batch, left).await;
        let told = filters.iter().zip(results).map(|((path, filter), result)| {
            result.map_err(|error| {
                let message = format!("`{filter}` has no value: {error}");
                Violation::new(path, "jq", message)
            })
        });
        Ok(told.collect())
    }

    async fn context(&mut self, properties: &Map<String, Value>) -> Result<Value, Error> {
        let (entity, user) = match &self.fixed {
            Some(fixed) => fixed.clone(),
            None => {
                let Filled {
                    person,
                    definition,
                    entity,
                    ..
                } = self.filled;
                let entity = match (definition.blueprint(), entity) {
                    (Some(blueprint), Some(id)) => self.find(blueprint, id).await?,
                    _ => None,
                };
                let user = self.actions.describe_person(person).await?;
                let fixed = (entity.unwrap_or_default(), user);
                self.fixed = Some(fixed.clone());
                fixed
            }
        };
        let mut form = properties.clone();
        for (path, blueprint, text) in named_entities(self.filled.form, properties) {
            let Ok(id) = EntityId::parse(text) else {
                continue;
            };
            let found = self.find(&blueprint, &id).await?;
            let shown =
                found.unwrap_or_else(|| json!({ "identifier": id, "blueprint": blueprint }));
            let pointer = path.strip_prefix(BASE).unwrap_or_default();
            crate::action::context::replace(&mut form, pointer, shown);
        }
        Ok(json!({ "form": form, "entity": entity, "user": user }))
    }

    /// An entity as the person sees it: what a form works out is shown to them.
    async fn find(
        &mut self,
        blueprint: &BlueprintId,
        id: &EntityId,
    ) -> Result<Option<Value>, Error> {
        let key = (blueprint.clone(), id.clone());
        if let Some(known) = self.entities.get(&key) {
            return Ok(Some(known.clone()));
        }
        let catalog = &self.actions.inner.catalog;
        let found = catalog.find_entity_for(self.filled.person, blueprint, id, Values::All);
        match found.await {
            Ok(found) => {
                let shown = json!(found);
                self.entities.insert(key, shown.clone());
                Ok(Some(shown))
            }
            Err(catalog::Error::NotFound(_) | catalog::Error::Forbidden(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Actions {
    /// Works a form out for what was given so far.
    pub(in crate::action) async fn evaluate_form(
        &self,
        reading: &mut Reading<'_>,
        given: Map<String, Value>,
    ) -> Result<EvaluatedForm, Error> {
        let form = reading.filled.form;
        let mut done = EvaluatedForm {
            properties: given.clone(),
            ..EvaluatedForm::default()
        };
        for (name, input) in &form.properties {
            done.inputs.insert(name.clone(), start(input));
        }
        // Filters see each of them whole, so that the number of them is bounded before the first is read.
        let named = named_entities(form, &given).len();
        if named > MAX_ENTITIES {
            let message = format!(
                "the inputs of one run may name {MAX_ENTITIES} entities; these name {named}"
            );
            done.violations
                .push(Violation::new(BASE, "maxItems", message));
            return Ok(done);
        }
        let levels = match levels(&form.properties) {
            Ok(levels) => levels,
            Err(unordered) => {
                let path = format!("{}/dependsOn", child(INPUTS, &unordered.input));
                done.violations
                    .push(Violation::new(path, "dependsOn", unordered.message));
                return Ok(done);
            }
        };
        for level in levels {
            let mut places = Vec::new();
            let mut filters = Vec::new();
            for name in &level {
                let Some(input) = form.properties.get(*name) else {
                    continue;
                };
                for (key, filter) in filter::of_input(input) {
                    places.push((*name, key));
                    filters.push((format!("{}/{key}", child(INPUTS, name)), filter.to_owned()));
                }
            }
            let values = reading.eval(&filters, &done.properties).await?;
            for (((name, key), (path, _)), value) in places.iter().zip(&filters).zip(values) {
                let Some(input) = done.inputs.get_mut(*name) else {
                    continue;
                };
                let applied = value.and_then(|value| apply(input, key, value, path));
                done.violations.extend(applied.err());
            }
            for name in level {
                settle(&mut done, name, &given);
            }
        }
        self.evaluate_pages(reading, &mut done, &given).await?;
        Ok(done)
    }

    /// What can only be said once all inputs are known: which steps there are, and what has to be given.
    async fn evaluate_pages(
        &self,
        reading: &mut Reading<'_>,
        done: &mut EvaluatedForm,
        given: &Map<String, Value>,
    ) -> Result<(), Error> {
        let form = reading.filled.form;
        let visible = filter::visible_of(&form.extra);
        let mut filters: Vec<(String, String)> = visible
            .iter()
            .filter_map(|(path, visible)| Some((path.clone(), is_computed(visible)?.to_owned())))
            .collect();
        if let Required::Computed { jq_query } = &form.required {
            filters.push(("/trigger/userInputs/required".to_owned(), jq_query.clone()));
        }
        let mut shown: HashMap<String, bool> = visible
            .iter()
            .filter_map(|(path, visible)| Some((path.clone(), visible.as_bool()?)))
            .collect();
        let mut required: Vec<String> = form.required.names().to_vec();
        let values = reading.eval(&filters, &done.properties).await?;
        for ((path, _), value) in filters.iter().zip(values) {
            let is_required = path == "/trigger/userInputs/required";
            let read = value.and_then(|value| {
                if is_required {
                    required = names(&value, path)?;
                } else {
                    shown.insert(path.clone(), boolean(&value, path)?);
                }
                Ok(())
            });
            done.violations.extend(read.err());
        }
        self::pages(form, &shown, done, given);
        for name in required {
            match done.inputs.get_mut(&name) {
                Some(input) => input.required = input.visible,
                None => {
                    let name: String = name.chars().take(64).collect();
                    let message = format!("it names `{name}`, which is not an input of this form");
                    let path = "/trigger/userInputs/required";
                    done.violations
                        .push(Violation::new(path, "unknown", message));
                }
            }
        }
        Ok(())
    }
}

/// An input before anything of it is worked out.
fn start(input: &Value) -> EvaluatedInput {
    let literal = |key: &str| input.get(key).filter(|value| is_computed(value).is_none());
    EvaluatedInput {
        visible: literal("visible").and_then(Value::as_bool).unwrap_or(true),
        disabled: literal("disabled")
            .and_then(Value::as_bool)
            .unwrap_or(false),
        required: false,
        default: literal("default").cloned(),
        schema: filter::without_computed(input),
    }
}

/// Puts what was worked out in its place.
fn apply(input: &mut EvaluatedInput, key: &str, value: Value, path: &str) -> Result<(), Violation> {
    let expected = |what: &str| {
        let message = format!("the filter gives {}, not {what}", kind(&value));
        Err(Violation::new(path, "type", message))
    };
    match key {
        "visible" => input.visible = boolean(&value, path)?,
        "disabled" => input.disabled = boolean(&value, path)?,
        // A default that comes to nothing is none.
        "default" => input.default = Some(value).filter(|value| !value.is_null()),
        "enum" | "items/enum" => {
            let fits = value.as_array().is_some_and(|list| list.len() <= MAX_ENUM);
            if !fits {
                return expected(&format!("a list of at most {MAX_ENUM} values"));
            }
            let holder = match key {
                "enum" => Some(&mut input.schema),
                _ => input.schema.get_mut("items"),
            };
            if let Some(holder) = holder.and_then(Value::as_object_mut) {
                holder.insert("enum".to_owned(), value);
            }
        }
        "pattern" if !value.is_string() => return expected("a regular expression"),
        _ if key != "pattern" && !value.is_number() => return expected("a number"),
        _ => {
            if let Some(schema) = input.schema.as_object_mut() {
                schema.insert(key.to_owned(), value);
            }
        }
    }
    Ok(())
}

/// Gives an input its value, once it is known what it is like.
fn settle(done: &mut EvaluatedForm, name: &str, given: &Map<String, Value>) {
    let Some(input) = done.inputs.get(name) else {
        return;
    };
    let value = given.get(name);
    // What it has anyway may be said: whoever starts a run once more says all that it had.
    let differs = value.is_some() && value != input.default.as_ref();
    if differs && !input.visible {
        done.violations.push(hidden(name));
    } else if differs && input.disabled {
        let message = "this input cannot be changed here; leave it out to have its default";
        done.violations
            .push(Violation::new(child(BASE, name), "disabled", message));
    }
    if value.is_none() || !input.visible {
        match &input.default {
            Some(default) => done.properties.insert(name.to_owned(), default.clone()),
            None => done.properties.remove(name),
        };
    }
}

fn hidden(name: &str) -> Violation {
    let message = "this input is not shown here; leave it out";
    Violation::new(child(BASE, name), "hidden", message)
}

/// Which steps and blocks of text there are; an input that stands in hidden steps only is hidden.
fn pages(
    form: &UserInputs,
    shown: &HashMap<String, bool>,
    done: &mut EvaluatedForm,
    given: &Map<String, Value>,
) {
    let is_shown = |path: &str| shown.get(path).copied().unwrap_or(true);
    let mut reachable: HashMap<&str, bool> = HashMap::new();
    let steps = form.extra.get("steps").and_then(Value::as_array);
    for (index, step) in steps.into_iter().flatten().enumerate() {
        let visible = is_shown(&format!("/trigger/userInputs/steps/{index}/visible"));
        done.steps.push(visible);
        let order = step.get("order").and_then(Value::as_array);
        for name in order.into_iter().flatten().filter_map(Value::as_str) {
            *reachable.entry(name).or_default() |= visible;
        }
    }
    for (name, _) in reachable.into_iter().filter(|(_, visible)| !visible) {
        let Some(input) = done.inputs.get_mut(name).filter(|input| input.visible) else {
            continue;
        };
        input.visible = false;
        if let Some(value) = given.get(name) {
            let differs = Some(value) != input.default.as_ref();
            match &input.default {
                Some(default) => done.properties.insert(name.to_owned(), default.clone()),
                None => done.properties.remove(name),
            };
            if differs {
                done.violations.push(hidden(name));
            }
        }
    }
    let titles = form.extra.get("titles").and_then(Value::as_object);
    for name in titles.into_iter().flat_map(Map::keys) {
        let path = format!("{}/visible", child("/trigger/userInputs/titles", name));
        done.titles.insert(name.clone(), is_shown(&path));
    }
}

fn boolean(value: &Value, path: &str) -> Result<bool, Violation> {
    value.as_bool().ok_or_else(|| {
        let message = format!("the filter gives {}, not true or false", kind(value));
        Violation::new(path, "type", message)
    })
}

fn names(value: &Value, path: &str) -> Result<Vec<String>, Violation> {
    let list = value.as_array();
    let names = list.and_then(|list| {
        let names = list.iter().map(|name| name.as_str().map(str::to_owned));
        names.collect::<Option<Vec<_>>>()
    });
    names.ok_or_else(|| {
        let message = format!(
            "the filter gives {}, not a list of names of inputs",
            kind(value)
        );
        Violation::new(path, "type", message)
    })
}
