//! Runs and their attempts.

use rusqlite::types::Value as Sql;
use rusqlite::{OptionalExtension as _, Row, params, params_from_iter};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Error;
use super::audit::{from_word, word};
use super::connection::{ReadTx, WriteTx};
use crate::model::{
    Action, ActionId, Actor, BlueprintId, Claim, EntityId, NewRun, Run, RunEnd, RunFailure,
    RunFilter, RunId, RunState, Timestamp,
};

const COLUMNS: &str = "id, action, blueprint, entity, state, properties, output, failure_code, failure_message, links, \
     attempts, created_by, created_by_teams, created_by_role, created_at, updated_at, ended_at, parent";

impl ReadTx<'_> {
    /// One run, if it is there.
    pub fn find_run(&self, id: &RunId) -> Result<Option<Run>, Error> {
        self.connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM run WHERE id = ?1"))?
            .query_row([id.as_str()], |row| Ok(read(row)))
            .optional()?
            .transpose()
    }

    /// The action that a run was accepted with.
    pub fn find_run_definition(&self, id: &RunId) -> Result<Option<Action>, Error> {
        self.connection
            .prepare_cached("SELECT definition FROM run WHERE id = ?1")?
            .query_row([id.as_str()], |row| row.get::<_, String>(0))
            .optional()?
            .map(|text| json("action of a run", &text))
            .transpose()
    }

    /// Runs that pass a filter, newest first. An unknown cursor gives nothing.
    pub fn list_runs(&self, filter: &RunFilter) -> Result<Vec<Run>, Error> {
        let mut conditions = vec!["1".to_owned()];
        let mut values: Vec<Sql> = Vec::new();
        let mut equal = |column: &str, value: Option<&str>| {
            if let Some(value) = value {
                values.push(Sql::Text(value.to_owned()));
                conditions.push(format!("{column} = ?{}", values.len()));
            }
        };
        equal("action", filter.action.as_ref().map(ActionId::as_str));
        equal("entity", filter.entity.as_ref().map(EntityId::as_str));
        equal(
            "blueprint",
            filter.blueprint.as_ref().map(BlueprintId::as_str),
        );
        equal("created_by", filter.created_by.as_deref());
        if let Some(active) = filter.active {
            conditions.push(
                if active {
                    "ended_at IS NULL"
                } else {
                    "ended_at IS NOT NULL"
                }
                .to_owned(),
            );
        }
        if let Some(before) = &filter.before {
            values.push(Sql::Text(before.as_str().to_owned()));
            conditions.push(format!(
                "sequence < (SELECT sequence FROM run WHERE id = ?{})",
                values.len()
            ));
        }
        values.push(Sql::Integer(
            i64::try_from(filter.limit).unwrap_or(i64::MAX),
        ));
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM run WHERE {} ORDER BY sequence DESC LIMIT ?{}",
            conditions.join(" AND "),
            values.len()
        ))?;
        let mut rows = statement.query(params_from_iter(values))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(read(row)?);
        }
        Ok(found)
    }

    /// Runs that are marked as running, oldest first, with the token of their newest attempt.
    pub fn list_running(&self, limit: usize) -> Result<Vec<(Run, u64)>, Error> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS}, token FROM run WHERE ended_at IS NULL AND state = 'running' ORDER BY sequence LIMIT ?1"
        ))?;
        let mut rows = statement.query([i64::try_from(limit).unwrap_or(i64::MAX)])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push((
                read(row)?,
                row.get::<_, Option<i64>>(18)?.unwrap_or(0).unsigned_abs(),
            ));
        }
        Ok(found)
    }

    /// How many runs plugins started, one after the other, below one that a person asked for.
    pub fn count_started_below(&self, root: &RunId) -> Result<u64, Error> {
        let count: i64 = self
            .connection
            .prepare_cached("SELECT count(*) FROM run WHERE root = ?1")?
            .query_row([root.as_str()], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    /// How many runs wait for a worker.
    pub fn count_queued(&self) -> Result<u64, Error> {
        let count: i64 = self
            .connection
            .prepare_cached("SELECT count(*) FROM run WHERE state = 'queued'")?
            .query_row([], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }
}

impl WriteTx<'_> {
    /// Accepts a run: it is queued from now on. `root` is the first run of the chain, where a plugin started it.
    pub fn insert_run(
        &self,
        actor: &Actor,
        new: &NewRun,
        root: Option<&RunId>,
    ) -> Result<Run, Error> {
        let parent = new.origin.as_ref().map(|origin| origin.parent.clone());
        self.connection
            .prepare_cached(
                "INSERT INTO run (id, action, definition, blueprint, entity, state, properties,
                   created_by, created_by_teams, created_by_role, created_at, updated_at, parent, root)
                 VALUES (?1, ?2, ?3, ?4, ?5, 'queued', ?6, ?7, ?8, ?9, ?10, ?10, ?11, ?12)",
            )?
            .execute(params![
                new.id.as_str(),
                new.definition.identifier.as_str(),
                text("action of a run", &new.definition)?,
                new.blueprint.as_ref().map(BlueprintId::as_str),
                new.entity.as_ref().map(EntityId::as_str),
                text("run's inputs", &new.properties)?,
                actor.name,
                text("run's teams", &actor.teams)?,
                word(&actor.role)?,
                self.now.0,
                parent.as_ref().map(RunId::as_str),
                root.map(RunId::as_str),
            ])?;
        Ok(Run {
            id: new.id.clone(),
            action: new.definition.identifier.clone(),
            blueprint: new.blueprint.clone(),
            entity: new.entity.clone(),
            state: RunState::Queued,
            properties: new.properties.clone(),
            output: None,
            failure: None,
            links: Vec::new(),
            attempts: 0,
            created_by: actor.name.clone(),
            created_by_teams: actor.teams.clone(),
            created_by_role: actor.role,
            parent,
            created_at: self.now,
            updated_at: self.now,
            ended_at: None,
        })
    }

    /// Gives the oldest queued runs to a worker: each is running from now on, and its attempt is on record.
    pub fn claim_next(&self, worker: &str, limit: usize) -> Result<Vec<Claim>, Error> {
        let ids: Vec<String> = self
            .connection
            .prepare_cached("SELECT id FROM run WHERE state = 'queued' ORDER BY sequence LIMIT ?1")?
            .query_map([i64::try_from(limit).unwrap_or(i64::MAX)], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        ids.iter().map(|id| self.claim(id, worker)).collect()
    }

    /// Gives one queued run to a worker, as [`Self::claim_next`] does with the oldest.
    pub fn claim_run(&self, id: &RunId, worker: &str) -> Result<Claim, Error> {
        self.claim(id.as_str(), worker)
    }

    fn claim(&self, id: &str, worker: &str) -> Result<Claim, Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO attempt (run_id, number, worker, started_at)
                 SELECT id, attempts + 1, ?2, ?3 FROM run WHERE id = ?1",
            )?
            .execute(params![id, worker, self.now.0])?;
        let token = self.connection.last_insert_rowid();
        let (run, definition) = self
            .connection
            .prepare_cached(&format!(
                "UPDATE run SET state = 'running', attempts = attempts + 1, token = ?2, updated_at = ?3
                 WHERE id = ?1 AND state = 'queued' RETURNING {COLUMNS}, definition"
            ))?
            .query_row(params![id, token, self.now.0], |row| Ok((read(row), row.get::<_, String>(18)?)))?;
        Ok(Claim {
            run: run?,
            definition: json("action of a run", &definition)?,
            token: token.unsigned_abs(),
        })
    }

    /// Ends a run. `None`, and nothing is written, when it is not running any more or a newer attempt has it.
    pub fn finish_run(
        &self,
        id: &RunId,
        token: u64,
        end: &RunEnd,
        links: &[String],
    ) -> Result<Option<Run>, Error> {
        let (output, failure) = match end {
            RunEnd::Succeeded(output) => (Some(output.to_string()), None),
            RunEnd::Unsuccessful(_, failure) => (None, Some(failure)),
        };
        let links = text("run's links", &links)?;
        let token = i64::try_from(token).unwrap_or(i64::MAX);
        let state = end.state().as_str();
        let run = self
            .connection
            .prepare_cached(&format!(
                "UPDATE run SET state = ?3, output = ?4, failure_code = ?5, failure_message = ?6, links = ?7,
                   updated_at = ?8, ended_at = ?8
                 WHERE id = ?1 AND token = ?2 AND state = 'running' RETURNING {COLUMNS}"
            ))?
            .query_row(
                params![
                    id.as_str(),
                    token,
                    state,
                    output,
                    failure.map(|failure| &failure.code),
                    failure.map(|failure| &failure.message),
                    links,
                    self.now.0,
                ],
                |row| Ok(read(row)),
            )
            .optional()?
            .transpose()?;
        if run.is_some() {
            self.connection
                .prepare_cached("UPDATE attempt SET ended_at = ?2, outcome = ?3 WHERE token = ?1")?
                .execute(params![
                    token,
                    self.now.0,
                    failure.map_or(state, |failure| failure.code.as_str())
                ])?;
        }
        Ok(run)
    }
}

