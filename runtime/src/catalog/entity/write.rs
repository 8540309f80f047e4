//! Carrying out what has been thought through. Whatever can be refused is refused before the first row is written, so
//! that many writes can share a transaction and one of them fail.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use serde_json::Map;

use super::{Found, Plan, Request, name};
use crate::catalog::change::Change;
use crate::catalog::kind::{Kind, Kinds};
use crate::catalog::relation::{self, Missing, Resolved};
use crate::catalog::{Error, ReadScope, Written, derived, permission};
use crate::model::{Actor, BlueprintId, Entity, EntityId, Stamp, Stamped};
use crate::store::{BlueprintKey, EntityKey, EntityText, WriteTx};

/// The surroundings of writes in one transaction, during which no blueprint changes.
pub(in crate::catalog) struct Write<'a, 'tx> {
    pub(in crate::catalog) tx: &'a WriteTx<'tx>,
    pub(in crate::catalog) actor: &'a Actor,
    pub(in crate::catalog) missing: Missing,
    kinds: &'a Kinds,
    /// Whether it may lead to what whoever writes does not see.
    beyond_sight: bool,
    /// Blueprints that were asked for already: many entities point at few kinds of others.
    loaded: RefCell<HashMap<BlueprintId, Kind>>,
    /// Entities that were made because another one points at them.
    made: RefCell<HashSet<EntityKey>>,
}

impl<'a, 'tx> Write<'a, 'tx> {
    pub(in crate::catalog) fn new(
        tx: &'a WriteTx<'tx>,
        kinds: &'a Kinds,
        actor: &'a Actor,
        missing: Missing,
    ) -> Self {
        Self {
            tx,
            actor,
            missing,
            kinds,
            beyond_sight: false,
            loaded: RefCell::default(),
            made: RefCell::default(),
        }
    }

    /// Puts back what was there before: it leads again to all that it led to.
    pub(in crate::catalog) fn of_the_past(
        tx: &'a WriteTx<'tx>,
        kinds: &'a Kinds,
        actor: &'a Actor,
    ) -> Self {
        Self {
            beyond_sight: true,
            ..Self::new(tx, kinds, actor, Missing::Refuse)
        }
    }

    /// Which entities of a blueprint a relation may lead to as if they were there.
    pub(in crate::catalog) fn sight(&self, kind: &Kind) -> ReadScope {
        if self.beyond_sight {
            ReadScope::All
        } else {
            ReadScope::of(self.actor, kind)
        }
    }

    /// Whether nothing has an identifier, be it in sight or not.
    pub(in crate::catalog) fn is_free(&self, kind: &Kind, id: &EntityId) -> Result<bool, Error> {
        Ok(self.tx.find_entity_key(kind.key, id)?.is_none())
    }

    /// Whether an entity was made here because another one points at it. Whoever has it made may point at it again.
    pub(in crate::catalog) fn has_made(&self, key: EntityKey) -> bool {
        self.made.borrow().contains(&key)
    }

    /// Adds an entity of which only the identifier is known, because another one points at it.
    pub(in crate::catalog) fn make(&self, kind: &Kind, id: &EntityId) -> Result<EntityKey, Error> {
        let entity = bare(kind, id);
        let text = EntityText::new(&entity)?;
        let key = self
            .tx
            .insert_entity(kind.key, &entity, &text, self.actor)?;
        let change = Change {
            key,
            blueprint: kind.key,
            before: None,
            after: Some(&entity),
        };
        change.record(self.tx, self.actor)?;
        self.made.borrow_mut().insert(key);
        Ok(key)
    }

    /// A blueprint that must exist.
    pub(in crate::catalog) fn kind(&self, id: &BlueprintId) -> Result<Kind, Error> {
        if let Some(kind) = self.loaded.borrow().get(id) {
            return Ok(kind.clone());
        }
        let kind = self.kinds.load(self.tx, id)?;
        self.loaded.borrow_mut().insert(id.clone(), kind.clone());
        Ok(kind)
    }

