//! Keys with which a client asks for a run once, however often it has to send that.

use rusqlite::{OptionalExtension as _, params};

use crate::model::{ActionId, Run, RunId, StartKey, Timestamp};
use crate::store::Error;
use crate::store::connection::{ReadTx, WriteTx};

/// How long a key is kept: 24 hours, in milliseconds.
const KEPT: i64 = 24 * 60 * 60 * 1_000;

/// Keys that are over and that one start clears away; more than it adds.
const CLEARED: i64 = 4;

/// What was asked for with a key before.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The run.
    pub run: Run,
    /// Whether it was asked for in the same words.
    pub is_same: bool,
}

impl ReadTx<'_> {
    /// What somebody asked for with that key, of the same action, less than a day ago.
    pub fn find_asked(
        &self,
        caller: &str,
        action: &ActionId,
        key: &StartKey,
        now: Timestamp,
    ) -> Result<Option<Asked>, Error> {
        let found: Option<(String, bool)> = self
            .connection
            .prepare_cached(
                "SELECT run_id, body = ?5 FROM start_key
                 WHERE caller = ?1 AND action = ?2 AND key = ?3 AND expires_at > ?4",
            )?
            .query_row(
                params![caller, action.as_str(), key.text(), now.0, key.body()],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        let Some((id, is_same)) = found else {
            return Ok(None);
        };
        let id = RunId::parse(id).map_err(|error| Error::corrupt("key of a run", error))?;
        // A run that is not kept any more was not asked for, as far as anybody can tell.
        Ok(self.find_run(&id)?.map(|run| Asked { run, is_same }))
    }
}

impl WriteTx<'_> {
    /// Keeps a key with the run that was asked for with it, and forgets some that are over.
    pub fn insert_start_key(&self, run: &Run, key: &StartKey) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "DELETE FROM start_key WHERE (caller, action, key) IN (
                   SELECT caller, action, key FROM start_key WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)",
            )?
            .execute(params![self.now.0, CLEARED])?;
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO start_key (caller, action, key, body, run_id, expires_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                run.created_by,
                run.action.as_str(),
                key.text(),
                key.body(),
                run.id.as_str(),
                self.now.0.saturating_add(KEPT),
            ])?;
        Ok(())
    }
}
