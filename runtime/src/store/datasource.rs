//! Which program wrote which entities.

use rusqlite::{OptionalExtension as _, params};

use super::connection::ReadTx;
use super::{EntityKey, Error};
use crate::model::{BlueprintId, EntityId};

/// Programs that one question may be about: versions of one integration, not more.
pub const MAX_PROGRAMS: usize = 1_000;

impl ReadTx<'_> {
    /// Rows of the entities that a program wrote last, in the order in which they were made.
    ///
    /// The program's name begins and ends as given. Only those last changed before `before` (milliseconds since the
    /// epoch) and behind `after` count. `None` where more than [`MAX_PROGRAMS`] names begin so.
    pub fn list_entities_of_datasource(
        &self,
        prefix: &str,
        suffix: &str,
        before: Option<i64>,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Option<Vec<EntityKey>>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id FROM entity
             WHERE datasource = ?1 AND id > ?2 AND updated_at < ?3 ORDER BY id LIMIT ?4",
        )?;
        let (before, after) = (before.unwrap_or(i64::MAX), after.unwrap_or(0));
        let limit_value = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut found: Vec<i64> = Vec::new();
        let Some(names) = self.list_datasources(prefix)? else {
            return Ok(None);
        };
        for name in names {
            let whole = name.len() >= prefix.len() + suffix.len();
            if !whole || !name.ends_with(suffix) {
                continue;
            }
            let rows = statement.query_map(params![name, after, before, limit_value], |row| {
                row.get::<_, i64>(0)
            })?;
            for row in rows {
                found.push(row?);
            }
            // Each program may have as many as all of them together may have in the end.
            if found.len() > limit {
                found.sort_unstable();
                found.truncate(limit);
            }
        }
        found.sort_unstable();
        Ok(Some(found.into_iter().map(EntityKey).collect()))
    }

    /// Blueprints and identifiers of entities, in their order; those that are gone are left out.
    pub fn list_names_of(
        &self,
        keys: &[EntityKey],
    ) -> Result<Vec<(EntityKey, BlueprintId, EntityId)>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT blueprint.identifier, entity.identifier FROM entity
             JOIN blueprint ON blueprint.id = entity.blueprint_id WHERE entity.id = ?1",
        )?;
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
            let names: Option<(String, String)> = statement.query_row([key.0], read).optional()?;
            if let Some((blueprint, entity)) = names {
                let blueprint =
                    BlueprintId::parse(blueprint).map_err(|e| Error::corrupt("blueprint", e))?;
                let entity = EntityId::parse(entity).map_err(|e| Error::corrupt("entity", e))?;
                found.push((*key, blueprint, entity));
            }
        }
        Ok(found)
    }

    /// The programs whose name begins as given, `None` where there are more than [`MAX_PROGRAMS`]. Jumps from one to the next
    /// in the index, however many entities each has.
    fn list_datasources(&self, prefix: &str) -> Result<Option<Vec<String>>, Error> {
        let mut first = self.connection.prepare_cached(
            "SELECT min(datasource) FROM entity WHERE datasource IS NOT NULL AND datasource >= ?1",
        )?;
        let mut next = self.connection.prepare_cached(
            "SELECT min(datasource) FROM entity WHERE datasource IS NOT NULL AND datasource > ?1",
        )?;
        let mut found = Vec::new();
        let mut name: Option<String> = first.query_row([prefix], |row| row.get(0))?;
        while let Some(known) = name.filter(|name| name.starts_with(prefix)) {
            if found.len() >= MAX_PROGRAMS {
                return Ok(None);
            }
            name = next.query_row([&known], |row| row.get(0))?;
            found.push(known);
        }
        Ok(Some(found))
    }
}

impl EntityKey {
    /// The number of the row: it only ever grows, which makes it a mark to read on from.
    pub fn as_number(self) -> i64 {
        self.0
    }
}
