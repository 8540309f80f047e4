//! The catalog, asked through the component's imports.

use serde_json::Value;

use crate::Context;
use crate::bindings::goldenpath::plugin::catalog as wit;
use crate::catalog::{Entity, Error, Target, WriteMode};

pub(crate) fn get(_: &Context, blueprint: &str, identifier: &str) -> Result<Entity, Error> {
    from_wit(wit::get(blueprint, identifier)?)
}

pub(crate) fn write(_: &Context, entity: &Entity, mode: WriteMode) -> Result<Entity, Error> {
    let mode = match mode {
        WriteMode::Create => wit::WriteMode::Create,
        WriteMode::Replace => wit::WriteMode::Replace,
        WriteMode::Merge => wit::WriteMode::Merge,
    };
    from_wit(wit::write(&to_wit(entity)?, mode)?)
}

pub(crate) fn delete(_: &Context, blueprint: &str, identifier: &str) -> Result<(), Error> {
    wit::delete(blueprint, identifier).map_err(Error::from)
}

fn to_wit(entity: &Entity) -> Result<wit::Entity, Error> {
    let relation = |(name, target): (&String, &Target)| wit::Relation {
        name: name.clone(),
        target: match target {
            Target::None => wit::Target::None,
            Target::One(identifier) => wit::Target::One(identifier.clone()),
            Target::Many(identifiers) => wit::Target::Many(identifiers.clone()),
        },
    };
    Ok(wit::Entity {
        blueprint: entity.blueprint.clone(),
        identifier: entity.identifier.clone(),
        title: entity.title.clone(),
        icon: entity.icon.clone(),
        team: entity.team.clone(),
        properties: serde_json::to_string(&entity.properties)
            .map_err(|error| Error::Format(error.to_string()))?,
        relations: entity.relations.iter().map(relation).collect(),
    })
}

fn from_wit(entity: wit::Entity) -> Result<Entity, Error> {
    let relation = |wit::Relation { name, target }| {
        let target = match target {
            wit::Target::None => Target::None,
            wit::Target::One(identifier) => Target::One(identifier),
            wit::Target::Many(identifiers) => Target::Many(identifiers),
        };
        (name, target)
    };
    let properties = match serde_json::from_str(&entity.properties) {
        Ok(Value::Object(properties)) => properties,
        Ok(_) => {
            return Err(Error::Format(
                "the host's properties are not an object".to_owned(),
            ));
        }
        Err(error) => return Err(Error::Format(error.to_string())),
    };
    Ok(Entity {
        blueprint: entity.blueprint,
        identifier: entity.identifier,
        title: entity.title,
        icon: entity.icon,
        team: entity.team,
        properties,
        relations: entity.relations.into_iter().map(relation).collect(),
    })
}

impl From<wit::Error> for Error {
    fn from(error: wit::Error) -> Self {
        match error {
            wit::Error::Denied(denial) => Self::Denied(super::denial(denial)),
            wit::Error::NotFound(text) => Self::NotFound(text),
            wit::Error::Conflict(text) => Self::Conflict(text),
            wit::Error::Invalid(violations) => Self::Invalid(super::violations(violations)),
            wit::Error::Unavailable(text) => Self::Unavailable(text),
        }
    }
}
