//! What an entry of the queue says: what has changed, and what has to be made again because of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::catalog::Error;
use crate::store::{self, BlueprintKey, EntityKey, NewQueued, WriteTx};

/// Entities that one entry names.
const PAGE: usize = 1_000;

/// What has changed about some entities of a blueprint, or what has to be made again of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Cause {
    /// What to make again of [`Self::keys`], or of all where there are none.
    #[serde(flatten)]
    pub(super) dirty: Dirty,
    /// The entities. Entries of before had one in a column of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) keys: Vec<i64>,
    /// Fields of each of them that have changed and that somebody watches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) fields: Vec<String>,
    /// Relations of each of them that have changed and that somebody watches, with what they have lost or gained
    /// together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) relations: Vec<(String, Vec<i64>)>,
}

/// What to make again of an entity.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Dirty {
    /// Everything.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) all: bool,
    /// Mirrors, calculations and scorecards: what costs little.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) own: bool,
    /// And of the aggregations these.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) aggregations: BTreeSet<String>,
}

impl Dirty {
    pub(super) fn all() -> Self {
        Self {
            all: true,
            ..Self::default()
        }
    }

    pub(super) fn own() -> Self {
        Self {
            own: true,
            ..Self::default()
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.all |= other.all;
        self.own |= other.own;
        self.aggregations.extend(other.aggregations.iter().cloned());
    }

    pub(super) fn is_clean(&self) -> bool {
        *self == Self::default()
    }
}

impl Cause {
    pub(super) fn read(text: &str) -> Result<Self, Error> {
        Ok(serde_json::from_str(text).map_err(|e| store::Error::corrupt("derive queue", e))?)
    }

    /// Queues it for the entities that it names, or for all of a blueprint.
    pub(super) fn queue(
        &self,
        tx: &WriteTx<'_>,
        blueprint: BlueprintKey,
        rank: Rank,
    ) -> Result<(), Error> {
        let cause =
            serde_json::to_string(self).map_err(|e| store::Error::corrupt("derive queue", e))?;
        tx.insert_queued(&NewQueued {
            background: rank.background,
            origin: rank.origin,
            blueprint,
            cause,
        })?;
        Ok(())
    }
}

/// Where an entry stands in the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) background: bool,
    pub(super) origin: Option<i64>,
}

/// What has changed about one entity.
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Changed {
    pub(super) dirty: Dirty,
    /// Fields that somebody watches.
    pub(super) fields: BTreeSet<String>,
    /// Relations that somebody watches.
    pub(super) relations: BTreeSet<String>,
}

/// What has changed about many entities of a blueprint: those of which the same has changed share an entry.
#[derive(Debug, Default)]
pub(super) struct Causes {
    found: BTreeMap<(Rank, Changed), Together>,
}

/// Entities of which the same has changed.
#[derive(Debug, Default)]
pub(super) struct Together {
    pub(super) keys: Vec<EntityKey>,
    /// What their relations have lost or gained.
    pub(super) targets: BTreeMap<String, BTreeSet<EntityKey>>,
}

impl Causes {
    /// Adds an entity. `None` where nothing is to be done because of it.
    pub(super) fn add(
        &mut self,
        key: EntityKey,
        rank: Rank,
        changed: Changed,
    ) -> Option<&mut Together> {
        if changed == Changed::default() {
            return None;
        }
        let together = self.found.entry((rank, changed)).or_default();
        together.keys.push(key);
        Some(together)
    }

    /// Queues all of them.
    pub(super) fn queue(self, tx: &WriteTx<'_>, blueprint: BlueprintKey) -> Result<(), Error> {
        for ((rank, changed), together) in self.found {
            let mut targets = together.targets;
            for page in together.keys.chunks(PAGE) {
                // Whatever is walked to from the targets is walked to once.
                let targets = std::mem::take(&mut targets);
                let relations = changed.relations.iter().map(|name| {
                    let targets = targets.get(name).into_iter().flatten();
                    (name.clone(), targets.map(|key| key.number()).collect())
                });
                let cause = Cause {
                    dirty: changed.dirty.clone(),
                    keys: page.iter().map(|key| key.number()).collect(),
                    fields: changed.fields.iter().cloned().collect(),
                    relations: relations.collect(),
                };
                cause.queue(tx, blueprint, rank)?;
            }
        }
        Ok(())
    }
}

/// Queues many entities of one blueprint, with what to make again of them.
pub(super) fn queue_pages(
    tx: &WriteTx<'_>,
    blueprint: BlueprintKey,
    keys: &[EntityKey],
    dirty: &Dirty,
    rank: Rank,
) -> Result<(), Error> {
    for page in keys.chunks(PAGE) {
        let cause = Cause {
            dirty: dirty.clone(),
            keys: page.iter().map(|key| key.number()).collect(),
            ..Cause::default()
        };
        cause.queue(tx, blueprint, rank)?;
    }
    Ok(())
}
