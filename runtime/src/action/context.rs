//! What a template can read: the run, its inputs, who asked, and the entity that it works on.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::input::{BASE, named_entities};
use super::render::Unrendered;
use super::{Actions, Error};
use crate::catalog;
use crate::jq::{Expression, JqError};
use crate::model::{Action, BlueprintId, EntityId, InvocationMethod, Run, UserInputs};

impl Actions {
    /// The plugin's input: the mapping with its templates rendered, or the run's own inputs where there is none.
    pub(super) async fn render(
        &self,
        run: &Run,
        definition: &Action,
        entity: Option<&Value>,
    ) -> Result<Result<Value, Unrendered>, Error> {
        let InvocationMethod::Plugin { inputs, .. } = &definition.invocation_method;
        let Some(mapping) = inputs else {
            return Ok(Ok(Value::Object(run.properties.clone())));
        };
        let mapping = Value::Object(mapping.clone());
        let expressions = match super::render::expressions(&mapping) {
            Ok(expressions) if expressions.is_empty() => return Ok(Ok(mapping)),
            Ok(expressions) => expressions,
            Err(unrendered) => return Ok(Err(unrendered)),
        };
        let context = Arc::new(self.context(run, definition, entity).await?);
        let batch = expressions
            .iter()
            .map(|(_, filter)| Expression {
                filter: filter.clone(),
                input: Arc::clone(&context),
            })
            .collect();
        let results = self.inner.jq.eval(batch).await;
        let mut values = Vec::new();
        for ((path, filter), result) in expressions.into_iter().zip(results) {
            match result {
                Ok(value) => values.push(value),
                Err(error) => {
                    let is_host = matches!(error, JqError::Unavailable(_));
                    return Ok(Err(Unrendered {
                        path,
                        expression: filter,
                        reason: error.to_string(),
                        is_host,
                    }));
                }
            }
        }
        Ok(super::render::fill_in(&mapping, values))
    }

    /// The entity that a run works on, as the API shows it; absent when it is gone by now.
    pub(super) async fn find_subject(&self, run: &Run) -> Result<Option<Value>, Error> {
        match (&run.blueprint, &run.entity) {
            (Some(blueprint), Some(entity)) => self.find_shown(blueprint, entity).await,
            _ => Ok(None),
        }
    }

    /// An entity as the API shows it, whoever asks; absent when it is gone by now.
    pub(super) async fn find_shown(
        &self,
        blueprint: &BlueprintId,
        entity: &EntityId,
    ) -> Result<Option<Value>, Error> {
        match self.inner.catalog.find_entity(blueprint, entity).await {
            Ok(entity) => Ok(serde_json::to_value(entity).ok()),
            Err(catalog::Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn context(
        &self,
        run: &Run,
        definition: &Action,
        entity: Option<&Value>,
    ) -> Result<Value, Error> {
        Ok(json!({
            "inputs": self.expand_entities(run, definition).await?,
            "trigger": {
                "by": { "user": {
                    "email": run.created_by,
                    "name": run.created_by,
                    "mainRole": run.created_by_role,
                    "teams": run.created_by_teams,
                } },
                "at": run.created_at,
                "origin": "API",
            },
            "run": { "id": run.id },
            "entity": entity,
            "action": {
                "identifier": definition.identifier,
                "title": definition.title,
                "blueprint": definition.blueprint(),
                "operation": definition.operation(),
            },
        }))
    }

    async fn expand_entities(
        &self,
        run: &Run,
        definition: &Action,
    ) -> Result<Map<String, Value>, Error> {
        // Without its form an input's format is not known; the plugin itself will refuse the call then.
        let Ok(form) = self.find_form(definition).await else {
            return Ok(run.properties.clone());
        };
        self.expand(&form, &run.properties).await
    }

    /// Inputs with whole entities in place of the identifiers of those that are of format `entity`. One that is gone by
    /// now keeps its identifier alone.
    pub(super) async fn expand(
        &self,
        form: &UserInputs,
        properties: &Map<String, Value>,
    ) -> Result<Map<String, Value>, Error> {
        let mut inputs = properties.clone();
        for (path, blueprint, text) in named_entities(form, properties) {
            let Ok(id) = EntityId::parse(text) else {
                continue;
            };
            let shown = self.find_shown(&blueprint, &id).await?;
            let shown =
                shown.unwrap_or_else(|| json!({ "identifier": id, "blueprint": blueprint }));
            replace(
                &mut inputs,
                path.strip_prefix(BASE).unwrap_or_default(),
                shown,
            );
        }
        Ok(inputs)
    }
}

/// Puts a value at `/name` or `/name/index`.
pub(super) fn replace(inputs: &mut Map<String, Value>, pointer: &str, value: Value) {
    let mut steps = pointer
        .split('/')
        .skip(1)
        .map(|step| step.replace("~1", "/").replace("~0", "~"));
    let place = steps.next().and_then(|name| inputs.get_mut(&name));
    let place = match (steps.next(), place) {
        (Some(index), Some(list)) => index
            .parse()
            .ok()
            .and_then(|index: usize| list.get_mut(index)),
        (_, place) => place,
    };
    if let Some(place) = place {
        *place = value;
    }
}
