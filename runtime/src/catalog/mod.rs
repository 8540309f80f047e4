//! The rules of the catalog. Knows no SQL, no HTTP and no sandbox.

mod applied;
mod apply;
mod blueprint;
mod canonical;
mod change;
mod context;
mod datasource;
mod derived;
mod difference;
mod document;
mod draft;
mod entity;
mod error;
mod format;
mod history;
mod index;
mod json;
mod kind;
mod migration;
mod permission;
mod prune;
mod queried;
mod query;
mod relation;
mod schema;
mod scorecard;
mod search;
mod team;
#[cfg(test)]
mod tests;
mod write;

use serde_json::{Map, Value};

pub use applied::{Applied, DocumentChange, TakenOver};
pub use apply::{MAX_BYTES, MAX_DOCUMENTS, Placed};
pub use blueprint::{RenameDraft, RenamePlan, Renamed, Renaming};
pub use canonical::{blueprint_document, entity_document};
pub use datasource::{DatasourceEntity, DatasourceQuery};
pub use derived::{DerivedElsewhere, DerivedState, Deriver};
pub use difference::{Difference, find_differences};
pub use document::{
    Converted, Document, DocumentError, DocumentKind, Lacking, convert_backstage, find_lacking,
    is_document, locate, origin, parse_documents, parse_yaml_value, read_document, write_document,
};
pub use draft::{check_entity_keys, parse_blueprint, parse_draft};
pub use error::Error;
pub use history::{Changes, FeedError, History, Lost, PropertyNames, Restored, readable};
pub use json::{JsonError, JsonErrorKind, parse_json};
pub use permission::{ReadScope, parse_grant, parse_permissions};
pub use queried::asks;
pub use query::{
    Aggregation, Asker, Bound, Correction, Course, Found, Function, Intervals, Search,
    SearchLimits, Subjects, TextFound, TextHit, TextSearch, bind, bind_range, evaluate,
    parse_conditions, parse_query, parse_subject, passes,
};
pub use schema::{MAX_DEPTH, Schema};
pub use scorecard::parse_scorecard;
pub use search::Identified;
pub use team::{TeamDraft, is_disabled, is_user_blueprint, role_of};
pub use write::{BatchError, Dependents, Extent, WriteOptions, Written};

use crate::jq::{Jq, JqError};
use crate::model::{
    Actor, Blueprint, BlueprintId, Entity, EntityDraft, EntityId, Stamped, Violation,
};
use crate::store::{ReadTx, Store, WriteTx};
use kind::Kinds;

/// The catalog: blueprints, entities and their relations. Clones share it.
#[derive(Clone, Debug)]
pub struct Catalog {
    store: Store,
    kinds: Kinds,
    deriver: Deriver,
    limits: SearchLimits,
}

/// Which values of an entity are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// What was written and what is derived from it.
    All,
    /// What was written.
    Own,
}

impl Catalog {
    /// The catalog in a store.
    pub fn new(store: Store) -> Self {
        Self::with_jq(store, None)
    }

    /// The catalog in a store, with jq for calculations.
    pub fn with_jq(store: Store, jq: Option<Jq>) -> Self {
        let kinds = Kinds::default();
        Self {
            deriver: Deriver::new(store.clone(), kinds.clone(), jq),
            store,
            kinds,
            limits: SearchLimits::default(),
        }
    }

    /// What derives values behind the writes.
    pub fn deriver(&self) -> &Deriver {
        &self.deriver
    }

    /// Holds the jq filters of a blueprint against what is available: each has to compile.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every filter that does not.
    pub async fn check_calculations(&self, blueprint: &Blueprint) -> Result<(), Error> {
        self.check_filters(&blueprint.identifier, &blueprint.extra)
            .await
    }

    async fn check_filters(
        &self,
        id: &BlueprintId,
        extra: &Map<String, Value>,
    ) -> Result<(), Error> {
        let filters = derived::filters(extra);
        if filters.is_empty() {
            return Ok(());
        }
        let (paths, filters): (Vec<String>, Vec<String>) = filters.into_iter().unzip();
        let checked = self.deriver.check(filters).await;
        let mut violations = Vec::new();
        for (path, checked) in paths.into_iter().zip(checked) {
            match checked {
                Ok(()) => {}
                Err(JqError::Unavailable(why)) => return Err(Error::NoJq(why)),
                Err(error) => violations.push(Violation::new(path, "jq", error.to_string())),
            }
        }
        if violations.is_empty() {
            return Ok(());
        }
        Err(Error::Invalid {
            subject: format!("blueprint `{id}`"),
            violations,
        })
    }

    /// What was, and what changes.
    pub fn history(&self) -> History {
        History {
            store: self.store.clone(),
            kinds: self.kinds.clone(),
        }
    }

