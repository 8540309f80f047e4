//! Which parts of entities an answer shows, and how.

use std::collections::{HashMap, HashSet};

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::extract::Params;
use crate::app::{App, StoreError};
use crate::catalog::Error;
use crate::model::{BlueprintId, Entity, EntityJson, Stamped, Violation};

/// Parts that one request may name.
const MAX_PARTS: usize = 1_000;

/// What an answer shows of entities.
#[derive(Clone, Debug, Default)]
pub(in crate::api) struct Shape {
    include: Vec<String>,
    exclude: Vec<String>,
    /// Names of derived properties that are left out, by blueprint.
    derived: HashMap<BlueprintId, HashSet<String>>,
    titles: bool,
    mirrors: bool,
}

impl Shape {
    /// Reads it from the parameters of a request and, where they stand there, from its body.
    pub(in crate::api) async fn read(
        app: &App,
        params: &Params,
        body: &Map<String, Value>,
    ) -> Result<Self, ApiError> {
        let mut shape = Self::read_parts(params, body)?;
        if params.switch("exclude_calculated_properties") {
            for blueprint in app.catalog.list_blueprints().await? {
                let blueprint = blueprint.value;
                let names = ["calculationProperties", "mirrorProperties"]
                    .iter()
                    .filter_map(|key| blueprint.extra.get(*key)?.as_object())
                    .flat_map(|named| named.keys().cloned());
                shape
                    .derived
                    .insert(blueprint.identifier.clone(), names.collect());
            }
        }
        Ok(shape)
    }

    /// As [`Self::read`], where what is derived is left out before.
    pub(in crate::api) fn read_parts(
        params: &Params,
        body: &Map<String, Value>,
    ) -> Result<Self, ApiError> {
        Ok(Self {
            include: parts(params, body, "include")?,
            exclude: parts(params, body, "exclude")?,
            derived: HashMap::new(),
            titles: params.switch("attach_title_to_relation"),
            mirrors: params.switch("attach_identifier_to_title_mirror_properties"),
        })
    }

    /// Whether entities are shown as they are.
    pub(in crate::api) fn is_plain(&self) -> bool {
        self.include.is_empty()
            && self.exclude.is_empty()
            && self.derived.is_empty()
            && !self.titles
            && !self.mirrors
    }

    /// Entities that are JSON already, as the answer shows them.
    pub(in crate::api) async fn apply_to_json(
        &self,
        app: &App,
        caller: &Caller,
        entities: Vec<EntityJson>,
    ) -> Result<Vec<Box<RawValue>>, Error> {
        if self.is_plain() {
            return Ok(entities.into_iter().map(Box::from).collect());
        }
        let corrupt = |e| Error::from(StoreError::corrupt("entity", e));
        let read: Result<Vec<_>, _> = entities.iter().map(EntityJson::read).collect();
        let shown = self.apply(app, caller, &read.map_err(corrupt)?).await?;
        let written: Result<Vec<_>, _> = shown.iter().map(to_raw_value).collect();
        written.map_err(corrupt)
    }

    /// Entities as the answer shows them.
    pub(in crate::api) async fn apply(
        &self,
        app: &App,
        caller: &Caller,
        entities: &[Stamped<Entity>],
    ) -> Result<Vec<Value>, Error> {
        let titles = match self.titles {
            true => app.catalog.titles_of_targets(caller, entities).await?,
            false => HashMap::new(),
        };
        let mirrors = match self.mirrors {
            true => app.catalog.identify_mirrors(caller, entities).await?,
            false => HashMap::new(),
        };
        let mut shown = Vec::with_capacity(entities.len());
        for entity in entities {
            let mut value =
                serde_json::to_value(entity).map_err(|e| StoreError::corrupt("entity", e))?;
            let place = (
                entity.value.blueprint.clone(),
                entity.value.identifier.clone(),
            );
            for (name, identified) in mirrors.get(&place).into_iter().flatten() {
                let properties = value.get_mut("properties");
                if let Some(mirror) = properties.and_then(|properties| properties.get_mut(name)) {
                    mirror.clone_from(identified);
                }
            }
            self.leave_out_derived(entity, &mut value);
            if self.titles {
                for (name, to) in value
                    .get_mut("relations")
                    .and_then(Value::as_object_mut)
                    .into_iter()
                    .flatten()
                {
                    attach_titles(entity, name, to, &titles);
                }
            }
            shown.push(self.select(value));
        }
        Ok(shown)
    }

    fn leave_out_derived(&self, entity: &Stamped<Entity>, value: &mut Value) {
        let Some(names) = self.derived.get(&entity.value.blueprint) else {
            return;
        };
        if let Some(properties) = value.get_mut("properties").and_then(Value::as_object_mut) {
            properties.retain(|name, _| !names.contains(name));
        }
    }

    fn select(&self, mut value: Value) -> Value {
        if !self.include.is_empty() {
            let mut kept = Map::new();
            for part in &self.include {
                match part.split_once('.') {
                    None => {
                        if let Some(found) = value.get(part) {
                            kept.insert(part.clone(), found.clone());
                        }
                    }
                    Some((group, name)) => {
                        let found = value.get(group).and_then(|group| group.get(name)).cloned();
                        let group = kept.entry(group).or_insert_with(|| json!({}));
                        if let (Some(found), Some(group)) = (found, group.as_object_mut()) {
                            group.insert(name.to_owned(), found);
                        }
                    }
                }
            }
            value = Value::Object(kept);
        }
        for part in &self.exclude {
            let (fields, name) = match part.split_once('.') {
                None => (value.as_object_mut(), part.as_str()),
                Some((group, name)) => (value.get_mut(group).and_then(Value::as_object_mut), name),
            };
            if let Some(fields) = fields {
                fields.shift_remove(name);
            }
        }
        value
    }
}

fn attach_titles(
    entity: &Stamped<Entity>,
    relation: &str,
    to: &mut Value,
    titles: &HashMap<(BlueprintId, String, String), Option<String>>,
) {
    let attach = |id: &mut Value| {
        if let Some(text) = id.as_str() {
            let key = (
                entity.value.blueprint.clone(),
                relation.to_owned(),
                text.to_owned(),
            );
            *id = json!({"identifier": text, "title": titles.get(&key).cloned().flatten()});
        }
    };
    match to {
        Value::Array(ids) => ids.iter_mut().for_each(attach),
        id => attach(id),
    }
}

/// The parts under a name: a parameter that is repeated or holds commas, or a list in the body. A meta-property may be
/// written as in queries.
fn parts(params: &Params, body: &Map<String, Value>, name: &str) -> Result<Vec<String>, ApiError> {
    let mut parts = params.texts(name);
    match body.get(name) {
        None | Some(Value::Null) => {}
        Some(Value::Array(listed)) => {
            for (index, part) in listed.iter().enumerate() {
                let Some(part) = part.as_str() else {
                    let violation =
                        Violation::new(format!("/{name}/{index}"), "type", "must be a string");
                    return Err(ApiError::invalid("the body", vec![violation]));
                };
                parts.push(part.to_owned());
            }
        }
        Some(_) => {
            let violation = Violation::new(format!("/{name}"), "type", "must be a list of strings");
            return Err(ApiError::invalid("the body", vec![violation]));
        }
    }
    if parts.len() > MAX_PARTS {
        let message = format!("name at most {MAX_PARTS} parts");
        return Err(ApiError::bad_parameter(name, message));
    }
    Ok(parts
        .into_iter()
        .map(|part| part.trim_start_matches('$').to_owned())
        .collect())
}
