//! Who may do what with the entities of a blueprint.
//!
//! What is stated here narrows what a role allows, and never adds to it: the door has asked for the role already. As long
//! as nothing is stated, the role alone decides. Plugins act within their own grant instead, or within both
//! where their action says so, and the portal itself may do everything.

mod parse;

use std::time::Duration;

pub use parse::{parse_grant, parse_permissions};

use super::entity::Plan;
use super::kind::{Kind, Kinds};
use super::schema::{join, shorten};
use super::{Catalog, Error, Values, blueprint, entity};
use crate::model::{
    Actor, AuditEntry, Blueprint, BlueprintId, Entity, EntityId, EntityJson, EntityPermissions,
    EntityRight, Origin, PermissionPatch, Role, Stamped, Verb, Violation, WriteMode,
};
use crate::store::{self, Hidden, ReadTx};

/// What can be named beside properties in `updateProperties`.
const META: &[&str] = &["$identifier", "$title", "$icon", "$team"];

/// Which entities of a blueprint somebody may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadScope {
    /// All of them.
    All,
    /// Those that one of their teams owns.
    Owned,
    /// None.
    Nothing,
}

impl ReadScope {
    pub(super) fn of(actor: &Actor, kind: &Kind) -> Self {
        Self::by(actor, &kind.parts.permissions)
    }

    /// Under the permissions of the blueprint that is called so, or of the last one that was.
    pub(super) fn of_named(
        tx: &ReadTx<'_>,
        kinds: &Kinds,
        actor: &Actor,
        blueprint: &BlueprintId,
    ) -> Result<Self, Error> {
        match kinds.load(tx, blueprint) {
            Ok(kind) => return Ok(Self::of(actor, &kind)),
            Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
        let Some(text) = tx.find_last_permissions(blueprint)? else {
            return Ok(Self::All);
        };
        let permissions = serde_json::from_str(&text)
            .map_err(|e| store::Error::corrupt("blueprint's permissions", e))?;
        Ok(Self::by(actor, &permissions))
    }

    fn by(actor: &Actor, permissions: &EntityPermissions) -> Self {
        let Some(grant) = permissions.stated(EntityRight::Read) else {
            return Self::All;
        };
        if !is_bound(actor) || grant.includes_apart_from_owners(actor) {
            Self::All
        } else if grant.owned_by_team && !actor.teams.is_empty() {
            Self::Owned
        } else {
            Self::Nothing
        }
    }

    /// Whether an entity that these teams own is in the scope.
    pub fn includes(self, actor: &Actor, owners: &[String]) -> bool {
        match self {
            Self::All => true,
            Self::Owned => owners.iter().any(|team| actor.teams.contains(team)),
            Self::Nothing => false,
        }
    }
}

impl Catalog {
    /// Which entities of a blueprint somebody may see.
    pub async fn find_read_scope(
        &self,
        actor: &Actor,
        blueprint: &BlueprintId,
    ) -> Result<ReadScope, Error> {
        let (kinds, actor, blueprint) = (self.kinds.clone(), actor.clone(), blueprint.clone());
        self.store
            .read(move |tx| Ok(ReadScope::of(&actor, &kinds.load(tx, &blueprint)?)))
            .await
    }

    /// One entity, for somebody who may be allowed to see some only.
    pub async fn find_entity_for(
        &self,
        actor: &Actor,
        blueprint: &BlueprintId,
        id: &EntityId,
        values: Values,
    ) -> Result<Stamped<Entity>, Error> {
        let (kinds, actor) = (self.kinds.clone(), actor.clone());
        let (blueprint, id) = (blueprint.clone(), id.clone());
        self.store
            .read(move |tx| {
                let kind = kinds.load(tx, &blueprint)?;
                if ReadScope::of(&actor, &kind) == ReadScope::Nothing {
                    return Err(refuse_all(&blueprint));
                }
                let found = entity::find(tx, &kind, &id)?
                    .ok_or_else(|| Error::NotFound(entity::name(&blueprint, &id)))?;
                check_read(&actor, &kind, &found.entity.value)?;
                entity::complete(tx, &kind, found, values)
            })
            .await
    }

