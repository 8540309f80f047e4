//! Entities as they are read: a row and its edges, put together in the shape that the blueprint gives them.

mod bulk;
mod delete;
mod json;
mod lookup;
mod plan;
mod write;

use std::collections::HashMap;

use indexmap::IndexMap;
use serde_json::Map;

use super::kind::Kind;
use super::{Error, Values, derived};
use crate::model::{BlueprintId, Entity, EntityId, RelationValue, Stamped};
use crate::store::{EntityKey, EntityRow, ReadTx, Targets};

pub(super) use bulk::{prepare, write_all};
pub(super) use delete::{
    Emptied, MAX_DEPENDENTS, delete, delete_all_of, delete_many, delete_person, in_sight,
};
pub(super) use json::{Shown, show_all, visit};
pub(super) use lookup::{Lookup, asks};
pub(super) use plan::{People, Plan, Request};
pub(super) use write::{Write, bare};

/// An entity in words, for messages.
pub(super) fn name(blueprint: &BlueprintId, id: &EntityId) -> String {
    format!("entity `{id}` of blueprint `{blueprint}`")
}

/// A stored entity, with what the catalog knows of its row.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) key: EntityKey,
    pub(super) revision: i64,
    pub(super) entity: Stamped<Entity>,
}

/// One entity, complete.
pub(super) fn find(tx: &ReadTx<'_>, kind: &Kind, id: &EntityId) -> Result<Option<Found>, Error> {
    let Some(row) = tx.find_entity(kind.key, id)? else {
        return Ok(None);
    };
    let mut targets = tx.list_targets(&[row.key])?;
    Ok(Some(found(kind, row, &mut targets)))
}

fn found(kind: &Kind, row: EntityRow, targets: &mut Targets) -> Found {
    Found {
        key: row.key,
        revision: row.revision,
        entity: assemble(kind, row, targets),
    }
}

/// Entities of one blueprint by their rows, complete, in no order; those that are gone are left out.
pub(super) fn find_by_key(
    tx: &ReadTx<'_>,
    kind: &Kind,
    keys: &[EntityKey],
) -> Result<HashMap<EntityKey, Found>, Error> {
    let rows = tx.list_entities_by_key(keys)?;
    let mut targets = tx.list_targets(keys)?;
    Ok(rows
        .into_iter()
        .map(|(_, row)| (row.key, found(kind, row, &mut targets)))
        .collect())
}

/// A page of a blueprint's entities, complete.
pub(super) fn list(
    tx: &ReadTx<'_>,
    kind: &Kind,
    after: Option<&EntityId>,
    limit: usize,
    values: Values,
) -> Result<Vec<Stamped<Entity>>, Error> {
    let rows = tx.list_entities(kind.key, after, limit)?;
    complete_all(tx, kind, rows, values)
}

/// Puts rows and their edges together, in the order of the rows.
pub(super) fn complete_all(
    tx: &ReadTx<'_>,
    kind: &Kind,
    rows: Vec<EntityRow>,
    values: Values,
) -> Result<Vec<Stamped<Entity>>, Error> {
    let keys: Vec<EntityKey> = rows.iter().map(|row| row.key).collect();
    let mut targets = tx.list_targets(&keys)?;
    let mut entities: Vec<Stamped<Entity>> = rows
        .into_iter()
        .map(|row| assemble(kind, row, &mut targets))
        .collect();
    if values == Values::All {
        let read = entities.iter_mut().map(|entity| &mut entity.value);
        derived::attach(tx, kind.key, keys.into_iter().zip(read))?;
    }
    Ok(entities)
}

/// An entity as it is shown: with what is derived from it, or without.
pub(super) fn complete(
    tx: &ReadTx<'_>,
    kind: &Kind,
    found: Found,
    values: Values,
) -> Result<Stamped<Entity>, Error> {
    let mut entity = found.entity;
    if values == Values::All {
        derived::attach(tx, kind.key, [(found.key, &mut entity.value)])?;
    }
    Ok(entity)
}

/// Puts a row and its edges together, each relation in the shape that the blueprint gives it.
pub(super) fn assemble(kind: &Kind, row: EntityRow, targets: &mut Targets) -> Stamped<Entity> {
    let relations = relations_of(kind, row.key, targets);
    let value = Entity {
        identifier: row.identifier,
        title: row.title,
        icon: row.icon,
        blueprint: kind.blueprint().identifier.clone(),
        team: row.team,
        properties: row.properties,
        relations,
        scorecards: Map::new(),
    };
    Stamped {
        value,
        stamp: row.stamp,
    }
}

/// The edges of a row, each relation in the shape that the blueprint gives it.
pub(super) fn relations_of(
    kind: &Kind,
    key: EntityKey,
    targets: &mut Targets,
) -> IndexMap<String, RelationValue> {
    let mut targets = targets.remove(&key).unwrap_or_default();
    let relations = kind.blueprint().relations.iter().map(|(name, definition)| {
        let mut ids = targets.remove(name).unwrap_or_default();
        let value = match (definition.many, ids.is_empty()) {
            (true, _) => RelationValue::Many(ids),
            (false, true) => RelationValue::None,
            (false, false) => RelationValue::One(ids.swap_remove(0)),
        };
        (name.clone(), value)
    });
    relations.collect()
}
