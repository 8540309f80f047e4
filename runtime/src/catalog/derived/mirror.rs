//! Copies of what related entities have.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::{Value, json};

use super::graph::{Graph, MirrorPlan};
use crate::catalog::Error;
use crate::model::{BlueprintId, Field, Meta};
use crate::store::{self, EntityKey, Hidden, ReadTx};

/// Values of one mirror over relations to many.
const MAX_VALUES: usize = 10_000;

/// What became of a mirror of one entity.
pub(super) type Mirrored = Result<Value, String>;

/// Where the way of a mirror leads from some entities.
struct Ways {
    /// From which entity to which, in order.
    ends: Vec<(EntityKey, EntityKey)>,
    /// Entities from which it leads to too many, and why that is one too many.
    lost: HashMap<EntityKey, String>,
}

fn follow(tx: &ReadTx<'_>, plan: &MirrorPlan, keys: &[EntityKey]) -> Result<Ways, store::Error> {
    let mut lost = HashMap::new();
    // Which entity it is for, and how far its way has come.
    let mut ways: Vec<(EntityKey, EntityKey)> = keys.iter().map(|key| (*key, *key)).collect();
    for hop in &plan.hops {
        let at: BTreeSet<EntityKey> = ways.iter().map(|(_, at)| *at).collect();
        let at: Vec<EntityKey> = at.into_iter().collect();
        let mut targets: HashMap<EntityKey, Vec<EntityKey>> = HashMap::new();
        for (source, target) in tx.list_edges_from(&at, &hop.edge.relation)? {
            targets.entry(source).or_default().push(target);
        }
        let mut counts: HashMap<EntityKey, usize> = HashMap::new();
        let mut next = Vec::with_capacity(ways.len());
        // Two ways to one entity count once.
        let mut seen = HashSet::new();
        for (key, at) in ways {
            for target in targets.get(&at).into_iter().flatten() {
                let count = counts.entry(key).or_default();
                if *count <= MAX_VALUES && seen.insert((key, *target)) {
                    *count += 1;
                    next.push((key, *target));
                }
            }
        }
        for (key, count) in counts {
            if count > MAX_VALUES {
                let message = format!("it leads to more than {MAX_VALUES} entities");
                lost.insert(key, message);
            }
        }
        ways = next;
    }
    Ok(Ways { ends: ways, lost })
}

/// A mirror of many entities of its blueprint. Those that it has no value for are absent.
pub(super) fn mirror(
    tx: &ReadTx<'_>,
    plan: &MirrorPlan,
    keys: &[EntityKey],
) -> Result<HashMap<EntityKey, Mirrored>, store::Error> {
    let Ways { ends: ways, lost } = follow(tx, plan, keys)?;
    let mut found: HashMap<EntityKey, Mirrored> = HashMap::with_capacity(keys.len());
    found.extend(lost.into_iter().map(|(key, message)| (key, Err(message))));
    let ends: BTreeSet<EntityKey> = ways.iter().map(|(_, end)| *end).collect();
    let ends: Vec<EntityKey> = ends.into_iter().collect();
    let values = tx.list_field(&ends, &plan.field, plan.derived)?;
    let mut lists: HashMap<EntityKey, Vec<Value>> = HashMap::new();
    for (key, end) in ways {
        let list = lists.entry(key).or_default();
        match values.get(&end) {
            // Lists of lists could neither be shown nor searched.
            Some(Value::Array(inner)) if plan.many => list.extend(inner.iter().cloned()),
            Some(value) => list.push(value.clone()),
            None => {}
        }
    }
    for (key, mut list) in lists {
        if matches!(found.get(&key), Some(Err(_))) {
            continue;
        }
        if plan.many {
            if list.len() > MAX_VALUES {
                let message = format!("it has more than {MAX_VALUES} values");
                found.insert(key, Err(message));
            } else {
                found.insert(key, Ok(Value::Array(list)));
            }
        } else if !list.is_empty() {
            found.insert(key, Ok(list.swap_remove(0)));
        }
    }
    Ok(found)
}

/// What mirrors of titles show of some entities of a blueprint, by entity and name: who has the title beside the title.
/// Ends that are hidden are left out.
pub(in crate::catalog) fn identify(
    tx: &ReadTx<'_>,
    blueprint: &BlueprintId,
    keys: &[EntityKey],
    hidden: &Hidden,
) -> Result<Vec<(EntityKey, String, Value)>, Error> {
    let graph = Graph::load(tx)?;
    let mut found = Vec::new();
    let plans = graph.plan_of(blueprint).into_iter();
    for plan in plans.flat_map(|plan| &plan.mirrors) {
        if plan.field != Field::Meta(Meta::Title) {
            continue;
        }
        let Ways { ends: ways, lost } = follow(tx, plan, keys)?;
        let ends: BTreeSet<EntityKey> = ways.iter().map(|(_, end)| *end).collect();
        let ends = tx.list_shown(ends.into_iter().collect(), hidden)?;
        let ids = tx.list_field(&ends, &Field::Meta(Meta::Identifier), false)?;
        let titles = tx.list_field(&ends, &plan.field, false)?;
        let mut lists: HashMap<EntityKey, Vec<Value>> = HashMap::new();
        for (key, end) in ways {
            if let Some(id) = ids.get(&end).filter(|_| !lost.contains_key(&key)) {
                let shown = json!({ "identifier": id, "title": titles.get(&end) });
                lists.entry(key).or_default().push(shown);
            }
        }
        for (key, mut list) in lists {
            let value = match plan.many {
                true => Value::Array(list),
                false => list.swap_remove(0),
            };
            found.push((key, plan.name.clone(), value));
        }
    }
    Ok(found)
}
