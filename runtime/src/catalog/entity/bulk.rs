//! Many entities in one transaction, each of which may be refused on its own.

use std::collections::HashMap;

use serde_json::Value;

use super::{Lookup, People, Plan, Request, Write};
use crate::catalog::draft::parse_draft;
use crate::catalog::kind::{Kind, Kinds};
use crate::catalog::relation::Missing;
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
        let filled = lookup.fill_in(&kind, &mut value);
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
    let order = in_order(&kind, &batch.items);
    let mut items: Vec<_> = batch.items.into_iter().map(Some).collect();
    let mut outcomes: Vec<_> = items.iter().map(|_| None).collect();
    let mut underived = Vec::with_capacity(items.len());
    for index in order {
        let (Some(item), Some(place)) = (
            items.get_mut(index).and_then(Option::take),
            outcomes.get_mut(index),
        ) else {
            continue;
        };
        *place = Some(match item {
            Ok(Item { request, plan }) => {
                let identifier = request.id.to_string();
                let written = write.finish_underived(&kind, request, plan);
                of_item(written, &identifier)?.map(|(written, rest)| {
                    underived.push((index, rest));
                    written
                })
            }
            Err(refused) => Err(refused),
        });
    }
    let written = underived.into_iter().filter_map(|(index, rest)| {
        let outcome: Option<&Result<Written, _>> = outcomes.get(index)?.as_ref();
        Some((outcome?.as_ref().ok()?, rest))
    });
    write.derive(written)?;
    Ok(outcomes.into_iter().flatten().collect())
}

/// The order in which an entity comes behind those of the batch that it points at, as far as there is one; otherwise
/// the order in which they stand.
fn in_order(kind: &Kind, items: &[Result<Item, BatchError>]) -> Vec<usize> {
    let needs = dependencies(kind, items);
    let mut seen = vec![false; items.len()];
    let mut order = Vec::with_capacity(items.len());
    for start in 0..items.len() {
        // Each entry: an entity, and how many of those that it needs were looked at.
        let mut path = vec![(start, 0)];
        if !is_first(&mut seen, start) {
            continue;
        }
        while let Some((index, looked_at)) = path.last_mut() {
            match needs.get(*index).and_then(|needs| needs.get(*looked_at)) {
                Some(&next) => {
                    *looked_at += 1;
                    if is_first(&mut seen, next) {
                        path.push((next, 0));
                    }
                }
                None => {
                    order.push(*index);
                    path.pop();
                }
            }
        }
    }
    order
}

/// Whether an entity is seen for the first time; from now on it is not.
fn is_first(seen: &mut [bool], index: usize) -> bool {
    seen.get_mut(index)
        .is_some_and(|seen| !std::mem::replace(seen, true))
}

/// For each entity, which others of the batch it points at.
fn dependencies(kind: &Kind, items: &[Result<Item, BatchError>]) -> Vec<Vec<usize>> {
    let blueprint = kind.blueprint();
    let own: Vec<_> = blueprint
        .relations
        .iter()
        .filter(|(_, definition)| definition.target == blueprint.identifier)
        .map(|(name, _)| name)
        .collect();
    let mut by_id: HashMap<&EntityId, usize> = HashMap::new();
    if !own.is_empty() {
        for (index, item) in items.iter().enumerate() {
            if let Ok(item) = item {
                by_id.entry(&item.request.id).or_insert(index);
            }
        }
    }
    let needs = |item: &Item| {
        let targets = own
            .iter()
            .filter_map(|name| item.plan.after.relations.get(*name))
            .flat_map(|value| value.targets());
        targets
            .filter_map(|target| by_id.get(target).copied())
            .collect()
    };
    items
        .iter()
        .map(|item| item.as_ref().map(needs).unwrap_or_default())
        .collect()
}
