//! Keeping the value index.

use std::collections::HashMap;

use rusqlite::params;
use serde_json::Value;

use super::key::Key;
use super::{PropertyKey, scorecard_name};
use crate::store::Error;
use crate::store::blueprint::BlueprintKey;
use crate::store::connection::WriteTx;
use crate::store::derived::DerivedRow;
use crate::store::entity::EntityKey;

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
        for row in old.iter().filter(|row| !new.contains(row)) {
            self.write_value(property, *row, entity, false)?;
        }
        for row in new.iter().filter(|row| !old.contains(row)) {
            self.write_value(property, *row, entity, true)?;
        }
        Ok(())
    }

    /// Puts what is derived from an entity in place of what was.
    pub(in crate::store) fn index_derived(
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
