//! Entities. The edges between them are in `relation`.

use rusqlite::{OptionalExtension as _, Row, params};
use serde_json::{Map, Value};

use super::Error;
use super::blueprint::{BlueprintKey, stamp};
use super::connection::{ReadTx, WriteTx};
use super::derived::DerivedRow;
use crate::model::{Actor, Entity, EntityId, Stamp};

/// Names an entity's row; never used for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityKey(pub(super) i64);

impl EntityKey {
    /// The row's number, for the tables of other files.
    pub fn number(self) -> i64 {
        self.0
    }
}

/// A stored entity without its relations, which are loaded for many entities at once.
#[derive(Clone, Debug)]
pub struct EntityRow {
    /// Names the row.
    pub key: EntityKey,
    /// Counts the changes of the row and of its edges.
    pub revision: i64,
    /// Unique within its blueprint.
    pub identifier: EntityId,
    /// Title for people.
    pub title: Option<String>,
    /// Name of an icon.
    pub icon: Option<String>,
    /// Identifiers of the owning teams.
    pub team: Vec<String>,
    /// Property name to value.
    pub properties: Map<String, Value>,
    /// Who and when, and by which program.
    pub stamp: Stamp,
}

/// The parts of an entity that are kept as JSON, written out: apart from the writer thread, which everybody waits for.
#[derive(Clone, Debug, Default)]
pub struct EntityText {
    team: String,
    properties: String,
}

impl EntityText {
    /// Writes them out.
    pub fn new(entity: &Entity) -> Result<Self, Error> {
        Ok(Self {
            team: json(&entity.team)?,
            properties: json(&entity.properties)?,
        })
    }

    /// Bytes of the properties.
    pub fn properties_len(&self) -> usize {
        self.properties.len()
    }
}

/// Entities whose relations one statement loads; bounds the statement's argument.
pub(super) const BATCH: usize = 1_000;

/// The columns that [`read_row`] takes, in its order.
pub(super) const COLUMNS: &str = "id, revision, identifier, title, icon, team, properties, datasource, \
     created_at, created_by, updated_at, updated_by";

/// The same of a table that a statement joins as `e`.
pub(super) const JOINED_COLUMNS: &str = "e.id, e.revision, e.identifier, e.title, e.icon, e.team, e.properties, e.datasource, \
     e.created_at, e.created_by, e.updated_at, e.updated_by";

