//! How runs get from one state to another on disk: by the lines of the one table, each from the state that it is in.

use rusqlite::{OptionalExtension as _, params};

use super::queue::{Room, Subject};
use super::{COLUMNS, json, read, text};
use crate::model::{
    Action, BlueprintId, Claim, InvocationMethod, Run, RunCause, RunId, RunMove, RunState,
    Timestamp,
};
use crate::store::Error;
use crate::store::audit::from_word;
use crate::store::connection::{ReadTx, WriteTx};

/// What became of an attempt that the portal went down with.
const CUT_OFF: &str = "cut off";

/// What became of an attempt that the portal ended because it stopped.
const HANDED_OVER: &str = "handed over";

/// A run that was moved.
#[derive(Clone, Debug)]
pub struct Moved {
    /// The state that it left.
    pub from: RunState,
    /// As it is now.
    pub run: Run,
}

impl ReadTx<'_> {
    /// When the first of all runs that wait for a time goes on.
    pub fn find_next_due(&self) -> Result<Option<Timestamp>, Error> {
        let due: Option<i64> = self
            .connection
            .prepare_cached("SELECT min(due_at) FROM run WHERE due_at IS NOT NULL")?
            .query_row([], |row| row.get(0))?;
        Ok(due.map(Timestamp))
    }

    /// How many attempts of a run were cut off, one after the other, up to now.
    pub fn count_cut_off(&self, id: &RunId) -> Result<u64, Error> {
        let count: i64 = self
            .connection
            .prepare_cached(
                "SELECT count(*) FROM attempt WHERE run_id = ?1 AND number > coalesce(
                   (SELECT max(number) FROM attempt WHERE run_id = ?1 AND outcome IS NOT NULL AND outcome <> 'cut off'), 0)",
            )?
            .query_row([id.as_str()], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    /// The run that does another one once more, where it has not ended badly itself.
    pub fn find_retry(&self, of: &RunId) -> Result<Option<String>, Error> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT id FROM run WHERE retry_of = ?1 AND (ended_at IS NULL OR state IN ('succeeded', 'outcome_unknown'))
                 LIMIT 1",
            )?
            .query_row([of.as_str()], |row| row.get(0))
            .optional()?)
    }

    /// How many attempts of a run have failed so far; those that were cut off or went to sleep did not.
    pub fn count_failed(&self, id: &RunId) -> Result<u32, Error> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT count(*) FROM attempt WHERE run_id = ?1 AND outcome IS NOT NULL
                   AND outcome NOT IN ('cut off', 'handed over', 'sleeping')",
            )?
            .query_row([id.as_str()], |row| row.get(0))?)
    }

    /// Runs whose time has come, those that have waited for the longest first.
    pub fn list_due(&self, now: Timestamp, limit: usize) -> Result<Vec<Run>, Error> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM run WHERE due_at IS NOT NULL AND due_at <= ?1 ORDER BY due_at LIMIT ?2"
        ))?;
        let mut rows = statement.query(params![now.0, i64::try_from(limit).unwrap_or(i64::MAX)])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(read(row)?);
        }
        Ok(found)
    }
}

