//! What is told of many runs at once.

use std::time::Duration;

use rusqlite::{Row, params};

use super::Error;
use super::connection::ReadTx;
use crate::model::{ActionId, Timestamp};

/// How long a look at all figures may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is kept of one run that has ended.
#[derive(Clone, Copy, Debug)]
pub struct RunFigure<'a> {
    /// Its action.
    pub action: &'a str,
    /// The word for how it ended.
    pub state: &'a str,
    /// Milliseconds from its acceptance to its first worker, where it had one.
    pub waited: Option<u32>,
    /// Milliseconds from there to its end.
    pub took: Option<u32>,
    /// Minutes that its action says it takes by hand.
    pub manual: Option<f64>,
    /// Sum of the scores that people gave.
    pub score: u64,
    /// How many did.
    pub scores: u64,
}

impl ReadTx<'_> {
    /// How many runs that have not ended are in each state, by its word.
    pub fn count_active_runs(&self) -> Result<Vec<(String, u64)>, Error> {
        self.counts("SELECT state, count(*) FROM run WHERE ended_at IS NULL GROUP BY state")
    }

    /// How many runs of each action wait for an approval.
    pub fn count_waiting_for_approval(&self) -> Result<Vec<(String, u64)>, Error> {
        self.counts(
            "SELECT action, count(*) FROM run
             WHERE ended_at IS NULL AND state = 'waiting_for_approval' GROUP BY action",
        )
    }

    /// Shows the figures of all runs that ended from one time on and before another, those of one action together.
    pub fn each_run_figure(
        &self,
        action: Option<&ActionId>,
        from: Timestamp,
        to: Timestamp,
        mut show: impl FnMut(RunFigure<'_>),
    ) -> Result<(), Error> {
        const COLUMNS: &str = "action, state, waited, took, manual, score, scores";
        self.within(PATIENCE, || {
            let of = if action.is_some() {
                "action = ?3 AND"
            } else {
                "?3 IS NULL AND"
            };
            let mut statement = self.connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM run_figure WHERE {of} ended_at >= ?1 AND ended_at < ?2 ORDER BY action"
            ))?;
            let mut rows =
                statement.query(params![from.0, to.0, action.map(ActionId::as_str)])?;
            while let Some(row) = rows.next()? {
                show(RunFigure {
                    action: text(row, 0)?,
                    state: text(row, 1)?,
                    waited: milliseconds(row.get(2)?),
                    took: milliseconds(row.get(3)?),
                    manual: row.get(4)?,
                    score: row.get::<_, Option<i64>>(5)?.unwrap_or(0).unsigned_abs(),
                    scores: row.get::<_, Option<i64>>(6)?.unwrap_or(0).unsigned_abs(),
                });
            }
            Ok(())
        })
    }

    fn counts(&self, sql: &str) -> Result<Vec<(String, u64)>, Error> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn text<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a str, Error> {
    let value = row.get_ref(column)?;
    value
        .as_str()
        .map_err(|error| Error::corrupt("figure of a run", error))
}

/// Beyond seven weeks it makes no difference.
fn milliseconds(value: Option<i64>) -> Option<u32> {
    value.map(|value| u32::try_from(value).unwrap_or(u32::MAX))
}
