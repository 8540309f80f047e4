//! What each of several entities reaches by a walk. Their ways overlap, so that every edge is read once for all of
//! them and then followed in memory.

use std::collections::HashMap;

use super::walk::{Hop, MAX_WALKED, TooFar, Walk};
use crate::store::{self, BlueprintKey, EntityKey, ReadTx};

/// Entities that are in memory at a time; where several entities reach more together, fewer are taken.
const MAX_TOGETHER: usize = 100_000;

/// Edges in memory, in times of the entities.
const MAX_EDGES: usize = 4;

/// The part of the catalog that a walk from some entities passes through.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// Where an entity is, after how many of the steps of the walk. A walk of any number of steps counts none.
    places: HashMap<(usize, EntityKey), usize>,
    keys: Vec<EntityKey>,
    /// Whether the walk looks for the entity of this place.
    sought: Vec<bool>,
    /// From place to place; in the end in order.
    edges: Vec<(usize, usize)>,
    /// For each place, where its edges begin; and a last one.
    begins: Vec<usize>,
    /// The last start from which each place was come to.
    seen: Vec<usize>,
    starts: usize,
}

impl Reach {
    /// Reads what a walk from some entities of one blueprint passes through.
    pub(super) fn read(
        tx: &ReadTx<'_>,
        walk: &Walk,
        blueprint: BlueprintKey,
        starts: &[EntityKey],
    ) -> Result<Result<Self, TooFar>, store::Error> {
        // One alone may reach as much as a walk may at all.
        let most = match starts {
            [_] => MAX_WALKED,
            _ => MAX_TOGETHER,
        };
        let mut reach = Self::default();
        let read = match walk {
            Walk::Steps(hops) => reach.read_steps(tx, hops, starts, most)?,
            Walk::Flood {
                edges,
                backwards,
                collect,
            } => {
                let hops = edges.iter().map(|edge| Hop {
                    edge: edge.clone(),
                    backwards: *backwards,
                });
                let hops: Vec<Hop> = hops.collect();
                reach.read_flood(tx, &hops, *collect, (blueprint, starts), most)?
            }
        };
        Ok(read.map(|()| {
            reach.put_in_order();
            reach
        }))
    }

    fn read_steps(
        &mut self,
        tx: &ReadTx<'_>,
        hops: &[Hop],
        starts: &[EntityKey],
        most: usize,
    ) -> Result<Result<(), TooFar>, store::Error> {
        for key in starts {
            self.place((0, *key), hops.is_empty());
        }
        let mut front = starts.to_vec();
        for (taken, hop) in hops.iter().enumerate() {
            let last = taken + 1 == hops.len();
            let mut next = Vec::new();
            for (from, to) in hop.pairs(tx, &front)? {
                let (to_place, new) = self.place((taken + 1, to), last);
                let (from_place, _) = self.place((taken, from), false);
                self.edges.push((from_place, to_place));
                if new {
                    next.push(to);
                }
            }
            if self.is_beyond(most) {
                return Ok(Err(TooFar));
            }
            front = next;
        }
        Ok(Ok(()))
    }

    fn read_flood(
        &mut self,
        tx: &ReadTx<'_>,
        hops: &[Hop],
        sought: BlueprintKey,
        (blueprint, starts): (BlueprintKey, &[EntityKey]),
        most: usize,
    ) -> Result<Result<(), TooFar>, store::Error> {
        for key in starts {
            self.place((0, *key), blueprint == sought);
        }
        let mut front = HashMap::from([(blueprint, starts.to_vec())]);
        while !front.is_empty() {
            let mut next: HashMap<BlueprintKey, Vec<EntityKey>> = HashMap::new();
            for hop in hops {
                let Some(keys) = front.get(&hop.begin()) else {
                    continue;
                };
                for (from, to) in hop.pairs(tx, keys)? {
                    let (to_place, new) = self.place((0, to), hop.end() == sought);
                    let (from_place, _) = self.place((0, from), false);
                    self.edges.push((from_place, to_place));
                    if new {
                        next.entry(hop.end()).or_default().push(to);
                    }
                }
                if self.is_beyond(most) {
                    return Ok(Err(TooFar));
                }
            }
            front = next;
        }
        Ok(Ok(()))
    }

    fn is_beyond(&self, most: usize) -> bool {
        self.keys.len() > most || self.edges.len() > most * MAX_EDGES
    }

    /// The place of an entity, and whether it was not there before.
    fn place(&mut self, at: (usize, EntityKey), sought: bool) -> (usize, bool) {
        let next = self.keys.len();
        let place = *self.places.entry(at).or_insert(next);
        let new = place == next;
        if new {
            self.keys.push(at.1);
            self.sought.push(sought);
        }
        (place, new)
    }

    fn put_in_order(&mut self) {
        self.edges.sort_unstable();
        self.begins = Vec::with_capacity(self.keys.len() + 1);
        let mut edge = 0;
        for place in 0..=self.keys.len() {
            while self.edges.get(edge).is_some_and(|(from, _)| *from < place) {
                edge += 1;
            }
            self.begins.push(edge);
        }
        self.seen = vec![0; self.keys.len()];
    }

    /// The entities that the walk leads to from one of those that this was read for, in no order. A flood finds that one
    /// itself where it is of the blueprint that is looked for.
    pub(super) fn from(&mut self, start: EntityKey) -> Vec<EntityKey> {
        self.starts += 1;
        let mut found = Vec::new();
        let mut open: Vec<usize> = self.places.get(&(0, start)).copied().into_iter().collect();
        while let Some(place) = open.pop() {
            match self.seen.get_mut(place) {
                Some(seen) if *seen != self.starts => *seen = self.starts,
                _ => continue,
            }
            if self.sought.get(place) == Some(&true) {
                found.extend(self.keys.get(place));
            }
            let (begin, end) = (self.begins.get(place), self.begins.get(place + 1));
            if let (Some(begin), Some(end)) = (begin, end) {
                let edges = self.edges.get(*begin..*end).unwrap_or_default();
                open.extend(edges.iter().map(|(_, to)| *to));
            }
        }
        found
    }
}
