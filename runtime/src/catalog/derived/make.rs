//! Makes the derived values of entities of one blueprint: what needs the catalog, then what needs jq, then what needs
//! all of that.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value};

use super::super::kind::Kinds;
use super::super::scorecard::{CardNow, show};
use super::aggregate::{Surroundings, aggregate};
use super::cause::Dirty;
use super::facts::Facts;
use super::graph::{CardPlan, Graph, Plan, card_field};
use super::load;
use super::mirror::{Mirrored, mirror};
use crate::catalog::Error;
use crate::model::{Entity, Stamp, Stamped, Timestamp};
use crate::store::{DerivedRow, EntityKey, ReadTx};

/// An entity whose derived values are being made.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) key: EntityKey,
    pub(super) entity: Stamped<Entity>,
    pub(super) dirty: Dirty,
    pub(super) old: DerivedRow,
    pub(super) new: DerivedRow,
}

impl Subject {
    /// Takes a value for a derived property.
    pub(super) fn set(&mut self, name: &str, value: Option<Value>) {
        set(&mut self.new, name, value);
    }

    /// Takes why a derived property has no value.
    pub(super) fn fail(&mut self, name: &str, message: String) {
        self.new.properties.shift_remove(name);
        self.new
            .failures
            .insert(name.to_owned(), Value::String(message));
    }

    /// The fields that have become others.
    pub(super) fn changed(&self) -> Vec<String> {
        changed(&self.old, &self.new)
    }
}

fn set(row: &mut DerivedRow, name: &str, value: Option<Value>) {
    row.failures.shift_remove(name);
    match value.filter(|value| !value.is_null()) {
        Some(value) => row.properties.insert(name.to_owned(), value),
        None => row.properties.shift_remove(name),
    };
}

/// The fields of one entity that have become others: derived properties and scorecards.
pub(super) fn changed(old: &DerivedRow, new: &DerivedRow) -> Vec<String> {
    let differing = |old: &Map<String, Value>, new: &Map<String, Value>| -> Vec<String> {
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let differs = |name: &&String| old.get(*name) != new.get(*name);
        names.into_iter().filter(differs).cloned().collect()
    };
    let mut fields = differing(&old.properties, &new.properties);
    let cards = differing(&old.scorecards, &new.scorecards);
    fields.extend(cards.iter().map(|card| card_field(card)));
    fields
}

/// Leaves out what the blueprint no longer derives.
fn forget(plan: &Plan, row: &mut DerivedRow) {
    row.properties.retain(|name, _| plan.names.contains(name));
    row.failures.retain(|name, _| plan.names.contains(name));
    let known = |card: &str| plan.cards.iter().any(|one| one.card.identifier == card);
    row.scorecards.retain(|card, _| known(card));
}

/// Loads entities and makes what of them needs nothing but the catalog.
pub(super) fn prepare(
    tx: &ReadTx<'_>,
    kinds: &Kinds,
    graph: &Graph,
    plan: &Plan,
    mut dirty: HashMap<EntityKey, Dirty>,
    now: Timestamp,
) -> Result<Vec<Subject>, Error> {
    let mut keys: Vec<EntityKey> = dirty.keys().copied().collect();
    keys.sort_unstable();
    let mut subjects: Vec<Subject> = load::load(tx, kinds, plan, &keys)?
        .into_iter()
        .map(|(key, entity, old)| {
            let mut new = old.clone();
            forget(plan, &mut new);
            Subject {
                key,
                entity,
                dirty: dirty.remove(&key).unwrap_or_default(),
                old,
                new,
            }
        })
        .collect();
    let keys: Vec<EntityKey> = subjects.iter().map(|subject| subject.key).collect();
    for planned in &plan.mirrors {
        let mut values = mirror(tx, planned, &keys)?;
        for subject in &mut subjects {
            match values.remove(&subject.key) {
                None => subject.set(
                    &planned.name,
                    planned.many.then(|| Value::Array(Vec::new())),
                ),
                Some(Ok(value)) => subject.set(&planned.name, Some(value)),
                Some(Err(message)) => subject.fail(&planned.name, message),
            }
        }
    }
    let surroundings = Surroundings {
        tx,
        kinds,
        graph,
        now,
    };
    for planned in &plan.aggregations {
        let wants = |subject: &Subject| {
            subject.dirty.all || subject.dirty.aggregations.contains(&planned.name)
        };
        let wanting = || subjects.iter().filter(|subject| wants(subject));
        let keys: Vec<EntityKey> = wanting().map(|subject| subject.key).collect();
        let mut made = aggregate(surroundings, planned, plan.key, &keys)?.into_iter();
        for subject in subjects.iter_mut().filter(|subject| wants(subject)) {
            match made.next() {
                Some(Ok(value)) => subject.set(&planned.name, value),
                Some(Err(message)) => subject.fail(&planned.name, message),
                None => {}
            }
        }
    }
    Ok(subjects)
}

