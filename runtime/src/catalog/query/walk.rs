//! Where walks along relations lead to, worked out from the entities that they name.

use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use crate::catalog::Error;
use crate::catalog::kind::{Kind, Kinds};
use crate::model::{BlueprintId, Direction, Identifiers, PathMatch, Related, Step, Walk};
use crate::store::{BlueprintKey, EntityKey, Hidden, ReadTx};

/// Entities that one walk may reach.
const MAX_REACHED: usize = 200_000;

/// Steps of a walk over any relations; a graph of real things is not deeper.
const MAX_DEPTH: usize = 32;

/// The walks of queries on one snapshot.
pub(super) struct Walks<'a, 'tx> {
    tx: &'a ReadTx<'tx>,
    kinds: &'a Kinds,
    /// What whoever asks may not see. An edge belongs to the entity that points: it is followed where that may be seen.
    hidden: Rc<Hidden>,
    related: RefCell<Vec<KnownWalk>>,
    /// Every relation of the catalog, once it was asked for.
    relations: OnceCell<Vec<Leg>>,
}

/// A walk over any relations, and where it leads to.
struct KnownWalk {
    related: Related,
    /// The one blueprint whose entities were looked for; absent: those of every blueprint are known.
    goal: Option<BlueprintKey>,
    reached: Reached,
}

/// Entities by their blueprint, in order.
type Reached = HashMap<BlueprintKey, Rc<Vec<EntityKey>>>;

/// A relation as a part of walks.
struct Leg {
    source: BlueprintKey,
    relation: String,
    target: BlueprintKey,
    required: bool,
}

impl Leg {
    /// The blueprints where a walk in a direction begins and ends to follow it.
    fn ends(&self, direction: Direction) -> (BlueprintKey, BlueprintKey) {
        match direction {
            Direction::Upstream => (self.source, self.target),
            Direction::Downstream => (self.target, self.source),
        }
    }
}

impl<'a, 'tx> Walks<'a, 'tx> {
    pub(super) fn new(tx: &'a ReadTx<'tx>, kinds: &'a Kinds, hidden: Rc<Hidden>) -> Self {
        Self {
            tx,
            kinds,
            hidden,
            related: RefCell::default(),
            relations: OnceCell::new(),
        }
    }

    /// The entities of a blueprint that a walk leads to, in order.
    pub(super) fn reached(&self, walk: &Walk, kind: &Kind) -> Result<Rc<Vec<EntityKey>>, Error> {
        match walk {
            Walk::Path(path) => self.path(path, kind).map(Rc::new),
            Walk::Related(related) => {
                // What leads elsewhere is left out of a walk to one blueprint. Where a second one is asked for, more are
                // likely to follow: one walk leads to all of them.
                let mut goal = Some(kind.key);
                for known in self.related.borrow().iter() {
                    if known.related != *related {
                        continue;
                    }
                    if known.goal.is_none_or(|known| known == kind.key) {
                        return Ok(known.reached.get(&kind.key).cloned().unwrap_or_default());
                    }
                    goal = None;
                }
                let reached = self.related(related, goal)?;
                let found = reached.get(&kind.key).cloned().unwrap_or_default();
                self.related.borrow_mut().push(KnownWalk {
                    related: related.clone(),
                    goal,
                    reached,
                });
                Ok(found)
            }
        }
    }

    fn related(&self, related: &Related, goal: Option<BlueprintKey>) -> Result<Reached, Error> {
        let kind = self.kinds.load(self.tx, &related.blueprint)?;
        let start = self.named(&kind, &related.start)?;
        let mut all: HashMap<BlueprintKey, Vec<EntityKey>> = HashMap::new();
        for direction in [Direction::Upstream, Direction::Downstream] {
            if related.direction.is_none_or(|wanted| wanted == direction) {
                let legs = useful(self.relations()?, related.required, direction, goal);
                let start = HashMap::from([(kind.key, start.clone())]);
                for (blueprint, keys) in self.closure(start, direction, &legs)? {
                    all.entry(blueprint).or_default().extend(keys);
                }
            }
        }
        let in_order = all.into_iter().map(|(blueprint, mut keys)| {
            keys.sort_unstable();
            keys.dedup();
            (blueprint, Rc::new(keys))
        });
        Ok(in_order.collect())
    }

