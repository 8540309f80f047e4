//! Ways along the relations of entities, forwards and backwards.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::store::{self, BlueprintKey, EntityKey, ReadTx};

/// Entities that one walk may touch. Beyond that it would take memory and time from everybody else.
pub(super) const MAX_WALKED: usize = 2_000_000;

/// A relation between two blueprints.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Edge {
    /// Blueprint that has it.
    pub(super) source: BlueprintKey,
    /// Its name.
    pub(super) relation: String,
    /// Blueprint that it leads to.
    pub(super) target: BlueprintKey,
}

/// One step, from the entity that has a relation to its targets, or back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) edge: Edge,
    pub(super) backwards: bool,
}

/// A way from some entities to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Walk {
    /// Exactly these steps. Without any, it stays where it is.
    Steps(Vec<Hop>),
    /// Any number of steps over any of these relations, all forwards or all backwards; the entities of one blueprint
    /// are what it looks for.
    Flood {
        edges: Vec<Edge>,
        backwards: bool,
        collect: BlueprintKey,
    },
}

/// A walk that would touch more than [`MAX_WALKED`] entities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooFar;

/// An entity, and after how many of the steps of a walk. A walk of any number of steps counts none.
pub(super) type Spot = (usize, EntityKey);

/// An edge that a walk has passed.
pub(super) struct Passed {
    pub(super) from: Spot,
    pub(super) to: Spot,
    /// Whether its end is what the walk looks for.
    pub(super) sought: bool,
}

impl Walk {
    /// Every blueprint that it comes to.
    pub(super) fn ends(&self) -> Vec<BlueprintKey> {
        match self {
            Self::Steps(hops) => hops.iter().map(Hop::end).collect(),
            Self::Flood {
                edges, backwards, ..
            } => {
                let end = |edge: &Edge| if *backwards { edge.source } else { edge.target };
                edges.iter().map(end).collect()
            }
        }
    }

    /// The same steps, the other way round.
    pub(super) fn back(hops: &[Hop]) -> Self {
        let turned = hops.iter().rev().map(|hop| Hop {
            edge: hop.edge.clone(),
            backwards: !hop.backwards,
        });
        Self::Steps(turned.collect())
    }

    /// Where it leads from some entities of one blueprint. A flood finds those among them that it looks for, too.
    pub(super) fn follow(
        &self,
        tx: &ReadTx<'_>,
        blueprint: BlueprintKey,
        starts: BTreeSet<EntityKey>,
    ) -> Result<Result<BTreeSet<EntityKey>, TooFar>, store::Error> {
        let keys: Vec<EntityKey> = starts.iter().copied().collect();
        let mut known: HashSet<Spot> = keys.iter().map(|key| (0, *key)).collect();
        let mut found = match self.seeks(blueprint) {
            true => starts,
            false => BTreeSet::new(),
        };
        let gone = self.go(tx, blueprint, &keys, |edge| {
            let new = known.insert(edge.to);
            if edge.sought {
                found.insert(edge.to.1);
            }
            match known.len() > MAX_WALKED {
                true => Err(TooFar),
                false => Ok(new),
            }
        })?;
        Ok(gone.map(|()| found))
    }

    /// Whether it looks for what it begins at, where that is of a blueprint.
    pub(super) fn seeks(&self, blueprint: BlueprintKey) -> bool {
        match self {
            Self::Steps(hops) => hops.is_empty(),
            Self::Flood { collect, .. } => *collect == blueprint,
        }
    }

    /// Goes it from some entities of one blueprint, as far as it leads. Whoever is told of an edge says whether its end
    /// was not come to before: from there it goes on.
    pub(super) fn go(
        &self,
        tx: &ReadTx<'_>,
        blueprint: BlueprintKey,
        starts: &[EntityKey],
        mut tell: impl FnMut(Passed) -> Result<bool, TooFar>,
    ) -> Result<Result<(), TooFar>, store::Error> {
        match self {
            Self::Steps(hops) => {
                let mut front = starts.to_vec();
                for (taken, hop) in hops.iter().enumerate() {
                    let mut next = Vec::new();
                    for (from, to) in hop.pairs(tx, &front)? {
                        let passed = Passed {
                            from: (taken, from),
                            to: (taken + 1, to),
                            sought: taken + 1 == hops.len(),
                        };
                        match tell(passed) {
                            Ok(true) => next.push(to),
                            Ok(false) => {}
                            Err(TooFar) => return Ok(Err(TooFar)),
                        }
                    }
                    front = next;
                }
            }
            Self::Flood {
                edges,
                backwards,
                collect,
            } => {
                let hops = edges.iter().map(|edge| Hop {
                    edge: edge.clone(),
                    backwards: *backwards,
                });
                let hops: Vec<Hop> = hops.collect();
                let mut front = HashMap::from([(blueprint, starts.to_vec())]);
                while !front.is_empty() {
                    let mut next: HashMap<BlueprintKey, Vec<EntityKey>> = HashMap::new();
                    for hop in &hops {
                        let Some(keys) = front.get(&hop.begin()) else {
                            continue;
                        };
                        for (from, to) in hop.pairs(tx, keys)? {
                            let passed = Passed {
                                from: (0, from),
                                to: (0, to),
                                sought: hop.end() == *collect,
                            };
                            match tell(passed) {
                                Ok(true) => next.entry(hop.end()).or_default().push(to),
                                Ok(false) => {}
                                Err(TooFar) => return Ok(Err(TooFar)),
                            }
                        }
                    }
                    front = next;
                }
            }
        }
        Ok(Ok(()))
    }
}

impl Hop {
    /// The blueprint that it leads to.
    pub(super) fn end(&self) -> BlueprintKey {
        match self.backwards {
            true => self.edge.source,
            false => self.edge.target,
        }
    }

    /// The blueprint that it comes from.
    pub(super) fn begin(&self) -> BlueprintKey {
        match self.backwards {
            true => self.edge.target,
            false => self.edge.source,
        }
    }

    /// From which of some entities it leads to which others.
    pub(super) fn pairs(
        &self,
        tx: &ReadTx<'_>,
        from: &[EntityKey],
    ) -> Result<Vec<(EntityKey, EntityKey)>, store::Error> {
        match self.backwards {
            true => tx.list_edges_to(from, self.edge.source, &self.edge.relation),
            false => tx.list_edges_from(from, &self.edge.relation),
        }
    }
}
