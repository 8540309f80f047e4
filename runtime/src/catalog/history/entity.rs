//! Entities as they were, and back again.

use indexmap::IndexMap;
use serde_json::Value;

use crate::catalog::blueprint::{RenameTold, Renamed};
use crate::catalog::entity::{self, People, Request, Write};
use crate::catalog::kind::Kinds;
use crate::catalog::{Error, blueprint, permission};
use crate::model::{
    Actor, AuditRow, Blueprint, BlueprintId, Entity, EntityDraft, EntityId, RelationValue, Stamped,
    Timestamp, WriteMode,
};
use crate::store::{self, ReadTx, WriteTx};

/// Renames of one entity that are followed: more is a loop or a game.
const MAX_RENAMES: usize = 100;

/// An entity that was put back.
#[derive(Clone, Debug)]
pub struct Restored {
    /// As it now is.
    pub entity: Stamped<Entity>,
    /// What it pointed at and what is gone as well.
    pub lost: Vec<Lost>,
}

/// A relation that could not be put back.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Lost {
    /// Name of the relation.
    pub relation: String,
    /// Blueprint of the entity that it pointed at.
    #[schema(value_type = String)]
    pub blueprint: BlueprintId,
    /// Identifier of that entity.
    #[schema(value_type = String)]
    pub identifier: EntityId,
}

pub(super) fn find_at(
    tx: &ReadTx<'_>,
    blueprint: &BlueprintId,
    id: &EntityId,
    at: Timestamp,
) -> Result<Stamped<Entity>, Error> {
    let mut present = None;
    for life in tx.list_lives(blueprint, id)? {
        let Some(change) = tx.find_change_at(life, at)? else {
            continue;
        };
        let Some(value) = document(change.after.as_ref())? else {
            continue;
        };
        let named_so = value.identifier == *id;
        if !named_so && !life.present {
            continue;
        }
        let found = (life, change, value);
        // Whoever had the name then comes before whoever has it now.
        if named_so {
            present = Some(found);
            break;
        }
        present = Some(found);
    }
    let Some((life, change, value)) = present else {
        return Err(Error::NotFound(format!(
            "{} at {at}",
            entity::name(blueprint, id)
        )));
    };
    let stamp = tx.find_stamp_at(life, &change)?;
    let value = bring_up(tx, value, &change, at)?;
    Ok(Stamped { value, stamp })
}

pub(super) fn restore(
    tx: &WriteTx<'_>,
    kinds: &Kinds,
    actor: &Actor,
    blueprint: &BlueprintId,
    id: &EntityId,
) -> Result<Restored, Error> {
    let kind = kinds.load(tx, blueprint)?;
    let subject = || entity::name(blueprint, id);
    if tx.find_entity_key(kind.key, id)?.is_some() {
        return Err(Error::Conflict {
            code: "already_exists",
            message: format!("{} exists; there is nothing to restore", subject()),
        });
    }
    let Some(deletion) = tx.find_deletion(blueprint, id)? else {
        return Err(Error::NotFound(format!("a deleted {}", subject())));
    };
    let Some(value) = document(deletion.before.as_ref())? else {
        return Err(store::Error::corrupt("audit row", "a deletion does not say of what").into());
    };
    let value = bring_up(tx, value, &deletion, tx.now)?;
    permission::check_read(actor, &kind, &value).map_err(|refused| match refused {
        // In the words for one that was never deleted.
        Error::NotFound(_) => Error::NotFound(format!("a deleted {}", subject())),
        refused => refused,
    })?;
    let (relations, lost) = keep_targets(tx, kind.blueprint(), id, value.relations)?;
    let draft = EntityDraft {
        identifier: None,
        title: Some(value.title),
        icon: Some(value.icon),
        team: Some(value.team),
        properties: Some(value.properties),
        relations: Some(relations),
    };
    let write = Write::of_the_past(tx, kinds, actor);
    let request = Request {
        id: id.clone(),
        draft,
        mode: WriteMode::Create,
        people: People::Guarded,
    };
    let written = write.write(&kind, request)?;
    Ok(Restored {
        entity: written.entity,
        lost,
    })
}

fn document(value: Option<&Value>) -> Result<Option<Entity>, Error> {
    let parsed = value.map(|value| serde_json::from_value(value.clone()));
    Ok(parsed
        .transpose()
        .map_err(|e| store::Error::corrupt("audit row", e))?)
}

