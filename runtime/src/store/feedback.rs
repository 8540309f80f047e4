//! What people said of runs.

use rusqlite::params;

use super::Error;
use super::connection::{ReadTx, WriteTx};
use crate::model::{Feedback, RunId, Timestamp};

impl ReadTx<'_> {
    /// What was said of a run, by person.
    pub fn list_feedback(&self, run: &RunId) -> Result<Vec<Feedback>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT person, score, comment, at FROM feedback WHERE run_id = ?1 ORDER BY person",
        )?;
        let rows = statement.query_map([run.as_str()], |row| {
            Ok(Feedback {
                person: row.get(0)?,
                score: row.get(1)?,
                comment: row.get(2)?,
                at: Timestamp(row.get(3)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl WriteTx<'_> {
    /// Writes down what somebody says of a run, in place of what they said before.
    pub fn put_feedback(&self, run: &RunId, feedback: &Feedback) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO feedback (run_id, person, score, comment, at) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (run_id, person) DO UPDATE SET
                   score = excluded.score, comment = excluded.comment, at = excluded.at",
            )?
            .execute(params![
                run.as_str(),
                feedback.person,
                feedback.score,
                feedback.comment,
                feedback.at.0,
            ])?;
        Ok(())
    }
}
