//! Removing entities, and what becomes of those that point at them.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::{find, find_by_key, name};
use crate::catalog::change::Change;
use crate::catalog::kind::{Kind, Kinds};
use crate::catalog::permission;
use crate::catalog::team;
use crate::catalog::{BatchError, Dependents, Error};
use crate::model::{Actor, BlueprintId, Entity, EntityId};
use crate::store::{BlueprintKey, Dependent, EntityKey, WriteTx};

/// Dependents that a refusal names.
const MAX_NAMED: usize = 5;

/// Entities that one deletion may change or take along: it is one transaction, and everybody waits for it.
const MAX_DEPENDENTS: usize = 100_000;

/// Dependents that are in memory at a time while their edges are cleared.
const CHUNK: usize = 500;

/// Removes an entity, and with it, or not, what points at it.
pub(in crate::catalog) fn delete(
    tx: &WriteTx<'_>,
    kinds: &Kinds,
    actor: &Actor,
    blueprint: &BlueprintId,
    id: &EntityId,
    dependents: Dependents,
) -> Result<(), Error> {
    if team::is_synced(blueprint)
        && let Some(found) = find(tx, &kinds.load(tx, blueprint)?, id)?
    {
        team::check_delete(tx, &found.entity.value)?;
    }
    delete_person(tx, kinds, actor, blueprint, id, dependents)
}

/// As [`delete`], also where the entity stands for somebody who may come in: the credential goes along.
pub(in crate::catalog) fn delete_person(
    tx: &WriteTx<'_>,
    kinds: &Kinds,
    actor: &Actor,
    blueprint: &BlueprintId,
    id: &EntityId,
    dependents: Dependents,
) -> Result<(), Error> {
    let kind = kinds.load(tx, blueprint)?;
    let found = find(tx, &kind, id)?.ok_or_else(|| Error::NotFound(name(blueprint, id)))?;
    let entity = found.entity.value;
    permission::check_delete(actor, &kind, &entity)?;
    match dependents {
        Dependents::Keep => remove(tx, kinds, actor, &kind, &entity, found.key, None),
        Dependents::Delete => remove_all(tx, kinds, actor, &kind, entity, found.key),
    }
}

/// Removes many entities, each as [`delete`] would. Refusals come before the first row is touched, so one of them leaves
/// the others alone.
pub(in crate::catalog) fn delete_many(
    tx: &WriteTx<'_>,
    kinds: &Kinds,
    actor: &Actor,
    blueprint: &BlueprintId,
    ids: Vec<EntityId>,
    dependents: Dependents,
) -> Result<Vec<Result<EntityId, BatchError>>, Error> {
    // Whether there is such a blueprint at all is not said once for each.
    kinds.load(tx, blueprint)?;
    let mut outcomes = Vec::with_capacity(ids.len());
    for id in ids {
        match delete(tx, kinds, actor, blueprint, &id, dependents) {
            Ok(()) => outcomes.push(Ok(id)),
            Err(Error::NotFound(_)) => {}
            Err(error @ (Error::Store(_) | Error::Random(_))) => return Err(error),
            Err(error) => outcomes.push(Err(BatchError {
                identifier: id.into(),
                error,
            })),
        }
    }
    Ok(outcomes)
}

/// Removes the first entities of a blueprint that is to be emptied. Gives back how many.
///
/// What they require of each other holds nothing up.
pub(in crate::catalog) fn delete_all_of(
    tx: &WriteTx<'_>,
    kinds: &Kinds,
    actor: &Actor,
    blueprint: &BlueprintId,
    limit: usize,
) -> Result<usize, Error> {
    let kind = kinds.load(tx, blueprint)?;
    permission::check_read_all(actor, &kind)?;
    let ids = tx.list_identifiers(kind.key, None, limit)?;
    for id in &ids {
        let Some(found) = find(tx, &kind, id)? else {
            continue;
        };
        let (entity, key) = (found.entity.value, found.key);
        permission::check_delete(actor, &kind, &entity)?;
        remove(tx, kinds, actor, &kind, &entity, key, Some(kind.key))?;
    }
    Ok(ids.len())
}

fn remove(
    tx: &WriteTx<'_>,
    kinds: &Kinds,
    actor: &Actor,
    kind: &Kind,
    entity: &Entity,
    key: EntityKey,
    emptied: Option<BlueprintKey>,
) -> Result<(), Error> {
    release(tx, kinds, actor, entity, key, emptied)?;
    tx.delete_edges_to(key)?;
    tx.delete_entity(key)?;
    let change = Change {
        key,
        blueprint: kind.key,
        before: Some(entity),
        after: None,
    };
    change.record(tx, actor)
}

