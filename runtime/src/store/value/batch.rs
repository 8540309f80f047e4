//! Rows of the value index that wait for each other: those of many entities, put in order, come to each page once.

use std::cell::{Cell, RefCell};

use rusqlite::{Connection, ToSql, params};

use super::PropertyKey;
use super::key::Key;
use crate::store::Error;
use crate::store::connection::WriteTx;
use crate::store::entity::EntityKey;

/// Rows that one statement writes: the statement costs more than a row.
const TOGETHER: usize = 16;

/// Rows that wait at most; bounds the memory of a large write.
const MOST: usize = 100_000;

const INSERT: &str = "INSERT OR IGNORE INTO value (property, value, entity) VALUES (?1, ?2, ?3)";

const DELETE: &str = "DELETE FROM value WHERE property = ?1 AND value = ?2 AND entity = ?3";

/// The rows of one job of the writer that are not written yet.
#[derive(Debug, Default)]
pub(in crate::store) struct ValueBatch {
    gathers: Cell<bool>,
    waiting: RefCell<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    rows: Vec<Row>,
    /// The texts of all rows, one behind the other.
    texts: String,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    property: PropertyKey,
    /// Near enough to the order of the index: where rows of one property come side by side.
    order: u64,
    /// Where it stands among the rows: of two changes of the same row the later one counts.
    place: usize,
    entity: EntityKey,
    value: Held,
    adds: bool,
}

/// A value that outlives the entity that it is of.
#[derive(Clone, Copy, Debug)]
enum Held {
    Integer(i64),
    Real(f64),
    Text(usize, usize),
    Blob([u8; 9], usize),
}

impl Waiting {
    fn add(&mut self, property: PropertyKey, key: Key<'_>, entity: EntityKey, adds: bool) {
        let value = match key {
            Key::Integer(number) => Held::Integer(number),
            Key::Real(number) => Held::Real(number),
            Key::Blob(bytes, length) => Held::Blob(bytes, length),
            Key::Text(text) => {
                let begin = self.texts.len();
                self.texts.push_str(text);
                Held::Text(begin, self.texts.len())
            }
        };
        self.rows.push(Row {
            property,
            order: order(key),
            place: self.rows.len(),
            entity,
            value,
            adds,
        });
    }

    fn write(&mut self, connection: &Connection) -> Result<(), Error> {
        self.rows
            .sort_unstable_by_key(|row| (row.property.0, row.order, row.place));
        let list = vec!["(?, ?, ?)"; TOGETHER].join(", ");
        let mut insert_many = connection.prepare_cached(&format!(
            "INSERT OR IGNORE INTO value (property, value, entity) VALUES {list}"
        ))?;
        let (mut insert, mut delete) = (
            connection.prepare_cached(INSERT)?,
            connection.prepare_cached(DELETE)?,
        );
        for run in self.rows.chunk_by(|one, next| one.adds == next.adds) {
            let mut rows = run;
            while let Some((many, rest)) = rows
                .split_at_checked(TOGETHER)
                .filter(|(many, _)| many.iter().all(|row| row.adds))
            {
                let mut index = 0;
                let mut bind = |value: &dyn ToSql| {
                    index += 1;
                    insert_many.raw_bind_parameter(index, value)
                };
                for row in many {
                    bind(&row.property.0)?;
                    bind(&self.key(row.value))?;
                    bind(&row.entity.0)?;
                }
                insert_many.raw_execute()?;
                rows = rest;
            }
            for row in rows {
                let one = if row.adds { &mut insert } else { &mut delete };
                one.execute(params![row.property.0, self.key(row.value), row.entity.0])?;
            }
        }
        self.rows.clear();
        self.texts.clear();
        Ok(())
    }

    fn key(&self, value: Held) -> Key<'_> {
        match value {
            Held::Integer(number) => Key::Integer(number),
            Held::Real(number) => Key::Real(number),
            Held::Blob(bytes, length) => Key::Blob(bytes, length),
            Held::Text(begin, end) => Key::Text(self.texts.get(begin..end).unwrap_or_default()),
        }
    }
}

