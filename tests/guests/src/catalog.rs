//! Reaches for more of the catalog than it was granted.

use goldenpath_sdk::catalog::Error;
use goldenpath_sdk::prelude::*;
use goldenpath_sdk::serde_json::json;

use crate::{Came, Nothing, came};

/// Something to do to an entity.
#[input]
pub struct Deed {
    /// `read`, `upsert` or `delete`.
    pub access: String,
    /// Whose entity.
    pub blueprint: String,
}

/// Does to an entity whatever it is told.
#[action]
pub fn does_to_an_entity(input: Deed, ctx: &Context) -> Result<Came, Failure> {
    let catalog = ctx.catalog();
    match input.access.as_str() {
        "read" => drop(catalog.get(&input.blueprint, "told")?),
        "upsert" => drop(catalog.merge(&Entity::new(&input.blueprint, "told"))?),
        _ => catalog.delete(&input.blueprint, "told")?,
    }
    came("done")
}

/// Asks without end.
#[action]
pub fn floods_the_host(_: Nothing, ctx: &Context) -> Result<Came, Failure> {
    loop {
        let _ = ctx.catalog().get("Thing", "nothing");
    }
}

/// Writes where no line says that it may.
#[action]
pub fn writes_undeclared_blueprint(_: Nothing, ctx: &Context) -> Result<Came, Failure> {
    ctx.catalog().create(&Entity::new("Secret", "mine"))?;
    came("written")
}

/// Writes a property that its line does not list.
#[action]
pub fn writes_undeclared_property(_: Nothing, ctx: &Context) -> Result<Came, Failure> {
    ctx.catalog()
        .create(&Entity::new("Thing", "mine").property("owner", "me"))?;
    came("written")
}

/// Writes all of an entity that is no property and that its line does not list, part by part.
#[action]
pub fn writes_undeclared_parts(_: Nothing, ctx: &Context) -> Result<Came, Failure> {
    let mine = || Entity::new("Thing", "parts");
    let denied = [
        mine().title("Mine"),
        mine().team("mine"),
        mine().relation("other", "mine"),
        mine().property("colour", "green").title("Mine"),
    ]
    .map(|entity| match ctx.catalog().merge(&entity) {
        Err(Error::Denied(denial)) => denial.missing,
        other => format!("{other:?}"),
    });
    ctx.catalog().merge(&mine().property("colour", "green"))?;
    came(json!(denied))
}

/// Names the entity and where it points by what they have.
#[action]
pub fn writes_by_a_query(_: Nothing, ctx: &Context) -> Result<Came, Failure> {
    let query = |colour: &str| {
        let rule = json!({ "property": "colour", "operator": "=", "value": colour });
        json!({ "combinator": "and", "rules": [rule] }).to_string()
    };
    let catalog = ctx.catalog();
    for (name, colour) in [("one", "red"), ("two", "blue")] {
        catalog.merge(&Entity::new("Thing", name).property("colour", colour))?;
    }
    let asked = Entity::new("Thing", query("blue")).relation("next", query("red"));
    let found = catalog.merge(&asked)?;
    let missing = catalog.merge(&Entity::new("Thing", query("grey")));
    let missing = matches!(missing, Err(Error::NotFound(_)));
    came(json!([found.identifier, found.target("next"), missing]))
}

/// Looks by a query for what it may not read.
#[action]
pub fn writes_by_a_hidden_query(_: Nothing, ctx: &Context) -> Result<Came, Failure> {
    let query = json!({ "rules": [{ "property": "colour", "operator": "=", "value": "x" }] });
    let entity = Entity::new("Thing", "mine").relation("secret", query.to_string());
    ctx.catalog().create(&entity)?;
    came("written")
}