/// Does to an entity of the past what happened to it, between its last change and `at`, without being a change of its
/// own: the blueprint lost, got or renamed properties and relations, and what it points at was renamed.
fn bring_up(
    tx: &ReadTx<'_>,
    mut entity: Entity,
    change: &AuditRow,
    at: Timestamp,
) -> Result<Entity, Error> {
    for later in tx.list_blueprint_changes(&entity.blueprint, change.sequence, at)? {
        if let Some(told) = RenameTold::of(&later) {
            rename(&mut entity, &told);
            continue;
        }
        let Some(after) = later.after else { continue };
        let blueprint: Blueprint =
            serde_json::from_value(after).map_err(|e| store::Error::corrupt("audit row", e))?;
        fit(&mut entity, &blueprint);
    }
    // Today's targets are good enough to know where to look: a relation keeps its target as long as it lives.
    let Some(row) = tx.find_blueprint(&entity.blueprint)? else {
        return Ok(entity);
    };
    let blueprint = blueprint::read(&row)?.value;
    for (name, value) in &mut entity.relations {
        let Some(definition) = blueprint.relations.get(name) else {
            continue;
        };
        let ids = match value {
            RelationValue::None => continue,
            RelationValue::One(id) => std::slice::from_mut(id),
            RelationValue::Many(ids) => ids.as_mut_slice(),
        };
        for id in ids {
            let mut since = change.sequence;
            for _ in 0..MAX_RENAMES {
                let Some((name, sequence)) = tx.find_new_name(&definition.target, id, since, at)?
                else {
                    break;
                };
                (*id, since) = (name, sequence);
            }
        }
    }
    Ok(entity)
}

/// Gives the value of a renamed part its new name, in the place of the old one.
fn rename(entity: &mut Entity, told: &RenameTold<'_>) {
    match told.what {
        Renamed::Property => {
            let properties = std::mem::take(&mut entity.properties).into_iter();
            entity.properties = properties
                .map(|(name, value)| (told.name_of(name), value))
                .collect();
        }
        Renamed::Relation => {
            let relations = std::mem::take(&mut entity.relations).into_iter();
            entity.relations = relations
                .map(|(name, value)| (told.name_of(name), value))
                .collect();
        }
        // What is derived is no part of the past of an entity.
        Renamed::Mirror => {}
    }
}

/// Gives an entity the properties and relations of a blueprint: what is no longer named goes, new relations are empty.
fn fit(entity: &mut Entity, blueprint: &Blueprint) {
    entity
        .properties
        .retain(|name, _| blueprint.schema.properties.contains_key(name));
    let relations = blueprint.relations.iter().map(|(name, definition)| {
        let mut ids = match entity.relations.swap_remove(name) {
            None | Some(RelationValue::None) => Vec::new(),
            Some(RelationValue::One(id)) => vec![id],
            Some(RelationValue::Many(ids)) => ids,
        };
        let value = match (definition.many, ids.is_empty()) {
            (true, _) => RelationValue::Many(ids),
            (false, true) => RelationValue::None,
            (false, false) => RelationValue::One(ids.swap_remove(0)),
        };
        (name.clone(), value)
    });
    entity.relations = relations.collect();
}

/// Leaves out of an entity's relations what does not exist, and says what that was.
fn keep_targets(
    tx: &ReadTx<'_>,
    blueprint: &Blueprint,
    own: &EntityId,
    relations: IndexMap<String, RelationValue>,
) -> Result<(IndexMap<String, RelationValue>, Vec<Lost>), Error> {
    let mut lost = Vec::new();
    let mut kept = IndexMap::new();
    for (name, value) in relations {
        let Some(definition) = blueprint.relations.get(&name) else {
            continue;
        };
        let target = blueprint::find(tx, &definition.target)?.key;
        let mut ids = Vec::new();
        for id in value.targets() {
            let is_itself = definition.target == blueprint.identifier && id == own;
            if is_itself || tx.find_entity_key(target, id)?.is_some() {
                ids.push(id.clone());
            } else {
                lost.push(Lost {
                    relation: name.clone(),
                    blueprint: definition.target.clone(),
                    identifier: id.clone(),
                });
            }
        }
        let value = match value {
            RelationValue::Many(_) => RelationValue::Many(ids),
            _ => ids.pop().map_or(RelationValue::None, RelationValue::One),
        };
        kept.insert(name, value);
    }
    Ok((kept, lost))
}
