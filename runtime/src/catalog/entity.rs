//! The rules of entities: what a write makes of one, and what goes with it when it goes.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;
use serde_json::Map;

use super::change::Change;
use super::kind::{Kind, Kinds};
use super::relation::{self, Missing};
use super::schema::{MAX_DEPTH, is_deeper, join};
use super::{Dependents, Error, Values, Written, derived};
use crate::model::{
    Actor, BlueprintId, Entity, EntityDraft, EntityId, RelationValue, Stamp, Stamped, Violation,
    WriteMode,
};
use crate::store::{EntityKey, EntityRow, ReadTx, Targets, WriteTx};

/// Characters of a title or an icon.
const MAX_TEXT: usize = 1_000;

/// Teams that may own one entity.
const MAX_TEAMS: usize = 100;

/// Bytes of the JSON of one entity's properties.
const MAX_PROPERTIES: usize = 4 * 1024 * 1024;

/// Violations of one entity that are told.
const MAX_VIOLATIONS: usize = 1_000;

/// Dependents that a refusal names.
const MAX_NAMED: usize = 5;

/// Entities that one deletion may change or take along: it is one transaction, and everybody waits for it.
const MAX_DEPENDENTS: usize = 10_000;

/// An entity in words, for messages.
pub(super) fn name(blueprint: &BlueprintId, id: &EntityId) -> String {
    format!("entity `{id}` of blueprint `{blueprint}`")
}

/// One entity, complete.
pub(super) fn find(
    tx: &ReadTx<'_>,
    kind: &Kind,
    id: &EntityId,
) -> Result<Option<(EntityKey, Stamped<Entity>)>, Error> {
    let Some(row) = tx.find_entity(kind.key, id)? else {
        return Ok(None);
    };
    let key = row.key;
    let mut targets = tx.list_targets(&[key])?;
    Ok(Some((key, assemble(kind, row, &mut targets))))
}

/// A page of a blueprint's entities, complete.
pub(super) fn list(
    tx: &ReadTx<'_>,
    kind: &Kind,
    after: Option<&EntityId>,
    limit: usize,
    values: Values,
) -> Result<Vec<Stamped<Entity>>, Error> {
    let rows = tx.list_entities(kind.key, after, limit)?;
    complete(tx, kind, rows, values)
}

/// Puts rows and their edges together, in the order of the rows.
pub(super) fn complete(
    tx: &ReadTx<'_>,
    kind: &Kind,
    rows: Vec<EntityRow>,
    values: Values,
) -> Result<Vec<Stamped<Entity>>, Error> {
    let keys: Vec<EntityKey> = rows.iter().map(|row| row.key).collect();
    let mut targets = tx.list_targets(&keys)?;
    let mut entities: Vec<Stamped<Entity>> = rows
        .into_iter()
        .map(|row| assemble(kind, row, &mut targets))
        .collect();
    if values == Values::All {
        let read = entities.iter_mut().map(|entity| &mut entity.value);
        derived::attach(tx, kind.key, keys.into_iter().zip(read))?;
    }
    Ok(entities)
}

/// Puts a row and its edges together, each relation in the shape that the blueprint gives it.
pub(super) fn assemble(kind: &Kind, row: EntityRow, targets: &mut Targets) -> Stamped<Entity> {
    let mut targets = targets.remove(&row.key).unwrap_or_default();
    let blueprint = kind.blueprint();
    let relations = blueprint.relations.iter().map(|(name, definition)| {
        let mut ids = targets.remove(name).unwrap_or_default();
        let value = match (definition.many, ids.is_empty()) {
            (true, _) => RelationValue::Many(ids),
            (false, true) => RelationValue::None,
            (false, false) => RelationValue::One(ids.swap_remove(0)),
        };
        (name.clone(), value)
    });
    let value = Entity {
        identifier: row.identifier,
        title: row.title,
        icon: row.icon,
        blueprint: blueprint.identifier.clone(),
        team: row.team,
        properties: row.properties,
        relations: relations.collect(),
        scorecards: Map::new(),
    };
    Stamped {
        value,
        stamp: row.stamp,
    }
}

/// A write that has been thought through but not carried out.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) kind: Kind,
    pub(super) before: Option<(EntityKey, Stamped<Entity>)>,
    pub(super) after: Entity,
    pub(super) violations: Vec<Violation>,
}

