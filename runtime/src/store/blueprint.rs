//! Blueprints: one row each, the document as JSON.

use rusqlite::{OptionalExtension as _, Row, params};

use super::Error;
use super::connection::{ReadTx, WriteTx};
use crate::model::{Blueprint, BlueprintId, Stamp, Timestamp};

/// Names a blueprint's row; never used for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlueprintKey(pub(super) i64);

/// A stored blueprint. The document stays text, so that a reader that has parsed the same text before need not again.
#[derive(Clone, Debug)]
pub struct BlueprintRow {
    /// Names the row.
    pub key: BlueprintKey,
    /// Another one after every change of the row, drawn at random: two texts never share one, committed or not.
    pub revision: i64,
    /// The blueprint as JSON.
    pub document: String,
    /// Who may do what with its entities, as JSON; absent as long as nobody has said so.
    pub permissions: Option<String>,
    /// Who and when.
    pub stamp: Stamp,
}

impl BlueprintRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            key: BlueprintKey(row.get(0)?),
            revision: row.get(1)?,
            document: row.get(2)?,
            permissions: row.get(3)?,
            stamp: stamp(row, 4)?,
        })
    }
}

const COLUMNS: &str =
    "id, revision, document, permissions, created_at, created_by, updated_at, updated_by";

/// Reads four stamp columns that begin at `first`.
pub(super) fn stamp(row: &Row<'_>, first: usize) -> rusqlite::Result<Stamp> {
    Ok(Stamp {
        created_at: Timestamp(row.get(first)?),
        created_by: row.get(first + 1)?,
        updated_at: Timestamp(row.get(first + 2)?),
        updated_by: row.get(first + 3)?,
        datasource: None,
    })
}

impl ReadTx<'_> {
    /// One blueprint.
    pub fn find_blueprint(&self, id: &BlueprintId) -> Result<Option<BlueprintRow>, Error> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM blueprint WHERE identifier = ?1"
        ))?;
        Ok(statement
            .query_row([id.as_str()], BlueprintRow::read)
            .optional()?)
    }

    /// The row of a blueprint and its revision, where the text itself may be known already.
    pub fn find_blueprint_revision(
        &self,
        id: &BlueprintId,
    ) -> Result<Option<(BlueprintKey, i64)>, Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT id, revision FROM blueprint WHERE identifier = ?1")?;
        Ok(statement
            .query_row([id.as_str()], |row| {
                Ok((BlueprintKey(row.get(0)?), row.get(1)?))
            })
            .optional()?)
    }

    /// Every blueprint, by identifier.
    pub fn list_blueprints(&self) -> Result<Vec<BlueprintRow>, Error> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM blueprint ORDER BY identifier"
        ))?;
        let rows = statement.query_map([], BlueprintRow::read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Identifiers of the other blueprints that have a relation to this one, at most `limit`.
    pub fn list_blueprints_pointing_at(
        &self,
        target: &BlueprintId,
        limit: usize,
    ) -> Result<Vec<String>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT identifier FROM blueprint
             WHERE identifier <> ?1 AND EXISTS (
               SELECT 1 FROM json_each(blueprint.document, '$.relations') AS edge
               WHERE json_extract(edge.value, '$.target') = ?1)
             ORDER BY identifier LIMIT ?2",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![target.as_str(), limit], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl WriteTx<'_> {
    /// Adds a blueprint.
    pub fn insert_blueprint(&self, blueprint: &Blueprint, by: &str) -> Result<BlueprintRow, Error> {
        let mut statement = self.connection.prepare_cached(&format!(
            "INSERT INTO blueprint (identifier, document, revision, created_at, created_by, updated_at, updated_by)
             VALUES (?1, ?2, random(), ?3, ?4, ?3, ?4) RETURNING {COLUMNS}"
        ))?;
        let document = document(blueprint)?;
        let values = params![blueprint.identifier.as_str(), document, self.now.0, by];
        Ok(statement.query_row(values, BlueprintRow::read)?)
    }

    /// Puts a new document in place of a stored one; the identifier stays.
    pub fn update_blueprint(
        &self,
        key: BlueprintKey,
        blueprint: &Blueprint,
        by: &str,
    ) -> Result<BlueprintRow, Error> {
        let mut statement = self.connection.prepare_cached(&format!(
            "UPDATE blueprint SET document = ?2, revision = random(), updated_at = ?3, updated_by = ?4
             WHERE id = ?1 RETURNING {COLUMNS}"
        ))?;
        let values = params![key.0, document(blueprint)?, self.now.0, by];
        Ok(statement.query_row(values, BlueprintRow::read)?)
    }

    /// Says who may do what with the entities of a blueprint.
    pub fn update_permissions(&self, key: BlueprintKey, permissions: &str) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "UPDATE blueprint SET permissions = ?2, revision = random() WHERE id = ?1",
            )?
            .execute(params![key.0, permissions])?;
        Ok(())
    }

    /// Removes a blueprint that has no entities.
    pub fn delete_blueprint(&self, key: BlueprintKey) -> Result<(), Error> {
        self.properties.clear();
        self.connection
            .prepare_cached("DELETE FROM blueprint WHERE id = ?1")?
            .execute([key.0])?;
        Ok(())
    }
}

fn document(blueprint: &Blueprint) -> Result<String, Error> {
    serde_json::to_string(blueprint).map_err(|e| Error::corrupt("blueprint", e))
}