impl ReadTx<'_> {
    /// One entity.
    pub fn find_entity(
        &self,
        blueprint: BlueprintKey,
        id: &EntityId,
    ) -> Result<Option<EntityRow>, Error> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM entity WHERE blueprint_id = ?1 AND identifier = ?2"
        ))?;
        let mut rows = statement.query(params![blueprint.0, id.as_str()])?;
        rows.next()?.map(read_row).transpose()
    }

    /// The row of one entity, where that is all one needs to know.
    pub fn find_entity_key(
        &self,
        blueprint: BlueprintKey,
        id: &EntityId,
    ) -> Result<Option<EntityKey>, Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT id FROM entity WHERE blueprint_id = ?1 AND identifier = ?2")?;
        let key = statement
            .query_row(params![blueprint.0, id.as_str()], |row| {
                row.get(0).map(EntityKey)
            })
            .optional()?;
        Ok(key)
    }

    /// The title of one entity.
    pub fn find_title(
        &self,
        blueprint: BlueprintKey,
        id: &EntityId,
    ) -> Result<Option<String>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT title FROM entity WHERE blueprint_id = ?1 AND identifier = ?2",
        )?;
        let title = statement.query_row(params![blueprint.0, id.as_str()], |row| row.get(0));
        Ok(title.optional()?.flatten())
    }

    /// The row of one entity and its revision: whether what was read of it before still holds.
    pub fn find_entity_revision(
        &self,
        blueprint: BlueprintKey,
        id: &EntityId,
    ) -> Result<Option<(EntityKey, i64)>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, revision FROM entity WHERE blueprint_id = ?1 AND identifier = ?2",
        )?;
        let found = statement
            .query_row(params![blueprint.0, id.as_str()], |row| {
                Ok((EntityKey(row.get(0)?), row.get(1)?))
            })
            .optional()?;
        Ok(found)
    }

    /// Identifiers of a blueprint's entities in order, those after `after`, at most `limit`.
    pub fn list_identifiers(
        &self,
        blueprint: BlueprintKey,
        after: Option<&EntityId>,
        limit: usize,
    ) -> Result<Vec<EntityId>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT identifier FROM entity WHERE blueprint_id = ?1 AND identifier > ?2
             ORDER BY identifier LIMIT ?3",
        )?;
        // No identifier is empty, so every one of them comes after the empty text.
        let after = after.map_or("", EntityId::as_str);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![blueprint.0, after, limit])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(entity_id(row.get(0)?)?);
        }
        Ok(found)
    }

    /// Entities of a blueprint by identifier, those after `after`, at most `limit`.
    pub fn list_entities(
        &self,
        blueprint: BlueprintKey,
        after: Option<&EntityId>,
        limit: usize,
    ) -> Result<Vec<EntityRow>, Error> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM entity WHERE blueprint_id = ?1 AND identifier > ?2
             ORDER BY identifier LIMIT ?3"
        ))?;
        // No identifier is empty, so every one of them comes after the empty text.
        let after = after.map_or("", EntityId::as_str);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![blueprint.0, after, limit])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(read_row(row)?);
        }
        Ok(found)
    }

    /// As [`Self::list_entities`], those that one of some teams owns.
    pub fn list_entities_of_teams(
        &self,
        blueprint: BlueprintKey,
        teams: &[String],
        after: Option<&EntityId>,
        limit: usize,
    ) -> Result<Vec<EntityRow>, Error> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM entity WHERE blueprint_id = ?1 AND identifier > ?2 AND EXISTS (
               SELECT 1 FROM json_each(entity.team) AS owner
               WHERE owner.value IN (SELECT value FROM json_each(?4)))
             ORDER BY identifier LIMIT ?3"
        ))?;
        let after = after.map_or("", EntityId::as_str);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![blueprint.0, after, limit, json(&teams)?])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(read_row(row)?);
        }
        Ok(found)
    }

    /// How many entities a blueprint has.
    pub fn count_entities(&self, blueprint: BlueprintKey) -> Result<u64, Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT count(*) FROM entity WHERE blueprint_id = ?1")?;
        let count: i64 = statement.query_row([blueprint.0], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    /// How many entities of a blueprint one of some teams owns.
    pub fn count_entities_of_teams(
        &self,
        blueprint: BlueprintKey,
        teams: &[String],
    ) -> Result<u64, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT count(*) FROM entity WHERE blueprint_id = ?1 AND EXISTS (
               SELECT 1 FROM json_each(entity.team) AS owner
               WHERE owner.value IN (SELECT value FROM json_each(?2)))",
        )?;
        let count: i64 =
            statement.query_row(params![blueprint.0, json(&teams)?], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }
}

