//! The value index: what queries find entities by.

use std::cell::RefCell;
use std::collections::HashMap;

use rusqlite::types::{ToSqlOutput, Value as Sql, ValueRef};
use rusqlite::{OptionalExtension as _, ToSql, params};
use serde_json::Value;

use super::Error;
use super::blueprint::BlueprintKey;
use super::connection::{ReadTx, WriteTx};
use super::derived::DerivedRow;
use super::entity::EntityKey;
use crate::model::{EntityId, Scalar};

/// Bytes of a text that the index keeps; longer ones are found by their beginning and then looked at.
const MAX_TEXT: usize = 200;

/// Elements of one list that the index keeps. A list with more is marked, and what it holds is looked at instead.
const MAX_ELEMENTS: usize = 1_000;

/// First byte of a blob: a yes or no.
const BOOLEAN: u8 = 1;

/// First byte of a blob: an instant.
const INSTANT: u8 = 2;

/// A blob of this byte alone: a value that has more to it than the rows show, such as an object.
const OPAQUE: u8 = 3;

/// A blob of this byte alone: a list that was too long to keep.
const CUT: u8 = 4;

/// Names a property of a blueprint in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PropertyKey(pub(super) i64);

/// Properties that were looked up in one job of the writer: a large write asks for the same few again and again.
#[derive(Debug, Default)]
pub(super) struct PropertyCache {
    known: RefCell<HashMap<BlueprintKey, HashMap<String, PropertyKey>>>,
}

impl PropertyCache {
    fn find(&self, blueprint: BlueprintKey, name: &str) -> Option<PropertyKey> {
        self.known.borrow().get(&blueprint)?.get(name).copied()
    }

    fn keep(&self, blueprint: BlueprintKey, name: &str, property: PropertyKey) {
        let mut known = self.known.borrow_mut();
        let of_blueprint = known.entry(blueprint).or_default();
        of_blueprint.insert(name.to_owned(), property);
    }

    /// To be called wherever a property may lose its number: it is renamed or gone, or a write was undone.
    pub(super) fn clear(&self) {
        self.known.borrow_mut().clear();
    }
}

/// A scalar as the index keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexValue(pub(super) Sql);

impl IndexValue {
    /// The row of a scalar.
    pub fn of(scalar: &Scalar<'_>) -> Self {
        Self(Key::of(scalar).to_owned())
    }

    /// Whether the row stands for this value and no other: a long text shares its beginning with others.
    pub fn is_exact(scalar: &Scalar<'_>) -> bool {
        // A cut text keeps at least so many bytes, as no character has more than four.
        !matches!(scalar, Scalar::Text(text) if text.len() > MAX_TEXT - 4)
    }

    /// What is in the index, as JSON. `None` where the row does not say it all.
    pub fn to_json(&self) -> Option<Value> {
        match &self.0 {
            Sql::Integer(number) => Some(Value::from(*number)),
            Sql::Real(number) => Some(Value::from(*number)),
            Sql::Text(text) if text.len() <= MAX_TEXT - 4 => Some(Value::from(text.as_str())),
            Sql::Blob(bytes) => match bytes.as_slice() {
                [BOOLEAN, yes] => Some(Value::from(*yes == 1)),
                _ => None,
            },
            _ => None,
        }
    }
}

/// A stretch of the index. An end that is absent is the end of the kind of the other.
#[derive(Clone, Debug, PartialEq)]
pub enum Span {
    /// One value.
    Point(IndexValue),
    /// Everything from one value to another of the same kind.
    Range {
        /// The lower end, and whether it belongs to it.
        from: (IndexValue, bool),
        /// The upper end, and whether it belongs to it.
        to: (IndexValue, bool),
    },
    /// Everything but the empty text.
    Present,
}

