//! Many entities in one transaction, each of which may be refused on its own.

use std::collections::{HashMap, HashSet, VecDeque};

use serde_json::Value;

use super::write::Underived;
use super::{Lookup, People, Plan, Request, Write, name};
use crate::catalog::draft::parse_draft;
use crate::catalog::kind::{Kind, Kinds};
use crate::catalog::relation::{self, Missing, Resolved};
use crate::catalog::{BatchError, Error, SearchLimits, Written, make_identifier};
use crate::model::{Actor, BlueprintId, EntityDraft, EntityId, WriteMode};
use crate::store::{ReadTx, WriteTx};

/// Entities of one blueprint that are to be written together, thought through as far as a snapshot allows.
#[derive(Debug)]
pub(in crate::catalog) struct Batch {
    blueprint: BlueprintId,
    items: Vec<Result<Item, BatchError>>,
}

#[derive(Debug)]
struct Item {
    request: Request,
    plan: Plan,
}

/// Reads and checks the entities. Nothing of this needs the writer thread. What they ask for by a query is looked for
/// among what is there before all of them.
pub(in crate::catalog) fn prepare(
    tx: &ReadTx<'_>,
    kinds: &Kinds,
    actor: &Actor,
    blueprint: BlueprintId,
    values: Vec<Value>,
    mode: WriteMode,
    limits: SearchLimits,
) -> Result<Batch, Error> {
    let kind = kinds.load(tx, &blueprint)?;
    let mut lookup = Lookup::new(tx, kinds, actor, limits);
    let mut items = Vec::with_capacity(values.len());
    for mut value in values {
        let filled = lookup.fill_in(kind.blueprint(), &mut value);
        let named = value.get("identifier").and_then(Value::as_str);
        let identifier = named.unwrap_or("unknown").to_owned();
        let item = filled
            .and_then(|()| parse_draft(value))
            .and_then(|draft| request(draft, mode))
            .and_then(|request| {
                let plan = Plan::new(tx, &kind, actor, request.clone())?;
                Ok(Item { request, plan })
            });
        items.push(of_item(item, &identifier)?);
    }
    Ok(Batch { blueprint, items })
}

fn request(mut draft: EntityDraft, mode: WriteMode) -> Result<Request, Error> {
    let id = match draft.identifier.take() {
        Some(id) => id,
        None => make_identifier()?,
    };
    Ok(Request {
        id,
        draft,
        mode,
        people: People::Guarded,
    })
}

/// Tells what is wrong with one entity from what is wrong with the store, which ends the whole batch.
fn of_item<T>(outcome: Result<T, Error>, identifier: &str) -> Result<Result<T, BatchError>, Error> {
    match outcome {
        Ok(value) => Ok(Ok(value)),
        Err(error @ (Error::Store(_) | Error::Random(_))) => Err(error),
        Err(error) => Ok(Err(BatchError {
            identifier: identifier.to_owned(),
            error,
        })),
    }
}

/// Writes what can be written, and says of the rest why not. An `Err` must undo everything.
pub(in crate::catalog) fn write_all(
    tx: &WriteTx<'_>,
    kinds: &Kinds,
    actor: &Actor,
    batch: Batch,
    missing: Missing,
) -> Result<Vec<Result<Written, BatchError>>, Error> {
    tx.gather_values(|| write_each(tx, kinds, actor, batch, missing))
}

fn write_each(
    tx: &WriteTx<'_>,
    kinds: &Kinds,
    actor: &Actor,
    batch: Batch,
    missing: Missing,
) -> Result<Vec<Result<Written, BatchError>>, Error> {
    let write = Write::new(tx, kinds, actor, missing);
    let kind = write.kind(&batch.blueprint)?;
    let mut outcomes: Vec<_> = batch.items.iter().map(|_| None).collect();
    let mut underived = Vec::with_capacity(batch.items.len());
    let mut turns = by_name(batch.items, &mut outcomes);
    while !turns.is_empty() {
        let wave = next_wave(&write, &kind, &mut turns, &mut outcomes)?;
        write_wave(&write, &kind, wave, &mut outcomes, &mut underived)?;
        turns.retain(|turn| !turn.is_empty());
    }
    let written = underived.into_iter().filter_map(|(index, underived)| {
        let outcome: Option<&Result<Written, _>> = outcomes.get(index)?.as_ref();
        Some((outcome?.as_ref().ok()?, Some(underived)))
    });
    write.derive(written)?;
    Ok(outcomes.into_iter().flatten().collect())
}

/// What becomes of each entity of the batch, once that is known.
type Outcomes = [Option<Result<Written, BatchError>>];

/// Those that name the same entity, in order.
type Turns = Vec<VecDeque<(usize, Item)>>;

