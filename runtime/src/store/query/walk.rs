//! Walks along the edges, one step for many entities at a time.

use rusqlite::types::Value as Sql;

use super::sql::{Statement, list_of_keys};
use super::{BlueprintKey, EntityKey, Error, ReadTx};

impl ReadTx<'_> {
    /// The entities that a relation of some entities points at, in order, each once.
    pub fn step_forward(&self, name: &str, from: &[EntityKey]) -> Result<Vec<EntityKey>, Error> {
        let mut statement = Statement::new("SELECT r.target_id FROM json_each(");
        statement.bind(list_of_keys(from));
        statement.text(") AS s CROSS JOIN relation AS r ON r.source_id = s.value AND r.name = ");
        statement.bind(Sql::Text(name.to_owned()));
        self.keys(statement)
    }

    /// The entities of a blueprint whose relation points at some entities, in order, each once.
    pub fn step_back(
        &self,
        blueprint: BlueprintKey,
        name: &str,
        to: &[EntityKey],
    ) -> Result<Vec<EntityKey>, Error> {
        let mut statement = Statement::new("SELECT r.source_id FROM json_each(");
        statement.bind(list_of_keys(to));
        statement.text(") AS t CROSS JOIN relation AS r ON r.target_id = t.value AND r.name = ");
        statement.bind(Sql::Text(name.to_owned()));
        statement.text(" CROSS JOIN entity AS e INDEXED BY entity_by_blueprint ON e.id = r.source_id AND e.blueprint_id = ");
        statement.bind(Sql::Integer(blueprint.0));
        self.keys(statement)
    }
}