    /// Thinks a write through and carries it out.
    pub(in crate::catalog) fn write(
        &self,
        kind: &Kind,
        request: Request,
    ) -> Result<Written, Error> {
        let plan = Plan::new(self.tx, kind, self.actor, request)?;
        let (written, underived) = self.carry_out(plan)?;
        self.derive([(&written, underived)])?;
        Ok(written)
    }

    /// Carries out what was thought through on an earlier snapshot; thinks again where that no longer holds.
    pub(in crate::catalog) fn finish(
        &self,
        kind: &Kind,
        request: Request,
        plan: Plan,
    ) -> Result<Written, Error> {
        let plan = self.refresh(kind, request, plan)?;
        let (written, underived) = self.carry_out(plan)?;
        self.derive([(&written, underived)])?;
        Ok(written)
    }

    /// What was thought through on an earlier snapshot, thought through again where that no longer holds.
    pub(super) fn refresh(&self, kind: &Kind, request: Request, plan: Plan) -> Result<Plan, Error> {
        let now = self.tx.find_entity_revision(kind.key, &request.id)?;
        if plan.kind.is(kind) && plan.still_holds(now) {
            plan.check_people(self.tx, self.actor)?;
            return Ok(plan);
        }
        Plan::new(self.tx, kind, self.actor, request)
    }

    /// Makes what is derived from entities that were just written, or queues it.
    pub(in crate::catalog) fn derive<'w>(
        &self,
        written: impl IntoIterator<Item = (&'w Written, Option<Underived>)>,
    ) -> Result<(), Error> {
        let written: Vec<_> = written
            .into_iter()
            .filter_map(|(written, underived)| Some((&written.entity.value, underived?)))
            .collect();
        let changes: Vec<Change<'_>> = written
            .iter()
            .map(|(after, underived)| Change {
                key: underived.key,
                blueprint: underived.blueprint,
                before: underived.before.as_ref(),
                after: Some(after),
            })
            .collect();
        derived::record(self.tx, &changes)
    }

    fn carry_out(&self, plan: Plan) -> Result<(Written, Option<Underived>), Error> {
        match self.settle_unchanged(plan)? {
            Ok(written) => Ok((written, None)),
            Err(plan) => {
                let resolved = self.resolve(&plan, &HashSet::new())?;
                let key = self.save_row(&plan)?;
                self.save_edges(&plan, key, resolved)?;
                let (written, underived) = self.written(plan, key);
                Ok((written, Some(underived)))
            }
        }
    }

    /// Refuses a plan that breaks a rule, and ends one for which there is nothing to do. Gives back any other.
    pub(super) fn settle_unchanged(&self, mut plan: Plan) -> Result<Result<Written, Plan>, Error> {
        plan.refuse()?;
        if plan.is_unchanged()
            && let Some(found) = plan.before.take()
        {
            self.claim(&plan.kind, &found)?;
            return Ok(Ok(Written {
                entity: found.entity,
                created: false,
            }));
        }
        self.check_identifier(&plan)?;
        Ok(Err(plan))
    }

    /// Finds what an entity points at. Entities of its blueprint that are promised get a row before its edges do.
    pub(super) fn resolve(
        &self,
        plan: &Plan,
        promised: &HashSet<EntityId>,
    ) -> Result<Resolved, Error> {
        let resolved =
            relation::resolve(self, &plan.kind, &plan.after, plan.value_before(), promised)?;
        match resolved.missing.first() {
            Some(target) => Err(Error::NotFound(target.named())),
            None => Ok(resolved),
        }
    }

