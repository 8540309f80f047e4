//! Scorecards: one row each, the document as JSON.

use rusqlite::{OptionalExtension as _, Row, params};

use super::Error;
use super::blueprint::{BlueprintKey, stamp};
use super::connection::{ReadTx, WriteTx};
use crate::model::{Scorecard, Stamp};

/// Names a scorecard's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScorecardKey(pub(super) i64);

/// A stored scorecard.
#[derive(Clone, Debug)]
pub struct ScorecardRow {
    /// Names the row.
    pub key: ScorecardKey,
    /// The blueprint that it belongs to.
    pub blueprint: BlueprintKey,
    /// The scorecard as JSON.
    pub document: String,
    /// Who and when.
    pub stamp: Stamp,
}

const COLUMNS: &str = "id, blueprint_id, document, created_at, created_by, updated_at, updated_by";

impl ScorecardRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            key: ScorecardKey(row.get(0)?),
            blueprint: BlueprintKey(row.get(1)?),
            document: row.get(2)?,
            stamp: stamp(row, 3)?,
        })
    }
}

impl ReadTx<'_> {
    /// One scorecard.
    pub fn find_scorecard(
        &self,
        blueprint: BlueprintKey,
        identifier: &str,
    ) -> Result<Option<ScorecardRow>, Error> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM scorecard WHERE blueprint_id = ?1 AND identifier = ?2"
        ))?;
        let row = statement.query_row(params![blueprint.0, identifier], ScorecardRow::read);
        Ok(row.optional()?)
    }

    /// The scorecards of a blueprint, or of all of them, in the order in which they were made.
    pub fn list_scorecards(
        &self,
        blueprint: Option<BlueprintKey>,
    ) -> Result<Vec<ScorecardRow>, Error> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM scorecard WHERE ?1 IS NULL OR blueprint_id = ?1 ORDER BY id"
        ))?;
        let rows = statement.query_map([blueprint.map(|key| key.0)], ScorecardRow::read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl WriteTx<'_> {
    /// Adds a scorecard, or puts another document in place of a stored one.
    pub fn upsert_scorecard(
        &self,
        blueprint: BlueprintKey,
        scorecard: &Scorecard,
        by: &str,
    ) -> Result<(), Error> {
        let document =
            serde_json::to_string(scorecard).map_err(|e| Error::corrupt("scorecard", e))?;
        self.connection
            .prepare_cached(
                "INSERT INTO scorecard (blueprint_id, identifier, document, created_at, created_by, updated_at, updated_by)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?4, ?5)
                 ON CONFLICT (blueprint_id, identifier) DO UPDATE
                 SET document = excluded.document, updated_at = excluded.updated_at, updated_by = excluded.updated_by",
            )?
            .execute(params![blueprint.0, scorecard.identifier, document, self.now.0, by])?;
        Ok(())
    }

    /// Removes a scorecard.
    pub fn delete_scorecard(&self, blueprint: BlueprintKey, identifier: &str) -> Result<(), Error> {
        self.connection
            .prepare_cached("DELETE FROM scorecard WHERE blueprint_id = ?1 AND identifier = ?2")?
            .execute(params![blueprint.0, identifier])?;
        Ok(())
    }
}
