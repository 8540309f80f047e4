//! What goes with a change of an entity, in the transaction of the change: whatever is kept beside the row itself
//! learns of it here and nowhere else.

use super::{Error, derived, index};
use crate::model::{Actor, Entity};
use crate::store::{BlueprintKey, EntityChange, EntityKey, WriteTx};

/// One entity, before and after. Its row and its edges are written already.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change<'a> {
    /// Its row; gone already where there is no `after`.
    pub(super) key: EntityKey,
    /// The row of its blueprint.
    pub(super) blueprint: BlueprintKey,
    /// Absent where the entity is new.
    pub(super) before: Option<&'a Entity>,
    /// Absent where it is deleted.
    pub(super) after: Option<&'a Entity>,
}

impl Change<'_> {
    /// Writes everything that goes with the change.
    pub(super) fn record(&self, tx: &WriteTx<'_>, actor: &Actor) -> Result<(), Error> {
        self.record_itself(tx, actor)?;
        derived::record(tx, std::slice::from_ref(self))
    }

    /// Writes everything but what is derived, which costs less for many changes at once: [`derived::record`] has to
    /// follow in the same transaction.
    pub(super) fn record_itself(&self, tx: &WriteTx<'_>, actor: &Actor) -> Result<(), Error> {
        index::record(tx, self)?;
        self.audit(tx, actor)
    }

    fn audit(&self, tx: &WriteTx<'_>, actor: &Actor) -> Result<(), Error> {
        Ok(tx.insert_entity_audit(&EntityChange {
            actor,
            key: self.key,
            before: self.before,
            after: self.after,
        })?)
    }
}