impl Span {
    /// From a scalar on to the end of its kind, or from the beginning of the kind to it.
    pub fn between(
        from: Option<(&Scalar<'_>, bool)>,
        to: Option<(&Scalar<'_>, bool)>,
    ) -> Option<Self> {
        let kind = from.or(to)?.0;
        let (least, most) = match kind {
            Scalar::Integer(_) | Scalar::Real(_) => {
                (Sql::Real(f64::NEG_INFINITY), Sql::Text(String::new()))
            }
            Scalar::Text(_) => (Sql::Text(String::new()), Sql::Blob(Vec::new())),
            Scalar::Boolean(_) => (Sql::Blob(vec![BOOLEAN]), Sql::Blob(vec![INSTANT])),
            Scalar::Instant(_) => (Sql::Blob(vec![INSTANT]), Sql::Blob(vec![OPAQUE])),
        };
        // A cut text stands for several: its own row always belongs to the stretch.
        let end = |end: Option<(&Scalar<'_>, bool)>, open: (Sql, bool)| match end {
            Some((scalar, closed)) => (
                IndexValue::of(scalar),
                closed || !IndexValue::is_exact(scalar),
            ),
            None => (IndexValue(open.0), open.1),
        };
        Some(Self::Range {
            from: end(from, (least, true)),
            to: end(to, (most, false)),
        })
    }

    /// The texts that begin so. `None` where instants may begin so too, which are not kept as texts.
    pub fn beginning(prefix: &str) -> Option<Self> {
        let first = prefix.bytes().next()?;
        if first.is_ascii_digit() || prefix.len() > MAX_TEXT - 4 {
            return None;
        }
        let to = match after(prefix) {
            Some(text) => Sql::Text(text),
            None => Sql::Blob(Vec::new()),
        };
        Some(Self::Range {
            from: (IndexValue(Sql::Text(prefix.to_owned())), true),
            to: (IndexValue(to), false),
        })
    }
}

/// The first text after all that begin so.
fn after(prefix: &str) -> Option<String> {
    let mut rest: Vec<char> = prefix.chars().collect();
    while let Some(last) = rest.pop() {
        // Between the two lie numbers that are no characters.
        let next = if last == '\u{D7FF}' {
            Some('\u{E000}')
        } else {
            char::from_u32(u32::from(last) + 1)
        };
        if let Some(next) = next {
            rest.push(next);
            return Some(rest.into_iter().collect());
        }
    }
    None
}

/// A row's value, borrowed from the entity that is being written.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Key<'a> {
    Integer(i64),
    Real(f64),
    Text(&'a str),
    Blob([u8; 9], usize),
}

impl<'a> Key<'a> {
    fn of(scalar: &Scalar<'a>) -> Self {
        match *scalar {
            Scalar::Integer(number) => Self::Integer(number),
            Scalar::Real(number) => Self::Real(number),
            Scalar::Text(text) => Self::Text(
                text.get(..text.floor_char_boundary(MAX_TEXT))
                    .unwrap_or(text),
            ),
            Scalar::Boolean(yes) => Self::Blob([BOOLEAN, u8::from(yes), 0, 0, 0, 0, 0, 0, 0], 2),
            Scalar::Instant(microseconds) => {
                let [a, b, c, d, e, f, g, h] = (microseconds ^ i64::MIN).to_be_bytes();
                Self::Blob([INSTANT, a, b, c, d, e, f, g, h], 9)
            }
        }
    }

    fn mark(kind: u8) -> Self {
        Self::Blob([kind, 0, 0, 0, 0, 0, 0, 0, 0], 1)
    }

    fn to_owned(self) -> Sql {
        match self {
            Self::Integer(number) => Sql::Integer(number),
            Self::Real(number) => Sql::Real(number),
            Self::Text(text) => Sql::Text(text.to_owned()),
            Self::Blob(bytes, length) => {
                Sql::Blob(bytes.get(..length).unwrap_or_default().to_vec())
            }
        }
    }

    /// The rows of a value.
    fn rows(value: Option<&'a Value>) -> Vec<Self> {
        let Some(value) = value else {
            return Vec::new();
        };
        if let Some(scalar) = Scalar::of(value) {
            return vec![Self::of(&scalar)];
        }
        match value {
            Value::Array(list) if list.len() > MAX_ELEMENTS => vec![Self::mark(CUT)],
            Value::Array(list) => {
                let mut rows: Vec<_> = list
                    .iter()
                    .filter_map(Scalar::of)
                    .map(|scalar| Self::of(&scalar))
                    .collect();
                // A list is not empty even where none of its elements says so.
                if rows.len() < list.len() || rows.contains(&Self::Text("")) {
                    rows.push(Self::mark(OPAQUE));
                }
                rows
            }
            Value::Object(fields) if !fields.is_empty() => vec![Self::mark(OPAQUE)],
            _ => Vec::new(),
        }
    }
}

impl ToSql for Key<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes, length) => ValueRef::Blob(bytes.get(..*length).unwrap_or_default()),
        }))
    }
}