/// A number that grows with the value as far as eight bytes can tell.
fn order(key: Key<'_>) -> u64 {
    let bytes = |bytes: &[u8]| {
        let mut first = [0; 8];
        for (to, from) in first.iter_mut().zip(bytes) {
            *to = *from;
        }
        u64::from_be_bytes(first)
    };
    #[expect(
        clippy::cast_precision_loss,
        reason = "rows of neighbours may change places"
    )]
    match key {
        Key::Integer(number) => rank(number as f64),
        Key::Real(number) => rank(number),
        Key::Text(text) => bytes(text.as_bytes()),
        // The first byte is the same for all of a kind.
        Key::Blob(value, length) => bytes(value.get(1..length).unwrap_or_default()),
    }
}

/// The bits of a number, so that they are in the order of the numbers.
fn rank(number: f64) -> u64 {
    let bits = number.to_bits();
    match number.is_sign_negative() {
        true => !bits,
        false => bits | (1 << 63),
    }
}

impl WriteTx<'_> {
    /// Does work that writes many values and asks the index for none: they are written when it is done.
    pub fn gather_values<T, E: From<Error>>(
        &self,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.values.gathers.set(true);
        let done = work();
        self.values.gathers.set(false);
        let mut waiting = self.values.waiting.take();
        let done = done?;
        waiting.write(self.connection)?;
        Ok(done)
    }

    /// Writes a row of the index, or takes it out; now or with others.
    pub(super) fn write_value(
        &self,
        property: PropertyKey,
        key: Key<'_>,
        entity: EntityKey,
        adds: bool,
    ) -> Result<(), Error> {
        if self.values.gathers.get() {
            let mut waiting = self.values.waiting.borrow_mut();
            waiting.add(property, key, entity, adds);
            if waiting.rows.len() >= MOST {
                waiting.write(self.connection)?;
            }
            return Ok(());
        }
        self.connection
            .prepare_cached(if adds { INSERT } else { DELETE })?
            .execute(params![property.0, key, entity.0])?;
        Ok(())
    }
}

impl ValueBatch {
    /// To be called where a job may have panicked: what it had gathered goes with what it wrote.
    pub(in crate::store) fn clear(&self) {
        self.gathers.set(false);
        self.waiting.take();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::store::Store;
    use crate::store::blueprint::BlueprintKey;

    type Step = (i64, &'static str, Value);

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let value = prop_oneof![
            Just(Value::Null),
            (-2..3_i64).prop_map(Value::from),
            (-2.0..2.0).prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            "[a-c]{0,12}".prop_map(Value::from),
            Just(json!("2026-01-01T00:00:00Z")),
            Just(json!({ "an": "object" })),
            prop::collection::vec("[a-c]", 0..4).prop_map(Value::from),
        ];
        let name = prop_oneof![Just("one"), Just("other")];
        prop::collection::vec((1..4_i64, name, value), 0..120)
    }

    /// The index after some changes, one after the other.
    fn index(steps: &[Step], gathered: bool) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let steps = steps.to_vec();
        let work = move |tx: &WriteTx<'_>| -> Result<Vec<String>, Error> {
            tx.connection.execute_batch(
                "INSERT INTO blueprint (id, identifier, document, created_at, created_by, updated_at, updated_by)
                 VALUES (1, 'b', '{}', 0, '', 0, '')",
            )?;
            let change = || -> Result<(), Error> {
                let mut now: HashMap<(i64, &str), Value> = HashMap::new();
                for (entity, name, value) in &steps {
                    let was = now.insert((*entity, name), value.clone());
                    let entity = EntityKey::of_number(*entity);
                    tx.index_value(BlueprintKey(1), entity, name, was.as_ref(), Some(value))?;
                }
                Ok(())
            };
            match gathered {
                true => tx.gather_values(change)?,
                false => change()?,
            }
            let mut rows = tx.connection.prepare(
                "SELECT name || ' ' || quote(value) || ' ' || entity
                 FROM value JOIN property_name ON property_name.id = property ORDER BY name, value, entity",
            )?;
            let rows = rows.query_map([], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(store.write(work)).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn values_that_were_gathered_are_those_that_were_written_one_by_one(steps in steps()) {
            prop_assert_eq!(index(&steps, true), index(&steps, false));
        }
    }

    #[test]
    fn numbers_are_put_in_order_by_their_bits() {
        let numbers = [
            f64::NEG_INFINITY,
            -2.5,
            -1.0,
            -0.0,
            0.0,
            1e-9,
            3.0,
            f64::INFINITY,
        ];
        let ranks: Vec<u64> = numbers.into_iter().map(rank).collect();
        assert!(ranks.is_sorted(), "{ranks:?}");
    }
}
