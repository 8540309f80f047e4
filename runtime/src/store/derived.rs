//! What is derived from entities, and the edges and values that it is derived from.

use std::collections::HashMap;

use rusqlite::types::Value as Sql;
use rusqlite::{Row, ToSql, params};
use serde_json::{Map, Value};

use super::blueprint::BlueprintKey;
use super::connection::{ReadTx, WriteTx};
use super::entity::{EntityKey, EntityRow};
use super::permission::Hidden;
use super::query::Statement;
use super::{Error, entity};
use crate::model::{BlueprintId, DerivedFailure, Field, Meta};

/// Entities that one statement names; bounds the statement's argument.
const BATCH: usize = 5_000;

/// What is kept of the derived values of one entity.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DerivedRow {
    /// Counts up with every write; 0 where nothing is kept yet.
    pub revision: i64,
    /// Derived property to value; what has no value is absent.
    pub properties: Map<String, Value>,
    /// Scorecard to result.
    pub scorecards: Map<String, Value>,
    /// Derived property to why it could not be made.
    pub failures: Map<String, Value>,
}

impl EntityKey {
    /// The row of a number that [`Self::number`] gave.
    pub fn of_number(number: i64) -> Self {
        Self(number)
    }
}

impl ReadTx<'_> {
    /// The number that every change of a blueprint or a scorecard draws anew.
    pub fn find_schema_version(&self) -> Result<i64, Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT version FROM derive_schema")?;
        Ok(statement.query_row([], |row| row.get(0))?)
    }

    /// The derived values of one entity.
    pub fn find_derived(&self, key: EntityKey) -> Result<DerivedRow, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT entity_id, revision, properties, scorecards, failures
             FROM entity_derived WHERE entity_id = ?1",
        )?;
        let mut rows = statement.query([key.0])?;
        let row = rows.next()?.map(read_derived).transpose()?;
        Ok(row.map(|(_, derived)| derived).unwrap_or_default())
    }

    /// The derived values of many entities; those without any are absent.
    pub fn list_derived(
        &self,
        keys: &[EntityKey],
    ) -> Result<HashMap<EntityKey, DerivedRow>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT entity_id, revision, properties, scorecards, failures
             FROM entity_derived WHERE entity_id IN (SELECT value FROM json_each(?1))",
        )?;
        let mut found = HashMap::with_capacity(keys.len());
        for batch in keys.chunks(BATCH) {
            let mut rows = statement.query([list(batch)])?;
            while let Some(row) = rows.next()? {
                let (key, derived) = read_derived(row)?;
                found.insert(key, derived);
            }
        }
        Ok(found)
    }

    /// Many entities by their rows, without their relations; those that are gone are absent.
    pub fn list_entities_by_key(
        &self,
        keys: &[EntityKey],
    ) -> Result<Vec<(BlueprintKey, EntityRow)>, Error> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {}, blueprint_id FROM entity
             WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY id",
            entity::COLUMNS
        ))?;
        let mut found = Vec::with_capacity(keys.len());
        for batch in keys.chunks(BATCH) {
            let mut rows = statement.query([list(batch)])?;
            while let Some(row) = rows.next()? {
                let blueprint = BlueprintKey(row.get("blueprint_id")?);
                found.push((blueprint, entity::read_row(row)?));
            }
        }
        Ok(found)
    }

    /// Rows and identifiers of a blueprint's entities, those after `after`, at most `limit`.
    pub fn list_entity_keys(
        &self,
        blueprint: BlueprintKey,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(EntityKey, String)>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, identifier FROM entity WHERE blueprint_id = ?1 AND identifier > ?2
             ORDER BY identifier LIMIT ?3",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![blueprint.0, after, limit], |row| {
            Ok((EntityKey(row.get(0)?), row.get(1)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The edges of one relation that begin at some entities, as pairs of source and target, in order.
    pub fn list_edges_from(
        &self,
        sources: &[EntityKey],
        relation: &str,
    ) -> Result<Vec<(EntityKey, EntityKey)>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT relation.source_id, relation.target_id
             FROM json_each(?1) AS source CROSS JOIN relation
             ON relation.source_id = source.value AND relation.name = ?2
             ORDER BY relation.source_id, relation.position",
        )?;
        let mut found = Vec::new();
        for batch in sources.chunks(BATCH) {
            let mut rows = statement.query(params![list(batch), relation])?;
            while let Some(row) = rows.next()? {
                found.push((EntityKey(row.get(0)?), EntityKey(row.get(1)?)));
            }
        }
        Ok(found)
    }

    /// The edges of one relation of a blueprint that end at some entities, as pairs of target and source.
    pub fn list_edges_to(
        &self,
        targets: &[EntityKey],
        blueprint: BlueprintKey,
        relation: &str,
    ) -> Result<Vec<(EntityKey, EntityKey)>, Error> {
        // Relations of one name may belong to several blueprints. The index knows them without reading the row.
        let mut statement = self.connection.prepare_cached(
            "SELECT relation.target_id, relation.source_id
             FROM json_each(?1) AS target CROSS JOIN relation
             ON relation.target_id = target.value AND relation.name = ?3
             CROSS JOIN entity AS source INDEXED BY entity_by_blueprint
             ON source.id = relation.source_id AND source.blueprint_id = ?2",
        )?;
        let mut found = Vec::new();
        for batch in targets.chunks(BATCH) {
            let mut rows = statement.query(params![list(batch), blueprint.0, relation])?;
            while let Some(row) = rows.next()? {
                found.push((EntityKey(row.get(0)?), EntityKey(row.get(1)?)));
            }
        }
        Ok(found)
    }

    /// One field of many entities; those without a value are absent.
    pub fn list_field(
        &self,
        keys: &[EntityKey],
        field: &Field,
        derived: bool,
    ) -> Result<HashMap<EntityKey, Value>, Error> {
        let (sql, path) = match field {
            Field::Property(name) => {
                let (table, key) = match derived {
                    true => ("entity_derived", "entity_id"),
                    false => ("entity", "id"),
                };
                let sql = format!(
                    "SELECT {key}, properties -> ?2 FROM {table}
                     WHERE {key} IN (SELECT value FROM json_each(?1))"
                );
                // A property's identifier holds neither quotes nor backslashes: it cannot leave its quotes.
                (sql, Some(format!("$.\"{name}\"")))
            }
            Field::Meta(meta) => (meta_sql(*meta), None),
        };
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut found = HashMap::with_capacity(keys.len());
        for batch in keys.chunks(BATCH) {
            let keys = list(batch);
            let both: [&dyn ToSql; 2] = [&keys, &path];
            let arguments = both.get(..1 + usize::from(path.is_some()));
            let mut rows = statement.query(arguments.unwrap_or_default())?;
            while let Some(row) = rows.next()? {
                let value = match field {
                    Field::Property(_) | Field::Meta(Meta::Team) => json(row, 1)?,
                    Field::Meta(Meta::CreatedAt | Meta::UpdatedAt) => {
                        let at = crate::model::Timestamp(row.get(1)?);
                        Value::String(at.to_string())
                    }
                    Field::Meta(_) => row
                        .get::<_, Option<String>>(1)?
                        .map_or(Value::Null, Value::String),
                };
                if !value.is_null() {
                    found.insert(EntityKey(row.get(0)?), value);
                }
            }
        }
        Ok(found)
    }

    /// Derived values that could not be made, at most `limit` entities' worth of those that are not hidden.
    pub fn list_failures(
        &self,
        hidden: &Hidden,
        limit: usize,
    ) -> Result<Vec<DerivedFailure>, Error> {
        let mut statement = Statement::new(
            "SELECT blueprint.identifier, e.identifier, entity_derived.failures
             FROM entity_derived
             JOIN entity AS e ON e.id = entity_derived.entity_id
             JOIN blueprint ON blueprint.id = e.blueprint_id
             WHERE entity_derived.failures IS NOT NULL AND ",
        );
        statement.shown(hidden);
        statement.text(" ORDER BY entity_derived.entity_id LIMIT ");
        statement.bind(Sql::Integer(i64::try_from(limit).unwrap_or(i64::MAX)));
        let mut found = Vec::new();
        self.rows(statement, &mut |row| {
            let blueprint: String = row.get(0)?;
            let blueprint =
                BlueprintId::parse(blueprint).map_err(|e| Error::corrupt("blueprint", e))?;
            let entity: String = row.get(1)?;
            for (property, message) in object(row, 2)? {
                found.push(DerivedFailure {
                    blueprint: blueprint.clone(),
                    entity: entity.clone(),
                    property,
                    message: message.as_str().unwrap_or_default().to_owned(),
                });
            }
            Ok(true)
        })?;
        Ok(found)
    }

    /// How many entities have a derived value that could not be made.
    pub fn count_failures(&self) -> Result<u64, Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT count(*) FROM entity_derived WHERE failures IS NOT NULL")?;
        let count: i64 = statement.query_row([], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }
}

