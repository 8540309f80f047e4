//! From entries of the queue to the entities whose derived values have to be made again.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::super::kind::Kinds;
use super::cause::{Cause, Dirty};
use super::graph::{Begin, Graph, Plan};
use super::make::{self, Subject};
use super::own::target_key;
use super::walk::TooFar;
use crate::catalog::Error;
use crate::model::Timestamp;
use crate::store::{BlueprintKey, EntityKey, Queued, ReadTx};

/// Entries that one batch reads.
const ENTRIES: usize = 1_000;

/// Entities that one batch makes, at the least: an entry is taken whole.
const ENTITIES: usize = 1_000;

/// Entities that the changes of one batch may concern before their making is put off: for that each page of them is an
/// entry of its own.
const PUT_OFF: usize = 2_000;

/// Beyond that many, nobody waits for them any more.
const TOO_MANY_TO_WAIT: usize = 10_000;

/// The next part of the queue, read and ready to be made.
pub(super) struct Batch {
    pub(super) groups: Vec<Group>,
    pub(super) later: Vec<Later>,
    /// Entries that are done when all of this is written.
    pub(super) done: Vec<i64>,
    /// The entry about a whole blueprint that is not done yet, and how far it then is.
    pub(super) reached: Option<(i64, String)>,
    pub(super) background: bool,
    /// Whether it makes again what the change of others concerns.
    pub(super) spreads: bool,
    pub(super) now: Timestamp,
}

/// Entities of one blueprint.
pub(super) struct Group {
    pub(super) plan: Arc<Plan>,
    pub(super) subjects: Vec<Subject>,
    /// The entry that each goes back to.
    pub(super) origins: HashMap<EntityKey, i64>,
}

/// Entities that are to be made later; all of the blueprint where none is named.
pub(super) struct Later {
    pub(super) blueprint: BlueprintKey,
    pub(super) keys: Vec<EntityKey>,
    pub(super) dirty: Dirty,
    pub(super) origin: i64,
    pub(super) background: bool,
}

#[derive(Default)]
struct Todo {
    dirty: HashMap<BlueprintKey, HashMap<EntityKey, (Dirty, i64)>>,
    count: usize,
}

impl Todo {
    fn add(&mut self, blueprint: BlueprintKey, key: EntityKey, dirty: &Dirty, origin: i64) {
        let of_blueprint = self.dirty.entry(blueprint).or_default();
        let (known, first) = of_blueprint.entry(key).or_insert_with(|| {
            self.count += 1;
            (Dirty::default(), origin)
        });
        known.merge(dirty);
        *first = origin.min(*first);
    }
}

/// A watch, by the blueprint and its place there, and the blueprint at which its walk begins: relations that share a
/// watch may lead to different ones.
type Way = (BlueprintKey, usize, BlueprintKey);

/// Where the walk of one watch begins in this batch.
struct Starts {
    keys: BTreeSet<EntityKey>,
    origin: i64,
}

/// Reads the next part of the queue, as far as it goes back to an entry or one before it. `None` where there is nothing
/// to do.
pub(super) fn read(
    tx: &ReadTx<'_>,
    kinds: &Kinds,
    (background, until): (bool, i64),
    now: Timestamp,
) -> Result<Option<Batch>, Error> {
    let entries = tx.list_queued(background, until, ENTRIES)?;
    if entries.is_empty() {
        return Ok(None);
    }
    let graph = Graph::load(tx)?;
    let mut batch = Batch {
        groups: Vec::new(),
        later: Vec::new(),
        done: Vec::new(),
        reached: None,
        background,
        spreads: false,
        now,
    };
    let mut todo = Todo::default();
    let mut starts: HashMap<Way, Starts> = HashMap::new();
    for entry in entries {
        if todo.count >= ENTITIES || batch.reached.is_some() {
            break;
        }
        let cause = Cause::read(&entry.entry.cause)?;
        let Some(plan) = graph.plan(entry.entry.blueprint) else {
            // The blueprint is gone, and its entities with it.
            batch.done.push(entry.sequence);
            continue;
        };
        let named = cause.keys.iter().map(|key| EntityKey::of_number(*key));
        let keys: Vec<EntityKey> = entry.entity.into_iter().chain(named).collect();
        if keys.is_empty() {
            sweep(tx, plan, &entry, &cause.dirty, &mut todo, &mut batch)?;
            continue;
        }
        batch.spreads |= !cause.dirty.aggregations.is_empty();
        if !cause.dirty.is_clean() {
            for key in &keys {
                todo.add(plan.key, *key, &cause.dirty, entry.origin);
            }
        }
        begin(&graph, plan, &entry, &keys, &cause, &mut starts);
        batch.done.push(entry.sequence);
    }
    walk(tx, &graph, starts, &mut todo, &mut batch)?;
    for (key, dirty) in todo.dirty {
        let Some(plan) = graph.plan(key) else {
            continue;
        };
        let origins = dirty
            .iter()
            .map(|(key, (_, origin))| (*key, *origin))
            .collect();
        let dirty = dirty
            .into_iter()
            .map(|(key, (dirty, _))| (key, dirty))
            .collect();
        batch.groups.push(Group {
            subjects: make::prepare(tx, kinds, &graph, plan, dirty, now)?,
            plan: Arc::clone(plan),
            origins,
        });
    }
    Ok(Some(batch))
}

