//! Who owns the entities of a blueprint: a team that each of them names, or the owners of what they belong to.

use serde_json::Value;

use crate::catalog::schema::{join, shorten};
use crate::catalog::{Error, blueprint};
use crate::model::{Blueprint, BlueprintId, Violation};
use crate::store::ReadTx;

/// Steps of a path of relations.
const MAX_STEPS: usize = 20;

/// How a blueprint says who owns its entities.
enum Ownership<'a> {
    /// Each entity names its teams.
    Direct,
    /// An entity's owners are those of the entity at the end of a path of relations.
    Inherited(&'a str),
}

fn parse(blueprint: &Blueprint) -> Result<Option<Ownership<'_>>, Violation> {
    const AT: &str = "/ownership";
    let Some(ownership) = blueprint
        .extra
        .get("ownership")
        .filter(|value| !value.is_null())
    else {
        return Ok(None);
    };
    let Value::Object(fields) = ownership else {
        return Err(Violation::new(
            AT,
            "type",
            "must be an object with a `type`",
        ));
    };
    if let Some(title) = fields.get("title").filter(|value| !value.is_null())
        && title
            .as_str()
            .is_none_or(|title| title.chars().count() > 100)
    {
        let message = "must be a string of at most 100 characters";
        return Err(Violation::new(join(AT, "title"), "length", message));
    }
    let path = fields.get("path").filter(|value| !value.is_null());
    match (fields.get("type").and_then(Value::as_str), path) {
        (Some("Direct"), None) => Ok(Some(Ownership::Direct)),
        (Some("Direct"), Some(_)) => {
            let message = "only inherited ownership has a path";
            Err(Violation::new(join(AT, "path"), "path", message))
        }
        (Some("Inherited"), Some(Value::String(path))) => Ok(Some(Ownership::Inherited(path))),
        (Some("Inherited"), _) => {
            let message = "inherited ownership needs a path: names of relations with dots between";
            Err(Violation::new(join(AT, "path"), "required", message))
        }
        _ => {
            let message = "use `Direct` or `Inherited`";
            Err(Violation::new(join(AT, "type"), "enum", message))
        }
    }
}

/// What is wrong with the shape.
pub(super) fn check(blueprint: &Blueprint, found: &mut Vec<Violation>) {
    found.extend(parse(blueprint).err());
}

/// What is wrong with the path, once every blueprint that it may lead over is there.
pub(in crate::catalog) fn check_path(
    tx: &ReadTx<'_>,
    blueprint: &Blueprint,
) -> Result<Option<Violation>, Error> {
    let Ok(Some(Ownership::Inherited(path))) = parse(blueprint) else {
        return Ok(None);
    };
    let refused = |message: String| Ok(Some(Violation::new("/ownership/path", "path", message)));
    if path.split('.').count() > MAX_STEPS {
        return refused(format!("must have at most {MAX_STEPS} steps"));
    }
    let mut at = blueprint.clone();
    for step in path.split('.') {
        let Some(relation) = at.relations.get(step) else {
            return refused(format!(
                "`{}` is not a relation of blueprint `{}`",
                shorten(step),
                at.identifier
            ));
        };
        let target = relation.target.clone();
        at = match find(tx, blueprint, &target)? {
            Some(next) => next,
            None => return refused(format!("blueprint `{target}` does not exist")),
        };
    }
    Ok(None)
}

/// A blueprint as it will be: the one that is being written is not stored yet.
fn find(
    tx: &ReadTx<'_>,
    written: &Blueprint,
    id: &BlueprintId,
) -> Result<Option<Blueprint>, Error> {
    if *id == written.identifier {
        return Ok(Some(written.clone()));
    }
    let row = tx.find_blueprint(id)?;
    row.map(|row| Ok(blueprint::read(&row)?.value)).transpose()
}
