//! Finds entities by conditions that a floor above has worked out: where to begin, what to check on each, in which
//! order, and for how long.

mod cursor;
mod limit;
mod sql;
mod walk;

use rusqlite::params_from_iter;
use rusqlite::types::Value as Sql;

use super::Error;
use super::blueprint::BlueprintKey;
use super::connection::ReadTx;
use super::entity::{EntityKey, EntityRow, JOINED_COLUMNS, read_row};
use super::value::{IndexValue, PropertyKey, Span};

pub use cursor::Cursor;
pub(super) use limit::watch;
pub use sql::{Column, ColumnTest, Condition};
pub(super) use sql::{Statement, list_of_keys};

/// Where the search for entities of a blueprint begins. Each gives them in the order of their keys.
#[derive(Clone, Debug, PartialEq)]
pub enum Driver {
    /// With all of them.
    All,
    /// With those that have a value.
    Value(PropertyKey, IndexValue),
    /// With these, in order.
    Keys(Vec<EntityKey>),
}

/// The entities of a blueprint that are looked for.
#[derive(Clone, Copy, Debug)]
pub struct Matching<'a> {
    /// Their blueprint.
    pub blueprint: BlueprintKey,
    /// Where to begin.
    pub driver: &'a Driver,
    /// What has to hold for each.
    pub condition: &'a Condition,
}

/// Keys that one statement is given.
const BATCH: usize = 256;

/// What is read of the entities that match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// Whole rows.
    Row,
    /// Their keys, which indexes know.
    Key,
    /// How many there are.
    Count,
}

impl Wanted {
    fn columns(self) -> &'static str {
        match self {
            Self::Row => JOINED_COLUMNS,
            Self::Key => "e.id",
            Self::Count => "count(*)",
        }
    }
}

