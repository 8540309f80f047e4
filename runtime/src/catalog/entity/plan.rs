//! What a write makes of an entity, thought through apart from the writer thread, which everybody waits for.

use std::collections::HashSet;

use serde_json::Map;

use super::{Found, find, name};
use crate::catalog::Error;
use crate::catalog::kind::Kind;
use crate::catalog::permission;
use crate::catalog::relation;
use crate::catalog::schema::{MAX_DEPTH, is_deeper, join};
use crate::catalog::team;
use crate::model::{Actor, Entity, EntityDraft, EntityId, RelationValue, Violation, WriteMode};
use crate::store::{EntityKey, EntityText, ReadTx};

/// Characters of a title or an icon.
const MAX_TEXT: usize = 1_000;

/// Teams that may own one entity.
const MAX_TEAMS: usize = 100;

/// Bytes of the JSON of one entity's properties.
const MAX_PROPERTIES: usize = 4 * 1024 * 1024;

/// Violations of one entity that are told.
const MAX_VIOLATIONS: usize = 1_000;

/// What is asked of one entity.
#[derive(Clone, Debug)]
pub(in crate::catalog) struct Request {
    /// The entity that is meant. The draft may give it another identifier, where it has to exist.
    pub(in crate::catalog) id: EntityId,
    pub(in crate::catalog) draft: EntityDraft,
    pub(in crate::catalog) mode: WriteMode,
    pub(in crate::catalog) people: People,
}

/// What a write may do to entities that stand for somebody who may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::catalog) enum People {
    /// Nothing that is the credential's.
    Guarded,
    /// Everything: the credential is changed along.
    Managed,
}

/// A write that has been thought through but not carried out.
#[derive(Debug)]
pub(in crate::catalog) struct Plan {
    pub(in crate::catalog) kind: Kind,
    pub(in crate::catalog) before: Option<Found>,
    pub(in crate::catalog) after: Entity,
    pub(in crate::catalog) violations: Vec<Violation>,
    people: People,
    pub(super) text: EntityText,
}

impl Plan {
    /// What an entity becomes, and every rule that this breaks. Whether its targets exist is not looked at yet.
    pub(in crate::catalog) fn new(
        tx: &ReadTx<'_>,
        kind: &Kind,
        actor: &Actor,
        request: Request,
    ) -> Result<Self, Error> {
        let Request {
            id,
            draft,
            mode,
            people,
        } = request;
        let before = find(tx, kind, &id)?;
        let blueprint = &kind.blueprint().identifier;
        match (mode, &before) {
            (WriteMode::Create, Some(_)) => {
                let message = format!("{} exists already", name(blueprint, &id));
                return Err(Error::Conflict {
                    code: "already_exists",
                    message,
                });
            }
            (WriteMode::Update | WriteMode::Overwrite, None) => {
                return Err(Error::NotFound(name(blueprint, &id)));
            }
            _ => {}
        }
        let mut violations = Vec::new();
        let after = compose(kind, before.as_ref(), id, draft, mode, &mut violations);
        check(kind, &after, &mut violations);
        // Only what is shallow may be written out.
        let text = if violations.iter().any(|violation| violation.rule == "depth") {
            EntityText::default()
        } else {
            EntityText::new(&after)?
        };
        if text.properties_len() > MAX_PROPERTIES {
            let message = format!("must have at most {MAX_PROPERTIES} bytes of JSON");
            violations.push(Violation::new("/properties", "size", message));
        }
        violations.truncate(MAX_VIOLATIONS);
        let plan = Self {
            kind: kind.clone(),
            before,
            after,
            violations,
            people,
            text,
        };
        permission::check_write(actor, &plan, mode)?;
        plan.check_people(tx, actor)?;
        Ok(plan)
    }

    /// Refuses what is the credential's. Whether there is a credential is not part of the entity: what was true on an
    /// earlier snapshot is to be asked again where it is written.
    pub(super) fn check_people(&self, tx: &ReadTx<'_>, actor: &Actor) -> Result<(), Error> {
        match self.people {
            People::Guarded => team::check_write(tx, actor, self.value_before(), &self.after),
            People::Managed => Ok(()),
        }
    }

