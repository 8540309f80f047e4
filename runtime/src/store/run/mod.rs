//! Runs and their attempts.

mod change;
mod key;
mod queue;

use rusqlite::types::Value as Sql;
use rusqlite::{OptionalExtension as _, Row, params, params_from_iter};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use change::Moved;
pub use key::Asked;
pub use queue::{QueueLength, Room};
use queue::{Standing, plugin_of};

use super::Error;
use super::audit::{from_word, word};
use super::connection::{ReadTx, WriteTx};
use crate::model::{
    Action, ActionId, Actor, BlueprintId, EntityId, NewRun, Run, RunFailure, RunFilter, RunId,
    RunState, Timestamp,
};

const COLUMNS: &str = "id, action, blueprint, entity, state, properties, output, failure_code, failure_message, links, \
     attempts, created_by, created_by_teams, created_by_role, created_at, updated_at, ended_at, parent, retry_of, version, \
     due_at, deadline_at, cancelled_by, updated_by";

/// How many columns those are: the one behind them has this number.
const WIDTH: usize = 24;

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
            "SELECT {COLUMNS}, token FROM run WHERE state = 'running' ORDER BY sequence LIMIT ?1"
        ))?;
        let mut rows = statement.query([i64::try_from(limit).unwrap_or(i64::MAX)])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push((
                read(row)?,
                row.get::<_, Option<i64>>(WIDTH)?
                    .unwrap_or(0)
                    .unsigned_abs(),
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
        let standing = Standing::of(actor, new);
        self.connection
            .prepare_cached(
                "INSERT INTO run (id, action, definition, blueprint, entity, state, properties,
                   created_by, created_by_teams, created_by_role, created_at, updated_at, parent, root, retry_of,
                   plugin, places, serial, lane, priority, team)
                 VALUES (?1, ?2, ?3, ?4, ?5, 'queued', ?6, ?7, ?8, ?9, ?10, ?10, ?11, ?12, ?13,
                   ?14, ?15, ?16, ?17, ?18, ?19)",
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
                new.retry_of.as_ref().map(RunId::as_str),
                plugin_of(&new.definition).as_str(),
                standing.places,
                standing.is_serial,
                standing.lane,
                standing.priority,
                standing.team,
            ])?;
        self.enter_queue(&new.id)?;
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
            retry_of: new.retry_of.clone(),
            version: None,
            due_at: None,
            deadline_at: None,
            cancelled_by: None,
            updated_by: None,
            created_at: self.now,
            updated_at: self.now,
            ended_at: None,
        })
    }
}

fn read(row: &Row<'_>) -> Result<Run, Error> {
    let properties: String = row.get(5)?;
    let output: Option<String> = row.get(6)?;
    let code: Option<String> = row.get(7)?;
    let message: Option<String> = row.get(8)?;
    let links: String = row.get(9)?;
    let teams: String = row.get(12)?;
    let version: Option<String> = row.get(19)?;
    let ident = |error| Error::corrupt("run", error);
    let id = |column: usize| -> Result<Option<RunId>, Error> {
        let text: Option<String> = row.get(column)?;
        text.map(RunId::parse).transpose().map_err(ident)
    };
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
        parent: id(17)?,
        retry_of: id(18)?,
        version: version
            .map(|text| semver::Version::parse(&text))
            .transpose()
            .map_err(|error| Error::corrupt("run", error))?,
        due_at: row.get::<_, Option<i64>>(20)?.map(Timestamp),
        deadline_at: row.get::<_, Option<i64>>(21)?.map(Timestamp),
        cancelled_by: row.get(22)?,
        updated_by: row.get(23)?,
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
