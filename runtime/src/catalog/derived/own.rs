//! What a write of an entity does about derived values within its own transaction: makes what costs little, and queues
//! the rest.

use std::collections::BTreeSet;

use super::super::change::Change;
use super::cause::{Cause, Dirty, Rank, queue_pages};
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
    // Entities of which there is nothing to say but that they are new.
    let mut new = Vec::new();
    for change in changes {
        let mut cause = Cause::default();
        if let Some(after) = change.after {
            if let Some(before) = change.before {
                cause.fields = changed_fields(plan, before, after);
            }
            cause.fields.extend(own.next().unwrap_or_default());
            if plan.is_slow() {
                cause.dirty = match change.before {
                    None => Dirty::all(),
                    Some(_) => Dirty::own(),
                };
            }
        }
        cause.relations = changed_relations(tx, graph, plan, change)?;
        cause
            .fields
            .retain(|field| plan.by_field.contains_key(field));
        if cause.is_nothing() {
            continue;
        }
        if cause.fields.is_empty() && cause.relations.is_empty() && cause.dirty.all {
            new.push(change.key);
        } else {
            cause.queue(tx, plan.key, Some(change.key), Rank::default())?;
        }
    }
    queue_pages(tx, plan.key, &new, &Dirty::all(), Rank::default())
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
fn changed_fields(plan: &Plan, before: &Entity, after: &Entity) -> Vec<String> {
    let differs = |field: &String| match Meta::parse(field) {
        None => before.properties.get(field) != after.properties.get(field),
        Some(Meta::Identifier) => before.identifier != after.identifier,
        Some(Meta::Title) => before.title != after.title,
        Some(Meta::Team) => before.team != after.team,
        Some(Meta::Icon) => before.icon != after.icon,
        Some(Meta::CreatedAt | Meta::CreatedBy | Meta::Blueprint) => false,
        Some(Meta::UpdatedAt | Meta::UpdatedBy | Meta::Datasource) => true,
    };
    plan.by_field
        .keys()
        .filter(|field| differs(field))
        .cloned()
        .collect()
}

/// The watched relations that have become others, with what they have lost and gained where that matters.
fn changed_relations(
    tx: &WriteTx<'_>,
    graph: &Graph,
    plan: &Plan,
    change: &Change<'_>,
) -> Result<Vec<(String, Vec<i64>)>, Error> {
    let targets = |entity: Option<&Entity>, name: &str| -> Vec<EntityId> {
        let value = entity.and_then(|entity| entity.relations.get(name));
        value
            .map(|value| value.targets().to_vec())
            .unwrap_or_default()
    };
    let mut found = Vec::new();
    for (name, watches) in &plan.by_relation {
        let (before, after) = (targets(change.before, name), targets(change.after, name));
        // Of an entity that is gone only what it pointed at is still there to be concerned.
        if before == after {
            continue;
        }
        let mut keys = Vec::new();
        if watches.iter().any(|(begin, _)| *begin == Begin::Targets)
            && let Some(target) = target_key(graph, plan, name)
        {
            let (before, after): (BTreeSet<_>, BTreeSet<_>) =
                (before.iter().collect(), after.iter().collect());
            for id in before.symmetric_difference(&after) {
                keys.extend(tx.find_entity_key(target, id)?.map(|key| key.number()));
            }
        }
        found.push((name.clone(), keys));
    }
    Ok(found)
}

/// Where a relation of a blueprint leads.
pub(super) fn target_key(graph: &Graph, plan: &Plan, relation: &str) -> Option<BlueprintKey> {
    let definition = plan.blueprint.relations.get(relation)?;
    graph.keys.get(&definition.target).copied()
}
