//! The edges: their shape, their targets, and what hangs on an entity that is to go.

use std::collections::HashSet;

use indexmap::IndexMap;

use super::kind::Kind;
use super::schema::join;
use super::{Error, entity};
use crate::model::{BlueprintId, Entity, EntityId, RelationDefinition, RelationValue, Violation};
use crate::store::EntityKey;

/// Edges of one entity: a library that ten thousand services use is real, a million is a mistake.
const MAX_TARGETS: usize = 50_000;

/// What to do about a target that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    Refuse,
    Create,
}

/// The relations of an entity after a write: every one of the blueprint, in its order, each in its own shape.
///
/// What the draft names replaces what the base has. A target that is named twice in one list counts once.
pub(super) fn compose(
    kind: &Kind,
    named: Option<&IndexMap<String, RelationValue>>,
    base: Option<&Entity>,
    found: &mut Vec<Violation>,
) -> IndexMap<String, RelationValue> {
    let blueprint = kind.blueprint();
    for name in named.iter().flat_map(|named| named.keys()) {
        if !blueprint.relations.contains_key(name) {
            let message = kind.parts.unknown("relation", name);
            found.push(Violation::new(
                join("/relations", name),
                "relation",
                message,
            ));
        }
    }
    let mut total = 0;
    let mut composed = IndexMap::new();
    for (name, definition) in &blueprint.relations {
        let path = join("/relations", name);
        let value = named.and_then(|named| named.get(name));
        let value = value.or_else(|| base.and_then(|base| base.relations.get(name)));
        let value = shape(
            &path,
            definition,
            value.unwrap_or(&RelationValue::None),
            found,
        );
        if definition.required && value.targets().is_empty() {
            let message = format!(
                "relation `{name}` to an entity of `{}` is required",
                definition.target
            );
            found.push(Violation::new(path, "required", message));
        }
        total += value.targets().len();
        composed.insert(name.clone(), value);
    }
    if total > MAX_TARGETS {
        let message = format!("must have at most {MAX_TARGETS} targets in all, not {total}");
        found.push(Violation::new("/relations", "maxItems", message));
    }
    composed
}

fn shape(
    path: &str,
    definition: &RelationDefinition,
    value: &RelationValue,
    found: &mut Vec<Violation>,
) -> RelationValue {
    match (definition.many, value) {
        (false, RelationValue::None) => RelationValue::None,
        (true, RelationValue::None) => RelationValue::Many(Vec::new()),
        (false, RelationValue::One(id)) => RelationValue::One(id.clone()),
        (true, RelationValue::Many(ids)) => {
            let mut seen = HashSet::new();
            RelationValue::Many(ids.iter().filter(|id| seen.insert(*id)).cloned().collect())
        }
        (false, RelationValue::Many(_)) => {
            let message = "points at one entity; give its identifier, not a list";
            found.push(Violation::new(path, "many", message));
            RelationValue::None
        }
        (true, RelationValue::One(id)) => {
            let message = format!(
                "points at many entities; give a list: [\"{}\"]",
                super::schema::shorten(id.as_str())
            );
            found.push(Violation::new(path, "many", message));
            RelationValue::Many(Vec::new())
        }
    }
}

/// What [`resolve`] found: rows by relation, and what was not there.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    pub(super) targets: Vec<(String, Vec<EntityKey>)>,
    pub(super) missing: Vec<MissingTarget>,
}

/// A target that does not exist.
#[derive(Debug)]
pub(super) struct MissingTarget {
    /// JSON pointer to where the entity names it.
    pub(super) path: String,
    pub(super) blueprint: BlueprintId,
    pub(super) identifier: EntityId,
}

impl MissingTarget {
    /// The target in words.
    pub(super) fn named(&self) -> String {
        entity::name(&self.blueprint, &self.identifier)
    }
}

/// Finds the rows that the changed relations of an entity point at.
pub(super) fn resolve(
    write: entity::Write<'_, '_>,
    kind: &Kind,
    after: &Entity,
    before: Option<&Entity>,
) -> Result<Resolved, Error> {
    let entity::Write {
        tx,
        kinds,
        actor,
        missing,
    } = write;
    let mut resolved = Resolved::default();
    for (name, value) in &after.relations {
        if before.and_then(|before| before.relations.get(name)) == Some(value) {
            continue;
        }
        let Some(definition) = kind.blueprint().relations.get(name) else {
            continue;
        };
        let mut keys = Vec::with_capacity(value.targets().len());
        // Only the blueprint's key is needed as long as all targets exist.
        let target = match value.targets() {
            [] => None,
            _ => Some(kinds.load(tx, &definition.target)?),
        };
        for (index, id) in value.targets().iter().enumerate() {
            let Some(target) = &target else { continue };
            if let Some(key) = tx.find_entity_key(target.key, id)? {
                keys.push(key);
            } else if missing == Missing::Create && !is_system(&definition.target) {
                keys.push(entity::insert_bare(tx, actor, target, id)?);
            } else {
                let path = join("/relations", name);
                let path = if definition.many {
                    format!("{path}/{index}")
                } else {
                    path
                };
                let (blueprint, identifier) = (definition.target.clone(), id.clone());
                resolved.missing.push(MissingTarget {
                    path,
                    blueprint,
                    identifier,
                });
            }
        }
        resolved.targets.push((name.clone(), keys));
    }
    Ok(resolved)
}

/// Users, teams and the like have a life of their own: a mere mention must not make one.
fn is_system(blueprint: &BlueprintId) -> bool {
    blueprint.as_str().starts_with('_')
}