    fn relations(&self) -> Result<&[Leg], Error> {
        if let Some(known) = self.relations.get() {
            return Ok(known);
        }
        let kinds: Result<Vec<Kind>, Error> = self
            .tx
            .list_blueprints()?
            .iter()
            .map(|row| self.kinds.ready(row))
            .collect();
        let kinds = kinds?;
        let key_of: HashMap<&BlueprintId, BlueprintKey> = kinds
            .iter()
            .map(|kind| (&kind.blueprint().identifier, kind.key))
            .collect();
        let mut legs = Vec::new();
        for kind in &kinds {
            for (name, definition) in &kind.blueprint().relations {
                if let Some(target) = key_of.get(&definition.target) {
                    legs.push(Leg {
                        source: kind.key,
                        relation: name.clone(),
                        target: *target,
                        required: definition.required,
                    });
                }
            }
        }
        Ok(self.relations.get_or_init(|| legs))
    }

    /// Everything that is reached in at least one step.
    fn closure(
        &self,
        start: HashMap<BlueprintKey, Vec<EntityKey>>,
        direction: Direction,
        legs: &[&Leg],
    ) -> Result<HashMap<BlueprintKey, Vec<EntityKey>>, Error> {
        let mut reached: HashMap<BlueprintKey, HashSet<EntityKey>> = HashMap::new();
        let mut total = 0;
        let mut front = start;
        for _ in 0..MAX_DEPTH {
            if direction == Direction::Upstream {
                for keys in front.values_mut() {
                    *keys = self.tx.list_shown(std::mem::take(keys), &self.hidden)?;
                }
            }
            let mut next: HashMap<BlueprintKey, Vec<EntityKey>> = HashMap::new();
            for leg in legs {
                let (begin, end) = leg.ends(direction);
                let Some(from) = front.get(&begin).filter(|keys| !keys.is_empty()) else {
                    continue;
                };
                let to = match direction {
                    Direction::Upstream => self.tx.step_forward(&leg.relation, from)?,
                    Direction::Downstream => {
                        let to = self.tx.step_back(leg.source, &leg.relation, from)?;
                        self.tx.list_shown(to, &self.hidden)?
                    }
                };
                // A circle leads to where one has been.
                let known = reached.entry(end).or_default();
                let new = to.into_iter().filter(|key| known.insert(*key));
                let before = next.entry(end).or_default();
                let length = before.len();
                before.extend(new);
                total += before.len() - length;
            }
            bounded(total)?;
            if next.values().all(Vec::is_empty) {
                break;
            }
            front = next;
        }
        let listed = reached.into_iter();
        Ok(listed
            .map(|(blueprint, keys)| (blueprint, keys.into_iter().collect()))
            .collect())
    }

    fn path(&self, path: &PathMatch, kind: &Kind) -> Result<Vec<EntityKey>, Error> {
        let first = match &path.from_blueprint {
            None => kind.clone(),
            Some(id) => self.kinds.load(self.tx, id)?,
        };
        // The blueprints along the path; a path that does not fit this blueprint leads nowhere.
        let mut along = vec![first];
        for step in &path.path {
            let Some(next) = along.last().and_then(|kind| target(kind, step)) else {
                return Ok(Vec::new());
            };
            along.push(self.kinds.load(self.tx, &next)?);
        }
        match &path.from_blueprint {
            Some(_) => {
                if along.last().is_none_or(|last| last.key != kind.key) {
                    return Ok(Vec::new());
                }
                let mut front = match along.first() {
                    Some(first) => self.named(first, &path.ends)?,
                    None => Vec::new(),
                };
                for (index, step) in path.path.iter().enumerate() {
                    let go = |from: &[EntityKey]| {
                        let from = self.tx.list_shown(from.to_vec(), &self.hidden)?;
                        self.tx.step_forward(&step.relation, &from)
                    };
                    front = repeat(front, hops(&path.path, index), go)?;
                }
                Ok(front)
            }
            None => {
                let mut front = match along.last() {
                    Some(last) => self.named(last, &path.ends)?,
                    None => Vec::new(),
                };
                for ((index, step), kind) in path.path.iter().enumerate().zip(&along).rev() {
                    let go = |to: &[EntityKey]| {
                        let from = self.tx.step_back(kind.key, &step.relation, to)?;
                        self.tx.list_shown(from, &self.hidden)
                    };
                    front = repeat(front, hops(&path.path, index), go)?;
                }
                Ok(front)
            }
        }
    }

