//! What an entry of the queue says: what has changed, and what has to be made again because of it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::catalog::Error;
use crate::store::{self, BlueprintKey, EntityKey, NewQueued, WriteTx};

/// Entities that one entry names.
const PAGE: usize = 1_000;

/// What has changed about an entity, or which entities have to be made again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Cause {
    /// What to make again of the entity that the entry names, or of [`Self::keys`].
    #[serde(flatten)]
    pub(super) dirty: Dirty,
    /// Entities of the blueprint, where the entry is about several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) keys: Vec<i64>,
    /// Fields of the entity that have changed and that somebody watches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) fields: Vec<String>,
    /// Relations of the entity that have changed and that somebody watches, with what they have lost or gained.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) relations: Vec<(String, Vec<i64>)>,
}

/// What to make again of an entity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    pub(super) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn read(text: &str) -> Result<Self, Error> {
        Ok(serde_json::from_str(text).map_err(|e| store::Error::corrupt("derive queue", e))?)
    }

    /// Queues it for an entity, or for all of a blueprint.
    pub(super) fn queue(
        &self,
        tx: &WriteTx<'_>,
        blueprint: BlueprintKey,
        entity: Option<EntityKey>,
        rank: Rank,
    ) -> Result<(), Error> {
        let cause =
            serde_json::to_string(self).map_err(|e| store::Error::corrupt("derive queue", e))?;
        tx.insert_queued(&NewQueued {
            background: rank.background,
            origin: rank.origin,
            blueprint,
            entity,
            cause,
        })?;
        Ok(())
    }
}

/// Where an entry stands in the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rank {
    pub(super) background: bool,
    pub(super) origin: Option<i64>,
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
        cause.queue(tx, blueprint, None, rank)?;
    }
    Ok(())
}