/// The name under which the level of a scorecard, or the status of one of its rules, stands in the index. No property
/// can have it.
pub fn scorecard_name(scorecard: &str, rule: Option<&str>) -> String {
    match rule {
        Some(rule) => format!("$scorecard/{scorecard}/{rule}"),
        None => format!("$scorecard/{scorecard}"),
    }
}

/// What the scorecards say of an entity, by the names of the index.
fn statuses(derived: &DerivedRow) -> HashMap<String, &Value> {
    let mut found = HashMap::new();
    for (scorecard, card) in &derived.scorecards {
        if let Some(level) = card.get("level") {
            found.insert(scorecard_name(scorecard, None), level);
        }
        let rules = card.get("rules").and_then(Value::as_array);
        for rule in rules.into_iter().flatten() {
            let name = rule.get("identifier").and_then(Value::as_str);
            if let (Some(name), Some(status)) = (name, rule.get("status")) {
                found.insert(scorecard_name(scorecard, Some(name)), status);
            }
        }
    }
    found
}

impl ReadTx<'_> {
    /// The property of a name in the index; absent where no entity of the blueprint ever had it.
    pub fn find_property(
        &self,
        blueprint: BlueprintKey,
        name: &str,
    ) -> Result<Option<PropertyKey>, Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT id FROM property_name WHERE blueprint_id = ?1 AND name = ?2")?;
        let found = statement.query_row(params![blueprint.0, name], |row| {
            row.get(0).map(PropertyKey)
        });
        Ok(found.optional()?)
    }

    /// The name of a property in the index.
    pub fn find_property_name(&self, property: PropertyKey) -> Result<Option<String>, Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT name FROM property_name WHERE id = ?1")?;
        Ok(statement
            .query_row([property.0], |row| row.get(0))
            .optional()?)
    }

    /// Whether some entity has a list in a property that was too long for the index.
    pub fn has_cut_lists(&self, property: PropertyKey) -> Result<bool, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM value WHERE property = ?1 AND value = ?2)",
        )?;
        Ok(statement.query_row(params![property.0, Key::mark(CUT)], |row| row.get(0))?)
    }

    /// Entities that are not in the indexes yet, at most `limit`: their blueprints and identifiers.
    pub fn list_unindexed(
        &self,
        limit: usize,
    ) -> Result<Vec<(EntityKey, String, EntityId)>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT entity.id, blueprint.identifier, entity.identifier FROM unindexed
             JOIN entity ON entity.id = unindexed.entity JOIN blueprint ON blueprint.id = entity.blueprint_id
             ORDER BY unindexed.entity LIMIT ?1",
        )?;
        let mut rows = statement.query([i64::try_from(limit).unwrap_or(i64::MAX)])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let identifier: String = row.get(2)?;
            let identifier =
                EntityId::parse(identifier).map_err(|e| Error::corrupt("entity", e))?;
            found.push((EntityKey(row.get(0)?), row.get(1)?, identifier));
        }
        Ok(found)
    }
}