impl WriteTx<'_> {
    /// Adds an entity, without its relations.
    pub fn insert_entity(
        &self,
        blueprint: BlueprintKey,
        entity: &Entity,
        text: &EntityText,
        actor: &Actor,
    ) -> Result<EntityKey, Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO entity (blueprint_id, identifier, title, icon, team, properties, datasource,
                                     created_at, created_by, updated_at, updated_by)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?8, ?9)",
            )?
            .execute(params![
                blueprint.0,
                entity.identifier.as_str(),
                entity.title,
                entity.icon,
                text.team,
                text.properties,
                actor.client,
                self.now.0,
                actor.name,
            ])?;
        Ok(EntityKey(self.connection.last_insert_rowid()))
    }

    /// Changes all of an entity but its relations.
    pub fn update_entity(
        &self,
        key: EntityKey,
        entity: &Entity,
        text: &EntityText,
        actor: &Actor,
    ) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "UPDATE entity SET identifier = ?2, title = ?3, icon = ?4, team = ?5, properties = ?6,
                                   datasource = ?7, updated_at = ?8, updated_by = ?9,
                                   revision = revision + 1
                 WHERE id = ?1",
            )?
            .execute(params![
                key.0,
                entity.identifier.as_str(),
                entity.title,
                entity.icon,
                text.team,
                text.properties,
                actor.client,
                self.now.0,
                actor.name,
            ])?;
        Ok(())
    }

    /// Notes that an entity was changed, where only its edges were.
    pub fn touch_entity(&self, key: EntityKey, by: &str) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "UPDATE entity SET updated_at = ?2, updated_by = ?3, revision = revision + 1 WHERE id = ?1",
            )?
            .execute(params![key.0, self.now.0, by])?;
        Ok(())
    }

    /// Notes which program an entity belongs to, where nothing else of it changes.
    pub fn update_datasource(&self, key: EntityKey, datasource: Option<&str>) -> Result<(), Error> {
        self.connection
            .prepare_cached("UPDATE entity SET datasource = ?2 WHERE id = ?1")?
            .execute(params![key.0, datasource])?;
        Ok(())
    }

    /// Removes an entity and its own edges. Nothing may point at it any more.
    pub fn delete_entity(&self, key: EntityKey) -> Result<(), Error> {
        let derived = self.find_derived(key)?;
        if derived.revision > 0 {
            let mut statement = self
                .connection
                .prepare_cached("SELECT blueprint_id FROM entity WHERE id = ?1")?;
            let blueprint = statement.query_row([key.0], |row| row.get(0).map(BlueprintKey))?;
            self.index_derived(blueprint, key, &derived, &DerivedRow::default())?;
        }
        self.connection
            .prepare_cached("DELETE FROM entity WHERE id = ?1")?
            .execute([key.0])?;
        Ok(())
    }

    /// Gives a property of a blueprint's entities another name; its values stay as they are.
    pub fn rename_property(
        &self,
        blueprint: BlueprintKey,
        from: &str,
        to: &str,
    ) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "UPDATE entity SET properties =
                   json_set(json_remove(properties, ?2), ?3, json(properties -> ?2))
                 WHERE blueprint_id = ?1 AND json_type(properties, ?2) IS NOT NULL",
            )?
            .execute(params![blueprint.0, property_path(from), property_path(to)])?;
        Ok(())
    }

    /// Removes a property from every entity of a blueprint.
    pub fn delete_property(&self, blueprint: BlueprintKey, name: &str) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "UPDATE entity SET properties = json_remove(properties, ?2)
                 WHERE blueprint_id = ?1 AND json_type(properties, ?2) IS NOT NULL",
            )?
            .execute(params![blueprint.0, property_path(name)])?;
        Ok(())
    }
}

/// Where a property stands in the JSON of all. Its name holds neither quotes nor backslashes: it cannot leave its quotes.
pub(super) fn property_path(name: &str) -> String {
    format!("$.\"{name}\"")
}

pub(super) fn key_list(keys: &[EntityKey]) -> String {
    Value::from(keys.iter().map(|key| key.0).collect::<Vec<_>>()).to_string()
}

pub(super) fn read_row(row: &Row<'_>) -> Result<EntityRow, Error> {
    let team: String = row.get(5)?;
    let properties: String = row.get(6)?;
    Ok(EntityRow {
        key: EntityKey(row.get(0)?),
        revision: row.get(1)?,
        identifier: entity_id(row.get(2)?)?,
        title: row.get(3)?,
        icon: row.get(4)?,
        team: serde_json::from_str(&team).map_err(|e| Error::corrupt("entity", e))?,
        properties: serde_json::from_str(&properties).map_err(|e| Error::corrupt("entity", e))?,
        stamp: Stamp {
            datasource: row.get(7)?,
            ..stamp(row, 8)?
        },
    })
}

pub(super) fn entity_id(text: String) -> Result<EntityId, Error> {
    EntityId::parse(text).map_err(|e| Error::corrupt("entity", e))
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|e| Error::corrupt("entity", e))
}
