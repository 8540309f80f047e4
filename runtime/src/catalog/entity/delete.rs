//! Removing entities, and what becomes of those that point at them.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;

use super::{find, find_by_key, name};
use crate::catalog::change::Change;
use crate::catalog::kind::{Kind, Kinds};
use crate::catalog::permission;
use crate::catalog::team;
use crate::catalog::{BatchError, Dependents, Error};
use crate::model::{Actor, BlueprintId, Entity, EntityId};
use crate::store::{BlueprintKey, Dependent, EntityKey, ReadTx, WriteTx};

/// Dependents that a refusal names.
const MAX_NAMED: usize = 5;

/// Edges that end at what one transaction deletes: what points is changed or taken along, and everybody waits for it.
pub(in crate::catalog) const MAX_DEPENDENTS: usize = 100_000;

/// Dependents that are in memory at a time while their edges are cleared.
const CHUNK: usize = 500;

/// The surroundings of deletions in one transaction.
struct Deletion<'a, 'tx> {
    tx: &'a WriteTx<'tx>,
    kinds: &'a Kinds,
    actor: &'a Actor,
    /// Edges to what is deleted that may still be followed.
    left: Cell<usize>,
}

/// How far the emptying of a blueprint has come.
pub(in crate::catalog) struct Emptied {
    /// Entities that are gone now.
    pub(in crate::catalog) deleted: usize,
    /// Whether there may be more.
    pub(in crate::catalog) more: bool,
}

/// Removes an entity, and with it, or not, what points at it.
pub(in crate::catalog) fn delete(
    tx: &WriteTx<'_>,
    kinds: &Kinds,
    actor: &Actor,
    blueprint: &BlueprintId,
    id: &EntityId,
    dependents: Dependents,
) -> Result<(), Error> {
    Deletion::new(tx, kinds, actor, MAX_DEPENDENTS).delete(blueprint, id, dependents)
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
    Deletion::new(tx, kinds, actor, MAX_DEPENDENTS).delete_person(blueprint, id, dependents)
}

