//! Copies of what related entities have.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::Value;

use super::graph::MirrorPlan;
use crate::store::{self, EntityKey, ReadTx};

/// Values of one mirror over relations to many.
const MAX_VALUES: usize = 10_000;

/// What became of a mirror of one entity.
pub(super) type Mirrored = Result<Value, String>;

/// A mirror of many entities of its blueprint. Those that it has no value for are absent.
pub(super) fn mirror(
    tx: &ReadTx<'_>,
    plan: &MirrorPlan,
    keys: &[EntityKey],
) -> Result<HashMap<EntityKey, Mirrored>, store::Error> {
    let mut found = HashMap::with_capacity(keys.len());
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
                found.insert(key, Err(message));
            }
        }
        ways = next;
    }
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