    /// What is told of a write whose row and edges are there.
    pub(super) fn written(&self, plan: Plan, key: EntityKey) -> (Written, Underived) {
        let created = plan.before.is_none();
        let (before, was) = plan
            .before
            .map(|before| (before.entity.value, before.entity.stamp))
            .unzip();
        let underived = Underived {
            key,
            blueprint: plan.kind.key,
            before,
        };
        let by = &self.actor.name;
        let (created_at, created_by) = was.map_or_else(
            || (self.tx.now, by.clone()),
            |was| (was.created_at, was.created_by),
        );
        let stamp = Stamp {
            created_at,
            created_by,
            updated_at: self.tx.now,
            updated_by: by.clone(),
            datasource: self.actor.client.clone(),
        };
        let written = Written {
            entity: Stamped {
                value: plan.after,
                stamp,
            },
            created,
        };
        (written, underived)
    }

    /// An entity that is just as a program wants it is that program's from now on, where the program may change it;
    /// nothing else changes.
    pub(in crate::catalog) fn claim(&self, kind: &Kind, found: &Found) -> Result<(), Error> {
        if self.actor.client.is_none() || self.actor.client == found.entity.stamp.datasource {
            return Ok(());
        }
        let entity = &found.entity.value;
        if !permission::may_update(self.actor, kind, entity) {
            return Ok(());
        }
        let client = self.actor.client.as_deref();
        self.tx.update_datasource(found.key, client)?;
        self.tx.insert_claim_audit(
            self.actor,
            found.key,
            entity,
            [found.entity.stamp.datasource.as_deref(), client],
        )?;
        let entity = Some(entity);
        let change = Change {
            key: found.key,
            blueprint: kind.key,
            before: entity,
            after: entity,
        };
        derived::record(self.tx, &[change])
    }

    /// Refuses an identifier that another entity has.
    fn check_identifier(&self, plan: &Plan) -> Result<(), Error> {
        let id = &plan.after.identifier;
        if plan.renamed_from().is_some() && self.tx.find_entity_key(plan.kind.key, id)?.is_some() {
            let message = format!("{} exists already", name(&plan.after.blueprint, id));
            return Err(Error::Conflict {
                code: "already_exists",
                message,
            });
        }
        Ok(())
    }

    /// Writes the row, without its edges. Gives back its key.
    pub(in crate::catalog) fn save_row(&self, plan: &Plan) -> Result<EntityKey, Error> {
        let Some(before) = &plan.before else {
            let key = self
                .tx
                .insert_entity(plan.kind.key, &plan.after, &plan.text, self.actor)?;
            return Ok(key);
        };
        self.tx
            .update_entity(before.key, &plan.after, &plan.text, self.actor)?;
        if plan.renamed_from().is_some() {
            self.tx.outdate_dependents(before.key)?;
        }
        Ok(before.key)
    }

    /// Writes the edges and what goes with the change, after [`Self::save_row`]; not what is derived from it.
    pub(in crate::catalog) fn save_edges(
        &self,
        plan: &Plan,
        key: EntityKey,
        resolved: Resolved,
    ) -> Result<(), Error> {
        let before = plan.value_before();
        for (name, targets) in resolved.settle(self, key)? {
            let had = before.and_then(|before| before.relations.get(&name));
            if had.is_some_and(|had| !had.targets().is_empty()) {
                self.tx.clear_targets(key, &name)?;
            }
            self.tx.insert_targets(key, &name, &targets)?;
        }
        let change = Change {
            key,
            blueprint: plan.kind.key,
            before,
            after: Some(&plan.after),
        };
        change.record_itself(self.tx, self.actor)
    }
}

/// An entity that was written, and from which nothing was derived yet.
#[derive(Debug)]
pub(in crate::catalog) struct Underived {
    key: EntityKey,
    blueprint: BlueprintKey,
    before: Option<Entity>,
}

/// An entity of which only the identifier is known.
pub(in crate::catalog) fn bare(kind: &Kind, id: &EntityId) -> Entity {
    Entity {
        identifier: id.clone(),
        title: None,
        icon: None,
        blueprint: kind.blueprint().identifier.clone(),
        team: Vec::new(),
        properties: Map::new(),
        relations: relation::compose(kind, None, None, &mut Vec::new()),
        scorecards: Map::new(),
    }
}
