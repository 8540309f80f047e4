//! Entities as they are read: with what is derived from them.

use serde_json::Value;

use super::graph::{Graph, Plan};
use crate::catalog::Error;
use crate::model::Entity;
use crate::store::{BlueprintKey, DerivedRow, EntityKey, ReadTx};

/// Puts the derived values of entities of one blueprint beside their own.
pub(in crate::catalog) fn attach<'a>(
    tx: &ReadTx<'_>,
    blueprint: BlueprintKey,
    entities: impl IntoIterator<Item = (EntityKey, &'a mut Entity)>,
) -> Result<(), Error> {
    let graph = Graph::load(tx)?;
    let Some(plan) = graph.plan(blueprint).filter(|plan| plan.derives()) else {
        return Ok(());
    };
    let entities: Vec<_> = entities.into_iter().collect();
    let keys: Vec<EntityKey> = entities.iter().map(|(key, _)| *key).collect();
    let mut derived = tx.list_derived(&keys)?;
    for (key, entity) in entities {
        merge(plan, derived.remove(&key).unwrap_or_default(), entity);
    }
    Ok(())
}

/// A derived property without a value is there all the same: whoever reads the entity sees that it has none.
fn merge(plan: &Plan, mut derived: DerivedRow, entity: &mut Entity) {
    for name in &plan.names {
        let value = derived.properties.shift_remove(name).unwrap_or(Value::Null);
        entity.properties.insert(name.clone(), value);
    }
    derived
        .scorecards
        .retain(|name, _| plan.cards.iter().any(|one| one.card.identifier == *name));
    entity.scorecards = derived.scorecards;
}