/// Parts the batch by the entities that are named. What is refused already is in no part.
fn by_name(items: Vec<Result<Item, BatchError>>, outcomes: &mut Outcomes) -> Turns {
    let mut turns: Turns = Vec::with_capacity(items.len());
    let mut named: HashMap<EntityId, usize> = HashMap::with_capacity(items.len());
    for ((index, item), outcome) in items.into_iter().enumerate().zip(outcomes) {
        match item {
            Ok(item) => {
                let place = *named.entry(item.request.id.clone()).or_insert(turns.len());
                match turns.get_mut(place) {
                    Some(turn) => turn.push_back((index, item)),
                    None => turns.push(VecDeque::from([(index, item)])),
                }
            }
            Err(refused) => *outcome = Some(Err(refused)),
        }
    }
    turns
}

/// Of each entity the next change, in the order of the batch, so that none is named twice. Who is refused leaves the turn
/// to the next of that name: nobody else's need of the entity is to come in between.
fn next_wave(
    write: &Write<'_, '_>,
    kind: &Kind,
    turns: &mut Turns,
    outcomes: &mut Outcomes,
) -> Result<Vec<(usize, Plan)>, Error> {
    let mut changes = Vec::with_capacity(turns.len());
    for turn in turns {
        while let Some((index, Item { request, plan })) = turn.pop_front() {
            let identifier = request.id.to_string();
            let plan = write.refresh(kind, request, plan);
            let settled = plan.and_then(|plan| write.settle_unchanged(plan));
            match of_item(settled, &identifier)? {
                Ok(Ok(unchanged)) => end(outcomes, index, Ok(unchanged)),
                Ok(Err(plan)) => changes.push((index, plan)),
                Err(refused) => {
                    end(outcomes, index, Err(refused));
                    continue;
                }
            }
            break;
        }
    }
    changes.sort_by_key(|(index, _)| *index);
    Ok(changes)
}

fn end(outcomes: &mut Outcomes, index: usize, outcome: Result<Written, BatchError>) {
    if let Some(place) = outcomes.get_mut(index) {
        *place = Some(outcome);
    }
}

/// An entity that is to be written, and where it leads.
struct Ready {
    index: usize,
    plan: Plan,
    resolved: Resolved,
}

/// Writes entities of which each is named once: all rows before any edge, so that they may point at each other in any
/// order and in a circle, and so that none of them is made for another one before its own turn.
fn write_wave(
    write: &Write<'_, '_>,
    kind: &Kind,
    wave: Vec<(usize, Plan)>,
    outcomes: &mut Outcomes,
    underived: &mut Vec<(usize, Underived)>,
) -> Result<(), Error> {
    let ready = resolve_all(write, kind, wave, outcomes)?;
    let mut rows = Vec::with_capacity(ready.len());
    for ready in &ready {
        rows.push(write.save_row(&ready.plan)?);
    }
    for (ready, key) in ready.into_iter().zip(rows) {
        let Ready {
            index,
            plan,
            resolved,
        } = ready;
        write.save_edges(&plan, key, resolved)?;
        let (written, rest) = write.written(plan, key);
        underived.push((index, rest));
        end(outcomes, index, Ok(written));
    }
    Ok(())
}

/// Finds where entities lead, before any row of them is touched. Each may rely on the others; who relies on one that is
/// refused is refused as well, unless what is missing is to be made.
fn resolve_all(
    write: &Write<'_, '_>,
    kind: &Kind,
    changes: Vec<(usize, Plan)>,
    outcomes: &mut Outcomes,
) -> Result<Vec<Ready>, Error> {
    let new = changes.iter().filter(|(_, plan)| plan.before.is_none());
    let promised: HashSet<EntityId> = new.map(|(_, plan)| plan.after.identifier.clone()).collect();
    let mut broken = Vec::new();
    let mut ready = Vec::with_capacity(changes.len());
    for (index, plan) in changes {
        let id = &plan.after.identifier;
        match of_item(write.resolve(&plan, &promised), id.as_str())? {
            Ok(resolved) => ready.push(Some(Ready {
                index,
                plan,
                resolved,
            })),
            Err(why) => {
                broken.push(id.clone());
                end(outcomes, index, Err(why));
            }
        }
    }
    let mut relying: HashMap<EntityId, Vec<usize>> = HashMap::new();
    for (place, ready) in ready.iter().enumerate() {
        for id in ready.iter().flat_map(|ready| &ready.resolved.promised) {
            relying.entry(id.clone()).or_default().push(place);
        }
    }
    while let Some(id) = broken.pop() {
        let Some(places) = relying.remove(&id) else {
            continue;
        };
        for place in places {
            let Some(ready) = ready.get_mut(place) else {
                continue;
            };
            let why = match relation::may_make(write, kind, &id) {
                Ok(true) => continue,
                Ok(false) => Error::NotFound(name(&kind.blueprint().identifier, &id)),
                Err(why) => why,
            };
            if let Some(Ready { index, plan, .. }) = ready.take() {
                let identifier = plan.after.identifier;
                end(outcomes, index, of_item(Err(why), identifier.as_str())?);
                broken.push(identifier);
            }
        }
    }
    Ok(ready.into_iter().flatten().collect())
}