impl Plan {
    /// What an entity becomes, and every rule that this breaks. Whether its targets exist is not looked at yet.
    pub(super) fn new(
        tx: &ReadTx<'_>,
        kind: Kind,
        id: EntityId,
        draft: EntityDraft,
        mode: WriteMode,
    ) -> Result<Self, Error> {
        let before = find(tx, &kind, &id)?;
        let blueprint = kind.blueprint().identifier.clone();
        match (mode, &before) {
            (WriteMode::Create, Some(_)) => {
                let message = format!("{} exists already", name(&blueprint, &id));
                return Err(Error::Conflict {
                    code: "already_exists",
                    message,
                });
            }
            (WriteMode::Update | WriteMode::Overwrite, None) => {
                return Err(Error::NotFound(name(&blueprint, &id)));
            }
            _ => {}
        }
        let base = match mode {
            WriteMode::Merge | WriteMode::Update => {
                before.as_ref().map(|(_, entity)| &entity.value)
            }
            WriteMode::Create | WriteMode::Replace | WriteMode::Overwrite => None,
        };
        let mut violations = Vec::new();
        let relations = relation::compose(&kind, draft.relations.as_ref(), base, &mut violations);
        let base = base.cloned();
        let (title, icon, team, mut properties) = base
            .map(|base| (base.title, base.icon, base.team, base.properties))
            .unwrap_or_default();
        for (name, value) in draft.properties.into_iter().flatten() {
            if value.is_null() {
                properties.shift_remove(&name);
            } else {
                properties.insert(name, value);
            }
        }
        let mut seen = HashSet::new();
        let mut team = draft.team.unwrap_or(team);
        team.retain(|team| seen.insert(team.clone()));
        let after = Entity {
            identifier: id,
            title: draft.title.unwrap_or(title),
            icon: draft.icon.unwrap_or(icon),
            blueprint,
            team,
            properties,
            relations,
            scorecards: Map::new(),
        };
        check(&kind, &after, &mut violations);
        violations.truncate(MAX_VIOLATIONS);
        Ok(Self {
            kind,
            before,
            after,
            violations,
        })
    }

    /// Whether there is nothing to do.
    pub(super) fn is_unchanged(&self) -> bool {
        self.before
            .as_ref()
            .is_some_and(|(_, before)| before.value == self.after)
    }

    /// Writes the row, without its edges. Gives back its key.
    pub(super) fn save_row(&self, tx: &WriteTx<'_>, actor: &Actor) -> Result<EntityKey, Error> {
        match &self.before {
            Some((key, _)) => {
                tx.update_entity(*key, &self.after, &actor.name)?;
                Ok(*key)
            }
            None => Ok(tx.insert_entity(self.kind.key, &self.after, &actor.name)?),
        }
    }

    /// Writes the edges and what goes with the change, after [`Self::save_row`].
    pub(super) fn save_edges(
        &self,
        tx: &WriteTx<'_>,
        actor: &Actor,
        key: EntityKey,
        targets: &[(String, Vec<EntityKey>)],
    ) -> Result<(), Error> {
        for (name, targets) in targets {
            tx.replace_targets(key, name, targets)?;
        }
        self.change(key).record(tx, actor)
    }

    fn change(&self, key: EntityKey) -> Change<'_> {
        Change {
            key,
            blueprint: self.kind.key,
            before: self.value_before(),
            after: Some(&self.after),
        }
    }

    /// The values before the write, where there were any.
    pub(super) fn value_before(&self) -> Option<&Entity> {
        self.before.as_ref().map(|(_, before)| &before.value)
    }
}

/// The surroundings of one write.
#[derive(Clone, Copy)]
pub(super) struct Write<'a, 'tx> {
    pub(super) tx: &'a WriteTx<'tx>,
    pub(super) kinds: &'a Kinds,
    pub(super) actor: &'a Actor,
    pub(super) missing: Missing,
}

