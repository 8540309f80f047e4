//! Removing many things at once: what is to go may point at each other in whatever circles.

use std::collections::HashSet;

use indexmap::IndexMap;

use super::change::Change;
use super::derived::Before;
use super::kind::Kinds;
use super::{Error, blueprint, entity, permission, team};
use crate::model::{Actor, BlueprintId, Entity, EntityId, Verb};
use crate::store::{BlueprintKey, EntityKey, WriteTx};

/// Entities from outside that one removal may release from what goes.
const MAX_RELEASED: usize = 50_000;

/// What a refusal names.
const MAX_NAMED: usize = 5;

/// Removes entities. Relations of others that point at them are cleared; where one of those is required, all is
/// refused.
pub(super) fn delete_entities(
    tx: &WriteTx<'_>,
    kinds: &Kinds,
    actor: &Actor,
    entities: &[(BlueprintId, EntityId)],
) -> Result<(), Error> {
    let mut doomed: IndexMap<EntityKey, (BlueprintKey, Entity)> = IndexMap::new();
    for (blueprint, id) in entities {
        let kind = kinds.load(tx, blueprint)?;
        let found = entity::find(tx, &kind, id)?
            .ok_or_else(|| Error::NotFound(entity::name(blueprint, id)))?;
        team::check_delete(tx, &found.entity.value)?;
        permission::check_delete(actor, &kind, &found.entity.value)?;
        doomed.insert(found.key, (kind.key, found.entity.value));
    }
    let mut released: IndexMap<EntityKey, (BlueprintId, EntityId)> = IndexMap::new();
    let mut holding = Vec::new();
    for (key, (_, target)) in &doomed {
        for edge in tx.list_dependents(*key, MAX_RELEASED + 1)? {
            if doomed.contains_key(&edge.source) {
                continue;
            }
            let kind = kinds.load(tx, &edge.blueprint)?;
            let definition = kind.blueprint().relations.get(&edge.relation);
            if definition.is_some_and(|definition| definition.required) {
                let words = format!(
                    "{} by {} (relation `{}`)",
                    entity::name(&target.blueprint, &target.identifier),
                    entity::name(&edge.blueprint, &edge.identifier),
                    edge.relation
                );
                holding.push((edge.source, words));
            }
            released.insert(edge.source, (edge.blueprint, edge.identifier));
            if released.len() > MAX_RELEASED {
                let message = format!(
                    "more than {MAX_RELEASED} entities point at what would be deleted; point some of them elsewhere first"
                );
                return Err(conflict(message));
            }
        }
    }
    if !holding.is_empty() {
        let message = format!(
            "what would be deleted is required: {}; point those elsewhere first",
            entity::in_sight(tx, kinds, actor, holding)?
        );
        return Err(conflict(message));
    }
    let read = || {
        let values = released.values().map(|(blueprint, id)| {
            let kind = kinds.load(tx, blueprint)?;
            let found = entity::find(tx, &kind, id)?.map(|found| found.entity.value);
            Ok((kind.key, found))
        });
        values.collect::<Result<Vec<_>, Error>>()
    };
    let before = read()?;
    for key in doomed.keys() {
        tx.delete_edges_to(*key)?;
    }
    let after = read()?;
    for ((key, (blueprint, before)), (_, after)) in released.keys().zip(before).zip(after) {
        tx.touch_entity(*key, &actor.name)?;
        let change = Change {
            key: *key,
            blueprint,
            before: before.as_ref(),
            after: after.as_ref(),
        };
        change.record(tx, actor)?;
    }
    for (key, (blueprint, before)) in &doomed {
        tx.delete_entity(*key)?;
        let change = Change {
            key: *key,
            blueprint: *blueprint,
            before: Some(before),
            after: None,
        };
        change.record(tx, actor)?;
    }
    Ok(())
}

/// Removes blueprints. None may have entities left, and no other blueprint may point at them.
pub(super) fn delete_blueprints(
    tx: &WriteTx<'_>,
    actor: &Actor,
    blueprints: &[BlueprintId],
) -> Result<(), Error> {
    let doomed: HashSet<&str> = blueprints.iter().map(BlueprintId::as_str).collect();
    let mut rows = Vec::with_capacity(blueprints.len());
    for id in blueprints {
        let row = blueprint::find(tx, id)?;
        let entities = tx.count_entities(row.key)?;
        if entities > 0 {
            let message = format!(
                "blueprint `{id}` would be deleted, but has {entities} entities that stay; delete them first, or keep its document"
            );
            return Err(conflict(message));
        }
        let mut pointing = tx.list_blueprints_pointing_at(id, doomed.len() + MAX_NAMED + 1)?;
        pointing.retain(|other| !doomed.contains(other.as_str()));
        if !pointing.is_empty() {
            let message = format!(
                "blueprint `{id}` would be deleted, but relations of {} point at it; remove those first, or keep its document",
                enumerate(pointing)
            );
            return Err(conflict(message));
        }
        rows.push(row);
    }
    let derived = Before::of(tx)?;
    for (row, id) in rows.iter().zip(blueprints) {
        tx.delete_blueprint(row.key)?;
        let before = blueprint::read(row)?.value;
        blueprint::audit(tx, actor, Verb::Delete, id, Some(&before), None)?;
    }
    match derived.needs(tx)? {
        Some(message) => Err(conflict(message)),
        None => Ok(()),
    }
}

fn conflict(message: String) -> Error {
    Error::Conflict {
        code: "has_dependents",
        message,
    }
}

/// The first few, and how many more there are.
fn enumerate(mut things: Vec<String>) -> String {
    let more = things.len().saturating_sub(MAX_NAMED);
    things.truncate(MAX_NAMED);
    let mut text = things.join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}
