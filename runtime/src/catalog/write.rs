//! Writing entities: what a caller asks for, and how it gets to the writer thread.

use serde_json::Value;

use super::draft::parse_draft;
use super::entity::{self, Lookup, People, Plan, Request, Write};
use super::relation::Missing;
use super::{Catalog, Error, make_identifier};
use crate::model::{
    Actor, BlueprintId, Entity, EntityDraft, EntityId, Stamped, Violation, WriteMode,
};
use crate::store::{self, WriteTx};

/// What a write of an entity left behind.
#[derive(Clone, Debug)]
pub struct Written {
    /// The entity as it now is.
    pub entity: Stamped<Entity>,
    /// Whether it was not there before.
    pub created: bool,
}

/// Why one entity of many was not written.
#[derive(Debug)]
pub struct BatchError {
    /// As the client named it; `unknown` where it has not.
    pub identifier: String,
    /// Why.
    pub error: Error,
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

/// How much of an entity a change is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// What the draft names.
    Parts,
    /// All of it: what the draft leaves out is cleared.
    Whole,
}

impl Catalog {
    /// Reads an entity of a blueprint. What it asks for by a query, be it its own identifier, a relation or its team,
    /// is looked for with the eyes of whoever writes.
    ///
    /// # Errors
    /// Those of [`parse_draft`]; [`Error::NotFound`] where one entity has to be found and none is.
    pub async fn read_draft(
        &self,
        actor: &Actor,
        blueprint: &BlueprintId,
        mut body: Value,
    ) -> Result<EntityDraft, Error> {
        if !entity::asks(&body) {
            return parse_draft(body);
        }
        let (kinds, limits) = (self.kinds.clone(), self.limits);
        let (actor, blueprint) = (actor.clone(), blueprint.clone());
        self.store
            .read(move |tx| {
                let kind = kinds.load(tx, &blueprint)?;
                Lookup::new(tx, &kinds, &actor, limits).fill_in(kind.blueprint(), &mut body)?;
                parse_draft(body)
            })
            .await
    }

    /// Writes one entity. A draft without an identifier gets one, unless the mode asks for an entity that exists.
    pub async fn write_entity(
        &self,
        actor: &Actor,
        blueprint: &BlueprintId,
        mut draft: EntityDraft,
        mode: WriteMode,
        options: WriteOptions,
    ) -> Result<Written, Error> {
        let id = match draft.identifier.take() {
            Some(id) => id,
            None if matches!(mode, WriteMode::Update | WriteMode::Overwrite) => {
                return Err(unnamed(blueprint));
            }
            None => make_identifier()?,
        };
        let request = Request {
            id,
            draft,
            mode,
            people: People::Guarded,
        };
        self.carry_out(actor, blueprint, request, options).await
    }

    /// Changes an entity that exists, where the draft may give it another identifier.
    pub async fn change_entity(
        &self,
        actor: &Actor,
        blueprint: &BlueprintId,
        id: &EntityId,
        draft: EntityDraft,
        extent: Extent,
        options: WriteOptions,
    ) -> Result<Written, Error> {
        let mode = match extent {
            Extent::Parts => WriteMode::Update,
            Extent::Whole => WriteMode::Overwrite,
        };
        let id = id.clone();
        let request = Request {
            id,
            draft,
            mode,
            people: People::Guarded,
        };
        self.carry_out(actor, blueprint, request, options).await
    }

    /// Thinks a write through on a snapshot, and carries it out on the writer thread.
    async fn carry_out(
        &self,
        actor: &Actor,
        blueprint: &BlueprintId,
        request: Request,
        options: WriteOptions,
    ) -> Result<Written, Error> {
        let (kinds, actor, blueprint) = (self.kinds.clone(), actor.clone(), blueprint.clone());
        let planned = self.store.read({
            let (kinds, actor, blueprint) = (kinds.clone(), actor.clone(), blueprint.clone());
            move |tx| {
                let kind = kinds.load(tx, &blueprint)?;
                let plan = Plan::new(tx, &kind, &actor, request.clone())?;
                Ok::<_, Error>((request, plan))
            }
        });
        let (request, plan) = planned.await?;
        let written = self.store.write(move |tx| {
            let write = Write::new(tx, &kinds, &actor, options.missing());
            let kind = write.kind(&blueprint)?;
            options.end(write.finish(&kind, request, plan)?)
        });
        Stop::ended(written.await)
    }