impl Write<'_, '_> {
    /// Writes one entity.
    pub(super) fn write(
        self,
        kind: Kind,
        id: EntityId,
        draft: EntityDraft,
        mode: WriteMode,
    ) -> Result<Written, Error> {
        let Self { tx, actor, .. } = self;
        let mut plan = Plan::new(tx, kind, id, draft, mode)?;
        if !plan.violations.is_empty() {
            let subject = name(&plan.after.blueprint, &plan.after.identifier);
            return Err(Error::Invalid {
                subject,
                violations: plan.violations,
            });
        }
        if plan.is_unchanged()
            && let Some((_, entity)) = plan.before.take()
        {
            return Ok(Written {
                entity,
                created: false,
            });
        }
        // The row comes first: an entity may point at itself.
        let key = plan.save_row(tx, actor)?;
        let resolved = relation::resolve(self, &plan.kind, &plan.after, plan.value_before())?;
        if let Some(target) = resolved.missing.first() {
            return Err(Error::NotFound(target.named()));
        }
        plan.save_edges(tx, actor, key, &resolved.targets)?;
        let created = plan.before.is_none();
        let was = plan.before.map(|(_, before)| before.stamp);
        let (created_at, created_by) = was.map_or_else(
            || (tx.now, actor.name.clone()),
            |was| (was.created_at, was.created_by),
        );
        let stamp = Stamp {
            created_at,
            created_by,
            updated_at: tx.now,
            updated_by: actor.name.clone(),
        };
        Ok(Written {
            entity: Stamped {
                value: plan.after,
                stamp,
            },
            created,
        })
    }
}

/// Adds an entity of which only the identifier is known, because another one points at it.
pub(super) fn insert_bare(
    tx: &WriteTx<'_>,
    actor: &Actor,
    kind: &Kind,
    id: &EntityId,
) -> Result<EntityKey, Error> {
    let entity = Entity {
        identifier: id.clone(),
        title: None,
        icon: None,
        blueprint: kind.blueprint().identifier.clone(),
        team: Vec::new(),
        properties: Map::new(),
        relations: relation::compose(kind, None, None, &mut Vec::new()),
        scorecards: Map::new(),
    };
    let key = tx.insert_entity(kind.key, &entity, &actor.name)?;
    let change = Change {
        key,
        blueprint: kind.key,
        before: None,
        after: Some(&entity),
    };
    change.record(tx, actor)?;
    Ok(key)
}

fn check(kind: &Kind, entity: &Entity, found: &mut Vec<Violation>) {
    for (path, text) in [("/title", &entity.title), ("/icon", &entity.icon)] {
        if text
            .as_ref()
            .is_some_and(|text| text.chars().count() > MAX_TEXT)
        {
            found.push(Violation::new(
                path,
                "length",
                format!("must have at most {MAX_TEXT} characters"),
            ));
        }
    }
    if entity.team.len() > MAX_TEAMS {
        found.push(Violation::new(
            "/team",
            "maxItems",
            format!("must have at most {MAX_TEAMS} teams"),
        ));
    }
    for (index, team) in entity.team.iter().enumerate().take(MAX_TEAMS) {
        if !(1..=MAX_TEXT).contains(&team.chars().count()) {
            let message = format!("must have 1 to {MAX_TEXT} characters");
            found.push(Violation::new(format!("/team/{index}"), "length", message));
        }
    }
    if let Some((name, _)) = entity
        .properties
        .iter()
        .find(|(_, value)| is_deeper(value, MAX_DEPTH))
    {
        let message = format!("is nested deeper than {MAX_DEPTH} levels");
        return found.push(Violation::new(join("/properties", name), "depth", message));
    }
    if !serde_json::to_string(&entity.properties).is_ok_and(|text| text.len() <= MAX_PROPERTIES) {
        let message = format!("must have at most {MAX_PROPERTIES} bytes of JSON");
        return found.push(Violation::new("/properties", "size", message));
    }
    found.extend(kind.parts.check_properties(&entity.properties));
}

/// Removes an entity, and with it, or not, what points at it.
pub(super) fn delete(
    tx: &WriteTx<'_>,
    kinds: &Kinds,
    actor: &Actor,
    blueprint: &BlueprintId,
    id: &EntityId,
    dependents: Dependents,
) -> Result<(), Error> {
    let kind = kinds.load(tx, blueprint)?;
    let (key, entity) = find(tx, &kind, id)?.ok_or_else(|| Error::NotFound(name(blueprint, id)))?;
    match dependents {
        Dependents::Keep => {
            release(tx, kinds, actor, &entity.value, key)?;
            tx.delete_entity(key)?;
            let change = Change {
                key,
                blueprint: kind.key,
                before: Some(&entity.value),
                after: None,
            };
            change.record(tx, actor)
        }
        Dependents::Delete => delete_all(tx, kinds, actor, &kind, entity.value, key),
    }
}