/// Evaluates the scorecards, once everything else is made.
pub(super) fn conclude(plan: &Plan, subjects: &mut [Subject], now: Timestamp) -> Result<(), Error> {
    let cards: Vec<CardNow<'_>> = plan.cards.iter().map(|one| one.card.at(now)).collect();
    for subject in subjects {
        let stamp = Some(&subject.entity.stamp);
        subject.new.scorecards = evaluate(&cards, &subject.entity.value, stamp, &subject.new)?;
    }
    Ok(())
}

fn evaluate(
    cards: &[CardNow<'_>],
    entity: &Entity,
    stamp: Option<&Stamp>,
    row: &DerivedRow,
) -> Result<Map<String, Value>, Error> {
    let facts = Facts {
        entity,
        stamp,
        properties: &row.properties,
        scorecards: &row.scorecards,
    };
    let results = cards.iter().filter_map(|card| {
        let result = card.evaluate(&facts)?;
        Some((card.identifier().to_owned(), result))
    });
    show(results)
}

/// For each mirror of a blueprint, what became of it for some entities.
pub(super) type AllMirrored = Vec<HashMap<EntityKey, Mirrored>>;

/// Makes every mirror of some entities of a blueprint.
pub(super) fn mirror_all(
    tx: &ReadTx<'_>,
    plan: &Plan,
    keys: &[EntityKey],
) -> Result<AllMirrored, Error> {
    let made = plan.mirrors.iter().map(|planned| mirror(tx, planned, keys));
    Ok(made.collect::<Result<_, _>>()?)
}

/// What is made of an entity while it is being written; its mirrors where they may have become others.
pub(super) fn make_cheap(
    plan: &Plan,
    key: EntityKey,
    entity: &Entity,
    old: &DerivedRow,
    mirrored: Option<&AllMirrored>,
    now: Timestamp,
) -> Result<DerivedRow, Error> {
    let mut new = old.clone();
    forget(plan, &mut new);
    for (planned, made) in plan.mirrors.iter().zip(mirrored.into_iter().flatten()) {
        match made.get(&key) {
            None => set(
                &mut new,
                &planned.name,
                planned.many.then(|| Value::Array(Vec::new())),
            ),
            Some(Ok(value)) => set(&mut new, &planned.name, Some(value.clone())),
            Some(Err(message)) => {
                new.properties.shift_remove(&planned.name);
                new.failures
                    .insert(planned.name.clone(), Value::String(message.clone()));
            }
        }
    }
    let cheap = plan.cards.iter().filter(|one| one.cheap);
    let cards: Vec<CardNow<'_>> = cheap.map(|CardPlan { card, .. }| card.at(now)).collect();
    if !cards.is_empty() {
        let results = evaluate(&cards, entity, None, &new)?;
        for card in &cards {
            match results.get(card.identifier()) {
                Some(result) => new
                    .scorecards
                    .insert(card.identifier().to_owned(), result.clone()),
                None => new.scorecards.shift_remove(card.identifier()),
            };
        }
    }
    Ok(new)
}
