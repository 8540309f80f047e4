//! What goes into the indexes of an entity, and when.

use serde_json::Value;

use super::change::Change;
use super::kind::Kinds;
use super::query::text_row;
use super::{Error, entity};
use crate::model::{BlueprintId, Entity, Meta};
use crate::store::{self, WriteTx};

/// Entities that are taken into the indexes in one transaction.
const BATCH: usize = 500;

/// Writes what a change of an entity means for the indexes.
pub(super) fn record(tx: &WriteTx<'_>, change: &Change<'_>) -> Result<(), Error> {
    let Change {
        key,
        blueprint,
        before,
        after,
    } = *change;
    let index = |name: &str, before: Option<&Value>, after: Option<&Value>| {
        tx.index_value(blueprint, key, name, before, after)
    };
    let title = |entity: Option<&Entity>| {
        entity.and_then(|entity| entity.title.as_deref().map(Value::from))
    };
    if before.map(|entity| &entity.title) != after.map(|entity| &entity.title) {
        index(
            Meta::Title.as_str(),
            title(before).as_ref(),
            title(after).as_ref(),
        )?;
    }
    let team = |entity: Option<&Entity>| entity.map(|entity| Value::from(entity.team.as_slice()));
    if before.map(|entity| &entity.team) != after.map(|entity| &entity.team) {
        index(
            Meta::Team.as_str(),
            team(before).as_ref(),
            team(after).as_ref(),
        )?;
    }
    for (name, value) in after.iter().flat_map(|entity| &entity.properties) {
        let was = before.and_then(|entity| entity.properties.get(name));
        index(name, was, Some(value))?;
    }
    for (name, was) in before.iter().flat_map(|entity| &entity.properties) {
        if !after.is_some_and(|entity| entity.properties.contains_key(name)) {
            index(name, Some(was), None)?;
        }
    }
    let (was, is) = (before.map(text_row), after.map(text_row));
    if was != is {
        tx.index_text(key, is.as_ref())?;
    }
    Ok(())
}

/// Takes some entities into the indexes that were there before them. Gives back whether there may be more.
pub(super) fn catch_up(tx: &WriteTx<'_>, kinds: &Kinds) -> Result<bool, Error> {
    let waiting = tx.list_unindexed(BATCH)?;
    for (key, blueprint, id) in &waiting {
        let blueprint = BlueprintId::parse(blueprint.as_str())
            .map_err(|e| store::Error::corrupt("blueprint", e))?;
        let kind = kinds.load(tx, &blueprint)?;
        if let Some(found) = entity::find(tx, &kind, id)? {
            let change = Change {
                key: *key,
                blueprint: kind.key,
                before: None,
                after: Some(&found.entity.value),
            };
            record(tx, &change)?;
            tx.index_derived_anew(kind.key, *key)?;
        }
    }
    let more = waiting.len() == BATCH;
    tx.delete_unindexed(waiting.last().filter(|_| more).map(|(key, ..)| *key))?;
    Ok(more)
}