    /// Whether there is nothing to do.
    pub(in crate::catalog) fn is_unchanged(&self) -> bool {
        self.value_before() == Some(&self.after)
    }

    /// Whether what was found when this was thought through is what is there now.
    pub(super) fn still_holds(&self, now: Option<(EntityKey, i64)>) -> bool {
        self.before
            .as_ref()
            .map(|before| (before.key, before.revision))
            == now
    }

    /// The values before the write, where there were any.
    pub(in crate::catalog) fn value_before(&self) -> Option<&Entity> {
        self.before.as_ref().map(|before| &before.entity.value)
    }

    /// The identifier before the write, if it is to have another one now.
    pub(super) fn renamed_from(&self) -> Option<&EntityId> {
        self.value_before()
            .map(|before| &before.identifier)
            .filter(|was| **was != self.after.identifier)
    }

    /// The refusal, if it breaks rules.
    pub(super) fn refuse(&mut self) -> Result<(), Error> {
        if self.violations.is_empty() {
            return Ok(());
        }
        Err(Error::Invalid {
            subject: name(&self.after.blueprint, &self.after.identifier),
            violations: std::mem::take(&mut self.violations),
        })
    }
}

fn compose(
    kind: &Kind,
    before: Option<&Found>,
    id: EntityId,
    draft: EntityDraft,
    mode: WriteMode,
    violations: &mut Vec<Violation>,
) -> Entity {
    let kept = match mode {
        WriteMode::Merge | WriteMode::Update => before.map(|before| before.entity.value.clone()),
        WriteMode::Create | WriteMode::Replace | WriteMode::Overwrite => None,
    };
    let identifier = match draft.identifier {
        Some(named) if matches!(mode, WriteMode::Update | WriteMode::Overwrite) => named,
        _ => id.clone(),
    };
    let mut relations =
        relation::compose(kind, draft.relations.as_ref(), kept.as_ref(), violations);
    if identifier != id {
        follow(kind, &mut relations, &id, &identifier);
    }
    let (title, icon, team, mut properties) = kept
        .map(|kept| (kept.title, kept.icon, kept.team, kept.properties))
        .unwrap_or_default();
    let named = draft.properties.unwrap_or_default();
    if before.is_none() {
        for (name, default) in &kind.parts.defaults {
            if !named.contains_key(name) {
                properties.insert(name.clone(), default.clone());
            }
        }
    }
    for (name, value) in named {
        if value.is_null() {
            properties.shift_remove(&name);
        } else {
            properties.insert(name, value);
        }
    }
    let mut seen = HashSet::new();
    let mut team = draft.team.unwrap_or(team);
    team.retain(|team| seen.insert(team.clone()));
    Entity {
        identifier,
        title: draft.title.unwrap_or(title),
        icon: draft.icon.unwrap_or(icon),
        blueprint: kind.blueprint().identifier.clone(),
        team,
        properties,
        relations,
        scorecards: Map::new(),
    }
}

/// An entity that gets another identifier and points at itself goes on to do so.
fn follow(
    kind: &Kind,
    relations: &mut indexmap::IndexMap<String, RelationValue>,
    from: &EntityId,
    to: &EntityId,
) {
    let blueprint = kind.blueprint();
    for (name, value) in relations {
        let definition = blueprint.relations.get(name);
        if definition.is_none_or(|definition| definition.target != blueprint.identifier) {
            continue;
        }
        match value {
            RelationValue::None => {}
            RelationValue::One(target) => {
                if target == from {
                    *target = to.clone();
                }
            }
            RelationValue::Many(targets) => {
                for target in targets.iter_mut().filter(|target| *target == from) {
                    *target = to.clone();
                }
            }
        }
    }
}

fn check(kind: &Kind, entity: &Entity, found: &mut Vec<Violation>) {
    for (path, text) in [("/title", &entity.title), ("/icon", &entity.icon)] {
        if text
            .as_ref()
            .is_some_and(|text| text.len() > MAX_TEXT && text.chars().count() > MAX_TEXT)
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
    found.extend(kind.parts.check_properties(&entity.properties));
}
