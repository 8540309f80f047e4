//! What a write of an entity does about derived values within its own transaction: makes what costs little, and queues
//! the rest.

use std::collections::{BTreeSet, HashMap};

use super::super::change::Change;
use super::cause::{Causes, Changed, Dirty, Rank};
use super::graph::{Begin, Graph, Plan};
use super::make;
use crate::catalog::Error;
use crate::model::{Entity, EntityId, Meta};
use crate::store::{BlueprintKey, DerivedRow, EntityKey, WriteTx};

/// Deals with changes whose rows and edges are written.
pub(in crate::catalog) fn record(tx: &WriteTx<'_>, changes: &[Change<'_>]) -> Result<(), Error> {
    let graph = Graph::load(tx)?;
    for group in changes.chunk_by(|one, next| one.blueprint == next.blueprint) {
        let plan = group.first().and_then(|first| graph.plan(first.blueprint));
        if let Some(plan) = plan
            && (plan.derives() || !plan.watches.is_empty())
        {
            record_group(tx, &graph, plan, group)?;
        }
    }
    Ok(())
}

/// The same for changes of one blueprint.
fn record_group(
    tx: &WriteTx<'_>,
    graph: &Graph,
    plan: &Plan,
    changes: &[Change<'_>],
) -> Result<(), Error> {
    let own = match plan.derives() {
        true => make_own(tx, plan, changes)?,
        false => Vec::new(),
    };
    let mut own = own.into_iter();
    let mut causes = Causes::default();
    let gained = gained(tx, plan, changes)?;
    for change in changes {
        let mut changed = Changed::default();
        if let Some(after) = change.after {
            if let Some(before) = change.before {
                changed.fields = changed_fields(plan, before, after);
            }
            let derived = own.next().unwrap_or_default().into_iter();
            changed
                .fields
                .extend(derived.filter(|field| plan.by_field.contains_key(field)));
            if plan.is_slow() {
                changed.dirty = match change.before {
                    None => Dirty::all(),
                    Some(_) => Dirty::own(),
                };
            }
        }
        let relations = changed_relations(plan, change);
        changed.relations = relations.iter().map(|name| (*name).clone()).collect();
        let Some(together) = causes.add(change.key, Rank::default(), changed) else {
            continue;
        };
        for name in relations
            .into_iter()
            .filter(|name| begins_at_targets(plan, name))
        {
            let targets = match change.before {
                None => gained.get(&(change.key, name)).cloned().unwrap_or_default(),
                Some(before) => exchanged(tx, graph, plan, name, before, change.after)?,
            };
            together
                .targets
                .entry(name.clone())
                .or_default()
                .extend(targets);
        }
    }
    causes.queue(tx, plan.key)
}

/// Makes what costs little. Gives back, for each entity that is there after its change, the derived fields that have
/// become others.
fn make_own(
    tx: &WriteTx<'_>,
    plan: &Plan,
    changes: &[Change<'_>],
) -> Result<Vec<Vec<String>>, Error> {
    let moved = |change: &Change<'_>, after: &Entity| {
        change
            .before
            .is_none_or(|before| before.relations != after.relations)
    };
    let keys: Vec<EntityKey> = changes
        .iter()
        .filter(|change| change.after.is_some_and(|after| moved(change, after)))
        .map(|change| change.key)
        .collect();
    let mirrored = make::mirror_all(tx, plan, &keys)?;
    let mut fields = Vec::with_capacity(changes.len());
    for change in changes {
        let Some(after) = change.after else { continue };
        let old = match change.before {
            None => DerivedRow::default(),
            Some(_) => tx.find_derived(change.key)?,
        };
        let mirrored = moved(change, after).then_some(&mirrored);
        let new = make::make_cheap(plan, change.key, after, &old, mirrored, tx.now)?;
        if change.before.is_none() {
            tx.insert_derived(plan.key, change.key, &new)?;
            fields.push(make::changed(&old, &new));
            continue;
        }
        if new == old && old.revision > 0 {
            // Whatever is being made of the entity as it was must not be kept.
            tx.touch_derived(change.key)?;
            fields.push(Vec::new());
            continue;
        }
        tx.replace_derived(plan.key, change.key, &old, &new)?;
        fields.push(make::changed(&old, &new));
    }
    Ok(fields)
}

/// The watched fields of the entity itself that have become others.
fn changed_fields(plan: &Plan, before: &Entity, after: &Entity) -> BTreeSet<String> {
    let differs = |field: &String| match Meta::parse(field) {
        None => before.properties.get(field) != after.properties.get(field),
        Some(Meta::Identifier) => before.identifier != after.identifier,
        Some(Meta::Title) => before.title != after.title,
        Some(Meta::Team) => before.team != after.team,
        Some(Meta::Icon) => before.icon != after.icon,
        Some(Meta::CreatedAt | Meta::CreatedBy | Meta::Blueprint) => false,
        Some(Meta::UpdatedAt | Meta::UpdatedBy | Meta::Datasource) => true,
    };
    let watched = plan.by_field.keys();
    watched.filter(|field| differs(field)).cloned().collect()
}

/// The watched relations that have become others.
fn changed_relations<'p>(plan: &'p Plan, change: &Change<'_>) -> Vec<&'p String> {
    let targets = |entity: Option<&Entity>, name: &str| -> Vec<EntityId> {
        let value = entity.and_then(|entity| entity.relations.get(name));
        value
            .map(|value| value.targets().to_vec())
            .unwrap_or_default()
    };
    let watched = plan.by_relation.keys();
    watched
        .filter(|name| targets(change.before, name) != targets(change.after, name))
        .collect()
}

/// Whether somebody who watches a relation is found from what it leads to.
fn begins_at_targets(plan: &Plan, relation: &str) -> bool {
    let watches = plan.by_relation.get(relation).into_iter().flatten();
    watches
        .into_iter()
        .any(|(begin, _)| *begin == Begin::Targets)
}

/// What the relations of new entities lead to, of those whose targets matter. Their edges are there already.
fn gained<'p>(
    tx: &WriteTx<'_>,
    plan: &'p Plan,
    changes: &[Change<'_>],
) -> Result<HashMap<(EntityKey, &'p String), Vec<EntityKey>>, Error> {
    let new = changes
        .iter()
        .filter(|change| change.before.is_none())
        .map(|change| change.key);
    let new: Vec<EntityKey> = new.collect();
    let mut found: HashMap<_, Vec<EntityKey>> = HashMap::new();
    let names = plan.by_relation.keys();
    for name in names.filter(|name| begins_at_targets(plan, name)) {
        for (source, target) in tx.list_edges_from(&new, name)? {
            found.entry((source, name)).or_default().push(target);
        }
    }
    Ok(found)
}

/// What a relation of an entity has lost and gained. Of an entity that is gone only what it pointed at is still there
/// to be concerned.
fn exchanged(
    tx: &WriteTx<'_>,
    graph: &Graph,
    plan: &Plan,
    relation: &str,
    before: &Entity,
    after: Option<&Entity>,
) -> Result<Vec<EntityKey>, Error> {
    let Some(blueprint) = target_key(graph, plan, relation) else {
        return Ok(Vec::new());
    };
    let targets = |entity: Option<&Entity>| -> BTreeSet<EntityId> {
        let value = entity.and_then(|entity| entity.relations.get(relation));
        let targets = value.into_iter().flat_map(|value| value.targets());
        targets.cloned().collect()
    };
    let mut keys = Vec::new();
    for id in targets(Some(before)).symmetric_difference(&targets(after)) {
        keys.extend(tx.find_entity_key(blueprint, id)?);
    }
    Ok(keys)
}

/// Where a relation of a blueprint leads.
pub(super) fn target_key(graph: &Graph, plan: &Plan, relation: &str) -> Option<BlueprintKey> {
    let definition = plan.blueprint.relations.get(relation)?;
    graph.keys.get(&definition.target).copied()
}