    /// Every blueprint, by identifier.
    pub async fn list_blueprints(&self) -> Result<Vec<Stamped<Blueprint>>, Error> {
        self.store
            .read(|tx| tx.list_blueprints()?.iter().map(blueprint::read).collect())
            .await
    }

    /// One blueprint.
    pub async fn find_blueprint(&self, id: &BlueprintId) -> Result<Stamped<Blueprint>, Error> {
        let id = id.clone();
        self.store
            .read(move |tx| blueprint::read(&blueprint::find(tx, &id)?))
            .await
    }

    /// Adds a blueprint. The targets of its relations must exist.
    pub async fn create_blueprint(
        &self,
        actor: &Actor,
        blueprint: Blueprint,
    ) -> Result<Stamped<Blueprint>, Error> {
        let (actor, blueprint) = (actor.clone(), blueprint::settle(blueprint));
        self.check_filters(&blueprint.identifier, &blueprint.extra)
            .await?;
        self.store
            .write(move |tx| blueprint::create(tx, &actor, &blueprint))
            .await
    }

    /// Puts another blueprint in place of a stored one. Types of properties stay; what is no longer named goes, from
    /// the entities too.
    pub async fn replace_blueprint(
        &self,
        actor: &Actor,
        id: &BlueprintId,
        blueprint: Blueprint,
    ) -> Result<Stamped<Blueprint>, Error> {
        let (actor, id, blueprint) = (actor.clone(), id.clone(), blueprint::settle(blueprint));
        self.check_filters(&id, &blueprint.extra).await?;
        self.store
            .write(move |tx| blueprint::replace(tx, &actor, &id, &blueprint))
            .await
    }

    /// Merges an object into the blueprint: objects merge key by key, `null` removes, anything else replaces.
    pub async fn patch_blueprint(
        &self,
        actor: &Actor,
        id: &BlueprintId,
        patch: Map<String, Value>,
    ) -> Result<Stamped<Blueprint>, Error> {
        let (actor, id) = (actor.clone(), id.clone());
        // All other filters of the blueprint were checked when they came.
        self.check_filters(&id, &patch).await?;
        self.store
            .write(move |tx| blueprint::patch(tx, &actor, &id, patch))
            .await
    }

    /// The base shape of a blueprint that is part of the portal.
    pub fn find_structure(&self, id: &BlueprintId) -> Result<Blueprint, Error> {
        blueprint::structure(id).ok_or_else(|| Error::NotFound(format!("system blueprint `{id}`")))
    }

    /// Removes a blueprint that has no entities and that no other blueprint points at.
    pub async fn delete_blueprint(&self, actor: &Actor, id: &BlueprintId) -> Result<(), Error> {
        let (actor, id) = (actor.clone(), id.clone());
        self.store
            .write(move |tx| blueprint::delete(tx, &actor, &id))
            .await
    }

    /// Entities of a blueprint by identifier, those after `after`, at most `limit`.
    pub async fn list_entities(
        &self,
        blueprint: &BlueprintId,
        after: Option<EntityId>,
        limit: usize,
    ) -> Result<Vec<Stamped<Entity>>, Error> {
        self.list_values(blueprint, after, limit, Values::All).await
    }

    /// As [`Self::list_entities`], with derived values or without them.
    pub async fn list_values(
        &self,
        blueprint: &BlueprintId,
        after: Option<EntityId>,
        limit: usize,
        values: Values,
    ) -> Result<Vec<Stamped<Entity>>, Error> {
        let (kinds, blueprint) = (self.kinds.clone(), blueprint.clone());
        self.store
            .read(move |tx| {
                let kind = kinds.load(tx, &blueprint)?;
                entity::list(tx, &kind, after.as_ref(), limit, values)
            })
            .await
    }

    /// How many entities a blueprint has.
    pub async fn count_entities(&self, blueprint: &BlueprintId) -> Result<u64, Error> {
        let blueprint = blueprint.clone();
        self.store
            .read(move |tx| Ok(tx.count_entities(blueprint::find(tx, &blueprint)?.key)?))
            .await
    }

    /// One entity.
    pub async fn find_entity(
        &self,
        blueprint: &BlueprintId,
        id: &EntityId,
    ) -> Result<Stamped<Entity>, Error> {
        self.find_values(blueprint, id, Values::All).await
    }

    /// As [`Self::find_entity`], with derived values or without them.
    pub async fn find_values(
        &self,
        blueprint: &BlueprintId,
        id: &EntityId,
        values: Values,
    ) -> Result<Stamped<Entity>, Error> {
        let (kinds, blueprint, id) = (self.kinds.clone(), blueprint.clone(), id.clone());
        self.store
            .read(move |tx| find_entity(tx, &kinds, &blueprint, &id, values))
            .await
    }

