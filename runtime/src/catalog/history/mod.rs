//! What was: every change of every object, entities as they were, and a feed of what changes.

mod entity;
mod feed;
mod rename;
mod sight;

pub use entity::{Lost, Restored};
pub use feed::{Changes, FeedError};
pub use rename::PropertyNames;

use super::Error;
use super::kind::Kinds;
use crate::model::{
    Actor, AuditFilter, AuditPage, BlueprintId, Entity, EntityId, Permission, Stamped, Timestamp,
};
use crate::store::{AuditOrder, Store};

/// Kinds of objects whose changes everybody may read who may read the catalog. All else is for those who review.
const OPEN: &[&str] = &["blueprint", "entity", "scorecard", "action"];

/// The past of the portal. Clones share it.
#[derive(Clone, Debug)]
pub struct History {
    pub(super) store: Store,
    pub(super) kinds: Kinds,
}

impl History {
    /// A page of the audit log, as far as somebody may see it. It may be shorter than asked for and not be the last.
    pub async fn list(
        &self,
        actor: &Actor,
        filter: AuditFilter,
        order: AuditOrder,
        limit: usize,
    ) -> Result<AuditPage, Error> {
        let (kinds, actor) = (self.kinds.clone(), actor.clone());
        self.store
            .read(move |tx| {
                sight::of_page(tx, &kinds, &actor, tx.search_audit(&filter, order, limit)?)
            })
            .await
    }

    /// The changes of the entity that is called so, and of those that were, newest first.
    ///
    /// # Errors
    /// There never was one, or somebody may not see it.
    pub async fn list_entity_changes(
        &self,
        actor: &Actor,
        blueprint: &BlueprintId,
        id: &EntityId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<AuditPage, Error> {
        let (kinds, actor) = (self.kinds.clone(), actor.clone());
        let (blueprint, id) = (blueprint.clone(), id.clone());
        self.store
            .read(move |tx| {
                sight::check(tx, &kinds, &actor, &blueprint, &id)?;
                if tx.list_lives(&blueprint, &id)?.is_empty() {
                    return Err(Error::NotFound(super::entity::name(&blueprint, &id)));
                }
                let filter = AuditFilter {
                    blueprint: Some(blueprint.to_string()),
                    entity: Some(id.to_string()),
                    ..AuditFilter::default()
                };
                let page = tx.search_audit(&filter, AuditOrder::NewestFirst(before), limit)?;
                sight::of_page(tx, &kinds, &actor, page)
            })
            .await
    }

    /// An entity as it was at a point in time: the one that was called so then, else the one that is called so now.
    ///
    /// # Errors
    /// [`Error::NotFound`] also where somebody may not see what it is, or could not have seen what it was;
    /// [`Error::Forbidden`] where they may see none of the blueprint.
    pub async fn find_entity_at(
        &self,
        actor: &Actor,
        blueprint: &BlueprintId,
        id: &EntityId,
        at: Timestamp,
    ) -> Result<Stamped<Entity>, Error> {
        let (kinds, actor) = (self.kinds.clone(), actor.clone());
        let (blueprint, id) = (blueprint.clone(), id.clone());
        self.store
            .read(move |tx| {
                let find = || {
                    sight::check(tx, &kinds, &actor, &blueprint, &id)?;
                    let found = entity::find_at(tx, &blueprint, &id, at)?;
                    sight::check_past(tx, &kinds, &actor, &found.value)?;
                    Ok(found)
                };
                find().map_err(|refused| match refused {
                    // Whatever the reason, in the same words.
                    Error::NotFound(_) => {
                        Error::NotFound(format!("{} at {at}", super::entity::name(&blueprint, &id)))
                    }
                    refused => refused,
                })
            })
            .await
    }

    /// Puts a deleted entity back as it was, checked against the blueprint as it is now.
    pub async fn restore_entity(
        &self,
        actor: &Actor,
        blueprint: &BlueprintId,
        id: &EntityId,
    ) -> Result<Restored, Error> {
        let (kinds, actor) = (self.kinds.clone(), actor.clone());
        let (blueprint, id) = (blueprint.clone(), id.clone());
        self.store
            .write(move |tx| entity::restore(tx, &kinds, &actor, &blueprint, &id))
            .await
    }

    /// Follows what is appended to the audit log after a sequence, as far as somebody may see it; absent: from now on.
    /// Of `filter`, times are of no use here.
    pub async fn follow(
        &self,
        actor: &Actor,
        filter: AuditFilter,
        after: Option<u64>,
    ) -> Result<Changes, FeedError> {
        Changes::open(self.clone(), actor.clone(), filter, after).await
    }
}

/// Narrows a filter to what an actor may read; absent where nothing of it is left.
pub fn readable(actor: &Actor, mut filter: AuditFilter) -> Option<AuditFilter> {
    if actor.may(Permission::ReadPlugins) {
        return Some(filter);
    }
    if filter.resources.is_empty() {
        filter.resources = OPEN.iter().map(|&open| open.to_owned()).collect();
    } else {
        filter
            .resources
            .retain(|wanted| OPEN.contains(&wanted.as_str()));
    }
    Some(filter).filter(|filter| !filter.resources.is_empty())
}
