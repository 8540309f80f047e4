//! The value index: what queries find entities by.

mod batch;
mod key;
mod write;

use std::cell::RefCell;
use std::collections::HashMap;

use rusqlite::{OptionalExtension as _, params};

use super::Error;
use super::blueprint::BlueprintKey;
use super::connection::ReadTx;
use super::entity::EntityKey;
use crate::model::EntityId;

pub(super) use batch::ValueBatch;
pub use key::{IndexValue, Span};

/// Names a property of a blueprint in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PropertyKey(pub(in crate::store) i64);

/// Properties that were looked up in one job of the writer: a large write asks for the same few again and again.
#[derive(Debug, Default)]
pub(super) struct PropertyCache {
    known: RefCell<HashMap<BlueprintKey, HashMap<String, PropertyKey>>>,
}

impl PropertyCache {
    fn find(&self, blueprint: BlueprintKey, name: &str) -> Option<PropertyKey> {
        self.known.borrow().get(&blueprint)?.get(name).copied()
    }

    fn keep(&self, blueprint: BlueprintKey, name: &str, property: PropertyKey) {
        let mut known = self.known.borrow_mut();
        let of_blueprint = known.entry(blueprint).or_default();
        of_blueprint.insert(name.to_owned(), property);
    }

    /// To be called wherever a property may lose its number: it is renamed or gone, or a write was undone.
    pub(super) fn clear(&self) {
        self.known.borrow_mut().clear();
    }
}

/// The name under which the level of a scorecard, or the status of one of its rules, stands in the index. No property
/// can have it.
pub fn scorecard_name(scorecard: &str, rule: Option<&str>) -> String {
    match rule {
        Some(rule) => format!("$scorecard/{scorecard}/{rule}"),
        None => format!("$scorecard/{scorecard}"),
    }
}

impl ReadTx<'_> {
    /// The property of a name in the index; absent where no entity of the blueprint ever had it.
    pub fn find_property(
        &self,
        blueprint: BlueprintKey,
        name: &str,
    ) -> Result<Option<PropertyKey>, Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT id FROM property_name WHERE blueprint_id = ?1 AND name = ?2")?;
        let found = statement.query_row(params![blueprint.0, name], |row| {
            row.get(0).map(PropertyKey)
        });
        Ok(found.optional()?)
    }

    /// The name of a property in the index.
    pub fn find_property_name(&self, property: PropertyKey) -> Result<Option<String>, Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT name FROM property_name WHERE id = ?1")?;
        Ok(statement
            .query_row([property.0], |row| row.get(0))
            .optional()?)
    }

    /// Whether some entity has a list in a property that was too long for the index.
    pub fn has_cut_lists(&self, property: PropertyKey) -> Result<bool, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM value WHERE property = ?1 AND value = ?2)",
        )?;
        Ok(
            statement.query_row(params![property.0, key::Key::mark(key::CUT)], |row| {
                row.get(0)
            })?,
        )
    }

    /// Entities that are not in the indexes yet, at most `limit`: their blueprints and identifiers.
    pub fn list_unindexed(
        &self,
        limit: usize,
    ) -> Result<Vec<(EntityKey, String, EntityId)>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT entity.id, blueprint.identifier, entity.identifier FROM unindexed
             JOIN entity ON entity.id = unindexed.entity JOIN blueprint ON blueprint.id = entity.blueprint_id
             ORDER BY unindexed.entity LIMIT ?1",
        )?;
        let mut rows = statement.query([i64::try_from(limit).unwrap_or(i64::MAX)])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let identifier: String = row.get(2)?;
            let identifier =
                EntityId::parse(identifier).map_err(|e| Error::corrupt("entity", e))?;
            found.push((EntityKey(row.get(0)?), row.get(1)?, identifier));
        }
        Ok(found)
    }
}
