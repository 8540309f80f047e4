//! Many documents put in place at once, in whatever order they stand and however they point at each other.

use std::collections::{HashMap, HashSet};

use super::change::Change;
use super::derived::{self, Before};
use super::entity::{self, People, Plan, Request, Write};
use super::kind::{Kind, Kinds};
use super::relation::{self, Missing};
use super::{Applied, Error, blueprint};
use crate::model::{Actor, Blueprint, BlueprintId, EntityDraft, EntityId, Violation, WriteMode};
use crate::store::{EntityKey, WriteTx};

/// Documents of one apply. It is one transaction, and every other write waits for it: some seconds at most.
pub const MAX_DOCUMENTS: usize = 50_000;

/// Bytes of JSON of one apply, as a door takes it.
pub const MAX_BYTES: usize = 32 << 20;

/// Violations that one apply tells.
const MAX_VIOLATIONS: usize = 1_000;

/// A document, and where it stands among all that were sent.
#[derive(Clone, Debug)]
pub struct Placed<T> {
    /// JSON pointer to it, to which the paths of broken rules are added; empty for one that came alone.
    pub at: String,
    /// The document.
    pub value: T,
}

impl<T> Placed<T> {
    /// Another document in the same place.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Placed<U> {
        Placed {
            at: self.at,
            value: change(self.value),
        }
    }
}

impl<T> From<T> for Placed<T> {
    fn from(value: T) -> Self {
        Self {
            at: String::new(),
            value,
        }
    }
}

/// Refuses more documents than one apply may have.
pub(super) fn check_count(count: usize) -> Result<(), Error> {
    if count <= MAX_DOCUMENTS {
        return Ok(());
    }
    let message =
        format!("must be at most {MAX_DOCUMENTS} documents, not {count}; apply them in parts");
    Err(Error::Invalid {
        subject: "the documents".to_owned(),
        violations: vec![Violation::new("", "maxItems", message)],
    })
}

pub(super) fn apply(
    tx: &WriteTx<'_>,
    kinds: &Kinds,
    actor: &Actor,
    blueprints: Vec<Placed<Blueprint>>,
    entities: Vec<Placed<(BlueprintId, EntityDraft)>>,
) -> Result<Applied, Error> {
    check_count(blueprints.len() + entities.len())?;
    let mut applied = Applied::default();
    let mut refused = Refused::default();
    let before = Before::of(tx)?;
    apply_blueprints(tx, actor, &blueprints, &mut applied, &mut refused)?;
    // Only now that all of them are there can it be told whether what they derive can be made.
    let places: HashMap<&BlueprintId, &str> = blueprints
        .iter()
        .map(|blueprint| (&blueprint.value.identifier, blueprint.at.as_str()))
        .collect();
    let changed: Vec<BlueprintId> = places.keys().map(|id| (*id).clone()).collect();
    let mut faults = before.faults(tx, &changed)?;
    faults.extend(before.out_of_sight(tx, actor)?);
    for (id, violations) in faults {
        let subject = format!("blueprint `{id}`");
        match places.get(&id) {
            Some(at) => refused.add(at, &subject, violations),
            // Of a blueprint that has no document here: no place in the documents is to blame alone.
            None => refused.add("", &subject, violations.into_iter().map(without_place)),
        }
    }
    // An entity cannot be checked against a blueprint that is wrong.
    refused.stop()?;
    before.queue(tx)?;
    apply_entities(tx, kinds, actor, entities, &mut applied, &mut refused)?;
    refused.stop()?;
    Ok(applied)
}

fn without_place(violation: Violation) -> Violation {
    Violation {
        message: format!("its `{}` {}", violation.path, violation.message),
        path: String::new(),
        rule: "in_use".to_owned(),
    }
}

/// What is wrong so far, document by document.
#[derive(Default)]
struct Refused {
    subjects: Vec<String>,
    violations: Vec<Violation>,
}

