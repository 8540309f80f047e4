//! Which entities somebody may see, as conditions that the store can check.

use rusqlite::types::Value as Sql;

use super::Error;
use super::blueprint::BlueprintKey;
use super::connection::ReadTx;
use super::entity::EntityKey;
use super::query::{Statement, list_of_keys};
use crate::model::BlueprintId;

/// What is hidden from somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hidden {
    /// Blueprints of which they see no entity.
    pub whole: Vec<BlueprintKey>,
    /// Blueprints of which they see only the entities that one of their teams owns.
    pub owned: Vec<BlueprintKey>,
    /// Their teams.
    pub teams: Vec<String>,
}

impl Hidden {
    /// Whether they see everything.
    pub fn is_nothing(&self) -> bool {
        self.whole.is_empty() && self.owned.is_empty()
    }
}

impl Statement {
    /// A condition that holds for the entities, joined as `e`, that are not hidden.
    pub(super) fn shown(&mut self, hidden: &Hidden) {
        if hidden.is_nothing() {
            return self.text("1");
        }
        let list = |keys: &[BlueprintKey]| {
            let numbers = keys.iter().map(|key| key.0).collect::<Vec<_>>();
            Sql::Text(serde_json::Value::from(numbers).to_string())
        };
        self.text("(e.blueprint_id NOT IN (SELECT value FROM json_each(");
        self.bind(list(&hidden.whole));
        self.text(")) AND (e.blueprint_id NOT IN (SELECT value FROM json_each(");
        self.bind(list(&hidden.owned));
        self.text(
            ")) OR EXISTS (SELECT 1 FROM json_each(e.team) AS owner WHERE owner.value IN (SELECT value FROM json_each(",
        );
        let teams = serde_json::Value::from(hidden.teams.as_slice());
        self.bind(Sql::Text(teams.to_string()));
        self.text(")))))");
    }
}

impl ReadTx<'_> {
    /// The blueprints of which somebody has said who may do what.
    pub fn list_restricted_blueprints(&self) -> Result<Vec<BlueprintId>, Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT identifier FROM blueprint WHERE permissions IS NOT NULL")?;
        let mut rows = statement.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let id: String = row.get(0)?;
            found.push(BlueprintId::parse(id).map_err(|e| Error::corrupt("blueprint", e))?);
        }
        Ok(found)
    }

    /// Those of some entities that are not hidden, in order.
    pub fn list_shown(
        &self,
        keys: Vec<EntityKey>,
        hidden: &Hidden,
    ) -> Result<Vec<EntityKey>, Error> {
        if hidden.is_nothing() || keys.is_empty() {
            return Ok(keys);
        }
        let mut statement = Statement::new("SELECT e.id FROM json_each(");
        statement.bind(list_of_keys(&keys));
        statement.text(") AS k CROSS JOIN entity AS e ON e.id = k.value WHERE ");
        statement.shown(hidden);
        self.keys(statement)
    }
}
