//! Ways along the relations of entities, forwards and backwards.

use std::collections::{BTreeSet, HashMap};

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
        match self {
            Self::Steps(hops) => {
                let mut at = starts;
                for hop in hops {
                    at = hop.take(tx, &at)?;
                    if at.len() > MAX_WALKED {
                        return Ok(Err(TooFar));
                    }
                }
                Ok(Ok(at))
            }
            Self::Flood {
                edges,
                backwards,
                collect,
            } => flood(tx, edges, *backwards, *collect, blueprint, starts),
        }
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

    fn take(
        &self,
        tx: &ReadTx<'_>,
        from: &BTreeSet<EntityKey>,
    ) -> Result<BTreeSet<EntityKey>, store::Error> {
        let keys: Vec<EntityKey> = from.iter().copied().collect();
        Ok(self
            .pairs(tx, &keys)?
            .into_iter()
            .map(|(_, end)| end)
            .collect())
    }
}

fn flood(
    tx: &ReadTx<'_>,
    edges: &[Edge],
    backwards: bool,
    collect: BlueprintKey,
    blueprint: BlueprintKey,
    starts: BTreeSet<EntityKey>,
) -> Result<Result<BTreeSet<EntityKey>, TooFar>, store::Error> {
    let mut visited: HashMap<BlueprintKey, BTreeSet<EntityKey>> = HashMap::new();
    let mut frontier = HashMap::from([(blueprint, starts.clone())]);
    let mut walked = starts.len();
    visited.insert(blueprint, starts);
    while !frontier.is_empty() {
        let mut next: HashMap<BlueprintKey, BTreeSet<EntityKey>> = HashMap::new();
        for edge in edges {
            let hop = Hop {
                edge: edge.clone(),
                backwards,
            };
            let to = hop.end();
            let Some(keys) = frontier.get(&hop.begin()) else {
                continue;
            };
            let known = visited.entry(to).or_default();
            for key in hop.take(tx, keys)? {
                if known.insert(key) {
                    next.entry(to).or_default().insert(key);
                    walked += 1;
                }
            }
            if walked > MAX_WALKED {
                return Ok(Err(TooFar));
            }
        }
        frontier = next;
    }
    Ok(Ok(visited.remove(&collect).unwrap_or_default()))
}
