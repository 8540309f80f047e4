//! The rules of the catalog. Knows no SQL, no HTTP and no sandbox.

mod error;

use indexmap::IndexMap;
use serde_json::{Map, Value};

pub use error::Error;

use crate::model::{
    Actor, Blueprint, BlueprintId, Entity, EntityDraft, EntityId, Stamped, WriteMode,
};
use crate::store::{Store, WriteTx};

/// The catalog: blueprints, entities and their relations. Clones share it.
#[derive(Clone, Debug)]
pub struct Catalog {
    store: Store,
}

/// What a write of an entity left behind.
#[derive(Clone, Debug)]
pub struct Written {
    /// The entity as it now is.
    pub entity: Stamped<Entity>,
    /// Whether it was not there before.
    pub created: bool,
}

/// How a write of an entity is to be done, beside its mode.
#[derive(Clone, Copy, Debug, Default)]
pub struct WriteOptions {
    /// Make relation targets that do not exist, with nothing but their identifier.
    pub create_missing_targets: bool,
    /// Check everything and change nothing.
    pub validation_only: bool,
}

/// What becomes of the entities that point at a deleted one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dependents {
    /// Refuse where a required relation points at it; clear the others.
    Keep,
    /// Delete them too.
    Delete,
}

/// What an apply did, or would do.
#[derive(Clone, Debug, Default, serde::Serialize, utoipa::ToSchema)]
pub struct Applied {
    /// Documents that were not there before, as `kind identifier`.
    pub created: Vec<String>,
    /// Documents that differ from what was there.
    pub updated: Vec<String>,
    /// Documents that are just as they were.
    pub unchanged: Vec<String>,
}

impl Catalog {
    /// The catalog in a store.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    pub async fn list_blueprints(&self) -> Result<Vec<Stamped<Blueprint>>, Error> {
        todo!()
    }

    pub async fn find_blueprint(&self, id: &BlueprintId) -> Result<Stamped<Blueprint>, Error> {
        todo!()
    }

    pub async fn create_blueprint(
        &self,
        actor: &Actor,
        blueprint: Blueprint,
    ) -> Result<Stamped<Blueprint>, Error> {
        todo!()
    }

    pub async fn replace_blueprint(
        &self,
        actor: &Actor,
        id: &BlueprintId,
        blueprint: Blueprint,
    ) -> Result<Stamped<Blueprint>, Error> {
        todo!()
    }

    /// Merges an object into the blueprint: objects merge key by key, `null` removes, anything else replaces.
    pub async fn patch_blueprint(
        &self,
        actor: &Actor,
        id: &BlueprintId,
        patch: Map<String, Value>,
    ) -> Result<Stamped<Blueprint>, Error> {
        todo!()
    }

    pub async fn delete_blueprint(&self, actor: &Actor, id: &BlueprintId) -> Result<(), Error> {
        todo!()
    }

    /// Entities of a blueprint by identifier, those after `after`, at most `limit`.
    pub async fn list_entities(
        &self,
        blueprint: &BlueprintId,
        after: Option<EntityId>,
        limit: usize,
    ) -> Result<Vec<Stamped<Entity>>, Error> {
        todo!()
    }

    pub async fn count_entities(&self, blueprint: &BlueprintId) -> Result<u64, Error> {
        todo!()
    }

    pub async fn find_entity(
        &self,
        blueprint: &BlueprintId,
        id: &EntityId,
    ) -> Result<Stamped<Entity>, Error> {
        todo!()
    }

    pub async fn write_entity(
        &self,
        actor: &Actor,
        blueprint: &BlueprintId,
        draft: EntityDraft,
        mode: WriteMode,
        options: WriteOptions,
    ) -> Result<Written, Error> {
        todo!()
    }

    pub async fn delete_entity(
        &self,
        actor: &Actor,
        blueprint: &BlueprintId,
        id: &EntityId,
        dependents: Dependents,
    ) -> Result<(), Error> {
        todo!()
    }

    /// Puts blueprints and entities in place within a caller's transaction, in whatever order and however circular.
    pub fn apply_in(
        &self,
        tx: &WriteTx<'_>,
        actor: &Actor,
        blueprints: Vec<Blueprint>,
        entities: Vec<(BlueprintId, EntityDraft)>,
    ) -> Result<Applied, Error> {
        let _: Option<IndexMap<String, String>> = None;
        todo!()
    }
}