    /// As [`Self::find_entity_for`], ready to be sent.
    pub async fn show_entity_for(
        &self,
        actor: &Actor,
        blueprint: &BlueprintId,
        id: &EntityId,
        values: Values,
    ) -> Result<EntityJson, Error> {
        let (kinds, actor) = (self.kinds.clone(), actor.clone());
        let (blueprint, id) = (blueprint.clone(), id.clone());
        self.store
            .glance(move |tx| {
                let kind = kinds.load(tx, &blueprint)?;
                let scope = ReadScope::of(&actor, &kind);
                if scope == ReadScope::Nothing {
                    return Err(refuse_all(&blueprint));
                }
                let missing = || Error::NotFound(entity::name(&blueprint, &id));
                let key = tx.find_entity_key(kind.key, &id)?.ok_or_else(missing)?;
                let mut shown = None;
                entity::visit(tx, &kind, &[key], values, |_, entity| {
                    if scope == ReadScope::All || scope.includes(&actor, &entity.owners()?) {
                        shown = Some(entity.write()?);
                    }
                    Ok(())
                })?;
                shown.ok_or_else(missing)
            })
            .await
    }

    /// Entities of a blueprint by identifier, those after `after` that somebody may see, at most `limit`.
    pub async fn list_entities_for(
        &self,
        actor: &Actor,
        blueprint: &BlueprintId,
        after: Option<EntityId>,
        limit: usize,
        values: Values,
    ) -> Result<Vec<Stamped<Entity>>, Error> {
        let (kinds, actor, blueprint) = (self.kinds.clone(), actor.clone(), blueprint.clone());
        let time = self.limits.time;
        self.store
            .read(move |tx| {
                let kind = kinds.load(tx, &blueprint)?;
                list_visible(tx, &kind, &actor, after, limit, values, time)
            })
            .await
    }

    /// How many entities of a blueprint somebody may see.
    pub async fn count_entities_for(
        &self,
        actor: &Actor,
        blueprint: &BlueprintId,
    ) -> Result<u64, Error> {
        let (kinds, actor, blueprint) = (self.kinds.clone(), actor.clone(), blueprint.clone());
        let time = self.limits.time;
        self.store
            .read(move |tx| {
                let kind = kinds.load(tx, &blueprint)?;
                match ReadScope::of(&actor, &kind) {
                    ReadScope::All => Ok(tx.count_entities(kind.key)?),
                    ReadScope::Owned => of_teams(tx, &kind, time, || {
                        tx.count_entities_of_teams(kind.key, &actor.teams)
                    }),
                    ReadScope::Nothing => Err(refuse_all(&blueprint)),
                }
            })
            .await
    }

    /// Who may do what with the entities of a blueprint, defaults included.
    pub async fn find_permissions(&self, id: &BlueprintId) -> Result<EntityPermissions, Error> {
        let (kinds, id) = (self.kinds.clone(), id.clone());
        self.store
            .read(move |tx| Ok(kinds.load(tx, &id)?.parts.permissions.complete()))
            .await
    }