impl WriteTx<'_> {
    /// Keeps the first derived values of an entity of a blueprint that this transaction has added.
    pub fn insert_derived(
        &self,
        blueprint: BlueprintKey,
        key: EntityKey,
        derived: &DerivedRow,
    ) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO entity_derived (entity_id, revision, properties, scorecards, failures)
                 VALUES (?1, 1, ?2, ?3, ?4)",
            )?
            .execute(params![
                key.0,
                text(&derived.properties)?,
                text(&derived.scorecards)?,
                failures(derived)?,
            ])?;
        self.index_derived(blueprint, key, &DerivedRow::default(), derived)
    }

    /// Keeps the derived values of an entity of a blueprint in place of `old`, unless others were kept since that was
    /// read, or the entity is gone. Whether they were kept.
    pub fn replace_derived(
        &self,
        blueprint: BlueprintKey,
        key: EntityKey,
        old: &DerivedRow,
        derived: &DerivedRow,
    ) -> Result<bool, Error> {
        let changed = self
            .connection
            .prepare_cached(
                "INSERT INTO entity_derived (entity_id, revision, properties, scorecards, failures)
                 SELECT ?1, ?2 + 1, ?3, ?4, ?5 FROM entity
                 WHERE entity.id = ?1
                   AND ?2 = coalesce((SELECT revision FROM entity_derived WHERE entity_id = ?1), 0)
                 ON CONFLICT (entity_id) DO UPDATE
                 SET revision = excluded.revision, properties = excluded.properties,
                     scorecards = excluded.scorecards, failures = excluded.failures",
            )?
            .execute(params![
                key.0,
                old.revision,
                text(&derived.properties)?,
                text(&derived.scorecards)?,
                failures(derived)?,
            ])?;
        if changed > 0 {
            self.index_derived(blueprint, key, old, derived)?;
            for name in old.properties.keys() {
                // What is no longer derived may be a property of the entity itself by now, with the same value.
                if !derived.properties.contains_key(name)
                    && let Some(own) = self.find_own_value(key, name)?
                {
                    self.index_value(blueprint, key, name, None, Some(&own))?;
                }
            }
        }
        Ok(changed > 0)
    }

    fn find_own_value(&self, key: EntityKey, name: &str) -> Result<Option<Value>, Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT properties -> ?2 FROM entity WHERE id = ?1")?;
        let mut rows = statement.query(params![key.0, entity::property_path(name)])?;
        rows.next()?.map(|row| json(row, 0)).transpose()
    }

    /// Takes a derived property out of all entities of a blueprint, and out of the index. What is being made of them
    /// from older values is not to be kept.
    pub fn delete_derived(&self, blueprint: BlueprintKey, name: &str) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "UPDATE entity_derived SET revision = revision + 1,
                   properties = json_remove(properties, ?2),
                   failures = nullif(json_remove(failures, ?2), '{}')
                 WHERE entity_id IN (SELECT id FROM entity WHERE blueprint_id = ?1)",
            )?
            .execute(params![blueprint.0, entity::property_path(name)])?;
        self.forget_values(blueprint, name)
    }

    /// Notes that what is being made of an entity from older values is not to be kept.
    pub fn touch_derived(&self, key: EntityKey) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "UPDATE entity_derived SET revision = revision + 1 WHERE entity_id = ?1",
            )?
            .execute([key.0])?;
        Ok(())
    }
}

