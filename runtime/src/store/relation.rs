//! The edges between entities.

use std::collections::HashMap;

use rusqlite::params;

use super::Error;
use super::blueprint::BlueprintKey;
use super::connection::{ReadTx, WriteTx};
use super::entity::{BATCH, EntityKey, entity_id, key_list};
use crate::model::{BlueprintId, EntityId};

/// An edge, seen from its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependent {
    /// The entity that points.
    pub source: EntityKey,
    /// Its blueprint.
    pub blueprint: BlueprintId,
    /// Its identifier.
    pub identifier: EntityId,
    /// The relation in which it points.
    pub relation: String,
}

/// Targets of many entities: by entity, then by relation, in order.
pub type Targets = HashMap<EntityKey, HashMap<String, Vec<EntityId>>>;

impl ReadTx<'_> {
    /// Where many entities point, in one statement per thousand of them.
    pub fn list_targets(&self, sources: &[EntityKey]) -> Result<Targets, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT relation.source_id, relation.name, target.identifier
             FROM relation JOIN entity AS target ON target.id = relation.target_id
             WHERE relation.source_id IN (SELECT value FROM json_each(?1))
             ORDER BY relation.source_id, relation.name, relation.position",
        )?;
        let mut found = Targets::new();
        for batch in sources.chunks(BATCH) {
            let mut rows = statement.query([key_list(batch)])?;
            while let Some(row) = rows.next()? {
                let target = entity_id(row.get(2)?)?;
                let of_entity = found.entry(EntityKey(row.get(0)?)).or_default();
                of_entity.entry(row.get(1)?).or_default().push(target);
            }
        }
        Ok(found)
    }

    /// The edges that end at an entity, those from itself left out, at most `limit`.
    pub fn list_dependents(
        &self,
        target: EntityKey,
        limit: usize,
    ) -> Result<Vec<Dependent>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT DISTINCT relation.source_id, blueprint.identifier, source.identifier, relation.name
             FROM relation
             JOIN entity AS source ON source.id = relation.source_id
             JOIN blueprint ON blueprint.id = source.blueprint_id
             WHERE relation.target_id = ?1 AND relation.source_id <> ?1
             ORDER BY relation.source_id, relation.name LIMIT ?2",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![target.0, limit])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let blueprint: String = row.get(1)?;
            found.push(Dependent {
                source: EntityKey(row.get(0)?),
                blueprint: BlueprintId::parse(blueprint)
                    .map_err(|e| Error::corrupt("blueprint", e))?,
                identifier: entity_id(row.get(2)?)?,
                relation: row.get(3)?,
            });
        }
        Ok(found)
    }

    /// How many entities of a blueprint use a relation, and the most targets that one of them has in it.
    pub fn measure_relation(
        &self,
        blueprint: BlueprintKey,
        name: &str,
    ) -> Result<(u64, u64), Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT count(*), coalesce(max(targets), 0) FROM (
               SELECT count(*) AS targets FROM entity
               JOIN relation ON relation.source_id = entity.id AND relation.name = ?2
               WHERE entity.blueprint_id = ?1 GROUP BY entity.id)",
        )?;
        let (users, most): (i64, i64) = statement.query_row(params![blueprint.0, name], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        Ok((users.unsigned_abs(), most.unsigned_abs()))
    }
}

impl WriteTx<'_> {
    /// Makes what was read of the entities that point at one outdated: it has another identifier now.
    pub fn outdate_dependents(&self, target: EntityKey) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "UPDATE entity SET revision = revision + 1
                 WHERE id IN (SELECT source_id FROM relation WHERE target_id = ?1)",
            )?
            .execute([target.0])?;
        Ok(())
    }

    /// Removes the targets of one relation of an entity.
    pub fn clear_targets(&self, source: EntityKey, name: &str) -> Result<(), Error> {
        self.connection
            .prepare_cached("DELETE FROM relation WHERE source_id = ?1 AND name = ?2")?
            .execute(params![source.0, name])?;
        Ok(())
    }

    /// Gives one relation of an entity its targets; it has none.
    pub fn insert_targets(
        &self,
        source: EntityKey,
        name: &str,
        targets: &[EntityKey],
    ) -> Result<(), Error> {
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO relation (source_id, name, position, target_id) VALUES (?1, ?2, ?3, ?4)",
        )?;
        for (position, target) in (0_i64..).zip(targets) {
            insert.execute(params![source.0, name, position, target.0])?;
        }
        Ok(())
    }

    /// Removes every edge that ends at an entity.
    pub fn delete_edges_to(&self, target: EntityKey) -> Result<(), Error> {
        self.connection
            .prepare_cached("DELETE FROM relation WHERE target_id = ?1")?
            .execute([target.0])?;
        Ok(())
    }

    /// Removes every edge from one entity to another.
    pub fn delete_edges_between(&self, source: EntityKey, target: EntityKey) -> Result<(), Error> {
        self.connection
            .prepare_cached("DELETE FROM relation WHERE +target_id = ?2 AND source_id = ?1")?
            .execute([source.0, target.0])?;
        Ok(())
    }

    /// Removes a relation from every entity of a blueprint.
    pub fn delete_relation(&self, blueprint: BlueprintKey, name: &str) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "DELETE FROM relation WHERE name = ?2
                 AND source_id IN (SELECT id FROM entity WHERE blueprint_id = ?1)",
            )?
            .execute(params![blueprint.0, name])?;
        Ok(())
    }

    /// Gives a relation of a blueprint's entities another name.
    pub fn rename_relation(
        &self,
        blueprint: BlueprintKey,
        from: &str,
        to: &str,
    ) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "UPDATE relation SET name = ?3
                 WHERE name = ?2 AND source_id IN (SELECT id FROM entity WHERE blueprint_id = ?1)",
            )?
            .execute(params![blueprint.0, from, to])?;
        Ok(())
    }
}
