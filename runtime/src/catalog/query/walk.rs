//! Where walks along relations lead to, worked out from the entities that they name.

use std::cell::RefCell;
use std::collections::HashSet;
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
    /// A walk over any relations leads to the same entities whatever blueprint is looked at.
    related: RefCell<Vec<(Related, Rc<Vec<EntityKey>>)>>,
}

impl<'a, 'tx> Walks<'a, 'tx> {
    pub(super) fn new(tx: &'a ReadTx<'tx>, kinds: &'a Kinds, hidden: Rc<Hidden>) -> Self {
        Self {
            tx,
            kinds,
            hidden,
            related: RefCell::default(),
        }
    }

    /// The entities that a walk leads to, in order: at least all of those of the given blueprint.
    pub(super) fn reached(&self, walk: &Walk, kind: &Kind) -> Result<Rc<Vec<EntityKey>>, Error> {
        match walk {
            Walk::Path(path) => self.path(path, kind).map(Rc::new),
            Walk::Related(related) => {
                let known = self.related.borrow();
                if let Some((_, reached)) = known.iter().find(|(known, _)| known == related) {
                    return Ok(Rc::clone(reached));
                }
                drop(known);
                let reached = Rc::new(self.related(related)?);
                self.related
                    .borrow_mut()
                    .push((related.clone(), Rc::clone(&reached)));
                Ok(reached)
            }
        }
    }

    fn related(&self, related: &Related) -> Result<Vec<EntityKey>, Error> {
        let kind = self.kinds.load(self.tx, &related.blueprint)?;
        let start = self.named(&kind, &related.start)?;
        let edges = match related.required {
            None => None,
            Some(required) => Some(self.edges(required)?),
        };
        let mut reached = Vec::new();
        for direction in [Direction::Upstream, Direction::Downstream] {
            if related.direction.is_none_or(|wanted| wanted == direction) {
                reached.extend(self.closure(&start, direction, edges.as_deref())?);
            }
        }
        reached.sort_unstable();
        reached.dedup();
        Ok(reached)
    }

    /// Every relation of the catalog that is required, or every one that is not.
    fn edges(&self, required: bool) -> Result<Vec<(BlueprintKey, String)>, Error> {
        let mut edges = Vec::new();
        for row in self.tx.list_blueprints()? {
            let kind = self.kinds.ready(&row)?;
            let relations = kind.blueprint().relations.iter();
            let named = relations.filter(|(_, definition)| definition.required == required);
            edges.extend(named.map(|(name, _)| (kind.key, name.clone())));
        }
        Ok(edges)
    }

    /// Everything that is reached in at least one step.
    fn closure(
        &self,
        start: &[EntityKey],
        direction: Direction,
        edges: Option<&[(BlueprintKey, String)]>,
    ) -> Result<HashSet<EntityKey>, Error> {
        let mut reached = HashSet::new();
        let mut front = start.to_vec();
        for _ in 0..MAX_DEPTH {
            if front.is_empty() {
                break;
            }
            let next = match direction {
                Direction::Upstream => {
                    let front = self.tx.list_shown(front, &self.hidden)?;
                    self.tx.step_out(&front, edges)?
                }
                Direction::Downstream => {
                    let next = self.tx.step_in(&front, edges)?;
                    self.tx.list_shown(next, &self.hidden)?
                }
            };
            // A circle leads to where one has been.
            front = next
                .into_iter()
                .filter(|key| reached.insert(*key))
                .collect();
            bounded(reached.len())?;
        }
        Ok(reached)
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