    /// Writes many entities in one transaction, each as the single route would: what can be written is, and of the rest
    /// is said why not.
    pub async fn write_entities(
        &self,
        actor: &Actor,
        blueprint: &BlueprintId,
        entities: Vec<Value>,
        mode: WriteMode,
        options: WriteOptions,
    ) -> Result<Vec<Result<Written, BatchError>>, Error> {
        let (kinds, actor, blueprint) = (self.kinds.clone(), actor.clone(), blueprint.clone());
        let prepared = self.store.read({
            let (kinds, actor, limits) = (kinds.clone(), actor.clone(), self.limits);
            move |tx| entity::prepare(tx, &kinds, &actor, blueprint, entities, mode, limits)
        });
        let batch = prepared.await?;
        let written = self.store.write(move |tx| {
            options.end(entity::write_all(
                tx,
                &kinds,
                &actor,
                batch,
                options.missing(),
            )?)
        });
        Stop::ended(written.await)
    }

    /// As [`Self::write_entity`], in a caller's transaction: an `Err` must undo it. The draft needs an identifier, and
    /// `validation_only` is the caller's to honour.
    pub fn write_entity_in(
        &self,
        tx: &WriteTx<'_>,
        actor: &Actor,
        blueprint: &BlueprintId,
        mut draft: EntityDraft,
        mode: WriteMode,
        options: WriteOptions,
    ) -> Result<Written, Error> {
        let id = draft.identifier.take().ok_or_else(|| unnamed(blueprint))?;
        let write = Write::new(tx, &self.kinds, actor, options.missing());
        let kind = write.kind(blueprint)?;
        write.write(
            &kind,
            Request {
                id,
                draft,
                mode,
                people: People::Guarded,
            },
        )
    }

    /// Removes an entity.
    pub async fn delete_entity(
        &self,
        actor: &Actor,
        blueprint: &BlueprintId,
        id: &EntityId,
        dependents: Dependents,
    ) -> Result<(), Error> {
        let (kinds, actor) = (self.kinds.clone(), actor.clone());
        let (blueprint, id) = (blueprint.clone(), id.clone());
        self.store
            .write(move |tx| entity::delete(tx, &kinds, &actor, &blueprint, &id, dependents))
            .await
    }

    /// Removes many entities of a blueprint in one transaction. Those that do not exist are passed over; of those that
    /// cannot go is said why not.
    pub async fn delete_entities(
        &self,
        actor: &Actor,
        blueprint: &BlueprintId,
        ids: Vec<EntityId>,
        dependents: Dependents,
    ) -> Result<Vec<Result<EntityId, BatchError>>, Error> {
        let (kinds, actor, blueprint) = (self.kinds.clone(), actor.clone(), blueprint.clone());
        self.store
            .write(move |tx| {
                let most = entity::MAX_DEPENDENTS;
                entity::delete_many(tx, &kinds, &actor, &blueprint, ids, dependents, most)
            })
            .await
    }

    /// As [`Self::delete_entity`], in a caller's transaction: an `Err` must undo it.
    pub fn delete_entity_in(
        &self,
        tx: &WriteTx<'_>,
        actor: &Actor,
        blueprint: &BlueprintId,
        id: &EntityId,
        dependents: Dependents,
    ) -> Result<(), Error> {
        entity::delete(tx, &self.kinds, actor, blueprint, id, dependents)
    }
}

impl WriteOptions {
    fn missing(self) -> Missing {
        if self.create_missing_targets {
            Missing::Create
        } else {
            Missing::Refuse
        }
    }

    /// Ends the transaction of a write. An error undoes what was written, which is just what a dry run wants.
    fn end<T>(self, written: T) -> Result<T, Stop<T>> {
        if self.validation_only {
            Err(Stop::DryRun(Box::new(written)))
        } else {
            Ok(written)
        }
    }
}

/// Why a write did not stay.
enum Stop<T> {
    DryRun(Box<T>),
    Failed(Error),
}

impl<T> Stop<T> {
    fn ended(outcome: Result<T, Self>) -> Result<T, Error> {
        match outcome {
            Ok(written) => Ok(written),
            Err(Self::DryRun(written)) => Ok(*written),
            Err(Self::Failed(error)) => Err(error),
        }
    }
}

impl<T> From<Error> for Stop<T> {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl<T> From<store::Error> for Stop<T> {
    fn from(error: store::Error) -> Self {
        Self::Failed(error.into())
    }
}

fn unnamed(blueprint: &BlueprintId) -> Error {
    let violation = Violation::new("/identifier", "required", "`identifier` is required");
    Error::Invalid {
        subject: format!("entity of blueprint `{blueprint}`"),
        violations: vec![violation],
    }
}