fn read(row: &Row<'_>) -> Result<Run, Error> {
    let properties: String = row.get(5)?;
    let output: Option<String> = row.get(6)?;
    let code: Option<String> = row.get(7)?;
    let message: Option<String> = row.get(8)?;
    let links: String = row.get(9)?;
    let teams: String = row.get(12)?;
    let ident = |error| Error::corrupt("run", error);
    Ok(Run {
        id: RunId::parse(row.get::<_, String>(0)?).map_err(ident)?,
        action: ActionId::parse(row.get::<_, String>(1)?).map_err(ident)?,
        blueprint: row
            .get::<_, Option<String>>(2)?
            .map(BlueprintId::parse)
            .transpose()
            .map_err(ident)?,
        entity: row
            .get::<_, Option<String>>(3)?
            .map(EntityId::parse)
            .transpose()
            .map_err(ident)?,
        state: from_word(row.get(4)?)?,
        properties: json("run's inputs", &properties)?,
        output: output.map(|text| json("run's output", &text)).transpose()?,
        failure: code.map(|code| RunFailure {
            code,
            message: message.unwrap_or_default(),
        }),
        links: json("run's links", &links)?,
        attempts: row.get(10)?,
        created_by: row.get(11)?,
        created_by_teams: json("run's teams", &teams)?,
        created_by_role: from_word(row.get(13)?)?,
        parent: row
            .get::<_, Option<String>>(17)?
            .map(RunId::parse)
            .transpose()
            .map_err(ident)?,
        created_at: Timestamp(row.get(14)?),
        updated_at: Timestamp(row.get(15)?),
        ended_at: row.get::<_, Option<i64>>(16)?.map(Timestamp),
    })
}

fn text<T: Serialize>(what: &'static str, value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::corrupt(what, error))
}

fn json<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| Error::corrupt(what, error))
}

#[cfg(test)]
mod tests;