impl ReadTx<'_> {
    /// The matching entities behind `after`, in the order of their keys, at most `limit`.
    pub fn list_matching(
        &self,
        matching: Matching<'_>,
        after: Option<EntityKey>,
        limit: usize,
    ) -> Result<Vec<EntityRow>, Error> {
        let mut found = Vec::new();
        let mut read = |row: &rusqlite::Row<'_>| {
            found.push(read_row(row)?);
            Ok(found.len() < limit)
        };
        self.visit(matching, Wanted::Row, after, limit, &mut read)?;
        Ok(found)
    }

    /// The keys of the matching entities behind `after`, in order, at most `limit`.
    pub fn list_matching_keys(
        &self,
        matching: Matching<'_>,
        after: Option<EntityKey>,
        limit: usize,
    ) -> Result<Vec<EntityKey>, Error> {
        let mut found = Vec::new();
        let mut read = |row: &rusqlite::Row<'_>| {
            found.push(EntityKey(row.get(0)?));
            Ok(found.len() < limit)
        };
        self.visit(matching, Wanted::Key, after, limit, &mut read)?;
        Ok(found)
    }

    /// How many entities match.
    pub fn count_matching(&self, matching: Matching<'_>) -> Result<u64, Error> {
        // The value index alone knows how many have a value.
        if let (Driver::Value(property, value), Condition::Always) =
            (matching.driver, matching.condition)
        {
            let mut statement = self
                .connection
                .prepare_cached("SELECT count(*) FROM value WHERE property = ?1 AND value = ?2")?;
            let count: i64 =
                statement.query_row(rusqlite::params![property.0, value.0], |row| row.get(0))?;
            return Ok(count.unsigned_abs());
        }
        let mut total = 0_i64;
        let mut read = |row: &rusqlite::Row<'_>| {
            total += row.get::<_, i64>(0)?;
            Ok(true)
        };
        self.visit(matching, Wanted::Count, None, usize::MAX, &mut read)?;
        Ok(total.unsigned_abs())
    }

    /// How many of the matching entities have each value of a property, the values in order, at most `limit`.
    pub fn count_values(
        &self,
        blueprint: BlueprintKey,
        property: PropertyKey,
        condition: &Condition,
        limit: usize,
    ) -> Result<Vec<(IndexValue, u64)>, Error> {
        let mut statement = Statement::new("SELECT d.value, count(*) FROM value AS d");
        let id = if condition.needs_row() {
            statement.text(" CROSS JOIN entity AS e ON e.id = d.entity");
            "e.id"
        } else {
            "d.entity"
        };
        statement.text(" WHERE d.property = ");
        statement.bind(Sql::Integer(property.0));
        if condition.needs_row() {
            statement.text(" AND e.blueprint_id = ");
            statement.bind(Sql::Integer(blueprint.0));
        }
        statement.text(" AND ");
        statement.condition(condition, id);
        statement.text(" GROUP BY d.value LIMIT ");
        statement.bind(Sql::Integer(i64::try_from(limit).unwrap_or(i64::MAX)));
        let mut found = Vec::new();
        self.rows(statement, &mut |row| {
            found.push((
                IndexValue(row.get(0)?),
                row.get::<_, i64>(1)?.unsigned_abs(),
            ));
            Ok(true)
        })?;
        Ok(found)
    }

    /// How many entities a part of the index has, counted no further than `most`.
    pub fn count_span(
        &self,
        property: PropertyKey,
        span: &Span,
        most: usize,
    ) -> Result<usize, Error> {
        let mut statement =
            Statement::new("SELECT count(*) FROM (SELECT 1 FROM value WHERE property = ");
        statement.bind(Sql::Integer(property.0));
        statement.span("value", span);
        statement.text(" LIMIT ");
        statement.bind(Sql::Integer(i64::try_from(most).unwrap_or(i64::MAX)));
        statement.text(")");
        self.count(statement)
    }

    /// The entities that a part of the index has, in order, each once.
    pub fn list_span(&self, property: PropertyKey, span: &Span) -> Result<Vec<EntityKey>, Error> {
        let mut statement = Statement::new("SELECT entity FROM value WHERE property = ");
        statement.bind(Sql::Integer(property.0));
        statement.span("value", span);
        self.keys(statement)
    }

    /// How many edges of a name end at some entities, counted no further than `most`.
    pub fn count_sources(
        &self,
        name: &str,
        targets: &[EntityKey],
        most: usize,
    ) -> Result<usize, Error> {
        let mut statement = Statement::new("SELECT count(*) FROM (SELECT 1 FROM json_each(");
        statement.bind(list_of_keys(targets));
        statement.text(
            ") AS t CROSS JOIN relation ON relation.target_id = t.value AND relation.name = ",
        );
        statement.bind(Sql::Text(name.to_owned()));
        statement.text(" LIMIT ");
        statement.bind(Sql::Integer(i64::try_from(most).unwrap_or(i64::MAX)));
        statement.text(")");
        self.count(statement)
    }

    /// The entities of a blueprint whose column passes a test, in order. Only the identifier's has an index.
    pub fn list_by_column(
        &self,
        blueprint: BlueprintKey,
        column: Column,
        test: &ColumnTest,
        most: usize,
    ) -> Result<Vec<EntityKey>, Error> {
        let mut statement = Statement::new("SELECT e.id FROM entity AS e WHERE e.blueprint_id = ");
        statement.bind(Sql::Integer(blueprint.0));
        statement.text(" AND ");
        statement.condition(&Condition::Column(column, test.clone()), "e.id");
        statement.text(" LIMIT ");
        statement.bind(Sql::Integer(i64::try_from(most).unwrap_or(i64::MAX)));
        self.keys(statement)
    }

    fn visit(
        &self,
        matching: Matching<'_>,
        wanted: Wanted,
        after: Option<EntityKey>,
        limit: usize,
        read: &mut dyn FnMut(&rusqlite::Row<'_>) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let after = after.map_or(i64::MIN, |key| key.0);
        let ordered = limit < usize::MAX;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        if *matching.condition == Condition::Never {
            return Ok(());
        }
        let columns = wanted.columns();
        let needs_row = wanted == Wanted::Row || matching.condition.needs_row();
        match matching.driver {
            Driver::All => {
                let mut statement = Statement::new("SELECT ");
                statement.text(columns);
                statement.text(
                    " FROM entity AS e INDEXED BY entity_by_blueprint WHERE e.blueprint_id = ",
                );
                statement.bind(Sql::Integer(matching.blueprint.0));
                statement.text(" AND e.id > ");
                statement.bind(Sql::Integer(after));
                statement.text(" AND ");
                statement.condition(matching.condition, "e.id");
                if ordered {
                    statement.text(" ORDER BY e.id LIMIT ");
                    statement.bind(Sql::Integer(limit));
                }
                self.rows(statement, read)
            }
            Driver::Value(property, value) => {
                let mut statement = Statement::new("SELECT ");
                // A property belongs to one blueprint: the index alone knows whose values these are.
                if needs_row {
                    statement.text(columns);
                    statement.text(" FROM value AS d CROSS JOIN entity AS e ON e.id = d.entity");
                } else {
                    statement.text(if wanted == Wanted::Key {
                        "d.entity"
                    } else {
                        columns
                    });
                    statement.text(" FROM value AS d");
                }
                statement.text(" WHERE d.property = ");
                statement.bind(Sql::Integer(property.0));
                statement.text(" AND d.value = ");
                statement.bind(value.0.clone());
                statement.text(" AND d.entity > ");
                statement.bind(Sql::Integer(after));
                statement.text(" AND ");
                // Asked of the index first: the row is read only where that holds.
                statement.condition(matching.condition, "d.entity");
                if ordered {
                    statement.text(" ORDER BY d.entity LIMIT ");
                    statement.bind(Sql::Integer(limit));
                }
                self.rows(statement, read)
            }
            Driver::Keys(keys) => {
                let rest = keys.partition_point(|key| key.0 <= after);
                let mut more = true;
                for batch in keys.get(rest..).unwrap_or_default().chunks(BATCH) {
                    let mut statement = Statement::new("SELECT ");
                    statement.text(columns);
                    statement.text(" FROM json_each(");
                    statement.bind(list_of_keys(batch));
                    statement.text(") AS d CROSS JOIN entity AS e");
                    if !needs_row {
                        statement.text(" INDEXED BY entity_by_blueprint");
                    }
                    statement.text(" ON e.id = d.value WHERE e.blueprint_id = ");
                    statement.bind(Sql::Integer(matching.blueprint.0));
                    statement.text(" AND ");
                    statement.condition(matching.condition, "d.value");
                    if ordered {
                        statement.text(" ORDER BY d.key");
                    }
                    self.rows(statement, &mut |row| {
                        more = read(row)?;
                        Ok(more)
                    })?;
                    if !more {
                        break;
                    }
                }
                Ok(())
            }
        }
    }

    pub(super) fn rows(
        &self,
        statement: Statement,
        read: &mut dyn FnMut(&rusqlite::Row<'_>) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let (text, values) = statement.finish();
        let mut statement = self.connection.prepare_cached(&text)?;
        let mut rows = statement.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            if !read(row)? {
                break;
            }
        }
        Ok(())
    }

    fn count(&self, statement: Statement) -> Result<usize, Error> {
        let mut count = 0;
        self.rows(statement, &mut |row| {
            count = usize::try_from(row.get::<_, i64>(0)?).unwrap_or(0);
            Ok(false)
        })?;
        Ok(count)
    }

    pub(super) fn keys(&self, statement: Statement) -> Result<Vec<EntityKey>, Error> {
        let mut found = Vec::new();
        self.rows(statement, &mut |row| {
            found.push(EntityKey(row.get(0)?));
            Ok(true)
        })?;
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }
}
