//! What is told of many runs at once.

use super::Error;
use super::connection::ReadTx;

impl ReadTx<'_> {
    /// How many runs that have not ended are in each state, by its word.
    pub fn count_active_runs(&self) -> Result<Vec<(String, u64)>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT state, count(*) FROM run WHERE ended_at IS NULL GROUP BY state",
        )?;
        let rows = statement.query_map([], |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
