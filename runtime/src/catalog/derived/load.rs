//! Entities with what is kept of their derived values, many at once.

use std::collections::HashMap;

use super::super::entity::assemble;
use super::super::kind::Kinds;
use super::graph::Plan;
use crate::catalog::Error;
use crate::model::{Entity, Stamped};
use crate::store::{DerivedRow, EntityKey, ReadTx};

/// Those of some entities that are there and of the blueprint, by their rows.
pub(super) fn load(
    tx: &ReadTx<'_>,
    kinds: &Kinds,
    plan: &Plan,
    keys: &[EntityKey],
) -> Result<Vec<(EntityKey, Stamped<Entity>, DerivedRow)>, Error> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let kind = kinds.load(tx, &plan.blueprint.identifier)?;
    let mut derived = tx.list_derived(keys)?;
    let mut targets = match plan.blueprint.relations.is_empty() {
        true => HashMap::new(),
        false => tx.list_targets(keys)?,
    };
    let rows = tx.list_entities_by_key(keys)?.into_iter();
    let of_blueprint = rows.filter(|(blueprint, _)| *blueprint == plan.key);
    Ok(of_blueprint
        .map(|(_, row)| {
            let key = row.key;
            let derived = derived.remove(&key).unwrap_or_default();
            (key, assemble(&kind, row, &mut targets), derived)
        })
        .collect())
}