fn meta_sql(meta: Meta) -> String {
    let column = match meta {
        Meta::Identifier => "entity.identifier",
        Meta::Title => "entity.title",
        Meta::Team => "entity.team",
        Meta::Icon => "entity.icon",
        Meta::CreatedAt => "entity.created_at",
        Meta::UpdatedAt => "entity.updated_at",
        Meta::CreatedBy => "entity.created_by",
        Meta::UpdatedBy => "entity.updated_by",
        Meta::Blueprint => {
            "(SELECT identifier FROM blueprint WHERE blueprint.id = entity.blueprint_id)"
        }
        Meta::Datasource => "entity.datasource",
    };
    format!(
        "SELECT entity.id, {column} FROM entity WHERE entity.id IN (SELECT value FROM json_each(?1))"
    )
}

fn read_derived(row: &Row<'_>) -> Result<(EntityKey, DerivedRow), Error> {
    let derived = DerivedRow {
        revision: row.get(1)?,
        properties: object(row, 2)?,
        scorecards: object(row, 3)?,
        failures: object(row, 4)?,
    };
    Ok((EntityKey(row.get(0)?), derived))
}

fn json(row: &Row<'_>, column: usize) -> Result<Value, Error> {
    match row
        .get_ref(column)?
        .as_str_or_null()
        .map_err(rusqlite::Error::from)?
    {
        None => Ok(Value::Null),
        Some(text) => serde_json::from_str(text).map_err(|e| Error::corrupt("derived value", e)),
    }
}

fn object(row: &Row<'_>, column: usize) -> Result<Map<String, Value>, Error> {
    match row
        .get_ref(column)?
        .as_str_or_null()
        .map_err(rusqlite::Error::from)?
    {
        None | Some("{}") => Ok(Map::new()),
        Some(text) => serde_json::from_str(text).map_err(|e| Error::corrupt("derived value", e)),
    }
}

fn failures(derived: &DerivedRow) -> Result<Option<String>, Error> {
    match derived.failures.is_empty() {
        true => Ok(None),
        false => text(&derived.failures).map(Some),
    }
}

fn text(fields: &Map<String, Value>) -> Result<String, Error> {
    serde_json::to_string(fields).map_err(|e| Error::corrupt("derived value", e))
}

/// Keys as a JSON list, for `json_each`.
pub(super) fn list(keys: &[EntityKey]) -> String {
    Value::from(keys.iter().map(|key| key.0).collect::<Vec<_>>()).to_string()
}