impl Refused {
    /// Notes what is wrong with the document at a place. Each message names it: paths alone are of no use to a person.
    fn add(&mut self, at: &str, subject: &str, violations: impl IntoIterator<Item = Violation>) {
        let before = self.violations.len();
        let named = violations.into_iter().map(|violation| Violation {
            path: format!("{at}{}", violation.path),
            message: format!("{subject}: {}", violation.message),
            ..violation
        });
        let room = MAX_VIOLATIONS.saturating_sub(before);
        self.violations.extend(named.take(room));
        if self.violations.len() > before && !self.subjects.iter().any(|known| known == subject) {
            self.subjects.push(subject.to_owned());
        }
    }

    fn stop(&mut self) -> Result<(), Error> {
        if self.violations.is_empty() {
            return Ok(());
        }
        let subject = match self.subjects.as_slice() {
            [one] => one.clone(),
            _ => "the apply".to_owned(),
        };
        let violations = std::mem::take(&mut self.violations);
        Err(Error::Invalid {
            subject,
            violations,
        })
    }
}

fn apply_blueprints(
    tx: &WriteTx<'_>,
    actor: &Actor,
    blueprints: &[Placed<Blueprint>],
    applied: &mut Applied,
    refused: &mut Refused,
) -> Result<(), Error> {
    let incoming: HashSet<&BlueprintId> = blueprints
        .iter()
        .map(|blueprint| &blueprint.value.identifier)
        .collect();
    let mut seen = HashSet::new();
    for Placed { at, value: after } in blueprints {
        let id = &after.identifier;
        let subject = format!("blueprint `{id}`");
        if !seen.insert(id) {
            refused.add(at, &subject, [duplicate()]);
            continue;
        }
        let mut found = blueprint::check(after);
        for (name, relation) in &after.relations {
            if !incoming.contains(&relation.target) {
                blueprint::ensure_system(tx, &relation.target)?;
            }
            if !incoming.contains(&relation.target)
                && tx.find_blueprint(&relation.target)?.is_none()
            {
                let path = format!("{}/target", super::schema::join("/relations", name));
                let message = format!(
                    "blueprint `{}` does not exist, here or in the catalog",
                    relation.target
                );
                found.push(Violation::new(path, "relation", message));
            }
        }
        let row = tx.find_blueprint(id)?;
        let before = match &row {
            Some(row) => Some((row, blueprint::read(row)?.value)),
            None => None,
        };
        if let Some((row, before)) = &before {
            found.extend(blueprint::check_change(tx, row, before, after)?);
        }
        if !found.is_empty() {
            refused.add(at, &subject, found);
            continue;
        }
        // Blueprints know each other by identifier, so the ones whose target is still to come can be written already.
        let label = format!("blueprint {id}");
        match &before {
            None => {
                blueprint::insert(tx, actor, after)?;
            }
            Some((_, before)) if before == after => {}
            Some((row, before)) => {
                blueprint::update(tx, actor, row, before, after)?;
            }
        }
        applied.note(label, before.as_ref().map(|(_, before)| before), after)?;
    }
    // Only now is every blueprint there that a path may lead over.
    for Placed { at, value: after } in blueprints {
        let subject = format!("blueprint `{}`", after.identifier);
        refused.add(at, &subject, blueprint::ownership::check_path(tx, after)?);
    }
    Ok(())
}

