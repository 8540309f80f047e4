//! Which source keeps which object of the catalog as a document.

use rusqlite::{OptionalExtension as _, params};

use super::connection::{ReadTx, WriteTx};
use super::scorecard::ScorecardKey;
use super::{BlueprintKey, EntityKey, Error};
use crate::model::{ActionId, BlueprintId, EntityId, SourceName};

/// Names a source's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceKey(i64);

/// Everything that belongs to one source, each list in order.
#[derive(Clone, Debug, Default)]
pub struct Owned {
    /// Its blueprints.
    pub blueprints: Vec<BlueprintId>,
    /// Its entities.
    pub entities: Vec<(BlueprintId, EntityId)>,
    /// Its actions.
    pub actions: Vec<ActionId>,
    /// Its scorecards.
    pub scorecards: Vec<(BlueprintId, String)>,
}

impl Owned {
    /// How many things these are.
    pub fn count(&self) -> usize {
        self.blueprints.len() + self.entities.len() + self.actions.len() + self.scorecards.len()
    }
}

impl ReadTx<'_> {
    /// What belongs to a source.
    pub fn list_owned(&self, source: SourceKey) -> Result<Owned, Error> {
        let mut owned = Owned::default();
        let mut statement = self.connection.prepare_cached(
            "SELECT blueprint.identifier FROM blueprint_source
             JOIN blueprint ON blueprint.id = blueprint_source.blueprint_id
             WHERE source_id = ?1 ORDER BY blueprint.identifier",
        )?;
        let mut rows = statement.query([source.0])?;
        while let Some(row) = rows.next()? {
            owned.blueprints.push(blueprint_id(row.get(0)?)?);
        }
        let mut statement = self.connection.prepare_cached(
            "SELECT blueprint.identifier, entity.identifier FROM entity_source
             JOIN entity ON entity.id = entity_source.entity_id
             JOIN blueprint ON blueprint.id = entity.blueprint_id
             WHERE source_id = ?1 ORDER BY blueprint.identifier, entity.identifier",
        )?;
        let mut rows = statement.query([source.0])?;
        while let Some(row) = rows.next()? {
            let id: String = row.get(1)?;
            let id = EntityId::parse(id).map_err(|error| Error::corrupt("entity", error))?;
            owned.entities.push((blueprint_id(row.get(0)?)?, id));
        }
        let mut statement = self.connection.prepare_cached(
            "SELECT action FROM action_source WHERE source_id = ?1 ORDER BY action",
        )?;
        let mut rows = statement.query([source.0])?;
        while let Some(row) = rows.next()? {
            let id: String = row.get(0)?;
            let id = ActionId::parse(id).map_err(|error| Error::corrupt("action", error))?;
            owned.actions.push(id);
        }
        let mut statement = self.connection.prepare_cached(
            "SELECT blueprint.identifier, scorecard.identifier FROM scorecard_source
             JOIN scorecard ON scorecard.id = scorecard_source.scorecard_id
             JOIN blueprint ON blueprint.id = scorecard.blueprint_id
             WHERE source_id = ?1 ORDER BY blueprint.identifier, scorecard.identifier",
        )?;
        let mut rows = statement.query([source.0])?;
        while let Some(row) = rows.next()? {
            owned
                .scorecards
                .push((blueprint_id(row.get(0)?)?, row.get(1)?));
        }
        Ok(owned)
    }

    fn find_source(&self, name: &str) -> Result<Option<SourceKey>, Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT id FROM source WHERE name = ?1")?;
        Ok(statement
            .query_row([name], |row| row.get(0).map(SourceKey))
            .optional()?)
    }
}

impl WriteTx<'_> {
    /// A source by its name, noted where it is new.
    pub fn ensure_source(&self, name: &SourceName) -> Result<SourceKey, Error> {
        if let Some(known) = self.find_source(name.as_str())? {
            return Ok(known);
        }
        self.connection
            .prepare_cached("INSERT INTO source (name) VALUES (?1)")?
            .execute([name.as_str()])?;
        Ok(SourceKey(self.connection.last_insert_rowid()))
    }

    /// Gives a blueprint to a source; the name of the other source that it belonged to, if any.
    pub fn claim_blueprint(
        &self,
        source: SourceKey,
        blueprint: BlueprintKey,
    ) -> Result<Option<String>, Error> {
        self.claim_object(
            "SELECT source.id, source.name FROM blueprint_source JOIN source ON source.id = source_id
             WHERE blueprint_id = ?1",
            "INSERT OR REPLACE INTO blueprint_source (blueprint_id, source_id) VALUES (?1, ?2)",
            source,
            blueprint.0,
        )
    }

    /// Gives an entity to a source; the name of the other source that it belonged to, if any.
    pub fn claim_entity(
        &self,
        source: SourceKey,
        entity: EntityKey,
    ) -> Result<Option<String>, Error> {
        self.claim_object(
            "SELECT source.id, source.name FROM entity_source JOIN source ON source.id = source_id
             WHERE entity_id = ?1",
            "INSERT OR REPLACE INTO entity_source (entity_id, source_id) VALUES (?1, ?2)",
            source,
            entity.number(),
        )
    }

    /// Gives an action to a source; the name of the other source that it belonged to, if any.
    pub fn claim_action(
        &self,
        source: SourceKey,
        action: &ActionId,
    ) -> Result<Option<String>, Error> {
        self.claim_object(
            "SELECT source.id, source.name FROM action_source JOIN source ON source.id = source_id
             WHERE action = ?1",
            "INSERT OR REPLACE INTO action_source (action, source_id) VALUES (?1, ?2)",
            source,
            action.as_str(),
        )
    }

    /// Gives a scorecard to a source; the name of the other source that it belonged to, if any.
    pub fn claim_scorecard(
        &self,
        source: SourceKey,
        scorecard: ScorecardKey,
    ) -> Result<Option<String>, Error> {
        self.claim_object(
            "SELECT source.id, source.name FROM scorecard_source JOIN source ON source.id = source_id
             WHERE scorecard_id = ?1",
            "INSERT OR REPLACE INTO scorecard_source (scorecard_id, source_id) VALUES (?1, ?2)",
            source,
            scorecard.0,
        )
    }

    fn claim_object(
        &self,
        find: &str,
        put: &str,
        source: SourceKey,
        object: impl rusqlite::ToSql + Copy,
    ) -> Result<Option<String>, Error> {
        let before: Option<(i64, String)> = self
            .connection
            .prepare_cached(find)?
            .query_row([object], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        if before.as_ref().is_some_and(|(id, _)| *id == source.0) {
            return Ok(None);
        }
        self.connection
            .prepare_cached(put)?
            .execute(params![object, source.0])?;
        Ok(before.map(|(_, name)| name))
    }
}

fn blueprint_id(text: String) -> Result<BlueprintId, Error> {
    BlueprintId::parse(text).map_err(|error| Error::corrupt("blueprint", error))
}
