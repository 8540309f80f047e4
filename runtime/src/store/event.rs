//! What happens in runs: appended to, read from anywhere. Lives in `logs.db`.

use rusqlite::{OptionalExtension as _, Row, params};

use super::Error;
use super::connection::{ReadTx, WriteTx};
use crate::model::{EventBody, RunEvent, RunId, RunState, Timestamp};

impl ReadTx<'_> {
    /// Events of a run after a sequence number, oldest first.
    pub fn list_events(
        &self,
        run: &RunId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<RunEvent>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT sequence, at, body FROM event WHERE run_id = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3",
        )?;
        collect(statement.query(params![run.as_str(), number(after), count(limit)])?)
    }

    /// The log lines alone of a run, oldest first, a page of them.
    pub fn list_log_events(
        &self,
        run: &RunId,
        offset: usize,
        limit: usize,
    ) -> Result<Vec<RunEvent>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT sequence, at, body FROM event WHERE run_id = ?1 AND kind = 'log'
             ORDER BY sequence LIMIT ?3 OFFSET ?2",
        )?;
        collect(statement.query(params![run.as_str(), count(offset), count(limit)])?)
    }

    /// The newest event of a run.
    pub fn find_last_event(&self, run: &RunId) -> Result<Option<RunEvent>, Error> {
        self.connection
            .prepare_cached("SELECT sequence, at, body FROM event WHERE run_id = ?1 ORDER BY sequence DESC LIMIT 1")?
            .query_row([run.as_str()], |row| Ok(read(row)))
            .optional()?
            .transpose()
    }
}

impl WriteTx<'_> {
    /// Appends events to a run, numbering them on.
    ///
    /// The first event of every run is that it was queued, at the time of its acceptance; it is written by whichever
    /// append comes first, so that it does not matter whether a worker or the accepting request is faster. Nothing
    /// follows a terminal state: such events are left out.
    pub fn append_events(
        &self,
        run: &RunId,
        accepted: Timestamp,
        events: &[(Timestamp, EventBody)],
    ) -> Result<(), Error> {
        let mut sequence = match self.find_last_event(run)? {
            Some(last) if last.body.is_terminal() => return Ok(()),
            Some(last) => last.sequence,
            None => {
                self.insert_event(run, 1, accepted, &EventBody::entered(RunState::Queued))?;
                1
            }
        };
        for (at, body) in events {
            sequence += 1;
            self.insert_event(run, sequence, *at, body)?;
            if body.is_terminal() {
                break;
            }
        }
        Ok(())
    }

    fn insert_event(
        &self,
        run: &RunId,
        sequence: u64,
        at: Timestamp,
        body: &EventBody,
    ) -> Result<(), Error> {
        let json = serde_json::to_string(body).map_err(|error| Error::corrupt("event", error))?;
        self.connection
            .prepare_cached(
                "INSERT INTO event (run_id, sequence, at, kind, body) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                run.as_str(),
                number(sequence),
                at.0,
                body.kind(),
                json
            ])?;
        Ok(())
    }
}

fn collect(mut rows: rusqlite::Rows<'_>) -> Result<Vec<RunEvent>, Error> {
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

fn read(row: &Row<'_>) -> Result<RunEvent, Error> {
    let body: String = row.get(2)?;
    Ok(RunEvent {
        sequence: row.get::<_, i64>(0)?.unsigned_abs(),
        at: Timestamp(row.get(1)?),
        body: serde_json::from_str(&body).map_err(|error| Error::corrupt("event", error))?,
    })
}

fn number(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}

fn count(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::LogLevel;
    use crate::store::Store;

    fn log(message: &str) -> (Timestamp, EventBody) {
        (
            Timestamp(5),
            EventBody::Log {
                level: LogLevel::Info,
                message: message.to_owned(),
            },
        )
    }

    #[tokio::test]
    async fn events_are_numbered_from_the_queued_one_and_end_with_the_terminal_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let run = RunId::parse("r_1").unwrap();
        let ended = || (Timestamp(9), EventBody::entered(RunState::Succeeded));
        for batch in [
            vec![log("one"), log("two")],
            vec![],
            vec![log("three"), ended(), log("late")],
            vec![log("later"), ended()],
        ] {
            let run = run.clone();
            store
                .write_logs(move |tx| tx.append_events(&run, Timestamp(1), &batch))
                .await
                .unwrap();
        }
        let (events, logs) = store
            .read_logs(move |tx| {
                Ok::<_, Error>((
                    tx.list_events(&run, 0, 100)?,
                    tx.list_log_events(&run, 1, 1)?,
                ))
            })
            .await
            .unwrap();
        let sequences: Vec<u64> = events.iter().map(|event| event.sequence).collect();
        assert_eq!(sequences, [1, 2, 3, 4, 5]);
        assert_eq!(events[0].at, Timestamp(1));
        assert_eq!(events[0].body, EventBody::entered(RunState::Queued));
        assert!(events[4].body.is_terminal());
        assert_eq!(logs.len(), 1);
        assert_eq!(logs[0].sequence, 3);
    }
}
