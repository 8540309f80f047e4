//! What is still to be derived: a queue that outlives the process.

use rusqlite::{OptionalExtension as _, params};
use serde::Serialize;

use super::Error;
use super::blueprint::BlueprintKey;
use super::connection::{ReadTx, WriteTx};
use super::entity::EntityKey;
use crate::model::Timestamp;

/// Something to be derived.
#[derive(Clone, Debug)]
pub struct NewQueued {
    /// Whether nobody waits for it.
    pub background: bool,
    /// The entry that it goes back to; absent for one that stands for itself.
    pub origin: Option<i64>,
    /// The blueprint of the entities that it is about.
    pub blueprint: BlueprintKey,
    /// Which of them, and what of them has changed, as JSON.
    pub cause: String,
}

/// An entry of the queue.
#[derive(Clone, Debug)]
pub struct Queued {
    /// Names the entry; a later one has a greater number.
    pub sequence: i64,
    /// What it is.
    pub entry: NewQueued,
    /// The entity that it is about, where an earlier version has queued it.
    pub entity: Option<EntityKey>,
    /// The first entry that it goes back to: its own number where it stands for itself.
    pub origin: i64,
    /// Identifier up to which all entities of the blueprint are done.
    pub reached: String,
}

/// The queue as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct QueueState {
    /// Entries that somebody waits for.
    pub waiting: u64,
    /// Entries that nobody waits for: a definition has changed, or a change concerns very many entities.
    pub background: u64,
    /// When the oldest entry was made.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub oldest: Option<Timestamp>,
}

impl ReadTx<'_> {
    /// The entries to be worked off next, what goes back furthest first: those that go back to `until` or before.
    pub fn list_queued(
        &self,
        background: bool,
        until: i64,
        limit: usize,
    ) -> Result<Vec<Queued>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT sequence, origin, blueprint_id, entity_id, cause, reached
             FROM derive_queue WHERE background = ?1 AND coalesce(origin, sequence) <= ?2
             ORDER BY coalesce(origin, sequence), sequence LIMIT ?3",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![background, until, limit], |row| {
            let sequence = row.get(0)?;
            let origin: Option<i64> = row.get(1)?;
            Ok(Queued {
                sequence,
                origin: origin.unwrap_or(sequence),
                entry: NewQueued {
                    background,
                    origin,
                    blueprint: BlueprintKey(row.get(2)?),
                    cause: row.get(4)?,
                },
                entity: row.get::<_, Option<i64>>(3)?.map(EntityKey),
                reached: row.get(5)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The number that was given last; 0 before the first.
    pub fn find_last_queued(&self) -> Result<i64, Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'derive_queue'")?;
        let last = statement.query_row([], |row| row.get(0)).optional()?;
        Ok(last.unwrap_or(0))
    }

    /// How far back the oldest entry goes; `None` where there is none.
    pub fn find_first_queued(&self, background: bool) -> Result<Option<i64>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT coalesce(origin, sequence) FROM derive_queue WHERE background = ?1
             ORDER BY coalesce(origin, sequence) LIMIT 1",
        )?;
        Ok(statement
            .query_row([background], |row| row.get(0))
            .optional()?)
    }

    /// The queue as a whole.
    pub fn find_queue_state(&self) -> Result<QueueState, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT count(*) FILTER (WHERE background = 0), count(*) FILTER (WHERE background = 1), min(at)
             FROM derive_queue",
        )?;
        let state = statement.query_row([], |row| {
            Ok(QueueState {
                waiting: row.get::<_, i64>(0)?.unsigned_abs(),
                background: row.get::<_, i64>(1)?.unsigned_abs(),
                oldest: row.get::<_, Option<i64>>(2)?.map(Timestamp),
            })
        })?;
        Ok(state)
    }
}

impl WriteTx<'_> {
    /// Puts an entry at the end.
    pub fn insert_queued(&self, new: &NewQueued) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO derive_queue (background, origin, blueprint_id, cause, at)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                new.background,
                new.origin,
                new.blueprint.0,
                new.cause,
                self.now.0,
            ])?;
        Ok(())
    }

    /// Takes entries out whose work is done.
    pub fn delete_queued(&self, sequences: &[i64]) -> Result<(), Error> {
        let mut statement = self
            .connection
            .prepare_cached("DELETE FROM derive_queue WHERE sequence = ?1")?;
        for sequence in sequences {
            statement.execute([sequence])?;
        }
        Ok(())
    }

    /// Notes how far an entry is done that is about every entity of a blueprint.
    pub fn update_queued(&self, sequence: i64, reached: &str) -> Result<(), Error> {
        self.connection
            .prepare_cached("UPDATE derive_queue SET reached = ?2 WHERE sequence = ?1")?
            .execute(params![sequence, reached])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[tokio::test]
    async fn an_entry_of_an_earlier_version_names_its_entity_in_a_column_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let read = |tx: &WriteTx<'_>| -> Result<_, Error> {
            tx.connection.execute_batch(
                "INSERT INTO derive_queue (background, blueprint_id, entity_id, cause, at)
                 VALUES (0, 1, 7, '{\"own\":true}', 0)",
            )?;
            tx.list_queued(false, i64::MAX, 10)
        };
        let queued = store.write(read).await.unwrap();
        let entities: Vec<_> = queued.iter().map(|entry| entry.entity).collect();
        assert_eq!(entities, [Some(EntityKey(7))]);
    }
}
