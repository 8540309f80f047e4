//! A run's inputs: the form worked out and defaults filled in, then every broken rule found.

use serde_json::{Map, Value};

use super::form::{EvaluatedForm, Filled, Reading};
use super::rule::{MAX_VIOLATIONS, child};
use super::{Actions, Error, schema};
use crate::catalog::{self, Values};
use crate::model::{Action, Actor, BlueprintId, EntityId, Operation, UserInputs, Violation};

/// JSON of one run's inputs. It is stored, rendered and handed to a guest: larger things belong in files.
const MAX_INPUT_BYTES: usize = 1024 * 1024;

/// Entities that one run's inputs may name; each is looked up.
pub(super) const MAX_ENTITIES: usize = 1_000;

pub(super) const BASE: &str = "/properties";

impl Actions {
    /// The inputs that a run is accepted with.
    pub(super) async fn check_inputs(
        &self,
        actor: &Actor,
        action: &Action,
        form: &UserInputs,
        properties: Map<String, Value>,
        entity: Option<&EntityId>,
    ) -> Result<Map<String, Value>, Error> {
        let filled = Filled {
            person: actor,
            definition: action,
            form,
            entity,
        };
        let subject = format!("a run of action `{}`", action.identifier);
        if let Some(violation) = check_size(&properties) {
            return Err(Error::Invalid {
                subject,
                violations: vec![violation],
            });
        }
        let mut reading = Reading::new(self, filled);
        let mut done = self.evaluate_form(&mut reading, properties).await?;
        let mut violations = std::mem::take(&mut done.violations);
        violations.extend(check_form(form, &done));
        if violations.is_empty() {
            let properties = &done.properties;
            violations.extend(self.check_entities(actor, form, properties).await?);
            if violations.is_empty() {
                let outside = self.check_datasets(&mut reading, filled, properties);
                violations.extend(outside.await?);
            }
        }
        match self.check_subject(actor, action, entity).await? {
            Some(violation) => violations.push(violation),
            None => violations.extend(self.check_condition(filled).await?),
        }
        violations.truncate(MAX_VIOLATIONS);
        if violations.is_empty() {
            return Ok(done.properties);
        }
        Err(Error::Invalid {
            subject,
            violations,
        })
    }

    /// The entity that the run works on is there, or none is named where none is worked on.
    pub(super) async fn check_subject(
        &self,
        actor: &Actor,
        action: &Action,
        entity: Option<&EntityId>,
    ) -> Result<Option<Violation>, Error> {
        let violation =
            |rule: &str, message: String| Ok(Some(Violation::new("/entity", rule, message)));
        match (action.operation(), action.blueprint(), entity) {
            (Operation::Create, _, None) => Ok(None),
            (Operation::Create, _, Some(_)) => violation(
                "unknown",
                "this action makes something new; it takes no entity".to_owned(),
            ),
            (Operation::DayTwo | Operation::Delete, Some(blueprint), Some(entity)) => {
                match self.find_for(actor, blueprint, entity).await {
                    Ok(_) => Ok(None),
                    Err(catalog::Error::NotFound(_)) => violation(
                        "entity",
                        format!("blueprint `{blueprint}` has no entity `{entity}`"),
                    ),
                    Err(error) => Err(error.into()),
                }
            }
            (Operation::DayTwo | Operation::Delete, blueprint, _) => {
                let blueprint = blueprint.map(ToString::to_string).unwrap_or_default();
                violation(
                    "required",
                    format!("this action works on an entity of blueprint `{blueprint}`; name it"),
                )
            }
        }
    }

    /// A run is about what its caller may see: its inputs show the entity to the plugin, and the plugin's answer to them.
    async fn find_for(
        &self,
        actor: &Actor,
        blueprint: &BlueprintId,
        entity: &EntityId,
    ) -> Result<(), catalog::Error> {
        let catalog = &self.inner.catalog;
        let found = catalog.find_entity_for(actor, blueprint, entity, Values::Own);
        found.await.map(|_| ())
    }

