//! A catalog in memory, with the rules that a plugin meets in the portal.

use super::{World, denial};
use crate::Context;
use crate::catalog::{Entity, Error, Target, WriteMode};

pub(crate) fn get(ctx: &Context, blueprint: &str, identifier: &str) -> Result<Entity, Error> {
    let world = ctx.world.borrow();
    check_grant(&world, blueprint, "read")?;
    world
        .entities
        .get(&key(blueprint, identifier))
        .cloned()
        .ok_or_else(|| Error::NotFound(named(blueprint, identifier)))
}

pub(crate) fn write(ctx: &Context, entity: &Entity, mode: WriteMode) -> Result<Entity, Error> {
    let mut world = ctx.world.borrow_mut();
    check_grant(&world, &entity.blueprint, "upsert")?;
    if let Some(error) = world.catalog_write_fault.take() {
        return Err(error);
    }
    check_targets(&world, entity)?;
    let key = key(&entity.blueprint, &entity.identifier);
    let written = match (world.entities.get(&key), mode) {
        (Some(_), WriteMode::Create) => {
            return Err(Error::Conflict(named(
                &entity.blueprint,
                &entity.identifier,
            )));
        }
        (Some(known), WriteMode::Merge) => merge(known.clone(), entity),
        (None, _) | (Some(_), WriteMode::Replace) => {
            merge(Entity::new(&*entity.blueprint, &*entity.identifier), entity)
        }
    };
    world.entities.insert(key, written.clone());
    Ok(written)
}

pub(crate) fn delete(ctx: &Context, blueprint: &str, identifier: &str) -> Result<(), Error> {
    let mut world = ctx.world.borrow_mut();
    check_grant(&world, blueprint, "delete")?;
    if let Some(error) = world.catalog_write_fault.take() {
        return Err(error);
    }
    world
        .entities
        .remove(&key(blueprint, identifier))
        .map(|_| ())
        .ok_or_else(|| Error::NotFound(named(blueprint, identifier)))
}

fn merge(mut known: Entity, new: &Entity) -> Entity {
    known.title = new.title.clone().or(known.title);
    known.icon = new.icon.clone().or(known.icon);
    if !new.team.is_empty() {
        known.team.clone_from(&new.team);
    }
    for (name, value) in &new.properties {
        if value.is_null() {
            known.properties.remove(name);
        } else {
            known.properties.insert(name.clone(), value.clone());
        }
    }
    known.relations.extend(
        new.relations
            .iter()
            .map(|(name, target)| (name.clone(), target.clone())),
    );
    known
}

/// The fake knows no blueprints, so that a target may be an entity of any.
fn check_targets(world: &World, entity: &Entity) -> Result<(), Error> {
    for (relation, target) in &entity.relations {
        let targets = match target {
            Target::None => &[][..],
            Target::One(identifier) => std::slice::from_ref(identifier),
            Target::Many(identifiers) => identifiers,
        };
        for identifier in targets {
            let itself = *identifier == entity.identifier;
            if !itself && !world.entities.keys().any(|(_, known)| known == identifier) {
                return Err(Error::NotFound(format!(
                    "relation `{relation}` points at `{identifier}`, which is not in the catalog"
                )));
            }
        }
    }
    Ok(())
}

fn check_grant(world: &World, blueprint: &str, access: &str) -> Result<(), Error> {
    if world
        .denied_blueprints
        .iter()
        .any(|denied| denied == blueprint)
    {
        return Err(Error::Denied(denial(format!(
            "catalog {access} {blueprint}"
        ))));
    }
    Ok(())
}

fn key(blueprint: &str, identifier: &str) -> (String, String) {
    (blueprint.to_owned(), identifier.to_owned())
}

fn named(blueprint: &str, identifier: &str) -> String {
    format!("entity `{identifier}` of blueprint `{blueprint}`")
}
