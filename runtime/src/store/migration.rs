//! Work on many entities that goes on behind a request: what was asked for, and how far it is.

use rusqlite::{OptionalExtension as _, Row, params};

use super::Error;
use super::audit::{from_word, word};
use super::connection::{ReadTx, WriteTx};
use crate::model::{BlueprintId, Migration, MigrationStatus, Timestamp};

const COLUMNS: &str =
    "id, status, blueprint, delete_blueprint, actor, done, message, created_at, updated_at";

impl ReadTx<'_> {
    /// One piece of work.
    pub fn find_migration(&self, id: &str) -> Result<Option<Migration>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM migration WHERE id = ?1");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let found = statement.query_row([id], |row| Ok(read(row))).optional()?;
        found.transpose()
    }

    /// Work that is not done, oldest first.
    pub fn list_open_migrations(&self) -> Result<Vec<Migration>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM migration WHERE status IN ('PENDING', 'RUNNING') ORDER BY created_at"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map([], |row| Ok(read(row)))?;
        rows.map(|row| row?).collect()
    }
}

impl WriteTx<'_> {
    /// Notes work that is to be done.
    pub fn insert_migration(&self, migration: &Migration) -> Result<(), Error> {
        self.connection
            .prepare_cached(&format!(
                "INSERT INTO migration ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
            ))?
            .execute(params![
                migration.id,
                word(&migration.status)?,
                migration.blueprint.as_str(),
                migration.delete_blueprint,
                serde_json::to_string(&migration.actor)
                    .map_err(|e| Error::corrupt("migration", e))?,
                i64::try_from(migration.done).unwrap_or(i64::MAX),
                migration.message,
                migration.created_at.0,
                migration.updated_at.0,
            ])?;
        Ok(())
    }

    /// Notes how far the work is.
    pub fn update_migration(
        &self,
        id: &str,
        status: MigrationStatus,
        done: u64,
        message: Option<&str>,
    ) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "UPDATE migration SET status = ?2, done = ?3, message = ?4, updated_at = ?5 WHERE id = ?1",
            )?
            .execute(params![
                id,
                word(&status)?,
                i64::try_from(done).unwrap_or(i64::MAX),
                message,
                self.now.0,
            ])?;
        Ok(())
    }
}

fn read(row: &Row<'_>) -> Result<Migration, Error> {
    let (blueprint, actor): (String, String) = (row.get(2)?, row.get(4)?);
    Ok(Migration {
        id: row.get(0)?,
        status: from_word(row.get(1)?)?,
        blueprint: BlueprintId::parse(blueprint).map_err(|e| Error::corrupt("migration", e))?,
        delete_blueprint: row.get(3)?,
        actor: serde_json::from_str(&actor).map_err(|e| Error::corrupt("migration", e))?,
        done: row.get::<_, i64>(5)?.unsigned_abs(),
        message: row.get(6)?,
        created_at: Timestamp(row.get(7)?),
        updated_at: Timestamp(row.get(8)?),
    })
}
