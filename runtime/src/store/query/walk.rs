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

    /// The entities that any relation of some entities points at, or with `named` those of certain blueprints' certain
    /// relations only.
    pub fn step_out(
        &self,
        from: &[EntityKey],
        named: Option<&[(BlueprintKey, String)]>,
    ) -> Result<Vec<EntityKey>, Error> {
        let mut statement = Statement::new("SELECT r.target_id FROM json_each(");
        statement.bind(list_of_keys(from));
        statement.text(") AS s CROSS JOIN relation AS r ON r.source_id = s.value");
        named_edges(&mut statement, named);
        self.keys(statement)
    }

    /// The entities of which any relation points at some entities, or with `named` certain blueprints' certain
    /// relations only.
    pub fn step_in(
        &self,
        to: &[EntityKey],
        named: Option<&[(BlueprintKey, String)]>,
    ) -> Result<Vec<EntityKey>, Error> {
        let mut statement = Statement::new("SELECT r.source_id FROM json_each(");
        statement.bind(list_of_keys(to));
        statement.text(") AS t CROSS JOIN relation AS r ON r.target_id = t.value");
        named_edges(&mut statement, named);
        self.keys(statement)
    }
}

fn named_edges(statement: &mut Statement, named: Option<&[(BlueprintKey, String)]>) {
    let Some(named) = named else { return };
    statement.text(
        " CROSS JOIN entity AS e ON e.id = r.source_id WHERE (e.blueprint_id, r.name) IN (VALUES ",
    );
    // A list of values must have one; no blueprint has this key.
    statement.text("(0, '')");
    for (blueprint, name) in named {
        statement.text(", (");
        statement.bind(Sql::Integer(blueprint.0));
        statement.text(", ");
        statement.bind(Sql::Text(name.clone()));
        statement.text(")");
    }
    statement.text(")");
}
