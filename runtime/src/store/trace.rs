//! Which trace a run belongs to.

use rusqlite::{OptionalExtension as _, params};

use super::Error;
use super::connection::{ReadTx, WriteTx};
use crate::model::RunId;

impl ReadTx<'_> {
    /// The span that a run was asked for in, as it was written down.
    pub fn find_run_trace(&self, run: &RunId) -> Result<Option<String>, Error> {
        Ok(self
            .connection
            .prepare_cached("SELECT parent FROM run_trace WHERE run_id = ?1")?
            .query_row([run.as_str()], |row| row.get(0))
            .optional()?)
    }
}

impl WriteTx<'_> {
    /// Writes down the span that a run was asked for in.
    pub fn insert_run_trace(&self, run: &RunId, parent: &str) -> Result<(), Error> {
        self.connection
            .prepare_cached("INSERT INTO run_trace (run_id, parent) VALUES (?1, ?2)")?
            .execute(params![run.as_str(), parent])?;
        Ok(())
    }
}
