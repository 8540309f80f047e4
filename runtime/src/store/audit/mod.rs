//! The audit log: appended to, never changed.

pub(super) mod chain;
pub(super) mod page;
#[cfg(test)]
mod tests;
pub(super) mod verify;

use rusqlite::params;
use serde_json::Value;

use super::Error;
use super::connection::{ReadTx, WriteTx};
use super::entity::EntityKey;
use crate::model::{Actor, AuditEntry, Entity, Origin, RunId, Verb};
use chain::{Link, Tail};

pub use page::AuditOrder;

/// Kind of the object in rows that tell of an entity.
const ENTITY: &str = "entity";

/// A change of one entity, to be told in the audit log.
#[derive(Clone, Copy, Debug)]
pub struct EntityChange<'a> {
    /// On whose behalf.
    pub actor: &'a Actor,
    /// Its row.
    pub key: EntityKey,
    /// Absent where the entity is new.
    pub before: Option<&'a Entity>,
    /// Absent where it is deleted.
    pub after: Option<&'a Entity>,
}

impl WriteTx<'_> {
    /// Appends one row, in the transaction of the change that it tells of.
    ///
    /// What a plugin did is always told together with its run: a row that hides it is refused, and the change with it.
    pub fn insert_audit(&self, entry: &AuditEntry<'_>) -> Result<(), Error> {
        let json = |value: &Option<Value>| value.as_ref().map(ToString::to_string);
        let blueprint = match entry.resource {
            "blueprint" => Some(entry.identifier.as_str()),
            // What belongs to a blueprint says so itself.
            _ => [&entry.after, &entry.before]
                .into_iter()
                .find_map(|value| value.as_ref()?.get("blueprint")?.as_str()),
        };
        self.append(
            entry.actor,
            &Told {
                verb: entry.verb,
                resource: entry.resource,
                blueprint,
                identifier: &entry.identifier,
                object_id: None,
                was: None,
                before: json(&entry.before).as_deref(),
                after: json(&entry.after).as_deref(),
            },
        )
    }

    /// Appends the row of a changed entity. Each of its two documents is written out once.
    pub fn insert_entity_audit(&self, change: &EntityChange<'_>) -> Result<(), Error> {
        let json = |entity: Option<&Entity>| {
            entity
                .map(serde_json::to_string)
                .transpose()
                .map_err(|e| Error::corrupt("entity", e))
        };
        let (verb, entity) = match (change.before, change.after) {
            (None, Some(after)) => (Verb::Create, after),
            (Some(_), Some(after)) => (Verb::Update, after),
            (Some(before), None) => (Verb::Delete, before),
            (None, None) => return Ok(()),
        };
        let was = change
            .before
            .filter(|before| {
                change
                    .after
                    .is_none_or(|after| after.identifier != before.identifier)
            })
            .map(|before| before.identifier.as_str());
        self.append(
            change.actor,
            &Told {
                verb,
                resource: ENTITY,
                blueprint: Some(entity.blueprint.as_str()),
                identifier: entity.identifier.as_str(),
                object_id: Some(change.key.0),
                was,
                before: json(change.before)?.as_deref(),
                after: json(change.after)?.as_deref(),
            },
        )
    }

    /// Appends the row of an entity that has become another program's, from the first to the second, and is otherwise
    /// what it was.
    pub fn insert_claim_audit(
        &self,
        actor: &Actor,
        key: EntityKey,
        entity: &Entity,
        datasource: [Option<&str>; 2],
    ) -> Result<(), Error> {
        let [before, after] = datasource.map(|datasource| {
            let mut document = serde_json::to_value(entity)?;
            if let Some(document) = document.as_object_mut() {
                document.insert("datasource".to_owned(), Value::from(datasource));
            }
            Ok(document.to_string())
        });
        let corrupt = |e: serde_json::Error| Error::corrupt("entity", e);
        self.append(
            actor,
            &Told {
                verb: Verb::Update,
                resource: ENTITY,
                blueprint: Some(entity.blueprint.as_str()),
                identifier: entity.identifier.as_str(),
                object_id: Some(key.0),
                was: None,
                before: Some(&before.map_err(corrupt)?),
                after: Some(&after.map_err(corrupt)?),
            },
        )
    }

    fn append(&self, actor: &Actor, told: &Told<'_>) -> Result<(), Error> {
        if actor.origin == Origin::Plugin && actor.run.is_none() {
            return Err(Error::corrupt("actor", "a plugin acts outside of any run"));
        }
        let tail = self.tail()?;
        let link = Link {
            sequence: tail.sequence + 1,
            at: self.now.0,
            actor: &actor.name,
            origin: actor.origin.as_str(),
            run_id: actor.run.as_ref().map(RunId::as_str),
            verb: told.verb.as_str(),
            resource: told.resource,
            blueprint: told.blueprint,
            identifier: told.identifier,
            object_id: told.object_id,
            was: told.was,
            before: told.before,
            after: told.after,
        };
        let hash = link.hash(&tail.hash);
        self.connection
            .prepare_cached(
                "INSERT INTO audit (sequence, at, actor, origin, run_id, verb, resource, blueprint, identifier,
                                    object_id, was, before, after, hash)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            )?
            .execute(params![
                link.sequence,
                link.at,
                link.actor,
                link.origin,
                link.run_id,
                link.verb,
                link.resource,
                link.blueprint,
                link.identifier,
                link.object_id,
                link.was,
                link.before,
                link.after,
                hash,
            ])?;
        if link.at < tail.at {
            chain::note_leap(self.connection, link.sequence)?;
        }
        self.tail.set(Some(Tail {
            sequence: link.sequence,
            at: link.at,
            hash,
        }));
        Ok(())
    }
}

/// What a row says beside who and when.
struct Told<'a> {
    verb: Verb,
    resource: &'a str,
    blueprint: Option<&'a str>,
    identifier: &'a str,
    object_id: Option<i64>,
    was: Option<&'a str>,
    before: Option<&'a str>,
    after: Option<&'a str>,
}

impl ReadTx<'_> {
    /// Rows with a sequence below `before` (absent: from the newest), newest first: what tests of all floors look at.
    #[cfg(test)]
    pub fn list_audit(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<crate::model::AuditRow>, Error> {
        let order = AuditOrder::NewestFirst(before);
        let page = self.search_audit(&crate::model::AuditFilter::default(), order, limit)?;
        Ok(page.rows)
    }

    /// Sequences before the oldest row that is kept, and of the newest row.
    pub fn find_audit_ends(&self) -> Result<(u64, u64), Error> {
        let ends: (i64, i64) = self
            .connection
            .prepare_cached("SELECT base, sequence FROM audit_head WHERE id = 1")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok((ends.0.unsigned_abs(), ends.1.unsigned_abs()))
    }
}

/// The one word by which serde writes a unit variant; the store keeps the same.
pub(super) fn word<T: serde::Serialize>(value: &T) -> Result<String, Error> {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => Ok(word),
        Ok(other) => Err(Error::corrupt("word", format!("`{other}` is not one word"))),
        Err(error) => Err(Error::corrupt("word", error)),
    }
}

/// Reads back what [`word`] wrote.
pub(super) fn from_word<T: serde::de::DeserializeOwned>(word: String) -> Result<T, Error> {
    serde_json::from_value(Value::String(word)).map_err(|e| Error::corrupt("word", e))
}