/// Takes the next entities of an entry that is about a whole blueprint.
fn sweep(
    tx: &ReadTx<'_>,
    plan: &Plan,
    entry: &Queued,
    dirty: &Dirty,
    todo: &mut Todo,
    batch: &mut Batch,
) -> Result<(), Error> {
    // Where nothing is derived any more, what is left of it goes.
    let page = tx.list_entity_keys(plan.key, &entry.reached, ENTITIES)?;
    for (key, _) in &page {
        todo.add(plan.key, *key, dirty, entry.origin);
    }
    match page.into_iter().nth(ENTITIES - 1) {
        Some((_, last)) => batch.reached = Some((entry.sequence, last)),
        None => batch.done.push(entry.sequence),
    }
    Ok(())
}

/// Notes whom the changes of an entry concern.
fn begin(
    graph: &Graph,
    plan: &Plan,
    entry: &Queued,
    entities: &[EntityKey],
    cause: &Cause,
    starts: &mut HashMap<Way, Starts>,
) {
    let mut add = |watch: usize, blueprint: BlueprintKey, keys: &[EntityKey]| {
        let at = starts
            .entry((plan.key, watch, blueprint))
            .or_insert_with(|| Starts {
                keys: BTreeSet::new(),
                origin: entry.origin,
            });
        at.keys.extend(keys);
        at.origin = at.origin.min(entry.origin);
    };
    for field in &cause.fields {
        for watch in plan.by_field.get(field).into_iter().flatten() {
            add(*watch, plan.key, entities);
        }
    }
    for (relation, targets) in &cause.relations {
        let targets: Vec<EntityKey> = targets
            .iter()
            .map(|key| EntityKey::of_number(*key))
            .collect();
        for (begin, watch) in plan.by_relation.get(relation).into_iter().flatten() {
            match begin {
                Begin::Entity => add(*watch, plan.key, entities),
                Begin::Targets => {
                    if let Some(blueprint) = target_key(graph, plan, relation) {
                        add(*watch, blueprint, &targets);
                    }
                }
            }
        }
    }
}

/// Entities of one blueprint that some changes concern in the same way.
#[derive(Default)]
struct Concerned {
    keys: BTreeSet<EntityKey>,
    /// There are too many to walk to: all of the blueprint.
    all: bool,
    /// The first of the entries that they go back to.
    origin: Option<i64>,
}

/// Walks from the changes to the entities that they concern.
fn walk(
    tx: &ReadTx<'_>,
    graph: &Graph,
    starts: HashMap<Way, Starts>,
    todo: &mut Todo,
    batch: &mut Batch,
) -> Result<(), Error> {
    // Many ways lead to the same entities.
    let mut concerned: HashMap<(BlueprintKey, Option<&String>), Concerned> = HashMap::new();
    for ((at, watch, blueprint), starts) in starts {
        let Some(watch) = graph.plan(at).and_then(|plan| plan.watches.get(watch)) else {
            continue;
        };
        let about = concerned
            .entry((watch.owner, watch.aggregation.as_ref()))
            .or_default();
        let first = about
            .origin
            .map_or(starts.origin, |origin| origin.min(starts.origin));
        about.origin = Some(first);
        match watch.walk.follow(tx, blueprint, starts.keys)? {
            Ok(mut found) => about.keys.append(&mut found),
            Err(TooFar) => about.all = true,
        }
    }
    for ((owner, aggregation), about) in concerned {
        let dirty = match aggregation {
            None => Dirty::own(),
            Some(name) => Dirty {
                aggregations: BTreeSet::from([name.clone()]),
                ..Dirty::default()
            },
        };
        batch.spreads = true;
        let origin = about.origin.unwrap_or_default();
        let count = about.keys.len();
        if !about.all && count <= PUT_OFF {
            for key in about.keys {
                todo.add(owner, key, &dirty, origin);
            }
            continue;
        }
        let keys = match about.all {
            true => Vec::new(),
            false => about.keys.into_iter().collect(),
        };
        batch.later.push(Later {
            blueprint: owner,
            keys,
            dirty,
            origin,
            background: about.all || batch.background || count > TOO_MANY_TO_WAIT,
        });
    }
    Ok(())
}
