//! What goes with a change of an entity, in the transaction of the change: whatever is kept beside the row itself
//! learns of it here and nowhere else.

use serde_json::Value;

use super::Error;
use crate::model::{Actor, AuditEntry, Entity, Verb};
use crate::store::{self, BlueprintKey, EntityKey, WriteTx};

/// One entity, before and after. Its row and its edges are written already.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change<'a> {
    /// Its row; gone already where there is no `after`.
    #[expect(dead_code, reason = "what is kept per entity is not written yet")]
    pub(super) key: EntityKey,
    /// The row of its blueprint.
    #[expect(dead_code, reason = "what is kept per blueprint is not written yet")]
    pub(super) blueprint: BlueprintKey,
    /// Absent where the entity is new.
    pub(super) before: Option<&'a Entity>,
    /// Absent where it is deleted.
    pub(super) after: Option<&'a Entity>,
}

impl Change<'_> {
    /// Writes everything that goes with the change.
    pub(super) fn record(&self, tx: &WriteTx<'_>, actor: &Actor) -> Result<(), Error> {
        self.audit(tx, actor)
    }

    fn audit(&self, tx: &WriteTx<'_>, actor: &Actor) -> Result<(), Error> {
        let (Some(entity), verb) = (match (self.before, self.after) {
            (None, after) => (after, Verb::Create),
            (Some(_), Some(after)) => (Some(after), Verb::Update),
            (before, None) => (before, Verb::Delete),
        }) else {
            return Ok(());
        };
        let json = |entity: Option<&Entity>| -> Result<Option<Value>, Error> {
            Ok(entity
                .map(serde_json::to_value)
                .transpose()
                .map_err(|e| store::Error::corrupt("entity", e))?)
        };
        tx.insert_audit(&AuditEntry {
            actor,
            verb,
            resource: "entity",
            identifier: format!("{}/{}", entity.blueprint, entity.identifier),
            before: json(self.before)?,
            after: json(self.after)?,
        })?;
        Ok(())
    }
}