    fn named(&self, kind: &Kind, ids: &Identifiers) -> Result<Vec<EntityKey>, Error> {
        let Identifiers::Named(ids) = ids else {
            return Ok(Vec::new());
        };
        let mut keys = Vec::with_capacity(ids.len());
        for id in ids {
            keys.extend(self.tx.find_entity_key(kind.key, id)?);
        }
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }
}

/// The relations that a walk in a direction has to follow: those that are required, or are not, where that is asked for,
/// and after which it can still come to an entity of the goal.
fn useful(
    relations: &[Leg],
    required: Option<bool>,
    direction: Direction,
    goal: Option<BlueprintKey>,
) -> Vec<&Leg> {
    let wanted = relations
        .iter()
        .filter(|leg| required.is_none_or(|required| leg.required == required));
    let mut legs: Vec<&Leg> = wanted.collect();
    let Some(goal) = goal else { return legs };
    let mut leading = HashSet::from([goal]);
    loop {
        let before = leading.len();
        for leg in &legs {
            let (begin, end) = leg.ends(direction);
            if leading.contains(&end) {
                leading.insert(begin);
            }
        }
        if leading.len() == before {
            break;
        }
    }
    legs.retain(|leg| leading.contains(&leg.ends(direction).1));
    legs
}

/// The blueprint that a step leads to. One that may be taken several times has to lead back to its own.
fn target(kind: &Kind, step: &Step) -> Option<BlueprintId> {
    let blueprint = kind.blueprint();
    let definition = blueprint.relations.get(&step.relation)?;
    let fits = step.max_hops.is_none() || definition.target == blueprint.identifier;
    fits.then(|| definition.target.clone())
}

/// How often a step is taken, at least and at most. After other steps one that may be taken several times need not be
/// taken at all.
fn hops(path: &[Step], index: usize) -> (usize, usize) {
    match path.get(index).and_then(|step| step.max_hops) {
        None => (1, 1),
        Some(most) => (usize::from(index == 0), usize::from(most)),
    }
}

fn repeat(
    front: Vec<EntityKey>,
    (least, most): (usize, usize),
    step: impl Fn(&[EntityKey]) -> Result<Vec<EntityKey>, crate::store::Error>,
) -> Result<Vec<EntityKey>, Error> {
    let mut reached: HashSet<EntityKey> = HashSet::new();
    if least == 0 {
        reached.extend(&front);
    }
    let mut front = front;
    for _ in 0..most {
        if front.is_empty() {
            break;
        }
        let next = step(&front)?;
        front = next
            .into_iter()
            .filter(|key| reached.insert(*key))
            .collect();
        bounded(reached.len())?;
    }
    let mut reached: Vec<_> = reached.into_iter().collect();
    reached.sort_unstable();
    Ok(reached)
}

fn bounded(reached: usize) -> Result<(), Error> {
    if reached <= MAX_REACHED {
        return Ok(());
    }
    let message = format!(
        "a walk along relations reaches more than {MAX_REACHED} entities; name fewer entities to start from, give a `direction`, or use `matchAny` with a path"
    );
    Err(Error::TooExpensive(message))
}