/// Clears the relations that point at an entity; refuses where one of them is required.
fn release(
    tx: &WriteTx<'_>,
    kinds: &Kinds,
    actor: &Actor,
    target: &Entity,
    key: EntityKey,
    emptied: Option<BlueprintKey>,
) -> Result<(), Error> {
    let edges = tx.list_dependents(key, MAX_DEPENDENTS + 1)?;
    if edges.is_empty() {
        return Ok(());
    }
    if edges.len() > MAX_DEPENDENTS {
        return Err(too_many(target));
    }
    let mut sources: IndexMap<BlueprintId, (Kind, IndexMap<EntityKey, Vec<String>>)> =
        IndexMap::new();
    let mut holding = Vec::new();
    for edge in edges {
        if !sources.contains_key(&edge.blueprint) {
            let kind = kinds.load(tx, &edge.blueprint)?;
            sources.insert(edge.blueprint.clone(), (kind, IndexMap::new()));
        }
        let Some((kind, of_kind)) = sources.get_mut(&edge.blueprint) else {
            continue;
        };
        let definition = kind.blueprint().relations.get(&edge.relation);
        if definition.is_some_and(|definition| definition.required) && emptied != Some(kind.key) {
            holding.push(in_words(&edge));
        }
        of_kind.entry(edge.source).or_default().push(edge.relation);
    }
    if !holding.is_empty() {
        return Err(held(target, holding));
    }
    for (kind, of_kind) in sources.values() {
        let keys: Vec<_> = of_kind.keys().copied().collect();
        for chunk in keys.chunks(CHUNK) {
            let mut found = find_by_key(tx, kind, chunk)?;
            for source in chunk {
                let (Some(found), Some(relations)) = (found.remove(source), of_kind.get(source))
                else {
                    continue;
                };
                let before = found.entity.value;
                let mut after = before.clone();
                for relation in relations {
                    if let Some(value) = after.relations.get_mut(relation) {
                        value.remove(&target.identifier);
                    }
                }
                tx.delete_edges_between(*source, key)?;
                tx.touch_entity(*source, &actor.name)?;
                let change = Change {
                    key: *source,
                    blueprint: kind.key,
                    before: Some(&before),
                    after: Some(&after),
                };
                change.record(tx, actor)?;
            }
        }
    }
    Ok(())
}

fn in_words(edge: &Dependent) -> String {
    let source = name(&edge.blueprint, &edge.identifier);
    format!("{source} (relation `{}`)", edge.relation)
}

fn held(target: &Entity, mut holding: Vec<String>) -> Error {
    let more = holding.len().saturating_sub(MAX_NAMED);
    holding.truncate(MAX_NAMED);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    let message = format!(
        "{} is required by {}{more}; point them elsewhere first, or delete dependents too",
        name(&target.blueprint, &target.identifier),
        holding.join(", ")
    );
    Error::Conflict {
        code: "has_dependents",
        message,
    }
}

/// Removes an entity and everything that points at it, at what points at it, and so on.
fn remove_all(
    tx: &WriteTx<'_>,
    kinds: &Kinds,
    actor: &Actor,
    kind: &Kind,
    root: Entity,
    key: EntityKey,
) -> Result<(), Error> {
    let refused = too_many(&root);
    let root_name = name(&root.blueprint, &root.identifier);
    let mut doomed = HashMap::from([(key, (kind.key, root))]);
    let mut order = vec![key];
    let mut next = 0;
    while let Some(target) = order.get(next).copied() {
        next += 1;
        for edge in tx.list_dependents(target, MAX_DEPENDENTS + 1)? {
            if doomed.contains_key(&edge.source) {
                continue;
            }
            if doomed.len() >= MAX_DEPENDENTS {
                return Err(refused);
            }
            let kind = kinds.load(tx, &edge.blueprint)?;
            if let Some(found) = find(tx, &kind, &edge.identifier)? {
                permission::check_read(actor, &kind, &found.entity.value)
                    .map_err(|_| out_of_sight(root_name.as_str()))?;
                permission::check_delete(actor, &kind, &found.entity.value)?;
                team::check_delete(tx, &found.entity.value)?;
                doomed.insert(found.key, (kind.key, found.entity.value));
                order.push(found.key);
            }
        }
    }
    for key in &order {
        tx.delete_edges_to(*key)?;
    }
    // Dependents first, so that whoever reads the audit log backwards can put them back in order.
    for key in order.iter().rev() {
        tx.delete_entity(*key)?;
        if let Some((blueprint, entity)) = doomed.get(key) {
            let change = Change {
                key: *key,
                blueprint: *blueprint,
                before: Some(entity),
                after: None,
            };
            change.record(tx, actor)?;
        }
    }
    Ok(())
}

/// Refuses to take along what whoever asks may not see, without a word on what that is.
fn out_of_sight(target: &str) -> Error {
    Error::Forbidden(format!(
        "you may not delete what depends on {target}: there are entities among it that you may not see; ask an administrator"
    ))
}

fn too_many(target: &Entity) -> Error {
    let message = format!(
        "more than {MAX_DEPENDENTS} entities depend on {}; point some of them elsewhere first",
        name(&target.blueprint, &target.identifier)
    );
    Error::Conflict {
        code: "has_dependents",
        message,
    }
}