impl WriteTx<'_> {
    /// Puts what a property of an entity now is in place of what it was. `None` and JSON `null` are the same.
    pub fn index_value(
        &self,
        blueprint: BlueprintKey,
        entity: EntityKey,
        name: &str,
        before: Option<&Value>,
        after: Option<&Value>,
    ) -> Result<(), Error> {
        if before == after {
            return Ok(());
        }
        let (old, new) = (Key::rows(before), Key::rows(after));
        if old.is_empty() && new.is_empty() {
            return Ok(());
        }
        let property = self.property(blueprint, name)?;
        if !old.is_empty() {
            let mut delete = self.connection.prepare_cached(
                "DELETE FROM value WHERE property = ?1 AND value = ?2 AND entity = ?3",
            )?;
            for row in old.iter().filter(|row| !new.contains(row)) {
                delete.execute(params![property.0, row, entity.0])?;
            }
        }
        if !new.is_empty() {
            let mut insert = self.connection.prepare_cached(
                "INSERT OR IGNORE INTO value (property, value, entity) VALUES (?1, ?2, ?3)",
            )?;
            for row in new.iter().filter(|row| !old.contains(row)) {
                insert.execute(params![property.0, row, entity.0])?;
            }
        }
        Ok(())
    }

    /// Puts what is derived from an entity in place of what was.
    pub(super) fn index_derived(
        &self,
        blueprint: BlueprintKey,
        entity: EntityKey,
        before: &DerivedRow,
        after: &DerivedRow,
    ) -> Result<(), Error> {
        for (name, value) in &after.properties {
            self.index_value(
                blueprint,
                entity,
                name,
                before.properties.get(name),
                Some(value),
            )?;
        }
        for (name, value) in &before.properties {
            if !after.properties.contains_key(name) {
                self.index_value(blueprint, entity, name, Some(value), None)?;
            }
        }
        let (was, is) = (statuses(before), statuses(after));
        for (name, value) in &is {
            self.index_value(blueprint, entity, name, was.get(name).copied(), Some(value))?;
        }
        for (name, value) in &was {
            if !is.contains_key(name) {
                self.index_value(blueprint, entity, name, Some(value), None)?;
            }
        }
        Ok(())
    }

    /// Takes what is derived from an entity into the index, where it was not before.
    pub fn index_derived_anew(
        &self,
        blueprint: BlueprintKey,
        entity: EntityKey,
    ) -> Result<(), Error> {
        let derived = self.find_derived(entity)?;
        self.index_derived(blueprint, entity, &DerivedRow::default(), &derived)
    }

    fn property(&self, blueprint: BlueprintKey, name: &str) -> Result<PropertyKey, Error> {
        if let Some(property) = self.properties.find(blueprint, name) {
            return Ok(property);
        }
        let property = match self.find_property(blueprint, name)? {
            Some(property) => property,
            None => self.insert_property(blueprint, name)?,
        };
        self.properties.keep(blueprint, name, property);
        Ok(property)
    }

    fn insert_property(&self, blueprint: BlueprintKey, name: &str) -> Result<PropertyKey, Error> {
        self.connection
            .prepare_cached("INSERT INTO property_name (blueprint_id, name) VALUES (?1, ?2)")?
            .execute(params![blueprint.0, name])?;
        Ok(PropertyKey(self.connection.last_insert_rowid()))
    }

    /// Takes a property of a blueprint out of the index.
    pub fn forget_values(&self, blueprint: BlueprintKey, name: &str) -> Result<(), Error> {
        self.properties.clear();
        if let Some(property) = self.find_property(blueprint, name)? {
            for sql in [
                "DELETE FROM value WHERE property = ?1",
                "DELETE FROM property_name WHERE id = ?1",
            ] {
                self.connection.prepare_cached(sql)?.execute([property.0])?;
            }
        }
        Ok(())
    }

    /// Gives a property of a blueprint another name in the index.
    pub fn rename_values(
        &self,
        blueprint: BlueprintKey,
        from: &str,
        to: &str,
    ) -> Result<(), Error> {
        self.forget_values(blueprint, to)?;
        self.connection
            .prepare_cached(
                "UPDATE property_name SET name = ?3 WHERE blueprint_id = ?1 AND name = ?2",
            )?
            .execute(params![blueprint.0, from, to])?;
        Ok(())
    }

    /// Makes the indexes as if every entity had been there before them.
    #[cfg(test)]
    pub(crate) fn forget_everything(&self) -> Result<(), Error> {
        self.connection.execute_batch(
            "DELETE FROM value; DELETE FROM property_name;
             INSERT INTO unindexed (entity) SELECT id FROM entity;",
        )?;
        Ok(())
    }

    /// Notes that entities are in the indexes now, and that those which have gone need not be.
    pub fn delete_unindexed(&self, up_to: Option<EntityKey>) -> Result<(), Error> {
        self.connection
            .prepare_cached("DELETE FROM unindexed WHERE entity <= ?1")?
            .execute([up_to.map_or(i64::MAX, |key| key.0)])?;
        Ok(())
    }
}