    /// Entities that inputs of format `entity` name are there.
    async fn check_entities(
        &self,
        actor: &Actor,
        form: &UserInputs,
        properties: &Map<String, Value>,
    ) -> Result<Vec<Violation>, Error> {
        let mut violations = Vec::new();
        let named = named_entities(form, properties);
        if named.len() > MAX_ENTITIES {
            let message = format!(
                "the inputs of one run may name {MAX_ENTITIES} entities; these name {}",
                named.len()
            );
            return Ok(vec![Violation::new(BASE, "maxItems", message)]);
        }
        for (path, blueprint, text) in named {
            let message = format!("blueprint `{blueprint}` has no such entity");
            let Ok(id) = EntityId::parse(text) else {
                violations.push(Violation::new(path, "entity", message));
                continue;
            };
            match self.find_for(actor, &blueprint, &id).await {
                Ok(_) => {}
                Err(catalog::Error::NotFound(_)) => {
                    violations.push(Violation::new(path, "entity", message))
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(violations)
    }
}

/// Refuses inputs that are too large, before anything looks at them.
pub(super) fn check_size(properties: &Map<String, Value>) -> Option<Violation> {
    let size = Value::Object(properties.clone()).to_string().len();
    let message = format!(
        "the inputs of one run may have {MAX_INPUT_BYTES} bytes of JSON; these have {size}"
    );
    (size > MAX_INPUT_BYTES).then(|| Violation::new(BASE, "size", message))
}

fn check_form(form: &UserInputs, done: &EvaluatedForm) -> Vec<Violation> {
    let properties = &done.properties;
    // Defaults count as well.
    if let Some(violation) = check_size(properties) {
        return vec![violation];
    }
    let value = Value::Object(properties.clone());
    let mut violations = Vec::new();
    for (name, _) in done.inputs.iter().filter(|(_, input)| input.required) {
        if !properties.contains_key(name) {
            violations.push(Violation::new(
                child(BASE, name),
                "required",
                format!("`{name}` is required"),
            ));
        }
    }
    for name in properties
        .keys()
        .filter(|name| !form.properties.contains_key(*name))
        .take(MAX_VIOLATIONS)
    {
        let known: Vec<&str> = form.properties.keys().map(String::as_str).collect();
        let message = if known.is_empty() {
            "this action takes no inputs".to_owned()
        } else {
            format!("this action has no such input; it has {}", known.join(", "))
        };
        violations.push(Violation::new(child(BASE, name), "unknown", message));
    }
    let schemas = done
        .inputs
        .iter()
        .map(|(name, input)| (name, &input.schema));
    match schema::compile(schemas, form.extra.get("$defs")) {
        Ok(schema) => violations.extend(schema.check(&value, BASE)),
        // A form is compiled when it is saved; a plugin's own one may still be beyond what is checked here.
        Err(refused) => violations.extend(refused.into_iter().map(|violation| {
            let message = format!("the action's form cannot be used: {}", violation.message);
            Violation::new(BASE, "schema", message)
        })),
    }
    violations
}

/// Path, blueprint and identifier of every entity that the inputs name.
pub(super) fn named_entities<'a>(
    form: &UserInputs,
    properties: &'a Map<String, Value>,
) -> Vec<(String, BlueprintId, &'a str)> {
    let blueprint = |schema: &Value| {
        let is_entity = schema.get("format").and_then(Value::as_str) == Some("entity");
        let name = schema
            .get("blueprint")
            .and_then(Value::as_str)
            .filter(|_| is_entity)?;
        BlueprintId::parse(name).ok()
    };
    let mut named = Vec::new();
    for (name, input) in &form.properties {
        let path = child(BASE, name);
        match properties.get(name) {
            Some(Value::String(text)) => {
                if let Some(blueprint) = blueprint(input) {
                    named.push((path, blueprint, text.as_str()));
                }
            }
            Some(Value::Array(list)) => {
                let Some(blueprint) = input.get("items").and_then(blueprint) else {
                    continue;
                };
                for (index, text) in list
                    .iter()
                    .enumerate()
                    .filter_map(|(index, value)| Some((index, value.as_str()?)))
                {
                    named.push((format!("{path}/{index}"), blueprint.clone(), text));
                }
            }
            _ => {}
        }
    }
    named
}