    /// An entity that was just written, with what is derived from it, for which this waits a second at most.
    pub async fn settled(&self, written: Written) -> Result<Written, Error> {
        let entity = &written.entity.value;
        let (blueprint, id) = (entity.blueprint.clone(), entity.identifier.clone());
        let derives = self
            .store
            .read({
                let blueprint = blueprint.clone();
                move |tx| {
                    let graph = derived::Graph::load(tx)?;
                    let plan = graph.plan_of(&blueprint);
                    Ok::<_, Error>(plan.is_some_and(|plan| plan.derives()))
                }
            })
            .await?;
        if !derives {
            return Ok(written);
        }
        self.deriver.settle(false).await?;
        match self.find_entity(&blueprint, &id).await {
            Ok(entity) => Ok(Written { entity, ..written }),
            // Somebody has deleted it by now.
            Err(Error::NotFound(_)) => Ok(written),
            Err(error) => Err(error),
        }
    }

    /// As [`Self::find_entity`], on a caller's snapshot.
    pub fn find_entity_in(
        &self,
        tx: &ReadTx<'_>,
        blueprint: &BlueprintId,
        id: &EntityId,
    ) -> Result<Stamped<Entity>, Error> {
        find_entity(tx, &self.kinds, blueprint, id, Values::All)
    }

    /// Puts blueprints and entities in place within a caller's transaction, in whatever order and however circular.
    /// An `Err` must undo it.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every rule that any of the documents breaks; each path begins with its document's place,
    /// and each message names the document.
    pub fn apply_in(
        &self,
        tx: &WriteTx<'_>,
        actor: &Actor,
        blueprints: Vec<Placed<Blueprint>>,
        entities: Vec<Placed<(BlueprintId, EntityDraft)>>,
    ) -> Result<Applied, Error> {
        let settle = |placed: Placed<Blueprint>| placed.map(blueprint::settle);
        let blueprints = blueprints.into_iter().map(settle).collect();
        apply::apply(tx, &self.kinds, actor, blueprints, entities)
    }
}

impl Catalog {
    /// Every blueprint by identifier, on a caller's snapshot.
    pub fn list_blueprints_in(&self, tx: &ReadTx<'_>) -> Result<Vec<Blueprint>, Error> {
        let rows = tx.list_blueprints()?;
        rows.iter()
            .map(|row| Ok(blueprint::read(row)?.value))
            .collect()
    }

    /// As [`Self::list_entities_for`], on a caller's snapshot, without their stamps and without what is derived.
    pub fn list_entities_in(
        &self,
        tx: &ReadTx<'_>,
        actor: &Actor,
        blueprint: &BlueprintId,
        after: Option<EntityId>,
        limit: usize,
    ) -> Result<Vec<Entity>, Error> {
        let kind = self.kinds.load(tx, blueprint)?;
        let time = self.limits.time;
        let found = permission::list_visible(tx, &kind, actor, after, limit, Values::Own, time)?;
        Ok(found.into_iter().map(|entity| entity.value).collect())
    }

    /// As [`Self::find_read_scope`], on a caller's snapshot.
    pub fn find_read_scope_in(
        &self,
        tx: &ReadTx<'_>,
        actor: &Actor,
        blueprint: &BlueprintId,
    ) -> Result<ReadScope, Error> {
        Ok(ReadScope::of(actor, &self.kinds.load(tx, blueprint)?))
    }

    /// Removes entities and blueprints that may point at each other, in a caller's transaction: an `Err` must undo it.
    ///
    /// # Errors
    /// [`Error::Conflict`] where something that stays needs something that would go.
    pub fn prune_in(
        &self,
        tx: &WriteTx<'_>,
        actor: &Actor,
        blueprints: &[BlueprintId],
        entities: &[(BlueprintId, EntityId)],
    ) -> Result<(), Error> {
        prune::delete_entities(tx, &self.kinds, actor, entities)?;
        prune::delete_blueprints(tx, actor, blueprints)
    }
}

fn find_entity(
    tx: &ReadTx<'_>,
    kinds: &Kinds,
    blueprint: &BlueprintId,
    id: &EntityId,
    values: Values,
) -> Result<Stamped<Entity>, Error> {
    let kind = kinds.load(tx, blueprint)?;
    let found = entity::find(tx, &kind, id)?;
    let found = found.ok_or_else(|| Error::NotFound(entity::name(blueprint, id)))?;
    entity::complete(tx, &kind, found, values)
}

/// `e_` and 16 random letters and digits: 80 bits, so that two never meet.
fn make_identifier() -> Result<EntityId, Error> {
    EntityId::parse(format!("e_{}", random_text()?)).map_err(|e| Error::Random(e.into()))
}

/// 16 random letters and digits.
fn random_text() -> Result<String, Error> {
    let mut random = [0; 10];
    getrandom::fill(&mut random).map_err(|e| Error::Random(e.into()))?;
    Ok(data_encoding::BASE32_NOPAD
        .encode(&random)
        .to_ascii_lowercase())
}