fn apply_entities(
    tx: &WriteTx<'_>,
    kinds: &Kinds,
    actor: &Actor,
    entities: Vec<Placed<(BlueprintId, EntityDraft)>>,
    applied: &mut Applied,
    refused: &mut Refused,
) -> Result<(), Error> {
    let write = Write::new(tx, kinds, actor, Missing::Refuse);
    let mut loaded: HashMap<BlueprintId, Option<Kind>> = HashMap::new();
    let mut seen: HashSet<(BlueprintId, EntityId)> = HashSet::new();
    // With the key of its row, but for those that break a rule: they have none.
    let mut planned: Vec<(String, Plan, Option<EntityKey>)> = Vec::new();
    // All rows come before any edge: whatever an entity points at is then there, or does not exist.
    for Placed { at, value } in entities {
        let (blueprint, mut draft) = value;
        let Some(id) = draft.identifier.take() else {
            let message =
                "`identifier` is required: without one, each apply would make another entity";
            let subject = format!("entity of blueprint `{blueprint}`");
            refused.add(
                &at,
                &subject,
                [Violation::new("/identifier", "required", message)],
            );
            continue;
        };
        let subject = entity::name(&blueprint, &id);
        let kind = match loaded.get(&blueprint) {
            Some(kind) => kind.clone(),
            None => {
                blueprint::ensure_system(tx, &blueprint)?;
                let row = tx.find_blueprint(&blueprint)?;
                let kind = row.map(|row| kinds.ready(&row)).transpose()?;
                loaded.insert(blueprint.clone(), kind.clone());
                kind
            }
        };
        let Some(kind) = kind else {
            let message = format!("blueprint `{blueprint}` does not exist, here or in the catalog");
            refused.add(
                &at,
                &subject,
                [Violation::new("/blueprint", "relation", message)],
            );
            continue;
        };
        if !seen.insert((blueprint.clone(), id.clone())) {
            refused.add(&at, &subject, [duplicate()]);
            continue;
        }
        let label = format!("entity {blueprint}/{id}");
        fill_in_defaults(&kind, &mut draft);
        let request = Request {
            id,
            draft,
            mode: WriteMode::Replace,
            people: People::Guarded,
        };
        let mut plan = Plan::new(tx, &kind, actor, request)?;
        let broken = std::mem::take(&mut plan.violations);
        if !broken.is_empty() {
            refused.add(&at, &subject, broken);
            // What else is wrong with it is told as well.
            planned.push((at, plan, None));
            continue;
        }
        applied.note(label, plan.value_before(), &plan.after)?;
        if plan.is_unchanged() {
            if let Some(found) = &plan.before {
                write.claim(&kind, found)?;
            }
        } else {
            let key = write.save_row(&plan)?;
            planned.push((at, plan, Some(key)));
        }
    }
    for (at, plan, key) in &planned {
        let resolved = relation::resolve(
            &write,
            &plan.kind,
            &plan.after,
            plan.value_before(),
            &HashSet::new(),
        )?;
        let subject = entity::name(&plan.after.blueprint, &plan.after.identifier);
        // Of what points at a document that was refused, nothing is wrong but that.
        let missing = resolved
            .missing
            .iter()
            .filter(|target| !seen.contains(&target.name()));
        refused.add(
            at,
            &subject,
            missing.map(|target| {
                let message = format!("{} does not exist, here or in the catalog", target.named());
                Violation::new(target.path.clone(), "relation", message)
            }),
        );
        if let (true, Some(key)) = (refused.violations.is_empty(), key) {
            write.save_edges(plan, *key, resolved)?;
        }
    }
    if !refused.violations.is_empty() {
        return Ok(());
    }
    let changes: Vec<Change<'_>> = planned
        .iter()
        .filter_map(|(_, plan, key)| {
            Some(Change {
                key: (*key)?,
                blueprint: plan.kind.key,
                before: plan.value_before(),
                after: Some(&plan.after),
            })
        })
        .collect();
    derived::record(tx, &changes)
}

/// A document says all of an entity, whether it is there already or not: applied again, it changes nothing.
fn fill_in_defaults(kind: &Kind, draft: &mut EntityDraft) {
    if kind.parts.defaults.is_empty() {
        return;
    }
    let properties = draft.properties.get_or_insert_default();
    for (name, default) in &kind.parts.defaults {
        if !properties.contains_key(name) {
            properties.insert(name.clone(), default.clone());
        }
    }
}

fn duplicate() -> Violation {
    Violation::new(
        "/identifier",
        "unique",
        "another document has the same identifier; keep one of them",
    )
}