impl WriteTx<'_> {
    /// Gives those queued runs to a worker whose turn it is: each is running from now on, and its attempt is on record. Fewer
    /// than there is room for where the others have to wait.
    pub fn claim_next(&self, worker: &str, room: impl Into<Room>) -> Result<Vec<Claim>, Error> {
        let room = room.into();
        let mut claims = Vec::new();
        while claims.len() < room.runs {
            let Some(head) = self.find_next(room)? else {
                break;
            };
            let claim = self.claim(&head.id, worker)?;
            self.pass_turn(&head, &claim)?;
            claims.push(claim);
        }
        Ok(claims)
    }

    fn claim(&self, id: &str, worker: &str) -> Result<Claim, Error> {
        let (definition, begun): (String, bool) = self
            .connection
            .prepare_cached("SELECT definition, attempts > 0 FROM run WHERE id = ?1")?
            .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let definition: Action = json("action of a run", &definition)?;
        // What a run has begun with, it keeps: a later version may do other things in another order.
        let version = if begun {
            None
        } else {
            self.meant(&definition)?
        };
        let timeout = definition.engine.as_ref().and_then(|engine| engine.timeout);
        let deadline = timeout.map(|timeout| {
            let millis = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
            self.now.0.saturating_add(millis)
        });
        self.connection
            .prepare_cached(
                "INSERT INTO attempt (run_id, number, worker, started_at)
                 SELECT id, attempts + 1, ?2, ?3 FROM run WHERE id = ?1",
            )?
            .execute(params![id, worker, self.now.0])?;
        let token = self.connection.last_insert_rowid();
        let to = RunState::Queued
            .after(RunCause::Claim)
            .unwrap_or(RunState::Running);
        let run = self
            .connection
            .prepare_cached(&format!(
                "UPDATE run SET state = ?4, attempts = attempts + 1, token = ?2, updated_at = ?3, due_at = NULL,
                   failure_code = NULL, failure_message = NULL, version = coalesce(version, ?5),
                   deadline_at = coalesce(deadline_at, ?6), round = NULL
                 WHERE id = ?1 AND state = 'queued' RETURNING {COLUMNS}"
            ))?
            .query_row(
                params![id, token, self.now.0, to.as_str(), version, deadline],
                |row| Ok(read(row)),
            )?;
        Ok(Claim {
            run: run?,
            definition,
            token: token.unsigned_abs(),
        })
    }

    /// The version of its plugin that an action means now.
    fn meant(&self, definition: &Action) -> Result<Option<String>, Error> {
        let InvocationMethod::Plugin {
            plugin, version, ..
        } = &definition.invocation_method;
        if let Some(version) = version {
            return Ok(Some(version.to_string()));
        }
        Ok(self
            .connection
            .prepare_cached(
                "SELECT version FROM plugin_version WHERE name = ?1 AND state = 'active'",
            )?
            .query_row([plugin.as_str()], |row| row.get(0))
            .optional()?)
    }

    /// Moves a run. `None`, and nothing is written, where the table has no such line for the state that it is in, or the
    /// attempt that says so is not the one under way.
    pub fn move_run(&self, id: &RunId, wanted: &RunMove) -> Result<Option<Moved>, Error> {
        let found = self
            .connection
            .prepare_cached("SELECT state, token FROM run WHERE id = ?1")?
            .query_row([id.as_str()], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?))
            })
            .optional()?;
        let Some((state, token)) = found else {
            return Ok(None);
        };
        let from: RunState = from_word(state)?;
        // Until the next claim, an attempt that is over is still the newest one: it must not speak for a run that waits.
        let under_way = token
            .map(i64::unsigned_abs)
            .filter(|_| from == RunState::Running);
        if wanted.token.is_some_and(|token| Some(token) != under_way) {
            return Ok(None);
        }
        let Some(to) = from.after(wanted.cause) else {
            return Ok(None);
        };
        let failure = wanted.failure.as_ref();
        let links = wanted
            .links
            .as_ref()
            .map(|links| text("run's links", links))
            .transpose()?;
        // What it slept is not time that it took.
        let slept = from == RunState::Sleeping;
        let run = self
            .connection
            .prepare_cached(&format!(
                "UPDATE run SET state = ?3, output = ?4, failure_code = ?5, failure_message = ?6,
                   links = coalesce(?7, links), due_at = ?8, updated_by = coalesce(?9, updated_by),
                   deadline_at = CASE WHEN ?10 THEN deadline_at + max(0, ?11 - updated_at) ELSE deadline_at END,
                   updated_at = ?11,
                   ended_at = CASE WHEN ?12 THEN coalesce(ended_at, ?11) END,
                   round = NULL, place = NULL, holds = CASE WHEN ?13 THEN holds END
                 WHERE id = ?1 AND state = ?2 RETURNING {COLUMNS}"
            ))?
            .query_row(
                params![
                    id.as_str(),
                    from.as_str(),
                    to.as_str(),
                    wanted.output.as_ref().map(ToString::to_string),
                    failure.map(|failure| &failure.code),
                    failure.map(|failure| &failure.message),
                    links,
                    wanted.due_at.map(|due| due.0),
                    wanted.by,
                    slept,
                    self.now.0,
                    to.is_terminal(),
                    keeps_entity(to),
                ],
                |row| Ok(read(row)),
            )??;
        if to == RunState::Queued {
            self.enter_queue(id)?;
        }
        if let Some(entity) = run.entity.as_ref().filter(|_| !keeps_entity(to)) {
            let blueprint = run.blueprint.as_ref().map(BlueprintId::as_str);
            self.promote(&Subject::of(blueprint, entity.as_str()))?;
        }
        if from == RunState::Running {
            // A plugin chooses the words of its failures: none of them is taken for one of ours.
            let outcome = match (to, failure) {
                (RunState::Queued, Some(_)) => CUT_OFF.to_owned(),
                (RunState::Queued, None) => HANDED_OVER.to_owned(),
                (RunState::Sleeping, _) => RunState::Sleeping.as_str().to_owned(),
                (_, Some(failure)) => format!("failed: {}", failure.code),
                (_, None) => to.as_str().to_owned(),
            };
            self.connection
                .prepare_cached("UPDATE attempt SET ended_at = ?2, outcome = ?3 WHERE token = ?1")?
                .execute(params![token, self.now.0, outcome])?;
        }
        Ok(Some(Moved { from, run }))
    }

    /// Writes down who wants a run to end that a plugin is at work on: whatever becomes of the process, it will. `None`
    /// where it is not being carried out.
    pub fn update_run_cancelled(&self, id: &RunId, by: &str) -> Result<Option<Run>, Error> {
        self.connection
            .prepare_cached(&format!(
                "UPDATE run SET cancelled_by = coalesce(cancelled_by, ?2) WHERE id = ?1 AND state = 'running'
                 RETURNING {COLUMNS}"
            ))?
            .query_row(params![id.as_str(), by], |row| Ok(read(row)))
            .optional()?
            .transpose()
    }
}

/// Whether a run that has its entity keeps it in this state. One that sleeps may do so for days: others go on meanwhile.
fn keeps_entity(state: RunState) -> bool {
    matches!(
        state,
        RunState::Queued | RunState::Running | RunState::WaitingForRetry
    )
}
