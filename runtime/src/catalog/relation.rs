//! The edges: their shape, their targets, and what hangs on an entity that is to go.

use std::collections::HashSet;

use indexmap::IndexMap;

use super::entity::Write;
use super::kind::Kind;
use super::permission::ReadScope;
use super::schema::join;
use super::{Error, entity, permission};
use crate::model::{BlueprintId, Entity, EntityId, RelationDefinition, RelationValue, Violation};
use crate::store::EntityKey;

/// Edges of one entity: a cluster with a hundred thousand pods is real, a million is a mistake.
const MAX_TARGETS: usize = 200_000;

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

/// What [`resolve`] found: where the changed relations lead, and what was not there.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    relations: Vec<(String, Vec<Target>)>,
    /// Those of the promised entities that it relies on.
    pub(super) promised: Vec<EntityId>,
    pub(super) missing: Vec<MissingTarget>,
}

/// Where one edge leads.
#[derive(Debug)]
enum Target {
    Known(EntityKey),
    /// To the entity itself, which may have no row yet.
    Own,
    /// To an entity that is still to be made.
    New(Kind, EntityId),
}

impl Resolved {
    /// Makes what is still to be made. Gives the rows by relation, now that the entity itself has one.
    pub(super) fn settle(
        self,
        write: &Write<'_, '_>,
        own: EntityKey,
    ) -> Result<Vec<(String, Vec<EntityKey>)>, Error> {
        let settle = |target| match target {
            Target::Known(key) => Ok(key),
            Target::Own => Ok(own),
            Target::New(kind, id) => {
                // Several relations may name it, and what was promised has a row by now. Nothing else has come between:
                // there was no row when this was resolved, in this very transaction.
                match write.tx.find_entity_key(kind.key, &id)? {
                    Some(key) => Ok(key),
                    None => write.make(&kind, &id),
                }
            }
        };
        self.relations
            .into_iter()
            .map(|(name, targets)| {
                let keys = targets
                    .into_iter()
                    .map(settle)
                    .collect::<Result<_, Error>>()?;
                Ok((name, keys))
            })
            .collect()
    }
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
    /// The names by which it would be found.
    pub(super) fn name(&self) -> (BlueprintId, EntityId) {
        (self.blueprint.clone(), self.identifier.clone())
    }

    /// The target in words.
    pub(super) fn named(&self) -> String {
        entity::name(&self.blueprint, &self.identifier)
    }
}

/// Finds the rows that the changed relations of an entity point at. Writes nothing.
///
/// What whoever writes may not see is to them as if it did not exist. Where what is missing is made, it is refused all
/// the same: an edge to it would let mirrors and figures of the entity tell what it holds.
///
/// Promised are entities of its blueprint that are to have a row before its edges are written. Where one gets none after
/// all, what was found here stands as if it was to be made, for which nobody has asked for permission yet.
pub(super) fn resolve(
    write: &Write<'_, '_>,
    kind: &Kind,
    after: &Entity,
    before: Option<&Entity>,
    promised: &HashSet<EntityId>,
) -> Result<Resolved, Error> {
    let mut resolved = Resolved::default();
    for (name, value) in &after.relations {
        let was = before.and_then(|before| before.relations.get(name));
        if was == Some(value) || (was.is_none() && value.targets().is_empty()) {
            continue;
        }
        let Some(definition) = kind.blueprint().relations.get(name) else {
            continue;
        };
        let mut targets = Vec::with_capacity(value.targets().len());
        if !value.targets().is_empty() {
            let target = write.kind(&definition.target)?;
            let sight = write.sight(&target);
            // What it points at already is told to whoever sees the entity itself.
            let pointed_at: HashSet<&EntityId> = match (sight, was) {
                (ReadScope::All, _) | (_, None) => HashSet::new(),
                (_, Some(was)) => was.targets().iter().collect(),
            };
            for (index, id) in value.targets().iter().enumerate() {
                let sight = if pointed_at.contains(id) {
                    ReadScope::All
                } else {
                    sight
                };
                if target.key == kind.key && *id == after.identifier {
                    targets.push(Target::Own);
                } else if let Some(key) = find_seen(write, &target, sight, id)? {
                    targets.push(Target::Known(key));
                } else if target.key == kind.key && promised.contains(id) {
                    targets.push(Target::New(target.clone(), id.clone()));
                    resolved.promised.push(id.clone());
                } else if may_make(write, &target, id)? && write.is_free(&target, id)? {
                    targets.push(Target::New(target.clone(), id.clone()));
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
        }
        resolved.relations.push((name.clone(), targets));
    }
    Ok(resolved)
}

/// The row of an entity, where it is in sight.
fn find_seen(
    write: &Write<'_, '_>,
    target: &Kind,
    sight: ReadScope,
    id: &EntityId,
) -> Result<Option<EntityKey>, Error> {
    if sight == ReadScope::All {
        return Ok(write.tx.find_entity_key(target.key, id)?);
    }
    let row = write.tx.find_entity(target.key, id)?;
    let seen = row.filter(|row| sight.includes(write.actor, &row.team) || write.has_made(row.key));
    Ok(seen.map(|row| row.key))
}

/// Whether a target that does not exist is to be made; an error where whoever writes may not. This is asked before the
/// first row is touched: whoever may not add it must not do so by the way either.
pub(super) fn may_make(write: &Write<'_, '_>, target: &Kind, id: &EntityId) -> Result<bool, Error> {
    if write.missing == Missing::Refuse || is_system(&target.blueprint().identifier) {
        return Ok(false);
    }
    permission::check_register(write.actor, target, &entity::bare(target, id))?;
    Ok(true)
}

/// Users, teams and the like have a life of their own: a mere mention must not make one.
pub(super) fn is_system(blueprint: &BlueprintId) -> bool {
    blueprint.as_str().starts_with('_')
}