/// Removes many entities, each as [`delete`] would. Refusals come before the first row is touched, so one of them leaves
/// the others alone. All of them together may follow `most` edges.
pub(in crate::catalog) fn delete_many(
    tx: &WriteTx<'_>,
    kinds: &Kinds,
    actor: &Actor,
    blueprint: &BlueprintId,
    ids: Vec<EntityId>,
    dependents: Dependents,
    most: usize,
) -> Result<Vec<Result<EntityId, BatchError>>, Error> {
    // Whether there is such a blueprint at all is not said once for each.
    kinds.load(tx, blueprint)?;
    let deletion = Deletion::new(tx, kinds, actor, most);
    let mut outcomes = Vec::with_capacity(ids.len());
    for id in ids {
        match deletion.delete(blueprint, &id, dependents) {
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

/// Removes the first entities of a blueprint that is to be emptied, as many as one transaction may.
///
/// What they require of each other holds nothing up.
pub(in crate::catalog) fn delete_all_of(
    tx: &WriteTx<'_>,
    kinds: &Kinds,
    actor: &Actor,
    blueprint: &BlueprintId,
    limit: usize,
) -> Result<Emptied, Error> {
    let kind = kinds.load(tx, blueprint)?;
    permission::check_read_all(actor, &kind)?;
    let ids = tx.list_identifiers(kind.key, None, limit)?;
    let deletion = Deletion::new(tx, kinds, actor, MAX_DEPENDENTS);
    let mut deleted = 0;
    for id in &ids {
        let Some(found) = find(tx, &kind, id)? else {
            continue;
        };
        let (entity, key) = (found.entity.value, found.key);
        permission::check_delete(actor, &kind, &entity)?;
        match deletion.remove(&kind, &entity, key, Some(kind.key)) {
            Ok(()) => deleted += 1,
            // The next transaction has more to spend on it.
            Err(Error::Conflict { .. }) if deleted > 0 && deletion.left.get() == 0 => {
                let more = true;
                return Ok(Emptied { deleted, more });
            }
            Err(error) => return Err(error),
        }
    }
    let more = ids.len() == limit;
    Ok(Emptied { deleted, more })
}

impl<'a, 'tx> Deletion<'a, 'tx> {
    fn new(tx: &'a WriteTx<'tx>, kinds: &'a Kinds, actor: &'a Actor, most: usize) -> Self {
        Self {
            tx,
            kinds,
            actor,
            left: Cell::new(most),
        }
    }

    fn delete(
        &self,
        blueprint: &BlueprintId,
        id: &EntityId,
        dependents: Dependents,
    ) -> Result<(), Error> {
        let Self { tx, kinds, .. } = *self;
        if team::is_synced(blueprint)
            && let Some(found) = find(tx, &kinds.load(tx, blueprint)?, id)?
        {
            team::check_delete(tx, &found.entity.value)?;
        }
        self.delete_person(blueprint, id, dependents)
    }

    fn delete_person(
        &self,
        blueprint: &BlueprintId,
        id: &EntityId,
        dependents: Dependents,
    ) -> Result<(), Error> {
        let kind = self.kinds.load(self.tx, blueprint)?;
        let found =
            find(self.tx, &kind, id)?.ok_or_else(|| Error::NotFound(name(blueprint, id)))?;
        let entity = found.entity.value;
        permission::check_delete(self.actor, &kind, &entity)?;
        match dependents {
            Dependents::Keep => self.remove(&kind, &entity, found.key, None),
            Dependents::Delete => self.remove_all(&kind, entity, found.key),
        }
    }

    fn remove(
        &self,
        kind: &Kind,
        entity: &Entity,
        key: EntityKey,
        emptied: Option<BlueprintKey>,
    ) -> Result<(), Error> {
        self.release(entity, key, emptied)?;
        self.tx.delete_edges_to(key)?;
        self.tx.delete_entity(key)?;
        let change = Change {
            key,
            blueprint: kind.key,
            before: Some(entity),
            after: None,
        };
        change.record(self.tx, self.actor)
    }

    /// What points at an entity. Also what is refused then has been read, and counts.
    fn dependents(&self, target: &Entity, key: EntityKey) -> Result<Vec<Dependent>, Error> {
        let left = self.left.get();
        let found = self.tx.list_dependents(key, left + 1)?;
        self.left.set(left.saturating_sub(found.len()));
        if found.len() > left {
            return Err(too_many(target));
        }
        Ok(found)
    }

    /// Clears the relations that point at an entity; refuses where one of them is required.
    fn release(
        &self,
        target: &Entity,
        key: EntityKey,
        emptied: Option<BlueprintKey>,
    ) -> Result<(), Error> {
        let Self {
            tx, kinds, actor, ..
        } = *self;
        let edges = self.dependents(target, key)?;
        if edges.is_empty() {
            return Ok(());
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
            if definition.is_some_and(|definition| definition.required) && emptied != Some(kind.key)
            {
                holding.push((edge.source, in_words(&edge)));
            }
            of_kind.entry(edge.source).or_default().push(edge.relation);
        }
        if !holding.is_empty() {
            return Err(held(target, &in_sight(tx, kinds, actor, holding)?));
        }
        for (kind, of_kind) in sources.values() {
            let keys: Vec<_> = of_kind.keys().copied().collect();
            for chunk in keys.chunks(CHUNK) {
                let mut found = find_by_key(tx, kind, chunk)?;
                for source in chunk {
                    let (Some(found), Some(relations)) =
                        (found.remove(source), of_kind.get(source))
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

    /// Removes an entity and everything that points at it, at what points at it, and so on.
    fn remove_all(&self, kind: &Kind, root: Entity, key: EntityKey) -> Result<(), Error> {
        let Self {
            tx, kinds, actor, ..
        } = *self;
        let root_name = name(&root.blueprint, &root.identifier);
        let mut doomed = HashMap::from([(key, (kind.key, root))]);
        let mut order = vec![key];
        let mut next = 0;
        while let Some(target) = order.get(next).copied() {
            next += 1;
            let Some((_, entity)) = doomed.get(&target) else {
                continue;
            };
            for edge in self.dependents(entity, target)? {
                if doomed.contains_key(&edge.source) {
                    continue;
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
}

fn in_words(edge: &Dependent) -> String {
    let source = name(&edge.blueprint, &edge.identifier);
    format!("{source} (relation `{}`)", edge.relation)
}

/// The first few of what holds up a deletion, as far as whoever deletes may see it, and how much more there is.
pub(in crate::catalog) fn in_sight(
    tx: &ReadTx<'_>,
    kinds: &Kinds,
    actor: &Actor,
    holding: Vec<(EntityKey, String)>,
) -> Result<String, Error> {
    let hidden = permission::find_hidden(tx, kinds, actor)?;
    let mut keys: Vec<EntityKey> = holding.iter().map(|(key, _)| *key).collect();
    keys.sort_unstable();
    keys.dedup();
    let all = keys.len();
    let shown: HashSet<EntityKey> = tx.list_shown(keys, &hidden)?.into_iter().collect();
    let unseen = all - shown.len();
    let mut named: Vec<String> = holding
        .into_iter()
        .filter(|(key, _)| shown.contains(key))
        .map(|(_, words)| words)
        .collect();
    let more = named.len().saturating_sub(MAX_NAMED);
    named.truncate(MAX_NAMED);
    let mut text = named.join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    match (text.is_empty(), unseen) {
        (_, 0) => {}
        (true, _) => text = format!("{unseen} that you may not see"),
        (false, _) => text.push_str(&format!(" and {unseen} that you may not see")),
    }
    Ok(text)
}

fn held(target: &Entity, holding: &str) -> Error {
    let message = format!(
        "{} is required by {holding}; point them elsewhere first, or delete dependents too",
        name(&target.blueprint, &target.identifier),
    );
    Error::Conflict {
        code: "has_dependents",
        message,
    }
}

/// Refuses to take along what whoever asks may not see, without a word on what that is.
fn out_of_sight(target: &str) -> Error {
    Error::Forbidden(format!(
        "you may not delete what depends on {target}: there are entities among it that you may not see; ask an administrator"
    ))
}

fn too_many(target: &Entity) -> Error {
    let message = format!(
        "too many entities depend on what would be deleted at once, on {} among others: {MAX_DEPENDENTS} may; delete fewer entities at a time, or point some of what depends on them elsewhere first",
        name(&target.blueprint, &target.identifier)
    );
    Error::Conflict {
        code: "has_dependents",
        message,
    }
}