/// Clears the relations that point at an entity; refuses where one of them is required.
fn release(
    tx: &WriteTx<'_>,
    kinds: &Kinds,
    actor: &Actor,
    target: &Entity,
    key: EntityKey,
) -> Result<(), Error> {
    let edges = tx.list_dependents(key, MAX_DEPENDENTS + 1)?;
    if edges.len() > MAX_DEPENDENTS {
        return Err(too_many(target));
    }
    let mut sources: IndexMap<EntityKey, (BlueprintId, EntityId)> = IndexMap::new();
    let mut holding = Vec::new();
    for edge in edges {
        let kind = kinds.load(tx, &edge.blueprint)?;
        if kind
            .blueprint()
            .relations
            .get(&edge.relation)
            .is_some_and(|definition| definition.required)
        {
            holding.push(format!(
                "{} (relation `{}`)",
                name(&edge.blueprint, &edge.identifier),
                edge.relation
            ));
        }
        sources.insert(edge.source, (edge.blueprint, edge.identifier));
    }
    if !holding.is_empty() {
        let more = holding.len().saturating_sub(MAX_NAMED);
        holding.truncate(MAX_NAMED);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let message = format!(
            "{} is required by {}{more}; point them elsewhere first, or delete dependents too",
            name(&target.blueprint, &target.identifier),
            holding.join(", ")
        );
        return Err(Error::Conflict {
            code: "has_dependents",
            message,
        });
    }
    let read = |kinds: &Kinds| {
        sources
            .values()
            .map(|(blueprint, id)| {
                let kind = kinds.load(tx, blueprint)?;
                let entity = find(tx, &kind, id)?.map(|(_, entity)| entity.value);
                Ok((kind.key, entity))
            })
            .collect::<Result<Vec<_>, Error>>()
    };
    let before = read(kinds)?;
    tx.delete_edges_to(key)?;
    let after = read(kinds)?;
    for ((source, (blueprint, before)), (_, after)) in sources.keys().zip(before).zip(after) {
        tx.touch_entity(*source, &actor.name)?;
        let change = Change {
            key: *source,
            blueprint,
            before: before.as_ref(),
            after: after.as_ref(),
        };
        change.record(tx, actor)?;
    }
    Ok(())
}

/// Removes an entity and everything that points at it, at what points at it, and so on.
fn delete_all(
    tx: &WriteTx<'_>,
    kinds: &Kinds,
    actor: &Actor,
    kind: &Kind,
    root: Entity,
    key: EntityKey,
) -> Result<(), Error> {
    let refused = too_many(&root);
    let mut doomed = HashMap::from([(key, (kind.key, root))]);
    let mut order = vec![key];
    let mut next = 0;
    while let Some(target) = order.get(next).copied() {
        next += 1;
        for edge in tx.list_dependents(target, MAX_DEPENDENTS + 1)? {
            if doomed.contains_key(&edge.source) {
                continue;
            }
            if doomed.len() >= MAX_DEPENDENTS {
                return Err(refused);
            }
            let kind = kinds.load(tx, &edge.blueprint)?;
            if let Some((key, entity)) = find(tx, &kind, &edge.identifier)? {
                doomed.insert(key, (kind.key, entity.value));
                order.push(key);
            }
        }
    }
    for key in &order {
        tx.delete_edges_to(*key)?;
    }
    // Dependents first, so that whoever reads the audit log backwards can put them back in order.
    for key in order.iter().rev() {
        tx.delete_entity(*key)?;
        if let Some((blueprint, entity)) = doomed.get(key) {
            let change = Change {
                key: *key,
                blueprint: *blueprint,
                before: Some(entity),
                after: None,
            };
            change.record(tx, actor)?;
        }
    }
    Ok(())
}

fn too_many(target: &Entity) -> Error {
    let message = format!(
        "more than {MAX_DEPENDENTS} entities depend on {}; point some of them elsewhere first",
        name(&target.blueprint, &target.identifier)
    );
    Error::Conflict {
        code: "has_dependents",
        message,
    }
}
