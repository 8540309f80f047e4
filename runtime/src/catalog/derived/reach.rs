//! What each of several entities reaches by a walk. Their ways overlap, so that every edge is read once for all of
//! them and then followed in memory.

use std::collections::HashMap;

use super::walk::{MAX_WALKED, Spot, TooFar, Walk};
use crate::store::{self, BlueprintKey, EntityKey, ReadTx};

/// Entities that are in memory at a time; where several entities reach more together, fewer are taken.
const MAX_TOGETHER: usize = 100_000;

/// Edges in memory, in times of the entities.
const MAX_EDGES: usize = 4;

/// The part of the catalog that a walk from some entities passes through.
#[derive(Debug, Default)]
pub(super) struct Reach {
    places: HashMap<Spot, usize>,
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
        for key in starts {
            reach.place((0, *key), walk.seeks(blueprint));
        }
        let gone = walk.go(tx, blueprint, starts, |edge| {
            let (to, new) = reach.place(edge.to, edge.sought);
            let (from, _) = reach.place(edge.from, false);
            reach.edges.push((from, to));
            match reach.is_beyond(most) {
                true => Err(TooFar),
                false => Ok(new),
            }
        })?;
        Ok(gone.map(|()| {
            reach.put_in_order();
            reach
        }))
    }

    fn is_beyond(&self, most: usize) -> bool {
        self.keys.len() > most || self.edges.len() > most * MAX_EDGES
    }

    /// The place of a spot, and whether it was not there before.
    fn place(&mut self, at: Spot, sought: bool) -> (usize, bool) {
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
