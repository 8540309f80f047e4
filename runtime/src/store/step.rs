//! The journals of runs.

use rusqlite::{Row, params};

use super::Error;
use super::audit::{from_word, word};
use super::connection::{ReadTx, WriteTx};
use crate::model::{Digest, RunId, RunStep, StepKind, Timestamp};

/// Stands for the parent of what is done outside of steps, which is numbered apart from them.
const OUTSIDE: i64 = -1;

impl ReadTx<'_> {
    /// What a run has done so far: its steps and sleeps in their order, then what was done outside of them.
    pub fn list_steps(&self, run: &RunId) -> Result<Vec<RunStep>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT kind, number, name, input, state, idempotent, result, attempt, started_at, ended_at FROM step
             WHERE run_id = ?1 ORDER BY parent DESC, number",
        )?;
        let mut rows = statement.query([run.as_str()])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(read(row)?);
        }
        Ok(found)
    }

    /// Whether a run has done something, or may have, that would be done again if it were carried out again, and must not:
    /// in a step that was cut off, or outside of steps.
    pub fn is_in_flight(&self, run: &RunId) -> Result<bool, Error> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM step
                   WHERE run_id = ?1 AND idempotent = 0 AND (state = 'started' OR kind = 'effect'))",
            )?
            .query_row([run.as_str()], |row| row.get(0))?)
    }
}

impl WriteTx<'_> {
    /// Writes what an attempt did, in place of what is on record of the same steps. `false`, and nothing is written, where
    /// a newer attempt has the run, or none any more.
    pub fn upsert_steps(&self, run: &RunId, token: u64, steps: &[RunStep]) -> Result<bool, Error> {
        let mut statement = self.connection.prepare_cached(
            "INSERT INTO step (run_id, parent, number, kind, name, input, state, idempotent, result, attempt, started_at,
               ended_at)
             SELECT id, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13 FROM run
             WHERE id = ?1 AND token = ?2 AND state = 'running'
             ON CONFLICT (run_id, branch, parent, number) DO UPDATE SET state = excluded.state,
               idempotent = excluded.idempotent, result = excluded.result, attempt = excluded.attempt,
               started_at = excluded.started_at, ended_at = excluded.ended_at",
        )?;
        for step in steps {
            let parent = match step.kind {
                StepKind::Step | StepKind::Sleep => 0,
                StepKind::Effect => OUTSIDE,
            };
            let written = statement.execute(params![
                run.as_str(),
                i64::try_from(token).unwrap_or(i64::MAX),
                parent,
                step.number,
                word(&step.kind)?,
                step.name,
                step.input.bytes(),
                word(&step.state)?,
                step.idempotent,
                step.result,
                step.attempt,
                step.started_at.0,
                step.ended_at.map(|at| at.0),
            ])?;
            if written == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn read(row: &Row<'_>) -> Result<RunStep, Error> {
    Ok(RunStep {
        kind: from_word(row.get(0)?)?,
        number: row.get(1)?,
        name: row.get(2)?,
        input: Digest::from_bytes(row.get(3)?),
        state: from_word(row.get(4)?)?,
        idempotent: row.get(5)?,
        result: row.get(6)?,
        attempt: row.get(7)?,
        started_at: Timestamp(row.get(8)?),
        ended_at: row.get::<_, Option<i64>>(9)?.map(Timestamp),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{Actor, NewRun, RunCause, RunMove, StepState};
    use crate::store::Store;

    fn step(kind: StepKind, number: u32, state: StepState, idempotent: bool) -> RunStep {
        RunStep {
            kind,
            number,
            name: "a step".to_owned(),
            input: Digest::of(b"1"),
            state,
            idempotent,
            result: None,
            attempt: 1,
            started_at: Timestamp(1),
            ended_at: None,
        }
    }

    /// A run that is being carried out, and the token of its attempt.
    async fn running(store: &Store) -> (RunId, u64) {
        let id = RunId::parse("r_1").unwrap();
        let definition = json!({
            "identifier": "go",
            "trigger": { "type": "self-service", "operation": "CREATE" },
            "invocationMethod": { "type": "PLUGIN", "plugin": "going", "action": "go" }
        });
        let new = NewRun {
            id: id.clone(),
            definition: serde_json::from_value(definition).unwrap(),
            blueprint: None,
            entity: None,
            properties: serde_json::Map::new(),
            origin: None,
            retry_of: None,
        };
        let claims = store
            .write(move |tx| {
                tx.insert_run(&Actor::system(), &new, None)?;
                tx.claim_next("worker", 1)
            })
            .await;
        (id, claims.unwrap().remove(0).token)
    }

    async fn write(store: &Store, (id, token): (&RunId, u64), steps: Vec<RunStep>) -> bool {
        let id = id.clone();
        let written = store.write(move |tx| tx.upsert_steps(&id, token, &steps));
        written.await.unwrap()
    }

    #[tokio::test]
    async fn only_the_attempt_that_has_the_run_writes_its_journal() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let (id, token) = running(&store).await;
        let started = step(StepKind::Step, 1, StepState::Started, false);
        assert!(!write(&store, (&id, token + 1), vec![started.clone()]).await);
        assert!(write(&store, (&id, token), vec![started.clone()]).await);
        let finished = RunStep {
            state: StepState::Finished,
            result: Some("7".to_owned()),
            ended_at: Some(Timestamp(2)),
            ..started.clone()
        };
        assert!(write(&store, (&id, token), vec![finished.clone()]).await);
        let of = id.clone();
        let moved = store
            .write(move |tx| tx.move_run(&of, &RunMove::of_attempt(token, RunCause::HandOver)));
        moved.await.unwrap().unwrap();
        assert!(!write(&store, (&id, token), vec![started]).await);
        let listed = store.read(move |tx| tx.list_steps(&id)).await.unwrap();
        assert_eq!(listed, [finished]);
    }

    #[tokio::test]
    async fn only_what_must_not_be_done_twice_is_in_flight() {
        use StepKind as K;
        use StepState as S;
        for (kind, state, idempotent, expected) in [
            (K::Step, S::Started, false, true),
            (K::Step, S::Started, true, false),
            (K::Step, S::Finished, false, false),
            (K::Step, S::Failed, false, false),
            (K::Sleep, S::Started, true, false),
            (K::Effect, S::Started, false, true),
            (K::Effect, S::Finished, false, true),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::open(folder.path()).unwrap();
            let (id, token) = running(&store).await;
            let row = step(kind, 1, state, idempotent);
            assert!(write(&store, (&id, token), vec![row]).await);
            let found = store.read(move |tx| tx.is_in_flight(&id)).await.unwrap();
            assert_eq!(found, expected, "{kind:?} {state:?} {idempotent}");
        }
    }
}
