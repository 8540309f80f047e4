//! What entities were: read from the audit log, which holds each of them as it was after every change.

use rusqlite::{OptionalExtension as _, params};

use super::Error;
use super::audit::chain::COLUMNS;
use super::audit::page::read;
use super::connection::ReadTx;
use crate::model::{AuditRow, BlueprintId, EntityId, Stamp, Timestamp};

/// Changes of a blueprint that are followed to bring an old entity up to date; each costs reading a document.
const MAX_BLUEPRINT_CHANGES: usize = 10_000;

/// Kind of the object in rows that tell of another name for a part of a blueprint.
pub const BLUEPRINT_RENAME: &str = "blueprint_rename";

/// Names one entity through all its names, also when it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    object: i64,
    /// Whether it has the identifier that it was looked up by now.
    pub present: bool,
}

impl ReadTx<'_> {
    /// The entities that have an identifier, or had it once: the present one first, then the one that had it last.
    pub fn list_lives(&self, blueprint: &BlueprintId, id: &EntityId) -> Result<Vec<Life>, Error> {
        let names = self.list_namesakes(Some(blueprint.as_str()), id.as_str())?;
        let lives = names.all.iter().map(|object| Life {
            object: *object,
            present: names.present.contains(object),
        });
        Ok(lives.collect())
    }

    /// The newest row of an entity that is not after `at`.
    pub fn find_change_at(&self, life: Life, at: Timestamp) -> Result<Option<AuditRow>, Error> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS}, hash FROM audit WHERE object_id = ?1 AND at <= ?2 ORDER BY sequence DESC LIMIT 1"
        ))?;
        let mut rows = statement.query(params![life.object, at.0])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        Ok(Some(read(row)?.0))
    }

    /// The stamp of an entity as of one of its rows.
    pub fn find_stamp_at(&self, life: Life, change: &AuditRow) -> Result<Stamp, Error> {
        let made = self
            .connection
            .prepare_cached(
                "SELECT at, actor FROM audit WHERE object_id = ?1 AND sequence <= ?2 AND verb = 'CREATE'
                 ORDER BY sequence DESC LIMIT 1",
            )?
            .query_row(params![life.object, number(change.sequence)], |row| {
                Ok((Timestamp(row.get(0)?), row.get(1)?))
            })
            .optional()?;
        // Where the beginning is not kept any more, the oldest that is known stands for it.
        let (created_at, created_by) = made.unwrap_or_else(|| (change.at, change.actor.clone()));
        Ok(Stamp {
            created_at,
            created_by,
            updated_at: change.at,
            updated_by: change.actor.clone(),
            datasource: None,
        })
    }

    /// What a blueprint was changed to after a sequence and not after `at`, and what was renamed in it, oldest first.
    pub fn list_blueprint_changes(
        &self,
        blueprint: &BlueprintId,
        after: u64,
        at: Timestamp,
    ) -> Result<Vec<AuditRow>, Error> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS}, hash FROM audit
             WHERE resource <> 'entity' AND resource IN ('blueprint', '{BLUEPRINT_RENAME}') AND identifier = ?1 AND sequence > ?2 AND at <= ?3
             ORDER BY sequence LIMIT ?4"
        ))?;
        let most = i64::try_from(MAX_BLUEPRINT_CHANGES).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![blueprint.as_str(), number(after), at.0, most])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(read(row)?.0);
        }
        Ok(found)
    }

    /// What was renamed in a blueprint after a point in time, newest first.
    pub fn list_renames(
        &self,
        blueprint: &BlueprintId,
        after: Timestamp,
    ) -> Result<Vec<AuditRow>, Error> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS}, hash FROM audit
             WHERE resource <> 'entity' AND resource = '{BLUEPRINT_RENAME}' AND identifier = ?1 AND at > ?2
             ORDER BY sequence DESC LIMIT ?3"
        ))?;
        let most = i64::try_from(MAX_BLUEPRINT_CHANGES).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![blueprint.as_str(), after.0, most])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(read(row)?.0);
        }
        Ok(found)
    }

    /// What an entity was renamed to after a sequence and not after `at`, and when: the first time alone.
    pub fn find_new_name(
        &self,
        blueprint: &BlueprintId,
        was: &EntityId,
        after: u64,
        at: Timestamp,
    ) -> Result<Option<(EntityId, u64)>, Error> {
        let found: Option<(String, String, i64)> = self
            .connection
            .prepare_cached(
                "SELECT verb, identifier, sequence FROM audit
                 WHERE was = ?1 AND blueprint = ?2 AND sequence > ?3 AND at <= ?4 ORDER BY sequence LIMIT 1",
            )?
            .query_row(
                params![was.as_str(), blueprint.as_str(), number(after), at.0],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .optional()?;
        // One that was deleted first is no longer pointed at; another of the same name is none of ours.
        let Some((_, name, sequence)) = found.filter(|(verb, ..)| verb == "UPDATE") else {
            return Ok(None);
        };
        let name = EntityId::parse(name).map_err(|e| Error::corrupt("audit row", e))?;
        Ok(Some((name, sequence.unsigned_abs())))
    }

    /// What was said last of who may do what with the entities of a blueprint.
    pub fn find_last_permissions(&self, blueprint: &BlueprintId) -> Result<Option<String>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT after FROM audit
             WHERE resource <> 'entity' AND resource = 'blueprint_permissions' AND identifier = ?1
             ORDER BY sequence DESC LIMIT 1",
        )?;
        let found = statement.query_row([blueprint.as_str()], |row| row.get(0));
        Ok(found.optional()?.flatten())
    }

    /// The row that tells of the last deletion of an entity that was called so.
    pub fn find_deletion(
        &self,
        blueprint: &BlueprintId,
        id: &EntityId,
    ) -> Result<Option<AuditRow>, Error> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS}, hash FROM audit WHERE was = ?1 AND blueprint = ?2 AND verb = 'DELETE'
             ORDER BY sequence DESC LIMIT 1"
        ))?;
        let mut rows = statement.query(params![id.as_str(), blueprint.as_str()])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        Ok(Some(read(row)?.0))
    }
}

fn number(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}