    /// Changes who may do what with the entities of a blueprint.
    pub async fn patch_permissions(
        &self,
        actor: &Actor,
        id: &BlueprintId,
        patch: PermissionPatch,
    ) -> Result<EntityPermissions, Error> {
        let (kinds, actor, id) = (self.kinds.clone(), actor.clone(), id.clone());
        self.store
            .write(move |tx| {
                let kind = kinds.load(tx, &id)?;
                blueprint::refuse(&id, check_names(kind.blueprint(), &patch))?;
                let before = &kind.parts.permissions;
                let mut after = before.clone();
                after.change(patch);
                if after == *before {
                    return Ok(after.complete());
                }
                let json = |permissions: &EntityPermissions| {
                    serde_json::to_value(permissions)
                        .map_err(|e| store::Error::corrupt("blueprint's permissions", e))
                };
                tx.update_permissions(kind.key, &json(&after)?.to_string())?;
                tx.insert_audit(&AuditEntry {
                    actor: &actor,
                    verb: Verb::Update,
                    resource: "blueprint_permissions",
                    identifier: id.to_string(),
                    before: Some(json(before)?),
                    after: Some(json(&after)?),
                })?;
                Ok(after.complete())
            })
            .await
    }
}

/// What is hidden from somebody, over all blueprints.
pub(super) fn find_hidden(tx: &ReadTx<'_>, kinds: &Kinds, actor: &Actor) -> Result<Hidden, Error> {
    let mut hidden = Hidden::default();
    if !is_bound(actor) {
        return Ok(hidden);
    }
    for id in tx.list_restricted_blueprints()? {
        let kind = kinds.load(tx, &id)?;
        match ReadScope::of(actor, &kind) {
            ReadScope::All => {}
            ReadScope::Owned => hidden.owned.push(kind.key),
            ReadScope::Nothing => hidden.whole.push(kind.key),
        }
    }
    hidden.teams.clone_from(&actor.teams);
    Ok(hidden)
}

/// Whether permissions bind somebody at all.
pub(super) fn is_bound(actor: &Actor) -> bool {
    let own = match actor.origin {
        Origin::Api => true,
        Origin::Plugin => actor.bound,
        Origin::System => false,
    };
    own && actor.role != Role::Admin
}

/// Refuses a write that the permissions of the blueprint do not allow.
pub(super) fn check_write(actor: &Actor, plan: &Plan, mode: WriteMode) -> Result<(), Error> {
    let permissions = &plan.kind.parts.permissions;
    if !is_bound(actor) || permissions.is_default() {
        return Ok(());
    }
    if let Some(before) = plan.value_before() {
        // The answer to a write shows the entity.
        check_read(actor, &plan.kind, before).map_err(|refused| match mode {
            WriteMode::Update | WriteMode::Overwrite => refused,
            // What would add a missing one cannot say that there is none.
            WriteMode::Create | WriteMode::Replace | WriteMode::Merge => {
                forbidden(before, "change", "update")
            }
        })?;
    }
    if plan.is_unchanged() {
        return Ok(());
    }
    let Some(before) = plan.value_before() else {
        return check_right(actor, permissions, EntityRight::Register, &plan.after);
    };
    // The owners of before count: whoever takes over an entity must not thereby get the right to.
    check_right(actor, permissions, EntityRight::Update, before)?;
    let changed = changed_parts(before, &plan.after);
    for (what, name, grant) in changed
        .properties
        .iter()
        .map(|name| ("property", *name, permissions.stated_property(name)))
        .chain(
            changed
                .relations
                .iter()
                .map(|name| ("relation", *name, permissions.stated_relation(name))),
        )
    {
        if grant.is_some_and(|grant| !grant.includes(actor, &before.team)) {
            let key = match what {
                "relation" => "updateRelations",
                _ => "updateProperties",
            };
            let verb = format!("change {what} `{name}` of");
            return Err(forbidden(before, &verb, key));
        }
    }
    Ok(())
}

/// Whether the permissions of the blueprint let somebody change an entity.
pub(super) fn may_update(actor: &Actor, kind: &Kind, entity: &Entity) -> bool {
    let grant = kind.parts.permissions.stated(EntityRight::Update);
    !is_bound(actor) || grant.is_none_or(|grant| grant.includes(actor, &entity.team))
}

/// Refuses to add an entity where the permissions of the blueprint do not allow it.
pub(super) fn check_register(actor: &Actor, kind: &Kind, entity: &Entity) -> Result<(), Error> {
    if !is_bound(actor) {
        return Ok(());
    }
    check_right(
        actor,
        &kind.parts.permissions,
        EntityRight::Register,
        entity,
    )
}

/// Refuses a deletion that the permissions of the blueprint do not allow.
pub(super) fn check_delete(actor: &Actor, kind: &Kind, entity: &Entity) -> Result<(), Error> {
    if !is_bound(actor) {
        return Ok(());
    }
    // What may not be seen may not be made to go either: it could be put there anew, as whatever one likes.
    check_read(actor, kind, entity)?;
    let permissions = &kind.parts.permissions;
    check_right(actor, permissions, EntityRight::Unregister, entity)
}

/// Entities by identifier that somebody may see. Whoever sees few of many makes the store look at all: that has its time.
pub(super) fn list_visible(
    tx: &ReadTx<'_>,
    kind: &Kind,
    actor: &Actor,
    after: Option<EntityId>,
    limit: usize,
    values: Values,
    time: Duration,
) -> Result<Vec<Stamped<Entity>>, Error> {
    let after = after.as_ref();
    let rows = match ReadScope::of(actor, kind) {
        ReadScope::All => return entity::list(tx, kind, after, limit, values),
        ReadScope::Nothing => return Err(refuse_all(&kind.blueprint().identifier)),
        ReadScope::Owned => of_teams(tx, kind, time, || {
            tx.list_entities_of_teams(kind.key, &actor.teams, after, limit)
        })?,
    };
    entity::complete_all(tx, kind, rows, values)
}

/// What the store finds for some teams, or what to do where that takes too long.
fn of_teams<T>(
    tx: &ReadTx<'_>,
    kind: &Kind,
    time: Duration,
    find: impl FnOnce() -> Result<T, store::Error>,
) -> Result<T, Error> {
    match tx.within(time, find) {
        Err(store::Error::TooLong) => Err(Error::TooExpensive(format!(
            "to find what your teams own among the entities of blueprint `{}` takes longer than {} ms; search for them, with a rule that compares a property by `=`",
            kind.blueprint().identifier,
            time.as_millis()
        ))),
        outcome => Ok(outcome?),
    }
}

/// Refuses what is about all entities of a blueprint to whoever may not see every one of them.
pub(super) fn check_read_all(actor: &Actor, kind: &Kind) -> Result<(), Error> {
    let blueprint = &kind.blueprint().identifier;
    match ReadScope::of(actor, kind) {
        ReadScope::All => Ok(()),
        ReadScope::Owned => Err(Error::Forbidden(format!(
            "you may not do that to all entities of blueprint `{blueprint}`: its permissions show you some of them only; ask an administrator"
        ))),
        ReadScope::Nothing => Err(refuse_all(blueprint)),
    }
}

/// Refuses to show any entity of a blueprint.
pub(super) fn refuse_all(blueprint: &BlueprintId) -> Error {
    Error::Forbidden(format!(
        "you may not see entities of blueprint `{blueprint}`: `read` of its permissions includes neither your role nor you nor a team of yours; ask an administrator"
    ))
}

/// Refuses to show an entity that the permissions of the blueprint hide.
pub(super) fn check_read(actor: &Actor, kind: &Kind, entity: &Entity) -> Result<(), Error> {
    check_scope(ReadScope::of(actor, kind), actor, entity)
}

/// Refuses to show an entity that is out of somebody's scope: as one that does not exist, where they see others.
pub(super) fn check_scope(scope: ReadScope, actor: &Actor, entity: &Entity) -> Result<(), Error> {
    if scope.includes(actor, &entity.team) {
        return Ok(());
    }
    match scope {
        ReadScope::Nothing => Err(refuse_all(&entity.blueprint)),
        // Whoever sees some learns no more of the others than that they do not find them.
        ReadScope::All | ReadScope::Owned => Err(Error::NotFound(entity::name(
            &entity.blueprint,
            &entity.identifier,
        ))),
    }
}

fn check_right(
    actor: &Actor,
    permissions: &EntityPermissions,
    right: EntityRight,
    entity: &Entity,
) -> Result<(), Error> {
    let grant = permissions.stated(right);
    if grant.is_none_or(|grant| grant.includes(actor, &entity.team)) {
        return Ok(());
    }
    let (verb, key) = match right {
        EntityRight::Read => ("see", "read"),
        EntityRight::Register => ("add", "register"),
        EntityRight::Update => ("change", "update"),
        EntityRight::Unregister => ("delete", "unregister"),
    };
    Err(forbidden(entity, verb, key))
}

/// `key` is the part of the blueprint's permissions that would have to include them.
fn forbidden(entity: &Entity, verb: &str, key: &str) -> Error {
    let name = entity::name(&entity.blueprint, &entity.identifier);
    Error::Forbidden(format!(
        "you may not {verb} {name}: `{key}` of the permissions of the blueprint includes neither your role nor you nor a team of yours; ask an administrator"
    ))
}

/// What differs between two states of an entity.
#[derive(Default)]
struct Changed<'a> {
    properties: Vec<&'a str>,
    relations: Vec<&'a str>,
}

fn changed_parts<'a>(before: &'a Entity, after: &'a Entity) -> Changed<'a> {
    let mut changed = Changed::default();
    let meta = [
        ("$identifier", before.identifier != after.identifier),
        ("$title", before.title != after.title),
        ("$icon", before.icon != after.icon),
        ("$team", before.team != after.team),
    ];
    changed
        .properties
        .extend(meta.iter().filter(|(_, is)| *is).map(|(name, _)| *name));
    for (name, value) in &after.properties {
        if before.properties.get(name) != Some(value) {
            changed.properties.push(name);
        }
    }
    let gone = |name: &&String| !after.properties.contains_key(*name);
    changed
        .properties
        .extend(before.properties.keys().filter(gone).map(String::as_str));
    for (name, value) in &after.relations {
        if before.relations.get(name) != Some(value) {
            changed.relations.push(name);
        }
    }
    changed
}

/// Finds properties and relations that the blueprint does not have. Taking back what was said of one is always fine.
fn check_names(blueprint: &Blueprint, patch: &PermissionPatch) -> Vec<Violation> {
    let is_property =
        |name: &str| META.contains(&name) || blueprint.schema.properties.contains_key(name);
    let properties = patch
        .properties
        .iter()
        .filter(|(name, grant)| grant.is_some() && !is_property(name))
        .map(|(name, _)| ("updateProperties", "property", name));
    let relations = patch
        .relations
        .iter()
        .filter(|(name, grant)| grant.is_some() && !blueprint.relations.contains_key(name))
        .map(|(name, _)| ("updateRelations", "relation", name));
    properties
        .chain(relations)
        .map(|(key, what, name)| {
            let message = format!("`{}` is not a {what} of this blueprint", shorten(name));
            Violation::new(join(&join("/entities", key), name), what, message)
        })
        .collect()
}
